"""Messages as Telegram HTML: as many as fit into one text, every foreign word escaped.

Pure. The limit of 4096 characters counts what is seen, without tags, in UTF-16 (Bot API, sendMessage).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engines.core.messages import Line, Message, Tone
from engines.notify.text import cut, one_line, size

LONGEST = 4096
JOINED = 20  # messages in one text: more is no longer read
SIGNS = {Tone.GOOD: "🟢", Tone.BAD: "🔴", Tone.WARN: "🟡", Tone.INFO: "🔵", Tone.MUTED: "⚪"}
MODES = {"live": "LIVE", "paper": "PAPER"}
_BETWEEN = "\n\n"
_VALUE = 600
_TEXT = 2000


def text(messages: Sequence[Message]) -> tuple[str, int]:
    """One text, and how many of the messages are in it: at least the first."""
    parts: list[str] = []
    total = 0
    for message in messages[:JOINED]:
        part, seen = _message(message)
        if parts and total + len(_BETWEEN) + seen > LONGEST:
            break
        total += seen + (len(_BETWEEN) if parts else 0)
        parts.append(part)
    return _BETWEEN.join(parts), len(parts)


def payload(chat: str, words: str, thread: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {
        "chat_id": int(chat) if chat.lstrip("-").isdigit() else chat,
        "text": words,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    return body | ({"message_thread_id": int(thread)} if thread else {})


def escape(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message(message: Message) -> tuple[str, int]:
    """HTML, and how long what is seen of it is. What does not fit is left out between the head and the number at its foot."""
    foot = cut(one_line(message.footer), 200)
    foot = f"{foot} · #{message.message_id}" if foot else f"#{message.message_id}"
    rows: list[str] = []
    room = LONGEST - size(foot) - 2  # "…" and a line break
    for html, seen in _rows(message):
        if seen + 1 > room:
            rows.append("…")
            break
        rows.append(html)
        room -= seen + 1
    rows.append(f"<i>{escape(foot)}</i>")
    return "\n".join(rows), LONGEST - room


def _rows(message: Message) -> Iterator[tuple[str, int]]:
    mode = f"{MODES[message.mode]} · " if message.mode in MODES else ""
    title = f"{mode}{cut(one_line(message.title), 256)}"
    yield f"{SIGNS[message.tone]} <b>{escape(title)}</b>", size(title) + 3
    if message.text.strip():
        words = cut(message.text.strip(), _TEXT)
        yield escape(words), size(words)
    for row in _pairs(message.lines):
        pairs = [(cut(one_line(line.name), 100), cut(line.value.strip(), _VALUE) or "–") for line in row]
        html = " · ".join(f"{escape(name)} <b>{escape(value)}</b>" for name, value in pairs)
        yield html, sum(size(name) + size(value) + 1 for name, value in pairs) + 3 * (len(pairs) - 1)


def _pairs(lines: Sequence[Line]) -> Iterator[tuple[Line, ...]]:
    """Short values two in a row, as a phone is wide."""
    waiting: list[Line] = []
    for line in lines:
        if line.short and len(line.name) + len(line.value) <= 28:
            waiting.append(line)
            if len(waiting) == 2:
                yield tuple(waiting)
                waiting.clear()
            continue
        if waiting:
            yield tuple(waiting)
            waiting.clear()
        yield (line,)
    if waiting:
        yield tuple(waiting)

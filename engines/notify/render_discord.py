"""Messages as Discord embeds: as many as fit into one request, each within the provider's limits, nothing in it read as markup or a mention.

Pure. Limits: Discord's documentation of webhooks and embeds; characters are counted as UTF-16, which is never less than Discord counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from engines.core.messages import Line, Message, Tone
from engines.notify.text import cut, one_line, size

EMBEDS = 10
TOTAL = 6000
TITLE, DESCRIPTION, NAME, VALUE, FIELDS, FOOTER, CONTENT = 256, 2400, 256, 1024, 25, 300, 2000
COLOURS = {Tone.GOOD: 0x57F287, Tone.BAD: 0xED4245, Tone.WARN: 0xFEE75C, Tone.INFO: 0x5865F2, Tone.MUTED: 0x95A5A6}
MODES = {"live": "● LIVE", "paper": "○ PAPER"}

_MARKUP = re.compile(r"([\\*_~|>`\[\]#<])")
_MORE = 40  # characters kept free for "and 12 more"


def payload(messages: Sequence[Message]) -> tuple[dict[str, Any], int]:
    """The body of one request and how many of the messages are in it: at least the first."""
    embeds: list[dict[str, Any]] = []
    total = 0
    for message in messages[:EMBEDS]:
        embed = _embed(message)
        weight = weigh(embed)
        if embeds and total + weight > TOTAL:
            break
        embeds.append(embed)
        total += weight
    return {"username": "Tandem", "embeds": embeds, "allowed_mentions": {"parse": []}}, len(embeds)


def plain(message: Message) -> dict[str, Any]:
    """The same in one short text, for when the embed is not accepted."""
    mode = f"{MODES[message.mode]} " if message.mode in MODES else ""
    words = "\n".join(filter(None, (f"**{mode}{safe(one_line(message.title))}**", safe(message.text))))
    content = f"{cut(words, CONTENT - 30)}\n#{message.message_id}"
    return {"username": "Tandem", "content": content, "allowed_mentions": {"parse": []}}


def weigh(embed: dict[str, Any]) -> int:
    """The characters that count towards the limit of a request."""
    texts = [embed.get("title", ""), embed.get("description", ""), embed["footer"]["text"], embed.get("author", {}).get("name", "")]
    return sum(map(size, texts)) + sum(size(field["name"]) + size(field["value"]) for field in embed.get("fields", ()))


def safe(text: str) -> str:
    """Words that stay words: no markup, no link behind other words, nobody mentioned."""
    return _MARKUP.sub(r"\\\1", text).replace("@", "@\u200b").strip()


def _embed(message: Message) -> dict[str, Any]:
    number = f"#{message.message_id}"
    foot = cut(one_line(message.footer), FOOTER)
    footer = f"{foot} · {number}" if foot else number
    embed: dict[str, Any] = {
        "title": cut(safe(one_line(message.title)), TITLE) or "–",
        "color": COLOURS[message.tone],
        "footer": {"text": footer},
        "timestamp": datetime.fromtimestamp(message.at, UTC).isoformat(timespec="milliseconds"),
    }
    if message.mode in MODES:
        embed["author"] = {"name": MODES[message.mode]}
    if message.text.strip():
        embed["description"] = cut(safe(message.text), DESCRIPTION)
    fields = _fields(message.lines, TOTAL - weigh(embed) - _MORE)
    if fields:
        embed["fields"] = fields
    return embed


def _fields(lines: Sequence[Line], room: int) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = []
    for at, line in enumerate(lines):
        field = {"name": cut(safe(line.name), NAME) or "\u200b", "value": cut(safe(line.value), VALUE) or "–", "inline": line.short}
        room -= size(str(field["name"])) + size(str(field["value"]))
        left = len(lines) - at
        if room < 0 or (len(fields) == FIELDS - 1 and left > 1):
            fields.append({"name": "…", "value": f"and {left} more", "inline": False})
            break
        fields.append(field)
    return fields

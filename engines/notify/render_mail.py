"""Messages and secret mails as mail: plain text first, HTML second, headers of our own that make duplicates and threads known.

Pure but for the standard library's `email`, which is imported when the first mail is made. No foreign word reaches a header with a line break.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from engines.core.messages import URGENT, Event, Message, Tone
from engines.core.model import Timestamp
from engines.core.sessions import IST
from engines.notify.mails import Words, words
from engines.notify.outbox import Claimed, SecretMail
from engines.notify.text import cut, one_line

if TYPE_CHECKING:
    from email.message import EmailMessage

DIGEST = 50
"""Messages in one mail at most."""
COLOURS = {Tone.GOOD: "#1f8a4c", Tone.BAD: "#c62f3b", Tone.WARN: "#a66a00", Tone.INFO: "#2362d3", Tone.MUTED: "#66707a"}
MODES = {"live": ("LIVE", "#ffb020", "#1c1200"), "paper": ("PAPER", "#4a1ca8", "#ffffff")}
"""Word, ground and ink: amber and violet, as on the pages; red is for what is bad."""
_FOOT = "Sent by Tandem. What you are told, and where, is chosen under Settings → Messages."
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def mail(items: Sequence[Claimed], sender: str, to: str, now: Timestamp) -> EmailMessage:
    """One mail for all of them (messages), or for the first (a secret mail). ValueError for what cannot be a mail, by kind only."""
    first = items[0].what
    if isinstance(first, SecretMail):
        said = words(first.kind, first.fields)
        return _build(items[:1], sender, first.to, now, said.subject, _words_text(said), _words_html(said), foot="Sent by Tandem.")
    messages = [item.what for item in items if isinstance(item.what, Message)]
    threads = {message.thread for message in messages}
    thread = threads.pop() if len(threads) == 1 else ""
    text = "\n\n— — —\n\n".join(_text(message) for message in messages)
    page = "".join(_card(message) for message in messages)
    return _build(items, sender, to, now, _subject(messages), text, page, thread, foot=_FOOT)


def _build(
    items: Sequence[Claimed], sender: str, to: str, now: Timestamp, subject: str, text: str, page: str, thread: str = "", *, foot: str
) -> EmailMessage:
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate

    made = EmailMessage(policy=SMTP)
    domain = _domain(sender)
    made["Subject"] = cut(one_line(subject), 180)
    made["From"] = sender if "<" in sender or " " in sender else f"Tandem <{sender}>"
    made["To"] = to
    made["Date"] = formatdate(now, localtime=False)
    made["Message-ID"] = f"<{_name(items)}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    if thread:
        root = f"<t.{hashlib.sha256(thread.encode()).hexdigest()[:24]}@{domain}>"
        made["References"] = root
        made["In-Reply-To"] = root
    made.set_content(text + "\n")
    made.add_alternative(
        f'<!doctype html><html><body style="margin:0;padding:16px;background:#f2f4f7;color:#1b2430;{_FONT};font-size:14px;line-height:1.45">'
        f'<div style="max-width:600px;margin:0 auto">{page}'
        f'<p style="color:#66707a;font-size:12px">{foot}</p>'
        "</div></body></html>",
        subtype="html",
    )
    return made


def _name(items: Sequence[Claimed]) -> str:
    """The same for the same deliveries, so that a receiver can drop what was sent twice; another for any other set of them."""
    marks = [f"{item.delivery_id}.{_born(item)}" for item in items]
    return f"d{items[0].delivery_id}.{len(items)}.{hashlib.sha256(' '.join(marks).encode()).hexdigest()[:20]}"


def _born(item: Claimed) -> str:
    """Numbers begin again in a new workspace; moments do not."""
    return f"{item.what.at if isinstance(item.what, Message) else item.expires_at:.6f}"


def _domain(sender: str) -> str:
    domain = sender.rpartition("@")[2].strip(" >")
    return domain if domain and domain.isascii() and all(sign.isalnum() or sign in ".-" for sign in domain) else "tandem.invalid"


def _subject(messages: Sequence[Message]) -> str:
    """What is gravest gives a mail of many its subject: nobody opens a bundle of fills to find a stop in it."""
    first = max(messages, key=_gravity)
    mode = f"{MODES[first.mode][0]} · " if first.mode in MODES else ""
    if len(messages) == 1:
        return f"{mode}{first.title}"
    if _gravity(first):
        return f"{mode}{cut(one_line(first.title), 140)} (and {len(messages) - 1} more)"
    return f"{len(messages)} messages: {mode}{first.title}, …"


def _gravity(message: Message) -> int:
    """3 a stop, 2 what is wrong and urgent, 1 what is urgent or wrong, 0 news."""
    wrong, urgent = message.tone is Tone.BAD, message.event in URGENT
    return 3 if wrong and message.event is Event.HALTS else wrong + urgent


def _at(moment: Timestamp) -> str:
    """In the market's zone, as on the pages."""
    return datetime.fromtimestamp(moment, timezone(timedelta(seconds=IST))).strftime("%d %b %Y %H:%M:%S IST")


def _text(message: Message) -> str:
    return "\n".join(_text_rows(message))


def _text_rows(message: Message) -> Iterator[str]:
    mode = f"[{MODES[message.mode][0]}] " if message.mode in MODES else ""
    yield f"{mode}{one_line(message.title)}"
    if message.text.strip():
        yield message.text.strip()
    if message.lines:
        yield ""
        wide = min(max(len(line.name) for line in message.lines), 24)
        for line in message.lines:
            yield f"{one_line(line.name):<{wide}}  {line.value.strip()}"
        yield ""
    yield f"{_at(message.at)} · " + (f"{one_line(message.footer)} · " if message.footer else "") + f"#{message.message_id}"


def _card(message: Message) -> str:
    colour = COLOURS[message.tone]
    mode = ""
    if message.mode in MODES:
        name, ground, ink = MODES[message.mode]
        mode = f'<span style="background:{ground};color:{ink};border-radius:3px;padding:1px 6px;font-size:12px">{name}</span> '
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#66707a;vertical-align:top">{html.escape(line.name)}</td>'
        f'<td style="padding:2px 0;font-variant-numeric:tabular-nums">{_lines(line.value)}</td></tr>'
        for line in message.lines
    )
    words = f'<p style="margin:6px 0">{_lines(message.text.strip())}</p>' if message.text.strip() else ""
    foot = " · ".join(filter(None, (_at(message.at), one_line(message.footer), f"#{message.message_id}")))
    return (
        f'<div style="background:#ffffff;border-left:4px solid {colour};border-radius:6px;padding:12px 16px;margin:0 0 12px">'
        f'<div style="font-weight:600;font-size:16px">{mode}{html.escape(one_line(message.title))}</div>{words}'
        f'<table style="border-collapse:collapse;font-size:14px">{rows}</table>'
        f'<div style="color:#66707a;font-size:12px;margin-top:8px">{html.escape(foot)}</div></div>'
    )


def _words_text(said: Words) -> str:
    return "\n\n".join(filter(None, (*said.before, said.code, said.link, *said.after)))


def _words_html(said: Words) -> str:
    parts = [f'<p style="margin:0 0 10px">{_lines(part)}</p>' for part in said.before]
    if said.code:
        shown = html.escape(said.code)
        parts.append(
            f'<p style="font-size:30px;letter-spacing:6px;font-weight:700;margin:12px 0;font-variant-numeric:tabular-nums">{shown}</p>'
        )
    if said.link:
        link = html.escape(said.link, quote=True)
        style = (
            "display:inline-block;background:#2362d3;color:#ffffff;text-decoration:none;border-radius:6px;padding:10px 18px;font-weight:600"
        )
        parts.append(f'<p style="margin:14px 0"><a href="{link}" style="{style}">{html.escape(said.button)}</a></p>')
        parts.append(f'<p style="color:#66707a;font-size:12px;word-break:break-all;margin:0 0 10px">{link}</p>')
    parts += [f'<p style="color:#66707a;margin:0 0 10px">{_lines(part)}</p>' for part in said.after]
    return f'<div style="background:#ffffff;border-radius:6px;padding:20px 24px;margin:0 0 12px">{"".join(parts)}</div>'


def _lines(words: str) -> str:
    return html.escape(words).replace("\n", "<br>")

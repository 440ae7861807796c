"""Sends through a person's own Telegram bot: several messages in one text, waits when told to, follows a group that became a supergroup.

The bot's token is in every address, so no address is ever logged or told. `find_chats` looks once who has written to the bot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.core.messages import Message
from engines.notify.answers import Answer, Fate
from engines.notify.outbox import Batch
from engines.notify.render_telegram import JOINED, payload, text
from engines.notify.wire import Lost, Reply, Wire, seconds

ROOT = "https://api.telegram.org"
PACE = 1.0  # seconds between two messages to one chat: what the provider asks of everybody
_TOKEN = re.compile(r"\d{5,16}:[A-Za-z0-9_-]{30,64}")
_CHAT = re.compile(r"-?\d{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31}")
_GONE = (
    "chat not found",
    "bot was blocked",
    "can't initiate",
    "user is deactivated",
    "chat was deactivated",
    "bot was kicked",
    "not a member",
    "have no rights",
    "not enough rights",
    "need administrator rights",
    "chat_write_forbidden",
)
_NO_TOPIC = ("message thread not found", "topic_closed", "topic_deleted")


class NotFound(Exception):
    """The bot's chats cannot be told; the text says why in plain words, without the token."""


@dataclass(frozen=True, slots=True)
class Chat:
    chat: str
    name: str
    kind: str  # private | group | supergroup | channel


def check_token(token: str) -> str:
    """ValueError, in words for a person, for what is no bot's token."""
    if not _TOKEN.fullmatch(token.strip()):
        raise ValueError("is not the token of a bot (123456:ABC…): @BotFather tells it")
    return token.strip()


def check_chat(chat: str) -> str:
    if not _CHAT.fullmatch(chat.strip()):
        raise ValueError("is neither the number of a chat nor the @name of a channel")
    return chat.strip()


class Telegram:
    """Implements engines.notify.answers.Sender. `address`: {"token", "chat", "thread" (optional)}."""

    most = JOINED

    def __init__(self, wire: Wire, root: str = ROOT, *, pace: float = PACE) -> None:
        self._wire = wire
        self._root = root.rstrip("/")
        self._pace = pace

    def send(self, batch: Batch) -> Answer:
        messages = [item.what for item in batch.items if isinstance(item.what, Message)]
        try:
            token, chat = check_token(batch.address.get("token", "")), check_chat(batch.address.get("chat", ""))
        except ValueError:
            return Answer(Fate.BAD_TARGET, len(batch.items), "the bot's token or the chat is not one: enter them again")
        words, taken = text(messages)
        body = payload(chat, words, batch.address.get("thread", ""))
        try:
            reply = self._wire.post(f"{self._root}/bot{token}/sendMessage", body)
            if _markup(reply) and taken == 1:  # our own words were not well formed: without any markup then
                del body["parse_mode"]
                body["text"] = f"{messages[0].title}\n{messages[0].text}".strip()[:4000]
                reply = self._wire.post(f"{self._root}/bot{token}/sendMessage", body)
        except Lost as lost:
            return Answer(Fate.FAILED, taken, f"Telegram {lost}")
        return read(reply, taken, batch.address, self._pace)

    def find_chats(self, token: str) -> tuple[Chat, ...]:
        """Who has written to the bot lately, newest first. Asked once by hand while a destination is set up, never in a request of the web.
        Raises NotFound."""
        try:
            checked = check_token(token)
        except ValueError as error:
            raise NotFound(f"This {error}") from None
        try:
            reply = self._wire.post(
                f"{self._root}/bot{checked}/getUpdates", {"timeout": 0, "allowed_updates": ["message", "my_chat_member"]}
            )
        except Lost as lost:
            raise NotFound(f"Telegram {lost}") from None
        if reply.status == 409:
            raise NotFound("This bot sends what it hears to another program (a webhook is set): enter the chat's number by hand")
        if reply.status in (401, 404):
            raise NotFound("Telegram does not know this token")
        found = reply.body.get("result")
        if reply.status != 200 or not isinstance(found, list):
            raise NotFound(f"Telegram did not tell (HTTP {reply.status})")
        chats: dict[str, Chat] = {}
        for update in reversed(found):
            if (chat := _chat(update)) is not None:
                chats.setdefault(chat.chat, chat)
        return tuple(chats.values())

    def tidy(self) -> None:
        """Nothing: a provider closes what it no longer wants, and the next request opens a new connection."""

    def close(self) -> None:
        self._wire.close()


def read(reply: Reply, taken: int, address: Mapping[str, str], pace: float = 0.0) -> Answer:
    """What the Bot API's answer means."""
    status, body = reply.status, reply.body
    said = str(body.get("description", "")).lower()
    more = body.get("parameters")
    more = more if isinstance(more, dict) else {}
    if status == 200 and body.get("ok") is True:
        result = body.get("result")
        return Answer(Fate.ACCEPTED, taken, provider_id=str(result.get("message_id", "")) if isinstance(result, dict) else "", wait=pace)
    if status == 429:
        wait = seconds(more.get("retry_after"), reply.headers.get("retry-after")) or 1.0
        return Answer(Fate.LIMITED, taken, f"Telegram asks to wait {wait:.0f} s", wait=wait)
    if isinstance(chat := more.get("migrate_to_chat_id"), int):
        return Answer(Fate.MOVED, taken, "the group has a new number", address={**address, "chat": str(chat)})
    if status in (401, 404):
        return Answer(Fate.BAD_TARGET, taken, "Telegram does not know the bot's token any more: enter a new one")
    if status == 403 or any(words in said for words in _GONE):
        return Answer(Fate.BAD_TARGET, taken, "The bot may not write to this chat: start it there (/start) or add it again, then save this")
    if any(words in said for words in _NO_TOPIC):
        return Answer(Fate.BAD_TARGET, taken, "The topic of this chat is closed or gone: open it again or enter another, then save this")
    if 400 <= status < 500 and status != 408:
        return Answer(Fate.SPLIT if taken > 1 else Fate.BAD_MESSAGE, taken, f"Telegram does not accept the message (HTTP {status})")
    return Answer(Fate.FAILED, taken, f"Telegram has trouble of its own (HTTP {status})", wait=seconds(reply.headers.get("retry-after")))


def _markup(reply: Reply) -> bool:
    return reply.status == 400 and "parse" in str(reply.body.get("description", "")).lower()


def _chat(update: Any) -> Chat | None:
    if not isinstance(update, dict):
        return None
    for kind in ("message", "my_chat_member", "channel_post"):
        inner = update.get(kind)
        chat = inner.get("chat") if isinstance(inner, dict) else None
        if isinstance(chat, dict) and isinstance(chat.get("id"), int):
            name = str(
                chat.get("title") or " ".join(filter(None, (chat.get("first_name"), chat.get("last_name")))) or chat.get("username") or ""
            )
            return Chat(str(chat["id"]), name[:80], str(chat.get("type", "")))
    return None

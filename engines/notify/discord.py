"""Sends to a Discord webhook: one request with up to ten embeds, `wait=true` so that it is certain, and obedient to every limit it names.

The address is the secret. It is only ever built from a number and a token that fit the pattern, for a host of Discord's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from engines.core.messages import Message
from engines.notify.answers import Answer, Fate
from engines.notify.outbox import Batch
from engines.notify.render_discord import EMBEDS, payload, plain
from engines.notify.wire import Lost, Reply, Wire, seconds

ROOT = "https://discord.com"
HOSTS = frozenset({"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"})
_PATH = re.compile(r"/api(?:/v\d{1,2})?/webhooks/(\d{5,25})/([A-Za-z0-9_-]{20,120})/?")
_THREAD = re.compile(r"thread_id=(\d{5,25})")
_FORUM = 220001  # the webhook is of a forum channel, where a message needs a thread
_LONGEST = 1.0  # seconds to wait where a provider says "too fast" and not how long


def check_url(url: str, root: str = ROOT) -> str:
    """The webhook's address in its one form. ValueError, in words for a person, for anything that is not one: this server calls nothing else.
    With another `root` (an emulator, a proxy) addresses that begin with it are good as well."""
    text = url.strip()
    parts = urlsplit(text)
    ours = root.rstrip("/")
    at_root = ours != ROOT and text.startswith(f"{ours}/")
    try:
        known = parts.scheme == "https" and parts.hostname in HOSTS and parts.port in (None, 443) and "@" not in parts.netloc
    except ValueError:
        known = False
    path = text.removeprefix(ours).partition("?")[0].partition("#")[0] if at_root else parts.path
    match = _PATH.fullmatch(path) if known or at_root else None
    if match is None:
        raise ValueError(
            "is not the address of a Discord webhook (https://discord.com/api/webhooks/…): copy it from the channel's settings"
        )
    thread = _THREAD.fullmatch(parts.query)
    if parts.query and thread is None:
        raise ValueError("has something behind the token that does not belong there")
    host = ours if at_root else f"https://{parts.hostname}"
    return f"{host}/api/webhooks/{match[1]}/{match[2]}" + (f"?thread_id={thread[1]}" if thread else "")


class Discord:
    """Implements engines.notify.answers.Sender. `address`: {"url": a webhook's address}."""

    most = EMBEDS

    def __init__(self, wire: Wire, root: str = ROOT) -> None:
        self._wire = wire
        self._root = root.rstrip("/")

    def send(self, batch: Batch) -> Answer:
        messages = [item.what for item in batch.items if isinstance(item.what, Message)]
        try:
            url = self._url(check_url(batch.address.get("url", ""), self._root))
        except ValueError:
            return Answer(Fate.BAD_TARGET, len(batch.items), "the address is not one of a Discord webhook: enter it again")
        body, taken = payload(messages)
        try:
            reply = self._wire.post(url, body)
            if reply.status == 400 and taken == 1:
                reply = self._wire.post(url, plain(messages[0]))
        except Lost as lost:
            return Answer(Fate.FAILED, taken, f"Discord {lost}")
        return read(reply, taken)

    def tidy(self) -> None:
        """Nothing: a provider closes what it no longer wants, and the next request opens a new connection."""

    def close(self) -> None:
        self._wire.close()

    def _url(self, url: str) -> str:
        """With another root (an emulator, a proxy) everything goes there, whatever host it was written with."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}&wait=true" if parts.query else f"{parts.path}?wait=true"
        if self._root == ROOT:
            return f"https://{parts.hostname}{path}"
        return f"{self._root}{path[path.index('/api') :]}"


def read(reply: Reply, taken: int) -> Answer:
    """What Discord's answer means (its documentation of rate limits and error codes)."""
    status, headers, body = reply.status, reply.headers, reply.body
    used_up = seconds(headers.get("x-ratelimit-reset-after")) if headers.get("x-ratelimit-remaining") == "0" else 0.0
    if 200 <= status < 300:
        return Answer(Fate.ACCEPTED, taken, provider_id=str(body.get("id", "")), wait=used_up)
    if status == 429:
        wait = seconds(body.get("retry_after"), headers.get("retry-after")) or _LONGEST
        wide = body.get("global") is True or headers.get("x-ratelimit-scope") == "global"
        return Answer(Fate.LIMITED, taken, f"Discord asks to wait {wait:.0f} s", wait=wait, wide=wide)
    if status in (401, 403):
        return Answer(Fate.BAD_TARGET, taken, f"Discord refuses the webhook (HTTP {status}): make a new one and enter its address")
    if status == 404:
        return Answer(Fate.BAD_TARGET, taken, "Discord knows no such webhook: it was deleted there; make a new one and enter its address")
    if status == 400 and body.get("code") == _FORUM:
        return Answer(
            Fate.BAD_TARGET, taken, "This is a forum channel: put ?thread_id= and the number of one of its posts behind the address"
        )
    if status == 400:
        return Answer(
            Fate.SPLIT if taken > 1 else Fate.BAD_MESSAGE, taken, f"Discord does not accept the message{_code(body)}", wait=used_up
        )
    if 300 <= status < 400:
        return Answer(Fate.FAILED, taken, f"Discord sent us elsewhere (HTTP {status}), where we do not go")
    if status == 408 or status >= 500:
        return Answer(Fate.FAILED, taken, f"Discord has trouble of its own (HTTP {status})", wait=seconds(headers.get("retry-after")))
    return Answer(Fate.SPLIT if taken > 1 else Fate.BAD_MESSAGE, taken, f"Discord does not accept the message (HTTP {status})")


def _code(body: Mapping[str, Any]) -> str:
    code = body.get("code")
    return f" (code {code})" if isinstance(code, int) else ""

"""Who has signed in at the emulated SmartAPI: tokens in the shape of the real ones, what they open, and when they end.

It knows accounts by name only; whether PIN and code were right is the log-in's business.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from engines.core.model import Timestamp
from tests.emulators.smartapi.answers import IST_SECONDS

DAY = 86_400


@dataclass(frozen=True, slots=True)
class SignIn:
    account: str
    jwt: str
    refresh: str
    feed: str
    ends_at: Timestamp


def next_midnight(now: Timestamp) -> Timestamp:
    """The next 00:00 in India."""
    return (int(now + IST_SECONDS) // DAY + 1) * DAY - IST_SECONDS


class SignIns:
    """All of them, also those that are over: a token of an ended one still says whose it was."""

    def __init__(self, now: Callable[[], Timestamp], rng: Random, *, single: bool = True, seconds: float | None = None) -> None:
        self._now = now
        self._rng = rng
        self.single = single
        self.seconds = seconds  # None: until midnight
        self._valid: dict[str, SignIn] = {}  # by jwt
        self._owner: dict[str, str] = {}  # every token there ever was

    def begin(self, account: str) -> SignIn:
        if self.single:
            self.end(account)
        now = self._now()
        ends = next_midnight(now) if self.seconds is None else now + self.seconds
        made = SignIn(account, *(self._token(account, use, ends) for use in ("trade", "refresh", "feed")), ends)
        self._valid[made.jwt] = made
        for token in (made.jwt, made.refresh, made.feed):
            self._owner[token] = account
        return made

    def end(self, account: str) -> None:
        self._valid = {jwt: x for jwt, x in self._valid.items() if x.account != account}

    def owner(self, token: str) -> str | None:
        return self._owner.get(token)

    def valid(self, jwt: str) -> SignIn | None:
        """The sign-in of a token that still holds."""
        found = self._valid.get(jwt)
        return found if found is not None and self._now() < found.ends_at else None

    def expired(self, jwt: str) -> bool:
        """Known, never ended by anybody, but its time is up."""
        found = self._valid.get(jwt)
        return found is not None and self._now() >= found.ends_at

    def refreshable(self, account: str, refresh: str) -> bool:
        return any(x.refresh == refresh for x in self._valid.values() if x.account == account)

    def feeds(self, account: str) -> set[str]:
        return {x.feed for x in self._valid.values() if x.account == account and self._now() < x.ends_at}

    def _token(self, account: str, use: str, ends: Timestamp) -> str:
        said = {"username": account, "use": use, "exp": int(ends), "iat": int(self._now()), "jti": f"{self._rng.getrandbits(64):x}"}
        signature = self._rng.randbytes(64)
        return ".".join(_part(x) for x in (b'{"alg":"HS512"}', json.dumps(said, separators=(",", ":")).encode(), signature))


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

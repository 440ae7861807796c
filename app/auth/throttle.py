"""Slows down guessing and asking: at most so many times in a sliding window for each key, kept in memory.

A try is booked before it is looked at, or many at once would all be looked at, and given back when it was right, so that people who know their
password never wait. It knows nothing of users or requests.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from itertools import islice

from app.data.mailboxes import email_key
from engines.ports import Clock

MOST_KEYS = 10_000
HASHING = threading.BoundedSemaphore(2)
"""A password's hash takes 64 MiB and a fifth of a second of a core: a flood of them must not starve the order path."""


class Throttle:
    def __init__(self, clock: Clock, *, most: int, window: float) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._lock = threading.RLock()
        self._failures: dict[str, deque[float]] = {}

    def wait(self, key: str) -> float:
        """Seconds until the next try is allowed; 0: now."""
        now = self._clock.monotonic()
        with self._lock:
            failures = self._failures.get(key)
            if not failures:
                return 0.0
            while failures and failures[0] <= now - self._window:
                failures.popleft()
            return failures[0] + self._window - now if len(failures) >= self._most else 0.0

    def book(self, key: str) -> float:
        """Counts one more try, in one go with the question whether there is room: as `wait`, and what has to wait does not count."""
        now = self._clock.monotonic()
        with self._lock:
            if (after := self.wait(key)) > 0:
                return after
            if len(self._failures) >= MOST_KEYS and key not in self._failures:
                self._forget_old(now)
            self._failures.setdefault(key, deque(maxlen=self._most)).append(now)
            return 0.0

    def give_back(self, key: str) -> None:
        """A try that was booked was none: the newest no longer counts."""
        with self._lock:
            if len(self._failures.get(key, ())) > 1:
                self._failures[key].pop()
            else:
                self._failures.pop(key, None)

    def succeeded(self, key: str) -> None:
        with self._lock:
            self._failures.pop(key, None)

    def _forget_old(self, now: float) -> None:
        keep = {k: v for k, v in self._failures.items() if v and v[-1] > now - self._window}
        surplus = max(0, len(keep) - MOST_KEYS * 9 // 10)  # under attack from everywhere the longest known go first, a tenth at a time
        self._failures = dict(islice(keep.items(), surplus, None))


class Guards:
    """The throttles of one application, by who is guessed at and by the address that guesses.

    `pair`: an address guessing at one person; `pairs`: the same, for longer, so that no single address uses up what everybody together may guess at them;
    `address`: at anybody; `mail`: one person from everywhere at once; `asked`: sign-ups and forgotten passwords of an address, each kind by itself. An
    e-mail is one however it is spelt, as where people are found by it. Whoever is signed in is asked under a name of their own: strangers at the door
    cannot keep them from what asks for their password.
    """

    def __init__(self, clock: Clock) -> None:
        self.pair = Throttle(clock, most=5, window=60)
        self.pairs = Throttle(clock, most=15, window=600)
        self.address = Throttle(clock, most=20, window=60)
        self.mail = Throttle(clock, most=50, window=600)
        self.asked = Throttle(clock, most=10, window=3600)
        self._booking = threading.Lock()

    def book(self, email: str, address: str) -> float:
        """A password is about to be looked at: it counts for all of them, or for none where one of them has to wait."""
        return self._book((self.address, _near(address)), *self._at(email_key(email), address))

    def book_own(self, user_id: str, address: str) -> float:
        """The same of somebody who is signed in."""
        return self._book(*self._at(_own(user_id), address))

    def _at(self, who: str, address: str) -> tuple[tuple[Throttle, str], ...]:
        pair = f"{who}|{_near(address)}"
        return (self.pair, pair), (self.pairs, pair), (self.mail, who)

    def _book(self, *keys: tuple[Throttle, str]) -> float:
        with self._booking:
            after = max(throttle.wait(key) for throttle, key in keys)
            return after if after > 0 else max(throttle.book(key) for throttle, key in keys)

    def succeeded(self, email: str, address: str) -> None:
        """What was booked was right."""
        self._right(email_key(email), address)
        self.address.give_back(_near(address))

    def own_succeeded(self, user_id: str, address: str) -> None:
        self._right(_own(user_id), address)

    def own_failed(self, email: str, address: str) -> None:
        """Whoever guesses while signed in has no tries more at the door, from where they are."""
        pair = f"{email_key(email)}|{_near(address)}"
        for throttle, key in ((self.pair, pair), (self.pairs, pair), (self.address, _near(address))):
            throttle.book(key)

    def _right(self, who: str, address: str) -> None:
        pair = f"{who}|{_near(address)}"
        self.pair.succeeded(pair)
        self.pairs.succeeded(pair)
        self.mail.give_back(who)

    def forgiven(self, email: str, address: str) -> None:
        """Somebody has shown that the e-mail is theirs."""
        for throttle, key in self._at(email_key(email), address):
            throttle.succeeded(key)

    def ask(self, what: str, address: str) -> float:
        """Counts one more request of this kind; seconds to wait when there were too many, and then it does not count."""
        return self.asked.book(f"{what}|{_near(address)}")


def _own(user_id: str) -> str:
    return f" {user_id}"  # no e-mail begins with a space once it is folded


def _near(address: str) -> str:
    """Whoever has one IPv6 address has a whole /64 of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(getattr(found, "ipv4_mapped", found))

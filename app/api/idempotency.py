"""`Idempotency-Key`: the second of two equal requests gets the first one's answer, also after a restart, and nothing is done twice.

Only what was done is remembered: a request that was refused changed nothing and may be corrected under the same key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flask import Flask, Response, current_app, g, request

from app.data import StoredAnswer, User
from app.problems import Problem, field_problem, response
from app.workspace import workspace
from engines.ports import JournalDown

EXTENSION = "tandem_repeats"
MOST_KEY = 255
PATIENCE = 35.0
"""Seconds a repeat waits for the first of its key; longer than the longest wait_ms."""
_SHOWN = "This was done already. What it showed is shown once and kept nowhere: ask for a new one if it was lost."


class Repeats:
    """Lets the second of two equal requests that arrive together wait for the first, in place of refusing it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working: dict[tuple[str, str, str], threading.Event] = {}

    @contextmanager
    def turn(self, name: tuple[str, str, str]) -> Iterator[None]:
        mine = threading.Event()
        while (other := self._enter(name, mine)) is not None:
            if not other.wait(PATIENCE):
                break  # the data service will say that the first is still at work
        try:
            yield
        finally:
            with self._lock:
                if self._working.get(name) is mine:
                    del self._working[name]
            mine.set()

    def _enter(self, name: tuple[str, str, str], mine: threading.Event) -> threading.Event | None:
        """Takes the place of this name; who holds it already, else None."""
        with self._lock:
            return None if (held := self._working.setdefault(name, mine)) is mine else held


def init_app(app: Flask) -> None:
    app.extensions[EXTENSION] = Repeats()


def answer_once(
    user: User,
    key: str,
    said: dict[str, Any],
    do: Callable[[], Response],
    *,
    always: bool = False,
    secret: bool = False,
    sealed: bool = False,
) -> Response:
    """`always`: do it also while keys cannot be kept, because stopping twice harms nobody and not stopping does. `secret`: what
    was answered is not kept, and a repeat is told so. `sealed`: it is kept encrypted."""
    if not 1 <= len(key) <= MOST_KEY or not key.isascii() or not key.isprintable():
        raise field_problem("Idempotency-Key", f"must be 1 to {MOST_KEY} visible characters")
    route = f"{request.method} {request.full_path.rstrip('?')}"
    repeats: Repeats = current_app.extensions[EXTENSION]
    with repeats.turn((user.user_id, route, key)):
        try:
            stored = workspace().data.idempotency.begin(user.user_id, route, key, _fingerprint(said))
        except JournalDown:
            if always:
                return do()
            raise
        return _answer(user, route, key, stored, do, secret, sealed)


def _fingerprint(said: dict[str, Any]) -> bytes:
    """Tells one body from another, and nothing else about it to whoever reads the database: there may be a password in it."""
    secret = current_app.config["SECRET_KEY"]
    text = json.dumps(said, sort_keys=True, default=str).encode()
    return hmac.digest(secret if isinstance(secret, bytes) else str(secret).encode(), text, "sha256")


def _answer(
    user: User, route: str, key: str, stored: StoredAnswer | None, do: Callable[[], Response], secret: bool, sealed: bool
) -> Response:
    kept = workspace().data.idempotency
    if stored is not None:
        answer = Response(stored.body, stored.status, headers=dict(stored.headers))
        answer.headers["Idempotency-Replayed"] = "true"
        return answer
    g.idempotency_name = hashlib.sha256(f"{route}\n{key}".encode()).hexdigest()[:40]
    try:
        answer = do()
    except BaseException:
        with suppress(JournalDown):  # then the key stays taken until the next start
            kept.abandon(user.user_id, route, key)
        raise
    with suppress(JournalDown):  # it was done: that is the answer, remembered or not
        again = response(Problem(409, _SHOWN)) if secret else answer
        kept.finish(
            user.user_id,
            route,
            key,
            StoredAnswer(again.status_code, again.get_data(as_text=True), {"Content-Type": again.mimetype or ""}),
            sealed=sealed,
        )
    return answer


def derived_name() -> str | None:
    """A signal id that is the same for every try under the same key, so that even a crash between doing and remembering sends nothing twice."""
    name = g.get("idempotency_name")
    return f"idem-{name}" if name else None

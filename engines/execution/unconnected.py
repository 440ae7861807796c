"""Stands in for a client of a broker that cannot be made (wrong keys, a kind nobody knows): whatever waits for the account waits in a lane like any
other, a stop finds it, and nothing is lost until a person has put it right."""

from __future__ import annotations

from typing import NoReturn

from engines.ports import BrokerTraits, Retry


class Unconnected:
    def __init__(self, why: str, again_at: float | None = None, tries: int = 0) -> None:
        """`again_at`: when it is to be tried again (monotonic); None: a person must put it right. `tries`: how often it has been tried again."""
        self.why, self.again_at, self.tries = why, again_at, tries
        self.traits = BrokerTraits()
        self.session_expires_at = None

    def stream_key(self) -> None:
        return None

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _no(self, *_: object, **__: object) -> NoReturn:
        raise Retry(self.why)

    connect = place = cancel = modify = order_book = positions = balance = profile = holdings = trades = keep_alive = _no

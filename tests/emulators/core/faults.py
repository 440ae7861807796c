"""What can go wrong between us and a broker, by name, and the switchboard that makes it go wrong when a test asks.

A fault is armed for an account (or all) and a call and is used up after so many times. It never happens by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    # what becomes of one request
    LOST = "lost"  # read, nothing booked, closed without an answer
    BOOKED_NO_ANSWER = "booked_no_answer"  # booked, then silence until the client gives up (or `seconds`)
    BOOKED_THEN_RESET = "booked_then_reset"
    TIMED_OUT_BOOKED_LATER = "timed_out_booked_later"  # an answer that says "timed out", and the order `seconds` later
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR_HTML = "server_error_html"  # 502 with a gateway's page, not booked
    SERVER_ERROR_BOOKED = "server_error_booked"  # 503 in the broker's own shape, booked
    MALFORMED_JSON = "malformed_json"  # booked, the body breaks off
    EMPTY_ORDER_BOOK = "empty_order_book"  # 200 and nothing in it
    BOOK_FAILS = "book_fails"  # 500 on the order book
    SLOW = "slow"  # all is well, `seconds` later
    SESSION_ENDS = "session_ends"  # the session is over as this request arrives
    CLOCK_SKEW = "clock_skew"  # Binance -1021
    # what becomes of one order
    REJECTED_LATER = "rejected_later"  # accepted, and rejected `seconds` later
    PARTIAL_FILLS = "partial_fills"  # a random part of its lots at each tick
    STUCK = "stuck"  # received, and only `seconds` later at the exchange
    # what becomes of order pushes
    LATE_UPDATES = "late_updates"
    REPEATED_UPDATES = "repeated_updates"
    SHUFFLED_UPDATES = "shuffled_updates"  # kept together for `seconds`, then sent in another order
    NO_UPDATES = "no_updates"
    EARLY_UPDATES = "early_updates"  # pushed before the request that caused them is answered


PUSH_FAULTS = frozenset({Fault.LATE_UPDATES, Fault.REPEATED_UPDATES, Fault.SHUFFLED_UPDATES, Fault.NO_UPDATES, Fault.EARLY_UPDATES})
ORDER_FAULTS = frozenset({Fault.REJECTED_LATER, Fault.PARTIAL_FILLS, Fault.STUCK})
BOOK_FAULTS = frozenset({Fault.EMPTY_ORDER_BOOK, Fault.BOOK_FAILS})
REQUEST_FAULTS = frozenset(Fault) - PUSH_FAULTS - ORDER_FAULTS
NOT_BOOKED = frozenset({Fault.LOST, Fault.RATE_LIMITED, Fault.SERVER_ERROR_HTML, Fault.CLOCK_SKEW})
"""Of the faults of a write, those after which the broker has nothing."""


@dataclass(slots=True)
class Armed:
    fault: Fault
    account: str | None  # None: any
    on: str  # the call, "push" for pushes
    times: int
    seconds: float = 0.0


class Switchboard:
    """The faults that wait to be used, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []

    def arm(self, armed: Armed) -> None:
        if armed.fault in BOOK_FAULTS:
            armed.on = "orders"
        elif armed.fault in PUSH_FAULTS:
            armed.on = "push"
        self._armed.append(armed)

    def take(self, account: str | None, on: str, among: frozenset[Fault]) -> Armed | None:
        """The first fault that fits, one use of it gone."""
        if not self._armed:
            return None
        for armed in self._fitting(account, on, among):
            armed.times -= 1
            if armed.times <= 0:
                self._armed.remove(armed)
            return armed
        return None

    def _fitting(self, account: str | None, on: str, among: frozenset[Fault]) -> Iterator[Armed]:
        return (x for x in self._armed if x.fault in among and x.on in (on, "any") and (x.account is None or x.account == account))

    def clear(self) -> None:
        self._armed.clear()

    def waiting(self) -> list[Armed]:
        return list(self._armed)

"""What an answer of Binance means for whoever asked, from one readable table: the numeric code first, the HTTP status second, the words last.

Whatever proves nothing about a write is `Unknown`. Nothing here knows a key, a signature or an address: only Binance's own words are passed on, cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from engines.ports import NeedsLogin, Refused, Retry, TandemError, Unknown

Call = Literal["place", "cancel", "modify", "read", "login"]
_WORDS = 160


class Answer(Exception):
    """Binance said no: its status, its code (None where the body had none) and its words. Sorted by `classify` before anybody else sees it."""

    def __init__(self, status: int, code: int | None, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}, code {code}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Means(StrEnum):
    REFUSED = "refused"  # executed nothing and never will
    UNKNOWN = "unknown"  # a write may have been booked
    WAIT = "wait"  # nothing was booked; later it may go through
    KEY = "key"  # the key is not accepted
    EXISTS = "exists"  # an order of this name is there: ask for it
    DONE = "done"  # there was nothing to change


@dataclass(frozen=True, slots=True)
class Row:
    means: Means
    words: str = ""  # ours, in front of Binance's; empty: only Binance's
    after: float = 1.0


CLOCK, DUPLICATE, SPOT_REJECT, NO_SUCH_ORDER, CANCEL_REJECTED, MODE = -1021, -4116, -2010, -2013, -2011, -4061
NOTHING_TO_REDUCE, OPEN_ORDERS, OPEN_POSITION, FILTER = -2022, -4047, -4048, -1013

_M = Means
TABLE: dict[int, Row] = {
    # nobody can say
    -1000: Row(_M.UNKNOWN),
    -1001: Row(_M.UNKNOWN),
    -1006: Row(_M.UNKNOWN),
    -1007: Row(_M.UNKNOWN),
    # later
    -1003: Row(_M.WAIT, "Binance's request limit for this address is used up", 30.0),
    -1008: Row(_M.WAIT, "Binance is overloaded and took nothing", 0.5),
    -1015: Row(_M.WAIT, "Binance's order limit for this account is used up", 10.0),
    -1016: Row(_M.WAIT, "Binance is shutting this service down", 5.0),
    CLOCK: Row(_M.WAIT, "this machine's clock and Binance's differ: set the clock by NTP", 1.0),
    -1034: Row(_M.WAIT, "too many connections to Binance", 10.0),
    # the key
    -1002: Row(_M.KEY, "this key may not do that at Binance"),
    -1022: Row(_M.KEY, "the secret does not belong to this API key"),
    -2014: Row(_M.KEY, "this is not a Binance API key"),
    -2015: Row(
        _M.KEY,
        "Binance does not accept this key from this address: it is wrong, deleted, limited to other addresses, or lacks the permission",
    ),
    -2017: Row(_M.KEY, "the API key is locked at Binance"),
    # the order
    FILTER: Row(_M.REFUSED),
    -1111: Row(_M.REFUSED, "more decimals than Binance takes"),
    -1116: Row(_M.REFUSED, "Binance does not take this kind of order here"),
    -1121: Row(_M.REFUSED, "Binance does not list this symbol"),
    SPOT_REJECT: Row(_M.REFUSED),
    CANCEL_REJECTED: Row(_M.REFUSED, "Binance no longer has this order open"),
    NO_SUCH_ORDER: Row(_M.REFUSED, "Binance does not know this order"),
    -2018: Row(_M.REFUSED, "not enough balance"),
    -2019: Row(_M.REFUSED, "not enough margin"),
    -2021: Row(_M.REFUSED, "the trigger price has already been passed"),
    NOTHING_TO_REDUCE: Row(_M.REFUSED, "there is no position left to reduce"),
    -2024: Row(_M.REFUSED, "the position is smaller than that"),
    -2025: Row(_M.REFUSED, "too many open orders"),
    -2026: Row(_M.REFUSED, "Binance has archived this order"),
    -2027: Row(_M.REFUSED, "the position would be larger than the leverage allows"),
    -2028: Row(_M.REFUSED, "the balance is too small for this leverage"),
    -4028: Row(_M.REFUSED, "Binance does not allow this leverage for the symbol"),
    OPEN_ORDERS: Row(_M.REFUSED, "open orders keep the margin mode as it is"),
    OPEN_POSITION: Row(_M.REFUSED, "an open position keeps the margin mode as it is"),
    MODE: Row(_M.REFUSED, "the position mode at Binance was changed"),
    -4067: Row(_M.REFUSED, "open orders keep the position mode as it is"),
    -4068: Row(_M.REFUSED, "an open position keeps the position mode as it is"),
    -4120: Row(_M.REFUSED, "conditional orders go another way at Binance"),
    -4131: Row(_M.REFUSED, "the market is too far from Binance's reference price"),
    -4164: Row(_M.REFUSED, "the order is worth less than Binance's minimum"),
    -4400: Row(_M.REFUSED, "Binance lets this account only reduce positions"),
    -4401: Row(_M.REFUSED, "Binance lets this account only reduce positions"),
    -4402: Row(_M.REFUSED, "Binance lets this account only reduce positions"),
    -4403: Row(_M.REFUSED, "Binance lets this account only reduce positions"),
    # not errors
    -4046: Row(_M.DONE),
    -4059: Row(_M.DONE),
    DUPLICATE: Row(_M.EXISTS),
}

_SPOT_DUPLICATE = "duplicate order"
_NOT_EXECUTED_503 = "service unavailable."  # futures: said only when the request was turned away at the door


def meaning(call: Call, status: int | None, code: int | None, message: str) -> Row:
    """The row for an answer; codes and statuses that are in no table fall to what they prove."""
    said = message.strip().lower()
    if status in (418, 429):
        return Row(_M.WAIT, "Binance asks this address to wait", 120.0 if status == 418 else 30.0)
    if code == SPOT_REJECT and said.startswith(_SPOT_DUPLICATE):
        return Row(_M.EXISTS)
    if code in TABLE:
        row = TABLE[code]
        return Row(_M.WAIT) if row.means is _M.UNKNOWN and call in ("read", "login") else row
    if status == 401:
        return Row(_M.KEY, "Binance does not accept this key")
    if status == 451:
        return Row(_M.REFUSED, "Binance does not serve this machine's region")
    proves_refusal = status is not None and 400 <= status < 500 and status != 408 and code is not None and code < 0
    if proves_refusal:
        return Row(_M.REFUSED)
    if status == 503 and said == _NOT_EXECUTED_503:
        return Row(_M.WAIT, "Binance took nothing")
    if call in ("read", "login"):
        return Row(
            _M.WAIT, "Binance could not be read" if call == "read" else "Binance did not answer properly", 30.0 if status == 403 else 1.0
        )
    return Row(_M.UNKNOWN)


def classify(call: Call, status: int | None, code: int | None, message: str, sent: bool, retry_after: float | None = None) -> TandemError:
    """The error to raise. `sent` False: not a byte has left, so nothing can have been booked."""
    if not sent:
        return Retry("Binance could not be reached", retry_after or 0.5)
    row = meaning(call, status, code, message)
    words = _told(row.words, code, message)
    match row.means:
        case Means.KEY:
            return NeedsLogin(words)
        case Means.WAIT:
            return Retry(words, retry_after or row.after)
        case Means.REFUSED | Means.DONE:
            return Refused(words if row.words or call in ("read", "login") else f"Binance refused the {_THING[call]}: {words}")
        case _:
            return Unknown(f"Binance's answer proves nothing ({_shape(status, code)})")


_THING = {"place": "order", "cancel": "cancellation", "modify": "change", "read": "question", "login": "sign-in"}


def _told(ours: str, code: int | None, message: str) -> str:
    theirs = "" if "<" in message else " ".join(message.split())[:_WORDS]
    said = f"{theirs} ({code})" if theirs and code is not None else theirs or (f"code {code}" if code is not None else "")
    if not ours:
        return said or "without words"
    return f"{ours}; it says: {said}" if said else ours


def _shape(status: int | None, code: int | None) -> str:
    return f"HTTP {status}" + (f", code {code}" if code is not None else "")

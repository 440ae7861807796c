"""Whether an order book is whole, and which of its rows is an order whose answer was lost, where Angel One did not repeat the name we gave it.

No I/O, and careful: only a row that nobody else can be, and never once Angel One is known to repeat names, because then a row without one is somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engines.brokers.angelone.orders import Params
from engines.brokers.angelone.rows import Row, moment, text, whole
from engines.core.model import Timestamp
from engines.core.prices import exact
from engines.core.sessions import session_day
from engines.ports import Retry

CLOCKS_DIFFER = 3.0
"""Seconds by which Angel One's clock may be behind ours; its times are whole seconds."""

BOOK_LAGS = 5.0
"""Seconds after its acceptance from which an order must be in the book."""
_OURS = re.compile(r"[0-9A-Z]{18}")


class BookCheck:
    """An order that the book has shown today is in every later book of today; a book without it is a failed read, not news."""

    def __init__(self) -> None:
        self._day = ""
        self._shown: set[str] = set()
        self._placed_at: Timestamp | None = None

    def placed(self, at: Timestamp) -> None:
        """An order was accepted."""
        self._turn(at)
        self._placed_at = self._placed_at or at

    def check(self, rows: Sequence[Row], now: Timestamp) -> None:
        """Raises Retry for a book that lacks what it must hold."""
        self._turn(now)
        ids = {text(row, "orderid") for row in rows}
        if self._shown - ids:
            raise Retry("Angel One's order book lacks orders that it has shown before", after=1.0)
        if not ids and self._placed_at is not None and now - self._placed_at > BOOK_LAGS:
            raise Retry("Angel One's order book is empty although orders were accepted today", after=1.0)
        self._shown |= {text(row, "orderid") for row in rows if self._of_today(row)}

    def _turn(self, now: Timestamp) -> None:
        day = session_day(now, "NSE")
        if day != self._day:
            self._day, self._shown, self._placed_at = day, set(), None

    def _of_today(self, row: Row) -> bool:
        at = moment(row.get("updatetime"))
        return at is not None and session_day(at, "NSE") == self._day


@dataclass(frozen=True, slots=True)
class Lost:
    """An order that left and was not answered: what was sent, and when."""

    client_id: str
    params: Params
    sent_at: Timestamp


def repeats_names(rows: Sequence[Row]) -> bool:
    """Whether any row carries a name of the kind that we give."""
    return any(_OURS.fullmatch(text(row, "ordertag")) for row in rows)


def adopt(rows: Sequence[Row], lost: Sequence[Lost], known: Collection[str]) -> Mapping[str, str]:
    """broker order id → client id, for each lost order that exactly one nameless row can be, and which is the only one that this row can be.
    `known`: broker ids of orders whose names we know."""
    nameless = [row for row in rows if not text(row, "ordertag") and text(row, "orderid") not in known]
    fits = [(order, {text(row, "orderid") for row in nameless if _same(row, order)}) for order in lost]
    sole = {next(iter(ids)): order.client_id for order, ids in fits if len(ids) == 1}
    return {found: name for found, name in sole.items() if sum(found in ids for _, ids in fits) == 1}


def _same(row: Row, order: Lost) -> bool:
    sent = order.params
    words = ("exchange", "symboltoken", "transactiontype", "producttype", "ordertype")
    if any(text(row, name).upper() != sent[name].upper() for name in words):
        return False
    if whole(row.get("quantity")) != exact(sent["quantity"]) or whole(row.get("price")) != exact(sent["price"]):
        return False
    at = moment(row.get("updatetime")) or moment(row.get("exchtime"))
    return at is None or at >= order.sent_at - CLOCKS_DIFFER

"""The orders that this account has placed at Binance, by the names we gave them: who must be asked for, and which of Binance's orders are one of ours.

Binance shows no day's book: an order that is not open is found only by asking for it. One order of ours may be several of Binance's in a row (a
conditional order that triggered, an order that was replaced to change it); they are told as one. Nothing here sends or decides.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from decimal import Decimal

from engines.brokers.binance.rows import AlgoRow, Market, OrderRow, canonical
from engines.core.model import FINAL_STATES, ZERO, OrderState, Side
from engines.ports import BrokerFill, OrderReport

KEPT = 4000
SHOWN = 500
DOUBT_LASTS = 900.0
"""Seconds for which an order whose fate was never learned is asked for: far longer than the engine waits before it concludes."""
_NEXT = "-"
"""Between our name and the number of a replacement; our own names are letters and digits only."""


@dataclass(slots=True)
class Entry:
    """One order of ours. `name` is the id that we tell: Binance's first one, for good."""

    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    conditional: bool
    since: float  # monotonic
    name: str | None = None
    leg: int = 0  # how often it was replaced
    order_ids: dict[int, str] = field(default_factory=dict)  # leg → order id in the book
    filled: dict[int, Decimal] = field(default_factory=dict)  # leg → what Binance says has filled of it
    changing: bool = False
    doubted_at: float | None = None
    proven: bool = False  # a leg in doubt was seen
    last: OrderReport | None = None

    @property
    def leg_id(self) -> str:
        return self.client_id if self.leg == 0 else f"{self.client_id}{_NEXT}{self.leg}"

    @property
    def order_id(self) -> str | None:
        return self.order_ids.get(self.leg)

    @property
    def before(self) -> Decimal:
        """Filled by the legs that are over."""
        return sum((quantity for leg, quantity in self.filled.items() if leg < self.leg), ZERO)

    @property
    def ended(self) -> bool:
        return self.last is not None and self.last.state in FINAL_STATES and not self.changing


def base_of(client_id: str) -> tuple[str, int]:
    """Our name in a client id of Binance's, and which leg it is."""
    base, mark, number = client_id.partition(_NEXT)
    return (base, int(number)) if mark and number.isdigit() else (client_id, 0)


class Register:
    """For the lane, the update worker and the socket alike: from any thread."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._lock = threading.RLock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._by_order_id: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}
        self._symbols: OrderedDict[str, str] = OrderedDict()  # of orders that are not ours

    # --- our orders

    def expect(self, client_id: str, symbol: str, side: Side, quantity: Decimal, conditional: bool, now: float) -> Entry:
        """An order is about to leave, or was sent before this process began."""
        with self._lock:
            entry = self._entries.get(client_id)
            if entry is None:
                entry = self._entries[client_id] = Entry(client_id, symbol, side, quantity, conditional, now)
                self._trim()
            return entry

    def forget(self, client_id: str) -> None:
        """It was refused: nothing of it is at Binance."""
        with self._lock:
            entry = self._entries.get(client_id)
            if entry is not None and entry.name is None:
                del self._entries[client_id]

    def get(self, client_id: str) -> Entry | None:
        return self._entries.get(client_id)

    def named(self, broker_order_id: str) -> Entry | None:
        with self._lock:
            return self._entries.get(self._names.get(broker_order_id, ""))

    def open(self, now: float) -> list[Entry]:
        """Those that may still change: at work, or not yet known to exist."""
        with self._lock:
            return [e for e in self._entries.values() if not e.ended and (e.name is not None or now - e.since < DOUBT_LASTS)]

    def ended(self, since: float = 0.0) -> list[OrderReport]:
        """What became of those that have ended, the newest of them."""
        with self._lock:
            return [e.last for e in self._entries.values() if e.ended and e.last is not None and e.last.at >= since][-SHOWN:]

    def symbols(self) -> frozenset[str]:
        with self._lock:
            return frozenset(entry.symbol for entry in self._entries.values())

    # --- one order, several of Binance's in a row

    def change(self, entry: Entry) -> None:
        """It is being taken back to make way: until that is over nothing of it is told but its trades."""
        with self._lock:
            entry.changing = True

    def next_leg(self, entry: Entry, gone: OrderRow | None, now: float) -> Decimal:
        """The order as it was is over; what has filled of it so far."""
        with self._lock:
            if gone is not None:
                entry.filled[entry.leg] = max(entry.filled.get(entry.leg, ZERO), gone.filled)
            entry.leg, entry.proven, entry.doubted_at = entry.leg + 1, False, now
            return entry.before

    def settle_change(self, entry: Entry, *, placed: bool) -> None:
        """`placed` False: nothing has followed, and the order ends with the leg before."""
        with self._lock:
            entry.changing = False
            if not placed:
                entry.leg -= 1
                entry.doubted_at = None

    # --- what Binance tells

    def take(self, row: OrderRow, fill: BrokerFill | None = None) -> OrderReport | None:
        """A row as one of our orders tells it; None when it is not ours, or tells of a leg that is over."""
        fills = (fill,) if fill is not None else ()
        with self._lock:
            entry, leg = self._owner(row)
            if entry is None:
                return None
            self._name(entry, row.order_id)
            entry.order_ids[leg] = row.order_id
            entry.filled[leg] = max(entry.filled.get(leg, ZERO), row.filled)
            self._by_order_id[row.symbol, row.order_id] = entry.client_id
            if leg > entry.leg:  # a replacement made before this process began
                entry.leg, entry.proven = leg, True
            whole = leg == entry.leg
            if whole and leg:
                entry.proven = True
            if entry.changing or not whole:
                return self._told(entry, row, OrderState.OPEN, fills, ZERO) if fills else None
            report = self._told(entry, row, row.state, fills, entry.before + row.filled)
            entry.last = _further(entry.last, replace(report, fills=()))
            return report

    def take_algo(self, row: AlgoRow) -> OrderReport | None:
        """A conditional order's row; once it has become an order of the book only the end of that one counts."""
        with self._lock:
            base, leg = base_of(row.client_id)
            entry = self._entries.get(base)
            if entry is None:
                return None
            name = self._name(entry, row.algo_id)
            entry.leg = max(entry.leg, leg)
            if leg != entry.leg or entry.changing:
                return None
            entry.proven = True
            if row.order_id is not None:
                entry.order_ids[leg] = row.order_id
                self._by_order_id[row.symbol, row.order_id] = base
            if entry.order_id is not None:
                return None
            report = OrderReport(
                broker_order_id=name,
                state=row.state,
                client_id=base,
                symbol=canonical(row.symbol, self._market),
                side=row.side,
                quantity=row.quantity or entry.quantity,
                message=row.message,
                at=row.at,
            )
            entry.last = _further(entry.last, report)
            return report

    def stranger(self, row: OrderRow) -> OrderReport:
        """An order that somebody else placed, in Binance's own app for one."""
        with self._lock:
            self._symbols[row.order_id] = row.symbol
            if len(self._symbols) > KEPT:
                self._symbols.popitem(last=False)
        return OrderReport(
            broker_order_id=row.order_id,
            state=row.state,
            client_id=row.client_id,
            symbol=canonical(row.symbol, self._market),
            side=row.side,
            quantity=row.quantity,
            filled_quantity=row.filled,
            message=row.message,
            at=row.at,
        )

    def orders_behind(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """Symbol and ids of the orders in Binance's book that are this order of ours (or somebody else's)."""
        with self._lock:
            entry = self._entries.get(self._names.get(name, ""))
            if entry is not None:
                return entry.symbol, tuple(dict.fromkeys(entry.order_ids.values()))
            symbol = self._symbols.get(name)
            return None if symbol is None else (symbol, (name,))

    def name_of(self, symbol: str, order_id: str) -> str:
        """Under which id we tell an order of Binance's book."""
        with self._lock:
            entry = self._entries.get(self._by_order_id.get((symbol, order_id), ""))
            return entry.name if entry is not None and entry.name is not None else order_id

    def may_become(self, symbol: str) -> bool:
        """Whether an order that we do not know may be one of our conditional orders, just triggered."""
        with self._lock:
            return any(e.symbol == symbol and e.conditional and not e.ended and e.order_id is None for e in self._entries.values())

    # --- inside (the lock is held)

    def _owner(self, row: OrderRow) -> tuple[Entry | None, int]:
        base, leg = base_of(row.client_id)
        entry = self._entries.get(base)
        if entry is not None and entry.symbol == row.symbol:
            return entry, leg
        entry = self._entries.get(self._by_order_id.get((row.symbol, row.order_id), ""))
        if entry is None:
            return None, 0
        return entry, next((number for number, order_id in entry.order_ids.items() if order_id == row.order_id), entry.leg)

    def _name(self, entry: Entry, broker_order_id: str) -> str:
        if entry.name is None:
            entry.name = broker_order_id
            self._names[broker_order_id] = entry.client_id
        return entry.name

    def _told(self, entry: Entry, row: OrderRow, state: OrderState, fills: tuple[BrokerFill, ...], filled: Decimal) -> OrderReport:
        return OrderReport(
            broker_order_id=entry.name or row.order_id,
            state=state,
            client_id=entry.client_id,
            symbol=canonical(row.symbol, self._market),
            side=row.side,
            quantity=entry.before + row.quantity,
            filled_quantity=filled,
            message=row.message,
            at=row.at,
            fills=fills,
        )

    def _trim(self) -> None:
        if len(self._entries) > KEPT:
            over = [client_id for client_id, entry in self._entries.items() if entry.ended][: len(self._entries) - KEPT + KEPT // 10]
            for client_id in over:
                entry = self._entries.pop(client_id)
                self._names.pop(entry.name or "", None)
                for order_id in entry.order_ids.values():
                    self._by_order_id.pop((entry.symbol, order_id), None)


def _further(before: OrderReport | None, now: OrderReport) -> OrderReport:
    """Rows overtake each other; what has filled or ended stays so."""
    if before is None:
        return now
    said = (before.filled_quantity, before.state in FINAL_STATES, before.at)
    return now if (now.filled_quantity, now.state in FINAL_STATES, now.at) >= said else before

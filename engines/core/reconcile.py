"""Reconciliation: our orders against one complete, healthy read of the broker's order book, and our positions against theirs.

What holds, and is tested in these words:
1. An order leaves unknown only by evidence: found in the book, or absent from two reads, both at least T seconds after the send.
2. The same read twice proves nothing: absence counts once for each read, and an order found in between starts anew.
3. An order that the broker has shown is never concluded from silence.
4. One name with two orders at the broker is told, never merged.
5. What the broker has and we do not know is told, never dropped.
6. A difference of positions is told with both numbers; equal books give no difference.
7. While the book holds a nameless order of nobody that looks like an unknown one of ours (instrument, side, quantity), the unknown one stays unknown.
8. A book of the whole day that lacks an order it has shown before is not complete, whatever its status said: its silence proves nothing.

Pure: it changes nothing and reads no clock. A failed read must not come here at all, because an empty book that may be a failure is not "flat".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from engines.core.model import FINAL_STATES, ZERO, Order, OrderState, Timestamp
from engines.core.orders import Report, from_report

R = TypeVar("R", bound=Report)

CLOCKS_DIFFER = 5.0
"""Seconds by which a broker's stamps may lie before ours."""
_AT_WORK = frozenset({OrderState.OPEN, OrderState.PARTLY_FILLED})
_NOT_AT_BROKER = FINAL_STATES | {OrderState.PLANNED}


@dataclass(frozen=True, slots=True)
class Reconciliation(Generic[R]):
    """What one read of the order book shows; each order of ours is in at most one of updates, not_placed, still_unknown and missing."""

    updates: tuple[tuple[Order, R], ...]
    """The broker knows more than we do: apply the report (fills first, then its event)."""
    not_placed: tuple[Order, ...]
    """Unknown orders, now proved never to have arrived."""
    still_unknown: tuple[Order, ...]
    """No evidence yet: ask again."""
    missing: tuple[Order, ...]
    """The broker has shown them before and does not now (a book that begins anew each day does that): a person or the session's end decides."""
    contradictions: tuple[tuple[Order, R], ...]
    """At work at the broker although final with us or never sent, and not just now: an order that must be cancelled there."""
    doubles: tuple[tuple[Order, tuple[R, ...]], ...]
    """More than one order at the broker under one name of ours."""
    strangers: tuple[R, ...]
    """Orders of nobody we were given: placed by hand in the broker's own app, or lost by us."""
    seen_absent: Mapping[str, Timestamp]
    """order_id → when it was first proved absent; hand it in with the next read."""


def reconcile(
    orders: Sequence[Order],
    reports: Sequence[R],
    now: Timestamp,
    absent_after: float,
    seen_absent: Mapping[str, Timestamp],
    book_since: Timestamp = 0.0,
    *,
    whole_day: bool = False,
) -> Reconciliation[R]:
    """Compare `orders` (live ones; with the settled ones of the session, contradictions are found and strangers are fewer) with a complete read.

    `now` is when the read began, `absent_after` is T in seconds, `seen_absent` what the read before gave. `book_since`: the book tells nothing of
    orders sent before then, so their absence proves nothing. `whole_day`: the book shows every order of the session until its end, settled ones too.
    """
    found, strangers = _match(orders, reports)
    complete = not (whole_day and any(_shown_before(order, book_since) and order.order_id not in found for order in orders))
    updates: list[tuple[Order, R]] = []
    not_placed: list[Order] = []
    still_unknown: list[Order] = []
    missing: list[Order] = []
    contradictions: list[tuple[Order, R]] = []
    absent: dict[str, Timestamp] = {}
    for order in orders:
        report = _ours(order, found.get(order.order_id, ()))
        if report is not None:
            if _is_news(order, report):
                updates.append((order, report))
            elif order.state in _NOT_AT_BROKER and report.state in _AT_WORK and now - order.updated_at >= absent_after:
                contradictions.append((order, report))
        elif order.state is OrderState.UNKNOWN:
            proves = complete and not any(_may_be(order, stranger) for stranger in strangers)
            since = _absent_since(order, now, absent_after, seen_absent, book_since) if proves else seen_absent.get(order.order_id)
            if proves and since is not None and since < now:
                not_placed.append(order)
                continue
            still_unknown.append(order)
            if since is not None:
                absent[order.order_id] = since
        elif order.state is OrderState.SENDING:
            still_unknown.append(order)
        elif order.state in _AT_WORK:
            missing.append(order)
    doubles = [(order, twins) for order in orders if len(twins := found.get(order.order_id, ())) > 1]
    return Reconciliation(
        updates=tuple(updates),
        not_placed=tuple(not_placed),
        still_unknown=tuple(still_unknown),
        missing=tuple(missing),
        contradictions=tuple(contradictions),
        doubles=tuple(doubles),
        strangers=strangers,
        seen_absent=absent,
    )


def _match(orders: Sequence[Order], reports: Iterable[R]) -> tuple[Mapping[str, tuple[R, ...]], tuple[R, ...]]:
    """Reports by our order id, one for each order at the broker, and those that are nobody's. The client id is the name that we gave; the broker's id
    serves where the broker does not repeat it."""
    by_client_id = {order.client_id: order for order in orders}
    by_broker_id = {order.broker_order_id: order for order in orders if order.broker_order_id is not None}
    found: dict[str, dict[str, R]] = {}
    strangers: dict[str, R] = {}
    for report in reports:
        order = by_client_id.get(report.client_id) if report.client_id is not None else None
        order = order or by_broker_id.get(report.broker_order_id)
        known = strangers if order is None else found.setdefault(order.order_id, {})
        before = known.get(report.broker_order_id)
        if before is None or _furtherness(report) >= _furtherness(before):
            known[report.broker_order_id] = report
    return {order_id: tuple(twins.values()) for order_id, twins in found.items()}, tuple(strangers.values())


def _shown_before(order: Order, book_since: Timestamp) -> bool:
    return order.broker_order_id is not None and order.created_at >= book_since


def _may_be(order: Order, report: Report) -> bool:
    """Some brokers lose the name that we gave an order: then only its looks are left."""
    looks = (report.symbol, report.side, report.quantity)
    return (
        not report.client_id
        and looks == (order.symbol, order.side, order.quantity)
        and (not report.at or report.at >= order.created_at - CLOCKS_DIFFER)
    )


def _furtherness(report: Report) -> tuple[Decimal, bool, Timestamp]:
    """A book may tell one order's life in several rows; the last of them is the one that counts."""
    return report.filled_quantity, report.state not in _AT_WORK, report.at


def _ours(order: Order, twins: Sequence[R]) -> R | None:
    """Of several orders under one name: the one that we know, else the one that the broker told first."""
    return next((twin for twin in twins if twin.broker_order_id == order.broker_order_id), twins[0] if twins else None)


def _is_news(order: Order, report: Report) -> bool:
    return from_report(order, report) is not None or report.filled_quantity > order.filled_quantity


def _absent_since(
    order: Order, now: Timestamp, absent_after: float, seen_absent: Mapping[str, Timestamp], book_since: Timestamp
) -> Timestamp | None:
    """When the order was first proved absent, this read included; None when this read proves nothing yet."""
    sent = order.updated_at if order.sent_at is None else order.sent_at  # sent, or lost before we could note when
    if now - sent < absent_after or sent < book_since:
        return None
    return min(seen_absent.get(order.order_id, now), now)  # a clock that jumped back makes this the first read again


# --- positions -------------------------------------------------------------------------------------------------------

Held = Mapping[str, Decimal]
"""symbol → signed quantity of one account, all products and strategies together; absent is zero."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A visible, named difference between the broker's books and ours, in signed quantities."""

    symbol: str
    ours: Decimal
    theirs: Decimal

    @property
    def less(self) -> bool:
        """The broker has less of what we hold, or holds the opposite: an exit of ours in full would open something."""
        return bool(self.ours) and (self.theirs * self.ours <= 0 or abs(self.theirs) < abs(self.ours))


def compare_positions(ours: Held, theirs: Held) -> tuple[Difference, ...]:
    """Every instrument in which the two disagree, by symbol; empty when the books are equal."""
    return tuple(
        Difference(symbol, ours.get(symbol, ZERO), theirs.get(symbol, ZERO))
        for symbol in sorted(ours.keys() | theirs.keys())
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO)
    )

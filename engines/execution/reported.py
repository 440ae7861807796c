"""From what a broker reports to fills of ours: named so that the same news is always the same fill, and charged from the dated tables.

Pure. A report may repeat what was told before, or tell only totals; nothing here is booked twice because of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from engines.core import charges as charge_rules
from engines.core.model import ZERO, Fill, Instrument, Order, Timestamp
from engines.core.reasons import MARKET_CHANGED
from engines.core.sessions import session_day
from engines.ports import BrokerFill, OrderReport

Seen = Collection[tuple[str, str]]
"""(order id, trade id) of every fill that is booked."""


def news_of(order: Order, report: OrderReport, seen: Seen, now: Timestamp) -> list[Fill]:
    """The fills in a report, before charges. Those already in `seen` may be among them: whoever books them asks again."""
    fills = [_fill(order, part) for part in report.fills]
    known = order.filled_quantity + sum((f.quantity for f in fills if (f.order_id, f.trade_id) not in seen), ZERO)
    if fills or report.average_price is None or report.filled_quantity <= known:
        return fills
    # Only the total is told: book the difference under a name made from it, so that the same news is the same fill.
    missing = report.filled_quantity - order.filled_quantity
    paid = order.filled_quantity * (order.average_price or ZERO)
    price = (report.filled_quantity * report.average_price - paid) / missing
    return [_fill(order, BrokerFill(f"CUM-{report.filled_quantity}", missing, price, report.at or now))]


def _fill(order: Order, part: BrokerFill) -> Fill:
    return Fill(
        trade_id=part.trade_id,
        order_id=order.order_id,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        product=order.product,
        quantity=part.quantity,
        price=part.price,
        charges=ZERO if part.charges is None else part.charges,
        traded_at=part.traded_at,
        strategy_id=order.strategy_id,
        broker_order_id=order.broker_order_id,
        fee_quantity=part.fee_quantity,
    )


def with_charges(fill: Fill, before: Order, instrument: Instrument | None, broker: str) -> Fill:
    """An estimate where the broker told none; `before` is the order as it was before this fill, because brokerage is due by order. What paper leaves
    because its market has gone was no trade and costs nothing."""
    if fill.charges or fill.fee_quantity or instrument is None or before.reason == MARKET_CHANGED:
        return fill
    estimate = charge_rules.order_charges(
        charge_rules.kind_of(instrument, fill.product),
        fill.side,
        fill.quantity,
        fill.price,
        session_day(fill.traded_at, instrument.exchange),
        broker,
        exchange=instrument.exchange,
        turnover_before=before.filled_quantity * (before.average_price or ZERO),
    )
    return replace(fill, charges=estimate.total)

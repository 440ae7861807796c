"""The lists of one account: our own books, or what the broker says when asked. The two have the same fields as far as the broker knows them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.api.accounts.schemas import BookQuery, BrokerOrderOut, BrokerPositionOut, BrokerTradeOut
from app.api.orders.schemas import OrderOut, OrderQuery, TradeOut, TradeQuery
from app.api.orders.service import list_orders, list_trades
from app.api.pages import page_of
from app.api.positions.schemas import PositionOut, PositionQuery
from app.api.positions.service import list_positions
from app.api.wire import Page, moment, moment_or_none
from app.data import User
from app.workspace import workspace
from engines.core.model import ZERO, Order, Position, Product
from engines.ports import OrderReport

_ALL = BookQuery()


def positions(user: User, account_id: str, query: BookQuery = _ALL) -> Page[PositionOut] | Page[BrokerPositionOut]:
    workspace().owners.account(user, account_id)
    if query.source == "ours":
        return list_positions(user, PositionQuery(account_id=account_id, symbol=query.symbol, limit=query.limit, cursor=query.cursor))
    paid = _paid_on_paper(account_id)
    rows = [
        BrokerPositionOut(
            symbol=row.symbol,
            product=row.product.value,
            quantity=row.quantity,
            average_price=paid.get((row.symbol, row.product)) if row.average_price is None else row.average_price,
        )
        for row in workspace().system.broker_book(account_id).positions
        if query.symbol in (None, row.symbol)
    ]
    return page_of(rows, query, lambda p: (p.symbol, p.product))


def orders(user: User, account_id: str, query: BookQuery = _ALL) -> Page[OrderOut] | Page[BrokerOrderOut]:
    workspace().owners.account(user, account_id)
    if query.source == "ours":
        return list_orders(user, OrderQuery(account_id=account_id, symbol=query.symbol, limit=query.limit, cursor=query.cursor))
    rows = [_order(report) for report in workspace().system.broker_book(account_id).orders if query.symbol in (None, report.symbol)]
    return page_of(rows, query, lambda o: (o.at or "", o.broker_order_id))


def trades(user: User, account_id: str, query: BookQuery = _ALL) -> Page[TradeOut] | Page[BrokerTradeOut]:
    workspace().owners.account(user, account_id)
    if query.source == "ours":
        return list_trades(user, TradeQuery(account_id=account_id, symbol=query.symbol, limit=query.limit, cursor=query.cursor))
    ours = _orders_by_client_id(account_id)
    rows = [
        row
        for report in workspace().system.broker_book(account_id).orders
        if query.symbol in (None, report.symbol)
        for row in _trades(account_id, report, ours.get(report.client_id or ""))
    ]
    return page_of(rows, query, lambda t: (t.traded_at, t.broker_order_id, t.trade_id))


def _order(report: OrderReport) -> BrokerOrderOut:
    return BrokerOrderOut(
        broker_order_id=report.broker_order_id,
        client_id=report.client_id,
        state=report.state.value,
        symbol=report.symbol,
        side=report.side.value if report.side else None,
        quantity=report.quantity,
        filled_quantity=report.filled_quantity,
        average_price=report.average_price,
        message=report.message,
        at=moment_or_none(report.at or None),
    )


def _trades(account_id: str, report: OrderReport, ours: Order | None) -> list[BrokerTradeOut]:
    side = report.side or (ours.side if ours else None)
    return [
        BrokerTradeOut(
            trade_id=fill.trade_id,
            order_id=ours.order_id if ours else None,
            broker_order_id=report.broker_order_id,
            account_id=account_id,
            strategy_id=ours.strategy_id if ours else None,
            symbol=report.symbol or (ours.symbol if ours else None),
            side=side.value if side else None,
            product=ours.product.value if ours else None,
            quantity=fill.quantity,
            price=fill.price,
            charges=fill.charges,
            realised=None,
            traded_at=moment(fill.traded_at),
        )
        for fill in report.fills
    ]


def _orders_by_client_id(account_id: str) -> dict[str, Order]:
    desk = workspace().system.roster.desk(account_id)
    if desk is None:
        return {}
    with desk.lock:
        return {order.client_id: order for order in desk.orders.values()}


def _paid_on_paper(account_id: str) -> dict[tuple[str, Product], Decimal]:
    """The paper exchange keeps no ledger: what its net positions cost on average is in our books. Unknown where strategies hold against each other."""
    desk = workspace().system.roster.desk(account_id)
    if desk is None or desk.account.broker != "paper":
        return {}
    held: dict[tuple[str, Product], list[Position]] = {}
    for view in workspace().system.positions([account_id]):
        held.setdefault((view.position.key.symbol, view.position.key.product), []).append(view.position)
    return {key: _average(positions) for key, positions in held.items() if len({p.quantity > 0 for p in positions}) == 1}


def _average(positions: Sequence[Position]) -> Decimal:
    paid = sum((p.quantity * (p.average_price or ZERO) for p in positions), ZERO)
    return paid / sum((p.quantity for p in positions), ZERO)

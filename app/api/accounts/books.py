"""The lists of one account: our own books, or what the broker says when asked. The two have the same fields as far as the broker knows them."""

from __future__ import annotations

from app.api.accounts.schemas import BookQuery, BrokerOrderOut, BrokerPositionOut
from app.api.orders.schemas import OrderOut, OrderQuery, TradeOut, TradeQuery
from app.api.orders.service import list_orders, list_trades
from app.api.pages import page_of
from app.api.positions.schemas import PositionOut, PositionQuery
from app.api.positions.service import list_positions
from app.api.wire import Page, moment, moment_or_none
from app.data import User
from app.workspace import workspace
from engines.ports import OrderReport

_ALL = BookQuery()


def positions(user: User, account_id: str, query: BookQuery = _ALL) -> Page[PositionOut] | Page[BrokerPositionOut]:
    workspace().owners.account(user, account_id)
    if query.source == "ours":
        return list_positions(user, PositionQuery(account_id=account_id, symbol=query.symbol, limit=query.limit, cursor=query.cursor))
    rows = [
        BrokerPositionOut(symbol=row.symbol, product=row.product.value, quantity=row.quantity, average_price=row.average_price)
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


def trades(user: User, account_id: str, query: BookQuery = _ALL) -> Page[TradeOut]:
    workspace().owners.account(user, account_id)
    if query.source == "ours":
        return list_trades(user, TradeQuery(account_id=account_id, symbol=query.symbol, limit=query.limit, cursor=query.cursor))
    rows = [
        row
        for report in workspace().system.broker_book(account_id).orders
        if query.symbol in (None, report.symbol)
        for row in _trades(account_id, report)
    ]
    return page_of(rows, query, lambda t: (t.traded_at, t.broker_order_id or "", t.trade_id))


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


def _trades(account_id: str, report: OrderReport) -> list[TradeOut]:
    return [
        TradeOut(
            trade_id=fill.trade_id,
            order_id=report.client_id or "",
            broker_order_id=report.broker_order_id,
            account_id=account_id,
            strategy_id=None,
            symbol=report.symbol or "",
            side=report.side.value if report.side else "",
            product="",
            quantity=fill.quantity,
            price=fill.price,
            charges=fill.charges,
            realised=None,
            traded_at=moment(fill.traded_at),
        )
        for fill in report.fills
    ]

"""Profit and loss: now (from the engines' memory), by session day and as an equity curve (from the books)."""

from __future__ import annotations

from typing import Any

from app.api.pnl.schemas import (
    AccountPnlOut,
    DailyQuery,
    DayPnlOut,
    EquityPointOut,
    EquityQuery,
    PnlOut,
    RealtimeOut,
    StrategyPnlOut,
)
from app.api.wire import BadValue, Page, make_cursor, moment, open_cursor
from app.data import Invalid, User
from app.workspace import Workspace, workspace
from engines.execution.views import AccountView, PnlRow

_ALL = DailyQuery()
_CURVE = EquityQuery()
_ZERO = PnlRow()


def realtime(user: User) -> RealtimeOut:
    return realtime_of(workspace(), user.user_id)


def realtime_of(shop: Workspace, user_id: str) -> RealtimeOut:
    owned = shop.owners.account_ids(user_id)
    pnl = shop.system.pnl(owned)
    mine = set(owned)
    views = {view.account_id: view for view in shop.system.accounts() if view.account_id in mine}
    strategies = sorted(pnl.by_strategy.items(), key=lambda item: item[0] or "")
    return RealtimeOut(
        total=PnlOut(**_row(pnl.total)),
        by_account=[_account(key, pnl.by_account.get(key, _ZERO), views.get(key)) for key in owned],
        by_strategy=[StrategyPnlOut(strategy_id=key, **_row(row)) for key, row in strategies],
        as_of=moment(pnl.as_of),
    )


def daily(user: User, query: DailyQuery = _ALL) -> Page[DayPnlOut]:
    """Newest day first."""
    rows = workspace().data.books.pnl_daily(
        user.user_id, since=query.from_, until=query.to, account_id=query.account_id, strategy_id=query.strategy_id, by=query.by
    )
    start = _offset(query.cursor)
    shown = rows[start : start + query.limit]
    items = [
        DayPnlOut(
            day=row.day,
            account_id=row.account_id,
            strategy_id=row.strategy_id,
            realised=row.realised,
            unrealised=None,
            charges=row.charges,
            net=row.net,
            fills=row.fills,
            turnover=row.turnover,
        )
        for row in shown
    ]
    following = start + query.limit
    return Page(items=items, next=make_cursor(str(following)) if following < len(rows) else None)


def equity(user: User, query: EquityQuery = _CURVE) -> Page[EquityPointOut]:
    """A curve, so the oldest point first; thinned to at most `limit` points an account."""
    points = workspace().data.books.equity_curve(
        user.user_id, account_id=query.account_id, since=query.from_, until=query.to, points=query.limit
    )
    return Page(
        items=[
            EquityPointOut(
                account_id=point.account_id,
                at=moment(point.at),
                equity=point.equity,
                realised=point.realised,
                unrealised=point.unrealised,
                charges=point.charges,
            )
            for point in points
        ]
    )


def _offset(cursor: str | None) -> int:
    """Days only ever grow at the new end and a page is read within a day, so a plain count is a good enough cursor."""
    if cursor is None:
        return 0
    try:
        text = open_cursor(cursor)
    except BadValue as error:
        raise Invalid.field("cursor", str(error)) from error
    if not text.isdecimal() or len(text) > 9:
        raise Invalid.field("cursor", "is not one of ours")
    return int(text)


def _row(row: PnlRow) -> dict[str, Any]:
    return {"realised": row.realised, "unrealised": row.unrealised, "charges": row.charges, "net": row.net}


def _account(account_id: str, row: PnlRow, view: AccountView | None) -> AccountPnlOut:
    return AccountPnlOut(
        account_id=account_id,
        equity=view.equity if view else None,
        day_pnl=view.day_pnl if view else None,
        day_loss_used_pct=view.day_loss_used_pct if view else None,
        open_positions=view.open_positions if view else None,
        **_row(row),
    )

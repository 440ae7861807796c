"""Profit and loss: now (from the engines' memory), by session day and as an equity curve (from the books)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from app.api.money import HOME, currency_of, home_of
from app.api.pages import offset_of
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
from app.api.wire import Page, make_cursor, moment
from app.data import DayPnl, User
from app.workspace import Workspace, workspace
from engines.execution.views import AccountView, PnlRow

_ALL = DailyQuery()
_CURVE = EquityQuery()
_ZERO = PnlRow()


def realtime(user: User) -> RealtimeOut:
    return realtime_of(workspace(), user.user_id)


def realtime_of(shop: Workspace, user_id: str) -> RealtimeOut:
    held = _purses(shop.owners.brokers(user_id))
    views = {view.account_id: view for view in shop.system.accounts() if view.account_id in held}
    home = home_of(purse.currency for purse in held.values())
    parts = {purse: shop.system.pnl(keys) for purse, keys in _by_purse(held, home).items()}
    rows = {key: row for part in parts.values() for key, row in part.by_account.items()}
    strategies = [(key, purse, row) for purse, part in parts.items() for key, row in part.by_strategy.items()]
    totals = {home: _ZERO}
    for purse, part in parts.items():
        totals[purse.currency] = totals.get(purse.currency, _ZERO) + part.total
    out = {purse: PnlOut(**_row(part.total)) for purse, part in parts.items()}
    return RealtimeOut(
        currency=home,
        live={purse.currency: row for purse, row in out.items() if purse.live},
        paper={purse.currency: row for purse, row in out.items() if not purse.live},
        total=PnlOut(**_row(totals[home])),
        totals={currency: PnlOut(**_row(row)) for currency, row in totals.items()},
        by_account=[_account(key, held[key], rows.get(key, _ZERO), views.get(key)) for key in held],
        by_strategy=[
            StrategyPnlOut(strategy_id=key, currency=purse.currency, live=purse.live, **_row(row))
            for key, purse, row in sorted(strategies, key=lambda item: item[0] or "")
        ],
        as_of=moment(max((part.as_of for part in parts.values()), default=shop.clock.now())),
    )


class _Purse(NamedTuple):
    """What may be added up: money of one currency, real or not."""

    currency: str
    live: bool


_NONE = _Purse(HOME, live=False)


def _purses(brokers: Mapping[str, str]) -> dict[str, _Purse]:
    return {key: _Purse(currency_of(broker), broker != "paper") for key, broker in brokers.items()}


def _by_purse(held: Mapping[str, _Purse], home: str) -> dict[_Purse, list[str]]:
    """Purse → its accounts: the home currency first, and of each currency real money first."""
    found: dict[_Purse, list[str]] = {}
    for key, purse in held.items():
        found.setdefault(purse, []).append(key)
    return dict(sorted(found.items(), key=lambda item: (item[0].currency != home, item[0].currency, not item[0].live)))


def daily(user: User, query: DailyQuery = _ALL) -> Page[DayPnlOut]:
    """Newest day first."""
    rows = _days(user, query)
    start = offset_of(query.cursor)
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
            currency=purse.currency,
            live=purse.live,
        )
        for purse, row in shown
    ]
    following = start + query.limit
    return Page(items=items, next=make_cursor(str(following)) if following < len(rows) else None)


def _days(user: User, query: DailyQuery) -> Sequence[tuple[_Purse, DayPnl]]:
    """With their purse. A row that is added up over accounts is made once for each."""
    held = _all_purses(user)
    home = home_of(purse.currency for purse in held.values())

    def booked(accounts: Sequence[str] | None) -> Sequence[DayPnl]:
        return workspace().data.books.pnl_daily(
            user.user_id, since=query.from_, until=query.to, account_id=query.account_id, accounts=accounts,
            strategy_id=query.strategy_id, by=query.by,
        )  # fmt: skip

    parts = _by_purse(held, home)
    if len(parts) <= 1 or query.account_id is not None or query.by in ("account", "all"):
        only = held.get(query.account_id or "") or next(iter(parts), _NONE)
        return [(held.get(row.account_id or "", only), row) for row in booked(None)]
    rows = [(purse, replace(row, account_id=None)) for purse, keys in parts.items() for row in booked(keys)]
    return sorted(rows, key=lambda item: item[1].day, reverse=True) if query.by == "day" else rows


def _all_purses(user: User) -> dict[str, _Purse]:
    """Account → purse, of the archived ones too: their days are still told."""
    rows = workspace().data.accounts.list(user.user_id, archived=True)
    return _purses({row.account.account_id: row.account.broker for row in rows})


def equity(user: User, query: EquityQuery = _CURVE) -> Page[EquityPointOut]:
    """A curve, so the oldest point first; thinned to at most `limit` points an account."""
    points = workspace().data.books.equity_curve(
        user.user_id, account_id=query.account_id, since=query.from_, until=query.to, points=query.limit
    )
    held = _all_purses(user)
    return Page(
        items=[
            EquityPointOut(
                account_id=point.account_id,
                currency=held.get(point.account_id, _NONE).currency,
                live=held.get(point.account_id, _NONE).live,
                at=moment(point.at),
                equity=point.equity,
                realised=point.realised,
                unrealised=point.unrealised,
                charges=point.charges,
            )
            for point in points
        ]
    )


def _row(row: PnlRow) -> dict[str, Any]:
    return {"realised": row.realised, "unrealised": row.unrealised, "charges": row.charges, "net": row.net}


def _account(account_id: str, purse: _Purse, row: PnlRow, view: AccountView | None) -> AccountPnlOut:
    return AccountPnlOut(
        account_id=account_id,
        currency=purse.currency,
        live=purse.live,
        equity=view.equity if view else None,
        day_pnl=view.day_pnl if view else None,
        day_loss_used_pct=view.day_loss_used_pct if view else None,
        open_positions=view.open_positions if view else None,
        **_row(row),
    )

"""Profit and loss on the wire: now, by day, and the equity curve."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.wire import Amount, Moment, Out, PageQuery, When

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class PnlOut(Out):
    realised: Amount
    unrealised: Amount
    charges: Amount
    net: Amount


class AccountPnlOut(PnlOut):
    account_id: str
    currency: str
    live: bool
    equity: Amount | None
    day_pnl: Amount | None
    day_loss_used_pct: Amount | None
    open_positions: int | None


class StrategyPnlOut(PnlOut):
    """One row for each currency in which the strategy trades, and there for live and for paper accounts each."""

    strategy_id: str | None
    currency: str
    live: bool


class RealtimeOut(Out):
    """`live` and `paper`: currency → the sum of the accounts of that kind, empty where there are none. `total` (that of `currency`: rupees when any account is
    in rupees) and `totals` (each currency's own, never added together) hold both kinds: where there are both they are no result of anybody's."""

    currency: str
    live: dict[str, PnlOut]
    paper: dict[str, PnlOut]
    total: PnlOut
    totals: dict[str, PnlOut]
    by_account: list[AccountPnlOut]
    by_strategy: list[StrategyPnlOut]
    as_of: Moment


class DailyQuery(PageQuery):
    """`by`: one row a day, or a day and account, or a day and strategy, or each combination."""

    by: Literal["day", "account", "strategy", "all"] = "day"
    account_id: str | None = None
    strategy_id: str | None = None
    from_: Day | None = Field(default=None, validation_alias="from")
    to: Day | None = None


class DayPnlOut(Out):
    """What was booked on one session day in one currency, on live or on paper accounts. `unrealised` is not kept by day: null."""

    day: str
    account_id: str | None
    strategy_id: str | None
    realised: Amount
    unrealised: Amount | None
    charges: Amount
    net: Amount
    fills: int
    turnover: Amount
    currency: str
    live: bool


class EquityQuery(PageQuery):
    account_id: str | None = None
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None


class EquityPointOut(Out):
    account_id: str
    currency: str
    live: bool
    at: Moment
    equity: Amount
    realised: Amount
    unrealised: Amount
    charges: Amount

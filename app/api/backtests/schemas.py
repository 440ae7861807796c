"""Back-tests and sweeps on the wire: what is asked, how far it is, what came of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.api.accounts.schemas import Broker, Leverage, LimitFields
from app.api.exits import ExitsIn
from app.api.mappings.schemas import SizingIn
from app.api.strategies.reentry import ReentryIn
from app.api.strategies.schemas import Params
from app.api.wire import BadValue, Body, Flag, Id, Moment, Name, NotNegative, Out, PageQuery, Percent, Positive, Symbol
from app.problems import wrong
from engines.core.model import Timeframe

MOST_ACCOUNTS, MOST_FILES, MOST_AXES = 50, 50, 8
RANKS = ("net", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "win_rate", "max_drawdown_pct", "trades")
"""Figures by which a sweep may be ranked."""

Kind = Literal["backtest", "sweep"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
Rank = Literal["net", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "win_rate", "max_drawdown_pct", "trades"]


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise BadValue("must be a day such as 2026-05-20") from None


Day = Annotated[str, StringConstraints(max_length=10), AfterValidator(_day)]


class DataIn(Body):
    """One data set, all of it or one instrument."""

    dataset_id: Id
    symbol: Symbol | None = None


class SampleIn(Body):
    """Candles of the built-in simulated market, made for this study: the same ones each time."""

    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=30)] = Field(
        default_factory=lambda: ["NSE:INFY", "NSE:RELIANCE", "NSE:HDFCBANK", "NSE:SBIN"]
    )
    timeframe: Timeframe = Timeframe.M5
    days: Annotated[int, Field(strict=True, ge=1, le=750)] = 60
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31)] = 0


class SeatLimitsIn(LimitFields):
    """Limits of an account that is made up for a study."""


class SeatIn(Body):
    """An account that trades along: one of your own (`account_id`: its capital, limits, leverage and day rules, each of which may be changed here), or one
    made up for this study. Without `sizing`, an own account that the strategy is mapped to is sized as there."""

    account_id: Id | None = None
    name: Name | None = None
    broker: Broker | None = None
    """Whose charges are paid; default: the account's, else the common discount broker's."""
    capital: Positive | None = None
    leverage: Leverage | None = None
    slippage_ticks: Annotated[NotNegative, Field(le=10_000)] | None = None
    limits: SeatLimitsIn | None = None
    allocation_pct: Percent | None = None
    sizing: SizingIn | None = None
    risk_per_trade_pct: Percent | None = None
    multiplier: Annotated[Positive, Field(le=1000)] | None = None

    @model_validator(mode="after")
    def whose(self) -> SeatIn:
        if self.account_id is None and self.capital is None:
            raise wrong("capital", "is required for an account that is not one of yours")
        return self


class WalkForwardIn(Body):
    """The parameters that were best on `train_days` are traded on the following `test_days`, again and again."""

    grid: Annotated[dict[str, Any], Field(min_length=1, max_length=MOST_AXES)]
    train_days: Annotated[int, Field(strict=True, ge=1, le=2_000)] = 20
    test_days: Annotated[int, Field(strict=True, ge=1, le=500)] = 5
    random: Annotated[int, Field(strict=True, ge=1, le=500)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31)] = 0
    rank: Rank = "net"


class SweepIn(Body):
    """`grid`: parameter → its values: a list, or text such as "5:20:5" (5, 10, 15, 20), "9,12,21" or, for random points, "0.5:2.5".
    `random`: so many points chosen at random, instead of all combinations."""

    grid: Annotated[dict[str, Any], Field(min_length=1, max_length=MOST_AXES)]
    random: Annotated[int, Field(strict=True, ge=1, le=20_000)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31)] = 0
    rank: Rank = "net"


class BacktestIn(Body):
    """Either a strategy of yours (`strategy_id`; `params`, `timeframe`, `exit_plan` and `reentry` then change it for this study) or a `kind` with `params`.
    With `sweep` it is a parameter sweep. `hours`: whether accounts keep the market's day rules (no late entries, square-off): as each account does
    ("account"), all ("keep"), none ("carry")."""

    name: Name | None = None
    strategy_id: Id | None = None
    kind: Name | None = None
    params: Params | None = None
    timeframe: Timeframe | None = None
    exit_plan: ExitsIn | None = None
    reentry: ReentryIn | None = None
    data: Annotated[list[DataIn], Field(max_length=MOST_FILES)] = Field(default_factory=list)
    sample: SampleIn | None = None
    first: Day | None = None
    last: Day | None = None
    accounts: Annotated[list[SeatIn], Field(max_length=MOST_ACCOUNTS)] = Field(default_factory=list)
    hours: Literal["account", "keep", "carry"] = "account"
    way: Literal["auto", "stop_first", "replay"] = "auto"
    checks: Flag = True
    walk_forward: WalkForwardIn | None = None
    sweep: SweepIn | None = None

    @model_validator(mode="after")
    def fits(self) -> BacktestIn:
        if (self.strategy_id is None) == (self.kind is None):
            raise wrong("kind", "give either a strategy of yours or a kind")
        if not self.data and self.sample is None:
            raise wrong("data", "choose at least one data set, or the sample market")
        if self.first and self.last and self.last < self.first:
            raise wrong("last", "is before the first day")
        if self.sweep is not None and self.walk_forward is not None:
            raise wrong("walk_forward", "belongs to a back-test, not to a sweep")
        own = [seat.account_id for seat in self.accounts if seat.account_id]
        if len(set(own)) != len(own):
            raise wrong("accounts", "each account once")
        return self


class SourceOut(Out):
    """A data set that may be played. `seconds` of a candle, 0 for ticks."""

    id: str
    name: str
    kind: str
    seconds: int
    symbols: list[str]
    rows: int
    first_at: Moment
    last_at: Moment
    recorded: bool


class SourcesOut(Out):
    """What a study can run on: the caller's data sets and the workspace's recordings, and the names of the simulated market."""

    datasets: list[SourceOut]
    sample_symbols: list[str]


class BacktestPatch(Body):
    name: Name


class BacktestQuery(PageQuery):
    kind: Kind | None = None
    state: State | None = None


class StudyOut(Out):
    """`progress` from 0 to 1, `doing` and `seconds_left` while it runs; `summary`: the figures of what came of it (of a sweep: of its best point);
    `asked`: the request, fit to be sent again."""

    id: str
    name: str
    kind: str
    state: str
    progress: float
    doing: str
    seconds_left: float | None
    error: str
    strategy_kind: str
    about: str
    summary: dict[str, Any]
    asked: dict[str, Any]
    points: int | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None


class StudyReportOut(Out):
    """The whole report of a finished back-test, without its trades, which are a list of their own."""

    id: str
    report: dict[str, Any]


class TradeQuery(Body):
    limit: Annotated[int, Field(ge=1, le=1_000)] = 200
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    account_id: Annotated[str, StringConstraints(max_length=64)] | None = None
    symbol: Annotated[str, StringConstraints(max_length=100)] | None = None
    exit_reason: Annotated[str, StringConstraints(max_length=40)] | None = None


class StudyTradesOut(Out):
    """In the order of closing; `total` of those that the query asks for."""

    items: list[dict[str, Any]]
    total: int


class ChartQuery(Body):
    symbol: Annotated[str, StringConstraints(max_length=100)]
    account_id: Annotated[str, StringConstraints(max_length=64)] | None = None


class StudyChartOut(Out):
    """`bars`: [start, open, high, low, close] each of `seconds`, thinned for drawing; the trades of one account on it."""

    symbol: str
    seconds: float
    bars: list[list[float]]
    trades: list[dict[str, Any]]


class PointOut(Out):
    params: dict[str, Any]
    summary: dict[str, Any]
    wrong: str


class SweepResultsOut(Out):
    """Every point that was tried so far, the best of `rank` first; those without that figure last."""

    rank: str
    items: list[PointOut]


class CompareQuery(Body):
    ids: Annotated[str, StringConstraints(max_length=2_000)] = ""
    """Of back-tests, with commas between."""


class ComparedOut(Out):
    study: StudyOut
    equity: list[list[Any]]
    """[day, percent of the capital won or lost so far]"""


class ComparisonOut(Out):
    items: list[ComparedOut]


class ExportQuery(Body):
    what: Literal["report", "trades", "orders", "equity", "results"] = "report"
    format: Literal["html", "json", "csv"] = "html"

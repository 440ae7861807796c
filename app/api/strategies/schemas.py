"""Strategies and their kinds on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from app.api.exits import ExitsIn, ExitsOut
from app.api.strategies.reentry import ReentryIn, ReentryOut
from app.api.wire import Amount, Body, Flag, Moment, Name, Out, PageQuery, Symbol
from app.problems import wrong
from engines.core.model import Timeframe

Instruments = Annotated[list[Symbol], Field(min_length=1, max_length=200)]
Params = Annotated[dict[str, Any], Field(max_length=100)]


def _no_twins(instruments: list[str] | None) -> None:
    if instruments is not None and len(set(instruments)) != len(instruments):
        raise wrong("instruments", "each one once")


class StrategyIn(Body):
    name: Name
    kind: Name
    params: Params = Field(default_factory=dict)
    timeframe: Timeframe
    instruments: Instruments
    active: Flag = False
    exit_plan: ExitsIn | None = None
    reentry: ReentryIn | None = None

    @model_validator(mode="after")
    def check(self) -> StrategyIn:
        _no_twins(self.instruments)
        return self


class StrategyPatch(Body):
    """Only what is sent changes; `exit_plan: null` takes the plan away, `reentry: null` the re-entries. `params` are replaced as a whole."""

    name: Name | None = None
    kind: Name | None = None
    params: Params | None = None
    timeframe: Timeframe | None = None
    instruments: Instruments | None = None
    active: Flag | None = None
    exit_plan: ExitsIn | None = None
    reentry: ReentryIn | None = None

    @model_validator(mode="after")
    def check(self) -> StrategyPatch:
        _no_twins(self.instruments)
        for name in ("name", "kind", "params", "timeframe", "instruments", "active"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class StrategyQuery(PageQuery):
    id: str | None = None
    name: str | None = None
    kind: str | None = None
    timeframe: Timeframe | None = None
    active: bool | None = None
    state: Literal["running", "off", "quarantined"] | None = None
    instrument: str | None = None
    """Strategies that trade this symbol."""
    owned: bool | None = None
    """Only one's own, or only those that others share."""


class OwnerOut(Out):
    """Who shares a strategy."""

    name: str
    email: str


class ShareIn(Body):
    """With whom: the e-mail address they sign in with."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=255, strip_whitespace=True)]


class ShareOut(Out):
    """Somebody who sees the strategy and may map it. What they do with it, only they see."""

    user_id: str
    name: str
    email: str
    role: str
    shared_at: Moment


class StrategyOut(Out):
    """`state`: running (active and healthy), off, or quarantined (it raised: `state_detail` says what).

    `owned`: it is the caller's own; else `shared_by` says whose. `shares`: with whom its owner shares it, shown to nobody else."""

    id: str
    name: str
    kind: str
    params: dict[str, Any]
    timeframe: str
    instruments: list[str]
    active: bool
    exit_plan: ExitsOut | None
    reentry: ReentryOut | None
    state: str
    state_detail: str
    owned: bool = True
    shared_by: OwnerOut | None = None
    shares: list[ShareOut] = Field(default_factory=list)
    created_at: Moment
    updated_at: Moment


class PresetOut(Out):
    """Parameters that a person may begin with; what they leave out keeps its default."""

    id: str
    name: str
    about: str
    params: dict[str, Any]


class StrategyKindOut(Out):
    """`candles`: the timeframe that suits it. `own_exits`: it says stop and targets with every entry, so that a strategy's `exit_plan` is not asked."""

    kind: str
    name: str
    description: str
    params_schema: dict[str, Any]
    presets: list[PresetOut] = Field(default_factory=list)
    candles: str = Timeframe.M5.value
    own_exits: bool = False


class LevelsQuery(PageQuery):
    symbol: str | None = None
    day: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    """An ISO date; without it each instrument's newest session."""


class LevelOut(Out):
    """`kind`: entry, target or stop; `side`: that of the position it belongs to."""

    name: str
    price: Amount
    kind: str
    side: str


class LevelsOut(Out):
    """What the strategy worked out for an instrument and a session, once for all accounts. `says`: how it stands, in words."""

    strategy_id: str
    symbol: str
    day: str
    says: str
    levels: list[LevelOut]
    at: Moment


class LadderQuery(PageQuery):
    symbol: str | None = None
    """One of the strategy's instruments; without it all of them."""


class LadderOut(Out):
    """One account's way up the ladder. `state`: off, idle, skipped, armed, blocked, entry_sent, open, exit_sent or done.

    `stage` j: the stop Y_j is active while target T_j is waited for. `locked_points`: what the active stop is worth against the average entry price."""

    account_id: str
    symbol: str
    state: str
    detail: str
    side: str | None
    quantity: Amount
    lots_left: Amount
    entry_price: Amount | None
    stage: int | None
    stop: Amount | None
    locked_points: Amount | None
    targets: int
    reached: int
    next_target: int | None
    next_price: Amount | None
    realised: Amount | None

"""Replays on the wire: what to play, how fast, and what is new since the last look."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from app.api.wire import Body, Flag, Id, Moment, Name, Out, PageQuery
from app.problems import wrong

MOST_SPEED = 100_000
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Ids = Annotated[list[Id], Field(min_length=1, max_length=100)]
Speed = Annotated[float, Field(ge=0, le=MOST_SPEED)]
"""Times real speed; 0: as fast as the engines take it."""


class ReplayIn(Body):
    """`last_day`: of several days in a row (default: the one day)."""

    dataset_id: Id
    day: Day
    last_day: Day | None = None
    strategy_ids: Ids
    account_ids: Ids
    speed: Speed = 60
    paused: Flag = False
    name: Name | None = None


class ReplayCommand(Body):
    """`step` plays on by `seconds` of the replayed day and pauses there."""

    do: Literal["pause", "go", "step", "speed", "stop"]
    speed: Speed | None = None
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None

    @model_validator(mode="after")
    def speed_is_given(self) -> ReplayCommand:
        if self.do == "speed" and self.speed is None:
            raise wrong("speed", "is required")
        return self


class ReplayQuery(PageQuery):
    """The caller's replays."""


class FramesQuery(Body):
    """`after`: the `number` of the last answer; 0 or nothing: everything so far."""

    after: Annotated[int, Field(ge=0)] = 0


class ReplayOut(Out):
    """`state`: starting, playing, paused, done, stopped or failed (then `failed` says why). `at`: the replayed moment."""

    id: str
    name: str
    dataset_id: str
    day: str
    last_day: str
    speed: float
    state: str
    failed: str | None
    progress: float
    at: Moment | None
    started_at: Moment
    strategy_ids: list[str]
    account_ids: list[str]


class ReplayFramesOut(ReplayOut):
    """What is new after frame `after`: rows that came or changed and new lines of the log. Ask again with `number`."""

    number: int
    log: list[str]
    candles: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    strategies: list[dict[str, Any]]
    incidents: list[dict[str, Any]]

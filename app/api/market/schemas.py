"""Instruments, quotes and candles on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.wire import Amount, Body, Flag, Moment, Out, PageQuery, When
from engines.core.model import Timeframe


class InstrumentQuery(PageQuery):
    q: Annotated[str, StringConstraints(max_length=100)] = ""
    exchange: Annotated[str, StringConstraints(max_length=20)] | None = None
    symbol: str | None = None
    segment: str | None = None


class InstrumentOut(Out):
    symbol: str
    name: str
    exchange: str
    tick_size: Amount
    lot_size: int
    freeze_quantity: int | None
    expiry: str | None
    strike: Amount | None
    option_type: str | None
    segment: str


class InstrumentListOut(Out):
    """One broker's list. `wanted`: an account needs it; `stale`: it is of another day; `problem`: why it could not be renewed."""

    broker: str
    wanted: bool
    loaded_at: Moment | None
    listed: int
    stale: bool
    problem: str


class InstrumentListsOut(Out):
    """`next_at`: when the lists are renewed by themselves."""

    running: bool
    next_at: Moment | None
    lists: list[InstrumentListOut]


class RefreshIn(Body):
    """`force`: take a list even when it has shrunk to less than half, after a look at why."""

    force: Flag = False


class RefreshAnswer(Out):
    state: Literal["started"]
    brokers: list[str]
    detail: str


class QuoteQuery(PageQuery):
    """`symbols`: EXCHANGE:NAME, separated by commas."""

    symbols: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    limit: Annotated[int, Field(ge=1, le=500)] = 500


class QuoteOut(Out):
    symbol: str
    last_price: Amount | None
    bid: Amount | None
    ask: Amount | None
    as_of: Moment | None
    tick_size: Amount | None = None


class CandleQuery(PageQuery):
    """The newest `limit` candles that start in [from, to); within the answer the oldest comes first, as charts draw them."""

    symbol: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    timeframe: Timeframe
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 500


class CandleOut(Out):
    start: Moment
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount

"""Watchlists on the wire, and what a row of one shows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from app.api.wire import Amount, Body, Moment, Name, Out, PageQuery, Symbol
from app.problems import wrong

Symbols = Annotated[list[Symbol], Field(max_length=200)]


class WatchlistIn(Body):
    name: Name
    symbols: Symbols = Field(default_factory=list)


class WatchlistPatch(Body):
    """Only what is sent changes. `symbols` replaces the whole list, in this order; `add` and `remove` change it (`add` goes to the end)."""

    name: Name | None = None
    symbols: Symbols | None = None
    add: Symbols | None = None
    remove: Symbols | None = None

    @model_validator(mode="after")
    def one_way(self) -> WatchlistPatch:
        if self.symbols is not None and (self.add or self.remove):
            raise wrong("symbols", "is the whole list: send it without add and remove")
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class WatchlistQuery(PageQuery):
    id: str | None = None
    name: str | None = None


class WatchlistOut(Out):
    id: str
    name: str
    symbols: list[str]
    created_at: Moment


class DayQuery(PageQuery):
    """`symbols`: EXCHANGE:NAME, separated by commas, 200 at most."""

    symbols: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class DayOut(Out):
    """One instrument's session so far. `change`: of the last price against the previous close. `levels`: those that the caller's strategies have worked
    out for this session, as {strategy_id, strategy, name, price, kind, side}. What is not known is null."""

    symbol: str
    last_price: Amount | None
    bid: Amount | None
    ask: Amount | None
    as_of: Moment | None
    open: Amount | None
    high: Amount | None
    low: Amount | None
    previous_close: Amount | None
    change: Amount | None
    change_pct: Amount | None
    levels: list[dict[str, Any]]

"""Mappings on the wire: this strategy trades on this account, with this much."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from app.api.wire import Amount, Body, Flag, Id, Moment, Out, PageQuery, Percent, Positive
from app.problems import wrong
from engines.core.model import ONE, Sizing, SizingMode

_USUAL = Sizing()


class SizingIn(Body):
    """`value`: units, money, percent or the fraction of full Kelly, as `mode` says; `risk` uses the mapping's risk_per_trade_pct instead."""

    mode: SizingMode
    value: Positive | None = None
    kelly_cap_pct: Percent = _USUAL.kelly_cap_pct
    kelly_min_trades: Annotated[int, Field(strict=True, ge=1, le=10_000)] = _USUAL.kelly_min_trades
    kelly_fallback_pct: Percent = _USUAL.kelly_fallback_pct

    @model_validator(mode="after")
    def value_fits(self) -> SizingIn:
        if self.value is None and self.mode in (SizingMode.FIXED_QUANTITY, SizingMode.FIXED_AMOUNT):
            raise wrong("value", f"is required for mode {self.mode.value}")
        return self


class MappingIn(Body):
    account_id: Id
    strategy_id: Id
    allocation_pct: Percent = _USUAL.value
    sizing: SizingIn = SizingIn(mode=SizingMode.PERCENT)
    risk_per_trade_pct: Percent = ONE
    multiplier: Annotated[Positive, Field(le=1000)] = ONE
    enabled: Flag = True


class MappingPatch(Body):
    """Only what is sent changes; account and strategy of a mapping never do. `sizing` is replaced as a whole."""

    allocation_pct: Percent | None = None
    sizing: SizingIn | None = None
    risk_per_trade_pct: Percent | None = None
    multiplier: Annotated[Positive, Field(le=1000)] | None = None
    enabled: Flag | None = None

    @model_validator(mode="after")
    def not_null(self) -> MappingPatch:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class MappingQuery(PageQuery):
    id: str | None = None
    account_id: str | None = None
    strategy_id: str | None = None
    enabled: bool | None = None


class SizingOut(Out):
    mode: str
    value: Amount
    kelly_cap_pct: Amount
    kelly_min_trades: int
    kelly_fallback_pct: Amount


class MappingOut(Out):
    id: str
    account_id: str
    strategy_id: str
    allocation_pct: Amount
    sizing: SizingOut
    risk_per_trade_pct: Amount
    multiplier: Amount
    enabled: bool
    created_at: Moment
    updated_at: Moment

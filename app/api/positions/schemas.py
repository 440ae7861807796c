"""Positions on the wire, with the plan that guards each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.api.exits import ExitPlanOut, ExitsIn
from app.api.signals.schemas import AccountIds
from app.api.wire import Amount, Body, Moment, Out, PageQuery, Positive
from engines.core.model import Product


class PositionOut(Out):
    id: str
    account_id: str
    symbol: str
    product: str
    strategy_id: str | None
    quantity: Amount
    average_price: Amount | None
    last_price: Amount | None
    realised: Amount
    unrealised: Amount | None
    charges: Amount
    exit_plan: ExitPlanOut | None
    at_broker: Amount | None = Field(
        None, description="What the broker holds of the instrument, where that is less than our books say: it was closed elsewhere."
    )
    opened_at: Moment | None
    updated_at: Moment | None


class PositionQuery(PageQuery):
    id: str | None = None
    account_id: str | None = None
    symbol: str | None = None
    product: Product | None = None
    strategy_id: str | None = None
    flat: bool = False
    """True: those of the session that are flat again, too."""


class ExitPlanIn(ExitsIn):
    """The recipe; empty: no plan. `version`: of the plan that was looked at, "none" where there was none; it is refused where that is another by now."""

    version: Annotated[str, StringConstraints(max_length=40)] | None = None


class CloseIn(Body):
    """Without `quantity` all of it; more than is held is capped."""

    quantity: Positive | None = None


class CloseAllIn(Body):
    """Without `account_ids`: every account of the caller."""

    account_ids: Annotated[AccountIds, Field()] | None = None

"""Routes of strategies and their kinds."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.strategies import service
from app.api.strategies.schemas import (
    LadderOut,
    LadderQuery,
    LevelsOut,
    LevelsQuery,
    StrategyIn,
    StrategyKindOut,
    StrategyOut,
    StrategyPatch,
    StrategyQuery,
)
from app.api.wire import Page, PageQuery

routes = Routes("strategies")


@routes.get("/api/strategy-kinds", query=PageQuery, out=Page[StrategyKindOut])
def kinds(call: Call) -> Page[StrategyKindOut]:
    """What can be traded with: every kind with the JSON schema of its parameters."""
    return service.list_kinds(call.user, call.query)


@routes.get("/api/strategies", query=StrategyQuery, out=Page[StrategyOut])
def index(call: Call) -> Page[StrategyOut]:
    """The caller's strategies."""
    return service.list_strategies(call.user, call.query)


@routes.post("/api/strategies", body=StrategyIn, out=StrategyOut, status=201)
def create(call: Call) -> StrategyOut:
    """A new strategy; it trades once it is active and mapped to an account with auto-trade on."""
    return service.create_strategy(call.user, call.body, call.by)


@routes.get("/api/strategies/{id}", out=StrategyOut)
def show(call: Call, id: str) -> StrategyOut:  # noqa: A002 - the name of the path's parameter
    """One strategy."""
    return service.get_strategy(call.user, id)


@routes.patch("/api/strategies/{id}", body=StrategyPatch, out=StrategyOut)
def change(call: Call, id: str) -> StrategyOut:  # noqa: A002
    """Only the fields that are sent change."""
    return service.change_strategy(call.user, id, call.body, call.by)


@routes.get("/api/strategies/{id}/levels", query=LevelsQuery, out=Page[LevelsOut])
def levels(call: Call, id: str) -> Page[LevelsOut]:  # noqa: A002
    """The levels of a day, the same for all accounts: entries, targets and stops as prices, and how the strategy stands."""
    return service.levels(call.user, id, call.query)


@routes.get("/api/strategies/{id}/ladders", query=LadderQuery, out=Page[LadderOut])
def ladders(call: Call, id: str) -> Page[LadderOut]:  # noqa: A002
    """How far each account that the strategy trades on has come with one instrument, or with each: the active stop, the next target, what is left."""
    return service.ladders(call.user, id, call.query)


@routes.delete("/api/strategies/{id}", errors=(409,))
def delete(call: Call, id: str) -> None:  # noqa: A002
    """409 with open positions or orders; a strategy with history is archived."""
    service.delete_strategy(call.user, id, call.by)

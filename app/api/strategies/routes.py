"""Routes of strategies and their kinds."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.strategies import service
from app.api.strategies.schemas import (
    LadderOut,
    LadderQuery,
    LevelsOut,
    LevelsQuery,
    ShareIn,
    ShareOut,
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
    """The caller's strategies, and those that others share with them (`owned: false`): to look at and to map, not to change."""
    return service.list_strategies(call.user, call.query)


@routes.post("/api/strategies", body=StrategyIn, out=StrategyOut, status=201)
def create(call: Call) -> StrategyOut:
    """A new strategy; it trades once it is active and mapped to an account with auto-trade on."""
    return service.create_strategy(call.user, call.body, call.by)


@routes.get("/api/strategies/{id}", out=StrategyOut)
def show(call: Call, id: str) -> StrategyOut:  # noqa: A002 - the name of the path's parameter
    """One strategy, one's own or one that somebody shares."""
    return service.get_strategy(call.user, id)


@routes.patch("/api/strategies/{id}", body=StrategyPatch, out=StrategyOut)
def change(call: Call, id: str) -> StrategyOut:  # noqa: A002
    """Only the fields that are sent change.
    Its owner's alone; whoever trades a shared one is told."""
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
    """409 with open positions or orders of one's own; a strategy with history is archived.
    Its shares end with it."""
    service.delete_strategy(call.user, id, call.by)


@routes.get("/api/strategies/{id}/shares", query=PageQuery, out=Page[ShareOut])
def shares(call: Call, id: str) -> Page[ShareOut]:  # noqa: A002
    """With whom the strategy is shared; for its owner alone."""
    return service.list_shares(call.user, id, call.query)


@routes.post("/api/strategies/{id}/shares", body=ShareIn, out=ShareOut, status=201, errors=(409, 429))
def share(call: Call, id: str) -> ShareOut:  # noqa: A002
    """Lets somebody of this workspace see the strategy whole and map it to accounts of their own; they are told.
    What it signals is then traded on their accounts, too, as orders of theirs: neither sees the other's."""
    return service.share(call.user, id, call.body, call.by)


@routes.delete("/api/strategies/{id}/shares/{user_id}", own=True)
def unshare(call: Call, id: str, user_id: str) -> None:  # noqa: A002
    """Their mappings of it are off at once and both are told; what they hold keeps its exit plans and leaves with the strategy's exits.
    For its owner; and whoever has the share, also a viewer, leaves it with their own user id."""
    service.unshare(call.user, id, user_id, call.by)

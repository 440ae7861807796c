"""Positions with their marks and exit plans, and the ways a person gets out of them."""

from __future__ import annotations

from app.api.exits import bad_spec, plan_out
from app.api.pages import keep, page_of
from app.api.positions.schemas import CloseAllIn, CloseIn, ExitPlanIn, PositionOut, PositionQuery
from app.api.signals.schemas import SignalAnswer, SignalAnswers
from app.api.signals.service import answer, answers, owned_accounts
from app.api.wire import Page, moment_or_none
from app.data import Actor, Conflict, NotFound, User
from app.problems import Problem
from app.workspace import workspace
from engines import system as engine
from engines.core.exit_specs import BadSpec
from engines.execution.views import PositionView

_ALL = PositionQuery()


def list_positions(user: User, query: PositionQuery = _ALL) -> Page[PositionOut]:
    shop = workspace()
    owned = shop.owners.account_ids(user.user_id)
    wanted = [account_id for account_id in owned if query.account_id in (None, account_id)]
    shown = [position_out(view) for view in shop.system.positions(wanted, flat=query.flat)]
    return page_of(keep(shown, query), query, lambda p: (p.updated_at or "", p.id))


def get_position(user: User, position_id: str) -> PositionOut:
    return position_out(find(user, position_id))


def find(user: User, position_id: str) -> PositionView:
    """From memory; raises NotFound for what is another's, too."""
    shop = workspace()
    for view in shop.system.positions(shop.owners.account_ids(user.user_id), flat=True):
        if view.position.position_id == position_id:
            return view
    raise NotFound("There is no such position.")


def close(user: User, position_id: str, body: CloseIn, by: Actor) -> SignalAnswer:
    view = find(user, position_id)
    if not view.position.quantity:
        raise Conflict("The position is flat already.")
    shop = workspace()
    outcome = shop.system.close_position(position_id, body.quantity)
    shop.data.audit.add(by, "position.close", "position", position_id, after=body.model_dump(mode="json"))
    return answer(outcome)


def closed_elsewhere(user: User, position_id: str, by: Actor) -> SignalAnswer:
    """The books follow what the broker's prove; nothing is sent."""
    find(user, position_id)
    shop = workspace()
    outcome = shop.system.closed_elsewhere(position_id)
    shop.data.audit.add(by, "position.closed_elsewhere", "position", position_id)
    return answer(outcome)


def close_all(user: User, body: CloseAllIn, by: Actor) -> SignalAnswers:
    shop = workspace()
    chosen = owned_accounts(user, body.account_ids) if body.account_ids is not None else shop.owners.account_ids(user.user_id)
    outcomes = shop.system.close_all(list(chosen))
    shop.data.audit.add(by, "position.close_all", "user", user.user_id, after={"account_ids": list(chosen)})
    return answers(outcomes)


def square_off(user: User, account_id: str, by: Actor) -> SignalAnswers:
    """Cancel what is live on the account and close what is open."""
    shop = workspace()
    shop.owners.account(user, account_id)
    outcomes = shop.system.square_off(account_id)
    shop.data.audit.add(by, "account.square_off", "account", account_id)
    return answers(outcomes)


def set_exit_plan(user: User, position_id: str, body: ExitPlanIn, by: Actor) -> PositionOut:
    """An empty recipe takes the plan away."""
    view = find(user, position_id)
    if not view.position.quantity:
        raise Conflict("The position is flat: there is nothing to guard.")
    shop = workspace()
    try:
        shop.system.set_exit_plan(position_id, body.spec(), body.version)
    except engine.Conflict:  # it became flat meanwhile; a ValueError, too, but no fault of the body
        raise
    except BadSpec as error:
        raise bad_spec(error) from error
    except ValueError as error:
        raise Problem(422, str(error), errors={"body": [str(error)]}) from error
    shop.data.audit.add(by, "position.exit_plan", "position", position_id, after=body.model_dump(mode="json"))
    return get_position(user, position_id)


def position_out(view: PositionView) -> PositionOut:
    position = view.position
    return PositionOut(
        id=position.position_id,
        account_id=position.key.account_id,
        symbol=position.key.symbol,
        product=position.key.product.value,
        strategy_id=position.key.strategy_id,
        quantity=position.quantity,
        average_price=position.average_price,
        last_price=view.last_price,
        realised=position.realised,
        unrealised=view.unrealised,
        charges=position.charges,
        exit_plan=plan_out(view.plan) if view.plan else None,
        at_broker=view.at_broker,
        opened_at=moment_or_none(position.opened_at),
        updated_at=moment_or_none(position.updated_at or None),
    )

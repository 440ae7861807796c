"""Strategies and their kinds, for the API and the pages. Parameters are checked by the kind itself; what a strategy decides is not known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from app.api.endpoint import VIEWERS_LOOK
from app.api.exits import ExitsIn, bad_spec, exits_out
from app.api.pages import keep, page_of
from app.api.strategies.ladders import ladder_out
from app.api.strategies.reentry import reentry_out
from app.api.strategies.schemas import (
    LadderOut,
    LadderQuery,
    LevelOut,
    LevelsOut,
    LevelsQuery,
    OwnerOut,
    PresetOut,
    ShareIn,
    ShareOut,
    StrategyIn,
    StrategyKindOut,
    StrategyOut,
    StrategyPatch,
    StrategyQuery,
)
from app.api.wire import Page, PageQuery, moment
from app.auth.identity import guards
from app.data import Actor, DayLevels, Invalid, NotFound, Share, StrategyRow, User, UserRole
from app.problems import Problem, field_errors, field_problem, too_many
from app.workspace import workspace
from engines.core.exit_specs import BadSpec, check_form, check_reach
from engines.core.model import ExitSpec, Order, Role, Side, StrategyConfig
from engines.core.sessions import day_start, exchange_of, session_day
from engines.strategies import registry

_ALL = StrategyQuery()
_FIRST = PageQuery()
_ANY_DAY, _EVERY_SYMBOL = LevelsQuery(), LadderQuery()


def list_kinds(_user: User, query: PageQuery = _FIRST) -> Page[StrategyKindOut]:
    """By name; the list is short and has no age."""
    kinds = [
        StrategyKindOut(
            kind=k.kind,
            name=k.name,
            description=k.description,
            params_schema=registry.params_schema(k.kind),
            presets=[PresetOut(id=name, name=one.name, about=one.about, params=dict(one.params)) for name, one in k.presets.items()],
            candles=k.candles.value,
            own_exits=k.own_exits,
        )
        for k in registry.kinds()
    ]
    return page_of(kinds, query, lambda k: (k.kind,))


def list_strategies(user: User, query: StrategyQuery = _ALL) -> Page[StrategyOut]:
    shown = [strategy_out(user, row) for row in workspace().data.strategies.list_seen(user.user_id)]
    if query.instrument is not None:
        shown = [s for s in shown if query.instrument in s.instruments]
    return page_of(keep(shown, query, "instrument"), query, lambda s: (s.created_at, s.id))


def get_strategy(user: User, strategy_id: str) -> StrategyOut:
    row = workspace().data.strategies.seen(user.user_id, strategy_id)
    if row.archived_at is not None:
        raise NotFound("There is no such strategy.")
    return strategy_out(user, row)


def past_names(user: User) -> dict[str, str]:
    """Strategies of which one's books still speak though one has them no more: "Rules (no longer shared)", by the name that was told last."""
    data = workspace().data
    ended = {gone: f"{name} (no longer shared)" for gone, name in data.shares.ended_for(user.user_id).items()}
    rows = data.strategies.list(user.user_id, archived=True)
    return ended | {row.strategy.strategy_id: f"{row.strategy.name} (archived)" for row in rows if row.archived_at is not None}


def create_strategy(user: User, body: StrategyIn, by: Actor) -> StrategyOut:
    _check_instruments(body.instruments)
    exit_plan = _exit_plan(body.exit_plan, body.instruments)
    strategy = StrategyConfig(
        strategy_id="",
        user_id=user.user_id,
        name=body.name,
        kind=body.kind,
        timeframe=body.timeframe,
        instruments=tuple(body.instruments),
        params=_check_params(body.kind, body.params),
        active=body.active,
        exit_plan=exit_plan,
        reentry=body.reentry.spec() if body.reentry else None,
    )
    row = workspace().data.strategies.add(strategy, by=by)
    workspace().taken_over()
    return strategy_out(user, row)


def change_strategy(user: User, strategy_id: str, body: StrategyPatch, by: Actor) -> StrategyOut:
    before = _own(user, strategy_id).strategy
    given = body.model_fields_set
    if body.kind not in (None, before.kind):
        raise field_problem("kind", f"stays {before.kind}: make a new strategy for another kind")
    changes: dict[str, Any] = {name: getattr(body, name) for name in ("name", "timeframe", "active") if name in given}
    if body.instruments is not None:
        _check_instruments(body.instruments)
        changes["instruments"] = tuple(body.instruments)
    if body.params is not None:
        changes["params"] = _check_params(before.kind, body.params)
    if "exit_plan" in given:
        changes["exit_plan"] = _exit_plan(body.exit_plan, body.instruments or before.instruments)
    if "reentry" in given:
        changes["reentry"] = body.reentry.spec() if body.reentry else None
    row = workspace().data.strategies.change(user.user_id, strategy_id, lambda now: replace(now, **changes), by=by)
    workspace().taken_over()
    return strategy_out(user, row)


def delete_strategy(user: User, strategy_id: str, by: Actor) -> None:
    _own(user, strategy_id)
    workspace().data.strategies.delete(user.user_id, strategy_id, by=by)
    workspace().taken_over()


def _own(user: User, strategy_id: str) -> StrategyRow:
    """What only its owner may do something with: 404 for what is not there or not shared, 403 for what is another's."""
    row = workspace().data.strategies.seen(user.user_id, strategy_id)
    if row.strategy.user_id != user.user_id:
        workspace().owners.strategy(user, strategy_id)
        raise NotFound("There is no such strategy.")  # the share has ended this very moment
    return row


# --- shares --------------------------------------------------------------------------------------------------------


def list_shares(user: User, strategy_id: str, query: PageQuery = _FIRST) -> Page[ShareOut]:
    _own(user, strategy_id)
    return page_of(_shares_out(strategy_id), query, lambda share: (share.shared_at, share.user_id))


def share(user: User, strategy_id: str, body: ShareIn, by: Actor) -> ShareOut:
    """Addresses that nobody here has are counted: whoever tries many of them waits."""
    _own(user, strategy_id)
    asked, tried = guards().asked, f"share|{user.user_id}"
    if (after := asked.book(tried)) > 0:
        raise too_many("addresses that nobody here has", after)
    try:
        made = workspace().data.shares.add(user.user_id, strategy_id, body.email, by=by)
    except Exception as error:
        if not isinstance(error, Invalid):
            asked.give_back(tried)
        raise
    asked.give_back(tried)
    workspace().taken_over()
    return _share_out(made)


def unshare(user: User, strategy_id: str, user_id: str, by: Actor) -> None:
    """By its owner; by whoever has it only for themselves, viewers too."""
    shares = workspace().data.shares
    if user_id == user.user_id:
        shares.leave(user_id, strategy_id, by=by)
    elif user.role is UserRole.VIEWER:
        raise Problem(403, VIEWERS_LOOK)
    else:
        _own(user, strategy_id)
        shares.remove(user.user_id, strategy_id, user_id, by=by)
    workspace().taken_over()


def _shares_out(strategy_id: str) -> list[ShareOut]:
    return [_share_out(each) for each in workspace().data.shares.of(strategy_id)]


def _share_out(row: Share) -> ShareOut:
    person = row.user
    return ShareOut(user_id=person.user_id, name=person.name, email=person.email, role=person.role.value, shared_at=moment(row.shared_at))


# --- levels and ladders --------------------------------------------------------------------------------------------


def levels(user: User, strategy_id: str, query: LevelsQuery = _ANY_DAY) -> Page[LevelsOut]:
    shop = workspace()
    shop.data.strategies.seen(user.user_id, strategy_id)
    found = shop.data.levels.of(user.user_id, strategy_id, symbol=query.symbol, day=query.day)
    return page_of([_levels_out(day) for day in found], query, lambda day: (day.day, day.symbol))


def _levels_out(day: DayLevels) -> LevelsOut:
    drawn = [LevelOut(name=one.name, price=Decimal(repr(round(one.price, 6))), kind=one.kind, side=one.side.value) for one in day.levels]
    return LevelsOut(strategy_id=day.strategy_id, symbol=day.symbol, day=day.day, says=day.says, levels=drawn, at=moment(day.at))


def ladders(user: User, strategy_id: str, query: LadderQuery = _EVERY_SYMBOL) -> Page[LadderOut]:
    """One row for each account that the strategy is mapped to, of one instrument or of each; from memory but for the newest entry orders and the
    strategy's words."""
    shop = workspace()
    strategy = shop.data.strategies.seen(user.user_id, strategy_id).strategy
    if query.symbol is not None and query.symbol not in strategy.instruments:
        raise NotFound("The strategy does not trade this instrument.")
    mappings = [row.mapping for row in shop.data.mappings.list(user.user_id, strategy_id=strategy_id)]
    accounts = [shop.owners.account(user, mapping.account_id) for mapping in mappings]
    found = shop.system.positions([account.account_id for account in accounts], flat=True)
    views = {
        (view.position.key.account_id, view.position.key.symbol): view for view in found if view.position.key.strategy_id == strategy_id
    }
    rows = []
    for symbol in strategy.instruments if query.symbol is None else (query.symbol,):
        newest, says = _newest_entries(user, strategy_id, symbol), _says(user, strategy_id, symbol)
        instrument = shop.system.instruments.get(symbol)
        rows += [
            ladder_out(symbol, mapping, account, instrument, views.get((account.account_id, symbol)), newest.get(account.account_id), says)
            for mapping, account in zip(mappings, accounts, strict=True)
        ]
    return page_of(rows, query, lambda row: (row.account_id, row.symbol))


def _newest_entries(user: User, strategy_id: str, symbol: str) -> Mapping[str, Order]:
    """By account, of this session."""
    shop = workspace()
    since = day_start(shop.system.clock.now(), exchange_of(symbol))
    orders = shop.data.books.orders(user.user_id, strategy_id=strategy_id, symbol=symbol, role=Role.ENTRY, since=since, limit=500).items
    return {order.account_id: order for order in reversed(orders)}


def _says(user: User, strategy_id: str, symbol: str) -> str:
    shop = workspace()
    told = shop.data.levels.of(user.user_id, strategy_id, symbol=symbol, day=session_day(shop.system.clock.now(), exchange_of(symbol)))
    return told[0].says if told else ""


# --- shapes and checks ---------------------------------------------------------------------------------------------


def strategy_out(user: User, row: StrategyRow) -> StrategyOut:
    """As `user` sees it: the owner with whom it is shared, everybody else who shares it."""
    strategy = row.strategy
    owned = strategy.user_id == user.user_id
    owner = None if owned else workspace().data.users.get(strategy.user_id)
    status = workspace().data.books.strategy_status(strategy.user_id, strategy.strategy_id)
    quarantined = status.quarantined if status else None
    state = "quarantined" if quarantined and strategy.active else "running" if strategy.active else "off"
    return StrategyOut(
        id=strategy.strategy_id,
        name=strategy.name,
        kind=strategy.kind,
        params=dict(strategy.params),
        timeframe=strategy.timeframe.value,
        instruments=list(strategy.instruments),
        active=strategy.active,
        exit_plan=exits_out(strategy.exit_plan) if strategy.exit_plan else None,
        reentry=reentry_out(strategy.reentry) if strategy.reentry else None,
        state=state,
        state_detail=(quarantined or "") if state == "quarantined" else "",
        owned=owned,
        shared_by=OwnerOut(name=owner.name, email=owner.email) if owner else None,
        shares=_shares_out(strategy.strategy_id) if owned and strategy.shared_with else [],
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _check_params(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return registry.check_params(kind, _floats(params))
    except registry.UnknownKind as error:
        known = ", ".join(k.kind for k in registry.kinds())
        raise field_problem("kind", f"must be one of {known}") from error
    except ValidationError as error:
        raise Problem(422, "The parameters do not fit the strategy.", errors=field_errors(error, "params")) from error


def _floats(value: Any) -> Any:
    """Parameters are the strategy's own numbers, not money: exact decimals become what JSON calls a number."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _floats(item) for name, item in value.items()}
    return [_floats(item) for item in value] if isinstance(value, list) else value


def _exit_plan(body: ExitsIn | None, symbols: Sequence[str]) -> ExitSpec | None:
    """What its entries are guarded by; on which side they will be is not known yet, but a stop must guard a long position of each instrument."""
    if body is None:
        return None
    spec, mark = body.spec(), workspace().system.prices.mark
    try:
        check_form(spec)
        for symbol in symbols:
            check_reach(replace(spec, targets=()), Side.BUY, mark(symbol))
    except BadSpec as error:
        raise bad_spec(error, "exit_plan.") from error
    return spec


def _check_instruments(symbols: list[str]) -> None:
    table = workspace().system.instruments
    for number, symbol in enumerate(symbols):
        if table.get(symbol) is None:
            raise field_problem(f"instruments.{number}", f"{symbol} is not a known instrument")

"""Replays: puts together what is played from the caller's own strategies, mappings and accounts. The engine of a replay is a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any

from app.api.pages import page_of
from app.api.replays.schemas import FramesQuery, ReplayCommand, ReplayFramesOut, ReplayIn, ReplayOut, ReplayQuery
from app.api.wire import Page, moment
from app.data import Actor, Dataset, User
from app.problems import Problem, field_problem
from app.replays import Busy, Replay, Spec, span
from app.workspace import Workspace, workspace
from engines.core.model import CombinedScope, Instrument, StrategyConfig
from engines.core.sessions import session_day
from engines.ports import TandemError

_ALL = ReplayQuery()


def list_replays(user: User, query: ReplayQuery = _ALL) -> Page[ReplayOut]:
    shown = [replay_out(replay) for replay in workspace().replays.list(user.user_id)]
    return page_of(shown, query, lambda replay: (replay.started_at, replay.id))


def start_replay(user: User, body: ReplayIn, by: Actor) -> ReplayOut:
    shop = workspace()
    dataset = shop.data.datasets.get(user.user_id, body.dataset_id)
    path = shop.data.datasets.path(dataset)
    strategies = tuple(_playable(shop.owners.strategy(user, each), dataset) for each in dict.fromkeys(body.strategy_ids))
    accounts = tuple(shop.owners.account(user, each) for each in dict.fromkeys(body.account_ids))
    chosen = {strategy.strategy_id for strategy in strategies}, {account.account_id for account in accounts}
    mappings = tuple(m for m in shop.data.directory.mappings() if m.enabled and m.strategy_id in chosen[0] and m.account_id in chosen[1])
    if not mappings:
        raise field_problem("account_ids", "none of these strategies trades on any of these accounts: map them first")
    last = body.last_day or body.day
    spec = Spec(
        file=str(path),
        first=_day("day", body.day, dataset),
        last=_day("last_day", last, dataset),
        accounts=accounts,
        strategies=strategies,
        mappings=mappings,
        instruments=_instruments(shop, dataset),
        groups=tuple(
            replace(g, account_ids=_within(g.account_ids, chosen[1])) for g in shop.data.directory.groups() if g.user_id == user.user_id
        ),
        rules=tuple(
            rule
            for rule in shop.data.directory.combined_rules()
            if rule.user_id == user.user_id and (rule.scope is CombinedScope.GROUP or rule.scope_id in (*chosen[0], *chosen[1]))
        ),
        speed=body.speed,
        paused=body.paused,
        calendar_days=tuple(shop.data.directory.calendar_days()),
    )
    try:
        span(spec)
    except TandemError as error:
        raise field_problem("last_day", str(error)) from None
    _holds_some(dataset, spec.first, spec.last)
    try:
        replay = shop.replays.start(user.user_id, body.name or f"{dataset.name}, {body.day}", body.dataset_id, spec)
    except Busy as error:
        raise Problem(409, str(error)) from None
    _written(shop, by, "replay.started", replay, body.model_dump(mode="json", exclude_none=True))
    return replay_out(replay)


def frames(user: User, replay_id: str, query: FramesQuery) -> ReplayFramesOut:
    replay = workspace().replays.get(user.user_id, replay_id)
    told = replay.since(query.after)
    parts = {name: told.get(name, []) for name in ("log", "candles", "orders", "positions", "accounts", "strategies", "incidents")}
    return ReplayFramesOut(**replay_out(replay).model_dump(mode="python"), number=told["number"], **parts)


def control(user: User, replay_id: str, body: ReplayCommand, by: Actor) -> ReplayOut:
    shop = workspace()
    if body.do == "stop":
        replay = shop.replays.stop(user.user_id, replay_id)
        _written(shop, by, "replay.stopped", replay)
        return replay_out(replay)
    said: dict[str, Any] = {"do": body.do}
    if body.speed is not None:
        said["speed"] = body.speed
    if body.seconds is not None:
        said["seconds"] = body.seconds
    replay = shop.replays.command(user.user_id, replay_id, said)
    _written(shop, by, f"replay.{body.do}", replay, said)
    return replay_out(replay)


def delete_replay(user: User, replay_id: str, by: Actor) -> None:
    shop = workspace()
    replay = shop.replays.get(user.user_id, replay_id)
    shop.replays.delete(user.user_id, replay_id)
    _written(shop, by, "replay.deleted", replay)


def _written(shop: Workspace, by: Actor, action: str, replay: Replay, said: Mapping[str, Any] = MappingProxyType({})) -> None:
    """What was seen ends with the server, that it was watched stays in the log."""
    shop.data.audit.add(by, action, "replay", replay.replay_id, after={**said, "name": replay.name})
    shop.written()


def replay_out(replay: Replay) -> ReplayOut:
    now, spec = replay.now, replay.spec
    return ReplayOut(
        id=replay.replay_id,
        name=replay.name,
        dataset_id=replay.dataset_id,
        day=spec.first,
        last_day=spec.last,
        speed=now.get("speed", spec.speed),
        state=replay.state,
        failed=now.get("failed"),
        progress=now["progress"],
        at=moment(now["at"]) if "at" in now else None,
        started_at=moment(replay.started_at),
        strategy_ids=[strategy.strategy_id for strategy in spec.strategies],
        account_ids=[account.account_id for account in spec.accounts],
    )


def _playable(strategy: StrategyConfig, dataset: Dataset) -> StrategyConfig:
    """The strategy on those of its instruments that the data holds."""
    there = tuple(symbol for symbol in strategy.instruments if symbol in dataset.symbols)
    if not there:
        raise field_problem(
            "strategy_ids", f"{dataset.name} holds nothing that {strategy.name} trades ({', '.join(strategy.instruments[:3])})"
        )
    if dataset.seconds and strategy.timeframe.seconds % dataset.seconds:
        raise field_problem(
            "strategy_ids", f"candles of {strategy.timeframe} cannot be made of the {dataset.seconds}-second candles of {dataset.name}"
        )
    return replace(strategy, instruments=there)


def _instruments(shop: Workspace, dataset: Dataset) -> tuple[Instrument, ...]:
    """What the file's names stand for. An index cannot be traded: it stands for its future, as in a back-test."""
    known = (shop.system.instruments.get(symbol) for symbol in dataset.symbols)
    return tuple(replace(each, segment="FUT") if each.segment == "INDEX" else each for each in known if each is not None)


def _day(field: str, text: str, dataset: Dataset) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise field_problem(field, f"{text} is not a day") from None
    first, last = (session_day(at, dataset.symbols[0]) for at in (dataset.first_at, dataset.last_at))
    if not first <= day.isoformat() <= last:
        raise field_problem(field, f"{dataset.name} goes from {first} to {last}")
    return day.isoformat()


def _holds_some(dataset: Dataset, first: str, last: str) -> None:
    """A holiday, or a hole of the data, is no day to replay."""
    days: list[str] = list(dataset.report.get("days", ()))
    if not days or any(first <= day <= last for day in days):
        return
    after = next((day for day in days if day > last), None)
    raise field_problem("day", f"{dataset.name} has nothing on that day{f'; the next day that it has is {after}' if after else ''}")


def _within(ids: tuple[str, ...], wanted: set[str]) -> tuple[str, ...]:
    return tuple(each for each in ids if each in wanted)

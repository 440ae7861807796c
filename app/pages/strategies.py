"""Strategies: the list, one strategy with its chart, and the form whose fields come from the kind's own schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, request

from app.pages import words
from app.pages.forms import schema_fields
from app.pages.room import accounts, by_account, by_place, by_strategy, form, names, page, reads, room

routes = room("strategies")
_SIDES = ("BUY", "SELL")


@routes.get("/strategies")
def index() -> Response:
    read = reads()
    mappings = by_account(read.mappings())
    by_id = {account.id: account for account in accounts()}
    strategies = read.strategies()
    return page(
        "strategies/list.html",
        strategies=strategies,
        kinds={kind.kind: kind.name for kind in read.kinds()},
        where={
            s.id: [by_id[m.account_id] for m in mappings if m.strategy_id == s.id and m.enabled and m.account_id in by_id]
            for s in strategies
        },
        pnl=by_strategy(read.pnl().by_strategy),
    )


@routes.get("/strategies/new")
@form
def new() -> Response:
    kinds = reads().kinds()
    chosen = next((kind for kind in kinds if kind.kind == request.args.get("kind")), kinds[0] if kinds else None)
    return page("strategies/form.html", strategy=None, kinds=kinds, **_form(chosen, {}))


@routes.get("/strategies/<strategy_id>/edit")
@form
def edit(strategy_id: str) -> Response:
    strategy = reads().strategy(strategy_id)
    if not strategy.owned:
        abort(403)
    kinds = reads().kinds()
    chosen = next((kind for kind in kinds if kind.kind == strategy.kind), None)
    return page("strategies/form.html", strategy=strategy, kinds=kinds, **_form(chosen, strategy.params))


@routes.get("/strategies/<strategy_id>")
def show(strategy_id: str) -> Response:
    read = reads()
    strategy = read.strategy(strategy_id)
    symbol = request.args.get("symbol") or (strategy.instruments[0] if strategy.instruments else "")
    if symbol and symbol not in strategy.instruments:
        abort(404)
    kind = next((kind for kind in read.kinds() if kind.kind == strategy.kind), None)
    levels = read.levels(strategy_id, symbol)
    ladders = by_account(read.ladders(strategy_id, symbol)) if symbol else []
    return page(
        "strategies/show.html",
        strategy=strategy,
        kind=kind,
        fields=schema_fields(kind.params_schema, strategy.params) if kind else [],
        preset=_preset_of(_presets(kind), strategy.params) if kind else None,
        levels=levels,
        rungs=_rungs(levels.levels) if levels else [],
        ladders=ladders if levels or any(ladder.targets for ladder in ladders) else [],
        symbol=symbol,
        quotes={quote.symbol: quote for quote in read.quotes(strategy.instruments)},
        mappings=[mapping for mapping in by_account(read.mappings()) if mapping.strategy_id == strategy_id],
        names=names(),
        accounts={account.id: account for account in accounts()},
        results=by_strategy(read.pnl().by_strategy).get(strategy_id),
        positions=by_place(read.positions(strategy_id=strategy_id)),
        signals=read.signals({"strategy_id": strategy_id, "limit": "20"}).items,
    )


def _form(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    presets = _presets(kind) if kind else []
    return {
        "chosen": kind,
        "fields": schema_fields(kind.params_schema, values) if kind else [],
        "presets": presets,
        "preset": _preset_of(presets, values),
        "timeframes": words.TIMEFRAMES,
    }


def _presets(kind: Any) -> list[dict[str, Any]]:
    """A kind's presets with every parameter said, so that choosing one fills every field."""
    defaults = {name: part["default"] for name, part in kind.params_schema.get("properties", {}).items() if "default" in part}
    return [{"id": one.id, "name": one.name, "about": one.about, "params": {**defaults, **one.params}} for one in kind.presets]


def _preset_of(presets: list[dict[str, Any]], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The preset that these parameters are, to the last one; without parameters the defaults count."""
    return next((one for one in presets if {**one["params"], **values} == one["params"] and (values or one is presets[0])), None)


def _rungs(levels: list[Any]) -> list[dict[str, Any]]:
    """The ladder as a table: the entry first, then a row for each step with its target and stop for either side."""
    cells = {(level.side, level.name): level.price for level in levels}
    entries = [level for level in levels if level.kind == "entry"]
    steps = max((int(level.name[1:]) for level in levels if level.kind == "target"), default=0)
    named = [{"name": level.name, "entry": True, "prices": {side: cells.get((side, level.name)) for side in _SIDES}} for level in entries]
    return named + [
        {"name": str(n), "entry": False, "prices": {(side, kind): cells.get((side, f"{kind}{n}")) for side in _SIDES for kind in "TY"}}
        for n in range(1, steps + 1)
    ]

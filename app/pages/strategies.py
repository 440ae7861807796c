"""Strategies: the list, one strategy with its chart, and the form whose fields come from the kind's own schema."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request

from app.pages import words
from app.pages.forms import schema_fields
from app.pages.room import accounts, by_account, by_place, by_strategy, form, names, page, reads, room

routes = room("strategies")


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
    return page(
        "strategies/show.html",
        strategy=strategy,
        kind=kind,
        fields=schema_fields(kind.params_schema, strategy.params) if kind else [],
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
    return {"chosen": kind, "fields": schema_fields(kind.params_schema, values) if kind else [], "timeframes": words.TIMEFRAMES}

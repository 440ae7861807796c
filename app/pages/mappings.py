"""Mappings: strategies down, accounts across; a cell says how much of the account's capital the strategy may use, and how."""

from __future__ import annotations

from decimal import Decimal

from flask import Response, abort, request

from app.pages import words
from app.pages.room import accounts, form, page, reads, room

routes = room("mappings")


@routes.get("/mappings")
def index() -> Response:
    read = reads()
    mappings, strategies = read.mappings(), read.strategies()
    seen = {strategy.id for strategy in strategies}
    return page(
        "mappings/matrix.html",
        accounts=accounts(),
        strategies=strategies,
        ended=list(dict.fromkeys(mapping.strategy_id for mapping in mappings if mapping.strategy_id not in seen)),
        cells={(mapping.strategy_id, mapping.account_id): mapping for mapping in mappings},
        allocated={a.id: sum((m.allocation_pct for m in mappings if m.account_id == a.id), Decimal(0)) for a in accounts()},
    )


@routes.get("/mappings/new")
@form
def new() -> Response:
    read = reads()
    account_id, strategy_id = request.args.get("account", ""), request.args.get("strategy", "")
    taken = sum((m.allocation_pct for m in read.mappings() if m.account_id == account_id), Decimal(0))
    return page(
        "mappings/form.html",
        mapping=None,
        account_id=account_id,
        strategy_id=strategy_id,
        accounts=accounts(),
        strategies=read.strategies(),
        free=max(Decimal(100) - taken, Decimal(0)),
        sizing_modes=words.SIZING,
    )


@routes.get("/mappings/<mapping_id>/edit")
@form
def edit(mapping_id: str) -> Response:
    read = reads()
    mappings = read.mappings()
    mapping = next((one for one in mappings if one.id == mapping_id), None) or abort(404)
    others = sum((m.allocation_pct for m in mappings if m.account_id == mapping.account_id and m.id != mapping_id), Decimal(0))
    return page(
        "mappings/form.html",
        mapping=mapping,
        account_id=mapping.account_id,
        strategy_id=mapping.strategy_id,
        accounts=accounts(),
        strategies=read.strategies(),
        free=max(Decimal(100) - others, Decimal(0)),
        sizing_modes=words.SIZING,
    )

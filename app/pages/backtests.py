"""Back-tests and sweeps: the list, the form, the progress of one that runs, the report with its tabs, the map of a sweep, several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, redirect, request

from app.api.exits import ExitsIn, exits_out
from app.api.strategies.reentry import ReentryIn, reentry_out
from app.pages import heat, study, words
from app.pages.forms import schema_fields
from app.pages.room import accounts, filters, form, older, page, reads, room

routes = room("backtests")

TABS = (
    ("overview", "Overview"),
    ("chart", "Chart"),
    ("trades", "Trades"),
    ("breakdown", "Breakdown"),
    ("robustness", "Robustness"),
    ("assumptions", "Data & assumptions"),
)
MODES = (
    ("backtest", "Back-test", "one set of parameters, a full report"),
    ("sweep", "Sweep", "many sets of parameters, a map"),
    ("walk", "Walk-forward", "best of the past, traded on what follows"),
)
MOST_COMPARED = 8


@routes.get("/backtests")
def index() -> Response:
    args = filters("kind", "state")
    found = reads().studies(args)
    return page("backtests/list.html", studies=found, args=args, next_url=older(args, found.next))


@routes.get("/backtests/new")
@form
def new() -> Response:
    read = reads()
    kinds, strategies, sources = read.kinds(), read.own_strategies(), read.study_sources()
    before = read.study(request.args["from"]) if request.args.get("from") else None
    asked: Mapping[str, Any] = before.asked if before else {}
    strategy = next((s for s in strategies if s.id == (request.args.get("strategy") or asked.get("strategy_id"))), None)
    rules = request.args.get("rules", "")
    if rules.startswith("kind:"):
        strategy = None
    elif rules.startswith("strategy:"):
        strategy = next((s for s in strategies if s.id == rules.partition(":")[2]), None)
    wanted = (
        rules.removeprefix("kind:")
        if rules.startswith("kind:")
        else strategy.kind
        if strategy
        else request.args.get("kind") or asked.get("kind")
    )
    kind = next((k for k in kinds if k.kind == wanted), None if strategy else (kinds[0] if kinds else None))
    values = dict(strategy.params) if strategy else {}
    grid: Mapping[str, Any] = {}
    seats = asked.get("accounts") or []
    mode = "backtest"
    if before is not None and not rules:
        values |= asked.get("params") or {}
        part = asked.get("sweep") or asked.get("walk_forward") or {}
        grid, mode = part.get("grid", {}), "sweep" if asked.get("sweep") else "walk" if asked.get("walk_forward") else "backtest"
        values |= {name[2:]: value for name, value in request.args.items() if name.startswith("p.")}
        if any(name.startswith("p.") for name in request.args):
            mode = "backtest"
    return page(
        "backtests/form.html",
        kinds=kinds,
        strategies=strategies,
        strategy=strategy,
        kind=kind,
        fields=schema_fields(kind.params_schema, values) if kind else [],
        grid={name: study.axis(said) for name, said in grid.items()},
        asked_mode=request.args.get("mode", mode),
        modes=MODES,
        before=before,
        asked=asked,
        recipe=_recipe(asked, strategy),
        again=_again(asked, strategy),
        chosen={each["dataset_id"]: each.get("symbol") or "" for each in asked.get("data") or []}
        or ({request.args["dataset"]: ""} if request.args.get("dataset") else {}),
        sample=asked.get("sample") if before else (None if sources.datasets else {}),
        sources=sources,
        accounts=accounts(),
        own={seat["account_id"] for seat in seats if seat.get("account_id")},
        made=next((seat for seat in seats if not seat.get("account_id")), {}),
        timeframes=words.TIMEFRAMES,
        ranks=study.RANKS,
        brokers=study.BROKERS,
    )


def _recipe(asked: Mapping[str, Any], strategy: Any) -> Any:
    """The exit plan to begin with: what was asked before, else the strategy's own."""
    if "exit_plan" in asked:
        return exits_out(ExitsIn.model_validate(asked["exit_plan"]).spec()) if asked["exit_plan"] else None
    return strategy.exit_plan if strategy else None


def _again(asked: Mapping[str, Any], strategy: Any) -> Any:
    if "reentry" in asked:
        return reentry_out(ReentryIn.model_validate(asked["reentry"]).spec()) if asked["reentry"] else None
    return strategy.reentry if strategy else None


@routes.get("/backtests/compare")
def compare() -> Any:
    ids = list(dict.fromkeys(part for value in request.args.getlist("ids") for part in value.split(",") if part))
    if not 2 <= len(ids) <= MOST_COMPARED:
        return redirect("/backtests")
    found = reads().compared(ids)
    return page("backtests/compare.html", items=found, rows=study.compared(found), params=study.differing(found), ids=ids)


@routes.get("/backtests/<study_id>")
def show(study_id: str) -> Response:
    one = reads().study(study_id)
    if one.kind == "sweep" and (one.state in ("done", "running", "cancelled", "failed")):
        return _sweep(one)
    if one.state != "done":
        return page("backtests/running.html", study=one)
    tab = request.args.get("tab", "overview")
    if tab not in dict(TABS):
        abort(404)
    report = reads().study_report(study_id)
    names = {each["account_id"]: each["name"] for each in report.get("accounts", [])}
    context: dict[str, Any] = {"study": one, "report": report, "tab": tab, "tabs": TABS, "names": names}
    if tab == "trades":
        context |= _trades(study_id)
    elif tab == "chart":
        symbols = reads().study_symbols(study_id)
        symbol = request.args.get("symbol") or (symbols[0] if symbols else "")
        account = request.args.get("account") or next(iter(names), "")
        context |= {"symbols": symbols, "symbol": symbol, "account": account}
    return page("backtests/report.html", figures=study.figures(report), **context)


def _trades(study_id: str) -> dict[str, Any]:
    wanted = {name: value for name, value in request.args.items() if name in ("account_id", "symbol", "exit_reason") and value}
    offset = request.args.get("offset", "0")
    start = int(offset) if offset.isdecimal() and len(offset) < 9 else 0
    found = reads().study_trades(study_id, {**wanted, "offset": start, "limit": study.TRADES_SHOWN})
    return {"trades": found, "wanted": wanted, "start": start, "shown": study.TRADES_SHOWN}


def _labels(kind: str) -> dict[str, str]:
    """Parameters as the strategy calls them."""
    schemas = (each.params_schema for each in reads().kinds() if each.kind == kind)
    return {name: said["title"] for schema in schemas for name, said in schema.get("properties", {}).items() if "title" in said}


def _sweep(one: Any) -> Response:
    found = reads().sweep_results(one.id)
    chosen = {name: request.args.get(name, "") for name in ("x", "y", "figure", "over")}
    chart = heat.heat_map(found.items, rank=found.rank, **chosen)
    return page(
        "backtests/sweep.html",
        study=one,
        results=found,
        map=chart,
        ranks=study.RANKS,
        names=study.FIGURES,
        labels=_labels(one.strategy_kind),
        top=found.items[:50],
        spread=heat.spread(found.items, found.rank),
    )

"""Data: what back-tests and replays run on. The list with what is being recorded, the import, and one dataset with its report and its days."""

from __future__ import annotations

from flask import Response, request

from app.pages.coverage import coverage
from app.pages.room import filters, form, older, page, reads, room

routes = room("data")

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "MCX", "BINANCE")
ORDERS = (("", "as the file shows"), ("true", "day first: 03/04 is in April"), ("false", "month first: 03/04 is in March"))


@routes.get("/data")
def index() -> Response:
    args = filters("kind", "source")
    found = reads().datasets(args)
    return page("data/list.html", datasets=found, args=args, recording=reads().recording(), next_url=older(args, found.next))


@routes.get("/data/import")
@form
def new() -> Response:
    return page("data/import.html", exchanges=[(name, name) for name in EXCHANGES], orders=ORDERS)


@routes.get("/data/<dataset_id>")
def show(dataset_id: str) -> Response:
    dataset = reads().dataset(dataset_id)
    asked = request.args.get("symbol", "")
    symbol = asked if asked in dataset.symbols else dataset.symbols[0]
    return page("data/show.html", dataset=dataset, symbol=symbol, tab=request.args.get("lines", ""))


@routes.get("/data/<dataset_id>/coverage")
def days(dataset_id: str) -> Response:
    """The calendar of one instrument; fetched after the page, because it is worked out anew."""
    read = reads()
    dataset = read.dataset(dataset_id)
    asked = request.args.get("symbol", "")
    symbol = asked if asked in dataset.symbols else dataset.symbols[0]
    gaps = read.dataset_gaps(dataset_id, symbol)
    found = next((each for each in gaps.symbols if each.symbol == symbol), None)
    drawn = coverage(found, dataset.report.days, ticks=dataset.kind == "ticks") if found else None
    return page("data/coverage.html", dataset=dataset, symbol=symbol, gaps=found, notes=gaps.notes, coverage=drawn)

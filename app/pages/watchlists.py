"""Watchlists: prices, the day of each instrument with the levels of one's strategies on it, and orders by one click."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Response, abort, request

from app.pages.room import accounts, form, page, reads, room

routes = room("watchlists")

WIDTH, MARGIN = 160, 4
_FAR = 2  # ranges of the day that a level may lie outside of it and still be drawn


@dataclass(frozen=True, slots=True)
class Mark:
    """A level on the bar: where, what and for which side."""

    at: float
    name: str
    price: str
    strategy: str
    side: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The day of an instrument as a bar: `low` to `high` on a scale that takes in the near levels. Places are pixels."""

    least: Decimal
    most: Decimal
    low: float
    high: float
    opened: float
    last: float
    marks: tuple[Mark, ...]


@routes.get("/watchlists")
def index() -> Response:
    lists = reads().watchlists()
    if not lists:
        return page("watchlists/show.html", lists=[], chosen=None, rows=[], bars={}, **_trading())
    wanted = request.args.get("list")
    return show(next((each.id for each in lists if each.id == wanted), lists[0].id))


@routes.get("/watchlists/<watchlist_id>")
def show(watchlist_id: str) -> Response:
    lists = reads().watchlists()
    chosen = next((each for each in lists if each.id == watchlist_id), None)
    if chosen is None:
        abort(404)
    rows = reads().days(chosen.symbols)
    return page("watchlists/show.html", lists=lists, chosen=chosen, rows=rows, bars={row.symbol: bar(row) for row in rows}, **_trading())


@routes.get("/watchlists/<watchlist_id>/add")
@form
def add(watchlist_id: str) -> Response:
    """The search dialog."""
    chosen = next((each for each in reads().watchlists() if each.id == watchlist_id), None)
    if chosen is None:
        abort(404)
    return page("watchlists/add.html", chosen=chosen)


@routes.get("/watchlists/new")
@form
def new() -> Response:
    return page("watchlists/new.html")


def _trading() -> dict[str, Any]:
    return {"enabled": [account for account in accounts() if account.enabled], "width": WIDTH}


def bar(row: Any) -> Bar | None:
    """None while the day has no range to show."""
    low, high, last = row.low, row.high, row.last_price
    if low is None or high is None or last is None:
        return None
    low, high = min(low, last), max(high, last)
    reach = (high - low) * _FAR
    levels = [level for level in row.levels if level["kind"] == "entry" and low - reach <= Decimal(level["price"]) <= high + reach]
    prices = [Decimal(level["price"]) for level in levels]
    least, most = min([low, *prices]), max([high, *prices])
    if least == most:
        return None

    def place(price: Decimal) -> float:
        return round(MARGIN + float((price - least) / (most - least)) * (WIDTH - 2 * MARGIN), 1)

    marks = tuple(
        Mark(place(price), each["name"], each["price"], each["strategy"], each["side"]) for each, price in zip(levels, prices, strict=True)
    )
    return Bar(least, most, place(low), place(high), place(row.open or low), place(last), marks)

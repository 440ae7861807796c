"""Watchlists and the day of an instrument: what is shown comes from the engines' memory, from candles and from the levels of the caller's strategies."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.api.pages import keep, page_of
from app.api.watchlists.schemas import DayOut, DayQuery, WatchlistIn, WatchlistOut, WatchlistPatch, WatchlistQuery
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, User, Watchlist
from app.problems import field_problem
from app.workspace import Workspace, workspace
from engines.core.model import Instrument, Tick, Timeframe
from engines.core.prices import to_tick
from engines.core.sessions import session_day

_ALL = WatchlistQuery()
_HUNDRED = Decimal(100)


def list_watchlists(user: User, query: WatchlistQuery = _ALL) -> Page[WatchlistOut]:
    shown = [watchlist_out(each) for each in workspace().data.watchlists.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda each: (each.created_at, each.id))


def get_watchlist(user: User, watchlist_id: str) -> WatchlistOut:
    return watchlist_out(workspace().data.watchlists.get(user.user_id, watchlist_id))


def create_watchlist(user: User, body: WatchlistIn, by: Actor) -> WatchlistOut:
    shop = workspace()
    _known(shop, body.symbols)
    return watchlist_out(shop.data.watchlists.add(user.user_id, body.name, body.symbols, by=by))


def change_watchlist(user: User, watchlist_id: str, body: WatchlistPatch, by: Actor) -> WatchlistOut:
    shop = workspace()
    _known(shop, [*(body.symbols or ()), *(body.add or ())])

    def edit(now: Watchlist) -> Watchlist:
        symbols = now.symbols if body.symbols is None else tuple(body.symbols)
        gone = set(body.remove or ())
        symbols = tuple(symbol for symbol in symbols if symbol not in gone)
        symbols += tuple(symbol for symbol in dict.fromkeys(body.add or ()) if symbol not in symbols)
        return replace(now, name=body.name or now.name, symbols=symbols)

    return watchlist_out(shop.data.watchlists.change(user.user_id, watchlist_id, edit, by=by))


def delete_watchlist(user: User, watchlist_id: str, by: Actor) -> None:
    workspace().data.watchlists.delete(user.user_id, watchlist_id, by=by)


def watchlist_out(watchlist: Watchlist) -> WatchlistOut:
    return WatchlistOut(
        id=watchlist.watchlist_id, name=watchlist.name, symbols=list(watchlist.symbols), created_at=moment(watchlist.created_at)
    )


def days(user: User, query: DayQuery) -> Page[DayOut]:
    shop = workspace()
    symbols = list(dict.fromkeys(symbol.strip() for symbol in query.symbols.split(",") if symbol.strip()))
    if not 1 <= len(symbols) <= 200:
        raise field_problem("symbols", "must name 1 to 200 instruments, separated by commas")
    _known(shop, symbols)
    ticks = {tick.symbol: tick for tick in shop.system.quotes(symbols)}
    levels = _levels(shop, user)
    return Page(items=[_day(shop, symbol, ticks.get(symbol), levels.get(symbol, [])) for symbol in symbols], next=None)


def _known(shop: Workspace, symbols: list[str]) -> None:
    for symbol in symbols:
        if shop.system.instruments.get(symbol) is None:
            raise field_problem("symbols", f"{symbol[:80]} is not a known instrument")


def _day(shop: Workspace, symbol: str, tick: Tick | None, levels: list[dict[str, Any]]) -> DayOut:
    """The session's candle is the day's; the one before it says where the day before closed."""
    instrument = shop.system.instruments.get(symbol)
    assert instrument is not None
    candles = shop.system.candles(symbol, Timeframe.D1.value)
    today = session_day(shop.clock.now(), instrument.exchange)
    now = candles[-1] if candles and session_day(candles[-1].start, instrument.exchange) == today else None
    before = next((candle for candle in reversed(candles) if candle is not now), None)
    last = _price(instrument, tick.last_price if tick else None)
    close = _price(instrument, before.close if before else None)
    change = last - close if last is not None and close is not None else None
    return DayOut(
        symbol=symbol,
        last_price=last,
        bid=_price(instrument, tick.bid if tick else None),
        ask=_price(instrument, tick.ask if tick else None),
        as_of=moment_or_none(tick.at if tick else None),
        open=_price(instrument, now.open if now else None),
        high=_price(instrument, now.high if now else None),
        low=_price(instrument, now.low if now else None),
        previous_close=close,
        change=change,
        change_pct=None if change is None or not close else (change * _HUNDRED / close).quantize(Decimal("0.01")),
        levels=levels,
    )


def _price(instrument: Instrument, price: float | None) -> Decimal | None:
    return None if price is None else to_tick(price, instrument.tick_size)


def _levels(shop: Workspace, user: User) -> dict[str, list[dict[str, Any]]]:
    """Instrument → what active strategies, the caller's and those shared with them, have worked out for the present session."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in shop.data.strategies.list_seen(user.user_id):
        if not row.strategy.active:
            continue
        for day in shop.data.levels.of(user.user_id, row.strategy.strategy_id):
            if day.day != session_day(shop.clock.now(), day.symbol):
                continue
            mine = found.setdefault(day.symbol, [])
            for level in day.levels:
                price = {"price": f"{level.price:.2f}", "name": level.name, "kind": level.kind, "side": level.side.value}
                mine.append({"strategy_id": row.strategy.strategy_id, "strategy": row.strategy.name, **price})
    return found

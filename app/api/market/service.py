"""Instruments, quotes and candles: market data is nobody's own, so every signed-in person sees all of it."""

from __future__ import annotations

from decimal import Decimal

from app.api.market.schemas import (
    CandleOut,
    CandleQuery,
    InstrumentListOut,
    InstrumentListsOut,
    InstrumentOut,
    InstrumentQuery,
    QuoteOut,
    QuoteQuery,
    RefreshAnswer,
    RefreshIn,
)
from app.api.pages import offset_of
from app.api.wire import Page, make_cursor, moment, moment_or_none
from app.data import Actor, Conflict, User, UserRole
from app.problems import Problem, field_problem
from app.workspace import Workspace, workspace
from engines.core.model import Candle, Instrument, Tick
from engines.core.prices import to_tick

_ALL = InstrumentQuery()
MOST_MATCHES = 2_000
_CENT = Decimal("0.01")


def instruments(_user: User, query: InstrumentQuery = _ALL) -> Page[InstrumentOut]:
    """The best matches first; without `q` by symbol."""
    table = workspace().system.instruments
    start = offset_of(query.cursor)
    following = start + query.limit
    if query.symbol is not None:
        only = table.get(query.symbol)
        found = [only] if only is not None and _fits(only, query) else []
    else:
        found = table.search(query.q, query.exchange, min(following + 1, MOST_MATCHES), query.segment)
    shown = found[start:following]
    return Page(items=[instrument_out(i) for i in shown], next=make_cursor(str(following)) if following < len(found) else None)


def _fits(instrument: Instrument, query: InstrumentQuery) -> bool:
    words = query.q.strip().lower()
    known = f"{instrument.symbol} {instrument.name}".lower()
    return query.exchange in (None, instrument.exchange) and query.segment in (None, instrument.segment) and words in known


def instrument_lists(_user: User) -> InstrumentListsOut:
    keeper = workspace().lists
    if keeper is None:
        return InstrumentListsOut(running=False, next_at=None, lists=[])
    status = keeper.status()
    return InstrumentListsOut(
        running=status.running,
        next_at=moment(status.next_at),
        lists=[
            InstrumentListOut(
                broker=each.broker,
                wanted=each.wanted,
                loaded_at=moment_or_none(each.loaded_at),
                listed=each.listed,
                stale=each.stale,
                problem=each.problem,
            )
            for each in status.lists
        ],
    )


def refresh_instruments(user: User, body: RefreshIn, by: Actor) -> RefreshAnswer:
    """Lists are everybody's, so whoever trades may ask for new ones; to take a shrunken one is the owner's decision."""
    shop = workspace()
    if body.force and user.role is not UserRole.OWNER:
        raise Problem(403, "Only the owner may take a list that has shrunk.")
    brokers = sorted(shop.lists.refresh_now(body.force)) if shop.lists is not None else []
    if not brokers:
        raise Conflict("No account at a broker needs a list of instruments, so there is nothing to fetch.")
    shop.data.audit.add(by, "instruments.refresh", "system", "", after={"brokers": brokers, "force": body.force})
    return RefreshAnswer(
        state="started", brokers=brokers, detail=f"Fetching the instruments of {', '.join(brokers)}; it takes about a minute."
    )


def quotes(_user: User, query: QuoteQuery) -> Page[QuoteOut]:
    """In the order asked; an instrument without a price yet has nulls."""
    shop = workspace()
    symbols = list(dict.fromkeys(symbol.strip() for symbol in query.symbols.split(",") if symbol.strip()))
    if not symbols or len(symbols) > 500:
        raise field_problem("symbols", "must name 1 to 500 instruments, separated by commas")
    for symbol in symbols:
        if shop.system.instruments.get(symbol) is None:
            raise field_problem("symbols", f"{symbol[:80]} is not a known instrument")
    start = offset_of(query.cursor)
    shown = symbols[start : start + query.limit]
    ticks = {tick.symbol: tick for tick in shop.system.quotes(shown)}
    following = start + query.limit
    return Page(
        items=[quote_out(shop, symbol, ticks.get(symbol)) for symbol in shown],
        next=make_cursor(str(following)) if following < len(symbols) else None,
    )


def candles(_user: User, query: CandleQuery) -> Page[CandleOut]:
    """The newest `limit` of the range, oldest first; `next` goes further back."""
    shop = workspace()
    instrument = shop.system.instruments.get(query.symbol)
    if instrument is None:
        raise field_problem("symbol", f"{query.symbol} is not a known instrument")
    end = query.to if query.to is not None else shop.clock.now() + 1
    if query.cursor is not None:
        end = min(end, float(offset_of(query.cursor)))
    start = query.from_ if query.from_ is not None else 0.0
    if start > end and query.cursor is None:
        raise field_problem("from", "must be before to")
    found = list(shop.system.candles(query.symbol, query.timeframe, start, end))
    shown = found[-query.limit :]
    more = len(found) > len(shown)
    return Page(items=[candle_out(c, instrument.tick_size) for c in shown], next=make_cursor(str(int(shown[0].start))) if more else None)


def instrument_out(instrument: Instrument) -> InstrumentOut:
    return InstrumentOut(
        symbol=instrument.symbol,
        name=instrument.name,
        exchange=instrument.exchange,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        freeze_quantity=instrument.freeze_quantity,
        expiry=instrument.expiry,
        strike=instrument.strike,
        option_type=instrument.option_type,
        segment=instrument.segment,
    )


def tick_of(symbol: str) -> Decimal | None:
    instrument = workspace().system.instruments.get(symbol)
    return instrument.tick_size if instrument else None


def quote_out(shop: Workspace, symbol: str, tick: Tick | None) -> QuoteOut:
    instrument = shop.system.instruments.get(symbol)
    size = instrument.tick_size if instrument else _CENT
    return QuoteOut(
        symbol=symbol,
        last_price=to_tick(tick.last_price, size) if tick else None,
        bid=to_tick(tick.bid, size) if tick else None,
        ask=to_tick(tick.ask, size) if tick else None,
        as_of=moment_or_none(tick.at if tick else None),
        tick_size=instrument.tick_size if instrument else None,
    )


def candle_out(candle: Candle, size: Decimal) -> CandleOut:
    return CandleOut(
        start=moment(candle.start),
        open=to_tick(candle.open, size),
        high=to_tick(candle.high, size),
        low=to_tick(candle.low, size),
        close=to_tick(candle.close, size),
        volume=Decimal(repr(candle.volume)),
    )

"""Routes of instruments and their lists, quotes and candles."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.market import service
from app.api.market.schemas import (
    CandleOut,
    CandleQuery,
    InstrumentListsOut,
    InstrumentOut,
    InstrumentQuery,
    QuoteOut,
    QuoteQuery,
    RefreshAnswer,
    RefreshIn,
)
from app.api.wire import Page

routes = Routes("market")


@routes.get("/api/instruments", query=InstrumentQuery, out=Page[InstrumentOut])
def instruments(call: Call) -> Page[InstrumentOut]:
    """Search by symbol, name, strike, month: `infy`, `banknifty fut`, `nifty 24500 ce`; the best matches first.
    The order of the words does not matter; of contracts the nearest expiry comes first. No more than 2,000 matches are listed."""
    return service.instruments(call.user, call.query)


@routes.get("/api/system/instruments", out=InstrumentListsOut)
def instrument_lists(call: Call) -> InstrumentListsOut:
    """The brokers' instrument lists: how old, how long, and what went wrong when they were last renewed."""
    return service.instrument_lists(call.user)


@routes.post("/api/system/instruments/refresh", body=RefreshIn, out=RefreshAnswer, status=202, errors=(409,))
def refresh_instruments(call: Call) -> RefreshAnswer:
    """Fetches the lists of every broker that has an account here, now. 409 when no account needs one."""
    return service.refresh_instruments(call.user, call.body, call.by)


@routes.get("/api/quotes", query=QuoteQuery, out=Page[QuoteOut])
def quotes(call: Call) -> Page[QuoteOut]:
    """The newest prices."""
    return service.quotes(call.user, call.query)


@routes.get("/api/candles", query=CandleQuery, out=Page[CandleOut])
def candles(call: Call) -> Page[CandleOut]:
    """Candles of a range, oldest first.
    Unlike other lists, which begin with the newest, a page is in the order in which charts draw it: ascending by `start`. The first page
    holds the newest `limit` candles of the range, the last of them still forming; `next` leads to the page before it."""
    return service.candles(call.user, call.query)

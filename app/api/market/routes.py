"""Routes of instruments, quotes and candles."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.market import service
from app.api.market.schemas import CandleOut, CandleQuery, InstrumentOut, InstrumentQuery, QuoteOut, QuoteQuery
from app.api.wire import Page

routes = Routes("market")


@routes.get("/api/instruments", query=InstrumentQuery, out=Page[InstrumentOut])
def instruments(call: Call) -> Page[InstrumentOut]:
    """Search by symbol or name; the best matches first."""
    return service.instruments(call.user, call.query)


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

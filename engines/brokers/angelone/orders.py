"""Our orders as SmartAPI's parameters. Angel One takes no MARKET and no stop-market orders from programs, so both leave as limits that are meant to trade.

Pure. How far such a limit reaches beyond the quote or the trigger is dated data; it lies on the tick, inside the band, and never on a guess: without a quote
there is no such order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Any

from engines.core.model import Instrument, OrderType, Product, Side
from engines.core.prices import to_tick
from engines.ports import Listing, OrderRequest, Refused

Params = dict[str, str]

_PRODUCTS = {Product.MIS: "INTRADAY", Product.NRML: "CARRYFORWARD", Product.CNC: "DELIVERY"}
_HUNDRED = Decimal(100)
LONGEST_TAG = 19


@dataclass(frozen=True, slots=True)
class Reach:
    """How far beyond: the larger of so many ticks and so many percent."""

    ticks: int
    pct: Decimal

    def of(self, price: Decimal, tick: Decimal) -> Decimal:
        return max(self.ticks * tick, price * self.pct / _HUNDRED)


@lru_cache(maxsize=1)
def rules() -> Mapping[str, Any]:
    text = resources.files("engines.brokers.angelone").joinpath("data", "rules.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def in_force(rows: list[dict[str, Any]], day: str) -> dict[str, Any]:
    """The newest row that has begun by an ISO date; the first one for days before all of them."""
    begun = [row for row in rows if row["from"] <= day]
    return begun[-1] if begun else rows[0]


@lru_cache(maxsize=64)
def _reach(what: str, kind: str, day: str) -> Reach:
    row = in_force(rules()["protection"], day)[what][kind]
    return Reach(row["ticks"], Decimal(row["pct"]))


def _kind(instrument: Instrument) -> str:
    return {"OPT": "option", "FUT": "future"}.get(instrument.segment, "cash")


def marketable_price(instrument: Instrument, side: Side, quote: Decimal, day: str) -> Decimal:
    """A limit that trades at once at the present quote and goes no further than the protection."""
    return _beyond(instrument, side, quote, _reach("market", _kind(instrument), day))


def stop_limit_price(instrument: Instrument, side: Side, trigger: Decimal, day: str) -> Decimal:
    """The limit of a stop that should trade once its trigger has."""
    return _beyond(instrument, side, trigger, _reach("stop", _kind(instrument), day))


def _beyond(instrument: Instrument, side: Side, price: Decimal, reach: Reach) -> Decimal:
    tick, band = instrument.tick_size, price * instrument.band_pct / _HUNDRED
    away = reach.of(price, tick)
    if side is Side.BUY:
        return min(to_tick(price + away, tick, "up"), to_tick(price + band, tick, "down"))
    return max(to_tick(price - away, tick, "down"), to_tick(price - band, tick, "up"), tick)


def place_params(request: OrderRequest, listing: Listing, day: str) -> Params:
    """Everything placeOrder wants; raises Refused for what must not be sent."""
    _check(request)
    return {
        **_common(request, listing),
        **_prices(request, day),
        "transactiontype": request.side.value,
        "quantity": plain(request.quantity),
        "disclosedquantity": "0",
        "squareoff": "0",
        "stoploss": "0",
        "ordertag": request.client_id,
    }


def modify_params(request: OrderRequest, listing: Listing, broker_order_id: str, day: str, standing: Decimal | None) -> Params:
    """`request` is the order as it shall be. `standing`: the limit price that Angel One has now, which an order that was sent as MARKET keeps unless a
    price is asked for."""
    _check(request)
    standing = request.price or standing
    if request.order_type is OrderType.MARKET and standing is not None:
        prices = {"variety": "NORMAL", "ordertype": "LIMIT", "price": plain(standing), "triggerprice": "0"}
    else:
        prices = _prices(request, day)
    return {**_common(request, listing), **prices, "orderid": broker_order_id, "quantity": plain(request.quantity)}


def variety(order_type: OrderType) -> str:
    return "STOPLOSS" if order_type in (OrderType.SL, OrderType.SL_M) else "NORMAL"


def _common(request: OrderRequest, listing: Listing) -> Params:
    return {
        "tradingsymbol": listing.trading_symbol,
        "symboltoken": listing.token,
        "exchange": listing.exchange,
        "producttype": _PRODUCTS[request.product],
        "duration": "DAY",
    }


def _prices(request: OrderRequest, day: str) -> Params:
    instrument, side = request.instrument, request.side
    trigger = request.trigger_price
    if request.order_type is OrderType.MARKET:
        price = marketable_price(instrument, side, _quote(request), day)
    elif request.order_type is OrderType.SL_M:
        price = stop_limit_price(instrument, side, _given(trigger, "a trigger price"), day)
    else:
        price = _given(request.price, "a price")
    stop = variety(request.order_type) == "STOPLOSS"
    return {
        "variety": variety(request.order_type),
        "ordertype": "STOPLOSS_LIMIT" if stop else "LIMIT",
        "price": plain(price),
        "triggerprice": plain(_given(trigger, "a trigger price")) if stop else "0",
    }


def _quote(request: OrderRequest) -> Decimal:
    quote = request.quote
    if quote is None or not quote.is_finite() or quote <= 0:
        raise Refused(
            f"no price of {request.instrument.symbol} is known just now: Angel One takes no market orders from programs, and without a price "
            "there is no limit to send in its place"
        )
    return quote


def _check(request: OrderRequest) -> None:
    instrument, quantity = request.instrument, request.quantity
    if not quantity.is_finite() or quantity <= 0 or quantity != quantity.to_integral_value():
        raise Refused(f"Angel One takes whole units only, not {quantity}")
    if instrument.freeze_quantity is not None and quantity > instrument.freeze_quantity:
        raise Refused(
            f"{quantity} is above the exchange's freeze quantity of {instrument.freeze_quantity} for one order in {instrument.symbol}"
        )
    if len(request.client_id) > LONGEST_TAG:
        raise Refused("the order's name is too long for Angel One")


def _given(price: Decimal | None, what: str) -> Decimal:
    if price is None or not price.is_finite() or price <= 0:
        raise Refused(f"this kind of order needs {what}")
    return price


def plain(value: Decimal) -> str:
    """Digits and a point, never an exponent."""
    return f"{value:f}"

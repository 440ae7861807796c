"""Our orders in Kite's words. Pure; what Zerodha cannot trade is refused here, before anything has left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engines.brokers.zerodha import rows
from engines.core.model import OrderType
from engines.ports import OrderRequest, Refused

VARIETY = "regular"
MARKET_PROTECTION = -1
"""Since 1 April 2026 Zerodha takes MARKET and SL-M orders only with a protection; -1 lets it apply its own percentages."""
PROTECTED = frozenset({OrderType.MARKET, OrderType.SL_M})


def placing(request: OrderRequest) -> dict[str, Any]:
    """The SDK's arguments for an order; always by name, because their order has changed between releases. Raises Refused for what Zerodha cannot
    trade; nothing has left then."""
    exchange, _, name = request.instrument.symbol.partition(":")
    if exchange not in rows.EXCHANGES or not name:
        raise Refused(f"Zerodha does not trade {request.instrument.symbol}")
    freeze = request.instrument.freeze_quantity
    if freeze is not None and request.quantity > freeze:
        raise Refused(f"{request.quantity} is more than the exchange takes in one order of {request.instrument.symbol} ({freeze})")
    arguments: dict[str, Any] = {
        "variety": VARIETY,
        "exchange": exchange,
        "tradingsymbol": name,
        "transaction_type": request.side.value,
        "quantity": _units(request.quantity),
        "product": request.product.value,
        "order_type": request.order_type.value,
        "validity": "DAY",
        "tag": request.client_id,
    }
    if request.order_type in (OrderType.LIMIT, OrderType.SL):
        arguments["price"] = _price(request.price, "a price")
    if request.order_type in (OrderType.SL, OrderType.SL_M):
        arguments["trigger_price"] = _price(request.trigger_price, "a trigger price")
    if request.order_type in PROTECTED:
        arguments["market_protection"] = MARKET_PROTECTION
    return arguments


def modifying(request: OrderRequest, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None) -> dict[str, Any]:
    """The SDK's arguments for a change. What was sent as a market order, or as a stop that has
    triggered, rests at Zerodha as a limit at its protection price: a new price makes it one for good."""
    kind = request.order_type
    if price is not None and kind in PROTECTED:
        kind = OrderType.LIMIT if trigger_price is None else OrderType.SL
    arguments: dict[str, Any] = {"order_type": kind.value, "validity": "DAY"}
    if quantity is not None:
        arguments["quantity"] = _units(quantity)
    if price is not None:
        arguments["price"] = _price(price, "a price")
    if trigger_price is not None:
        arguments["trigger_price"] = _price(trigger_price, "a trigger price")
    if kind in PROTECTED:
        arguments["market_protection"] = MARKET_PROTECTION
    return arguments


def _units(quantity: Decimal) -> int:
    if quantity != quantity.to_integral_value() or quantity <= 0:
        raise Refused(f"Zerodha trades whole units, not {quantity}")
    return int(quantity)


def _price(price: Decimal | None, what: str) -> str:
    if price is None or price <= 0:
        raise Refused(f"this kind of order needs {what}")
    return format(price, "f")

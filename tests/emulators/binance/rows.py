"""Orders, trades, balances and positions as Binance's JSON says them, spot and USD-M, in answers and in user-data events.

Pure: made from what the emulated exchange knows. Numbers are strings: eight places on spot, as many as needed on the futures.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engines.core.model import OrderType, Side
from tests.emulators.binance.markets import Market, eight, plain
from tests.emulators.core.exchange import EmulatedOrder, PositionBook, Status, Trade

ZERO = Decimal(0)
GONE_BY_ITSELF = frozenset({"IOC", "FOK"})
RUNS_OUT = frozenset({"MARKET", "STOP_LOSS"})


def ms(at: float) -> int:
    return int(at * 1000)


def status(order: EmulatedOrder) -> str:
    if order.status is Status.COMPLETE:
        return "FILLED"
    if order.status is Status.CANCELLED:
        expired = not order.extra.get("cancelled_by") and (order.validity in GONE_BY_ITSELF or order.order_type is OrderType.MARKET)
        return "EXPIRED" if expired else "CANCELED"
    if order.status in (Status.REJECTED, Status.EXPIRED):
        return order.status.value.upper()
    return "PARTIALLY_FILLED" if order.filled else "NEW"


# --- spot ------------------------------------------------------------------------------------------------------------


def spot_order(order: EmulatedOrder, market: Market) -> dict[str, Any]:
    """As queries tell it."""
    return {
        **_spot_core(order, market),
        "stopPrice": eight(order.trigger_price or ZERO),
        "icebergQty": eight(ZERO),
        "time": ms(order.booked_at),
        "updateTime": ms(order.updated_at),
        "isWorking": order.status is not Status.TRIGGER_PENDING,
        "workingTime": ms(order.booked_at),
        "origQuoteOrderQty": eight(order.extra.get("quote_quantity", ZERO)),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def spot_placed(order: EmulatedOrder, market: Market, kind: str) -> dict[str, Any]:
    """As the answer to its placement tells it: ACK, RESULT or FULL."""
    now = ms(order.updated_at)
    short = {
        "symbol": market.symbol,
        "orderId": int(order.broker_order_id),
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": now,
    }
    if kind == "ACK":
        return short
    made = {
        **short,
        **_spot_core(order, market),
        "origQuoteOrderQty": eight(order.extra.get("quote_quantity", ZERO)),
        "workingTime": now,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    if order.trigger_price is not None:
        made["stopPrice"] = eight(order.trigger_price)
    if kind == "FULL":
        made["fills"] = [_fill(x, market) for x in order.trades]
    return made


def spot_cancelled(order: EmulatedOrder, market: Market, cancel_id: str) -> dict[str, Any]:
    """The answer's `clientOrderId` is the cancellation's."""
    own = {"origClientOrderId": order.client_id, "clientOrderId": cancel_id, "transactTime": ms(order.updated_at)}
    return {**_spot_core(order, market), **own, "selfTradePreventionMode": "EXPIRE_MAKER"}


def spot_trade(trade: Trade, market: Market) -> dict[str, Any]:
    commission, asset = _commission(trade, market)
    return {
        "symbol": market.symbol,
        "id": int(trade.trade_id),
        "orderId": int(trade.broker_order_id),
        "orderListId": -1,
        "price": eight(trade.price),
        "qty": eight(trade.quantity),
        "quoteQty": eight(trade.price * trade.quantity),
        "commission": eight(commission),
        "commissionAsset": asset,
        "time": ms(trade.at),
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def spot_report(order: EmulatedOrder, market: Market, what: str, trade: Trade | None, at: float) -> dict[str, Any]:
    """An `executionReport`."""
    commission, asset = _commission(trade, market) if trade else (ZERO, None)
    cancelled = order.extra.get("cancelled_by")
    quantity, price = (trade.quantity, trade.price) if trade else (ZERO, ZERO)
    return {
        "e": "executionReport",
        "E": ms(at),
        "s": market.symbol,
        "c": cancelled if what == "CANCELED" and cancelled else order.client_id,
        "S": order.side.value,
        "o": order.extra["type"],
        "f": order.extra["time_in_force"],
        "q": eight(order.quantity),
        "p": eight(order.price or ZERO),
        "P": eight(order.trigger_price or ZERO),
        "F": eight(ZERO),
        "g": -1,
        "C": order.client_id if what == "CANCELED" and cancelled else "",
        "x": what,
        "X": status(order),
        "r": order.message or "NONE",
        "i": int(order.broker_order_id),
        "l": eight(quantity),
        "z": eight(order.filled),
        "L": eight(price),
        "n": eight(commission),
        "N": asset,
        "T": ms(at),
        "t": int(trade.trade_id) if trade else -1,
        "I": 3 * order.number + len(order.trades),
        "w": not order.done,
        "m": bool(trade and trade.maker),
        "M": False,
        "O": ms(order.booked_at),
        "Z": eight(order.value),
        "Y": eight(quantity * price),
        "Q": eight(order.extra.get("quote_quantity", ZERO)),
        "W": ms(order.booked_at),
        "V": "EXPIRE_MAKER",
    }


def balance(asset: str, free: Decimal, locked: Decimal) -> dict[str, str]:
    return {"asset": asset, "free": eight(free), "locked": eight(locked)}


def _spot_core(order: EmulatedOrder, market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "orderId": int(order.broker_order_id),
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": eight(order.price or ZERO),
        "origQty": eight(order.quantity),
        "executedQty": eight(order.filled),
        "cummulativeQuoteQty": eight(order.value),
        "status": status(order),
        "timeInForce": order.extra["time_in_force"],
        "type": order.extra["type"],
        "side": order.side.value,
    }


def _fill(trade: Trade, market: Market) -> dict[str, Any]:
    commission, asset = _commission(trade, market)
    return {
        "price": eight(trade.price),
        "qty": eight(trade.quantity),
        "commission": eight(commission),
        "commissionAsset": asset,
        "tradeId": int(trade.trade_id),
    }


def _commission(trade: Trade, market: Market) -> tuple[Decimal, str]:
    return (trade.fee_quantity, market.base) if trade.fee_quantity else (trade.fee, "USDT")


# --- USD-M -----------------------------------------------------------------------------------------------------------


def futures_order(order: EmulatedOrder, market: Market) -> dict[str, Any]:
    return {
        "orderId": int(order.broker_order_id),
        "symbol": market.symbol,
        "status": status(order),
        "clientOrderId": order.client_id,
        "price": plain(order.price or ZERO),
        "avgPrice": _average(order),
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cumQuote": plain(order.value),
        "timeInForce": order.extra["time_in_force"],
        "type": order.extra["type"],
        "reduceOnly": order.reduce_only,
        "closePosition": bool(order.extra.get("close_position")),
        "side": order.side.value,
        "positionSide": order.extra["position_side"],
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.extra["type"],
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": ms(order.booked_at),
        "updateTime": ms(order.updated_at),
    }


def futures_placed(order: EmulatedOrder, market: Market, kind: str) -> dict[str, Any]:
    """RESULT tells what became of it, ACK only that it is there."""
    made = {**futures_order(order, market), "cumQty": plain(order.filled)}
    del made["time"]
    if kind != "RESULT":
        made |= {"status": "NEW", "executedQty": "0", "cumQty": "0", "cumQuote": "0", "avgPrice": "0.00", "updateTime": ms(order.booked_at)}
    return made


def futures_trade(trade: Trade, order: EmulatedOrder, market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "id": int(trade.trade_id),
        "orderId": int(trade.broker_order_id),
        "side": trade.side.value,
        "price": plain(trade.price),
        "qty": plain(trade.quantity),
        "realizedPnl": "0",
        "quoteQty": plain(trade.price * trade.quantity),
        "commission": eight(trade.fee),
        "commissionAsset": "USDT",
        "time": ms(trade.at),
        "positionSide": order.extra["position_side"],
        "buyer": trade.side is Side.BUY,
        "maker": trade.maker,
    }


def futures_report(order: EmulatedOrder, market: Market, what: str, trade: Trade | None, at: float) -> dict[str, Any]:
    """An `ORDER_TRADE_UPDATE`."""
    said: dict[str, Any] = {
        "s": market.symbol,
        "c": order.client_id,
        "S": order.side.value,
        "o": order.extra["type"],
        "f": order.extra["time_in_force"],
        "q": plain(order.quantity),
        "p": plain(order.price or ZERO),
        "ap": _average(order),
        "sp": "0",
        "x": what,
        "X": status(order),
        "i": int(order.broker_order_id),
        "l": plain(trade.quantity if trade else ZERO),
        "z": plain(order.filled),
        "L": plain(trade.price if trade else ZERO),
        "T": ms(at),
        "t": int(trade.trade_id) if trade else 0,
        "b": "0",
        "a": "0",
        "m": bool(trade and trade.maker),
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.extra["type"],
        "ps": order.extra["position_side"],
        "cp": bool(order.extra.get("close_position")),
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    if trade is not None:
        said |= {"N": "USDT", "n": eight(trade.fee)}
    return {"e": "ORDER_TRADE_UPDATE", "T": ms(at), "E": ms(at), "o": said}


def futures_position(book: PositionBook, market: Market, mark: Decimal, side: str, leverage: Decimal, at: float) -> dict[str, Any]:
    notional = book.quantity * mark
    return {
        "symbol": market.symbol,
        "positionSide": side,
        "positionAmt": plain(book.quantity),
        "entryPrice": plain(book.average_price),
        "breakEvenPrice": plain(book.average_price),
        "markPrice": eight(mark),
        "unRealizedProfit": eight(notional - book.open_cost),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": plain(notional),
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": eight(abs(notional) / leverage),
        "maintMargin": eight(abs(notional) / 200),
        "positionInitialMargin": eight(abs(notional) / leverage),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": ms(at),
    }


def _average(order: EmulatedOrder) -> str:
    average = order.average_price
    return "0.00" if average is None else plain(average.quantize(Decimal("0.00000001")))

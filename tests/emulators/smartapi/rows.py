"""The rows of SmartAPI's books, made from what the emulated exchange knows: orders, trades, positions, holdings.

Pure: types are those of the live books (money in order rows a float, quantities strings; everything in positions a string).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.core.exchange import EmulatedOrder, Held, PositionBook, Row, Status, Trade
from tests.emulators.smartapi.answers import clock_time, long_time, money, number
from tests.emulators.smartapi.listing import Scrip

PRODUCTS = {"INTRADAY": Product.MIS, "CARRYFORWARD": Product.NRML, "DELIVERY": Product.CNC, "MARGIN": Product.NRML}
PRODUCT_WORDS = {Product.MIS: "INTRADAY", Product.NRML: "CARRYFORWARD", Product.CNC: "DELIVERY"}
TYPES = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET, "STOPLOSS_LIMIT": OrderType.SL, "STOPLOSS_MARKET": OrderType.SL_M}
TYPE_WORDS = {v: k for k, v in TYPES.items()}

STATUS_WORDS = {
    Status.RECEIVED: "put order req received",
    Status.VALIDATING: "validation pending",
    Status.SENDING: "open pending",
    Status.OPEN: "open",
    Status.TRIGGER_PENDING: "trigger pending",
    Status.MODIFY_VALIDATING: "modify validation pending",
    Status.MODIFY_SENDING: "modify pending",
    Status.MODIFIED: "modified",
    Status.CANCEL_SENDING: "cancel pending",
    Status.COMPLETE: "complete",
    Status.CANCELLED: "cancelled",
    Status.REJECTED: "rejected",
    Status.EXPIRED: "cancelled",
}


def order(found: EmulatedOrder, scrip: Scrip, at: Row | None = None) -> dict[str, Any]:
    """A row of the order book: the order as it is, or as it was at a moment of its history."""
    status, filled, quantity = (at.status, at.filled, at.quantity) if at else (found.status, found.filled, found.quantity)
    price, trigger = (at.price, at.trigger_price) if at else (found.price, found.trigger_price)
    words, sent = STATUS_WORDS[status], at.at if at else found.updated_at
    exchange_time = long_time(sent) if found.at_exchange and status is not Status.REJECTED else ""
    return {
        "variety": found.fields.get("variety", "NORMAL"),
        "ordertype": TYPE_WORDS[found.order_type],
        "ordertag": found.client_id or "",
        "producttype": PRODUCT_WORDS[found.product],
        "price": number(price),
        "triggerprice": number(trigger),
        "quantity": f"{quantity:f}",
        "disclosedquantity": "0",
        "duration": found.validity,
        "squareoff": 0.0,
        "stoploss": 0.0,
        "trailingstoploss": 0.0,
        "tradingsymbol": scrip.symbol,
        "transactiontype": found.side.value,
        "exchange": scrip.exchange,
        "symboltoken": scrip.token,
        "instrumenttype": scrip.kind,
        "strikeprice": number(scrip.strike),
        "optiontype": scrip.instrument.option_type or "",
        "expirydate": scrip.expiry,
        "lotsize": str(scrip.instrument.lot_size),
        "cancelsize": f"{found.cancelled:f}" if status is Status.CANCELLED else "0",
        "averageprice": round(number(found.average_price), 2),
        "filledshares": f"{filled:f}",
        "unfilledshares": f"{quantity - filled:f}",
        "orderid": found.broker_order_id,
        "text": risk_text(at.message if at else found.message),
        "status": words,
        "orderstatus": words,
        "updatetime": long_time(sent),
        "exchtime": exchange_time,
        "exchorderupdatetime": exchange_time,
        "fillid": "",
        "filltime": "",
        "parentorderid": "",
        "uniqueorderid": found.extra["unique"],
        "exchangeorderid": str(1_100_000_000_000_000 + found.number) if found.at_exchange else "",
    }


def trade(found: Trade, scrip: Scrip) -> dict[str, Any]:
    return {
        "exchange": scrip.exchange,
        "producttype": PRODUCT_WORDS[found.product],
        "tradingsymbol": scrip.symbol,
        "instrumenttype": scrip.kind,
        "symbolgroup": "EQ" if scrip.kind == "" else "XX",
        "strikeprice": f"{scrip.strike:f}",
        "optiontype": scrip.instrument.option_type or "",
        "expirydate": scrip.expiry,
        "marketlot": str(scrip.instrument.lot_size),
        "precision": "2",
        "multiplier": "-1",
        "tradevalue": money(found.quantity * found.price),
        "transactiontype": found.side.value,
        "fillprice": money(found.price),
        "fillsize": f"{found.quantity:f}",
        "orderid": found.broker_order_id,
        "fillid": found.trade_id,
        "filltime": clock_time(found.at),
    }


def position(book: PositionBook, scrip: Scrip, last: Decimal) -> dict[str, Any]:
    bought, sold = _average(book.buy_value, book.buy_quantity), _average(book.sell_value, book.sell_quantity)
    net_value = book.sell_value - book.buy_value
    unrealised = book.quantity * last - book.open_cost
    return {
        "exchange": scrip.exchange,
        "symboltoken": scrip.token,
        "producttype": PRODUCT_WORDS[book.product],
        "tradingsymbol": scrip.symbol,
        "symbolname": scrip.name,
        "instrumenttype": scrip.kind,
        "priceden": "1",
        "pricenum": "1",
        "genden": "1",
        "gennum": "1",
        "precision": "2",
        "multiplier": "-1",
        "boardlotsize": str(scrip.instrument.lot_size),
        "buyqty": f"{book.buy_quantity:f}",
        "sellqty": f"{book.sell_quantity:f}",
        "buyamount": money(book.buy_value),
        "sellamount": money(book.sell_value),
        "symbolgroup": "EQ" if scrip.kind == "" else "XX",
        "strikeprice": f"{scrip.strike:f}",
        "optiontype": scrip.instrument.option_type or "",
        "expirydate": scrip.expiry,
        "lotsize": str(scrip.instrument.lot_size),
        "cfbuyqty": "0",
        "cfsellqty": "0",
        "cfbuyamount": "0",
        "cfsellamount": "0",
        "buyavgprice": money(bought),
        "sellavgprice": money(sold),
        "avgnetprice": money(book.average_price),
        # The broker writes a space behind the minus.
        "netvalue": f"- {money(-net_value)}" if net_value < 0 else money(net_value),
        "netqty": f"{book.quantity:f}",
        "totalbuyvalue": money(book.buy_value),
        "totalsellvalue": money(book.sell_value),
        "cfbuyavgprice": "0",
        "cfsellavgprice": "0",
        "totalbuyavgprice": money(bought),
        "totalsellavgprice": money(sold),
        "netprice": money(book.average_price),
        "ltp": money(last),
        "pnl": money(book.realised + unrealised),
        "realised": money(book.realised),
        "unrealised": money(unrealised),
    }


def holding(held: Held, scrip: Scrip, last: Decimal) -> dict[str, Any]:
    gain = (last - held.average_price) * held.quantity
    share = gain / (held.average_price * held.quantity) * 100 if held.average_price and held.quantity else Decimal(0)
    return {
        "tradingsymbol": scrip.symbol,
        "exchange": scrip.exchange,
        "isin": f"INE{int(scrip.token):06d}01012"[:12],
        "t1quantity": 0,
        "realisedquantity": int(held.quantity),
        "quantity": int(held.quantity),
        "authorisedquantity": 0,
        "product": "DELIVERY",
        "collateralquantity": None,
        "collateraltype": None,
        "haircut": 0,
        "averageprice": number(held.average_price),
        "ltp": number(last),
        "symboltoken": scrip.token,
        "close": number(last),
        "profitandloss": round(number(gain)),
        "pnlpercentage": round(number(share), 2),
    }


def risk_text(message: str) -> str:
    """The exchange's refusal as this broker's risk desk words it."""
    funds = re.fullmatch(r"insufficient funds: needs ([\d.]+), available (-?[\d.]+)", message)
    if funds is None:
        return message and f"Your order has been rejected: {message}"
    needed, free = funds.groups()
    return (
        f"Your order has been rejected due to Insufficient Funds. Available funds - Rs. {free} . "
        f"You require Rs. {needed} funds to execute this order."
    )


def side_of(word: str) -> Side | None:
    return {"BUY": Side.BUY, "SELL": Side.SELL}.get(word)


def _average(value: Decimal, quantity: Decimal) -> Decimal:
    return value / quantity if quantity else Decimal(0)

"""The rows of Kite's JSON: orders, trades, positions, holdings, margins, quotes and profiles, with the keys and types of the published samples.

Pure functions from the exchange's ground truth; nothing here decides anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engines.core.model import ZERO, Product, Side
from tests.emulators.core.exchange import EmulatedAccount, EmulatedExchange, EmulatedOrder, Held, PositionBook, Quote, Row, Status, Trade
from tests.emulators.kite.words import STATUS, stamp, token_of

EXCHANGES = ["BFO", "MCX", "NSE", "CDS", "BSE", "BCD", "MF", "NFO"]
PRODUCTS = ["CNC", "NRML", "MIS", "BO", "CO"]
ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def order_row(order: EmulatedOrder, token: int, at: Row | None = None) -> dict[str, Any]:
    """An order as the book shows it, or with `at` as it was when it came into an earlier state."""
    extra, fields = order.extra, order.fields
    status, when = (order.status, order.updated_at) if at is None else (at.status, at.at)
    filled = order.filled if at is None else at.filled
    quantity = order.quantity if at is None else at.quantity
    price, trigger = (order.price, order.trigger_price) if at is None else (at.price, at.trigger_price)
    cancelled = quantity - filled if status in (Status.CANCELLED, Status.EXPIRED) else ZERO
    done = status in (Status.COMPLETE, Status.CANCELLED, Status.EXPIRED, Status.REJECTED)
    there = order.at_exchange and status not in (Status.RECEIVED, Status.VALIDATING, Status.SENDING)
    moment = stamp(when)
    message = order.message or None
    exchange, _, name = order.instrument.symbol.partition(":")
    return {
        "account_id": order.account,
        "placed_by": order.account,
        "order_id": order.broker_order_id,
        "exchange_order_id": extra.get("exchange_order_id") if there else None,
        "parent_order_id": None,
        "status": "AMO REQ RECEIVED" if status is Status.RECEIVED and extra.get("variety") == "amo" else STATUS[status],
        "status_message": message,
        "status_message_raw": message,
        "order_timestamp": moment if at is not None else stamp(order.updated_at),
        "exchange_update_timestamp": moment if there else None,
        "exchange_timestamp": moment if there else None,
        "variety": extra.get("variety", "regular"),
        "modified": order.modifications > 0,
        "exchange": exchange,
        "tradingsymbol": name,
        "instrument_token": token,
        "order_type": order.order_type.value,
        "transaction_type": order.side.value,
        "validity": order.validity,
        "validity_ttl": int(fields.get("validity_ttl", 0) or 0),
        "product": order.product.value,
        "quantity": int(quantity),
        "disclosed_quantity": int(fields.get("disclosed_quantity", 0) or 0),
        "price": number(price),
        "trigger_price": number(trigger),
        "average_price": number(order.average_price) if filled else 0,
        "filled_quantity": int(filled),
        "pending_quantity": 0 if done else int(quantity - filled),
        "cancelled_quantity": int(cancelled),
        "market_protection": 0,
        "meta": extra.get("meta", {}),
        "tag": extra.get("tag"),
        "guid": f"G{order.broker_order_id[-12:]}",
        **({"tags": extra["tags"]} if "tags" in extra else {}),
    }


def push_row(order: EmulatedOrder, token: int, status: str, app_id: int, checksum: str) -> dict[str, Any]:
    """What a postback and the WebSocket carry: the row, and whose it is."""
    row = order_row(order, token)
    row |= {
        "user_id": order.account,
        "app_id": app_id,
        "checksum": checksum,
        "unfilled_quantity": int(order.quantity - order.filled),
        "status": status,
    }
    return row


def trade_row(trade: Trade, order: EmulatedOrder, token: int) -> dict[str, Any]:
    exchange, _, name = trade.symbol.partition(":")
    moment = stamp(trade.at)
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.broker_order_id,
        "exchange": exchange,
        "tradingsymbol": name,
        "instrument_token": token,
        "product": trade.product.value,
        "average_price": number(trade.price),
        "quantity": int(trade.quantity),
        "exchange_order_id": order.extra.get("exchange_order_id"),
        "transaction_type": trade.side.value,
        "fill_timestamp": moment,
        "order_timestamp": stamp(order.booked_at)[11:],
        "exchange_timestamp": moment,
    }


def position_row(book: PositionBook, quote: Quote) -> dict[str, Any]:
    exchange, _, name = book.instrument.symbol.partition(":")
    buy_price = book.buy_value / book.buy_quantity if book.buy_quantity else ZERO
    sell_price = book.sell_value / book.sell_quantity if book.sell_quantity else ZERO
    value = book.sell_value - book.buy_value
    profit = value + book.quantity * quote.last
    return {
        "tradingsymbol": name,
        "exchange": exchange,
        "instrument_token": token_of(quote.listed),
        "product": book.product.value,
        "quantity": int(book.quantity),
        "overnight_quantity": 0,
        "multiplier": 1,
        "average_price": number(book.average_price),
        "close_price": number(quote.close),
        "last_price": number(quote.last),
        "value": number(value),
        "pnl": number(profit),
        "m2m": number(profit),
        "unrealised": number(profit - book.realised),
        "realised": number(book.realised),
        "buy_quantity": int(book.buy_quantity),
        "buy_price": number(buy_price),
        "buy_value": number(book.buy_value),
        "buy_m2m": number(book.buy_value),
        "sell_quantity": int(book.sell_quantity),
        "sell_price": number(sell_price),
        "sell_value": number(book.sell_value),
        "sell_m2m": number(book.sell_value),
        "day_buy_quantity": int(book.buy_quantity),
        "day_buy_price": number(buy_price),
        "day_buy_value": number(book.buy_value),
        "day_sell_quantity": int(book.sell_quantity),
        "day_sell_price": number(sell_price),
        "day_sell_value": number(book.sell_value),
    }


def holding_row(held: Held, quote: Quote, used: Decimal) -> dict[str, Any]:
    exchange, _, name = held.instrument.symbol.partition(":")
    change = quote.last - quote.close
    return {
        "tradingsymbol": name,
        "exchange": exchange,
        "instrument_token": token_of(quote.listed),
        "isin": f"INE{quote.listed.token:06d}01",
        "product": "CNC",
        "price": 0,
        "quantity": int(held.quantity),
        "used_quantity": int(used),
        "t1_quantity": 0,
        "realised_quantity": int(held.quantity),
        "authorised_quantity": 0,
        "authorised_date": stamp(quote.at)[:10] + " 00:00:00",
        "authorisation": {},
        "opening_quantity": int(held.quantity),
        "short_quantity": 0,
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": number(held.average_price),
        "last_price": number(quote.last),
        "close_price": number(quote.close),
        "pnl": number((quote.last - held.average_price) * held.quantity),
        "day_change": number(change),
        "day_change_percentage": number(change / quote.close * 100),
        "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
    }


def used_of_holding(account: EmulatedAccount, symbol: str) -> Decimal:
    """How many of the delivered shares today's sales have taken."""
    book = account.positions.get((symbol, Product.CNC))
    return max(-book.quantity, ZERO) if book else ZERO


def margins(exchange: EmulatedExchange, account: EmulatedAccount, segment: str) -> dict[str, Any]:
    """Funds of one segment; everything trades from equity, commodity lies beside it untouched."""
    cash = account.cash
    if segment == "commodity":
        cash = used = realised = unrealised = premium = ZERO
    else:
        used = exchange.used_margin(account) + exchange.blocked(account)
        realised, unrealised = exchange.realised(account), exchange.unrealised(account)
        premium = _premiums(account)
    net = cash + realised - used
    return {
        "enabled": True,
        "net": number(net),
        "available": {
            "adhoc_margin": 0,
            "cash": number(cash),
            "opening_balance": number(cash),
            "live_balance": number(net),
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": number(used - realised),
            "exposure": number(used - premium),
            "m2m_realised": number(realised),
            "m2m_unrealised": number(unrealised),
            "option_premium": number(premium),
            "payout": 0,
            "span": 0,
            "holding_sales": 0,
            "turnover": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
            "delivery": 0,
        },
    }


def _premiums(account: EmulatedAccount) -> Decimal:
    long = (x for x in account.positions.values() if x.instrument.segment == "OPT" and x.quantity > 0)
    return sum((x.open_cost for x in long), ZERO)


def quote_row(quote: Quote) -> dict[str, Any]:
    tick = quote.instrument.tick_size
    when = stamp(quote.at)
    row = ohlc_row(quote)
    row |= {
        "timestamp": when,
        "last_trade_time": when,
        "last_quantity": 1,
        "buy_quantity": 5000,
        "sell_quantity": 5000,
        "volume": quote.volume,
        "average_price": number(quote.last),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": number(quote.last - quote.close),
        "lower_circuit_limit": number(quote.close * Decimal("0.8")),
        "upper_circuit_limit": number(quote.close * Decimal("1.2")),
        "depth": {
            "buy": [{"price": number(price), "quantity": quantity, "orders": 3} for price, quantity in depth(quote, Side.BUY, tick)],
            "sell": [{"price": number(price), "quantity": quantity, "orders": 3} for price, quantity in depth(quote, Side.SELL, tick)],
        },
    }
    return row


def depth(quote: Quote, side: Side, tick: Decimal) -> list[tuple[Decimal, int]]:
    """Five levels, best first: what would buy (BUY) or sell (SELL)."""
    best = quote.bid if side is Side.BUY else quote.ask
    return [(max(best - side.sign * step * tick, ZERO), 1000 * (step + 1)) for step in range(5)]


def ohlc_row(quote: Quote) -> dict[str, Any]:
    ohlc = {"open": number(quote.open), "high": number(quote.high), "low": number(quote.low), "close": number(quote.close)}
    return {"instrument_token": token_of(quote.listed), "last_price": number(quote.last), "ohlc": ohlc}


def ltp_row(quote: Quote) -> dict[str, Any]:
    return {"instrument_token": token_of(quote.listed), "last_price": number(quote.last)}


def profile(account: EmulatedAccount) -> dict[str, Any]:
    return {
        "user_id": account.name,
        "user_type": "individual",
        "email": f"{account.name.lower()}@example.com",
        "user_name": f"Emulated {account.name}",
        "user_shortname": account.name,
        "broker": "ZERODHA",
        "exchanges": EXCHANGES,
        "products": PRODUCTS,
        "order_types": ORDER_TYPES,
        "avatar_url": None,
        "meta": {"demat_consent": "physical"},
    }


def full_profile(account: EmulatedAccount) -> dict[str, Any]:
    return {
        **profile(account),
        "twofa_type": "totp",
        "phone": "*0000",
        "bank_accounts": [{"name": "A BANK", "branch": "", "account": "*0000"}],
        "dp_ids": ["0000000000000000"],
        "pan": "*0000",
        "tags": [],
        "password_timestamp": "1970-01-01 00:00:00",
        "twofa_timestamp": "1970-01-01 00:00:00",
        "meta": {"poa": "physical", "silo": "x", "account_blocks": []},
    }


def session(account: EmulatedAccount, access_token: str, at: float) -> dict[str, Any]:
    """The answer to a token exchange."""
    return {
        **profile(account),
        "avatar_url": "abc",
        "api_key": account.credentials["api_key"],
        "access_token": access_token,
        "public_token": access_token[::-1],
        "enctoken": access_token[8:] + access_token[:8],
        "refresh_token": "",
        "silo": "",
        "login_time": stamp(at),
    }


def number(value: Decimal | None) -> float | int:
    """As Kite writes numbers: whole ones without a point."""
    if not value:
        return 0
    as_float = float(value)
    return int(as_float) if as_float.is_integer() else as_float

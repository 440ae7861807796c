"""Binance's JSON, of spot and USD-M, REST and stream, as a few exact rows: orders, conditional orders, trades.

Pure parsing: numbers come from Binance's strings, times are seconds, symbols stay in Binance's spelling. A row that is none raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from engines.core.model import ZERO, OrderState, Side, Timestamp
from engines.ports import BrokerFill

Market = Literal["spot", "usdm"]
Json = Mapping[str, Any]
PriceOf = Callable[[str, str], Decimal | None]
"""(asset, in which asset) → its price, if one is known."""

EXCHANGE = "BINANCE"
_PERPETUAL = ".P"

_STATES = {
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
}
"""Whatever is not here is at work."""

_ALGO_STATES = {"CANCELED": OrderState.CANCELLED, "REJECTED": OrderState.REJECTED, "EXPIRED": OrderState.EXPIRED}


@dataclass(frozen=True, slots=True)
class OrderRow:
    """What Binance says of one order. `state` and `filled` are its claim; trades prove it."""

    symbol: str
    order_id: str
    client_id: str
    side: Side
    state: OrderState
    quantity: Decimal
    filled: Decimal
    at: Timestamp
    message: str = ""


@dataclass(frozen=True, slots=True)
class AlgoRow:
    """A conditional order of USD-M: not yet an order of the book, or already one (`order_id`)."""

    symbol: str
    algo_id: str
    client_id: str
    side: Side
    state: OrderState
    quantity: Decimal
    at: Timestamp
    order_id: str | None = None
    message: str = ""

    @property
    def triggered(self) -> bool:
        return self.order_id is not None


@dataclass(frozen=True, slots=True)
class TradeRow:
    symbol: str
    order_id: str
    side: Side
    trade_id: str
    quantity: Decimal
    price: Decimal
    at: Timestamp
    commission: Decimal
    commission_asset: str


# --- symbols -------------------------------------------------------------------------------------------------------


def native(symbol: str, market: Market) -> str | None:
    """Binance's spelling of one of our symbols; None when it is not of this market."""
    exchange, _, name = symbol.partition(":")
    if exchange != EXCHANGE or name.endswith(_PERPETUAL) is not (market == "usdm"):
        return None
    return name.removesuffix(_PERPETUAL)


def canonical(symbol: str, market: Market) -> str:
    return f"{EXCHANGE}:{symbol}{_PERPETUAL if market == 'usdm' else ''}"


# --- REST ----------------------------------------------------------------------------------------------------------


def order_row(raw: Json) -> OrderRow:
    """From an answer to POST, GET or DELETE order, or a row of openOrders or allOrders; the answer to a cancel calls the order by its origClientOrderId."""
    try:
        state = _STATES.get(raw["status"], OrderState.OPEN)
        return OrderRow(
            symbol=raw["symbol"],
            order_id=str(raw["orderId"]),
            client_id=str(raw.get("origClientOrderId") or raw["clientOrderId"]),
            side=Side(raw["side"]),
            state=state,
            quantity=_number(raw["origQty"]),
            filled=_number(raw["executedQty"]),
            at=_moment(raw.get("updateTime") or raw.get("transactTime") or raw.get("time")),
            message=_why(state, raw.get("expiryReason") or raw.get("rejectReason")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an order of Binance: {type(error).__name__} {error}") from None


def algo_row(raw: Json) -> AlgoRow:
    try:
        status = raw["algoStatus"]
        actual = raw.get("actualOrderId")
        state = _ALGO_STATES.get(status, OrderState.OPEN)
        return AlgoRow(
            symbol=raw["symbol"],
            algo_id=str(raw["algoId"]),
            client_id=str(raw["clientAlgoId"]),
            side=Side(raw["side"]),
            state=state,
            quantity=_number(raw["quantity"]),
            at=_moment(raw.get("updateTime") or raw.get("createTime")),
            order_id=str(actual) if actual not in (None, "", "0", 0) else None,
            message=_why(state, raw.get("failReason")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a conditional order of Binance: {type(error).__name__} {error}") from None


def trade_row(raw: Json) -> TradeRow:
    """A row of myTrades (spot) or userTrades (USD-M)."""
    try:
        side = Side(raw["side"]) if "side" in raw else Side.BUY if raw["isBuyer"] else Side.SELL
        return TradeRow(
            symbol=raw["symbol"],
            order_id=str(raw["orderId"]),
            side=side,
            trade_id=str(raw["id"]),
            quantity=_number(raw["qty"]),
            price=_number(raw["price"]),
            at=_moment(raw["time"]),
            commission=_number(raw.get("commission", "0")),
            commission_asset=str(raw.get("commissionAsset", "")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a trade of Binance: {type(error).__name__} {error}") from None


def fills_in_answer(raw: Json, row: OrderRow) -> tuple[TradeRow, ...]:
    """The trades that a FULL answer of spot already tells of its order."""
    return tuple(
        TradeRow(
            row.symbol,
            row.order_id,
            row.side,
            str(part["tradeId"]),
            _number(part["qty"]),
            _number(part["price"]),
            row.at,
            _number(part.get("commission", "0")),
            str(part.get("commissionAsset", "")),
        )
        for part in raw.get("fills") or ()
        if "tradeId" in part
    )


# --- stream --------------------------------------------------------------------------------------------------------


def stream_order(event: Json) -> tuple[OrderRow, TradeRow | None]:
    """From `executionReport` (spot, the event itself) or the `o` of ORDER_TRADE_UPDATE (USD-M): the order, and the trade if this is one."""
    try:
        original = event.get("C")
        client_id = original if isinstance(original, str) and original else event["c"]
        state = _STATES.get(event["X"], OrderState.OPEN)
        reason = event.get("eR") if state is OrderState.EXPIRED else event.get("r")
        row = OrderRow(
            symbol=event["s"],
            order_id=str(event["i"]),
            client_id=str(client_id),
            side=Side(event["S"]),
            state=state,
            quantity=_number(event["q"]),
            filled=_number(event["z"]),
            at=_moment(event["T"]),
            message=_why(state, reason),
        )
        if event["x"] != "TRADE" or not _number(event["l"]):
            return row, None
        asset = event.get("N")
        trade = TradeRow(
            symbol=row.symbol,
            order_id=row.order_id,
            side=row.side,
            trade_id=str(event["t"]),
            quantity=_number(event["l"]),
            price=_number(event["L"]),
            at=row.at,
            commission=_number(event.get("n") or "0"),
            commission_asset=str(asset or ""),
        )
        return row, trade
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an order update of Binance: {type(error).__name__} {error}") from None


def stream_algo(event: Json, at: Any) -> AlgoRow:
    """From the `o` of ALGO_UPDATE."""
    try:
        actual = event.get("ai")
        state = _ALGO_STATES.get(event["X"], OrderState.OPEN)
        return AlgoRow(
            symbol=event["s"],
            algo_id=str(event["aid"]),
            client_id=str(event["caid"]),
            side=Side(event["S"]),
            state=state,
            quantity=_number(event.get("q", "0")),
            at=_moment(at),
            order_id=str(actual) if actual not in (None, "", "0", 0) else None,
            message=_why(state, event.get("rm")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a conditional order update of Binance: {type(error).__name__} {error}") from None


# --- fees ----------------------------------------------------------------------------------------------------------


def fill_of(trade: TradeRow, base: str, quote: str, market: Market, price_of: PriceOf) -> BrokerFill:
    """A fee in the coin that was traded leaves with the coin; one in the quote is money; one in another coin is converted where a price is known."""
    charges: Decimal | None
    fee_quantity = ZERO
    if trade.commission_asset == quote or not trade.commission:
        charges = trade.commission
    elif trade.commission_asset == base and market == "spot":
        charges, fee_quantity = ZERO, trade.commission
    else:
        price = price_of(trade.commission_asset, quote)
        charges = None if price is None else trade.commission * price
    return BrokerFill(trade.trade_id, trade.quantity, trade.price, trade.at, charges, fee_quantity)


def _number(value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("not a number of Binance") from None
    if not number.is_finite():
        raise ValueError("a number of Binance is not finite")
    return number


def _moment(milliseconds: Any) -> Timestamp:
    try:
        return int(milliseconds) / 1000 if milliseconds else 0.0
    except OverflowError:
        raise ValueError("not a moment of Binance") from None


def _why(state: OrderState, reason: Any) -> str:
    words = str(reason or "")
    if state in (OrderState.OPEN, OrderState.FILLED) or words in ("", "NONE", "0"):
        return ""
    return words.replace("_", " ").lower()[:160]

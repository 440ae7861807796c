"""Binance's exchange filters as exact numbers: what a symbol allows, and an order made to fit or refused with the reason before it is sent.

Pure; every number comes from the filters' own strings. It never makes an order larger and never lets one through that is smaller than was asked for:
the books of an order must be able to close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engines.core.model import ONE, ZERO, OrderType, Side
from engines.core.prices import is_lot_multiple, to_tick
from engines.ports import Refused

_MARGIN = Decimal("0.98")
"""Of the quote: a market order is valued by Binance's own reference price, which may lie a little below ours."""


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds and a step; zero switches a part off."""

    least: Decimal = ZERO
    most: Decimal = ZERO
    step: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rules:
    symbol: str  # Binance's spelling
    base: str
    quote: str
    trading: bool
    order_types: frozenset[str]
    price: Range
    lot: Range
    market_lot: Range
    least_notional: Decimal = ZERO
    least_for_market: bool = True
    most_notional: Decimal = ZERO
    most_for_market: bool = False

    def lot_for(self, order_type: OrderType) -> Range:
        """MARKET orders obey both lot filters: the coarser step, the tighter bounds."""
        if order_type not in (OrderType.MARKET, OrderType.SL_M):
            return self.lot
        most = [limit for limit in (self.lot.most, self.market_lot.most) if limit]
        return Range(max(self.lot.least, self.market_lot.least), min(most, default=ZERO), max(self.lot.step, self.market_lot.step))


@dataclass(frozen=True, slots=True)
class Fitted:
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None


def rules_of(row: Mapping[str, Any]) -> Rules:
    """From one entry of exchangeInfo's `symbols`, spot or USD-M."""
    filters = {entry["filterType"]: entry for entry in row.get("filters", ())}
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    return Rules(
        symbol=row["symbol"],
        base=row["baseAsset"],
        quote=row["quoteAsset"],
        trading=row.get("status", "TRADING") == "TRADING" and bool(row.get("isSpotTradingAllowed", True)),
        order_types=frozenset(row.get("orderTypes", ())),
        price=_range(filters.get("PRICE_FILTER"), "minPrice", "maxPrice", "tickSize"),
        lot=_range(filters.get("LOT_SIZE"), "minQty", "maxQty", "stepSize"),
        market_lot=_range(filters.get("MARKET_LOT_SIZE"), "minQty", "maxQty", "stepSize"),
        least_notional=_number(notional.get("minNotional", notional.get("notional"))),
        least_for_market=bool(notional.get("applyMinToMarket", notional.get("applyToMarket", True))),
        most_notional=_number(notional.get("maxNotional")),
        most_for_market=bool(notional.get("applyMaxToMarket", False)),
    )


def fit(
    rules: Rules,
    side: Side,
    order_type: OrderType,
    quantity: Decimal,
    price: Decimal | None,
    trigger_price: Decimal | None,
    *,
    quote: Decimal | None = None,
    reduce_only: bool = False,
) -> Fitted:
    """The order in numbers that Binance takes. Raises Refused with the reason and, for a price beside the tick, the one that would do: a buy's falls, a
    sell's rises, so that neither is worse than asked for. `reduce_only` orders of USD-M may be of any worth."""
    if not rules.trading:
        raise Refused(f"Binance does not trade {rules.symbol} now")
    _check_quantity(rules, order_type, quantity)
    limited = order_type in (OrderType.LIMIT, OrderType.SL)
    if limited and price is None:
        raise Refused(f"a limit order in {rules.symbol} needs a price")
    on_tick = _priced(rules, price, "down" if side is Side.BUY else "up") if limited else None
    triggered = order_type in (OrderType.SL, OrderType.SL_M)
    if triggered and trigger_price is None:
        raise Refused(f"a stop order in {rules.symbol} needs a trigger price")
    trigger = _priced(rules, trigger_price, "nearest") if triggered else None
    if not reduce_only:
        _check_worth(rules, quantity, on_tick or trigger, quote, market=order_type in (OrderType.MARKET, OrderType.SL_M))
    return Fitted(quantity, on_tick, trigger)


def _check_quantity(rules: Rules, order_type: OrderType, quantity: Decimal) -> None:
    lot = rules.lot_for(order_type)
    if lot.step and not is_lot_multiple(quantity, lot.step):
        floor = quantity // lot.step * lot.step if quantity > 0 else ZERO
        raise Refused(f"Binance takes {rules.symbol} in steps of {text(lot.step)}: {text(quantity)} is none (nearest below: {text(floor)})")
    if lot.least and quantity < lot.least:
        raise Refused(f"Binance takes no less than {text(lot.least)} {rules.base} in one order: {text(quantity)} is too small")
    if lot.most and quantity > lot.most:
        raise Refused(f"Binance takes no more than {text(lot.most)} {rules.base} in one order of this kind: {text(quantity)} is too large")


def _priced(rules: Rules, price: Decimal | None, rounding: Any) -> Decimal | None:
    if price is None:
        return None
    fitted = to_tick(price, rules.price.step, rounding) if rules.price.step else price
    if fitted != price:
        raise Refused(
            f"Binance takes prices of {rules.symbol} in steps of {text(rules.price.step)}: {text(price)} is none (it could be {text(fitted)})"
        )
    if fitted <= 0 or (rules.price.least and fitted < rules.price.least) or (rules.price.most and fitted > rules.price.most):
        raise Refused(f"Binance takes no price of {text(price)} for {rules.symbol}")
    return fitted


def _check_worth(rules: Rules, quantity: Decimal, price: Decimal | None, quote: Decimal | None, *, market: bool) -> None:
    reference = quote if market and quote is not None else price
    if reference is None:
        return  # nobody knows what it is worth: Binance will say
    worth = quantity * reference
    least = rules.least_notional * (_MARGIN if market else ONE)
    if least and worth < least and (rules.least_for_market or not market):
        raise Refused(f"too small for Binance: worth {worth:.2f} {rules.quote}, the least is {text(rules.least_notional)}")
    if rules.most_notional and worth > rules.most_notional and (rules.most_for_market or not market):
        raise Refused(f"too large for Binance: worth {worth:.2f} {rules.quote}, the most is {text(rules.most_notional)}")


def text(number: Decimal) -> str:
    """As Binance takes it: no exponent, no needless zeros."""
    plain = format(number, "f")
    return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain


def _range(entry: Mapping[str, Any] | None, least: str, most: str, step: str) -> Range:
    return Range(_number(entry.get(least)), _number(entry.get(most)), _number(entry.get(step))) if entry else Range()


def _number(value: Any) -> Decimal:
    return Decimal(str(value)) if value not in (None, "") else ZERO

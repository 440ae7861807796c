"""Binance's exchange rules for one symbol, and its own refusals of quantities and prices that break them.

Spot names the filter that failed (-1013); the futures have a code for each rule. Pure functions of an order's terms and the price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tests.emulators.binance.errors import Api, refusal

ZERO = Decimal(0)
_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_FUTURES_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"


@dataclass(frozen=True, slots=True)
class Rules:
    """What one symbol's filters say."""

    tick: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_max: Decimal
    min_notional: Decimal
    min_price: Decimal
    max_price: Decimal
    up: Decimal  # a limit price up to this many times the price…
    down: Decimal  # …and down to this many


def decimal_of(fields: dict[str, str], name: str, *, needed: bool = False) -> Decimal | None:
    """A parameter as a number; -1102 when it is needed and absent, -1100 when it is no plain decimal (1E-5, -1)."""
    text = fields.get(name, "")
    if not text:
        if needed:
            raise refusal(-1102, name=name)
        return None
    if not re.fullmatch(_NUMBER, text):
        raise refusal(-1100, name=name, pattern=_NUMBER)
    return Decimal(text)


def check_client_id(name: str, value: str, *, futures: bool) -> None:
    pattern = _FUTURES_ID if futures else _CLIENT_ID
    if futures and len(value) > 36:
        raise refusal(-4015)
    if not re.fullmatch(pattern, value):
        raise refusal(-1100, name=name, pattern=pattern)


def spot(rules: Rules, kind: str, side: str, quantity: Decimal, price: Decimal | None, stop: Decimal | None, last: Decimal) -> None:
    """Filters of a spot order, in the order in which Binance lists them."""
    for value in (price, stop):
        if value is not None and not (rules.min_price <= value <= rules.max_price and _multiple(value, rules.tick)):
            raise _failed("PRICE_FILTER")
    if price is not None and not last * rules.down <= price <= last * rules.up:
        raise _failed("PERCENT_PRICE_BY_SIDE")
    if not (rules.min_quantity <= quantity <= rules.max_quantity and _multiple(quantity, rules.step)):
        raise _failed("LOT_SIZE")
    market = kind in ("MARKET", "STOP_LOSS", "TAKE_PROFIT")
    if market and quantity > rules.market_max:
        raise _failed("MARKET_LOT_SIZE")
    if quantity * (price or stop or last) < rules.min_notional:
        raise _failed("NOTIONAL")


def futures(
    rules: Rules, kind: str, quantity: Decimal | None, price: Decimal | None, trigger: Decimal | None, last: Decimal, *, reduces: bool
) -> None:
    """Filters of a USD-M order, plain or conditional. `quantity` None: the order closes whatever there is."""
    if quantity is not None:
        _futures_quantity(rules, kind, quantity)
    for value in (price, trigger):
        if value is None:
            continue
        if value <= ZERO or value < rules.min_price:
            raise refusal(-4013)
        if not _multiple(value, rules.tick):
            raise refusal(-4014)
    if price is not None:
        _futures_band(rules, price, trigger or last)
    worth = (quantity or ZERO) * (price or trigger or last)
    if quantity is not None and not reduces and worth < rules.min_notional:
        raise refusal(-4164, limit=f"{rules.min_notional.normalize():f}")


def _futures_quantity(rules: Rules, kind: str, quantity: Decimal) -> None:
    if quantity <= ZERO:
        raise refusal(-4003)
    if not _multiple(quantity, rules.step):
        # More places than the symbol has are told apart from a step that is merely missed.
        raise refusal(-1111) if _places(quantity) > _places(rules.step) else refusal(-4023)
    if quantity < rules.min_quantity:
        raise refusal(-4004)
    if quantity > (rules.market_max if "MARKET" in kind else rules.max_quantity):
        raise refusal(-4005)


def _futures_band(rules: Rules, price: Decimal, around: Decimal) -> None:
    if price > around * rules.up:
        raise refusal(-4016, limit=f"{around * rules.up:.2f}")
    if price < around * rules.down:
        raise refusal(-4024, limit=f"{around * rules.down:.2f}")


def _multiple(value: Decimal, step: Decimal) -> bool:
    return step == 0 or value % step == 0


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _failed(name: str) -> Api:
    return refusal(-1013, filter=name)

"""May this entry leave? An account's limits asked one by one, each answer with its numbers.

Fails closed: what is missing, not a number, negative where it cannot be, or stale is denied. Exits are never asked (DESIGN laws 6 and 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from engines.core.model import ONE, ZERO, Check, Denial, Instrument, Limits, OrderType, Product, Side
from engines.core.prices import is_tick_multiple

WARN_AT_PCT = Decimal(80)
CLOCK_SKEW = 1.0
"""Seconds by which a feed's clock may run ahead of ours before its prices are not believed."""
SHORT_OPTION_PCT = Decimal(15)
"""Of strike x quantity: our estimate of what writing an option blocks. A broker's own basket margin is the authority where there is one."""


@dataclass(frozen=True, slots=True)
class RiskInput:
    """An entry and the account as it would be, with everything reserved so far counted in. None or NaN: not known, so denied.

    `trades_today` are entries sent or reserved, without this one. `open_symbols` have a non-zero or pending quantity.
    `position_value_after` is held + pending + this order. `locked` is the denial that closed the account for the day.
    """

    limits: Limits
    capital: Decimal
    day_pnl: Decimal | None
    trades_today: int
    symbol: str
    open_symbols: AbstractSet[str]
    price: float | Decimal | None
    price_age: float | None  # seconds
    order_value: Decimal | None
    position_value_after: Decimal | None
    available_funds: Decimal | None
    required_margin: Decimal | None
    max_price_age: float = 3.0
    locked: str | None = None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of the day's loss and profit limits is used; None: no such limit. `reached` closes the account for the day."""

    loss_used_pct: Decimal | None
    profit_used_pct: Decimal | None
    warn: bool
    reached: Denial | None


def check_entry(inp: RiskInput) -> tuple[Denial | None, tuple[Check, ...]]:
    """Every question with its answer, and the first denial (None: the entry may leave)."""
    denial: Denial | None = None
    checks: list[Check] = []
    for name, ask in _QUESTIONS:
        passed, detail = ask(inp)
        checks.append(Check(name.value, passed, detail))
        if not passed and denial is None:
            denial = name
    return denial, tuple(checks)


def effective_limit(absolute: Decimal | None, pct: Decimal | None, capital: Decimal) -> Decimal | None:
    """The tighter of a limit in money and one in percent of capital; None: no limit. A limit that cannot be read allows nothing."""
    forms = []
    if absolute is not None:
        forms.append(absolute if _at_least_zero(absolute) else ZERO)
    if pct is not None:
        forms.append(capital * pct / 100 if _at_least_zero(capital) and _at_least_zero(pct) else ZERO)
    return min(forms, default=None)


def limit_use(limits: Limits, capital: Decimal, day_pnl: Decimal | None) -> LimitUse:
    """Where the day stands against its limits. An unknown P&L closes nothing here: `check_entry` denies entries until it is known."""
    if day_pnl is None or not day_pnl.is_finite():
        return LimitUse(None, None, warn=False, reached=None)
    loss_limit, profit_limit = _loss_limit(limits, capital), _profit_limit(limits, capital)
    loss_used, profit_used = _used_pct(-day_pnl, loss_limit), _used_pct(day_pnl, profit_limit)
    reached = None
    # A limit of zero denies every entry, yet closes the day only once something was lost or won: it may be a slip that is soon corrected.
    if day_pnl < 0 and loss_limit is not None and -day_pnl >= loss_limit:
        reached = Denial.DAILY_LOSS
    elif day_pnl > 0 and profit_limit is not None and day_pnl >= profit_limit:
        reached = Denial.DAILY_PROFIT
    used = loss_used if day_pnl < 0 else profit_used
    return LimitUse(loss_used, profit_used, warn=bool(day_pnl) and used is not None and used >= WARN_AT_PCT, reached=reached)


def leverage_of(segment: str, product: Product, leverage: Decimal) -> Decimal:
    """What an account's leverage makes of an order: 1 for options, spot and whatever is not intraday, except perpetuals: their exchange knows no product."""
    lent = segment == "PERP" or (product is Product.MIS and segment not in ("OPT", "SPOT"))
    return leverage if lent and leverage.is_finite() and leverage > ONE else ONE


def margin_required(
    instrument: Instrument, product: Product, side: Side, value: Decimal, leverage: Decimal, *, quantity: Decimal | None = None
) -> Decimal:
    """Money that an order of `value` blocks. Intraday shares, futures and perpetuals are leveraged; bought options and delivery are paid in full.

    Writing an option blocks a share of its notional, which needs `quantity`; selling what is owned (CNC, spot) blocks nothing.
    """
    if instrument.segment == "OPT":
        if side is Side.BUY:
            return value
        notional = (instrument.strike or ZERO) * (quantity or ZERO)
        return max(value, notional * SHORT_OPTION_PCT / 100)
    if side is Side.SELL and (product is Product.CNC or instrument.segment == "SPOT"):
        return ZERO
    if product is not Product.MIS:
        return value  # also a perpetual, of which its exchange would block less: leverage is asked for by saying intraday
    return value / leverage_of(instrument.segment, product, leverage)


def check_price(
    instrument: Instrument,
    order_type: OrderType,
    price: Decimal | None,
    trigger_price: Decimal | None,
    last_price: float | Decimal | None,
    side: Side,
) -> Denial | None:
    """Fat fingers: a price off the tick, outside the instrument's band around the last price, or a stop's limit short of its trigger."""
    asked = {
        OrderType.MARKET: (),
        OrderType.LIMIT: (price,),
        OrderType.SL: (price, trigger_price),
        OrderType.SL_M: (trigger_price,),
    }[order_type]
    if not asked:
        return None
    if not _usable_price(last_price):
        return Denial.STALE_PRICE
    last = Decimal(str(last_price))
    reach = last * instrument.band_pct / 100
    for each in asked:
        if each is None or not is_tick_multiple(each, instrument.tick_size) or each <= 0 or abs(each - last) > reach:
            return Denial.PRICE_BAND
    if order_type is OrderType.SL and price is not None and trigger_price is not None and (price - trigger_price) * side.sign < 0:
        return Denial.PRICE_BAND
    return None


# --- the questions, in the order in which a denial is named --------------------------------------------------------

_Answer = tuple[bool, str]


def _daily_loss(inp: RiskInput) -> _Answer:
    limit = _loss_limit(inp.limits, inp.capital)
    if inp.locked is not None and inp.locked != Denial.DAILY_PROFIT:
        return False, f"closed for the day: {inp.locked}"
    if limit is None:
        return True, "no limit"
    if inp.day_pnl is None or not inp.day_pnl.is_finite():
        return False, "the day's P&L is not known"
    return limit > 0 and -inp.day_pnl < limit, f"P&L {inp.day_pnl}, loss limit {limit}"


def _daily_profit(inp: RiskInput) -> _Answer:
    limit = _profit_limit(inp.limits, inp.capital)
    if inp.locked == Denial.DAILY_PROFIT:
        return False, f"closed for the day: {inp.locked}"
    if limit is None:
        return True, "no limit"
    if inp.day_pnl is None or not inp.day_pnl.is_finite():
        return False, "the day's P&L is not known"
    return limit > 0 and inp.day_pnl < limit, f"P&L {inp.day_pnl}, profit limit {limit}"


def _max_trades(inp: RiskInput) -> _Answer:
    limit = inp.limits.max_trades_per_day
    return limit is None or 0 <= inp.trades_today < limit, f"{inp.trades_today} so far, {_or_none(limit)}"


def _max_positions(inp: RiskInput) -> _Answer:
    limit = inp.limits.max_open_positions
    count = len(inp.open_symbols) + (inp.symbol not in inp.open_symbols)
    return limit is None or count <= limit, f"{count} with this one, {_or_none(limit)}"


def _stale_price(inp: RiskInput) -> _Answer:
    if not _usable_price(inp.price):
        return False, "no price"
    if inp.price_age is None or not -CLOCK_SKEW <= inp.price_age <= inp.max_price_age:
        return False, f"the price is {inp.price_age} s old, {inp.max_price_age} allowed"
    return True, f"{inp.price}, {inp.price_age:.1f} s old"


def _order_value(inp: RiskInput) -> _Answer:
    return _within(inp.order_value, effective_limit(inp.limits.max_order_value, inp.limits.max_order_value_pct, inp.capital))


def _position_value(inp: RiskInput) -> _Answer:
    return _within(inp.position_value_after, effective_limit(inp.limits.max_position_value, inp.limits.max_position_value_pct, inp.capital))


def _insufficient_funds(inp: RiskInput) -> _Answer:
    need, have = inp.required_margin, inp.available_funds
    if need is None or have is None or not _at_least_zero(need) or not have.is_finite():
        return False, f"needs {need}, available {have}"
    return need <= have, f"needs {need}, available {have}"


_QUESTIONS: tuple[tuple[Denial, Callable[[RiskInput], _Answer]], ...] = (
    (Denial.DAILY_LOSS, _daily_loss),
    (Denial.DAILY_PROFIT, _daily_profit),
    (Denial.MAX_TRADES, _max_trades),
    (Denial.MAX_POSITIONS, _max_positions),
    (Denial.STALE_PRICE, _stale_price),
    (Denial.ORDER_VALUE, _order_value),
    (Denial.POSITION_VALUE, _position_value),
    (Denial.INSUFFICIENT_FUNDS, _insufficient_funds),
)


def _within(value: Decimal | None, limit: Decimal | None) -> _Answer:
    if value is None or not _at_least_zero(value):
        return False, f"value {value} cannot be used"
    return limit is None or value <= limit, f"{value}, {_or_none(limit)}"


def _loss_limit(limits: Limits, capital: Decimal) -> Decimal | None:
    return effective_limit(limits.max_daily_loss, limits.max_daily_loss_pct, capital)


def _profit_limit(limits: Limits, capital: Decimal) -> Decimal | None:
    return effective_limit(limits.max_daily_profit, limits.max_daily_profit_pct, capital)


def _used_pct(amount: Decimal, limit: Decimal | None) -> Decimal | None:
    if limit is None:
        return None
    if not limit:
        return Decimal(100)
    return max(ZERO, amount) / limit * 100


def _at_least_zero(number: Decimal) -> bool:
    return number.is_finite() and number >= 0


def _usable_price(price: float | Decimal | None) -> bool:
    return price is not None and math.isfinite(price) and price > 0


def _or_none(limit: object) -> str:
    return "no limit" if limit is None else f"limit {limit}"

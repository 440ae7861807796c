"""How much one signal is worth on one account: quantity from capital, allocation and the mapping's sizing mode.

Always rounds down to the lot and never guesses: what cannot be computed is zero, with the reason in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.core.model import ONE, ZERO, AccountMapping, Denial, Instrument, Sizing, SizingMode
from engines.core.prices import is_lot_multiple, round_lot_down


@dataclass(frozen=True, slots=True)
class SizingInput:
    """`quantity` is what the caller asked for outright (None: the mapping's mode decides). `price` is what one unit is valued at.
    `closed_trades` are net results of the mapping's own round trips (for Kelly)."""

    capital: Decimal
    mapping: AccountMapping | None
    instrument: Instrument
    price: Decimal | None
    stop_price: Decimal | None = None
    quantity: Decimal | None = None
    closed_trades: Sequence[Decimal] = ()


@dataclass(frozen=True, slots=True)
class Sized:
    """`quantity` in whole lots; when it is zero, `denial` says why for programs and `detail` for people."""

    quantity: Decimal
    detail: str
    denial: Denial | None = None


class _NoSize(Exception):
    """Why there is no quantity."""

    def __init__(self, detail: str, denial: Denial = Denial.ZERO_QUANTITY) -> None:
        super().__init__(detail)
        self.denial = denial


def size(inp: SizingInput) -> Sized:
    """The order's quantity: the explicit one or the mode's, times the mapping's multiplier, down to the lot."""
    try:
        units, words = _units(inp)
    except _NoSize as reason:
        return Sized(ZERO, str(reason), reason.denial)
    multiplier = inp.mapping.multiplier if inp.mapping else ONE
    lot = inp.instrument.lot
    if not _usable(units) or not _usable(multiplier):
        return Sized(ZERO, f"{words} x {_plain(multiplier)} is nothing to trade", Denial.ZERO_QUANTITY)
    if inp.quantity is not None and multiplier == ONE and not is_lot_multiple(units, lot):
        return Sized(ZERO, f"{_plain(units)} is not a multiple of the lot {_plain(lot)}", Denial.LOT_SIZE)
    if multiplier != ONE:
        words += f" x {_plain(multiplier)}"
    quantity = round_lot_down(units * multiplier, lot)
    if not quantity:
        return Sized(ZERO, f"{words} is less than one lot of {_plain(lot)}", Denial.ZERO_QUANTITY)
    return Sized(quantity, f"{words}, in lots of {_plain(lot)}: {_plain(quantity)}")


def allocated(capital: Decimal, allocation_pct: Decimal) -> Decimal:
    """The part of an account's capital that a mapping may use."""
    return capital * allocation_pct / 100


def risk_amount(capital: Decimal, allocation_pct: Decimal, risk_pct: Decimal) -> Decimal:
    """What may be lost if the stop is hit: capital 1,00,000, allocation 50 %, risk per trade 2 % → 1,000."""
    return allocated(capital, allocation_pct) * risk_pct / 100


def kelly_fraction(closed_trades: Sequence[Decimal]) -> Decimal | None:
    """Full Kelly, W - (1 - W) / R (Kelly 1956), with W the share of winners and R average win over average loss.

    Trades that ended at exactly zero say nothing. None when no trade says anything; never below zero."""
    wins = [x for x in closed_trades if x > 0]
    losses = [-x for x in closed_trades if x < 0]
    if not wins and not losses:
        return None
    if not wins:
        return ZERO
    win_share = Decimal(len(wins)) / (len(wins) + len(losses))
    if not losses:
        return win_share
    payoff = (sum(wins, ZERO) / len(wins)) / (sum(losses, ZERO) / len(losses))
    return max(ZERO, win_share - (1 - win_share) / payoff)


def _units(inp: SizingInput) -> tuple[Decimal, str]:
    if inp.quantity is not None:
        return inp.quantity, f"asked for {_plain(inp.quantity)}"
    if inp.mapping is None:
        raise _NoSize("no quantity was asked for and no mapping says how much")
    sizing = inp.mapping.sizing
    if not sizing.value.is_finite():
        raise _NoSize(f"the mapping's sizing value is {sizing.value}")
    if sizing.mode is SizingMode.FIXED_QUANTITY:
        return sizing.value, f"fixed {_plain(sizing.value)}"
    price = _price(inp.price, "price")
    if sizing.mode is SizingMode.FIXED_AMOUNT:
        return sizing.value / price, f"{_plain(sizing.value)} at {price}"
    capital = allocated(inp.capital, inp.mapping.allocation_pct)
    if not _usable(capital):
        raise _NoSize(f"{_plain(inp.mapping.allocation_pct)} % of {_plain(inp.capital)} allocates nothing")
    match sizing.mode:
        case SizingMode.PERCENT:
            return capital * sizing.value / 100 / price, f"{_plain(sizing.value)} % of {_plain(capital)} at {price}"
        case SizingMode.RISK:
            return _risk_units(inp, inp.mapping, price)
        case SizingMode.KELLY:
            share_pct, words = _kelly_pct(sizing, inp.closed_trades)
            return capital * share_pct / 100 / price, f"{words}: {_plain(share_pct)} % of {_plain(capital)} at {price}"


def _risk_units(inp: SizingInput, mapping: AccountMapping, price: Decimal) -> tuple[Decimal, str]:
    if inp.stop_price is None:
        raise _NoSize("sizing by risk needs a stop")
    distance = abs(price - _price(inp.stop_price, "stop"))
    if not distance:
        raise _NoSize(f"the stop is at the price {price}: no distance to size by")
    at_risk = risk_amount(inp.capital, mapping.allocation_pct, mapping.risk_per_trade_pct)
    return at_risk / distance, f"{_plain(at_risk)} at risk, {distance} a unit"


def _kelly_pct(sizing: Sizing, closed_trades: Sequence[Decimal]) -> tuple[Decimal, str]:
    full = kelly_fraction(closed_trades)
    if full is None or len(closed_trades) < sizing.kelly_min_trades:
        return sizing.kelly_fallback_pct, f"Kelly after {sizing.kelly_min_trades} closed trades, {len(closed_trades)} so far"
    if not full:
        raise _NoSize(f"Kelly: the last {len(closed_trades)} closed trades show no edge")
    return min(full * sizing.value * 100, sizing.kelly_cap_pct), f"Kelly {full:.4f} x {_plain(sizing.value)}"


def _price(price: Decimal | None, name: str) -> Decimal:
    if price is None or not _usable(price):
        raise _NoSize(f"no usable {name}", Denial.STALE_PRICE)
    return price


def _usable(number: Decimal) -> bool:
    return number.is_finite() and number > 0


def _plain(number: Decimal) -> str:
    """As a person writes it: 1000 rather than 1000.000 or 1E+3."""
    return f"{number.normalize():f}" if number.is_finite() else str(number)

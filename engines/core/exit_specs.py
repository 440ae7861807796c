"""What an exit spec says in prices: where its stop and targets lie for an entry, and whether it makes sense at all.

Forms in percent and points are turned into prices on the instrument's tick, rounded away from the entry, so that a stop is never tighter and a
target never nearer than was asked. Nothing here knows of plans or of what has fired.
"""

from __future__ import annotations

from decimal import Decimal

from engines.core.model import ZERO, ExitSpec, Side, TargetSpec, TrailingSpec
from engines.core.prices import to_tick

HUNDRED = Decimal(100)


def nearer_market(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """The better price of the two for a position of this side; of two stops, the tighter."""
    return max(one, other) if side is Side.BUY else min(one, other)


def tightest(side: Side, *stops: Decimal | None) -> Decimal | None:
    given = [stop for stop in stops if stop is not None]
    if not given:
        return None
    return max(given) if side is Side.BUY else min(given)


def round_away(side: Side, stop: Decimal, tick_size: Decimal) -> Decimal:
    """On the tick, and not tighter than asked."""
    return to_tick(stop, tick_size, "down" if side is Side.BUY else "up")


def stop_for(spec: ExitSpec, side: Side, entry_price: Decimal, tick_size: Decimal | None = None) -> Decimal | None:
    """The stop that a position entered at `entry_price` begins with; None when it begins without one. On the tick when one is given."""
    fixed, trailing = fixed_stop(spec, side, entry_price, tick_size), spec.trailing
    if trailing is None or trailing.mode != "percent" or trailing.start:
        return fixed
    behind = entry_price * percent_behind(side, trailing)
    return tightest(side, fixed, behind if tick_size is None else round_away(side, behind, tick_size))


def percent_behind(side: Side, trailing: TrailingSpec) -> Decimal:
    """The share of the best price at which a trail by percent keeps the stop."""
    return 1 - side.sign * trailing.value / HUNDRED


def fixed_stop(spec: ExitSpec, side: Side, entry_price: Decimal, tick_size: Decimal | None = None) -> Decimal | None:
    """The stop itself, without any trail."""
    if spec.stop_price is not None:
        stop = spec.stop_price
    elif spec.stop_pct is not None:
        stop = entry_price * (1 - side.sign * spec.stop_pct / HUNDRED)
    elif spec.stop_points is not None:
        stop = entry_price - side.sign * spec.stop_points
    else:
        return None
    return stop if tick_size is None else round_away(side, stop, tick_size)


def target_prices(spec: ExitSpec, side: Side, entry_price: Decimal, tick_size: Decimal | None = None) -> tuple[Decimal, ...]:
    prices = [_target_price(target, side, entry_price) for target in spec.targets]
    if tick_size is None:
        return tuple(prices)
    return tuple(to_tick(price, tick_size, "up" if side is Side.BUY else "down") for price in prices)


def _target_price(target: TargetSpec, side: Side, entry_price: Decimal) -> Decimal:
    if target.price is not None:
        return target.price
    if target.pct is not None:
        return entry_price * (1 + side.sign * target.pct / HUNDRED)
    return entry_price + side.sign * (target.points or ZERO)


# --- does it make sense? -------------------------------------------------------------------------------------------


def check_spec(
    spec: ExitSpec, side: Side, reference: Decimal | None, market: Decimal | None = None, *, entry_price: Decimal | None = None
) -> None:
    """ValueError, fit to show to a person, when the spec contradicts itself or would fire at once.

    Levels are measured from `entry_price` (default: `reference`, the price at which the entry is expected) and must lie on their sides of
    `market` (default: `reference`). With neither, only the spec itself is judged.
    """
    _check_stop(spec, side)
    _check_targets(spec, side)
    if spec.trailing is not None:
        _check_trailing(spec, spec.trailing)
    entry, beside = entry_price or reference, market or reference
    if entry is not None and beside is not None:
        _check_sides(spec, side, entry, beside)


def _check_stop(spec: ExitSpec, side: Side) -> None:
    forms = [form for form in (spec.stop_price, spec.stop_pct, spec.stop_points) if form is not None]
    if len(forms) > 1:
        raise ValueError("the stop is given in more than one form: use a price, a percent or points")
    for form in forms:
        _must_be_positive("the stop", form)
    if side is Side.BUY and spec.stop_pct is not None and spec.stop_pct >= HUNDRED:
        raise ValueError("the stop of a long position must be less than 100 % away")


def _check_targets(spec: ExitSpec, side: Side) -> None:
    for n, target in enumerate(spec.targets, start=1):
        forms = [form for form in (target.price, target.pct, target.points) if form is not None]
        if len(forms) != 1:
            raise ValueError(f"target {n} needs exactly one of a price, a percent or points")
        _must_be_positive(f"target {n}", forms[0])
        _must_be_positive(f"the share of target {n}", target.share_pct)
        if side is Side.SELL and target.pct is not None and target.pct >= HUNDRED:
            raise ValueError(f"target {n} of a short position must be less than 100 % away")
    if sum((target.share_pct for target in spec.targets), ZERO) > HUNDRED:
        raise ValueError("the targets share out more than 100 %")
    if spec.cost_after_target is not None and not 1 <= spec.cost_after_target <= len(spec.targets):
        raise ValueError(f"the stop cannot move to cost after target {spec.cost_after_target}: there are {len(spec.targets)} targets")


def _check_trailing(spec: ExitSpec, trailing: TrailingSpec) -> None:
    _must_be_positive("the trail", trailing.value)
    if trailing.start is not None and not (trailing.start.is_finite() and trailing.start >= 0):
        raise ValueError(f"the trail cannot begin at {trailing.start} points")
    if trailing.mode == "percent":
        if trailing.value >= HUNDRED:
            raise ValueError("a trail must stay less than 100 % behind")
    elif trailing.mode != "step":
        raise ValueError(f"a trail goes by percent or by step, not by {trailing.mode}")
    elif trailing.step is None:
        raise ValueError("a trail by step needs the step")
    else:
        _must_be_positive("the step of the trail", trailing.step)
        if not spec.has_stop:
            raise ValueError("a trail by step needs a stop to move")
        if trailing.value > trailing.step:
            raise ValueError("the stop would overtake the price: it cannot move further than the step of its trail")


def _check_sides(spec: ExitSpec, side: Side, entry: Decimal, market: Decimal) -> None:
    position, losing, winning = ("long", "below", "above") if side is Side.BUY else ("short", "above", "below")
    stop = fixed_stop(spec, side, entry)
    if stop is not None and stop <= 0:
        raise ValueError("the stop is further away than the price itself")
    if stop is not None and side.sign * (market - stop) <= 0:
        raise ValueError(f"the stop {_plain(stop)} of a {position} position must be {losing} {_plain(market)}")
    for n, price in enumerate(target_prices(spec, side, entry), start=1):
        if price <= 0:
            raise ValueError(f"target {n} is further away than the price itself")
        if side.sign * (price - market) <= 0:
            raise ValueError(f"target {n} at {_plain(price)} of a {position} position must be {winning} {_plain(market)}")


def _must_be_positive(name: str, number: Decimal) -> None:
    if not (number.is_finite() and number > 0):
        raise ValueError(f"{name} must be above zero, not {number}")


def _plain(price: Decimal) -> str:
    return f"{price.normalize():f}"

"""What an exit spec says in prices and moments: where its stop and targets lie for an entry, when it ends, and whether it makes sense at all.

All forms are turned into prices on the instrument's tick: a stop away from the market, so that it is never tighter than was asked, a target on the
nearest tick. Nothing here knows of plans or of what has fired.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

from engines.core.booking import BOOKINGS
from engines.core.model import ZERO, ExitSpec, Side, TargetSpec, Timestamp, TrailingSpec
from engines.core.prices import to_tick
from engines.core.sessions import DAY, Calendar, day_start, exchange_of, load_calendar, midnight, next_trading_day, session_day

HUNDRED = Decimal(100)
LONGEST_MINUTES = 527_040  # a leap year
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def nearer_market(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """The better price of the two for a position of this side; of two stops, the tighter."""
    return max(one, other) if side is Side.BUY else min(one, other)


def tightest(side: Side, *stops: Decimal | None) -> Decimal | None:
    given = [stop for stop in stops if stop is not None]
    if not given:
        return None
    return max(given) if side is Side.BUY else min(given)


def round_away(side: Side, stop: Decimal, tick_size: Decimal) -> Decimal:
    """On the tick, and not tighter than asked; on the lowest tick when it would be below, so that it guards at all."""
    return max(to_tick(stop, tick_size, "down" if side is Side.BUY else "up"), tick_size)


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
    return tuple(prices) if tick_size is None else tuple(to_tick(price, tick_size) for price in prices)


def _target_price(target: TargetSpec, side: Side, entry_price: Decimal) -> Decimal:
    if target.price is not None:
        return target.price
    if target.pct is not None:
        return entry_price * (1 + side.sign * target.pct / HUNDRED)
    return entry_price + side.sign * (target.points or ZERO)


def stop_after(target: TargetSpec, side: Side, entry_price: Decimal, tick_size: Decimal | None = None) -> Decimal | None:
    """Where this target moves the stop once it is reached; None when it leaves it alone."""
    if target.then_price is not None:
        stop = target.then_price
    elif target.then_pct is not None:
        stop = entry_price * (1 + side.sign * target.then_pct / HUNDRED)
    elif target.then_points is not None:
        stop = entry_price + side.sign * target.then_points
    else:
        return None
    return stop if tick_size is None else round_away(side, stop, tick_size)


def deadline_for(spec: ExitSpec, symbol: str, now: Timestamp, calendar: Calendar | None = None) -> Timestamp | None:
    """When what a position of `symbol`, entered `now`, still holds is to leave; None: never by the clock.

    `exit_at` is of today, in the market's zone, or when that has passed of the next day on which the exchange trades."""
    moments = [] if spec.max_minutes is None else [now + spec.max_minutes * 60]
    if spec.exit_at is not None:
        moments.append(_next_time(spec.exit_at, symbol, now, calendar or load_calendar()))
    return min(moments, default=None)


def _next_time(clock: str, symbol: str, now: Timestamp, calendar: Calendar) -> Timestamp:
    today, second = day_start(now, symbol), _second_of(clock)
    if now < today + second:
        return today + second
    trading = next_trading_day(session_day(now, symbol), exchange_of(symbol), calendar)
    return (today + DAY if trading is None else midnight(trading, symbol)) + second


def _second_of(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60


# --- does it make sense? -------------------------------------------------------------------------------------------


class BadSpec(ValueError):
    """A spec that makes no sense, in words fit to show to a person; `place`: which part of it, as `stop`, `stop.pct`, `targets.0.points`, `trailing`."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(words)
        self.place = place


def check_spec(
    spec: ExitSpec,
    side: Side,
    reference: Decimal | None,
    market: Decimal | None = None,
    *,
    entry_price: Decimal | None = None,
    fired: Collection[int] = (),
) -> None:
    """BadSpec, a ValueError fit to show to a person, when the spec contradicts itself, cannot be reached or would fire at once.

    Levels are measured from `entry_price` (default: `reference`, the price at which the entry is expected) and must lie on their sides of
    `market` (default: `reference`); targets that have `fired` (places from 0) may lie anywhere. With neither, only the spec itself is judged.
    """
    check_form(spec)
    entry, beside = entry_price or reference, market or reference
    check_reach(spec, side, entry)
    if entry is not None:
        _check_ladder(spec, side, entry)
    if entry is not None and beside is not None:
        _check_sides(spec, side, entry, beside, fired)


def check_form(spec: ExitSpec) -> None:
    """BadSpec when the spec contradicts itself, whatever it is for."""
    _check_stop(spec)
    _check_targets(spec)
    if spec.trailing is not None:
        _check_trailing(spec, spec.trailing)
    _check_times(spec)


def check_reach(spec: ExitSpec, side: Side, entry: Decimal | None) -> None:
    """BadSpec when the stop or a target of a position entered at about `entry` (None: not known) would lie where no price ever goes."""
    long = side is Side.BUY
    if long and spec.stop_pct is not None and spec.stop_pct >= HUNDRED:
        raise BadSpec("stop.pct", "the stop of a long position must be less than 100 % away")
    for n, target in enumerate(spec.targets):
        if not long and target.pct is not None and target.pct >= HUNDRED:
            raise BadSpec(f"targets.{n}.pct", f"target {n + 1} of a short position must be less than 100 % away")
    if entry is None:
        return
    stop = fixed_stop(spec, side, entry)
    if stop is not None and stop <= 0:
        raise BadSpec(_place("stop", spec.stop_pct, spec.stop_points), "the stop is further away than the price itself")
    for n, (target, price) in enumerate(zip(spec.targets, target_prices(spec, side, entry), strict=True)):
        if price <= 0:
            raise BadSpec(_place(f"targets.{n}", target.pct, target.points), f"target {n + 1} is further away than the price itself")


def unreachable(spec: ExitSpec, side: Side, entry: Decimal | None) -> str:
    """Why the spec cannot guard a position entered at about `entry`; empty: it can."""
    try:
        check_reach(spec, side, entry)
    except BadSpec as error:
        return str(error)
    return ""


def _place(part: str, pct: Decimal | None, points: Decimal | None) -> str:
    return f"{part}.pct" if pct is not None else f"{part}.points" if points is not None else part


def _check_stop(spec: ExitSpec) -> None:
    forms = [form for form in (spec.stop_price, spec.stop_pct, spec.stop_points) if form is not None]
    if len(forms) > 1:
        raise BadSpec("stop", "the stop is given in more than one form: use a price, a percent or points")
    for form in forms:
        _must_be_positive("stop", "the stop", form)


def _check_targets(spec: ExitSpec) -> None:
    for n, target in enumerate(spec.targets, start=1):
        forms = [form for form in (target.price, target.pct, target.points) if form is not None]
        if len(forms) != 1:
            raise BadSpec(f"targets.{n - 1}", f"target {n} needs exactly one of a price, a percent or points")
        _must_be_positive(f"targets.{n - 1}", f"target {n}", forms[0])
        _check_then(n, target)
        if target.share_pct or not _moves_the_stop(target):
            _must_be_positive(f"targets.{n - 1}.share_pct", f"the share of target {n}", target.share_pct)
    if sum((target.share_pct for target in spec.targets), ZERO) > HUNDRED:
        raise BadSpec("targets", "the targets share out more than 100 %")
    if spec.cost_after_target is not None and not 1 <= spec.cost_after_target <= len(spec.targets):
        told = f"the stop cannot move to cost after target {spec.cost_after_target}: there are {len(spec.targets)} targets"
        raise BadSpec("cost_after_target", told)
    if spec.booking not in BOOKINGS:
        raise BadSpec("booking", f"lots go to the targets by remainder or even, not by {spec.booking}")


def _moves_the_stop(target: TargetSpec) -> bool:
    return any(form is not None for form in (target.then_price, target.then_pct, target.then_points))


def _check_then(n: int, target: TargetSpec) -> None:
    forms = [form for form in (target.then_price, target.then_pct, target.then_points) if form is not None]
    if len(forms) > 1:
        raise BadSpec(
            f"targets.{n - 1}.then_stop", f"the stop after target {n} is given in more than one form: use a price, a percent or points"
        )
    if not all(form.is_finite() for form in forms):
        raise BadSpec(f"targets.{n - 1}.then_stop", f"the stop after target {n} must be a number, not {forms[0]}")
    if target.then_price is not None:
        _must_be_positive(f"targets.{n - 1}.then_stop", f"the stop after target {n}", target.then_price)


def _check_ladder(spec: ExitSpec, side: Side, entry: Decimal) -> None:
    """A stop that a target moves beyond itself would fire on the very price that reached the target."""
    for n, (target, price) in enumerate(zip(spec.targets, target_prices(spec, side, entry), strict=True), start=1):
        stop = stop_after(target, side, entry)
        if stop is not None and side.sign * (price - stop) < 0:
            raise BadSpec(
                f"targets.{n - 1}.then_stop", f"the stop after target {n} at {_plain(stop)} lies beyond that target at {_plain(price)}"
            )
        if stop is not None and stop <= 0:
            raise BadSpec(f"targets.{n - 1}.then_stop", f"the stop after target {n} is further away than the price itself")


def _check_times(spec: ExitSpec) -> None:
    if spec.exit_at is not None and not _CLOCK.fullmatch(spec.exit_at):
        raise BadSpec("exit_at", f"the time of the exit is written HH:MM, not {spec.exit_at}")
    if spec.max_minutes is not None and not 1 <= spec.max_minutes <= LONGEST_MINUTES:
        raise BadSpec("max_minutes", f"a position can be held for 1 to {LONGEST_MINUTES} minutes, not {spec.max_minutes}")


def _check_trailing(spec: ExitSpec, trailing: TrailingSpec) -> None:
    _must_be_positive("trailing.value", "the trail", trailing.value)
    if trailing.start is not None and not (trailing.start.is_finite() and trailing.start >= 0):
        raise BadSpec("trailing", f"the trail cannot begin at {trailing.start} points")
    if trailing.mode == "percent":
        if trailing.value >= HUNDRED:
            raise BadSpec("trailing", "a trail must stay less than 100 % behind")
    elif trailing.mode != "step":
        raise BadSpec("trailing", f"a trail goes by percent or by step, not by {trailing.mode}")
    elif trailing.step is None:
        raise BadSpec("trailing", "a trail by step needs the step")
    else:
        _must_be_positive("trailing.step", "the step of the trail", trailing.step)
        if not spec.has_stop:
            raise BadSpec("trailing", "a trail by step needs a stop to move")
        if trailing.value > trailing.step:
            raise BadSpec("trailing", "the stop would overtake the price: it cannot move further than the step of its trail")


def _check_sides(spec: ExitSpec, side: Side, entry: Decimal, market: Decimal, fired: Collection[int]) -> None:
    position, losing, winning = ("long", "below", "above") if side is Side.BUY else ("short", "above", "below")
    stop = fixed_stop(spec, side, entry)
    if stop is not None and side.sign * (market - stop) <= 0:
        raise BadSpec(
            _place("stop", spec.stop_pct, spec.stop_points),
            f"the stop {_plain(stop)} of a {position} position must be {losing} {_plain(market)}",
        )
    for n, price in enumerate(target_prices(spec, side, entry), start=1):
        if n - 1 not in fired and side.sign * (price - market) <= 0:
            asked = spec.targets[n - 1]
            raise BadSpec(
                _place(f"targets.{n - 1}", asked.pct, asked.points),
                f"target {n} at {_plain(price)} of a {position} position must be {winning} {_plain(market)}",
            )


def _must_be_positive(place: str, name: str, number: Decimal) -> None:
    if not (number.is_finite() and number > 0):
        raise BadSpec(place, f"{name} must be above zero, not {number}")


def _plain(price: Decimal) -> str:
    return f"{price.normalize():f}"

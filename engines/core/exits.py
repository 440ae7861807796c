"""The life of an exit plan: the stop, the ladder of targets, the trail and the deadline that guard one position.

A plan changes only through these functions. Its stop only tightens (a person may move it both ways), fires at most once, and stop, targets and
deadline together never let go of more than the plan guards. Prices that the plan works out lie on the instrument's tick. Nothing here sends an
order: `on_price` and `on_time` say which exits are due, and whoever sends them never sends more than is held. At one price the deadline comes first,
then the stop, then the targets in order, then the stop's moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from engines.core.booking import quantities
from engines.core.exit_specs import (
    BadSpec,
    check_form,
    check_spec,
    deadline_for,
    fixed_stop,
    nearer_market,
    percent_behind,
    round_away,
    stop_after,
    stop_for,
    target_prices,
    tightest,
    unreachable,
)
from engines.core.model import (
    ZERO,
    ExitPlan,
    ExitSpec,
    Instrument,
    PlanState,
    PlanTarget,
    Position,
    PositionKey,
    Role,
    Side,
    Timestamp,
    TrailingSpec,
)
from engines.core.prices import to_tick
from engines.core.sessions import Calendar
from engines.core.triggers import Direction, Level

__all__ = [
    "BadSpec",
    "ExitOrder",
    "check_form",
    "check_spec",
    "close",
    "edit",
    "give_back",
    "gone",
    "grow",
    "guarded",
    "leaves_as",
    "levels",
    "make_plan",
    "on_price",
    "on_time",
    "shrink",
    "still_leaving",
    "stop_for",
    "unreachable",
    "version_of",
]


CLOCKS = 5.0
"""Seconds by which a broker's clock, which says when a position was opened, may be ahead of ours, which says when a stop fired."""


@dataclass(frozen=True, slots=True)
class ExitOrder:
    """An exit that is due now: at the market, `quantity` units, to the account that holds the position."""

    leg: str  # "time" | "stop" | "target:1" | "target:2" | ...
    role: Role
    quantity: Decimal


def make_plan(
    plan_id: str,
    key: PositionKey,
    user_id: str,
    side: Side,
    entry_price: Decimal,
    quantity: Decimal,
    spec: ExitSpec,
    instrument: Instrument,
    now: Timestamp,
    signal_key: str = "",
    *,
    market: Decimal | None = None,
    at_fill: bool = False,
    deadline: Timestamp | None = None,
    calendar: Calendar | None = None,
) -> ExitPlan | None:
    """The armed plan that `spec` asks for; None when it asks for nothing. `side` is the position's, `quantity` unsigned.

    ValueError, fit to show to a person, when the stop is not on the losing side of `market` (default: the entry price) or a target not on the
    winning side. `at_fill`: the position exists already and must be guarded, so a level that the market has passed is kept and fires on the next price,
    and a stop that would lie below every price is on the lowest tick.
    The clock of `spec` runs from `now` unless the entry has a `deadline` already; `calendar` (default: the one that ships) says which days trade.
    """
    if spec.empty:
        return None
    if at_fill:
        check_form(spec)
    else:
        check_spec(spec, side, entry_price, market)
    plan = ExitPlan(
        plan_id=plan_id,
        key=key,
        user_id=user_id,
        side=side,
        entry_price=entry_price,
        quantity=quantity,
        spec=spec,
        stop=None,
        targets=(),
        best_price=entry_price,
        state=PlanState.ARMED,
        updated_at=now,
        signal_key=signal_key,
        tick_size=instrument.tick_size,
        lot=instrument.lot,
        deadline=deadline_for(spec, key.symbol, now, calendar) if deadline is None else deadline,
    )
    return _tightened(replace(plan, targets=_targets(plan, {})))


def grow(plan: ExitPlan, added_quantity: Decimal, entry_price: Decimal, now: Timestamp) -> ExitPlan:
    """More of the entry has filled: `entry_price` is the new average. Levels away from the entry move with it, but the stop never loosens.

    ValueError when the plan is not armed: what is filled after a stop has fired needs a plan of its own (`make_plan(..., at_fill=True)`)."""
    _must_be_armed(plan)
    best = nearer_market(plan.side, plan.best_price, entry_price)
    grown = replace(
        plan, quantity=plan.quantity + added_quantity, entry_price=entry_price, best_price=best, updated_at=max(plan.updated_at, now)
    )
    kept = {n: target for n, target in enumerate(plan.targets) if target.fired}
    return _tightened(replace(grown, targets=_targets(grown, kept)))


def shrink(plan: ExitPlan, quantity: Decimal, now: Timestamp) -> ExitPlan:
    """A person has taken `quantity` out of the position: the plan guards what is left, and its targets share that."""
    return grow(plan, -min(quantity, guarded(plan)), plan.entry_price, now)


def edit(plan: ExitPlan, spec: ExitSpec, now: Timestamp, market: Decimal | None = None, *, calendar: Calendar | None = None) -> ExitPlan:
    """The plan as a person wants it from now on; an empty spec takes it away. The stop may move both ways.

    A target that has fired stays fired if the new spec still has it, price and share, in its place; shares are of what the plan then guards.
    The steps of a trail and changed times count from here on. ValueError when the plan is not armed, or when a level would fire at once at the
    price `market`.
    """
    _must_be_armed(plan)
    if spec.empty:
        return close(plan, now)
    check_spec(spec, plan.side, None)
    kept = {n: plan.targets[n] for n in _still_named(plan, spec)}
    check_spec(spec, plan.side, None, market, entry_price=plan.entry_price, fired=kept.keys())
    same_times = (spec.exit_at, spec.max_minutes) == (plan.spec.exit_at, plan.spec.max_minutes)
    dropped = sum((target.quantity for n, target in enumerate(plan.targets) if target.fired and n not in kept), ZERO)
    edited = replace(
        plan,
        spec=spec,
        quantity=plan.quantity - dropped,
        stop=None,
        trail_from=plan.best_price,
        deadline=plan.deadline if same_times else deadline_for(spec, plan.key.symbol, now, calendar),
        updated_at=max(plan.updated_at, now),
    )
    edited = _tightened(replace(edited, targets=_targets(edited, kept)))
    if market is not None and edited.stop is not None and not _is_beyond(plan.side, market, edited.stop):
        raise ValueError(f"the stop would be at {edited.stop} and fire at once: the price is {market}")
    return edited


def version_of(plan: ExitPlan | None) -> str:
    """Another one for each recipe that a person may have looked at, "none" where nothing is armed. What a plan does by itself, trailing and targets that
    fire, is in its recipe already and changes nothing here."""
    if plan is None or plan.state is not PlanState.ARMED:
        return "none"
    return hashlib.blake2s(repr(plan.spec).encode(), digest_size=8).hexdigest()


def close(plan: ExitPlan, now: Timestamp) -> ExitPlan:
    """The position is flat, or a person took the plan away."""
    return replace(plan, state=PlanState.DONE, updated_at=max(plan.updated_at, now))


def give_back(plan: ExitPlan, quantity: Decimal, now: Timestamp) -> ExitPlan:
    """A target's exit ended without filling `quantity` of it: those units are under the stop again. The target itself does not fire again; booked
    evenly, its lots leave with the next."""
    targets = list(plan.targets)
    for n in reversed(range(len(targets))):
        if targets[n].fired:
            back = min(quantity, targets[n].quantity)
            targets[n] = replace(targets[n], quantity=targets[n].quantity - back)
            quantity -= back
    given = replace(plan, targets=tuple(targets), updated_at=max(plan.updated_at, now))
    if plan.state is not PlanState.ARMED or plan.spec.booking != "even":
        return given
    return replace(given, targets=_targets(given, {n: target for n, target in enumerate(targets) if target.fired}))


def still_leaving(plan: ExitPlan, position: Position) -> bool:
    """What the plan let go of is there, and not a position that was opened after it had fired."""
    opened_at = position.opened_at
    fired = plan.state is PlanState.STOPPED and position.quantity * plan.side.sign > 0
    return fired and opened_at is not None and opened_at <= plan.updated_at + CLOCKS


def gone(plan: ExitPlan, quantity: Decimal, held: Decimal, now: Timestamp) -> ExitPlan:
    """Of what a plan that has fired let go of `quantity` has left, and `held` is all there is: it asks for the rest alone, also after a restart and in
    the next session; done when there is none. What has been added to the position since is not its own."""
    rest = min(plan.quantity - quantity, held)
    if rest == plan.quantity:
        return plan
    return replace(plan, quantity=rest) if rest > ZERO else close(replace(plan, quantity=ZERO), now)


def leaves_as(plan: ExitPlan) -> Role:
    """What a plan that has fired asks for again where nothing came of it."""
    return Role.SQUARE_OFF if plan.deadline is not None and plan.updated_at >= plan.deadline else Role.STOP


def guarded(plan: ExitPlan) -> Decimal:
    """Units that the stop would let go of: those for which no exit was asked yet."""
    if plan.state is not PlanState.ARMED:
        return ZERO
    return plan.quantity - sum((target.quantity for target in plan.targets if target.fired), ZERO)


# --- time and prices -------------------------------------------------------------------------------------------------


def on_time(plan: ExitPlan, now: Timestamp) -> tuple[ExitPlan, tuple[ExitOrder, ...]]:
    """Everything that is still guarded, at the market, once the deadline has come; nothing of the plan fires after it."""
    rest = guarded(plan)
    if plan.deadline is None or now < plan.deadline or not rest:
        return plan, ()
    return replace(plan, state=PlanState.STOPPED, updated_at=max(plan.updated_at, now)), (ExitOrder("time", Role.SQUARE_OFF, rest),)


def on_price(plan: ExitPlan, price: Decimal, now: Timestamp) -> tuple[ExitPlan, tuple[ExitOrder, ...]]:
    """The plan after a price, and the exits that are due; the very same plan when nothing changes. NaN, zero and negative prices change nothing."""
    if plan.state is not PlanState.ARMED or not price.is_finite() or price <= 0:
        return plan, ()
    if plan.deadline is not None and now >= plan.deadline:
        return on_time(plan, now)
    if plan.stop is not None and not _is_beyond(plan.side, price, plan.stop):
        rest = guarded(plan)
        if not rest:
            return plan, ()  # all of it is leaving through targets already
        return replace(plan, state=PlanState.STOPPED, updated_at=max(plan.updated_at, now)), (ExitOrder("stop", Role.STOP, rest),)
    reached = [n for n, target in enumerate(plan.targets) if not target.fired and not _is_beyond(plan.side, target.price, price)]
    best = nearer_market(plan.side, plan.best_price, price)
    if not reached and best == plan.best_price:
        return plan, ()
    targets = tuple(replace(target, fired=True) if n in reached else target for n, target in enumerate(plan.targets))
    moved = _tightened(replace(plan, targets=targets, best_price=best, updated_at=max(plan.updated_at, now)))
    return moved, tuple(ExitOrder(f"target:{n + 1}", Role.TARGET, targets[n].quantity) for n in reached if targets[n].quantity)


def levels(plan: ExitPlan) -> tuple[Level, ...]:
    """What the trigger book must watch for this plan. A price between them changes nothing, so it need not be shown to `on_price`."""
    if not guarded(plan):
        return ()
    losing, winning = _DIRECTIONS[plan.side]
    wanted: list[tuple[str, Decimal | None, Direction]] = [("stop", plan.stop, losing)]
    wanted += [(f"target:{n + 1}", target.price, winning) for n, target in enumerate(plan.targets) if not target.fired]
    wanted.append(("trail", _next_trail(plan), winning))
    # A level at or below zero is one that no price reaches.
    return tuple(
        Level(plan.plan_id, leg, plan.key.symbol, float(price), direction)
        for leg, price, direction in wanted
        if price is not None and price > 0
    )


_DIRECTIONS: Mapping[Side, tuple[Literal["up", "down"], Literal["up", "down"]]] = {Side.BUY: ("down", "up"), Side.SELL: ("up", "down")}


def _is_beyond(side: Side, price: Decimal, level: Decimal) -> bool:
    """`price` is better than `level` for a position of this side."""
    return price > level if side is Side.BUY else price < level


def _must_be_armed(plan: ExitPlan) -> None:
    if plan.state is not PlanState.ARMED:
        raise ValueError("this exit plan has ended; make a new one")


# --- the stop --------------------------------------------------------------------------------------------------------


def _tightened(plan: ExitPlan) -> ExitPlan:
    """The plan with the tightest stop that its spec, its trail and its fired targets ask for, never looser than the one it has."""
    asked = fixed_stop(plan.spec, plan.side, plan.entry_price, plan.tick_size)
    stop = tightest(plan.side, plan.stop, asked, _trail(plan, plan.best_price), _cost(plan), *_rungs(plan))
    return plan if stop == plan.stop else replace(plan, stop=stop)


def _rungs(plan: ExitPlan) -> list[Decimal | None]:
    """Where the targets that were reached have moved the stop."""
    reached = zip(plan.spec.targets, plan.targets, strict=True)
    return [stop_after(asked, plan.side, plan.entry_price, plan.tick_size) for asked, target in reached if target.fired]


def _cost(plan: ExitPlan) -> Decimal | None:
    """The average entry price, on the tick that does not lose, once enough targets have fired."""
    after = plan.spec.cost_after_target
    if after is None or sum(target.fired for target in plan.targets) < after:
        return None
    return to_tick(plan.entry_price, plan.tick_size, "up" if plan.side is Side.BUY else "down")


def _trail(plan: ExitPlan, best: Decimal) -> Decimal | None:
    """Where the trail wants the stop when `best` is the best price; None before it begins."""
    trailing, sign = plan.spec.trailing, plan.side.sign
    if trailing is None or (trailing.start is not None and sign * (best - plan.entry_price) < trailing.start):
        return None
    if trailing.mode == "percent":
        return round_away(plan.side, best * percent_behind(plan.side, trailing), plan.tick_size)
    base = fixed_stop(plan.spec, plan.side, plan.entry_price, plan.tick_size)
    if base is None or trailing.step is None:
        return None
    steps = max(ZERO, sign * (best - _steps_from(plan)) // trailing.step)
    return round_away(plan.side, base + sign * steps * trailing.value, plan.tick_size)


def _next_trail(plan: ExitPlan) -> Decimal | None:
    """The nearest price, on the tick, at which the trail would tighten the stop; None when there is no trail."""
    trailing, sign, tick = plan.spec.trailing, plan.side.sign, plan.tick_size
    if trailing is None:
        return None
    gate = plan.entry_price + sign * (trailing.start or ZERO)
    if plan.stop is None:
        return to_tick(gate, tick, "up" if plan.side is Side.BUY else "down")
    wanted = plan.stop + sign * tick
    near = to_tick(nearer_market(plan.side, _best_for(plan, trailing, wanted), gate), tick) - sign * tick
    while near > 0:  # three steps at most: only the rounding of a division is unsure
        trail = _trail(plan, near)
        if trail is not None and _is_beyond(plan.side, trail, plan.stop):
            return near
        near += sign * tick
    return None


def _best_for(plan: ExitPlan, trailing: TrailingSpec, stop: Decimal) -> Decimal:
    """The best price that brings the trail to `stop`, but for rounding."""
    if trailing.mode == "percent":
        return stop / percent_behind(plan.side, trailing)
    base = fixed_stop(plan.spec, plan.side, plan.entry_price, plan.tick_size)
    if base is None or trailing.step is None:
        return plan.entry_price
    steps = (plan.side.sign * (stop - base) / trailing.value).to_integral_value(ROUND_CEILING)
    return _steps_from(plan) + plan.side.sign * steps * trailing.step


def _steps_from(plan: ExitPlan) -> Decimal:
    return plan.entry_price if plan.trail_from is None else plan.trail_from


# --- the targets -----------------------------------------------------------------------------------------------------


def _targets(plan: ExitPlan, kept: Mapping[int, PlanTarget]) -> tuple[PlanTarget, ...]:
    """The plan's targets for its quantity; those in `kept` (by place) have fired and stay as they are, the others take what these leave."""
    prices = target_prices(plan.spec, plan.side, plan.entry_price, plan.tick_size)
    settled = {n: target.quantity for n, target in kept.items()}
    parts = quantities(plan.quantity, [target.share_pct for target in plan.spec.targets], plan.lot, plan.spec.booking, settled)
    return tuple(kept[n] if n in kept else PlanTarget(prices[n], part) for n, part in enumerate(parts))


def _still_named(plan: ExitPlan, spec: ExitSpec) -> Collection[int]:
    """Places of the targets that have fired and that `spec` has too: at the same price, however it is said, for the same share."""
    before = target_prices(plan.spec, plan.side, plan.entry_price, plan.tick_size)
    after = target_prices(spec, plan.side, plan.entry_price, plan.tick_size)
    return [
        n
        for n, (old, new) in enumerate(zip(plan.spec.targets, spec.targets, strict=False))
        if plan.targets[n].fired and before[n] == after[n] and old.share_pct == new.share_pct
    ]

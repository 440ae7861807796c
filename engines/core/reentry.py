"""Going in again after an exit plan has taken a strategy's whole position out: one small state machine for each strategy and instrument.

Pure, and played the same way by the strategies' runner (live, paper, replay) and by the back-test: told of the strategy's own entries and closes, of what
took its position out, and of every candle close. It answers at most one re-entry for a close; the caller makes it an ordinary wish of the strategy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from engines.core.model import ExitSpec, ReentrySpec, Side, TargetSpec, Timestamp
from engines.core.prices import exact
from engines.core.sessions import day_start, session_day

STOP, TARGET, OTHER = "stop", "target", "other"
"""What took a position out: the last leg of its plan, or anything else (a person, the clock, a limit), after which nothing follows."""

MODES = ("asap", "cost", "momentum")
AFTER = (STOP, TARGET, "any")
MOST = 20
"""Re-entries a day that anybody may ask for."""

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Stay:
    """What the strategy has wished to be in: its side, and the recipe of exits that guards it."""

    side: Side
    exits: ExitSpec


@dataclass(frozen=True, slots=True)
class Out:
    """A stay that a plan has ended, waiting for the close that takes it up again. `since`: the first close after it left."""

    stay: Stay
    leg: str  # "stop" | "target"
    entry_price: Decimal
    exit_price: Decimal
    since: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class ReentryState:
    """Survives a restart as plain values. `made`: re-entries of the session `day` (ISO date in the market's zone)."""

    day: str = ""
    made: int = 0
    stay: Stay | None = None
    out: Out | None = None

    @property
    def waiting(self) -> bool:
        """Whether `on_close` has anything to decide; quick callers ask this first."""
        return self.out is not None


NOTHING = ReentryState()
"""Neither in nor waiting."""


@dataclass(frozen=True, slots=True)
class Again:
    """A re-entry that is due at this close, as the strategy's own wish: at the market, with these exits."""

    side: Side
    exits: ExitSpec
    note: str


def entered(state: ReentryState, side: Side, exits: ExitSpec) -> ReentryState:
    """The strategy has wished an entry; what waited is forgotten. `exits` is the recipe as it went out with the signal."""
    return replace(state, stay=Stay(side, exits), out=None)


def closed(state: ReentryState) -> ReentryState:
    """The strategy has wished to be flat: nothing follows."""
    return state if state.stay is None and state.out is None else replace(state, stay=None, out=None)


def taken_out(spec: ReentrySpec | None, state: ReentryState, leg: str, entry_price: Decimal | None, exit_price: Decimal) -> ReentryState:
    """Every account's position is gone by `leg` although the strategy did not say so; prices are those of the last account to leave.

    `entry_price` None (nobody knows it): the exit price stands for it."""
    stay = state.stay
    if spec is None or stay is None or leg not in (STOP, TARGET) or spec.after not in (leg, "any"):
        return closed(state)
    return replace(state, stay=None, out=Out(stay, leg, exit_price if entry_price is None else entry_price, exit_price))


def on_close(
    spec: ReentrySpec | None, state: ReentryState, close: float, start: Timestamp, closed_at: Timestamp, exchange: str
) -> tuple[ReentryState, Again | None]:
    """A candle of the strategy's timeframe, from `start` to `closed_at`, has closed and the strategy itself wished nothing.

    The cool-down runs from the close of the candle in which the position was left. Waiting ends with the session."""
    out = state.out
    if out is None:
        return state, None
    if spec is None:
        return closed(state), None
    day = session_day(start, exchange)
    if out.since is None:
        out = replace(out, since=closed_at)
    if out.since is None or session_day(out.since - 1, exchange) != day:
        return closed(state), None
    made = state.made if state.day == day else 0
    waits = ReentryState(day, made, None, out)
    if made >= spec.most or _too_late(spec, closed_at, exchange):
        return closed(waits), None
    side = out.stay.side.opposite if spec.reverse else out.stay.side
    exits = mirrored(out.stay.exits, out.stay.side, out.entry_price) if spec.reverse else out.stay.exits
    if exits is None:
        return closed(waits), None
    price = exact(close)
    if closed_at < out.since + spec.cool_down_minutes * 60 or not _ready(spec, out, side, price) or not _fits(exits, side, price):
        return waits, None
    note = f"re-entry {made + 1} of {spec.most} after {out.leg}"
    return ReentryState(day, made + 1, Stay(side, exits), None), Again(side, exits, note)


def mirrored(exits: ExitSpec, side: Side, entry_price: Decimal) -> ExitSpec | None:
    """The same distances for a position into the other direction: prices become points from the entry. None when a distance is nothing."""
    stop_points = exits.stop_points if exits.stop_price is None else abs(entry_price - exits.stop_price)
    targets = tuple(_turned(target, side, entry_price) for target in exits.targets)
    if stop_points == 0 or any(target.points == 0 for target in targets):
        return None
    return replace(exits, stop_price=None, stop_points=stop_points, targets=targets)


def check_reentry(spec: ReentrySpec) -> None:
    """ValueError, fit to show to a person."""
    if spec.mode not in MODES:
        raise ValueError(f"a re-entry is one of {', '.join(MODES)}, not {spec.mode}")
    if spec.after not in AFTER:
        raise ValueError(f"a re-entry follows a {STOP}, a {TARGET} or any of them, not {spec.after}")
    if not 1 <= spec.most <= MOST:
        raise ValueError(f"there may be 1 to {MOST} re-entries a day, not {spec.most}")
    if not 0 <= spec.cool_down_minutes <= 1440:
        raise ValueError("the cool-down is 0 to 1440 minutes")
    if (spec.mode == "momentum") != (spec.move_pct is not None):
        raise ValueError("a re-entry by momentum, and only that, needs the percent of the move")
    if spec.move_pct is not None and not (spec.move_pct.is_finite() and 0 < spec.move_pct < HUNDRED):
        raise ValueError("the move of a re-entry is above 0 and below 100 %")
    if spec.until is not None:
        _seconds(spec.until)


# --- is it time? -----------------------------------------------------------------------------------------------------


def _ready(spec: ReentrySpec, out: Out, side: Side, close: Decimal) -> bool:
    if spec.mode == "cost":  # back at the entry, from whichever side of it the position was left
        if out.exit_price == out.entry_price:
            return out.stay.side.sign * (close - out.entry_price) >= 0
        return (close - out.entry_price) * (out.exit_price - out.entry_price) <= 0
    if spec.mode == "momentum":
        return side.sign * (close - out.exit_price * (1 + side.sign * (spec.move_pct or 0) / HUNDRED)) >= 0
    return True


def _fits(exits: ExitSpec, side: Side, close: Decimal) -> bool:
    """Levels given as prices still make sense at this close: the stop behind it, the last target ahead of it."""
    if exits.stop_price is not None and side.sign * (close - exits.stop_price) <= 0:
        return False
    ahead = [target.price for target in exits.targets if target.price is not None]
    return not ahead or side.sign * (ahead[-1] - close) > 0


def _too_late(spec: ReentrySpec, closed_at: Timestamp, exchange: str) -> bool:
    return spec.until is not None and closed_at - day_start(closed_at - 1, exchange) >= _seconds(spec.until)


def _seconds(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    if not (len(clock) == 5 and hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"a time is HH:MM, not {clock}")
    return int(hours) * 3600 + int(minutes) * 60


def _turned(target: TargetSpec, side: Side, entry_price: Decimal) -> TargetSpec:
    points = target.points if target.price is None else abs(target.price - entry_price)
    then = target.then_points if target.then_price is None else side.sign * (target.then_price - entry_price)
    return replace(target, price=None, points=points, then_price=None, then_points=then)

"""Stop, target, lock and trail of the combined P&L of a strategy, an account or a group: when a scope is left, and why.

Pure: one function takes a rule, how far it has come today and the P&L of now, and answers how far it is then. It values nothing and closes nothing;
`execution.combined` (live, paper, replay) and the back-test do, with the same answers.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engines.core.model import ZERO, CombinedRule, CombinedState, Denial, Timestamp

STOP, TARGET, LOCK, TRAIL = "stop", "target", "lock", "trail"
"""Why a scope was left."""


class BadRule(ValueError):
    """A rule that makes no sense: the text is fit to show to a person, `field` the amount to put right."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def begin(rule: CombinedRule, day: str, *, real: bool = False) -> CombinedState:
    """A rule at the start of a session (ISO date): nothing reached, nothing left."""
    return CombinedState(rule.rule_id, day, real=real)


def follow(
    rule: CombinedRule, state: CombinedState | None, pnl: Decimal | None, now: Timestamp, day: str, *, real: bool = False
) -> tuple[CombinedState, str | None]:
    """How far the rule is at this P&L (realised + unrealised − charges of the scope's session), and why the scope is to be left now, if it is.

    The reason is given once: a scope that was left stays so until a later session begins, whatever its P&L does. An unknown P&L (None, NaN) changes
    nothing, nor does an earlier day (a clock that jumps back). When nothing has changed the same object comes back.

    `real`: it is the P&L of live accounts alone, because the scope has some. When that changes, the best P&L was of other money and begins anew.
    """
    if state is None or state.day < day:
        state = begin(rule, day, real=real)
    elif state.real != real and state.left is None:
        state = begin(rule, state.day, real=real)
    if state.left is not None or pnl is None or not pnl.is_finite() or not rule.enabled:
        return state, None
    best = pnl if state.best is None else max(state.best, pnl)
    floor = floor_of(rule, best)
    if (best, floor) != (state.best, state.floor):
        state = replace(state, best=best, floor=floor)
    reason = _why(rule, best, pnl)
    if reason is None:
        return state, None
    return replace(state, left=reason, left_at=now, pnl=pnl), reason


def floor_of(rule: CombinedRule, best: Decimal | None) -> Decimal | None:
    """What the P&L may not fall to once it was at `best`; None while neither lock nor trail has begun.

    It rises with `best` and never falls while the rule stands; a person who changes the rule may move it both ways."""
    floors = [floor for floor in (_lock(rule, best), _trail(rule, best)) if floor is not None]
    return max(floors, default=None)


def lower_end(rule: CombinedRule, state: CombinedState | None) -> Decimal | None:
    """The P&L at which the scope is left on the way down: its stop or its floor, whichever comes first; None: nothing is below."""
    best = state.best if state is not None else None
    ends = [end for end in (None if rule.stop is None else -rule.stop, floor_of(rule, best)) if end is not None]
    return max(ends, default=None)


def denies(state: CombinedState | None, day: str) -> Denial | None:
    """Why the scope takes no entries on this day: it was left at a loss, or not at a loss; None: it was not left.

    On an earlier day (a clock that jumps back) it stays left."""
    if state is None or state.left is None or state.day < day:
        return None
    return Denial.DAILY_LOSS if state.pnl is not None and state.pnl < 0 else Denial.DAILY_PROFIT


def check_rule(rule: CombinedRule) -> None:
    """BadRule, a ValueError, when a rule contradicts itself, would leave at once or asks for nothing."""
    for field in ("stop", "target", "lock_at", "step", "rise", "trail_start", "trail_by"):
        amount = getattr(rule, field)
        if amount is not None and not (amount.is_finite() and amount > ZERO):
            raise BadRule(field, "must be above zero")
    if rule.lock is not None and not rule.lock.is_finite():
        raise BadRule("lock", "must be a number")
    for one, other, sentence in _PAIRS:
        for given, missing in ((one, other), (other, one)):
            if getattr(rule, given) is not None and getattr(rule, missing) is None:
                raise BadRule(missing, sentence)
    if rule.step is not None and rule.lock_at is None:
        raise BadRule("lock_at", "a rise needs a lock to raise")
    if rule.lock is not None and rule.lock_at is not None and rule.lock >= rule.lock_at:
        raise BadRule("lock", "a lock keeps less than the profit at which it begins, or it would leave at once")
    if rule.step is not None and rule.rise is not None and rule.rise > rule.step:
        raise BadRule("rise", "the lock would overtake the profit: its rise cannot be more than its step")
    if all(amount is None for amount in (rule.stop, rule.target, rule.lock_at, rule.trail_start)):
        raise BadRule("stop", "the rule asks for nothing: give a stop, a target, a lock or a trail")


_PAIRS = (
    ("lock_at", "lock", "a lock needs the profit at which it begins and the amount that it keeps"),
    ("step", "rise", "a lock that rises needs its step and its rise"),
    ("trail_start", "trail_by", "a trail needs the profit at which it begins and its distance"),
)


# --- the parts -------------------------------------------------------------------------------------------------------


def _lock(rule: CombinedRule, best: Decimal | None) -> Decimal | None:
    """lock + ⌊(best − lock_at) / step⌋ × rise, once the best P&L has reached `lock_at`."""
    if best is None or rule.lock_at is None or rule.lock is None or best < rule.lock_at:
        return None
    if rule.step is None or rule.rise is None:
        return rule.lock
    return rule.lock + (best - rule.lock_at) // rule.step * rule.rise


def _trail(rule: CombinedRule, best: Decimal | None) -> Decimal | None:
    if best is None or rule.trail_start is None or rule.trail_by is None or best < rule.trail_start:
        return None
    return best - rule.trail_by


def _why(rule: CombinedRule, best: Decimal, pnl: Decimal) -> str | None:
    """The reason to leave; of several on the way down the highest, which the P&L has met first."""
    if rule.target is not None and pnl >= rule.target:
        return TARGET
    ends = [(-rule.stop if rule.stop is not None else None, STOP), (_lock(rule, best), LOCK), (_trail(rule, best), TRAIL)]
    met = [(end, reason) for end, reason in ends if end is not None and pnl <= end]
    return max(met, key=lambda each: each[0])[1] if met else None

"""Levels measured in a price range, and the ladder of targets and stops that begins at them: the arithmetic of the 810/910 strategy.

One formula covers every reading: level = reference ± k × unit (docs/range-level.md). Prices stay unrounded floats here, as all market data; they lie on a
tick once they are sent. It knows no candles, sessions or orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from itertools import pairwise

from engines.core.model import ZERO, ChartLevel, ExitSpec, Side, TargetSpec

HUNDRED = Decimal(100)
_PLACES = Decimal("0.000001")


class Reference(StrEnum):
    """The price that a level is measured from."""

    LOW = "low"  # of the range
    HIGH = "high"  # of the range
    OPEN = "open"  # of the day
    PREV_CLOSE = "prev_close"


class Source(StrEnum):
    """The unit R that everything is a multiple of, and with it the range whose low and high are meant."""

    PREV_DAY = "prev_day"  # the previous session's high − low
    WINDOW = "window"  # today's high − low from the opening to a fixed time
    DEVELOPING = "developing"  # today's high − low so far
    FIRST_BAR = "first_bar"  # today's first candle's high − low
    PREV_CLOSE = "prev_close"  # the previous close itself; low and high are the previous session's


@dataclass(frozen=True, slots=True)
class Rule:
    """The constants. `k_*`, `t` and `y1` are multiples of R; `k_arm` 0: armed as soon as the levels stand. `n` targets and as many stops."""

    k_buy: float = 0.810
    k_sell: float = 0.910
    buy_from: Reference = Reference.LOW
    sell_from: Reference = Reference.HIGH
    k_arm: float = 0.0
    n: int = 10
    t: float = 0.05
    y1: float = 0.50
    lag: int = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What one day is measured with. `low` and `high` of the range, `unit` R, `open` of the day, in the instrument's price."""

    low: float
    high: float
    open: float
    prev_close: float | None
    unit: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Where to buy and to sell short; between the arm levels nothing is near (they are the entry levels when the rule has none of its own)."""

    buy: float
    sell: float
    arm_buy: float
    arm_sell: float


@dataclass(frozen=True, slots=True)
class Ladder:
    """T1…Tn and Y1…Yn of a position of `side` that is measured from `anchor`: while the price is waited for at T_j the stop is Y_j."""

    side: Side
    anchor: float
    targets: tuple[float, ...]
    stops: tuple[float, ...]


class WrongConstant(ValueError):
    """A constant that contradicts others; the text is fit to show to a person, `name` says at which of them."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


def check_rule(rule: Rule, *, touch: bool = False) -> None:
    """WrongConstant when these constants contradict each other."""
    opposite = (rule.buy_from, rule.sell_from) == (Reference.LOW, Reference.HIGH)
    if opposite and rule.k_buy + rule.k_sell <= 1:
        raise WrongConstant(
            "k_buy",
            "measured from the low and the high, the two levels must add up to more than 1: else the buy level is below the sell level",
        )
    if rule.k_arm and not (rule.k_arm < rule.k_buy and rule.k_arm < rule.k_sell):
        raise WrongConstant("k_arm", "the arm level must be nearer than both entry levels")
    if rule.k_arm and opposite and 2 * rule.k_arm <= 1:
        raise WrongConstant(
            "k_arm", "measured from the low and the high, the arm level must be above 0.5: else both sides are armed at once"
        )
    if rule.lag >= rule.n and rule.n > 1:
        raise WrongConstant("lag", "the stop cannot stay further behind than there are targets")
    if touch and rule.lag < 1:
        raise WrongConstant(
            "lag", "with entries on a touch the stop must stay at least one target behind: else it leaves at the price that moved it"
        )
    if (rule.lag - 1) * rule.t > rule.y1 and rule.n > 1:
        raise WrongConstant(
            "lag", "the second stop would be looser than the first: make the lag or the target step smaller, or the first stop wider"
        )


def level(rule_from: Reference, multiple: float, frame: Frame) -> float | None:
    """reference + multiple × R; None when the reference is not known."""
    reference = {
        Reference.LOW: frame.low,
        Reference.HIGH: frame.high,
        Reference.OPEN: frame.open,
        Reference.PREV_CLOSE: frame.prev_close,
    }[rule_from]
    return None if reference is None else reference + multiple * frame.unit


def levels(rule: Rule, frame: Frame) -> Levels | None:
    """The day's entry levels; None when what they are measured from is not known."""
    buy, sell = level(rule.buy_from, rule.k_buy, frame), level(rule.sell_from, -rule.k_sell, frame)
    if buy is None or sell is None:
        return None
    nearer_buy, nearer_sell = (rule.k_buy - rule.k_arm, rule.k_sell - rule.k_arm) if rule.k_arm else (0.0, 0.0)
    return Levels(buy, sell, buy - nearer_buy * frame.unit, sell + nearer_sell * frame.unit)


def ladder(rule: Rule, side: Side, anchor: float, unit: float) -> Ladder:
    """T_i = A ± i t R; Y_1 = A ∓ y1 R, Y_j = A ± (j − 1 − lag) t R. With a lag of 1, Y_2 is the anchor itself (cost) and Y_3 is T_1."""
    d = side.sign
    targets = tuple(anchor + d * i * rule.t * unit for i in range(1, rule.n + 1))
    stops = tuple(anchor + d * (j - 1 - rule.lag) * rule.t * unit for j in range(2, rule.n + 1))
    return Ladder(side, anchor, targets, (anchor - d * rule.y1 * unit, *stops))


def rejected(rule: Rule, frame: Frame, *, min_pct: float, max_pct: float) -> str | None:
    """Why no level of this day is to be traded, in words; None when the day is fit. Percents are of the previous close (else the day's open)."""
    if not frame.unit > 0:
        return "the range is zero"
    base = frame.prev_close or frame.open
    share = frame.unit / base * 100
    if share < min_pct:
        return f"the range is {share:.2f} % of the price, less than {min_pct:g} %"
    if share > max_pct:
        return f"the range is {share:.2f} % of the price, more than {max_pct:g} %"
    found = levels(rule, frame)
    if found is None:
        return "the previous close is not known"
    if not found.sell < found.buy:
        return "the sell level is not below the buy level"
    if min(*ladder(rule, Side.SELL, found.sell, frame.unit).targets, *ladder(rule, Side.BUY, found.buy, frame.unit).stops) <= 0:
        return "a level would be at or below zero"
    return None


# --- as orders and pictures -----------------------------------------------------------------------------------------


def equal_shares(n: int) -> tuple[Decimal, ...]:
    """n percentages that make exactly 100. Each sum so far is rounded up, so that booking "even" never misses a lot by a rounding."""
    sums = [(HUNDRED * i / n).quantize(_PLACES, ROUND_CEILING) for i in range(n + 1)]
    return tuple(Decimal(f"{(after - before).normalize():f}") for before, after in pairwise(sums))


def shares(book: str, n: int) -> tuple[Decimal, ...]:
    """ "equal", or one percentage for each target that make 100, divided by commas or spaces; WrongConstant says what is wrong."""
    if book == "equal":
        return equal_shares(n)
    try:
        given = tuple(Decimal(part) for part in book.replace(",", " ").split())
    except ArithmeticError:
        raise WrongConstant("book", f"the shares must be numbers, or the word equal: {book}") from None
    if len(given) != n:
        raise WrongConstant("book", f"there are {n} targets, but {len(given)} shares")
    if not all(share.is_finite() and share > 0 for share in given):
        raise WrongConstant("book", "each share must be above zero")
    if sum(given, ZERO) != HUNDRED:
        raise WrongConstant("book", f"the shares must make 100 %, not {sum(given, ZERO)} %")
    return given


def exit_spec(steps: Ladder, parts: Sequence[Decimal], *, from_fill: bool, even: bool) -> ExitSpec:
    """The ladder as an exit plan's recipe. `from_fill`: everything in points from the average fill, so that only the ladder's distances count."""
    return ExitSpec(
        stop_price=None if from_fill else _decimal(steps.stops[0]),
        stop_points=_decimal(steps.side.sign * (steps.anchor - steps.stops[0])) if from_fill else None,
        targets=tuple(
            _target(steps, n, share, steps.stops[n + 1] if n + 1 < len(steps.stops) else None, from_fill=from_fill)
            for n, share in enumerate(parts)
        ),
        booking="even" if even else "remainder",
    )


def _target(steps: Ladder, n: int, share: Decimal, then: float | None, *, from_fill: bool) -> TargetSpec:
    price, d = steps.targets[n], steps.side.sign
    if from_fill:
        return TargetSpec(
            share,
            points=_decimal(d * (price - steps.anchor)),
            then_points=None if then is None else _decimal(d * (then - steps.anchor)),
        )
    return TargetSpec(share, price=_decimal(price), then_price=None if then is None else _decimal(then))


def _decimal(value: float) -> Decimal:
    return Decimal(repr(round(value, 6) + 0.0))  # never a minus zero


def chart_levels(rule: Rule, found: Levels, unit: float, sides: Sequence[Side]) -> tuple[ChartLevel, ...]:
    """What to draw of a day: entry (and arm) levels, then the ladders that would begin at them."""
    drawn: list[ChartLevel] = []
    for side in sides:
        long = side is Side.BUY
        entry, arm, name = (found.buy, found.arm_buy, "B") if long else (found.sell, found.arm_sell, "S")
        drawn.append(ChartLevel(name, entry, "entry", side))
        if rule.k_arm:
            drawn.append(ChartLevel(f"{name} arm", arm, "entry", side))
        steps = ladder(rule, side, entry, unit)
        drawn += [ChartLevel(f"T{i}", price, "target", side) for i, price in enumerate(steps.targets, start=1)]
        drawn += [ChartLevel(f"Y{j}", price, "stop", side) for j, price in enumerate(steps.stops, start=1)]
    return tuple(drawn)

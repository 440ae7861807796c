"""Range Level (810/910): buys above a level of a price range, sells below its counterpart, and leaves by a ladder of ten targets and ten stops.

The arithmetic is `engines.core.ranges`; the rule is told in docs/range-level.md, which also says plainly that it is our own published definition. Everything
follows from closed candles of the regular session, so every account, a replay and a back-test see the same levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import ClassVar

from engines.core import ranges
from engines.core.model import Candle, ChartLevel, Side, Timeframe
from engines.core.sessions import DAY, day_start, exchange_of, load_calendar, session_day
from engines.strategies.base import Preset, Strategy, Wish
from engines.strategies.range_params import PRESETS, RangeParameters

MOST_WARMUP = 2_000
FLAT_CASH, FLAT_DERIVATIVES, FLAT_NEVER_CLOSES = "15:05", "15:10", "23:55"


class _Session:
    """What has been seen of one session. `whole`: from its opening."""

    __slots__ = ("bars", "close", "high", "low", "open", "whole")

    def __init__(self) -> None:
        self.open = self.close = self.low = self.high = 0.0
        self.bars = 0
        self.whole = False

    def begin(self, *, whole: bool) -> None:
        self.bars, self.whole = 0, whole

    def add(self, candle: Candle) -> None:
        if not self.bars:
            self.open, self.high, self.low = candle.open, candle.high, candle.low
        self.high, self.low, self.close = max(self.high, candle.high), min(self.low, candle.low), candle.close
        self.bars += 1

    def take(self, other: _Session) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))


class RangeLevel(Strategy):
    kind = "range_level"
    name = "Range Level (810/910)"
    description = (
        "Buys when a candle closes above the level at 0.810 of the previous day's range, sells short below the one at 0.910 from its high; "
        "ten targets, and a stop that follows them step by step. Our published definition, every constant adjustable."
    )

    Params = RangeParameters
    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    candles = Timeframe.M1
    own_exits = True
    params: RangeParameters

    # --- the life of the day --------------------------------------------------------------------------------------

    @property
    def warmup(self) -> int:
        """Two sessions and a half, so that the previous one is seen from its opening wherever in the day it begins."""
        opens, closes = self._hours("9999-12-31")
        return min(MOST_WARMUP, 5 * (closes - opens) // (2 * self.timeframe.seconds) + 1)

    def setup(self) -> None:
        self._exchange, self._seconds = exchange_of(self.symbol), self.timeframe.seconds
        self._rule, self._shares = self.params.rule(), ranges.shares(self.params.book, self.params.n)
        self._drawn: tuple[ChartLevel, ...] = ()
        self._drawn_for: ranges.Levels | None = None
        self._known: ranges.Levels | None = None
        self._found_for: list[float] | None = None
        self.today, self.before = _Session(), _Session()
        self.known = False  # is there a previous session?
        self.earlier = False  # has a candle of an earlier session been seen?
        self.frame: list[float] | None = None  # low, high, open, previous close (0: not known), R: fixed for the day
        self.skipped = ""
        self.day, self.day_ends = "", 0.0
        self.opens = self.closes = self.entries_from = self.entries_until = self.flat_at = self.frozen_at = 0.0
        self.longs = self.shorts = 0
        self.begun = False  # has a candle been seen at which an entry was allowed?
        self.armed = 0
        self.at = 0.0  # the end of the newest candle

    def on_candle(self, candle: Candle) -> Wish | None:
        if candle.start >= self.day_ends:
            self._new_day(candle.start)
        self.at = candle.start + self._seconds
        wish = self._time_is_up()
        if self.opens <= candle.start < self.closes:
            if not self.today.bars:
                self.today.begin(whole=self.earlier or candle.start == self.opens)
                if self.params.range_source in ("prev_day", "prev_close"):
                    self._fix(candle.open)
                elif self.params.range_source == "window" and candle.start >= self.frozen_at:
                    self.skipped = f"there was no candle before {self.params.freeze_at}"
            self._fix_today(candle.start)
            if wish is None:
                wish = self._decide(candle)
            self.today.add(candle)
            self._fix_today(self.at)
        return wish

    def _new_day(self, at: float) -> None:
        """Another session begins: what was today becomes the day before, when it was long enough to be one."""
        if self.today.bars:
            self.earlier = True
            if not self.today.whole:
                self.known = False  # neither it nor the one before it is the previous session's true range
            elif self.today.bars * self._seconds >= self.params.min_session_minutes * 60:
                self.known = True
                self.before.take(self.today)
        self.today.begin(whole=False)
        self.day, midnight = session_day(at, self._exchange), day_start(at, self._exchange)
        self.day_ends = midnight + DAY
        opens, closes = self._hours(self.day)
        self.opens, self.closes = midnight + opens, midnight + closes
        early = self._early(closes)
        self.entries_from = midnight + _seconds(self.params.first_entry)
        self.entries_until = midnight + _seconds(self.params.last_entry) - early
        self.flat_at = midnight + _seconds(self._flat_by()) - early
        self.frozen_at = midnight + _seconds(self.params.freeze_at)
        self.frame, self.longs, self.shorts, self.begun, self.armed = None, 0, 0, False, 0
        self.skipped = "" if self._seconds < DAY else "it needs candles shorter than a day"

    def _hours(self, day: str) -> tuple[int, int]:
        """The regular session in seconds after the market's midnight: the ordinary hours of that date, whatever is special about the day."""
        if self.params.session_hours != "auto":
            opens, _, closes = self.params.session_hours.partition("-")
            return _seconds(opens), _seconds(closes)
        hours = load_calendar().hours
        auction = self.instrument is not None and self.instrument.auction
        rows = (hours.get(f"{self._exchange}:CAS") if auction else None) or hours.get(self._exchange)
        if rows is None:
            return 0, DAY
        return [window for since, window in rows if since <= day or since == rows[0][0]][-1]

    def _early(self, closes: int) -> int:
        """By how many seconds this day ends before an ordinary one: the last times of the day keep their distance from its close."""
        windows = load_calendar().windows(self.day, self._exchange)
        return max(0, closes - windows[-1][1]) if windows and self.params.session_hours == "auto" else 0

    def _flat_by(self) -> str:
        if self.params.flat_by != "auto":
            return self.params.flat_by
        if self._exchange not in load_calendar().hours:
            return FLAT_NEVER_CLOSES
        if self.instrument is not None:
            return FLAT_CASH if self.instrument.segment == "EQ" else FLAT_DERIVATIVES
        return FLAT_CASH if self._exchange in ("NSE", "BSE") else FLAT_DERIVATIVES

    # --- the range ------------------------------------------------------------------------------------------------

    def _fix_today(self, now: float) -> None:
        """Levels that are measured in today's candles, of which those up to `now` are known."""
        source, today = self.params.range_source, self.today
        if not today.bars or source in ("prev_day", "prev_close"):
            return
        if source == "developing" or (self.frame is None and not self.skipped and (source == "first_bar" or now >= self.frozen_at)):
            self._fix(today.open)

    def _fix(self, opening: float) -> None:
        """The day's numbers, or why there are none."""
        source, today = self.params.range_source, self.today
        of = self.before if source in ("prev_day", "prev_close") else today
        previous = self.before.close if self.known else 0.0
        if of is self.before and not self.known:
            self.skipped = "the previous session was not seen whole" if self.earlier else "there is no previous session yet"
        elif of is today and not today.whole:
            self.skipped = "today was not seen from its opening"
        else:
            unit = previous if source == "prev_close" else of.high - of.low
            numbers = [of.low, of.high, opening, previous, unit]
            if numbers != self.frame:
                self.frame = numbers
            frame = ranges.Frame(of.low, of.high, opening, previous or None, unit)
            limits = (0.0, inf) if source == "prev_close" else (self.params.min_range_pct, self.params.max_range_pct)
            self.skipped = ranges.rejected(self._rule, frame, min_pct=limits[0], max_pct=limits[1]) or ""

    # --- decisions ------------------------------------------------------------------------------------------------

    def _time_is_up(self) -> Wish | None:
        if self.stance and (self.at >= self.flat_at or not self.today.bars):
            return self.close("the time to be flat" if self.today.bars else "left over from the day before")
        return None

    def _decide(self, candle: Candle) -> Wish | None:
        found, unit = self._found()
        if found is None:
            return None
        entering = self.entries_from <= self.at < self.entries_until and self.at < self.flat_at
        up, down = self._crosses(candle, found, entering=entering)
        self._arm(candle, found)
        if self.stance:
            return self._leave(candle, found, unit, entering=entering, opposite=down if self.stance > 0 else up, both=up and down)
        if entering and up != down:  # a bar that touches both levels does not tell which came first
            return self._enter(Side.BUY if up else Side.SELL, found, unit)
        return None

    def _found(self) -> tuple[ranges.Levels | None, float]:
        """The levels that stand now, if any, and R."""
        if self.frame is None or self.skipped:
            return None, 0.0
        if self.frame is not self._found_for:
            low, high, opening, previous, unit = self.frame
            self._known, self._found_for = ranges.levels(self._rule, ranges.Frame(low, high, opening, previous or None, unit)), self.frame
        return self._known, self.frame[4]

    def _crosses(self, candle: Candle, found: ranges.Levels, *, entering: bool) -> tuple[bool, bool]:
        """Whether this candle is at or beyond the buy level and the sell level, coming from their other side."""
        before = self.today.close if self.today.bars else candle.open
        below, above = before < found.buy, before > found.sell
        if not self.params.require_cross or (self.params.allow_gap_entry and entering and not self.begun):
            below = above = True
        self.begun = self.begun or entering
        high, low = (candle.high, candle.low) if self.params.trigger == "touch" else (candle.close, candle.close)
        return below and high >= found.buy, above and low <= found.sell

    def _arm(self, candle: Candle, found: ranges.Levels) -> None:
        if self._rule.k_arm:
            self.armed = 1 if candle.close >= found.arm_buy else -1 if candle.close <= found.arm_sell else 0

    def _leave(self, candle: Candle, found: ranges.Levels, unit: float, *, entering: bool, opposite: bool, both: bool) -> Wish | None:
        if self.params.exit_on_opposite and opposite:
            turned = (
                self._enter(Side.SELL if self.stance > 0 else Side.BUY, found, unit, "opposite")
                if self.params.reverse and entering and not both
                else None
            )
            return turned or self.close("opposite")
        if self._rule.k_arm:
            behind = candle.close < found.arm_buy if self.stance > 0 else candle.close > found.arm_sell
            return self.close("back behind the arm level") if behind else None
        return None

    def _enter(self, side: Side, found: ranges.Levels, unit: float, note: str = "") -> Wish | None:
        long = side is Side.BUY
        if (
            self.params.direction == ("short" if long else "long")
            or (self.longs if long else self.shorts) >= self.params.max_entries_per_side
        ):
            return None
        if long:
            self.longs += 1
        else:
            self.shorts += 1
        anchor = found.buy if long else found.sell
        steps = ranges.ladder(self._rule, side, anchor, unit)
        exits = ranges.exit_spec(steps, self._shares, from_fill=self.params.anchor == "fill", even=self.params.book == "equal")
        note = note or f"{'above' if long else 'below'} {anchor:,.2f}"
        return self.buy(exits=exits, note=note) if long else self.sell(exits=exits, note=note)

    # --- for people -----------------------------------------------------------------------------------------------

    def levels(self) -> tuple[ChartLevel, ...]:
        found, unit = self._found()
        if found is not self._drawn_for:
            sides = {"both": (Side.BUY, Side.SELL), "long": (Side.BUY,), "short": (Side.SELL,)}[self.params.direction]
            self._drawn = () if found is None else ranges.chart_levels(self._rule, found, unit, sides)
            self._drawn_for = found
        return self._drawn

    def says(self) -> str:
        if self.skipped:
            return f"SKIPPED: {self.skipped}"
        found, _ = self._found()
        if found is None:
            return (
                f"WAITING for the range, frozen at {self.params.freeze_at}"
                if self.params.range_source == "window" and self.today.bars
                else ""
            )
        if self.stance:
            return "OPEN long" if self.stance > 0 else "OPEN short"
        most, direction = self.params.max_entries_per_side, self.params.direction
        may_buy, may_sell = direction != "short" and self.longs < most, direction != "long" and self.shorts < most
        if self.at >= self.entries_until or not (may_buy or may_sell):
            return "DONE for today"
        words = [f"buys at {found.buy:,.2f}"] * may_buy + [f"sells short at {found.sell:,.2f}"] * may_sell
        state = "IDLE" if self._rule.k_arm and not self.armed else "ARMED"
        return f"{state}: {', '.join(words)}"


def _seconds(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:]) * 60

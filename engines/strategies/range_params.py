"""The constants of Range Level (810/910) as a form shows and checks them, and its presets: each reading of the two numbers that we offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from engines.core import ranges
from engines.strategies.base import Parameters, Preset, wrong

CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
Clock = Annotated[str, Field(pattern=f"^{CLOCK}$")]
_HEADINGS: list[JsonDict] = [
    {"group": heading} for heading in ("The range", "The levels", "Entries", "The ladder: T1…Tn, Y1…Yn", "Leaving")
]
THE_RANGE, THE_LEVELS, ENTRIES, LADDER, LEAVING = _HEADINGS
Multiple = Annotated[float, Field(gt=0, le=100)]


class RangeParameters(Parameters):
    range_source: Literal["prev_day", "window", "developing", "first_bar", "prev_close"] = Field(
        "prev_day",
        title="Range (R)",
        description="What every distance is a multiple of. prev_day: the previous session's high − low. window: today's from the opening to “Range frozen at”. "
        "developing: today's so far, moving. first_bar: the day's first candle's. prev_close: the previous close itself.",
        json_schema_extra=THE_RANGE,
    )
    freeze_at: Clock = Field(
        "10:15",
        title="Range frozen at",
        description="For a window: when today's range is fixed; no entry before it.",
        json_schema_extra=THE_RANGE,
    )
    session_hours: Annotated[str, Field(pattern=f"^(auto|{CLOCK}-{CLOCK})$")] = Field(
        "auto",
        title="Regular session",
        description="Candles outside it are not looked at. auto: the exchange's ordinary hours; or HH:MM-HH:MM.",
        json_schema_extra=THE_RANGE,
    )
    min_session_minutes: int = Field(
        60,
        ge=1,
        le=1440,
        title="Shortest session",
        description="A session with fewer minutes of candles does not count as the previous one.",
        json_schema_extra=THE_RANGE,
    )
    min_range_pct: float = Field(
        0.20,
        ge=0,
        le=100,
        title="Smallest range %",
        description="R below this percentage of the previous close: no trade that day.",
        json_schema_extra=THE_RANGE,
    )
    max_range_pct: float = Field(
        8,
        gt=0,
        le=1000,
        title="Largest range %",
        description="R above this percentage of the previous close: no trade that day.",
        json_schema_extra=THE_RANGE,
    )
    buy_from: Literal["low", "high", "open", "prev_close"] = Field(
        "low",
        title="Buy level from",
        description="The price that the buy level is measured up from: of the range, the day's open or the previous close.",
        json_schema_extra=THE_LEVELS,
    )
    k_buy: Multiple = Field(
        0.810,
        title="Buy multiple (k)",
        description="Buy level B = that price + k × R. 0.810 is 810 thousandths of the range.",
        json_schema_extra=THE_LEVELS,
    )
    sell_from: Literal["low", "high", "open", "prev_close"] = Field(
        "high", title="Sell level from", description="The price that the sell level is measured down from.", json_schema_extra=THE_LEVELS
    )
    k_sell: Multiple = Field(
        0.910,
        title="Sell multiple (k)",
        description="Sell level S = that price − k × R. It must lie below the buy level.",
        json_schema_extra=THE_LEVELS,
    )
    k_arm: float = Field(
        0,
        ge=0,
        le=100,
        title="Arm multiple",
        description="0: none. Else a nearer level that arms a side; a close back behind it leaves the position.",
        json_schema_extra=THE_LEVELS,
    )
    direction: Literal["both", "long", "short"] = Field(
        "both", title="Direction", description="Which side may be entered.", json_schema_extra=ENTRIES
    )
    trigger: Literal["close", "touch"] = Field(
        "close",
        title="Trigger",
        description="close: a candle must close at or beyond the level. touch: its high or low must reach it; decided at its close as well.",
        json_schema_extra=ENTRIES,
    )
    max_entries_per_side: int = Field(
        1,
        ge=1,
        le=50,
        title="Entries per side",
        description="At most so many long and so many short entries a day.",
        json_schema_extra=ENTRIES,
    )
    first_entry: Clock = Field(
        "09:20", title="First entry", description="No entry before this time (market's zone).", json_schema_extra=ENTRIES
    )
    last_entry: Clock = Field("15:00", title="No entry from", description="No entry from this time on.", json_schema_extra=ENTRIES)
    require_cross: bool = Field(
        True,
        title="Only on a cross",
        description="The candle before must have closed on the other side of the level.",
        json_schema_extra=ENTRIES,
    )
    allow_gap_entry: bool = Field(
        False,
        title="Enter on a gap",
        description="When entries begin, a price that is beyond a level already counts as a cross.",
        json_schema_extra=ENTRIES,
    )
    anchor: Literal["level", "fill"] = Field(
        "level",
        title="Ladder from",
        description="level: the same prices for every account; after a fill beyond the level Y2 is not quite cost. fill: distances from each account's average fill.",
        json_schema_extra=LADDER,
    )
    n: int = Field(
        10,
        ge=1,
        le=20,
        title="Targets (n)",
        description="How many targets, and as many steps of the stop: T1…Tn and Y1…Yn.",
        json_schema_extra=LADDER,
    )
    t: float = Field(
        0.05, gt=0, le=20, title="Target step (t)", description="Distance between targets, as a multiple of R.", json_schema_extra=LADDER
    )
    y1: float = Field(
        0.50,
        gt=0,
        le=50,
        title="First stop (y1)",
        description="Distance of Y1 from the anchor on the losing side, as a multiple of R.",
        json_schema_extra=LADDER,
    )
    lag: int = Field(
        1,
        ge=0,
        le=19,
        title="Stop lag",
        description="How many targets the stop stays behind: with 1, reaching T1 moves it to cost (Y2), T2 to T1 (Y3), and so on.",
        json_schema_extra=LADDER,
    )
    book: str = Field(
        "equal",
        max_length=200,
        title="Booked at the targets",
        description="equal: the same share at each. Or one percentage for each target, making 100: 40,30,30.",
        json_schema_extra=LADDER,
    )
    flat_by: Annotated[str, Field(pattern=f"^(auto|{CLOCK})$")] = Field(
        "auto",
        title="Flat by",
        description="Leaves at the candle that ends then. auto: 15:05 for shares, 15:10 for futures, options and indices.",
        json_schema_extra=LEAVING,
    )
    exit_on_opposite: bool = Field(
        True,
        title="Leave on the opposite level",
        description="A cross of the other side's level leaves the position.",
        json_schema_extra=LEAVING,
    )
    reverse: bool = Field(
        False,
        title="Reverse there",
        description="…and enters the other side at once, when entries are still allowed.",
        json_schema_extra=LEAVING,
    )

    @model_validator(mode="after")
    def constants_agree(self) -> RangeParameters:
        try:
            ranges.check_rule(self.rule(), touch=self.trigger == "touch")
            ranges.shares(self.book, self.n)
        except ranges.WrongConstant as error:
            raise wrong(error.name, str(error)) from error
        if not self.first_entry < self.last_entry:
            raise wrong("first_entry", "the first entry must be before the time from which there is none")
        if self.flat_by != "auto" and self.flat_by < self.last_entry:
            raise wrong("flat_by", "flat by must not be before the time from which there is no entry")
        if self.min_range_pct >= self.max_range_pct and self.range_source != "prev_close":
            raise wrong("min_range_pct", "the smallest range must be smaller than the largest")
        if self.session_hours != "auto" and not self.session_hours[:5] < self.session_hours[6:]:
            raise wrong("session_hours", "the regular session must begin before it ends")
        return self

    def rule(self) -> ranges.Rule:
        return ranges.Rule(
            k_buy=self.k_buy,
            k_sell=self.k_sell,
            buy_from=ranges.Reference(self.buy_from),
            sell_from=ranges.Reference(self.sell_from),
            k_arm=self.k_arm,
            n=self.n,
            t=self.t,
            y1=self.y1,
            lag=self.lag,
        )


PRESETS: Mapping[str, Preset] = {
    "A": Preset(
        "A: previous day's range (default)",
        "Levels at 0.810 up from the low and 0.910 down from the high of the previous session; known before the open.",
        {},
    ),
    "A2": Preset(
        "A2: today's range until 10:15",
        "The same with today's range, frozen at 10:15; no trade before it.",
        {"range_source": "window", "freeze_at": "10:15"},
    ),
    "B": Preset(
        "B: arm at 0.810, enter at 0.910",
        "Both numbers on both sides: armed at 0.810 of the range, entered at 0.910, left when a candle closes back behind 0.810. Many small round trips.",
        {"k_buy": 0.910, "k_sell": 0.910, "k_arm": 0.810, "max_entries_per_side": 5},
    ),
    "C": Preset(
        "C: 8.10 % and 9.10 % of the range around the open",
        "Buys 0.081 of the previous range above the open, sells 0.091 below it. Fires nearly every day in both directions.",
        {"buy_from": "open", "sell_from": "open", "k_buy": 0.081, "k_sell": 0.091},
    ),
    "D": Preset(
        "D: 8.1 and 9.1 first candles around the open",
        "Buys 8.1 ranges of the day's first candle above the open, sells 9.1 below it; the ladder keeps A's proportions. Rare, large moves.",
        {
            "range_source": "first_bar",
            "buy_from": "open",
            "sell_from": "open",
            "k_buy": 8.1,
            "k_sell": 9.1,
            "t": 0.5,
            "y1": 5.0,
            "min_range_pct": 0.0,
        },
    ),
}

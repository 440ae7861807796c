"""What leaves where: candle tables of stops, ladders, trails and deadlines, played through the plan alone and through the back-test alike.

Each row: its words, side and quantity, the recipe (tests.core.plans.recipe), the bars after the entry, and the exits as "bar: leg quantity @ price". The
entry is at 100 at the open of bar 0, 09:16; bar 0 stands still unless the row begins with "^". A bar is "open high low close"; "@7 ..." begins seven
minutes after the entry's, "+1d ..." on the next day at 09:15. The tick is 0.10.
"""

from __future__ import annotations

from typing import NamedTuple

from engines.core.model import Candle, Side
from tests.market.making import INFY, OPEN

ENTRY_AT = OPEN + 60
LADDER = "stop 95; 104:30>100 108:30>104 112:40"
SHORT = "stop 105; 96:30>100 92:30>96 88:40"
TEN = "stop 95; " + " ".join(f"{100 + n}:10>{99 + n}" for n in range(1, 11))  # T1 to T10 a point apart, Y2 (100) to Y11 one rung behind
EVEN = TEN + "; even"
BOTH = "stop 95; 105:100"
TO_COST = "stop 95; 104:50 108:50; cost 1"


class Row(NamedTuple):
    words: str
    side: Side
    quantity: int
    recipe: str
    bars: str
    exits: str

    def candles(self) -> list[Candle]:
        """Bar 0 and those that follow."""
        made: list[Candle] = []
        texts = self.bars.removeprefix("^").split(" / ")
        for n, text in enumerate(texts if self.bars.startswith("^") else ["100 100 100 100", *texts]):
            when, prices = text.split(" ", 1) if text[0] in "@+" else (f"@{n}", text)
            start = OPEN + int(when[1:-1]) * 86_400 if when[0] == "+" else ENTRY_AT + int(when[1:]) * 60
            op, high, low, close = map(float, prices.split())
            made.append(Candle(INFY.symbol, start, op, high, low, close, 100.0))
        return made


def _rows(text: str) -> list[Row]:
    """Lines of "words | side quantity | recipe | bars | exits"."""
    rows = []
    for line in filter(None, map(str.strip, text.strip().splitlines())):
        words, who, recipe, bars, exits = (cell.strip() for cell in line.split(" | "))
        side, quantity = who.split()
        rows.append(Row(words, Side.BUY if side == "long" else Side.SELL, int(quantity), spelled_out(recipe), bars, exits))
    return rows


def spelled_out(recipe: str) -> str:
    """ "LADDER; minutes 1" with the ladder that it names."""
    head, semicolon, rest = recipe.partition("; ")
    return _NAMED.get(head, head) + semicolon + rest


_NAMED = {"LADDER": LADDER, "SHORT": SHORT, "TEN": TEN, "EVEN": EVEN, "BOTH": BOTH, "COST": TO_COST}

STOPS = _rows("""
a stop inside a bar fills at its level | long 10 | stop 95 | 99 100 94 96 | 1: stop 10 @ 95
a stop that the low just touches fills | long 10 | stop 95 | 99 100 95 98 | 1: stop 10 @ 95
a low one tick above the stop fills nothing | long 10 | stop 95 | 99 100 95.1 98 | -
a gap through the stop fills at the open | long 10 | stop 95 | 90 96 89 95 | 1: stop 10 @ 90
a stop guards from the bar of the entry on | long 10 | stop 95 | ^100 101 94 96 | 0: stop 10 @ 95
a bar that stands still on the stop fills there | long 10 | stop 95 | 95 95 95 95 | 1: stop 10 @ 95
a stop fires once, however often its price comes again | long 10 | stop 95 | 95 95 95 95 / 95 95 95 95 / 90 96 90 95 | 1: stop 10 @ 95
a stop overnight fills at the open of the next day | long 10 | stop 95 | 99 100 98 99 / +1d 92 93 91 92 | 2: stop 10 @ 92
a short's stop is above | short 10 | stop 105 | 101 106 100 102 | 1: stop 10 @ 105
a gap through a short's stop fills at the open | short 10 | stop 105 | 110 111 104 105 | 1: stop 10 @ 110
a stop by percent | long 10 | stop 2% | 99 99 97 97 | 1: stop 10 @ 98
a stop by points lies on the tick that is not tighter | long 10 | stop 2.53pt | 99 99 97.3 97.3 | 1: stop 10 @ 97.4
a short's stop by points lies on the tick that is not tighter | short 10 | stop 2.53pt | 101 103 101 102 | 1: stop 10 @ 102.6
""")

TARGETS = _rows("""
a target fills at its level | long 10 | BOTH | 101 107 100 106 | 1: target 10 @ 105
a target that the high just touches fills | long 10 | BOTH | 101 105 100 104 | 1: target 10 @ 105
a high one tick below the target fills nothing | long 10 | BOTH | 101 104.9 100 104 | -
a gap beyond the target fills at the open | long 10 | BOTH | 107 108 106 107 | 1: target 10 @ 107
a short's target is below | short 10 | stop 105; 95:100 | 99 100 94 95 | 1: target 10 @ 95
a target by percent lies on the nearest tick | long 10 | stop 95; 1.53%:100 | 100 103 100 102 | 1: target 10 @ 101.5
a short's target by percent lies on the nearest tick | short 10 | stop 105; 1.53%:100 | 100 100 97 98 | 1: target 10 @ 98.5
several targets in one bar, each at its level | long 10 | LADDER | 100 113 100 112 | 1: target 3 @ 104, 1: target 3 @ 108, 1: target 4 @ 112
several targets of a short in one bar, each at its level | short 10 | SHORT | 100 100 87 88 | 1: target 3 @ 96, 1: target 3 @ 92, 1: target 4 @ 88
a gap over two targets fills both at the open, the third at its level | long 10 | LADDER | 109 113 108.5 112 | 1: target 3 @ 109, 1: target 3 @ 109, 1: target 4 @ 112
a gap over all targets | long 10 | LADDER | 120 121 119 120 | 1: target 3 @ 120, 1: target 3 @ 120, 1: target 4 @ 120
targets given out of order are met in the order of their prices | long 10 | stop 95; 110:50 105:50 | 101 111 101 110 | 1: target 5 @ 105, 1: target 5 @ 110
a target of the bar of the entry | long 10 | LADDER | ^100 105 100 104 | 0: target 3 @ 104
what the targets do not share out stays with the stop | long 10 | stop 95; 104:25 108:25 | 100 109 100 109 / 109 109 94 95 | 1: target 3 @ 104, 1: target 2 @ 108, 2: stop 5 @ 95
""")

ONE_BAR = _rows("""
both inside a bar that rises: the stop first | long 10 | BOTH | 100 107 93 106 | 1: stop 10 @ 95
both inside a bar that falls: the stop first | long 10 | BOTH | 100 107 93 94 | 1: stop 10 @ 95
both inside a bar, short: the stop first | short 10 | stop 105; 95:100 | 100 107 93 94 | 1: stop 10 @ 105
a whole ladder and its stop inside a bar: the stop first | long 10 | LADDER | 100 113 94 112 | 1: stop 10 @ 95
an open beyond the target leaves nothing for the stop of its bar | long 10 | BOTH | 106 107 90 91 | 1: target 10 @ 106
an open through the stop leaves nothing for the target of its bar | long 10 | BOTH | 94 107 93 106 | 1: stop 10 @ 94
an open beyond the first target, then the stop that it has moved | long 10 | LADDER | 104.5 105 99 101 | 1: target 3 @ 104.5, 1: stop 7 @ 100
a target and on the way to the close the stop that it has moved | long 10 | LADDER | 101 105 99 99.5 | 1: target 3 @ 104, 1: stop 7 @ 100
a short's target and on the way to the close the stop that it has moved | short 10 | SHORT | 99 101 95 100.5 | 1: target 3 @ 96, 1: stop 7 @ 100
two targets and the stop that the second has moved, in one bar | long 10 | LADDER | 101 109 101 103 | 1: target 3 @ 104, 1: target 3 @ 108, 1: stop 4 @ 104
""")

RUNGS = _rows("""
a target moves the stop to cost and the next bar takes the rest there | long 10 | LADDER | 101 105 101 104 / 103 103 98 99 | 1: target 3 @ 104, 2: stop 7 @ 100
a short's target moves the stop to cost | short 10 | SHORT | 99 99 95 96 / 97 102 97 101 | 1: target 3 @ 96, 2: stop 7 @ 100
a gap over two targets moves the stop to the second's rung | long 10 | LADDER | 109 110 108.5 109 / 106 106 103 105 | 1: target 3 @ 109, 1: target 3 @ 109, 2: stop 4 @ 104
a gap through the moved stop fills at the open | long 10 | LADDER | 101 105 101 104 / 97 98 94 95 | 1: target 3 @ 104, 2: stop 7 @ 97
a rung below the stop does not loosen it | long 10 | stop 95; 104:50>90 110:50 | 101 105 101 104 / 96 96 94 95 | 1: target 5 @ 104, 2: stop 5 @ 95
a rung in points from the entry, at cost | long 10 | stop 95; 4pt:50>0pt 10pt:50 | 101 105 101 104 / 103 103 99 99 | 1: target 5 @ 104, 2: stop 5 @ 100
a rung in percent from the entry, in profit | long 10 | stop 95; 4%:50>1% 10%:50 | 101 105 102 104 / 103 103 99 99 | 1: target 5 @ 104, 2: stop 5 @ 101
a rung in points on the losing side | long 10 | stop 95; 4pt:50>-2pt 10pt:50 | 101 105 101 104 / 103 103 97 97 | 1: target 5 @ 104, 2: stop 5 @ 98
a short's rung in percent, in profit | short 10 | stop 105; 4%:50>1% 10%:50 | 99 99 95 96 / 97 101 97 100 | 1: target 5 @ 96, 2: stop 5 @ 99
a rung without a share only moves the stop | long 10 | stop 95; 104:0>100 110:100 | 101 105 101 104 / 103 103 99 99 | 2: stop 10 @ 100
a rung on its own target takes the rest when the price comes back to it | long 10 | stop 95; 104:50>104 110:50 | 101 105 101 105 / 105 105 103 103 | 1: target 5 @ 104, 2: stop 5 @ 104
one lot goes through the ladder whole and leaves at the rung | long 1 | EVEN | 100 105.5 100 105 / 105 105 103 103 | 2: stop 1 @ 104
one lot that gets there leaves at the last target | long 1 | EVEN | 100 111 100 111 | 1: target 1 @ 110
two lots leave at the fifth and the tenth target | long 2 | EVEN | 100 111 100 111 | 1: target 1 @ 105, 1: target 1 @ 110
three lots leave at the fourth, seventh and tenth target | long 3 | EVEN | 100 111 100 111 | 1: target 1 @ 104, 1: target 1 @ 107, 1: target 1 @ 110
three lots, and after the fourth target the rung takes two | long 3 | EVEN | 100 104.5 100 104 / 104 104 100 101 | 1: target 1 @ 104, 2: stop 2 @ 103
seven lots leave evenly | long 7 | EVEN | 100 111 100 111 | 1: target 1 @ 102, 1: target 1 @ 103, 1: target 1 @ 105, 1: target 1 @ 106, 1: target 1 @ 108, 1: target 1 @ 109, 1: target 1 @ 110
twelve lots: one at each target, two at the fifth and the tenth | long 12 | EVEN | 100 105 100 105 / 105 111 105 111 | 1: target 1 @ 101, 1: target 1 @ 102, 1: target 1 @ 103, 1: target 1 @ 104, 1: target 2 @ 105, 2: target 1 @ 106, 2: target 1 @ 107, 2: target 1 @ 108, 2: target 1 @ 109, 2: target 2 @ 110
three lots by remainder leave at the first three targets | long 3 | TEN | 100 111 100 111 | 1: target 1 @ 101, 1: target 1 @ 102, 1: target 1 @ 103
a ladder of unequal shares by largest remainder | long 3 | stop 95; 104:50 108:30 112:20 | 100 113 100 113 | 1: target 1 @ 104, 1: target 1 @ 108, 1: target 1 @ 112
a ladder of rising shares, evenly | long 2 | stop 95; 104:20 108:30 112:50; even | 100 113 100 113 | 1: target 1 @ 108, 1: target 1 @ 112
""")

COST_AND_TRAIL = _rows("""
cost after the first target | long 10 | COST | 101 105 101 104 / 103 103 98 99 | 1: target 5 @ 104, 2: stop 5 @ 100
cost after the first target, and a gap through it | long 10 | COST | 101 105 101 104 / 98 99 97 98 | 1: target 5 @ 104, 2: stop 5 @ 98
cost after the second target is not yet after the first | long 10 | stop 95; 104:30 108:30; cost 2 | 101 105 101 104 / 103 103 94 95 | 1: target 3 @ 104, 2: stop 7 @ 95
of cost and rung the tighter holds | long 10 | stop 95; 104:50>102 108:50; cost 1 | 101 105 102.5 104 / 103 103 98 99 | 1: target 5 @ 104, 2: stop 5 @ 102
a trail by percent that is tighter than the rung | long 10 | LADDER; trail percent 1 | 100 106 100 106 / 106 106 104 104 | 1: target 3 @ 104, 2: stop 7 @ 104.9
a rung that is tighter than the trail | long 10 | LADDER; trail percent 8 | 100 106 100 106 / 106 106 99 99 | 1: target 3 @ 104, 2: stop 7 @ 100
a trail by steps under a ladder | long 10 | stop 95; 104:50 120:50; trail step 2 2 | 100 106.5 100 106 / 106 106 100 101 | 1: target 5 @ 104, 2: stop 5 @ 101
a short's trail by steps under a ladder | short 10 | stop 105; 96:50 80:50; trail step 2 2 | 100 100 93.5 94 / 94 100 94 99 | 1: target 5 @ 96, 2: stop 5 @ 99
a trail that has not begun leaves the stop alone | long 10 | stop 95; 110:100; trail percent 1 from 5 | 100 104.9 100 104 / 104 104 94 95 | 2: stop 10 @ 95
""")

DEADLINES = _rows("""
minutes after the entry everything leaves at the open of that bar | long 10 | stop 95; minutes 3 | 100 101 99 100 / 100 101 99 100 / 102 103 94 95 | 3: time 10 @ 102
a time alone is a plan | long 10 | minutes 2 | 100 101 90 95 / 96 97 95 96 | 2: time 10 @ 96
an hour of the day, everything leaves at the open of that bar | long 10 | stop 95; at 09:18 | 100 101 99 100 / 102 103 94 95 | 2: time 10 @ 102
of both the earlier | long 10 | stop 95; at 09:30; minutes 2 | 100 101 99 100 / 102 103 101 102 | 2: time 10 @ 102
of both the earlier, the other way round | long 10 | stop 95; at 09:17; minutes 2 | 99 101 99 100 / 102 103 101 102 | 1: time 10 @ 99
an open at the deadline that gaps through the stop | long 10 | BOTH; minutes 1 | 90 91 89 90 | 1: time 10 @ 90
an open at the deadline beyond the target | long 10 | BOTH; minutes 1 | 107 108 106 107 | 1: time 10 @ 107
a stop in the bar before the deadline | long 10 | BOTH; minutes 2 | 99 100 94 96 / 97 98 96 97 | 1: stop 10 @ 95
nothing fires after the deadline | long 10 | LADDER; minutes 1 | 101 102 100 101 / 101 113 94 95 | 1: time 10 @ 101
what the targets have left leaves at the deadline | long 10 | LADDER; minutes 2 | 101 105 101 104 / 103 103 102 102 | 1: target 3 @ 104, 2: time 7 @ 103
a ladder that is through has nothing left for the deadline | long 10 | LADDER; minutes 2 | 100 113 100 112 / 100 113 99 100 | 1: target 3 @ 104, 1: target 3 @ 108, 1: target 4 @ 112
a deadline without a bar leaves with the first that comes | long 10 | stop 95; minutes 5 | 100 101 99 100 / @9 97 98 96 97 | 2: time 10 @ 97
a deadline in the night leaves at the next open | long 10 | stop 95; minutes 600 | 100 101 99 100 / +1d 93 94 92 93 | 2: time 10 @ 93
an hour that had passed at the entry is of the next day | long 10 | stop 95; at 09:10 | 100 101 99 100 / 100 101 99 100 / +1d 98 99 97 98 | 3: time 10 @ 98
a short's deadline | short 10 | SHORT; minutes 1 | 101 102 100 101 | 1: time 10 @ 101
""")

ROWS = [*STOPS, *TARGETS, *ONE_BAR, *RUNGS, *COST_AND_TRAIL, *DEADLINES]

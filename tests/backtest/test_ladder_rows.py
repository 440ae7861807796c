"""The candle tables of stops, ladders, trails and deadlines (tests.core.exit_rows), each played through the whole back-test."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.backtest.settings import Settings
from engines.core.model import Role, Side, Sizing, SizingMode
from tests.backtest.table import Scripted, played
from tests.core.exit_rows import ENTRY_AT, ROWS, Row
from tests.core.plans import recipe
from tests.market.making import OPEN

STILL = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize("row", ROWS, ids=[row.words for row in ROWS])
def test_what_leaves_where(row: Row) -> None:
    """A bar in which the strategy decides, then the row's own: the entry fills at the open of the first of these."""
    candles = row.candles()
    starts = [OPEN, *(candle.start for candle in candles)]
    settings = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(row.quantity)), exits=recipe(row.recipe))
    run = played([STILL, *(candle[2:6] for candle in candles)], {0: _enter(row.side)}, settings=settings, starts=starts)
    left = [
        f"{sum(candle.start <= fill.at for candle in candles) - 1}: {fill.reason.removeprefix('moved_')} {fill.quantity} @ {fill.price.normalize():f}"
        for fill in run.log.fills
        if fill.role is not Role.ENTRY
    ]
    assert (", ".join(left) or "-") == row.exits
    entry = run.log.fills[0]
    assert (entry.at, entry.price, entry.quantity) == (ENTRY_AT, 100, row.quantity)
    assert not run.log.refused


def _enter(side: Side):
    return Scripted.buy if side is Side.BUY else Scripted.sell


@pytest.mark.parametrize(
    ("minutes", "side", "bar", "left"),
    [
        # Bars of five minutes; the price goes from the open over both extremes to the close, a third of the time each.
        (5, Side.BUY, (101, 104, 98, 102), "2: time 10 @ 101"),
        (6, Side.BUY, (101, 104, 98, 102), "2: time 10 @ 99.1"),  # on the way down to 98
        (7, Side.BUY, (101, 104, 98, 102), "2: time 10 @ 99.2"),  # on the way up to 104
        (9, Side.BUY, (101, 104, 98, 102), "2: time 10 @ 103.1"),  # on the way back to 102
        (7, Side.SELL, (99, 102, 96, 98), "2: time 10 @ 100.8"),
        (7, Side.BUY, (101, 104, 94, 102), "2: stop 10 @ 95"),  # the stop came first
        (7, Side.BUY, (100, 100, 100, 100), "2: time 10 @ 100"),
    ],
)
def test_inside_a_bar_a_deadline_leaves_where_the_price_is_on_its_declared_way(
    minutes: int, side: Side, bar: tuple[float, float, float, float], left: str
) -> None:
    exits = recipe(f"stop 5pt; minutes {minutes}")
    run = played([STILL, STILL, bar, bar], {0: _enter(side)}, exits=exits, seconds=300)
    assert [
        f"{int(fill.at - OPEN) // 300}: {fill.reason} {fill.quantity} @ {fill.price.normalize():f}"
        for fill in run.log.fills
        if fill.role is not Role.ENTRY
    ] == [left]

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

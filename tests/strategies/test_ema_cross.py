"""EMA cross: small tables of closes, and golden signals on a year of real minutes."""

from __future__ import annotations

import csv
import gzip
import itertools
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pydantic
import pytest

from engines.core.indicators import ema
from engines.core.model import Candle, Side, Timeframe
from engines.strategies import registry
from engines.strategies.base import Strategy
from tests.strategies.making import said, words

GOLDEN_COUNT = 2724
GOLDEN_FIRST = [("2024-01-01 09:40", "SELL"), ("2024-01-01 09:43", "BUY"), ("2024-01-01 10:10", "SELL"), ("2024-01-01 10:32", "BUY")]
NIFTY = Path("../shared/data/nifty50_1min_2024.csv.gz")
IST = timezone(timedelta(hours=5, minutes=30))


def cross(**params: object) -> Strategy:
    return registry.create("ema_cross", params, "NSE:INFY", Timeframe.M1)


@pytest.mark.parametrize(
    ("direction", "closes", "expected"),
    [
        # EMA(1) is the close itself; EMA(2) is seeded by the mean of the first two closes
        ("long", [10, 9, 8, 12, 13, 7], [".", ".", ".", "buy", ".", "close"]),
        ("both", [10, 9, 8, 12, 13, 7], [".", ".", ".", "buy", ".", "close+sell"]),
        ("both", [9, 10, 7, 12], [".", ".", "sell", "close+buy"]),
        ("long", [9, 10, 7, 12], [".", ".", ".", "buy"]),  # nothing to close while flat
        ("long", [10, 10, 10, 10], [".", ".", ".", "."]),  # touching is not crossing
        ("long", [10, 11, 12, 13], [".", ".", ".", "."]),  # above from the start is not crossing
    ],
)
def test_it_acts_when_the_averages_cross(direction: str, closes: list[float], expected: list[str]) -> None:
    assert said(cross(fast=1, slow=2, direction=direction), closes) == expected


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"fast": 0}, "fast"),
        ({"slow": 401}, "slow"),
        ({"fast": 21, "slow": 21}, ""),
        ({"fats": 3}, "fats"),
        ({"direction": "up"}, "direction"),
    ],
)
def test_wrong_parameters_are_named(params: dict[str, object], field: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        cross(**params)
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [field]


@pytest.fixture(scope="module")
def nifty() -> list[Candle]:
    with gzip.open(NIFTY, "rt", encoding="utf-8") as file:
        return [
            Candle(
                "NSE:NIFTY 50",
                datetime.fromisoformat(row["datetime"]).replace(tzinfo=IST).timestamp(),
                float(row["open"]),
                float(row["high"]),
                float(row["low"]),
                float(row["close"]),
            )
            for row in csv.DictReader(file)
        ]


def test_golden_signals_on_nifty_equal_those_of_whole_series_arithmetic(nifty: list[Candle]) -> None:
    strategy = cross(fast=9, slow=21, direction="both")
    got = [(candle.start, side) for candle in nifty for side in [_entry(strategy, candle)] if side is not None]

    closes = [candle.close for candle in nifty]
    fast, slow = ema(closes, 9), ema(closes, 21)
    signs = [(candle.start, f - s) for candle, f, s in zip(nifty, fast, slow, strict=True) if f - s != 0.0 and s == s]
    expected = [
        (start, Side.BUY if now > 0 else Side.SELL) for (_, before), (start, now) in itertools.pairwise(signs) if (before > 0) != (now > 0)
    ]
    assert got == expected
    assert len(got) == GOLDEN_COUNT
    assert [(datetime.fromtimestamp(start, IST).isoformat(" ")[:16], side.value) for start, side in got[:4]] == GOLDEN_FIRST


def _entry(strategy: Strategy, candle: Candle) -> Side | None:
    wish = strategy.on_candle(candle)
    if wish is None:
        return None
    strategy.accept(wish)
    return wish.side


def test_a_backtest_could_play_hundreds_of_thousands_of_candles_a_second(nifty: list[Candle]) -> None:
    strategy = cross()
    began = time.thread_time()
    for candle in nifty:
        words(strategy, strategy.on_candle(candle))
    assert len(nifty) / (time.thread_time() - began) > 100_000  # measured at 1.2 million; a shared machine gets room

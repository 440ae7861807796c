"""Buy/sell thresholds: small tables of closes around each reference, and what happens where days meet."""

from __future__ import annotations

import pydantic
import pytest

from engines.core.model import Candle, Tick, Timeframe
from engines.strategies import registry
from engines.strategies.base import Strategy
from tests.strategies.making import OPEN, candles, said, words

DAY = 86_400


def threshold(**params: object) -> Strategy:
    return registry.create("threshold", params, "NSE:INFY", Timeframe.M1)


@pytest.mark.parametrize(
    ("params", "closes", "expected"),
    [
        # buy a fall of 1 %, sell a rise of 1 % from the day's first price, 100
        ({"buy_pct": -1, "sell_pct": 1}, [100, 99.5, 99, 98, 101, 102], [".", ".", "buy", ".", "close", "."]),
        # buy a rise (breakout), leave on a fall
        ({"buy_pct": 1, "sell_pct": -1}, [100, 101, 102, 100, 98.9], [".", "buy", ".", ".", "close"]),
        # a threshold acts when it is crossed, not while it is passed; crossed again it acts again
        ({"buy_pct": -1, "sell_pct": -2}, [100, 99, 98, 97, 99.5, 98.9, 97.9], [".", "buy", "close", ".", ".", "buy", "close"]),
        ({"buy_pct": -1, "sell_pct": 1, "direction": "short"}, [100, 99, 101, 100, 98], [".", ".", "sell", ".", "close"]),
        ({"buy_pct": -1, "sell_pct": 1, "direction": "both"}, [100, 99, 101, 98], [".", "buy", "close+sell", "close+buy"]),
        # never twice the same way
        ({"buy_pct": -1, "sell_pct": 5, "direction": "both"}, [100, 99, 100, 99], [".", "buy", ".", "."]),
    ],
)
def test_it_acts_when_a_threshold_from_the_days_open_is_crossed(
    params: dict[str, object], closes: list[float], expected: list[str]
) -> None:
    assert said(threshold(**params), closes) == expected


def test_from_the_last_exit_the_reference_moves_with_each_exit() -> None:
    strategy = threshold(reference="last_exit", buy_pct=-1, sell_pct=2)
    #       first 100; bought at 99, sold at 102: from there 101 is a fall of 0.98 %, 100.9 of 1.08 %
    assert said(strategy, [100, 99, 102, 101, 100.9]) == [".", "buy", "close", ".", "buy"]


def test_from_the_last_exit_a_turn_is_an_exit_too() -> None:
    strategy = threshold(reference="last_exit", buy_pct=-1, sell_pct=2, direction="both")
    assert said(strategy, [100, 99, 102, 101, 100.9]) == [".", "buy", "close+sell", ".", "close+buy"]


def test_from_the_last_exit_a_stop_is_an_exit_too() -> None:
    strategy = threshold(reference="last_exit", buy_pct=-1, sell_pct=2)
    assert said(strategy, [100, 99]) == [".", "buy"]
    strategy.stance = 0
    strategy.on_flat(95.0)
    assert said(strategy, [94.5, 94.0]) == [".", "buy"]  # 1 % under 95


def test_from_the_previous_close_nothing_happens_before_there_is_one_and_a_gap_counts_as_a_move() -> None:
    strategy = threshold(reference="previous_close", buy_pct=1, sell_pct=-1)
    assert said(strategy, [100, 105, 90, 100]) == [".", ".", ".", "."]
    assert said(strategy, [102, 99.5], start=OPEN + DAY) == ["buy", "."]
    assert said(strategy, [98.4], start=OPEN + 2 * DAY) == ["close"]  # 1.1 % under 99.5


def test_a_new_day_measures_from_its_own_open() -> None:
    strategy = threshold(buy_pct=-1, sell_pct=1)
    assert said(strategy, [100, 99.2]) == [".", "."]
    assert said(strategy, [99.2, 98.3, 98.2], start=OPEN + DAY) == [".", ".", "buy"]


def test_by_tick_it_does_not_wait_for_the_candle() -> None:
    strategy = threshold(buy_pct=-1, sell_pct=1, check="tick")
    assert strategy.listens_to_ticks
    assert not threshold().listens_to_ticks

    def see(last: float, at: float) -> str:
        return words(strategy, strategy.on_tick(Tick("NSE:INFY", last, last, last, at)))

    assert [see(100, OPEN), see(98.9, OPEN + 1), see(101.2, OPEN + 2)] == [".", "buy", "close"]
    assert said(strategy, [90.0]) == ["."]  # candles only keep the references up to date
    assert [see(50, OPEN + DAY), see(49.4, OPEN + DAY + 1)] == [".", "buy"]


def test_its_memory_survives_a_restart() -> None:
    closes = [100, 99.5, 98.9, 99, 98.5, 101.5, 100, 98.7, 101.1]
    whole = said(threshold(), closes)
    for cut in range(len(closes)):
        before, after = threshold(), threshold()
        first = [words(before, before.on_candle(candle)) for candle in candles(closes)[:cut]]
        after.restore(before.state())
        assert first + [words(after, after.on_candle(candle)) for candle in candles(closes)[cut:]] == whole


@pytest.mark.parametrize(
    "params", [{"buy_pct": 0}, {"buy_pct": 1, "sell_pct": 1}, {"buy_pct": float("nan")}, {"sell_pct": 51}, {"reference": "moon"}]
)
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        threshold(**params)


def test_a_crypto_day_begins_at_midnight_utc() -> None:
    strategy = registry.create("threshold", {"buy_pct": -1, "sell_pct": 1}, "BINANCE:BTCUSDT", Timeframe.H1)
    midnight = OPEN // DAY * DAY + DAY
    got = [
        words(strategy, strategy.on_candle(Candle("BINANCE:BTCUSDT", midnight + hour * 3600, p, p, p, p)))
        for hour, p in ((-1, 110), (0, 100), (1, 98.9))
    ]
    assert got == [".", ".", "buy"]

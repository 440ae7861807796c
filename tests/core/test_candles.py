"""Candles as small tables: given ticks, expect bars on the exchange's clock and nothing made up."""

import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.candles import CandleBuilder, resample
from engines.core.model import Candle, Tick, Timeframe

NAN = math.nan


def at(clock: str, day: str = "2026-11-20") -> float:
    return datetime.fromisoformat(f"{day}T{clock}+05:30").timestamp()


def tick(moment: float | str, price: float, volume: float = 1.0, symbol: str = "NSE:INFY") -> Tick:
    return Tick(symbol, price, price, price, at(moment) if isinstance(moment, str) else moment, volume)


def bar(clock: str, *prices: float, volume: float = 1.0, day: str = "2026-11-20") -> Candle:
    return Candle("NSE:INFY", at(clock, day), *prices, volume)


def build(ticks: list[Tick], timeframe: Timeframe = Timeframe.M1) -> tuple[list[Candle], CandleBuilder]:
    builder = CandleBuilder(ticks[0].symbol, timeframe)
    return [closed for x in ticks if (closed := builder.add(x)) is not None], builder


def test_ticks_become_the_bar_they_fall_into() -> None:
    closed, builder = build(
        [tick("09:15:00", 100.0), tick("09:15:20", 102.0), tick("09:15:40", 99.0), tick("09:15:59.999", 101.0), tick("09:16:00", 105.0)]
    )
    assert closed == [bar("09:15", 100.0, 102.0, 99.0, 101.0, volume=4.0)]
    assert builder.forming == bar("09:16", 105.0, 105.0, 105.0, 105.0)


@pytest.mark.parametrize(
    ("timeframe", "moment", "start"),
    [
        (Timeframe.M1, "09:15:59", "09:15"),
        (Timeframe.M5, "09:19:59", "09:15"),
        (Timeframe.M15, "09:44:00", "09:30"),
        (Timeframe.H1, "10:14:59", "09:15"),  # an Indian hour runs from a quarter past
        (Timeframe.H1, "10:15:00", "10:15"),
        (Timeframe.H1, "09:00:00", "08:15"),
        (Timeframe.D1, "15:29:00", "00:00"),
        (Timeframe.D1, "00:10:00", "00:00"),
    ],
)
def test_bars_are_anchored_on_the_exchanges_session(timeframe: Timeframe, moment: str, start: str) -> None:
    _, builder = build([tick(moment, 100.0)], timeframe)
    assert builder.forming is not None
    assert builder.forming.start == at(start)


def test_crypto_bars_are_anchored_on_utc() -> None:
    _, builder = build([tick("10:10:00", 100.0, symbol="BINANCE:BTCUSDT")], Timeframe.H1)
    assert builder.forming is not None
    assert builder.forming.start == at("09:30:00")  # 04:00 UTC


def test_missing_minutes_stay_missing() -> None:
    closed, _ = build([tick("09:15:00", 100.0), tick("09:20:00", 101.0), tick("09:21:00", 102.0)])
    assert [x.start for x in closed] == [at("09:15"), at("09:20")]


@pytest.mark.parametrize(
    "useless",
    [
        tick("09:15:10", 999.0),  # a minute late
        tick("09:16:09.999", 999.0),  # out of order within the bar
        tick("09:16:30", 0.0),
        tick("09:16:30", -5.0),
        tick("09:16:30", NAN),
        tick("09:16:30", math.inf),
        tick(NAN, 999.0),
        tick(math.inf, 999.0),
    ],
)
def test_what_cannot_be_used_is_counted_and_changes_nothing(useless: Tick) -> None:
    closed, builder = build([tick("09:15:00", 100.0), tick("09:16:10", 101.0), useless, tick("09:16:40", 103.0)])
    assert closed == [bar("09:15", 100.0, 100.0, 100.0, 100.0)]
    assert builder.forming == bar("09:16", 101.0, 103.0, 101.0, 103.0, volume=2.0)
    assert builder.ignored == 1


def test_the_clock_closes_a_bar_when_no_tick_comes() -> None:
    builder = CandleBuilder("NSE:INFY", Timeframe.M1)
    assert builder.flush(at("09:30:00")) is None
    builder.add(tick("09:15:30", 100.0))
    assert builder.flush(at("09:15:59.999")) is None
    assert builder.flush(at("09:16:00")) == bar("09:15", 100.0, 100.0, 100.0, 100.0)
    assert builder.flush(at("09:17:00")) is None
    assert builder.forming is None
    assert builder.add(tick("09:15:59", 101.0)) is None  # late: its bar is closed
    assert builder.ignored == 1
    assert builder.add(tick("09:16:05", 102.0)) is None
    assert builder.forming == bar("09:16", 102.0, 102.0, 102.0, 102.0)


def test_shorter_bars_become_longer_ones() -> None:
    minutes = [
        bar("09:15", 10.0, 12.0, 9.0, 11.0),
        bar("09:16", 11.0, 15.0, 11.0, 14.0),
        bar("09:19", 14.0, 14.0, 8.0, 9.0),
        bar("09:20", 9.0, 9.5, 9.0, 9.5),
    ]
    assert resample(minutes, Timeframe.M5) == [bar("09:15", 10.0, 15.0, 8.0, 9.0, volume=3.0), bar("09:20", 9.0, 9.5, 9.0, 9.5)]
    assert resample([], Timeframe.M5) == []


@pytest.mark.parametrize(
    "useless",
    [
        bar("09:14", 10.0, 10.0, 10.0, 10.0),  # out of order
        bar("09:17", NAN, 10.0, 10.0, 10.0),
        bar("09:17", 10.0, 9.0, 11.0, 10.0),  # high below low
        bar("09:17", 0.0, 0.0, 0.0, 0.0),
        bar("09:17", 10.0, math.inf, 10.0, 10.0),
    ],
)
def test_a_broken_shorter_bar_is_counted_and_changes_nothing(useless: Candle) -> None:
    builder = CandleBuilder("NSE:INFY", Timeframe.M5)
    builder.merge(bar("09:15", 10.0, 12.0, 9.0, 11.0))
    assert builder.merge(useless) is None
    assert builder.forming == bar("09:15", 10.0, 12.0, 9.0, 11.0)
    assert builder.ignored == 1


walks = st.lists(st.tuples(st.floats(0, 200), st.integers(1, 1000)), min_size=1, max_size=80)


@given(walks, st.sampled_from([Timeframe.M5, Timeframe.M15, Timeframe.H1]))
def test_bars_from_ticks_equal_bars_from_their_minutes(walk: list[tuple[float, int]], timeframe: Timeframe) -> None:
    moment, ticks = at("09:15:00"), []
    for pause, price in walk:
        moment += pause
        ticks.append(tick(moment, float(price)))
    minutes, last_minute = build(ticks)
    longer, forming = build(ticks, timeframe)
    assert last_minute.forming is not None
    assert forming.forming is not None
    assert resample([*minutes, last_minute.forming], timeframe) == [*longer, forming.forming]


@given(walks)
def test_every_tick_is_in_exactly_one_bar(walk: list[tuple[float, int]]) -> None:
    moment, ticks = at("09:15:00"), []
    for pause, price in walk:
        moment += pause
        ticks.append(tick(moment, float(price)))
    closed, builder = build(ticks)
    assert builder.forming is not None
    bars = [*closed, builder.forming]
    assert sum(x.volume for x in bars) == len(ticks)
    for x in bars:
        inside = [t.last_price for t in ticks if x.start <= t.at < x.start + 60]
        assert (x.open, x.high, x.low, x.close) == (inside[0], max(inside), min(inside), inside[-1])

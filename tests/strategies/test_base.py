"""The strategy base: friendly to write, exact about what it remembers."""

from __future__ import annotations

import json
from collections import deque
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from pydantic import Field

from engines.core.indicators import ATR, EMA, SMA
from engines.core.model import Candle, Side, Timeframe
from engines.strategies.base import Parameters, Strategy, Wish
from engines.strategies.memory import recall, remember
from tests.strategies.making import candles


class Breakout(Strategy):
    """The example of the docs: a strategy of one's own in a few lines."""

    kind = "breakout"
    name = "Breakout"

    class Params(Parameters):
        lookback: int = Field(3, ge=2, title="Look back")

    params: Params

    def setup(self) -> None:
        self.highs: deque[float] = deque(maxlen=self.params.lookback)
        self.atr = ATR(2)

    def on_candle(self, candle: Candle) -> Wish | None:
        atr = self.atr.update(candle.high, candle.low, candle.close)
        full, top = len(self.highs) == self.params.lookback, max(self.highs, default=inf)
        self.highs.append(candle.high)
        if full and candle.close > top and self.stance == 0:
            return self.buy(stop=candle.close - 2 * atr, targets=(candle.close + atr,), note="new high")
        return self.close() if atr == atr and candle.close < top - 3 * atr else None


def breakout() -> Breakout:
    return Breakout(Breakout.Params(), "NSE:INFY", Timeframe.M1)


def test_a_few_lines_make_a_strategy() -> None:
    strategy = breakout()
    wishes = [strategy.on_candle(candle) for candle in candles([10, 11, 10, 12])]
    assert wishes[:3] == [None] * 3
    wish = wishes[3]
    assert wish is not None
    assert (wish.side, wish.reduce_only, wish.note) == (Side.BUY, False, "new high")
    assert wish.stop is not None
    assert wish.stop < 12 < wish.targets[0]


def test_a_turn_is_a_close_and_an_entry_and_the_stance_follows() -> None:
    strategy = breakout()
    assert strategy.close() is None  # flat: nothing to leave
    (bought,) = strategy.accept(strategy.buy())
    assert (bought.side, strategy.stance) == (Side.BUY, 1)
    out, sold = strategy.accept(strategy.sell(note="turn", stop=12.0))
    assert (out.side, out.reduce_only, out.note, out.stop) == (Side.SELL, True, "turn", None)
    assert (sold.side, sold.reduce_only, sold.stop, strategy.stance) == (Side.SELL, False, 12.0, -1)
    leave = strategy.close("enough")
    assert leave is not None
    assert (leave.side, leave.reduce_only) == (Side.BUY, True)
    assert strategy.stance == -1  # saying is not yet doing
    assert strategy.accept(leave) == (leave,)
    assert strategy.stance == 0


def test_everything_set_up_survives_a_restart_at_any_candle_as_json() -> None:
    closes = [10, 11, 10, 12, 12.5, 11, 9, 8, 9, 10, 11, 12, 13]
    whole, rows = breakout(), candles(closes)
    expected = [whole.on_candle(candle) for candle in rows]
    for cut in range(len(rows)):
        before, after = breakout(), breakout()
        got = [before.on_candle(candle) for candle in rows[:cut]]
        after.restore(json.loads(json.dumps(before.state(), allow_nan=False)))
        assert got + [after.on_candle(candle) for candle in rows[cut:]] == expected


def test_names_with_an_underscore_are_not_remembered() -> None:
    strategy = breakout()
    strategy._helper = object()  # type: ignore[attr-defined]
    assert set(strategy.state()) == {"stance", "highs", "atr"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        "text",
        1.5,
        nan,
        inf,
        -inf,
        Decimal("1.10"),
        [1, [2.5, "x"]],
        {"a": [1], "b": {"c": nan}},
        (1, 2.0),
        deque([1.0, 2.0], maxlen=3),
    ],
)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    again = recall(value, json.loads(json.dumps(remember(value), allow_nan=False)))
    assert repr(again) == repr(value)
    assert type(again) is type(value)


@pytest.mark.parametrize("make", [lambda: SMA(3), lambda: EMA(3), lambda: ATR(3)])
def test_indicators_come_back_as_they_were(make: Any) -> None:
    one, numbers = make(), [3.0, 5.0, 4.0, 7.0, 1.0]
    args = 3 if isinstance(one, ATR) else 1
    for number in numbers:
        one.update(*[number] * args)
        other = recall(make(), json.loads(json.dumps(remember(one), allow_nan=False)))
        assert remember(other) == remember(one)


@pytest.mark.parametrize("value", [lambda: 0, object(), {1: 2}, {"$": 1}, [object()], int, {1, 2}])
def test_what_cannot_be_remembered_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot remember rules"):
        remember(value, "rules")


def test_a_new_version_takes_up_an_older_state() -> None:
    strategy = breakout()
    strategy.restore({"stance": 1, "gone": 5})
    assert strategy.stance == 1
    assert list(strategy.highs) == []

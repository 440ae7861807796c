"""EMA cross: the classic of trend following, and the pattern for a strategy of your own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.core.indicators import EMA
from engines.core.model import Candle
from engines.strategies.base import Parameters, Strategy, Wish, wrong


class EmaCross(Strategy):
    kind = "ema_cross"
    name = "EMA cross"
    description = "Buys when the fast average of closes crosses above the slow one, leaves (or sells short) when it crosses below."

    class Params(Parameters):
        fast: int = Field(9, ge=1, le=400, title="Fast average", description="Candles in the quick average.")
        slow: int = Field(21, ge=2, le=400, title="Slow average", description="Candles in the calm average; more than the fast one.")
        direction: Literal["long", "both"] = Field(
            "long", title="Direction", description="long: buy and leave. both: also sell short when the averages cross below."
        )

        @model_validator(mode="after")
        def fast_is_faster(self) -> EmaCross.Params:
            if self.fast >= self.slow:
                raise wrong("fast", "the fast average must have fewer candles than the slow one")
            return self

    params: Params

    @property
    def warmup(self) -> int:
        return 5 * self.params.slow  # what came before weighs less than 1 in 20,000 by then

    def setup(self) -> None:
        self.fast, self.slow = EMA(self.params.fast), EMA(self.params.slow)
        self.above: bool | None = None  # was the fast average above the slow one?

    def on_candle(self, candle: Candle) -> Wish | None:
        close = candle.close
        fast, slow = self.fast.update(close), self.slow.update(close)
        if fast == slow or slow != slow:  # touching, or not a number yet: the slow average needs its candles first
            return None
        was, self.above = self.above, fast > slow
        if was is None or was == self.above:
            return None
        if self.above:
            return self.buy(note="fast above slow")
        return self.sell(note="fast below slow") if self.params.direction == "both" else self.close("fast below slow")

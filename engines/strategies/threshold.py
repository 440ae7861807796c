"""Buy/sell thresholds: act when the price has moved by a percentage from a reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.core.model import Candle, Side, Tick
from engines.core.sessions import DAY, day_start, exchange_of
from engines.strategies.base import Parameters, Strategy, Wish, wrong


class Threshold(Strategy):
    kind = "threshold"
    name = "Buy/sell threshold"
    description = "Buys when the price has moved by one percentage from its reference, sells when it has moved by the other."

    class Params(Parameters):
        reference: Literal["day_open", "previous_close", "last_exit"] = Field(
            "day_open",
            title="Reference",
            description="What moves are measured from: the day's first price, the last close of the day before, or the price of the last exit.",
        )
        buy_pct: float = Field(
            -0.5, ge=-50, le=50, title="Buy at %", description="Move from the reference: below zero buys a fall, above zero buys a rise."
        )
        sell_pct: float = Field(
            0.5, ge=-50, le=50, title="Sell at %", description="Move from the reference: above zero sells a rise, below zero sells a fall."
        )
        direction: Literal["long", "short", "both"] = Field(
            "long", title="Direction", description="long: buy, then sell what was bought. short: sell, then buy it back. both: always turn."
        )
        check: Literal["candle", "tick"] = Field(
            "candle", title="Check", description="At the close of each candle (the same live and in a backtest), or at every price."
        )

        @model_validator(mode="after")
        def thresholds_differ(self) -> Threshold.Params:
            if self.buy_pct == 0 or self.sell_pct == 0:
                raise wrong("buy_pct" if self.buy_pct == 0 else "sell_pct", "a threshold of 0 % is no move at all")
            if self.buy_pct == self.sell_pct:
                raise wrong("sell_pct", "buying and selling at the same threshold cancel each other")
            return self

    params: Params

    @property
    def warmup(self) -> int:
        return max(1, 2 * DAY // self.timeframe.seconds) if self.params.reference != "last_exit" else 0

    @property
    def listens_to_ticks(self) -> bool:
        return self.params.check == "tick"

    def setup(self) -> None:
        self._exchange = exchange_of(self.symbol)
        self.reference: float | None = None
        self.day_ends = 0.0
        self.last_close: float | None = None
        self.move = 0.0  # in percent, when it was last looked at: a threshold acts when it is crossed, not while it is passed

    def on_candle(self, candle: Candle) -> Wish | None:
        if candle.start >= self.day_ends:
            self._new_day(candle.start, candle.open)
        self.last_close = candle.close
        return None if self.params.check == "tick" else self._look(candle.close)

    def on_tick(self, tick: Tick) -> Wish | None:
        if tick.at >= self.day_ends:
            self._new_day(tick.at, tick.last_price)
        return self._look(tick.last_price)

    def on_flat(self, price: float) -> None:
        if self.params.reference == "last_exit":
            self._measure_from(price)

    def _new_day(self, at: float, first_price: float) -> None:
        self.day_ends = day_start(at, self._exchange) + DAY
        chosen = self.params.reference
        if chosen == "day_open":
            self._measure_from(first_price)
        elif chosen == "previous_close":
            self._measure_from(self.last_close)
        elif self.reference is None:
            self._measure_from(first_price)

    def _measure_from(self, reference: float | None) -> None:
        self.reference, self.move = reference, 0.0

    def _look(self, price: float) -> Wish | None:
        if self.reference is None:
            return None
        was, self.move = self.move, (price / self.reference - 1) * 100
        if _crossed(was, self.move, self.params.buy_pct):
            wish = self._wish(Side.BUY, f"{self.move:+.2f} % from {self.reference:g}")
        elif _crossed(was, self.move, self.params.sell_pct):
            wish = self._wish(Side.SELL, f"{self.move:+.2f} % from {self.reference:g}")
        else:
            return None
        if wish is not None and self.stance and self.params.reference == "last_exit":
            self._measure_from(price)  # a turn is an exit, too
        return wish

    def _wish(self, side: Side, note: str) -> Wish | None:
        if self.stance == side.sign:
            return None
        opens = self.params.direction in ("both", "long" if side is Side.BUY else "short")
        if not opens:
            return self.close(note)
        return self.buy(note=note) if side is Side.BUY else self.sell(note=note)


def _crossed(was: float, move: float, threshold: float) -> bool:
    """A rise to a threshold above zero, or a fall to one below it."""
    return was < threshold <= move if threshold > 0 else was > threshold >= move

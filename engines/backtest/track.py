"""One instrument in a backtest: its strategy, the candle that is forming for it, what is held of it and what waits for a price.

Holds state and no rules. `floor` and `ceiling` are floats, so that a bar in which nothing happens costs a few comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf

from engines.core.bars import Levels
from engines.core.candles import CandleBuilder
from engines.core.model import ZERO, Candle, ExitPlan, Instrument, Position, Role, Side, Tick, Timeframe, Timestamp
from engines.strategies.base import Strategy


@dataclass(slots=True)
class Running:
    """A trade that is not over yet."""

    side: Side
    entry_at: Timestamp
    bought: Decimal = ZERO  # units that entered, at any price
    paid: Decimal = ZERO  # for them
    got: Decimal = ZERO  # for those that left
    charges: Decimal = ZERO


@dataclass(slots=True, eq=False)
class Track:
    instrument: Instrument
    strategy: Strategy
    position: Position
    builder: CandleBuilder | None = None  # None: the file's candles are the strategy's
    previous: Candle | None = None  # the newest whole candle of the file
    tick: Tick | None = None  # the newest price
    floor: float = -inf  # the nearest price below at which something happens
    ceiling: float = inf
    expires: Timestamp = inf  # when what rests at the exchange ends with its day
    levels: Levels = ()  # what fires inside a bar
    plan: ExitPlan | None = None
    first_stop: Decimal | None = None  # of the plan, before anything moved it
    trade: Running | None = None
    flat_by: Role | None = None  # a stop or target has just taken out the last of it…
    flat_at: float = 0.0  # …at this price

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def mark(self) -> float | None:
        """The newest price that is known."""
        if self.tick is not None:
            return self.tick.last_price
        return None if self.previous is None else self.previous.close


@dataclass(frozen=True, slots=True)
class Tracks:
    """All of them, by symbol."""

    by_symbol: dict[str, Track] = field(default_factory=dict)
    timeframe: Timeframe = Timeframe.M1

    def warm_up(self, earlier: Sequence[Candle]) -> None:
        """Play what came before, as a strategy that is switched on is played the stored candles; its wishes are not heard."""
        from engines.core.candles import resample

        for symbol, track in self.by_symbol.items():
            past = [candle for candle in earlier if candle.symbol == symbol]
            if track.builder is not None:
                past = resample(past, self.timeframe)
            for candle in past[-track.strategy.warmup :] if track.strategy.warmup else ():
                track.strategy.on_candle(candle)

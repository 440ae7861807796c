"""One instrument in a backtest: its strategy, the candle that is forming for it, what is held of it and what waits for a price.

Holds state and no rules. `floor` and `ceiling` are floats, so that a bar in which nothing happens costs a few comparisons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from math import inf

from engines.core.bars import Levels
from engines.core.candles import CandleBuilder
from engines.core.model import ZERO, Candle, ExitPlan, Instrument, Position, Role, Side, Tick, Timestamp
from engines.core.sessions import utc_offset
from engines.ports import TandemError
from engines.strategies.base import Strategy, Wish


class StrategyFailed(TandemError):
    """The strategy's own code raised, or asked for something that cannot be."""


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
    watched: bool = False  # something rests, guards or expires: else the next two need not be looked at
    floor: float = -inf  # the nearest price below at which something happens
    ceiling: float = inf
    expires: Timestamp = inf  # when what rests at the exchange ends with its day
    levels: Levels = ()  # what fires inside a bar
    plan: ExitPlan | None = None
    first_stop: Decimal | None = None  # of the plan, before anything moved it
    trade: Running | None = None
    flat_by: Role | None = None  # a stop or target has just taken out the last of it…
    flat_at: float = 0.0  # …at this price
    symbol: str = field(init=False)
    on_candle: Callable[[Candle], Wish | None] = field(init=False)

    def __post_init__(self) -> None:
        self.symbol = self.instrument.symbol
        self.on_candle = self.strategy.on_candle  # looked up once, not on every bar

    @property
    def mark(self) -> float | None:
        """The newest price that is known."""
        if self.tick is not None:
            return self.tick.last_price
        return None if self.previous is None else self.previous.close

    def failed(self, moment: Timestamp, error: Exception) -> StrategyFailed:
        """What to say when the strategy raised at this moment: live would put it into quarantine, a backtest ends."""
        zone = timezone(timedelta(seconds=utc_offset(self.instrument.exchange)))
        when = datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M:%S")
        return StrategyFailed(f"{self.strategy.kind} failed on {self.symbol} at {when}: {type(error).__name__}: {error}")

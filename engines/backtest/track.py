"""One instrument in a backtest: its strategy, the candle that is forming for it, and for each account what is held of it and what waits for a price.

Holds state and no rules. `floor`, `ceiling` and `alarm` are floats, so that a bar in which nothing happens costs a few comparisons however many accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING

from engines.backtest.exchange import Order
from engines.core.bars import Levels
from engines.core.candles import CandleBuilder
from engines.core.model import ZERO, Candle, ExitPlan, Instrument, Position, Side, Tick, Timestamp
from engines.core.prices import exact
from engines.core.reentry import ReentryState
from engines.core.sessions import utc_offset
from engines.ports import TandemError
from engines.strategies.base import Strategy, Wish

if TYPE_CHECKING:
    from engines.backtest.book import Book


class StrategyFailed(TandemError):
    """The strategy's own code raised, or asked for something that cannot be."""


@dataclass(slots=True)
class Running:
    """A trade that is not over yet."""

    side: Side
    entry_at: Timestamp
    note: str = ""
    bought: Decimal = ZERO  # units that entered, at any price
    paid: Decimal = ZERO  # for them
    got: Decimal = ZERO  # for those that left
    charges: Decimal = ZERO


@dataclass(slots=True, eq=False)
class Slot:
    """An instrument on one account."""

    book: Book
    track: Track
    position: Position
    working: dict[str, Order] = field(default_factory=dict)  # what rests at the exchange
    plan: ExitPlan | None = None
    first_stop: Decimal | None = None  # of the plan, before anything moved it
    trade: Running | None = None
    blocked: Decimal = ZERO  # margin of what is held
    units: float = 0.0  # what is held, for quick sums
    expires: Timestamp = inf  # when what rests at the exchange ends with its day
    leave_at: Timestamp = inf  # when the day rules square it off
    floor: float = -inf  # the nearest price below at which something happens
    ceiling: float = inf
    alarm: Timestamp = inf  # the next moment at which something happens whatever the price
    levels: Levels = ()  # what fires inside a bar


@dataclass(frozen=True, slots=True)
class LeftBy:
    """What took an account's position out although the strategy did not say so. `leg`: "stop", "target" or anything else."""

    leg: str
    entry_price: Decimal
    exit_price: Decimal


@dataclass(slots=True, eq=False)
class Track:
    instrument: Instrument
    strategy: Strategy
    builder: CandleBuilder | None = None  # None: the file's candles are the strategy's
    seconds: float = 60.0  # of the file's candles; 0: ticks
    slots: list[Slot] = field(default_factory=list)  # one for each account, in their order
    previous: Candle | None = None  # the newest whole candle of the file
    tick: Tick | None = None  # the newest price, where it is newer than that
    watched: bool = False  # something rests, guards or ends on some account: else the next ones need not be looked at
    floor: float = -inf  # the nearest price below at which something happens on any account
    ceiling: float = inf
    alarm: Timestamp = inf
    soon: Timestamp = inf  # a bar that begins later than this does not end before the alarm
    every_bar: bool = False  # an account's P&L is watched, so no bar is quiet
    levels: Levels = ()  # of all accounts
    reentry: ReentryState = field(default_factory=ReentryState)
    left: LeftBy | None = None
    valued_at: float = 0.0  # the price at which accounts whose P&L is watched have it in their sums
    _valued: tuple[float, Decimal] = (0.0, ZERO)
    symbol: str = field(init=False)
    on_candle: Callable[[Candle], Wish | None] = field(init=False)

    def __post_init__(self) -> None:
        self.symbol = self.instrument.symbol
        self.on_candle = self.strategy.on_candle  # looked up once, not on every bar

    @property
    def deadline(self) -> Timestamp:
        """When the next exit plan of any account ends by the clock."""
        if self.alarm == inf:
            return inf
        return min((slot.plan.deadline for slot in self.slots if slot.plan is not None and slot.plan.deadline is not None), default=inf)

    def mark(self, now: Timestamp) -> float | None:
        """The newest price that is known: of a bar that is not over and was not walked through, the open."""
        if self.tick is not None:
            return self.tick.last_price
        bar = self.previous
        if bar is None:
            return None
        return bar.open if bar.start + self.seconds > now else bar.close

    def revalue(self, price: float) -> None:
        """Keep up the quick sums of the accounts that hold it."""
        moved, self.valued_at = price - self.valued_at, price
        if moved:
            for slot in self.slots:
                if slot.units:
                    slot.book.ledger.rough_held += slot.units * moved

    def exact_mark(self, now: Timestamp) -> Decimal | None:
        """The same as a number to reckon with; worked out once for all accounts."""
        mark = self.mark(now)
        if mark is None:
            return None
        if mark != self._valued[0]:
            self._valued = mark, exact(mark)
        return self._valued[1]

    def failed(self, moment: Timestamp, error: Exception) -> StrategyFailed:
        """What to say when the strategy raised at this moment: live would put it into quarantine, a backtest ends."""
        zone = timezone(timedelta(seconds=utc_offset(self.instrument.exchange)))
        when = datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M:%S")
        return StrategyFailed(f"{self.strategy.kind} failed on {self.symbol} at {when}: {type(error).__name__}: {error}")

"""What the journal is told: each fact is written once, in order, and is enough to rebuild the engines after a crash.

A fact says what *is* after something happened, so that applying it twice equals applying it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engines.core.model import (
    AccountDay,
    ChartLevel,
    CombinedState,
    DayBook,
    ExitPlan,
    Fill,
    Halt,
    Incident,
    JobRun,
    Order,
    OrderEvent,
    Position,
    Signal,
    Timestamp,
)


@dataclass(frozen=True, slots=True)
class SignalPlanned:
    """A signal and every order planned or denied for it, durable in one transaction before anything is sent."""

    signal: Signal
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class SignalTimed:
    """Milliseconds since the signal was received; None while not reached."""

    signal_key: str
    planned_ms: float | None
    journaled_ms: float | None
    first_sent_ms: float | None
    last_sent_ms: float | None
    last_acknowledged_ms: float | None


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order as it is after `event`."""

    order: Order
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class FillBooked:
    """A new fill, and the order and the position as they are after it."""

    fill: Fill
    order: Order
    position: Position
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class PlanChanged:
    plan: ExitPlan


@dataclass(frozen=True, slots=True)
class DayChanged:
    day: AccountDay


@dataclass(frozen=True, slots=True)
class HaltChanged:
    """Set (lifted_at None) or lifted. The latch file is the authority; this is its history for pages."""

    halt: Halt


@dataclass(frozen=True, slots=True)
class EngineSwitched:
    """Engines on or off; `user_id` None is the whole system, else one trader's own accounts."""

    on: bool
    user_id: str | None
    by: str
    at: Timestamp


@dataclass(frozen=True, slots=True)
class KillSwitched:
    account_id: str
    on: bool
    reason: str
    by: str
    at: Timestamp


@dataclass(frozen=True, slots=True)
class StrategyStateSaved:
    """A strategy's own state (JSON-able) and whether it is quarantined (the message) or healthy (None)."""

    strategy_id: str
    state: Mapping[str, Any]
    quarantined: str | None
    at: Timestamp


@dataclass(frozen=True, slots=True)
class EquityMarked:
    """A point of the equity curve, kept about once a minute for each account."""

    account_id: str
    at: Timestamp
    equity: Decimal
    realised: Decimal
    unrealised: Decimal
    charges: Decimal


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    incident: Incident


@dataclass(frozen=True, slots=True)
class CandleClosed:
    """A candle of a watched instrument, kept so that charts and warm-up survive a restart."""

    symbol: str
    timeframe: str
    start: Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: float
    live: bool = False  # of real prices: kept apart from simulated ones


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A job of the day's timetable was claimed, done, failed or skipped."""

    run: JobRun


@dataclass(frozen=True, slots=True)
class CombinedChanged:
    state: CombinedState


@dataclass(frozen=True, slots=True)
class LevelsFixed:
    """What a strategy has worked out for an instrument and a session, once for all accounts; `says`: its state in words."""

    strategy_id: str
    symbol: str
    day: str
    levels: tuple[ChartLevel, ...]
    says: str
    at: Timestamp


@dataclass(frozen=True, slots=True)
class MarketChanged:
    """From now on what is held and ordered on paper in this instrument is of the market with real prices (`live`), or of the simulated one."""

    symbol: str
    live: bool
    at: Timestamp


@dataclass(frozen=True, slots=True)
class DayClosed:
    book: DayBook
    tell: bool = True  # its person may hear of the day now; False: there is more to come


Fact = (
    SignalPlanned
    | SignalTimed
    | OrderChanged
    | FillBooked
    | PlanChanged
    | DayChanged
    | HaltChanged
    | EngineSwitched
    | KillSwitched
    | StrategyStateSaved
    | EquityMarked
    | IncidentChanged
    | CandleClosed
    | JobChanged
    | CombinedChanged
    | LevelsFixed
    | MarketChanged
    | DayClosed
)

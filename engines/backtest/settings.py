"""What a backtest is made from: strategy, files, accounts and rules, what trading costs, and the way a price took through a bar.

Values only, plain enough for JSON. Whatever is assumed here is printed in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from engines.core.model import (
    ONE,
    ZERO,
    Account,
    AccountMapping,
    CombinedRule,
    DayRules,
    ExitSpec,
    Group,
    Limits,
    PaperSettings,
    ReentrySpec,
    Sizing,
    Timeframe,
)

ACCOUNT = "backtest"  # whose there is no seat for
STRATEGY_ID = "backtest"


class Way(StrEnum):
    """How a bar is walked through, of which only four prices are known."""

    STOP_FIRST = "stop_first"
    REPLAY = "replay"


SAID = {
    Way.STOP_FIRST: (
        "open, then the extreme on the losing side of what is held (or, with nothing held, low first in a rising bar, high first in a falling one), "
        "then the other extreme, then the close; every price on the way trades, so stops and targets fill at their levels, the stop first when both "
        "lie inside the bar, and a gap beyond a stop fills at the open"
    ),
    Way.REPLAY: (
        "the ticks that a replay plays: a file's own, or open, low, high, close of a rising bar and open, high, low, close of a falling one; "
        "a stop or target fills at the first of them that is beyond its level"
    ),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """`way` None: bars, stop first; but ticks where the files hold ticks or the strategy listens to them.

    What follows it describes the one account of a backtest without seats. A market order pays `slippage_ticks` beyond the price. `broker` names the tariff
    of the charges table. `exits` guards entries for which the strategy itself names neither stop nor target, like the exit plan of a strategy's settings.
    """

    capital: Decimal = Decimal(1_000_000)
    sizing: Sizing = Sizing()
    allocation_pct: Decimal = Decimal(100)
    risk_per_trade_pct: Decimal = ONE
    multiplier: Decimal = ONE
    leverage: Decimal = Decimal(5)
    slippage_ticks: Decimal = ZERO
    broker: str = "paper"
    exits: ExitSpec | None = None
    way: Way | None = None
    max_price_age: float = 10.0  # seconds; entries on an older tick are refused, as they are live
    limits: Limits = Limits()
    day_rules: DayRules = DayRules()


@dataclass(frozen=True, slots=True)
class Seat:
    """An account that trades along, and how much a signal is worth on it.

    Of the account count capital, leverage, limits, day rules, its simulated exchange's slippage and session hours, and its broker for the tariff. Its
    switches are not asked: whoever has a seat plays.
    """

    account: Account
    mapping: AccountMapping


@dataclass(frozen=True, slots=True)
class Source:
    """A market file. `symbol` picks one of its instruments, or names that of a file which names none; `name`: what it is called where that is not
    the file's own name."""

    path: str
    symbol: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One strategy over files and accounts. `first` and `last` are ISO days, both included; `timeframe` None: that of the files' candles.

    Without seats there is one account, as `settings` describes it. `exits` (else those of the settings) and `reentry` are as in a strategy's settings;
    `rules` name the strategy id, an account or a group as their scope.
    """

    kind: str
    sources: tuple[Source, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    timeframe: Timeframe | None = None
    first: str | None = None
    last: str | None = None
    exits: ExitSpec | None = None
    reentry: ReentrySpec | None = None
    seats: tuple[Seat, ...] = ()
    rules: tuple[CombinedRule, ...] = ()
    groups: tuple[Group, ...] = ()
    settings: Settings = Settings()
    strategy_id: str = STRATEGY_ID

    @property
    def all_seats(self) -> tuple[Seat, ...]:
        """The given ones, else the one of the settings."""
        return self.seats or (seat_of(self.settings, self.strategy_id),)


def seat_of(settings: Settings, strategy_id: str = STRATEGY_ID) -> Seat:
    """The account that settings describe."""
    return Seat(
        Account(
            ACCOUNT,
            ACCOUNT,
            "Back-test",
            settings.broker,
            settings.capital,
            settings.limits,
            settings.leverage,
            paper=PaperSettings(slippage_ticks=settings.slippage_ticks),
            day_rules=settings.day_rules,
        ),
        AccountMapping(
            "", ACCOUNT, strategy_id, settings.allocation_pct, settings.sizing, settings.risk_per_trade_pct, settings.multiplier
        ),
    )

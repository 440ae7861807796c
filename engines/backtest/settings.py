"""What a backtest assumes: the account's money, how much a signal is worth, what trading costs, and the way a price took through a bar.

Values only. Whatever is assumed here is printed in the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from engines.core.model import ONE, ZERO, ExitSpec, Sizing


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
    """`way` None: bars, stop first; but ticks where the file holds ticks or the strategy listens to them.

    A market order pays `slippage_ticks` beyond the price. `broker` names the tariff of the charges table. `exits` guards entries for which the
    strategy itself names neither stop nor target, like the exit plan of a strategy's settings.
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

"""Small tables of bars, and a strategy that says at each of them what the test wrote down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.backtest.house import House
from engines.backtest.play import play_bars
from engines.backtest.records import AccountLog, Log
from engines.backtest.settings import ACCOUNT, Seat, Settings, seat_of
from engines.backtest.track import Slot, Track
from engines.core.model import Candle, CombinedRule, ExitSpec, Group, Instrument, ReentrySpec, Sizing, SizingMode, StrategyConfig, Timeframe
from engines.strategies.base import Parameters, Strategy, Wish
from tests.market.making import INFY, OPEN

Bar = tuple[float, float, float, float]
Words = Mapping[int, Callable[[Strategy], Wish | None]]
MINUTE = 60.0
TEN = Sizing(SizingMode.FIXED_QUANTITY, Decimal(10))


class Scripted(Strategy):
    kind = "scripted"
    name = "Scripted"

    def follow(self, words: Words) -> Scripted:
        self._words, self._seen = words, 0
        self.flats: list[tuple[int, float]] = []  # the bars seen before it was told, and the price
        return self

    def on_candle(self, candle: Candle) -> Wish | None:
        say = self._words.get(self._seen)
        self._seen += 1
        return None if say is None else say(self)

    def on_flat(self, price: float) -> None:
        self.flats.append((self._seen, price))


@dataclass
class Played:
    """The first account's doings; `logs` has those of all."""

    said: Log
    logs: list[AccountLog]
    track: Track
    strategy: Scripted

    @property
    def log(self) -> AccountLog:
        return self.logs[0]

    @property
    def slot(self) -> Slot:
        return self.track.slots[0]

    @property
    def trades(self) -> list[tuple[str, int, str, int, str, str]]:
        return trades_of(self.log)


def trades_of(log: AccountLog) -> list[tuple[str, int, str, int, str, str]]:
    """Side, bar and price of the entry, bar and price of the exit, and why it ended."""
    return [
        (
            trade.side.value,
            int((trade.entry_at - OPEN) // MINUTE),
            f"{trade.entry_price.normalize():f}",
            int((trade.exit_at - OPEN) // MINUTE),
            f"{trade.exit_price.normalize():f}",
            trade.exit_reason,
        )
        for trade in log.trades
    ]


def played(
    bars: Sequence[Bar],
    words: Words,
    *,
    exits: ExitSpec | None = None,
    settings: Settings | None = None,
    starts: Sequence[float] | None = None,
    seats: Sequence[Seat] = (),
    rules: Sequence[CombinedRule] = (),
    groups: Sequence[Group] = (),
    reentry: ReentrySpec | None = None,
    instrument: Instrument = INFY,
    seconds: float = MINUTE,
) -> Played:
    """Ten shares of INFY a signal, unless the settings or seats say otherwise."""
    settings = settings or Settings(sizing=TEN, exits=exits)
    symbol = instrument.symbol
    candles = [Candle(symbol, OPEN + n * seconds if starts is None else starts[n], *bar, 100.0) for n, bar in enumerate(bars)]
    timeframe = next(each for each in Timeframe if each.seconds == seconds)
    strategy = Scripted(Parameters(), symbol, timeframe).follow(words)
    config = StrategyConfig("S1", ACCOUNT, "scripted", "scripted", timeframe, (symbol,), {}, True, settings.exits or exits, reentry)
    tracks = {symbol: Track(instrument, strategy, seconds=seconds)}
    house = House(seats or (seat_of(settings, "S1"),), settings, config, tracks, rules=rules, groups=groups)
    play_bars(candles, tracks, house)
    return Played(house.log, [book.log for book in house.books], tracks[symbol], strategy)

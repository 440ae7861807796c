"""Small tables of bars, and a strategy that says at each of them what the test wrote down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.backtest.book import Book
from engines.backtest.ledger import ACCOUNT
from engines.backtest.play import play_bars
from engines.backtest.records import Log
from engines.backtest.settings import Settings
from engines.backtest.track import Track
from engines.core.model import Candle, ExitSpec, PositionKey, Product, Sizing, SizingMode, StrategyConfig, Timeframe
from engines.core.positions import empty
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
    log: Log
    track: Track
    strategy: Scripted

    @property
    def trades(self) -> list[tuple[str, int, str, int, str, str]]:
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
            for trade in self.log.trades
        ]


def played(
    bars: Sequence[Bar],
    words: Words,
    *,
    exits: ExitSpec | None = None,
    settings: Settings | None = None,
    starts: Sequence[float] | None = None,
) -> Played:
    """Ten shares of INFY a signal, unless the settings say otherwise."""
    settings = settings or Settings(sizing=TEN, exits=exits)
    symbol = INFY.symbol
    candles = [Candle(symbol, OPEN + n * MINUTE if starts is None else starts[n], *bar, 100.0) for n, bar in enumerate(bars)]
    strategy = Scripted(Parameters(), symbol, Timeframe.M1).follow(words)
    config = StrategyConfig("S1", ACCOUNT, "scripted", "scripted", Timeframe.M1, (symbol,), {}, True, settings.exits)
    track = Track(INFY, strategy, empty(PositionKey(ACCOUNT, symbol, Product.MIS, "S1")))
    log = Log()
    play_bars(candles, {symbol: track}, Book(settings, config, {symbol: track}, log))
    return Played(log, track, strategy)

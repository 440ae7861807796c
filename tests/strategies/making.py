"""A strategy's world by hand: candles from closes, a clock, and a runner whose signals and facts are kept in lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engines.core.facts import IncidentChanged, LevelsFixed, StrategyStateSaved
from engines.core.model import Candle, Incident, Instrument, Signal, StrategyConfig, Timeframe
from engines.ports import JournalDown
from engines.strategies.base import Strategy, Wish
from engines.strategies.runner import StrategyRunner
from tests.market.making import INFY, OPEN, SBIN, CountingIds, HandClock

M1 = Timeframe.M1


def candles(closes: Sequence[float], symbol: str = "NSE:INFY", start: float = OPEN, seconds: int = 60) -> list[Candle]:
    """Candles whose open is the close before."""
    opens = [closes[0], *closes[:-1]]
    return [
        Candle(symbol, start + n * seconds, o, max(o, c), min(o, c), c, 10.0) for n, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]


def said(strategy: Strategy, closes: Sequence[float], **named: Any) -> list[str]:
    """What a strategy says to each close: "." nothing, "buy", "sell", "close"; a turn is "close+buy"."""
    return [words(strategy, strategy.on_candle(candle)) for candle in candles(closes, strategy.symbol, **named)]


def words(strategy: Strategy, wish: Wish | None) -> str:
    if wish is None:
        return "."
    return "+".join("close" if part.reduce_only else part.side.value.lower() for part in strategy.accept(wish))


def config(kind: str = "ema_cross", **fields: Any) -> StrategyConfig:
    made: dict[str, Any] = {
        "strategy_id": "ST1",
        "user_id": "U1",
        "name": "My cross",
        "kind": kind,
        "timeframe": M1,
        "instruments": ("NSE:INFY",),
        "params": {"fast": 2, "slow": 4},
        "active": True,
    }
    return StrategyConfig(**{**made, **fields})


class World:
    """A runner and everything around it. `restart` makes a new runner from what was recorded, as after a crash."""

    def __init__(self, *configs: StrategyConfig, now: float = OPEN) -> None:
        self.clock = HandClock(now)
        self.configs = configs
        self.past: dict[tuple[str, Timeframe], list[Candle]] = {}
        self.signals: list[Signal] = []
        self.facts: list[StrategyStateSaved | IncidentChanged | LevelsFixed] = []
        self.watched: frozenset[tuple[str, Timeframe]] = frozenset()
        self.journal_down = False
        self.instruments: dict[str, Instrument] = {INFY.symbol: INFY, SBIN.symbol: SBIN}
        self.runner = self.restart()

    def restart(self, upto: int | None = None) -> StrategyRunner:
        """`upto`: only so many of the recorded facts had reached the disk."""
        kept = self.facts[:upto]
        states: dict[str, Mapping[str, Any]] = {fact.strategy_id: fact.state for fact in kept if isinstance(fact, StrategyStateSaved)}
        out = {fact.strategy_id: fact.quarantined for fact in kept if isinstance(fact, StrategyStateSaved)}
        self.runner = StrategyRunner(
            clock=self.clock,
            ids=CountingIds(),
            instrument=self.instruments.get,
            history=lambda symbol, timeframe, limit: self.past.get((symbol, timeframe), [])[-limit:],
            watch=lambda pairs: setattr(self, "watched", pairs),
            submit=self._submit,
            record=self.facts.append,
            states=states,
            quarantined={strategy_id: message for strategy_id, message in out.items() if message is not None},
        )
        self.runner.configure(self.configs)
        self.runner.step()
        return self.runner

    def close(self, candle: Candle, timeframe: Timeframe = M1) -> int:
        """The candle closes: time passes, it is stored and offered, the runner steps."""
        self.clock.wall = max(self.clock.wall, candle.start + timeframe.seconds)
        self.past.setdefault((candle.symbol, timeframe), []).append(candle)
        self.runner.offer_candle(timeframe, candle)
        return self.runner.step()

    def incidents(self) -> list[Incident]:
        return [fact.incident for fact in self.facts if isinstance(fact, IncidentChanged)]

    def said(self) -> list[str]:
        return [("close " if signal.reduce_only else "") + signal.side.value for signal in self.signals]

    def _submit(self, signal: Signal) -> None:
        if self.journal_down:
            raise JournalDown("the disk is full")
        if signal.signal_id not in {known.signal_id for known in self.signals}:
            self.signals.append(signal)

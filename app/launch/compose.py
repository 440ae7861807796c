"""Puts the whole together: which feed, which clock and which brokers the settings ask for, handed to the trading system with the data service.

The only place that knows every part. It decides nothing that is not in the settings.
"""

from __future__ import annotations

from pathlib import Path

from app.data import Data
from app.launch.errors import CannotRun
from app.live import Hub
from config import Settings
from engines.market.simulated import SimulatedFeed
from engines.ports import Clock, Feed, RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem


def trading_system(settings: Settings, data: Data) -> tuple[TradingSystem, Hub]:
    """The system, not yet started, and the hub that tells browsers what happens in it."""
    clock, feed, lockstep = market(settings)
    hub = Hub(clock, most_streams=settings.max_streams)
    system = TradingSystem(
        journal=data.journal,
        latch=data.latch,
        directory=data.directory,
        notifier=hub,
        clock=clock,
        ids=RandomIds(clock),
        feed=feed,
        settings=EngineSettings(lockstep=lockstep),
    )
    return system, hub


def market(settings: Settings) -> tuple[Clock, Feed, bool]:
    """The clock that the engines live by, where prices come from, and whether the feed waits for the engines after each batch."""
    if settings.feed == "simulated":
        clock = SystemClock()
        return clock, SimulatedFeed(clock, seed=settings.feed_seed), False
    from engines.market.replay import ReplayFeed

    path = Path(settings.feed).expanduser()
    if not path.is_file():
        raise CannotRun(f"setting TANDEM_FEED: there is no file {settings.feed} (or say: simulated)")
    replay = ReplayFeed(path, settings.feed_symbol, speed=settings.feed_speed)
    return replay.clock, replay, settings.feed_speed == 0

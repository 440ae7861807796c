"""Puts the whole together: which feed, which clock and which brokers the settings ask for, handed to the trading system with the data service.

The only place that knows every part. It decides nothing that is not in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.data import Data, Instruments
from app.launch.errors import CannotRun
from app.launch.masters import MasterRefresher, Renewal, brokers_in_use
from app.live import Hub
from config import Endpoints, Settings
from engines.brokers.makers import BrokerEndpoints, makers
from engines.brokers.tools import BinanceEndpoints, BrokerTools, KiteEndpoints, SmartApiEndpoints
from engines.core.model import Tick
from engines.core.timetable import Job, JobKind
from engines.day.clock import AtOnce
from engines.market.quiet import QuietFeed
from engines.market.replay import ReplayFeed
from engines.market.simulated import SimulatedFeed
from engines.ports import Clock, Feed, RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem
from engines.trading_day import begin_day, finished

if TYPE_CHECKING:
    from engines.market.recorder import Recorder

_KINDS_AT = {
    "kite_api_root": ("zerodha",),
    "smartapi_root": ("angelone",),
    "binance_spot_root": ("binance_spot",),
    "binance_futures_root": ("binance_usdm",),
}


@dataclass(frozen=True, slots=True)
class House:
    """Everything that runs, not yet started."""

    system: TradingSystem
    hub: Hub
    lists: MasterRefresher
    recorder: Recorder | None = None

    def start(self) -> None:
        self.system.start()
        self.lists.start()
        if self.recorder is not None:
            self.recorder.start()

    def stop(self) -> None:
        """Stopping twice is stopping once."""
        self.lists.stop()
        self.system.stop()
        if self.recorder is not None:
            self.recorder.stop()


def house(settings: Settings, data: Data) -> House:
    clock, feed, lockstep = market(settings)
    hub = Hub(clock, most_streams=settings.max_streams)
    master = Instruments(settings.data_dir)
    endpoints = broker_endpoints(settings.endpoints)
    tools = BrokerTools(clock, data.sessions, master, orders=lambda key: system.live_orders(key))  # noqa: PLW0108 - made below
    system = TradingSystem(
        journal=data.journal,
        latch=data.latch,
        directory=data.directory,
        notifier=hub,
        clock=clock,
        ids=RandomIds(clock),
        feed=feed,
        brokers=makers(tools, endpoints),
        settings=EngineSettings(lockstep=lockstep, own_hours=emulated(settings.endpoints)),
        master=master,
        live_market=None if lockstep else _streams(clock, master, endpoints),
    )
    if isinstance(feed, ReplayFeed) and lockstep:
        feed.walk_through(system.levels, system.deadline)
    lists = MasterRefresher(
        master=master,
        endpoints=settings.endpoints,
        clock=SystemClock(),  # a replay lives in the past, the brokers' lists do not
        wanted=lambda: brokers_in_use(data.directory),
        on_trouble=system.incident_log.raise_,
        on_clear=system.incident_log.resolve,
        kite_authorization=lambda: _kite_authorization(system),
    )
    data.directory.on_change(lists.poke)
    system.day.register(JobKind.DAY_START, AtOnce(lambda job: _turn_of_day(system, data, job)))
    system.day.register(JobKind.END_OF_DAY, AtOnce(lambda job: _close_books(system, data, job)))
    if isinstance(clock, SystemClock):
        system.day.register(JobKind.INSTRUMENTS, Renewal(lists))
    return House(system, hub, lists, _recorder(settings, system, data))


def _recorder(settings: Settings, system: TradingSystem, data: Data) -> Recorder | None:
    """A replay is a file already."""
    if settings.record == "off" or settings.feed not in ("simulated", "live"):
        return None
    from app.recording import recorder_for

    return recorder_for(settings.record, system, data, SystemClock())


def market(settings: Settings) -> tuple[Clock, Feed, bool]:
    """The clock that the engines live by, where prices come from, and whether the feed waits for the engines after each batch."""
    if settings.feed in ("simulated", "live"):
        clock = SystemClock()
        return clock, SimulatedFeed(clock, seed=settings.feed_seed) if settings.feed == "simulated" else QuietFeed(), False
    path = Path(settings.feed).expanduser()
    if not path.is_file():
        raise CannotRun(f"setting TANDEM_FEED: there is no file {settings.feed} (or say: simulated, or live)")
    replay = ReplayFeed(path, settings.feed_symbol, speed=settings.feed_speed)
    return replay.clock, replay, settings.feed_speed == 0


def broker_endpoints(given: Endpoints) -> BrokerEndpoints:
    spot_api = given.binance_spot_ws_api_root
    if spot_api == Endpoints().binance_spot_ws_api_root and given.binance_spot_ws_root != Endpoints().binance_spot_ws_root:
        spot_api = f"{given.binance_spot_ws_root}/ws-api/v3"  # whoever moves one socket of Binance to an emulator or a proxy means both
    return BrokerEndpoints(
        KiteEndpoints(given.kite_api_root, given.kite_login_root, given.kite_ws_root),
        SmartApiEndpoints(given.smartapi_root, given.smartapi_ws_root, given.smartapi_order_ws_root),
        BinanceEndpoints(
            given.binance_spot_root, given.binance_futures_root, given.binance_spot_ws_root, given.binance_futures_ws_root, spot_api
        ),
    )


def emulated(given: Endpoints) -> frozenset[str]:
    """Kinds of broker whose address is this machine: an emulator keeps hours of its own, the exchanges' calendar does not bind it."""
    return frozenset(kind for name, kinds in _KINDS_AT.items() if _is_here(getattr(given, name)) for kind in kinds)


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _streams(clock: Clock, master: Instruments, endpoints: BrokerEndpoints):
    def make(on_ticks: Callable[[Sequence[Tick]], None], on_trouble: Callable[[str, str, str], None], on_clear: Callable[[str], None]):
        from engines.market.streams.live import LiveMarket

        return LiveMarket(
            clock=clock, rng=Random(), master=master, endpoints=endpoints, on_ticks=on_ticks, on_trouble=on_trouble, on_clear=on_clear
        )

    return make


def _turn_of_day(system: TradingSystem, data: Data, job: Job) -> str:
    """A new day, and the last word on the one before: paper and coins trade on after its books were written. Where Tandem was off all of yesterday, also
    on the last day that it was on."""
    for day in data.day_books.unended(job.day):
        data.day_books.close(day)
    return begin_day(system, job)


def _close_books(system: TradingSystem, data: Data, job: Job) -> str:
    count = len(data.day_books.close(job.day, finished(system, job)))
    return f"{count} account{'' if count == 1 else 's'} with something to say" if count else "no account did anything"


def _kite_authorization(system: TradingSystem) -> str | None:
    """The header of a Zerodha account that is signed in, for the list of its instruments."""
    for lane in system.roster.lanes():
        key = lane.broker.stream_key() if lane.desk.account.broker == "zerodha" and lane.desk.ready else None
        if key is not None:
            return f"token {key.values.get('api_key', '')}:{key.values.get('access_token', '')}"
    return None

"""The price streams against the emulated brokers, signed in with what the real adapters lend."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.brokers import socket as socket_module
from engines.brokers.socket import SocketClient
from engines.core.model import Tick
from engines.market.streams.binance import BinanceStream
from engines.market.streams.kite import KiteStream
from engines.market.streams.live import LiveMarket
from engines.market.streams.smartapi import SmartApiStream
from engines.ports import SystemClock
from tests.contract.venues import ANGELONE, VENUES, ZERODHA, EmulatorMaster, Station, Venue, endpoints_of
from tests.market.making import TurnedClock
from tests.market.test_live import MUTE, SILENT, with_manners
from tests.market.ws_server import until


class Watched:
    """One account at one emulated broker, and the market that its session opens."""

    def __init__(self, venue: Venue) -> None:
        self.venue, self.emulator, self.clock = venue, venue.emulator().start(), TurnedClock()
        self.emulator.price(venue.symbol, venue.price)
        # Binance's prices need no sign-in, so its adapter need not be here
        self.station = Station(venue, self.emulator).connect() if venue.emulated_by != "binance" else None
        self.master = EmulatorMaster(self.emulator)
        self.ticks: list[Tick] = []
        self.told: list[tuple[str, str, str]] = []
        self.market = LiveMarket(
            clock=self.clock,
            rng=random.Random(4),
            master=self.master,
            endpoints=endpoints_of(self.emulator),
            on_ticks=self.ticks.extend,
            on_trouble=lambda kind, severity, message: self.told.append((kind, severity, message)),
            on_clear=lambda kind: self.told.append((kind, "over", "")),
        )
        self.wanted = {venue.symbol}

    def sockets(self) -> list[SocketClient]:
        return [line.client for shard in self.market._streams[self.venue.kind]._shards for line in shard.lines]

    def sign_in(self) -> None:
        self.market.offer(self.venue.kind, self.station.broker.stream_key() if self.station else None, "A1")

    def until(self, condition: Callable[[], object]) -> None:
        def step() -> object:
            self.market.want(self.wanted)
            return condition()

        until(step)

    def fresh(self) -> bool:
        return self.market.silence(self.venue.symbol) is not None

    def moves_to(self, last: Decimal, bid: Decimal, ask: Decimal) -> None:
        """The broker's market moves, and so does ours."""
        self.emulator.price(self.venue.symbol, last, bid, ask)
        here = (float(bid), float(ask))
        self.until(lambda: any((tick.bid, tick.ask) == here for tick in list(self.ticks)))

    def close(self) -> None:
        self.market.stop()
        if self.station is not None:
            self.station.close()
        self.emulator.stop()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Venue], Watched]]:
    monkeypatch.setattr(socket_module, "FIRST_WAIT", 0.02)
    for dialect in (KiteStream, SmartApiStream):
        heartbeat = replace(dialect.manners.heartbeat, ping_every=0.05, silent_after=SILENT)
        monkeypatch.setattr(dialect, "manners", replace(dialect.manners, heartbeat=heartbeat, words_within=MUTE))
    monkeypatch.setattr(BinanceStream, "__init__", with_manners(BinanceStream.__init__))
    made: list[Watched] = []

    def make(venue: Venue) -> Watched:
        made.append(Watched(venue))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.kind)
def test_prices_arrive_with_quotes_and_follow_the_market(watched: Callable[[Venue], Watched], venue: Venue) -> None:
    began = SystemClock().now() - 1  # brokers tell whole seconds
    here = watched(venue)
    here.sign_in()
    here.until(here.fresh)
    price, tick = venue.price + 10 * venue.tick, venue.tick
    here.moves_to(price, price - tick, price + 2 * tick)

    def traded() -> bool:  # said again: where trades come by a way of their own, it may be open a moment later
        here.emulator.price(venue.symbol, price, price - tick, price + 2 * tick)
        return here.ticks[-1].last_price == float(price)

    here.until(traded)
    newest = here.ticks[-1]
    assert (newest.symbol, newest.bid, newest.ask) == (venue.symbol, float(price - tick), float(price + 2 * tick))
    assert began <= newest.at <= SystemClock().now() + 1
    assert here.told == []
    (status,) = here.market.status()
    assert (status.broker, status.state, status.subscribed) == (venue.kind, "open", 1)


@pytest.mark.parametrize("venue", [ZERODHA, ANGELONE], ids=lambda venue: venue.kind)
def test_a_frozen_stream_is_noticed_and_replaced(
    watched: Callable[[Venue], Watched], venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = watched(venue)
    here.sign_in()
    here.until(here.fresh)
    monkeypatch.setattr(socket_module, "FIRST_WAIT", SILENT)
    here.emulator.freeze_sockets(True, kind="ticks")

    def told() -> bool:
        here.clock.ahead += SILENT
        return bool(here.told)

    here.until(told)
    assert not here.fresh()
    for client in here.sockets():
        client.reconnect("it has waited")
    here.until(lambda: here.told[-1][1] == "over" and here.fresh())
    here.moves_to(venue.price, venue.price - venue.tick, venue.price + venue.tick)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.kind)
def test_a_cut_stream_is_back_by_itself(watched: Callable[[Venue], Watched], venue: Venue) -> None:
    here = watched(venue)
    here.sign_in()
    here.until(here.fresh)
    here.emulator.cut_sockets(kind="ticks")
    here.until(lambda: here.told and here.told[-1][1] == "over" and here.fresh())
    assert here.told[0][:2] == (f"prices_{venue.kind}", "warning")


@pytest.mark.parametrize("venue", [ZERODHA, ANGELONE], ids=lambda venue: venue.kind)
def test_a_session_that_is_over_is_told_and_shown_to_nobody(watched: Callable[[Venue], Watched], venue: Venue) -> None:
    here = watched(venue)
    here.sign_in()
    here.until(here.fresh)
    assert here.station is not None
    here.emulator.expire_session(here.station.emulated)
    here.until(lambda: any(severity == "critical" for _, severity, _ in here.told))
    assert not here.fresh()
    assert here.market.status()[0].state == "refused"
    said = f"{here.told}{here.market.status()}"
    assert not any(secret in said for secret in here.station.emulated.canaries())


def test_indices_and_options_are_carried_too(watched: Callable[[Venue], Watched]) -> None:
    for venue in (ZERODHA, ANGELONE):
        here = watched(venue)
        listed = {symbol for kind, symbol in here.master.listings if kind == venue.kind}
        here.wanted = listed
        here.sign_in()
        assert "NSE:NIFTY 50" in listed
        here.until(lambda: all(here.market.silence(symbol) is not None for symbol in listed))  # noqa: B023
        assert {tick.symbol for tick in here.ticks} == listed
        assert here.told == []

"""The brokers' streams as one market: who carries what, with whose sign-in, what is stale and when, and what is told of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from engines.brokers import socket as socket_module
from engines.brokers.tools import BinanceEndpoints, KiteEndpoints, SmartApiEndpoints
from engines.core.model import Instrument, Tick
from engines.market.streams import stream as stream_module
from engines.market.streams.binance import BinanceStream
from engines.market.streams.kite import KiteStream
from engines.market.streams.live import LiveMarket, StreamEndpoints
from engines.market.streams.smartapi import SmartApiStream
from engines.ports import Listing, StreamKey, SystemClock
from tests.market.making import TurnedClock
from tests.market.test_streams import frame, full, said, snap
from tests.market.ws_server import Peer, WsServer, until

INFY, SBIN, TCS, BTC, PERP = "NSE:INFY", "NSE:SBIN", "NSE:TCS", "BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P"
NUMBERS = {INFY: 1, SBIN: 2, TCS: 3}
SILENT, MUTE = 300.0, 1e9
"""Seconds, of a clock that a test turns: a machine that stands still for a moment is no silence."""


class SmallMaster:
    """Who lists what; a listing may be replaced, as by a new day's list."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Listing] = {}
        self.asked = 0
        self._callbacks: list[Callable[[], None]] = []
        for symbol, number in NUMBERS.items():
            self.list("zerodha", symbol, str(number * 256 + 1))
        self.list("angelone", SBIN, "2")
        self.list("angelone", TCS, "3")
        self.list("binance_spot", BTC, "BTCUSDT")
        self.list("binance_usdm", PERP, "BTCUSDT")

    def list(self, broker: str, symbol: str, token: str) -> None:
        self.rows[broker, symbol] = Listing(symbol, broker, token, symbol.partition(":")[0], symbol.partition(":")[2])
        for callback in self._callbacks:
            callback()

    def listing(self, broker: str, symbol: str) -> Listing | None:
        self.asked += 1
        return self.rows.get((broker, symbol))

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def get(self, symbol: str) -> Instrument | None:
        return None

    def search(self, q: str, exchange: str | None = None, limit: int = 20) -> Sequence[Instrument]:
        return []

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return None

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return None

    def loaded_at(self, broker: str) -> float | None:
        return None


class House:
    """A live market and the two servers that play its brokers: the first Zerodha and Binance, the second Angel One."""

    def __init__(self, first: WsServer, second: WsServer) -> None:
        self.first, self.second = first, second
        self.clock = TurnedClock()
        self.master = SmallMaster()
        self.ticks: list[Tick] = []
        self.told: list[tuple[str, str, str]] = []
        self.wanted: Collection[str] = ()
        endpoints = StreamEndpoints(
            KiteEndpoints(ws_root=f"{first.url}/kite"),
            SmartApiEndpoints(ws_root=f"{second.url}/angel"),
            BinanceEndpoints(spot_ws_root=f"{first.url}/spot", futures_ws_root=f"{first.url}/usdm"),
        )
        self.market = LiveMarket(
            clock=self.clock,
            rng=random.Random(3),
            master=self.master,
            endpoints=endpoints,
            on_ticks=self.ticks.extend,
            on_trouble=lambda kind, severity, message: self.told.append((kind, severity, message)),
            on_clear=lambda kind: self.told.append((kind, "over", "")),
        )

    def want(self, *symbols: str) -> None:
        self.wanted = symbols
        self.market.want(symbols)

    def until(self, condition: Callable[[], object], passing: float = 0.0) -> None:
        """The system asks a few times a second; here as often as it takes, and each time so many seconds have passed."""

        def step() -> object:
            self.clock.ahead += passing
            self.market.want(self.wanted)
            return condition()

        until(step)

    def sign_in_zerodha(self, account_id: str = "Z1", token: str = "") -> None:
        self.market.offer("zerodha", StreamKey(account_id, {"api_key": "k", "access_token": token or account_id}), account_id)

    def sign_in_angel(self, account_id: str = "A1") -> None:
        values = {"jwt": account_id, "api_key": "k", "client_code": account_id, "feed_token": "f"}
        self.market.offer("angelone", StreamKey(account_id, values), account_id)

    def broker_of(self, symbol: str) -> str | None:
        return next((name for name, stream in self.market._streams.items() if stream.carries(symbol)), None)

    def troubles(self, kind: str) -> list[str]:
        return [message for told, severity, message in self.told if told == kind and severity != "over"]


def tokens(peer: Peer, count: int = 1) -> list[object]:
    """The instruments that a Kite connection is asked for, by the next `count` pairs of messages."""
    asked: list[object] = []
    for _ in range(count):
        subscribe, mode = json.loads(peer.next()), json.loads(peer.next())
        assert (subscribe["a"], mode["a"]) == ("subscribe", "mode")
        asked += subscribe["v"]
    return asked


def infy(last: int = 157315) -> bytes:
    return frame(full(token=257, last=last, traded=int(SystemClock().now())))


def with_manners(make: Callable[..., None], **changes: Any) -> Callable[..., None]:
    """A BinanceStream that has patience, and these manners."""

    def init(self: BinanceStream, *args: object) -> None:
        make(self, *args)
        heartbeat = replace(self.manners.heartbeat, silent_after=10 * SILENT)
        self.manners = replace(self.manners, heartbeat=heartbeat, **changes)

    return init


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(socket_module, "FIRST_WAIT", 0.02)
    for dialect in (KiteStream, SmartApiStream):
        heartbeat = replace(dialect.manners.heartbeat, ping_every=0.03, silent_after=SILENT, text_every=0.1)
        monkeypatch.setattr(dialect, "manners", replace(dialect.manners, heartbeat=heartbeat, words_within=MUTE, every=0.0))
    monkeypatch.setattr(BinanceStream, "__init__", with_manners(BinanceStream.__init__))
    with WsServer() as first, WsServer() as second:
        made = House(first, second)
        yield made
        made.market.stop()


def test_nothing_is_opened_before_an_account_signs_in_and_something_is_wanted(house: House) -> None:
    house.want(INFY)
    house.sign_in_zerodha()
    assert house.first.asked == []
    house.market.want([])
    assert house.market.status()[0].state == "idle"
    house.want(INFY)
    peer = house.first.peer()
    assert peer.path == "/kite?api_key=k&access_token=Z1"
    assert tokens(peer) == [257]


def test_a_price_is_fresh_from_its_first_tick_on_and_ticks_carry_our_names(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY, SBIN)
    peer = house.first.peer()
    assert tokens(peer) == [257, 513]
    assert house.market.silence(INFY) is None, "subscribed is not told"
    peer.send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)
    assert (house.ticks[0].symbol, house.ticks[0].last_price, house.ticks[0].bid) == (INFY, 1573.15, 1573.10)
    assert house.market.silence(SBIN) is None
    assert house.market.silence(BTC) is None
    (status,) = house.market.status()
    assert (status.broker, status.state, status.sockets, status.subscribed) == ("zerodha", "open", 1, 2)
    house.clock.ahead += SILENT / 2
    assert (house.market.silence(INFY) or 0.0) >= SILENT / 2
    peer.send(b"\x00")  # a heartbeat is a word, and no price
    until(lambda: (house.market.silence(INFY) or 0.0) < SILENT / 2)
    assert house.told == []


def test_what_is_wanted_is_followed_as_it_changes(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY)
    peer = house.first.peer()
    assert tokens(peer) == [257]
    house.want(SBIN)
    assert json.loads(peer.next()) == {"a": "unsubscribe", "v": [257]}
    assert tokens(peer) == [513]
    asked = house.master.asked
    for _ in range(20):
        house.market.want([SBIN])
    assert house.master.asked == asked, "an unchanged wish costs nothing"
    house.want()
    until(peer.gone.is_set)


def test_a_freeze_is_noticed_told_and_replaced_and_prices_are_stale_until_then(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY)
    house.first.peer().send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)
    house.first.freeze()
    house.until(lambda: house.troubles("prices_zerodha"), passing=SILENT)
    assert house.market.silence(INFY) is None
    assert any("nothing heard" in trouble for trouble in house.troubles("prices_zerodha"))
    house.first.freeze(False)
    peer = house.first.peer()
    assert tokens(peer) == [257]
    house.until(lambda: house.told[-1] == ("prices_zerodha", "over", ""))
    assert house.market.silence(INFY) is None, "the new connection has told no price yet"
    peer.send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)


def test_a_link_that_answers_pings_and_tells_no_price_is_replaced_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KiteStream, "manners", replace(KiteStream.manners, words_within=SILENT / 2))
    house.sign_in_zerodha()
    house.want(INFY)
    peer = house.first.peer()
    peer.send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)
    house.clock.ahead += SILENT / 2
    house.until(lambda: house.troubles("prices_zerodha"))
    assert "without a word" in house.troubles("prices_zerodha")[0]
    assert tokens(house.first.peer()) == [257]


def test_when_a_session_ends_another_accounts_carries_on(house: House) -> None:
    house.sign_in_zerodha("Z1")
    house.sign_in_zerodha("Z2")
    house.want(INFY)
    peer = house.first.peer()
    peer.send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)
    house.market.withdraw("zerodha", "Z1")
    assert house.market.silence(INFY) is None
    successor = house.first.peer()
    assert "access_token=Z2" in successor.path
    assert tokens(successor) == [257]
    until(peer.gone.is_set)
    house.market.withdraw("zerodha", "Z2")
    until(successor.gone.is_set)
    assert house.market.status() == []


def test_a_refused_sign_in_gives_way_to_another_accounts(house: House) -> None:
    house.first.refuse, house.first.refuse_where = (403, {}), "Z1"
    house.sign_in_zerodha("Z1")
    house.sign_in_zerodha("Z2")
    house.want(INFY)
    house.until(lambda: any("Z2" in path for path in house.first.asked))
    assert "Z1" in house.first.asked[0]
    assert tokens(house.first.peer()) == [257]
    house.until(lambda: house.told[-1][1] == "over")
    assert house.told[0][:2] == ("prices_zerodha", "critical")


def test_a_new_token_of_the_same_account_is_used_at_once(house: House) -> None:
    house.first.refuse = (403, {})
    house.sign_in_zerodha("Z1", "old")
    house.want(INFY)
    house.until(lambda: house.troubles("prices_zerodha"))
    asked = len(house.first.asked)
    house.until(lambda: house.market.status()[0].state == "refused")
    assert len(house.first.asked) == asked == 1
    house.first.refuse = None
    house.sign_in_zerodha("Z1", "new")
    assert "access_token=new" in house.first.peer().path


def test_a_refused_sign_in_is_tried_once_more_after_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "TRY_AGAIN", 0.1)
    house.first.refuse = (403, {})
    house.sign_in_zerodha()
    house.want(INFY)
    house.until(lambda: len(house.first.asked) >= 2)
    house.first.refuse = None
    house.until(lambda: house.market.status()[0].state == "open")


def test_an_account_without_the_right_to_data_lends_nothing(house: House) -> None:
    house.market.offer("zerodha", None, "Z1")
    house.market.offer("nobody", None, "N1")
    house.want(INFY)
    assert house.market.status() == []
    house.sign_in_zerodha("Z1")
    house.want(INFY)
    house.first.peer()
    house.market.offer("zerodha", None, "Z1")  # the subscription ran out
    assert house.market.status() == []


def test_one_broker_carries_what_two_list_and_keeps_it(house: House) -> None:
    house.sign_in_angel()
    house.want(SBIN, TCS)
    angel = house.second.peer()
    assert angel.headers["x-client-code"] == "A1"
    house.until(lambda: house.broker_of(SBIN) == "angelone")
    house.sign_in_zerodha()
    house.want(SBIN, TCS, INFY)
    assert tokens(house.first.peer()) == [257]
    assert (house.broker_of(SBIN), house.broker_of(TCS), house.broker_of(INFY)) == ("angelone", "angelone", "zerodha")
    angel.send(snap(token=b"2", traded=int(SystemClock().now())))
    house.until(lambda: house.market.silence(SBIN) is not None)


def test_of_two_that_list_it_zerodha_is_asked_first(house: House) -> None:
    house.sign_in_angel()
    house.sign_in_zerodha()
    house.want(SBIN)
    assert tokens(house.first.peer()) == [513]
    assert house.second.asked == []


def test_when_one_broker_signs_out_or_stays_down_the_other_carries_what_it_lists(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "LONG_DOWN", 0.1)
    house.sign_in_zerodha()
    house.sign_in_angel()
    house.want(SBIN, INFY)
    house.first.peer()
    house.first.refuse = (502, {})
    house.first.peers[0].close()
    house.until(lambda: house.broker_of(SBIN) == "angelone")
    assert house.broker_of(INFY) == "zerodha", "nobody else lists it"
    house.first.refuse = None
    house.until(lambda: house.market.silence(SBIN) is None and house.broker_of(SBIN) == "angelone")
    house.market.withdraw("angelone", "A1")
    house.until(lambda: house.broker_of(SBIN) == "zerodha")


def test_shares_are_spread_over_connections_and_what_does_not_fit_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KiteStream, "manners", replace(KiteStream.manners, connections=2, per_connection=1))
    house.sign_in_zerodha()
    house.want(INFY, SBIN)
    assert sorted(str(tokens(house.first.peer())) for _ in range(2)) == ["[257]", "[513]"]
    house.want(INFY, SBIN, TCS)
    assert house.troubles("prices_full")
    house.sign_in_angel()
    house.until(lambda: house.broker_of(TCS) == "angelone")
    assert house.told[-1] == ("prices_full", "over", "")
    house.want(SBIN)
    house.until(lambda: house.first.open() == 1)
    assert house.market.status()[0].subscribed == 1


def test_a_connection_too_many_leaves_the_others_alone_and_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "TRY_AGAIN", 0.1)
    monkeypatch.setattr(KiteStream, "manners", replace(KiteStream.manners, per_connection=1))
    house.sign_in_zerodha("Z1")
    house.sign_in_zerodha("Z2")
    house.want(INFY)
    assert tokens(house.first.peer()) == [257]
    house.first.refuse = (403, {})
    house.want(INFY, SBIN)
    house.until(lambda: house.troubles("prices_zerodha"))
    assert "was refused connection 2" in house.troubles("prices_zerodha")[0]
    assert house.first.open() == 1
    house.first.refuse = None
    house.until(lambda: house.first.open() == 2)
    peer = house.first.peer()
    assert "Z1" in peer.path
    assert tokens(peer) == [513]


def test_a_connection_whose_thread_has_ended_is_begun_anew(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY)
    house.first.peer()
    house.until(lambda: house.market.status()[0].state == "open")
    house.market._streams["zerodha"]._shards[0].lines[0].client.close()  # as if it had died: nobody who knows of it wanted that
    house.until(lambda: "ended by itself" in "".join(house.troubles("prices_zerodha")))
    assert tokens(house.first.peer()) == [257]
    house.until(lambda: house.told[-1][1] == "over")


def test_a_new_days_list_is_asked_for_by_its_new_numbers(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY, SBIN)
    peer = house.first.peer()
    tokens(peer)
    peer.send(infy())
    house.until(lambda: house.market.silence(INFY) is not None)
    house.master.list("zerodha", INFY, str(99 * 256 + 1))
    house.market.want(house.wanted)
    assert json.loads(peer.next()) == {"a": "unsubscribe", "v": [257]}
    assert tokens(peer) == [99 * 256 + 1]
    assert house.market.silence(INFY) is None, "the price was of another number"
    peer.send(frame(full(token=99 * 256 + 1, last=200_00)))
    house.until(lambda: house.ticks[-1].last_price == 200.0)


def test_binance_needs_no_sign_in_and_its_futures_use_two_connections(house: House) -> None:
    house.market.offer("binance_spot", None, "B1")
    house.market.offer("binance_usdm", None, "B2")
    house.want(BTC, PERP)
    by_path = {peer.path: peer for peer in (house.first.peer() for _ in range(3))}
    assert sorted(by_path) == ["/spot/stream", "/usdm/market/stream", "/usdm/public/stream"]
    assert json.loads(by_path["/spot/stream"].next())["params"] == ["btcusdt@bookTicker", "btcusdt@aggTrade"]
    assert json.loads(by_path["/usdm/public/stream"].next())["params"] == ["btcusdt@bookTicker"]
    house.until(lambda: all(status.last_frame_age is not None for status in house.market.status()))
    by_path["/usdm/public/stream"].send(said("btcusdt@bookTicker", b="64000.1", a="64000.3"))
    house.until(lambda: house.market.silence(PERP) is not None)
    assert [(tick.symbol, tick.bid, tick.ask) for tick in house.ticks] == [(PERP, 64000.1, 64000.3)]
    assert house.market.silence(BTC) is None
    house.first.refuse, house.first.refuse_where = (502, {}), "/usdm/market"
    by_path["/usdm/market/stream"].close()
    house.until(lambda: house.market.silence(PERP) is None)
    house.first.refuse = None
    house.until(lambda: house.market.silence(PERP) is not None)  # its quotes were never interrupted
    assert house.first.peer().path == "/usdm/market/stream"
    by_path["/usdm/public/stream"].close()
    house.until(lambda: house.market.silence(PERP) is None)
    house.until(lambda: house.market.status()[1].last_frame_age is not None)
    assert house.market.silence(PERP) is None
    house.first.peer().send(said("btcusdt@bookTicker", b="64000.1", a="64000.3"))
    house.until(lambda: house.market.silence(PERP) is not None)  # told again, though nothing has moved


def test_a_complaint_of_the_broker_reaches_people(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY)
    house.first.peer().send('{"type":"error","data":"too many tokens"}')
    house.until(lambda: house.troubles("prices_zerodha"))
    assert "too many tokens" in house.troubles("prices_zerodha")[0]


def test_more_than_may_be_said_at_once_is_said_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BinanceStream, "__init__", with_manners(BinanceStream.__init__, burst=1, every=60.0))
    other = House(house.first, house.second)
    other.market.offer("binance_spot", None, "B1")
    other.master.list("binance_spot", "BINANCE:ETHUSDT", "ETHUSDT")
    try:
        other.want(BTC)
        peer = other.first.peer()
        peer.next()
        other.want("BINANCE:ETHUSDT")
        assert peer.heard.empty(), "once in a while only"
        other.until(lambda: len(peer.everything) == 3, passing=60.0)
        assert [json.loads(text)["method"] for text in peer.everything] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
    finally:
        other.market.stop()


def test_after_stop_nothing_is_open_and_nothing_is_begun(house: House) -> None:
    house.sign_in_zerodha()
    house.want(INFY)
    peer = house.first.peer()
    house.market.stop()
    until(peer.gone.is_set)
    house.sign_in_zerodha("Z2")
    house.want(INFY, SBIN)
    assert house.market.silence(INFY) is None
    assert len(house.first.asked) == 1

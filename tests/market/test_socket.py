"""A WebSocket that is kept open: what it sends and hears, how it notices silence, when it tries again and when it does not."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engines.brokers import socket as module
from engines.brokers.socket import Heartbeat, SocketClient, SocketState, Target
from engines.ports import NeedsLogin, Refused, SystemClock
from tests.brokers.peers import _serving, trusting
from tests.market.making import TurnedClock
from tests.market.ws_server import PATIENCE, WsServer, until

TOKEN = "CANARY-token-5f1d"
STEADY = Heartbeat(ping_every=0.05, silent_after=600.0)
"""A machine that stands still for a moment is no silence: what is about silence turns the clock."""


@pytest.fixture
def server() -> Iterator[WsServer]:
    with WsServer() as made:
        yield made


class Heard:
    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.states: list[tuple[SocketState, str]] = []
        self.opened = 0

    def on_open(self) -> None:
        self.opened += 1

    def on_state(self, state: SocketState, detail: str) -> None:
        self.states.append((state, detail))

    def reasons(self, state: SocketState) -> list[str]:
        return [detail for told, detail in list(self.states) if told is state]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make(server: WsServer, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SocketClient]]:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    made: list[SocketClient] = []

    def maker(**changed: Any) -> SocketClient:
        parts: dict[str, Any] = {
            "target": lambda: Target(f"{server.url}/ticks?token={TOKEN}", {"X-Kite-Version": "3", "Authorization": f"Bearer {TOKEN}"}),
            "on_open": heard.on_open,
            "on_message": heard.messages.append,
            "on_state": heard.on_state,
            "clock": SystemClock(),
            "rng": random.Random(1),
            "heartbeat": STEADY,
            "connect_timeout": PATIENCE,
        } | changed
        made.append(SocketClient("test", **parts))
        made[-1].start()
        return made[-1]

    yield maker
    for client in made:
        client.close()


def test_text_and_bytes_go_both_ways_in_order(server: WsServer, make: Callable[..., SocketClient], heard: Heard) -> None:
    client = make()
    peer = server.peer()
    until(lambda: client.state is SocketState.OPEN and heard.opened == 1)
    assert peer.headers["X-Kite-Version"] == "3"
    assert "Origin" not in peer.headers
    assert "Sec-WebSocket-Extensions" not in peer.headers
    assert all(client.send(f"n{number}") for number in range(50))
    assert client.send(b"\x00\x01")
    assert [peer.next() for _ in range(51)] == [*(f"n{number}" for number in range(50)), b"\x00\x01"]
    peer.send("grüß")
    peer.send(b"\x00" * 700_000)
    until(lambda: len(heard.messages) == 2)
    assert heard.messages == ["grüß", b"\x00" * 700_000]


def test_what_is_sent_while_no_link_is_open_is_refused(server: WsServer, make: Callable[..., SocketClient]) -> None:
    server.refuse = (503, {})
    client = make()
    assert not client.send("lost")
    assert client.silence() is None


def test_a_message_sent_in_on_open_leaves_first(server: WsServer, make: Callable[..., SocketClient]) -> None:
    client: list[SocketClient] = []
    ready = threading.Event()

    def subscribe() -> None:
        ready.wait(PATIENCE)
        assert client[0].send("subscribe")

    client.append(make(on_open=subscribe))
    ready.set()
    assert server.peer().next() == "subscribe"


def test_a_frame_in_pieces_is_put_together_though_its_rest_is_late(
    server: WsServer, make: Callable[..., SocketClient], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    make(heartbeat=Heartbeat(ping_every=600, silent_after=600))
    peer = server.peer()
    until(lambda: heard.opened)
    frame = b"\x82\x0ahalf, half"
    for piece in (frame[:1], frame[1:5], frame[5:]):
        peer.raw(piece)
        threading.Event().wait(0.03)
    until(lambda: heard.messages == [b"half, half"])


def test_thousands_of_small_frames_leave_room_for_what_is_to_be_sent(
    server: WsServer, make: Callable[..., SocketClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_A_TURN", 7)
    taken: list[bytes] = []

    def answer(message: str | bytes) -> None:
        taken.append(bytes(message[:4]) if isinstance(message, bytes) else b"")
        if len(taken) == 1:
            client.send("in between")

    client = make(on_message=answer, heartbeat=Heartbeat(ping_every=0.02, silent_after=600))
    peer = server.peer()
    until(lambda: client.state is SocketState.OPEN)
    peer.raw(b"".join(b"\x82\x7e\x01\x7b" + number.to_bytes(4, "big") + bytes(375) for number in range(3000)))
    assert peer.next() == "in between"
    until(lambda: len(taken) == 3000)
    assert taken == [number.to_bytes(4, "big") for number in range(3000)]


def test_words_are_sent_as_heartbeat_where_a_server_wants_them(server: WsServer, make: Callable[..., SocketClient]) -> None:
    make(heartbeat=Heartbeat(ping_every=0.05, text="ping", text_every=0.02, silent_after=600))
    peer = server.peer()
    assert [peer.next() for _ in range(3)] == ["ping"] * 3


def test_pongs_alone_keep_a_quiet_link(server: WsServer, make: Callable[..., SocketClient], heard: Heard) -> None:
    clock = TurnedClock()
    client = make(clock=clock)
    server.peer()
    until(lambda: client.state is SocketState.OPEN)
    for _ in range(5):
        clock.ahead += STEADY.silent_after * 0.7
        until(lambda: (client.silence() or 0) < STEADY.silent_after * 0.3)
    assert client.state is SocketState.OPEN
    assert heard.opened == 1


def test_a_frozen_server_is_noticed_and_left_for_a_fresh_link(server: WsServer, make: Callable[..., SocketClient], heard: Heard) -> None:
    clock = TurnedClock()
    client = make(clock=clock)
    server.peer()
    until(lambda: heard.opened)
    server.freeze()

    def noticed() -> bool:
        clock.ahead += STEADY.silent_after  # each time: an answer may have been on its way already
        return any("nothing heard" in why for why in heard.reasons(SocketState.WAITING))

    until(noticed)
    assert client.silence() is None
    server.freeze(False)
    until(lambda: heard.opened == 2 and client.state is SocketState.OPEN)


def test_a_goodbye_and_a_cut_lead_to_a_new_link(server: WsServer, make: Callable[..., SocketClient], heard: Heard) -> None:
    make()
    server.peer().close()
    server.peer()
    until(lambda: heard.opened == 2)
    assert "the other side closed the connection" in heard.reasons(SocketState.WAITING)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_sign_in_is_not_tried_again_until_told(
    server: WsServer, make: Callable[..., SocketClient], heard: Heard, status: int
) -> None:
    server.refuse = (status, {"X-Error-Message": f"Invalid Auth token {TOKEN}"})
    client = make()
    until(lambda: client.state is SocketState.REFUSED)
    threading.Event().wait(0.05)
    assert len(server.asked) == 1
    assert heard.reasons(SocketState.REFUSED) == [f"HTTP {status}: Invalid Auth token …"]
    server.refuse = None
    client.reconnect("a new token")
    until(lambda: client.state is SocketState.OPEN)


@pytest.mark.parametrize("error", [NeedsLogin("sign in first"), Refused("no data subscription")])
def test_a_target_that_needs_a_person_waits_for_one(make: Callable[..., SocketClient], heard: Heard, error: Exception) -> None:
    def target() -> Target:
        raise error

    client = make(target=target)
    until(lambda: client.state is SocketState.REFUSED)
    assert heard.reasons(SocketState.REFUSED) == [str(error)]
    assert client.attempts == 1


@pytest.mark.parametrize("status", [429, 500, 502])
def test_other_answers_are_tried_again_ever_more_rarely(
    server: WsServer, make: Callable[..., SocketClient], heard: Heard, status: int
) -> None:
    server.refuse = (status, {})
    client = make()
    until(lambda: client.attempts >= 3)
    assert set(heard.reasons(SocketState.WAITING)) == {f"HTTP {status}"}


def test_a_redirect_is_not_followed(server: WsServer, make: Callable[..., SocketClient]) -> None:
    server.refuse = (302, {"Location": f"{server.url}/elsewhere"})
    client = make()
    until(lambda: client.attempts >= 2)
    assert not any("elsewhere" in path for path in server.asked)


def test_the_wait_grows_with_jitter_and_begins_anew_after_a_steady_link(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    clock = SteppedClock()
    client = SocketClient("t", lambda: Target("ws://x"), on_message=lambda _: None, clock=clock, rng=random.Random(7))
    monkeypatch.setattr(client, "_pause", waits.append)
    monkeypatch.setattr(client, "_connect", lambda: None)
    lives = iter([0.0] * 9 + [module.STEADY, 0.0])
    monkeypatch.setattr(client, "_live", lambda _link: clock.step(next(lives)))
    failures = 0
    for _ in range(11):
        failures = client._once(failures)
    client.close()
    for number, wait in enumerate(waits[:9]):
        most = min(module.LONGEST_WAIT, module.FIRST_WAIT * 2**number)
        assert most / 2 <= wait <= most
    assert waits[9] <= module.FIRST_WAIT
    assert waits[10] <= 2 * module.FIRST_WAIT


class SteppedClock(SystemClock):
    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def step(self, seconds: float) -> str:
        self.at += seconds
        return "over"


def test_each_attempt_asks_for_its_target_anew(server: WsServer, make: Callable[..., SocketClient]) -> None:
    tokens = iter(["first", "second"])
    client = make(target=lambda: Target(f"{server.url}/?token={next(tokens)}"))
    assert server.peer().path == "/?token=first"
    until(lambda: client.state is SocketState.OPEN)
    client.reconnect("the token is another")
    assert server.peer().path == "/?token=second"


def test_a_callback_that_raises_is_counted_and_told_and_the_link_lives(server: WsServer, make: Callable[..., SocketClient]) -> None:
    told: list[str] = []
    taken: list[str | bytes] = []

    def on_message(message: str | bytes) -> None:
        taken.append(message)
        if message == "odd":
            raise ValueError(TOKEN)

    client = make(on_message=on_message, on_failure=lambda where, error: told.append(f"{where} {type(error).__name__}"))
    peer = server.peer()
    peer.send("odd")
    peer.send("even")
    until(lambda: taken == ["odd", "even"])
    assert client.callback_failures == 1
    assert told == ["on_message ValueError"]


def test_it_leaves_from_the_address_it_is_given(server: WsServer, make: Callable[..., SocketClient]) -> None:
    make(source_address="127.0.0.9")
    assert server.peer().remote == "127.0.0.9"


def test_cookies_of_one_account_never_reach_another(server: WsServer, make: Callable[..., SocketClient]) -> None:
    server.refuse = (302, {"Set-Cookie": "who=first; Domain=127.0.0.1", "Location": "/"})
    client = make()
    until(lambda: client.attempts >= 2)
    server.refuse = None
    assert "Cookie" not in server.peer().headers


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "http://127.0.0.1/", "nonsense", f"ws://127.0.0.1:1/?t={TOKEN}"])
def test_no_reason_and_no_repr_holds_a_secret(make: Callable[..., SocketClient], heard: Heard, url: str) -> None:
    target = Target(url, {"Authorization": TOKEN})
    client = make(target=lambda: target)
    until(lambda: heard.reasons(SocketState.WAITING))
    assert TOKEN not in f"{target!r} {heard.states!r} {client!r}"


@pytest.fixture
def guarded() -> Iterator[WsServer]:
    with WsServer(_serving()) as made:
        yield made


def test_a_certificate_nobody_vouches_for_is_not_talked_to(guarded: WsServer, make: Callable[..., SocketClient], heard: Heard) -> None:
    make(target=lambda: Target(f"{guarded.url}/?t={TOKEN}"))
    until(lambda: heard.reasons(SocketState.WAITING))
    assert "certificate is not trusted" in heard.reasons(SocketState.WAITING)[0]
    assert guarded.asked == []


def test_frames_of_any_size_and_number_arrive_over_tls(
    guarded: WsServer, make: Callable[..., SocketClient], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_tls", trusting)
    client = make(target=lambda: Target(guarded.url), heartbeat=STEADY)
    peer = guarded.peer()
    until(lambda: heard.opened)
    peer.raw(b"".join(bytes([0x82, 2]) + number.to_bytes(2, "big") for number in range(500)))  # many in one record
    peer.send(b"x" * 300_000)
    until(lambda: len(heard.messages) == 501)
    assert heard.messages[:500] == [number.to_bytes(2, "big") for number in range(500)]
    assert len(heard.messages[500]) == 300_000
    assert client.send("heard")
    assert peer.next() == "heard"


def test_close_ends_the_thread_and_the_link_and_is_final(server: WsServer, make: Callable[..., SocketClient]) -> None:
    client = make()
    peer = server.peer()
    until(lambda: client.state is SocketState.OPEN)
    client.close(PATIENCE)
    assert client.state is SocketState.CLOSED
    assert not client.send("late")
    until(peer.gone.is_set)
    with pytest.raises(RuntimeError):
        client.start()


def test_close_wakes_a_socket_that_waits(make: Callable[..., SocketClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 60.0)
    client = make(target=lambda: Target("ws://127.0.0.1:1/"))
    until(lambda: client.state is SocketState.WAITING)
    client.close(PATIENCE)
    assert client.state is SocketState.CLOSED

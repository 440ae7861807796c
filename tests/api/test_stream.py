"""The live stream: what is told to whom, in which shape, and how a browser goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.data import UserRole
from tests.api.rig import MACHINE, Person, Rig
from tests.api.test_security import browser

__all__ = ["browser"]

Event = tuple[int, str, dict[str, Any]]


class Stream:
    """An open stream. `until(...)` reads on until an event fits, and gives everything that came on the way."""

    def __init__(self, person: Person, query: str = "", last: int | None = None) -> None:
        headers = {"Authorization": f"Bearer {person.token}"} | ({"Last-Event-ID": str(last)} if last is not None else {})
        self.answer = person.rig.app.test_client().get(f"/api/stream{query}", headers=headers, buffered=False)
        assert (self.answer.status_code, self.answer.mimetype) == (200, "text/event-stream")
        self._text = iter(self.answer.response)
        next(self._text)  # the greeting: from here on it listens
        self._events = self._read()

    def _read(self) -> Iterator[Event]:
        for chunk in self._text:
            for block in (chunk if isinstance(chunk, str) else chunk.decode()).split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
                if "event" in fields:
                    yield int(fields["id"]), fields["event"], json.loads(fields["data"])

    def until(self, fits: Callable[[str, dict[str, Any]], bool], most: int = 5000) -> list[Event]:
        seen: list[Event] = []
        for event in self._events:
            seen.append(event)
            if fits(event[1], event[2]):
                return seen
            assert len(seen) < most, [kind for _, kind, _ in seen]
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def streams() -> Iterator[list[Stream]]:
    opened: list[Stream] = []
    yield opened
    for stream in opened:
        stream.close()


def filled(account: str) -> Callable[[str, dict[str, Any]], bool]:
    return lambda kind, data: kind == "order" and data["account_id"] == account and data["state"] == "filled"


def health(kind: str, data: dict[str, Any]) -> bool:
    return kind == "engine" and "engines" in data


def test_an_order_is_told_from_signal_to_position(trader: Person, streams: list[Stream]) -> None:
    account = trader.account()["id"]
    streams.append(stream := Stream(trader))
    sent = trader.buy(account, signal_id=f"live-{account}")
    seen = stream.until(filled(account))
    while not any(kind == "position" and data["account_id"] == account for _, kind, data in seen):
        seen += stream.until(lambda kind, data: kind == "position")
    orders = [data for _, kind, data in seen if kind == "order" and data["account_id"] == account]
    assert orders[-1]["state"] == "filled"
    assert orders[-1] == {**orders[-1], "signal_id": f"live-{account}", "order_id": sent["orders"][0]["order_id"], "quantity": "10"}
    signals = [data for _, kind, data in seen if kind == "signal"]
    assert signals[0]["signal_id"] == f"live-{account}"
    listed = trader.get(f"/api/orders?account_id={account}").json["items"][0]
    assert set(orders[-1]) == set(listed), "the stream and the list have one shape"


def test_every_event_has_a_rising_id(trader: Person, streams: list[Stream]) -> None:
    account = trader.account()["id"]
    streams.append(stream := Stream(trader))
    trader.buy(account)
    ids = [number for number, _, _ in stream.until(filled(account))]
    assert ids == sorted(set(ids))


def test_profit_and_loss_comes_at_once_and_in_the_shape_of_the_api(trader: Person, streams: list[Stream]) -> None:
    trader.buy(trader.account()["id"])
    streams.append(stream := Stream(trader))
    now = stream.until(lambda kind, _: kind == "pnl")[-1][2]
    asked = trader.get("/api/pnl/realtime").json
    assert set(now) == set(asked)
    assert {row["account_id"] for row in now["by_account"]} == {row["account_id"] for row in asked["by_account"]}


def test_engines_are_told(trader: Person, streams: list[Stream]) -> None:
    streams.append(stream := Stream(trader))
    told = stream.until(health)[-1][2]
    assert {"engines", "on", "feed", "accounts"} <= set(told)


def test_a_token_that_only_looks_is_told_no_more_of_the_machine_than_it_may_ask(fresh: Rig) -> None:
    """Also while whoever made it has a page open: they are one person, but only the page listens as an owner."""
    assert fresh.owner.user is not None
    mine, _ = fresh.owner.account()["id"], fresh.trader.account()
    _, token = fresh.data.tokens.create(fresh.owner.user.user_id, "screen", scope="read", by=MACHINE)
    look = Stream(Person(fresh, fresh.owner.user, token))
    told = look.until(health)
    page = Stream(fresh.owner)
    assert page.until(health)[-1][2]["accounts"]["total"] == 2
    fresh.owner.bought(mine)
    told += look.until(filled(mine))  # younger than what the page was told
    assert {data["accounts"]["total"] for _, kind, data in told if health(kind, data)} == {1}
    look.close()
    page.close()


def test_prices_are_told_to_those_who_ask(trader: Person, streams: list[Stream]) -> None:
    streams.append(stream := Stream(trader, "?symbols=NSE:INFY,NSE:SBIN"))
    told = stream.until(lambda kind, data: kind == "price" and data["symbol"] == "NSE:SBIN")
    assert {data["symbol"] for _, kind, data in told if kind == "price"} <= {"NSE:INFY", "NSE:SBIN"}
    assert set(told[-1][2]) == {"symbol", "last_price", "bid", "ask", "as_of", "tick_size"}


def test_last_event_id_replays_what_was_missed(trader: Person, streams: list[Stream]) -> None:
    account = trader.account()["id"]
    streams.append(first := Stream(trader))
    trader.buy(account)
    before = first.until(filled(account))
    first.close()
    trader.buy(account, signal_id=f"missed-{account}")
    streams.append(second := Stream(trader, last=before[-1][0]))
    missed = second.until(lambda kind, data: kind == "order" and data["signal_id"] == f"missed-{account}" and data["state"] == "filled")
    assert all(number > before[-1][0] for number, _, _ in missed)
    assert "reset" not in {kind for _, kind, _ in missed}
    streams.append(third := Stream(trader, last=before[0][0]))
    told = [(number, kind) for number, kind, _ in third.until(filled(account)) if kind in ("order", "signal")]
    assert [one for one in ((number, kind) for number, kind, _ in before[1:]) if one[1] in ("order", "signal")] == told


def test_a_page_says_from_where_on_it_has_to_be_told(trader: Person, browser: FlaskClient, streams: list[Stream]) -> None:
    """It was drawn before an order, its stream opens after it."""
    account = trader.account()["id"]
    [drawn] = re.findall(r'data-heard="(\d+)"', browser.get("/orders").text)
    order = trader.bought(account)
    streams.append(late := Stream(trader, f"?last_event_id={drawn}"))
    assert late.until(filled(account))[-1][2]["order_id"] == order["order_id"]


def test_an_id_that_is_forgotten_says_so(trader: Person, streams: list[Stream]) -> None:
    for last in (1, 10**19):
        streams.append(stream := Stream(trader, last=last))
        assert stream.until(lambda kind, _: True)[0][1] == "reset"


def test_nobody_hears_of_what_is_anothers(rig: Rig, streams: list[Stream]) -> None:
    own, foreign = rig.other.account()["id"], rig.trader.account()["id"]
    listeners = [Stream(rig.other), Stream(rig.owner)]
    streams += listeners
    rig.trader.buy(foreign)
    rig.other.buy(own)
    mine = rig.owner.account()["id"]
    rig.owner.buy(mine)
    for stream, account in zip(listeners, (own, mine), strict=True):
        assert foreign not in json.dumps(stream.until(filled(account)))


def test_a_stop_is_told_to_those_whom_it_concerns(fresh: Rig) -> None:
    trader, other = Stream(fresh.trader), Stream(fresh.other)
    mine = fresh.trader.post("/api/system/emergency-stop", {"scope": "user"}).json["halt_id"]
    every = fresh.owner.post("/api/system/emergency-stop").json["halt_id"]
    halts = [
        data["halt_id"] for _, kind, data in trader.until(lambda kind, data: kind == "halt" and data["scope"] == "system") if kind == "halt"
    ]
    assert halts == [mine, every]
    halts = [data["halt_id"] for _, kind, data in other.until(lambda kind, _: kind == "halt") if kind == "halt"]
    assert halts == [every]
    trader.close()
    other.close()


def test_streams_are_capped_and_given_back(fresh: Rig) -> None:
    fresh.hub.most_streams = 2
    opened = [Stream(fresh.trader), Stream(fresh.trader)]
    refused = fresh.trader.get("/api/stream")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    opened[0].close()
    opened[0] = Stream(fresh.trader)
    for stream in opened:
        stream.close()
    assert fresh.hub.listeners() == []


def test_one_person_cannot_take_them_all(fresh: Rig) -> None:
    opened = [Stream(fresh.viewer) for _ in range(fresh.hub.most_streams // 4)]
    refused = fresh.viewer.get("/api/stream")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    opened.append(Stream(fresh.owner))
    for stream in opened:
        stream.close()


def test_a_stream_that_was_never_read_is_given_back(fresh: Rig) -> None:
    answer = fresh.app.test_client().get("/api/stream", headers={"Authorization": f"Bearer {fresh.trader.token}"}, buffered=False)
    answer.close()
    assert fresh.hub.listeners() == []


def test_a_revoked_token_hears_no_more(fresh: Rig) -> None:
    made = fresh.trader.post("/api/tokens", {"name": "screen"}).json
    stream = Stream(Person(fresh, fresh.trader.user, made["token"]))
    fresh.trader.delete(f"/api/tokens/{made['id']}")
    with pytest.raises(AssertionError, match="ended"):
        stream.until(lambda kind, _: False)


def test_a_stream_ends_with_the_role_it_was_opened_in(fresh: Rig) -> None:
    """It comes back by itself, as what the person is then."""
    former = fresh.person("former-owner@example.com", UserRole.OWNER)
    assert former.user is not None
    stream = Stream(former)
    assert fresh.owner.patch(f"/api/users/{former.user.user_id}", {"role": "viewer"}).status_code == 200
    fresh.system.incident_log.raise_("mail", "warning", "of the machine")
    with pytest.raises(AssertionError, match="ended"):
        stream.until(lambda kind, _: kind == "incident")
    again = Stream(former)
    assert [listener.owner for listener in fresh.hub.listeners()] == [False]
    again.close()


def test_closing_the_hub_ends_every_stream(fresh: Rig) -> None:
    stream = Stream(fresh.trader)
    fresh.hub.close()
    with pytest.raises(AssertionError, match="ended"):
        stream.until(lambda kind, _: False)
    assert fresh.trader.get("/api/stream").status_code == 503

"""The hub by itself: rings, replay, who hears what, with a clock in hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.live import HEARTBEAT, MOST_AGE, UNWRITTEN, Hub, Listener, TooManyStreams
from engines.core.model import Halt, HaltScope


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def hub(**sizes: int) -> Hub:
    made = Hub(Clock(), **sizes)
    made.present = lambda kind, payload: json.dumps(payload)
    return made


def kinds(made: Hub, listener: Listener) -> list[str]:
    return [event.kind for event in made.take(listener)]


def payload(number: int = 0) -> Mapping[str, Any]:
    return {"number": number}


def test_a_listener_hears_its_own_from_now_on() -> None:
    made = hub()
    made.publish("order", "me", payload())
    listener = made.open("me")
    made.publish("order", "me", payload())
    made.publish("signal", "you", payload())
    assert kinds(made, listener) == ["order"]
    assert kinds(made, listener) == []


def test_the_machines_own_troubles_are_for_owners() -> None:
    made = hub()
    owner, trader = made.open("boss", owner=True), made.open("me")
    made.publish("incident", None, payload())
    made.publish("engine", None, {"on": False})
    assert (kinds(made, owner), kinds(made, trader)) == (["incident", "engine"], ["engine"])


def test_a_stop_concerns_whom_it_stops() -> None:
    made = hub()
    made.whose_halt = lambda halt: halt.scope_id
    me, you, boss = made.open("me"), made.open("you"), made.open("boss", owner=True)
    made.publish("halt", None, {"halt": Halt("H1", HaltScope.USER, "me", "", 0.0, "me")})
    made.publish("halt", None, {"halt": Halt("H2", HaltScope.SYSTEM, None, "", 0.0, "boss")})
    assert [len(made.take(listener)) for listener in (me, you, boss)] == [2, 1, 1]


def test_prices_go_to_those_who_asked_for_the_symbol() -> None:
    made = hub()
    listener, other = made.open("me", topics=["A"]), made.open("me")
    made.pulse("price", None, payload(), topic="A")
    made.pulse("price", None, payload(), topic="B")
    assert (len(made.take(listener)), len(made.take(other))) == (1, 0)


def test_facts_and_pulses_come_in_the_order_they_were_told() -> None:
    made = hub()
    listener = made.open("me")
    for number in range(3):
        made.publish("order", "me", payload(number))
        made.pulse("pnl", "me", payload(number))
    assert kinds(made, listener) == ["order", "pnl"] * 3


def test_replay_is_complete_or_says_that_it_is_not() -> None:
    made = hub(facts=4)
    start = made.open("me").last
    for number in range(4):
        made.publish("order", "me", payload(number))
    back = made.open("me", last_event_id=start + 1)
    assert (back.lost, len(made.take(back))) == (False, 3)
    made.publish("order", "me", payload(4))
    made.publish("order", "me", payload(5))
    late = made.open("me", last_event_id=start + 1)
    assert (late.lost, [event.payload["number"] for event in made.take(late)]) == (True, [2, 3, 4, 5])


def test_a_listener_that_is_overrun_is_told_to_read_afresh() -> None:
    made = hub(facts=2)
    listener = made.open("me")
    for number in range(5):
        made.publish("order", "me", payload(number))
    text = made._news(listener)
    assert text.startswith("id: ")
    assert text.count("event: reset") == 1
    assert text.count("event: order") == 2


def test_ids_go_on_rising_after_a_restart() -> None:
    clock = Clock()
    first = Hub(clock)
    first.publish("order", "me", payload())
    newest = first.open("me").last
    clock.at += 0.01
    assert Hub(clock).open("me").last > newest


def test_an_event_is_made_into_text_once_however_many_listen() -> None:
    made, calls = hub(), []
    made.present = lambda kind, what: calls.append(kind) or "{}"
    listeners = [made.open("me") for _ in range(3)]
    made.publish("order", "me", payload())
    assert {made._news(listener) for listener in listeners} == {f"id: {listeners[0].last}\nevent: order\ndata: {{}}\n\n"}
    assert calls == ["order"]


def test_an_event_that_cannot_be_shown_ends_nothing() -> None:
    made = hub()
    listener = made.open("me")
    made.publish("order", "me", {"odd": object()})
    made.publish("signal", "me", payload())
    assert "event: signal" in made._news(listener)


def test_a_quiet_stream_beats_and_an_old_one_ends() -> None:
    made = hub()
    clock = made._clock
    listener = made.open("me")
    text = made.stream(listener, lambda: True)
    assert "retry" in next(text)
    clock.at += HEARTBEAT
    assert next(text) == ": heartbeat\n\n"
    clock.at += MOST_AGE
    assert list(text) == []
    assert made.listeners() == []


def test_a_person_who_may_no_longer_listen_hears_nothing() -> None:
    made = hub()
    text = made.stream(made.open("me"), lambda: False)
    next(text)
    made.publish("order", "me", payload())
    assert list(text) == []


def test_the_cap() -> None:
    made = hub(most_streams=1)
    listener = made.open("me")
    with pytest.raises(TooManyStreams):
        made.open("me")
    made.close_listener(listener)
    made.open("me")
    made.close()
    with pytest.raises(TooManyStreams):
        made.open("me")


@pytest.mark.parametrize(("all_streams", "ones_own"), [(56, 14), (20, 8), (3, 3)])
def test_nobody_takes_more_than_a_quarter_and_at_least_eight(all_streams: int, ones_own: int) -> None:
    made = hub(most_streams=all_streams)
    mine = [made.open("me") for _ in range(ones_own)]
    with pytest.raises(TooManyStreams):
        made.open("me")
    if ones_own < all_streams:
        made.open("you")
    made.close_listener(mine[0])
    made.open("me")


def test_memory_is_bounded() -> None:
    made = hub(facts=100, pulses=10)
    for number in range(1000):
        made.publish("order", "me", payload(number))
        made.pulse("pnl", "me", payload(number))
    assert (len(made._facts), len(made._pulses)) == (100, 10)


def test_a_page_that_is_drawn_now_is_told_what_may_not_have_been_written_when_it_was() -> None:
    clock = Clock()
    made = Hub(clock)
    made.publish("order", "me", payload())
    clock.at += UNWRITTEN
    assert kinds(made, made.open("me", last_event_id=made.known())) == []
    made.pulse("pnl", "me", payload())
    assert kinds(made, made.open("me", last_event_id=made.known())) == [], "states of long ago are not played through"
    made.publish("signal", "me", payload())
    clock.at += UNWRITTEN / 2
    made.publish("halt", "me", payload())
    assert kinds(made, made.open("me", last_event_id=made.known())) == ["signal", "halt"]
    clock.at += UNWRITTEN / 2
    assert kinds(made, made.open("me", last_event_id=made.known())) == ["halt"]


def test_a_page_that_is_drawn_after_more_than_is_kept_is_told_to_read_afresh_or_all_that_is_left() -> None:
    made = hub(facts=4)
    for _ in range(9):
        made.publish("order", "me", payload())
    listener = made.open("me", last_event_id=made.known())
    assert not listener.lost
    assert kinds(made, listener) == ["order"] * 4

"""Messages over the API: one's own and those of everybody, with what came of them; nobody else's."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from app.data import Address, Send
from app.newsroom import LiveBooks, Newsroom
from engines.core import facts as f
from engines.core.messages import Event, Line, Message, Tone
from engines.core.model import Halt, HaltScope, Timestamp
from tests.api.rig import MACHINE, Person, Rig

_numbers = itertools.count(1)


def told(rig: Rig, user_id: str, title: str = "BUY INFY · filled", *, kind: str = "order", to: str = "") -> int:
    """A message that was put into words, on its way to a destination where one is given."""
    outbox, now = rig.data.outbox, rig.system.clock.now()
    dedupe = f"test:{next(_numbers)}"
    rig.data.journal.run(lambda db: outbox.tell(db, kind, dedupe=dedupe, user_id=user_id, ref="x"))
    number = next(row.message_id for row in outbox.new() if row.dedupe == dedupe)
    said = Message(
        number, kind, Event.ORDERS, now, title, Tone.GOOD, "In words.", (Line("Account", "Main (paper)"),), "order x", "K", "paper"
    )
    outbox.told([(said, [Send(to, now, now + 60)] if to else [])])
    return number


def place(rig: Rig, person: Person) -> str:
    assert person.user
    address = Address({"url": f"https://discord.com/api/webhooks/{next(_numbers)}/x"}, {})
    row = rig.data.destinations.add(
        person.user.user_id, channel="discord", name="Desk", address=address, events=tuple(Event), quiet=None, by=MACHINE
    )
    return row.destination_id


def kill(rig: Rig, message_id: int) -> None:
    sql = "UPDATE deliveries SET status = 'dead', attempts = 3, error = 'Discord says no' WHERE message_id = ?"
    rig.data.journal.run(lambda db: db.execute(sql, (message_id,)))


def ids(person: Person, query: str = "") -> list[int]:
    return [int(item["id"]) for item in person.get(f"/api/messages{query}").json["items"]]


def test_a_message_says_what_was_told_and_what_came_of_it(fresh: Rig) -> None:
    trader = fresh.trader
    assert trader.user
    where = place(fresh, trader)
    number = told(fresh, trader.user.user_id, to=where)
    kill(fresh, number)
    message = trader.get(f"/api/messages/{number}").json
    assert trader.get("/api/messages").json["items"][0] == message
    assert {name: message[name] for name in ("kind", "event", "state", "title", "tone", "text", "footer", "mode")} == {
        "kind": "order", "event": "orders", "state": "told", "title": "BUY INFY · filled", "tone": "good", "text": "In words.",
        "footer": "order x", "mode": "paper",
    }  # fmt: skip
    assert message["lines"] == [{"name": "Account", "value": "Main (paper)", "short": True}]
    (way,) = message["deliveries"]
    assert (way["destination_id"], way["channel"], way["destination"]) == (where, "discord", "Desk")
    assert (way["status"], way["attempts"], way["error"], way["next_at"]) == ("dead", 3, "Discord says no", None)


def test_each_sees_their_own_and_everybodys_and_owners_the_machines(fresh: Rig) -> None:
    people = {"trader": fresh.trader, "other": fresh.other, "viewer": fresh.viewer, "owner": fresh.owner}
    own = {name: told(fresh, person.user.user_id) for name, person in people.items() if person.user}
    machine, all_ = told(fresh, "@", "No prices"), told(fresh, "", "Stopped: the whole system")
    for name, person in people.items():
        expected = {own[name], all_} | ({machine} if name == "owner" else set())
        assert set(ids(person)) == expected
        for number in (*own.values(), machine, all_):
            assert person.get(f"/api/messages/{number}").status_code == (200 if number in expected else 404)


def test_the_deliveries_of_a_message_to_everybody_are_each_persons_own(fresh: Rig) -> None:
    places = {person.user.user_id: place(fresh, person) for person in (fresh.trader, fresh.other) if person.user}
    now: Timestamp = fresh.system.clock.now()
    fresh.data.journal.commit(f.HaltChanged(Halt("H1", HaltScope.SYSTEM, None, "x", now, "somebody")))
    Newsroom(fresh.data, LiveBooks(fresh.system), fresh.system.clock, fresh.system.clock).step()
    for person in (fresh.trader, fresh.other):
        assert person.user
        (message,) = person.get("/api/messages?kind=halt").json["items"]
        assert [way["destination_id"] for way in message["deliveries"]] == [places[person.user.user_id]]


def test_what_was_given_up_is_sent_again_by_whoever_it_was_for(fresh: Rig) -> None:
    assert fresh.trader.user
    number = told(fresh, fresh.trader.user.user_id, to=place(fresh, fresh.trader))
    way = fresh.trader.get(f"/api/messages/{number}").json["deliveries"][0]["id"]
    assert fresh.trader.post(f"/api/deliveries/{way}/resend").status_code == 409  # it has not failed
    kill(fresh, number)
    assert fresh.other.post(f"/api/deliveries/{way}/resend").status_code == 404
    assert fresh.owner.post(f"/api/deliveries/{way}/resend").status_code == 404
    assert ids(fresh.trader, "?status=dead") == [number]
    assert fresh.trader.post(f"/api/deliveries/{way}/resend").status_code == 204
    assert ids(fresh.trader, "?status=dead") == []
    assert fresh.trader.get(f"/api/messages/{number}").json["deliveries"][0]["status"] == "pending"


def test_the_list_pages_and_filters(fresh: Rig) -> None:
    assert fresh.trader.user
    numbers = [told(fresh, fresh.trader.user.user_id, kind=kind) for kind in ("order", "day", "order", "order")]
    first = fresh.trader.get("/api/messages?limit=2").json
    assert [int(item["id"]) for item in first["items"]] == [numbers[3], numbers[2]]
    assert ids(fresh.trader, f"?limit=2&cursor={first['next']}") == [numbers[1], numbers[0]]
    assert ids(fresh.trader, "?kind=day") == [numbers[1]]


def unread(person: Person) -> int:
    return int(person.get("/api/me/messages").json["unread"])


def test_what_came_since_one_looked_counts_as_unread_and_nobody_reads_for_another(fresh: Rig) -> None:
    people = {"trader": fresh.trader, "other": fresh.other, "viewer": fresh.viewer, "owner": fresh.owner}
    for person in people.values():
        assert person.user
        told(fresh, person.user.user_id)
        told(fresh, person.user.user_id)
    told(fresh, "")
    told(fresh, "@")
    assert {name: unread(person) for name, person in people.items()} == {"trader": 3, "other": 3, "viewer": 3, "owner": 4}
    assert fresh.viewer.post("/api/me/messages/read").status_code == 204
    assert fresh.trader.post("/api/me/messages/read").status_code == 204
    assert fresh.trader.post("/api/me/messages/read").status_code == 204
    assert {name: unread(person) for name, person in people.items()} == {"trader": 0, "other": 3, "viewer": 0, "owner": 4}
    told(fresh, "")
    assert {name: unread(person) for name, person in people.items()} == {"trader": 1, "other": 4, "viewer": 1, "owner": 5}


def test_unread_counts_what_is_in_words_since_one_came_and_no_further_than_a_hundred(fresh: Rig) -> None:
    told(fresh, "", "Before anybody came")
    fresh.data.journal.run(lambda db: db.execute("UPDATE messages SET at = 1"))
    assert fresh.trader.user
    me = fresh.trader.user.user_id
    fresh.data.journal.run(lambda db: fresh.data.outbox.tell(db, "order", dedupe="no words yet", user_id=me, ref="x"))
    assert unread(fresh.trader) == 0
    sql = "INSERT INTO messages (dedupe, kind, user_id, ref, at, state) VALUES (?, 'day', ?, 'x', ?, 'told')"
    rows = [(f"many {number}", whose, fresh.data.outbox.store.now()) for number in range(60) for whose in (me, "")]
    fresh.data.journal.run(lambda db: [db.execute(sql, (f"{whose}{name}", whose, at)) for name, whose, at in rows])
    assert unread(fresh.trader) == 100


def test_whoever_listens_hears_that_there_is_something_to_read_and_that_it_was_read(fresh: Rig) -> None:
    people = {"trader": fresh.trader, "other": fresh.other, "owner": fresh.owner}
    listeners = {}
    for name, person in people.items():
        assert person.user
        listeners[name] = fresh.hub.open(person.user.user_id, owner=name == "owner")

    def heard() -> set[str]:
        return {name for name, listener in listeners.items() if any(event.kind == "message" for event in fresh.hub.take(listener))}

    assert fresh.trader.user
    told(fresh, fresh.trader.user.user_id)
    assert heard() == {"trader"}
    told(fresh, "@")
    assert heard() == {"owner"}
    told(fresh, "")
    assert heard() == {"trader", "other", "owner"}
    fresh.trader.post("/api/me/messages/read")
    assert heard() == {"trader"}
    fresh.trader.post("/api/me/messages/read")
    assert heard() == set()


@pytest.mark.parametrize("query", ["?status=lost", "?kind=a%20b", "?limit=0", "?cursor=x", "?colour=red"])
def test_a_query_that_cannot_be_meant_is_refused(trader: Person, query: str) -> None:
    assert trader.get(f"/api/messages{query}").status_code == 422


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30, "x", "1.5", "²"])
def test_what_is_no_message_is_not_there(trader: Person, number: Any) -> None:
    assert trader.get(f"/api/messages/{number}").status_code == 404


def test_an_order_that_really_happened_is_told_with_what_guards_it_and_its_signal_too(fresh: Rig) -> None:
    account = fresh.trader.account(name="Real paper")["id"]
    order = fresh.trader.bought(account, stop_loss={"pct": "1"}, targets=[{"pct": "2"}])
    room, clock = Newsroom(fresh.data, LiveBooks(fresh.system), fresh.system.clock, fresh.system.clock), threading.Event()
    told: dict[str, Any] = {}
    for _ in range(2400):
        room.step()
        told = {item["kind"]: item for item in fresh.trader.get("/api/messages").json["items"] if item["state"] == "told"}
        if {"order", "signal"} <= told.keys():
            break
        clock.wait(0.05)
    lines = {line["name"]: line["value"] for line in told["order"]["lines"]}
    assert (told["order"]["title"], told["order"]["mode"], lines["Account"]) == ("BUY INFY · filled", "paper", "Real paper (paper)")
    assert {"Entry price", "Value", "Leverage", "Stop", "Target", "Charges", "Balance", "Answered in"} <= lines.keys()
    assert order["order_id"] in told["order"]["footer"]
    assert told["signal"]["title"] == "INFY BUY · 1/1 filled"
    assert ids(fresh.other) == []

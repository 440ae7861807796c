"""Destinations over the API: made, masked, changed, tried, confirmed by a code; another's are not there (that is tests/api/test_who_may)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from app import create_app
from app.data import UserRole
from app.newsroom import LiveBooks, Newsroom
from engines.core.messages import Event
from tests.api.rig import Person, Rig
from tests.support import canaries

_numbers = itertools.count(100_000_000_000_000_000)
_SECRETS: list[str] = []
canaries.watch(_SECRETS)


def webhook() -> str:
    token = f"canary-of-a-webhook-{next(_numbers)}-" + "w" * 30
    _SECRETS.append(token)
    return f"https://discord.com/api/webhooks/{next(_numbers)}/{token}"


def bot() -> str:
    token = f"canary{next(_numbers)}{'b' * 11}"
    _SECRETS.append(token)
    return f"123456789:{token}"


def discord(person: Person, **more: Any) -> dict[str, Any]:
    answer = person.post("/api/destinations", {"channel": "discord", "url": webhook(), **more})
    assert answer.status_code == 201, answer.text
    return answer.json


@pytest.fixture
def person(rig: Rig) -> Iterator[Person]:
    """The trader, who leaves no destinations behind."""
    yield rig.trader
    for each in rig.trader.get("/api/destinations").json["items"]:
        rig.trader.delete(f"/api/destinations/{each['id']}")


@pytest.fixture
def mailing(rig: Rig, person: Person) -> Person:
    """The same person where mail can be sent."""
    settings = replace(rig.settings, mail_server="127.0.0.1", mail_default_sender="tandem@example.com")
    app = create_app(rig.system, rig.data, settings, live=rig.hub)
    return Person(SimpleNamespace(app=app), person.user, person.token)  # type: ignore[arg-type]


def codes(rig: Rig) -> list[str]:
    """What was mailed to addresses that have to answer, oldest first."""
    rows = rig.data.journal.run(
        lambda db: db.execute("SELECT sealed FROM deliveries WHERE target LIKE 'mail:confirm:%' ORDER BY delivery_id").fetchall()
    )
    return [rig.data.box.open(row[0])["field.code"] for row in rows]


# --- made and shown -----------------------------------------------------------------------------------------------------


def test_a_discord_destination_wants_everything_and_shows_no_secret(person: Person) -> None:
    url = webhook()
    made = person.post("/api/destinations", {"channel": "discord", "url": url, "name": "Desk"}).json
    number = url.split("/")[-2]
    assert made["address"] == {"webhook": f"discord.com #{number}/•••"}
    assert (made["name"], made["channel"], made["enabled"], made["state"], made["quiet"]) == ("Desk", "discord", True, "ok", None)
    assert set(made["events"]) == {event.value for event in Event}
    assert person.get(f"/api/destinations/{made['id']}").json == made
    assert made in person.get("/api/destinations").json["items"]
    assert person.post("/api/destinations", {"channel": "discord", "url": f"{url}"}).status_code == 409


def test_a_telegram_destination_shows_its_bot_and_chat(person: Person) -> None:
    body = {"channel": "telegram", "token": bot(), "chat": "-1001234567890", "thread": "7", "events": ["halts"]}
    made = person.post("/api/destinations", body).json
    assert made["address"] == {"bot": "123456789:•••", "chat": "-1001234567890", "thread": "7"}
    assert (made["name"], made["events"]) == ("Telegram", ["halts"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channel": "discord"}, "url"),
        ({"channel": "discord", "url": "https://evil.example/api/webhooks/1/x"}, "url"),
        ({"channel": "discord", "url": "http://169.254.169.254/api/webhooks/1/x"}, "url"),
        ({"channel": "discord", "url": "https://discord.com@evil.example/api/webhooks/1/x"}, "url"),
        ({"channel": "discord", "url": "?", "chat": "1"}, "chat"),
        ({"channel": "telegram", "token": "123456789:" + "a" * 35}, "chat"),
        ({"channel": "telegram", "token": "no token", "chat": "1"}, "token"),
        ({"channel": "telegram", "token": "123456789:" + "a" * 35, "chat": "two words"}, "chat"),
        ({"channel": "discord", "url": "?", "events": ["orders", "orders"]}, "events"),
        ({"channel": "discord", "url": "?", "events": ["gossip"]}, "events.0"),
        ({"channel": "discord", "url": "?", "quiet": {"start": "25:00", "end": "07:00"}}, "quiet.start"),
        ({"channel": "discord", "url": "?", "quiet": {"start": "07:00", "end": "07:00"}}, "quiet.end"),
        ({"channel": "discord", "url": "?", "quiet": {"start": "22:00", "end": "07:00", "zone": "Mars/Base"}}, "quiet.zone"),
        ({"channel": "discord", "url": "?", "quiet": {"start": "22:00", "end": "07:00", "zone": "../../etc/passwd"}}, "quiet.zone"),
        ({"channel": "pigeon"}, "channel"),
        ({"channel": "discord", "url": "?", "state": "ok"}, "state"),
        ({"channel": "discord", "url": "?", "user_id": "somebody"}, "user_id"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(person: Person, body: dict[str, Any], field: str) -> None:
    given = {**body, "url": webhook()} if body.get("url") == "?" else body
    before = person.get("/api/destinations").json["items"]
    answer = person.post("/api/destinations", given)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert person.get("/api/destinations").json["items"] == before


def test_nobody_has_more_than_twenty(rig: Rig) -> None:
    person = rig.person("twenty@example.com", UserRole.TRADER)  # who has none that another test made
    for _ in range(20):
        discord(person)
    assert person.post("/api/destinations", {"channel": "discord", "url": webhook()}).status_code == 409


# --- changed ------------------------------------------------------------------------------------------------------------


def test_a_destination_is_changed_field_by_field_and_taken_away(rig: Rig, person: Person) -> None:
    made = discord(person)
    path = f"/api/destinations/{made['id']}"
    quiet = {"start": "22:00", "end": "07:00", "zone": "Europe/London", "strict": True}
    changed = person.patch(path, {"name": "Night", "quiet": quiet, "events": ["orders"], "enabled": False}).json
    assert (changed["name"], changed["quiet"], changed["events"], changed["enabled"]) == ("Night", quiet, ["orders"], False)
    assert changed["address"] == made["address"]
    assert person.patch(path, {"quiet": None}).json["quiet"] is None
    other = webhook()
    moved = person.patch(path, {"url": other}).json
    assert moved["address"] == {"webhook": f"discord.com #{other.split('/')[-2]}/•••"}
    assert rig.data.destinations.secret(person.user.user_id, made["id"]) == {"url": other}  # type: ignore[union-attr]
    assert person.patch(path, {"chat": "1"}).status_code == 422
    assert person.patch(path, {"name": None}).status_code == 422
    assert person.patch(path, {"url": moved["address"]["webhook"], "enabled": True}).json["enabled"] is True, "as shown: unchanged"
    assert list(person.patch(path, {"url": "discord.com #1/•••"}).json["errors"]) == ["url"]
    assert rig.data.destinations.secret(person.user.user_id, made["id"]) == {"url": other}  # type: ignore[union-attr]
    assert person.delete(path).status_code == 204
    assert person.get(path).status_code == 404


def test_changing_one_that_was_refused_gives_it_another_chance(rig: Rig, person: Person) -> None:
    made = discord(person)
    refuse = "UPDATE destinations SET state = 'refused', state_detail = 'gone', failures = 3 WHERE destination_id = ?"
    rig.data.journal.run(lambda db: db.execute(refuse, (made["id"],)))
    shown = person.get(f"/api/destinations/{made['id']}").json
    assert (shown["state"], shown["detail"]) == ("refused", "gone")
    changed = person.patch(f"/api/destinations/{made['id']}", {"name": "Again"}).json
    assert (changed["state"], changed["detail"]) == ("ok", "")
    assert changed["updated_at"] > shown["updated_at"]


def test_every_change_is_in_the_audit_log_without_the_address(rig: Rig, person: Person) -> None:
    made = discord(person, name="Logged")
    person.patch(f"/api/destinations/{made['id']}", {"events": ["day"]})
    person.delete(f"/api/destinations/{made['id']}")
    rows = [row for row in person.get("/api/audit?limit=50").json["items"] if row["object_id"] == made["id"]]
    assert [row["action"] for row in rows] == ["destination.deleted", "destination.changed", "destination.created"]
    assert rows[1]["after"] == {"events": ["day"]}


# --- tried out ----------------------------------------------------------------------------------------------------------


def test_a_test_is_a_message_to_that_destination_alone(rig: Rig, person: Person) -> None:
    first, second = discord(person), discord(person, events=["day"])
    answer = person.post(f"/api/destinations/{second['id']}/test")
    assert answer.status_code == 202
    clock = rig.system.clock
    Newsroom(rig.data, LiveBooks(rig.system), clock, clock).step()
    message = person.get(f"/api/messages/{answer.json['message_id']}").json
    assert (message["kind"], message["event"], message["title"]) == ("test", None, "It works")
    assert [way["destination_id"] for way in message["deliveries"]] == [second["id"]]
    assert message["deliveries"][0]["status"] == "pending"
    person.patch(f"/api/destinations/{first['id']}", {"enabled": False})
    assert person.post(f"/api/destinations/{first['id']}/test").status_code == 409


def test_a_search_for_chats_is_done_elsewhere(rig: Rig, person: Person) -> None:
    begun = person.post("/api/telegram/chats", {"token": bot()})
    assert (begun.status_code, begun.json["done"], begun.json["chats"]) == (202, False, [])
    assert person.get(f"/api/telegram/chats/{begun.json['id']}").json["done"] is False
    assert rig.other.get(f"/api/telegram/chats/{begun.json['id']}").status_code == 404
    assert person.post("/api/telegram/chats", {"token": "x"}).status_code == 422
    answers = [person.post("/api/telegram/chats", {"token": bot()}).status_code for _ in range(3)]
    assert answers == [202, 202, 409]  # no more than three at once


# --- e-mail -------------------------------------------------------------------------------------------------------------


def test_without_mail_settings_there_is_no_mail_destination(person: Person) -> None:
    assert person.post("/api/destinations", {"channel": "email"}).status_code == 409


def test_ones_own_address_needs_no_code(rig: Rig, mailing: Person) -> None:
    before = len(codes(rig))
    made = mailing.post("/api/destinations", {"channel": "email"}).json
    assert (made["address"], made["state"], made["enabled"]) == ({"to": "trader@example.com"}, "ok", True)
    assert "orders" not in made["events"]
    assert set(made["events"]) | {"orders"} == {event.value for event in Event}
    assert len(codes(rig)) == before


def test_another_address_is_off_until_its_code_came_back(rig: Rig, mailing: Person) -> None:
    made = mailing.post("/api/destinations", {"channel": "email", "to": "desk@example.com"}).json
    path = f"/api/destinations/{made['id']}"
    assert (made["state"], made["enabled"]) == ("unconfirmed", False)
    assert mailing.patch(path, {"enabled": True}).status_code == 409
    assert mailing.post(f"{path}/test").status_code == 409
    assert mailing.post(f"{path}/code").status_code == 409  # less than a minute ago
    right = codes(rig)[-1]
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(4):
        assert mailing.post(f"{path}/confirm", {"code": wrong}).json["errors"] == {"code": ["is not the code that was mailed"]}
    confirmed = mailing.post(f"{path}/confirm", {"code": right}).json
    assert (confirmed["state"], confirmed["enabled"]) == ("ok", True)
    assert rig.data.destinations.secret(mailing.user.user_id, made["id"]) == {"to": "desk@example.com"}  # type: ignore[union-attr]
    moved = mailing.patch(path, {"to": "other@example.com"}).json
    assert (moved["state"], moved["enabled"]) == ("unconfirmed", False)
    assert mailing.post(f"{path}/confirm", {"code": right}).status_code == 422  # a new address, a new code
    back = mailing.patch(path, {"to": "Trader@Example.com"}).json
    assert (back["state"], back["enabled"]) == ("ok", True)


def test_five_wrong_codes_end_it(rig: Rig, mailing: Person) -> None:
    made = mailing.post("/api/destinations", {"channel": "email", "to": "five@example.com"}).json
    right = codes(rig)[-1]
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    answers = [mailing.post(f"/api/destinations/{made['id']}/confirm", {"code": wrong}).status_code for _ in range(6)]
    assert answers == [422] * 5 + [409]
    assert mailing.post(f"/api/destinations/{made['id']}/confirm", {"code": right}).status_code == 409


def test_nobody_mails_codes_to_the_whole_world(fresh: Rig) -> None:
    settings = replace(fresh.settings, mail_server="127.0.0.1", mail_default_sender="tandem@example.com")
    app = create_app(fresh.system, fresh.data, settings, live=fresh.hub)
    trader = Person(SimpleNamespace(app=app), fresh.trader.user, fresh.trader.token)  # type: ignore[arg-type]
    answers = [trader.post("/api/destinations", {"channel": "email", "to": f"v{n}@example.com"}).status_code for n in range(6)]
    assert answers == [201] * 5 + [409]
    assert trader.post("/api/destinations", {"channel": "email", "to": "a b@example.com\r\nBcc: x@y.zz"}).status_code == 422

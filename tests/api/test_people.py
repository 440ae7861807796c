"""People, tokens, passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.data import Conflict
from app.data.users import Users
from tests.api.rig import MACHINE, PASSWORD, Person, Rig


def test_the_owner_sees_and_changes_people(fresh: Rig) -> None:
    made = fresh.owner.post("/api/users", {"email": "new@example.com", "password": "a long password", "role": "trader"})
    assert made.status_code == 201
    assert set(made.json) == {"id", "email", "name", "role", "active", "second_factor", "has_accounts", "created_at", "last_sign_in_at"}
    assert made.json["has_accounts"] is False
    person = fresh.person("new@example.com", made.json["role"])
    assert person.post("/api/accounts", {"name": "x", "broker": "paper", "capital": 1000}).status_code == 201
    path = f"/api/users/{made.json['id']}"
    assert fresh.owner.get(path).json == {**made.json, "has_accounts": True}
    assert fresh.owner.patch(path, {"role": "viewer"}).json["role"] == "viewer"
    assert person.post("/api/accounts", {"name": "y", "broker": "paper", "capital": 1000}).status_code == 403
    assert fresh.owner.patch(path, {"active": False}).json["active"] is False
    assert person.get("/api/me").status_code == 401
    assert fresh.owner.post("/api/users", {"email": "NEW@example.com", "password": "another password"}).status_code == 409


def test_the_last_owner_stays(fresh: Rig) -> None:
    path = f"/api/users/{fresh.owner.user.user_id}"
    assert fresh.owner.patch(path, {"role": "trader"}).status_code == 409
    assert fresh.owner.patch(path, {"active": False}).status_code == 409


def written(rig: Rig, user_id: str) -> list[str]:
    """What the log says about this person, oldest first."""
    return [row.action for row in reversed(rig.data.audit.list(None, limit=500).items) if row.object_id == user_id]


def test_a_change_with_something_wrong_in_it_changes_nothing(fresh: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user = fresh.viewer.user
    assert user is not None
    path, before = f"/api/users/{user.user_id}", written(fresh, user.user_id)
    refused = fresh.owner.patch(path, {"role": "owner", "active": False, "name": "a\u0007b", "password": "an even longer one"})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["name"])

    def too_late(*given: object, **named: object) -> None:
        raise Conflict("the last of the four")

    with monkeypatch.context() as patched:
        patched.setattr(Users, "put_password", too_late)
        assert (
            fresh.owner.patch(path, {"role": "owner", "active": False, "name": "Vera", "password": "an even longer one"}).status_code == 409
        )
    assert fresh.data.users.get(user.user_id) == user
    assert written(fresh, user.user_id) == before


def test_each_part_of_a_change_has_a_row_of_its_own_in_the_log(fresh: Rig) -> None:
    user = fresh.viewer.user
    assert user is not None
    path, before = f"/api/users/{user.user_id}", written(fresh, user.user_id)
    body = {"role": "trader", "active": False, "name": " Vera ", "password": "an even longer one"}
    changed = fresh.owner.patch(path, body).json
    assert (changed["role"], changed["active"], changed["name"]) == ("trader", False, "Vera")
    assert written(fresh, user.user_id)[len(before) :] == [
        "user.role_changed",
        "user.switched_off",
        "user.changed",
        "user.password_changed",
    ]
    assert fresh.owner.patch(path, {"role": "trader", "active": True}).json["active"] is True
    assert written(fresh, user.user_id)[len(before) + 4 :] == ["user.switched_on"], "what is so already is no change"
    assert fresh.data.users.verify(user.email, "an even longer one") is not None


def test_only_the_owner_sees_people(trader: Person) -> None:
    assert trader.get("/api/users").status_code == 403
    assert trader.get(f"/api/users/{trader.user.user_id}").status_code == 403
    assert trader.get("/api/me").json["email"] == "trader@example.com"


def test_a_token_is_told_once_and_dies_when_revoked(trader: Person) -> None:
    made = trader.post("/api/tokens", {"name": "robot"}).json
    robot = Person(trader.rig, trader.user, made["token"])
    assert robot.get("/api/me").status_code == 200
    listed = trader.get("/api/tokens?limit=500")
    assert made["id"] in {row["id"] for row in listed.json["items"]}
    assert made["token"].partition(".")[2] not in listed.text
    assert trader.delete(f"/api/tokens/{made['id']}").status_code == 204
    assert robot.get("/api/me").status_code == 401


def test_a_read_token_only_looks(trader: Person) -> None:
    made = trader.post("/api/tokens", {"name": "screen", "scope": "read"}).json
    screen = Person(trader.rig, trader.user, made["token"])
    assert screen.get("/api/accounts").status_code == 200
    assert screen.post("/api/system/stop").status_code == 403


def test_a_token_may_end_by_itself_but_not_begin_in_the_past(trader: Person) -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert trader.post("/api/tokens", {"name": "guest", "expires_at": soon}).status_code == 201
    past = trader.post("/api/tokens", {"name": "guest", "expires_at": "2020-01-01T00:00:00Z"})
    assert (past.status_code, list(past.json["errors"])) == (422, ["expires_at"])


def test_a_new_password_wants_the_present_one(fresh: Rig) -> None:
    wrong = fresh.trader.post("/api/me/password", {"current": "not it", "new": "an even longer one"})
    assert (wrong.status_code, list(wrong.json["errors"])) == (403, ["current"])
    assert fresh.trader.post("/api/me/password", {"current": PASSWORD, "new": "short"}).status_code == 422
    assert fresh.trader.post("/api/me/password", {"current": PASSWORD, "new": "an even longer one"}).status_code == 200
    assert fresh.data.users.verify("trader@example.com", "an even longer one") is not None


def test_viewers_change_what_is_about_themselves_and_nothing_else(fresh: Rig) -> None:
    viewer = fresh.viewer
    assert viewer.patch("/api/me", {"name": "Vera"}).json["name"] == "Vera"
    assert viewer.post("/api/me/password", {"current": "not it", "new": "an even longer one"}).status_code == 403
    assert viewer.post("/api/me/password", {"current": PASSWORD, "new": "an even longer one"}).status_code == 200
    assert fresh.data.users.verify("viewer@example.com", "an even longer one") is not None
    assert viewer.post("/api/tokens", {"name": "x"}).status_code == 403


def test_a_token_that_only_reads_changes_not_even_its_holder(fresh: Rig) -> None:
    for holder in (fresh.trader, fresh.viewer):
        _, token = fresh.data.tokens.create(holder.user.user_id, "screen", scope="read", by=MACHINE)
        screen = Person(fresh, holder.user, token)
        assert screen.patch("/api/me", {"name": "x"}).status_code == 403
        assert screen.post("/api/me/password", {"current": PASSWORD, "new": "an even longer one"}).status_code == 403

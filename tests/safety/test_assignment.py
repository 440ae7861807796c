"""Fields that a program makes up: whatever a route was not written for is refused by name, and nothing of the request is done."""

from __future__ import annotations

import pytest

from app.api.blueprint import operations
from tests.api.rig import Rig

MADE_UP = {
    "id": "x",
    "user_id": "x",
    "owner": True,
    "is_admin": True,
    "password_hash": "x",
    "session_epoch": 0,
    "archived_at": None,
    "credentials_shown": {},
    "__class__": "x",
}
WITH_BODY = [(o.method, o.path) for o in operations() if o.method in ("POST", "PATCH", "PUT") and not o.raw and not o.public]


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_field_that_a_route_does_not_know_is_refused_by_name(rig: Rig, method: str, path: str) -> None:
    answer = rig.owner.call(method, path.replace("{id}", "x"), MADE_UP)
    assert answer.status_code == 422, answer.text
    refused = {name for name, messages in answer.json["errors"].items() if "is not a known field" in messages}
    assert len(refused) >= len(MADE_UP) - 1, "an own field of one of these names may be known; the rest is not"


def test_a_trader_cannot_become_owner_by_writing_it(rig: Rig) -> None:
    assert rig.trader.patch("/api/me", {"name": "x", "role": "owner"}).status_code == 422
    assert rig.trader.get("/api/me").json["role"] == "trader"


def test_an_account_cannot_be_given_to_or_taken_from_another(rig: Rig) -> None:
    account = rig.trader.account()["id"]
    assert rig.other.user is not None
    assert rig.trader.patch(f"/api/accounts/{account}", {"user_id": rig.other.user.user_id}).status_code == 422
    assert rig.trader.get(f"/api/accounts/{account}").status_code == 200

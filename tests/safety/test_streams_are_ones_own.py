"""The live stream: while one person trades, stops and is told of trouble, nobody else's stream carries an id, a name or a number of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.data import UserRole
from tests.api.rig import PASSWORD, Person, Rig
from tests.api.test_stream import Stream
from tests.safety.conftest import Belongings


@pytest.fixture
def listening(rig: Rig) -> Iterator[dict[str, Stream]]:
    streams = {who: Stream(getattr(rig, who)) for who in ("other", "owner", "viewer")}
    yield streams
    for stream in streams.values():
        stream.close()


def test_law_12_no_stream_carries_what_is_anothers(rig: Rig, belongings: Belongings, listening: dict[str, Stream]) -> None:
    me, account = belongings.person, belongings.ids["accounts"]
    order = me.bought(account, quantity="3")
    me.post(f"/api/accounts/{account}/kill-switch", {"on": True, "reason": "Quetzal is careful"})
    me.post(f"/api/accounts/{account}/kill-switch", {"on": False})
    me.post(f"/api/accounts/{account}/square-off")
    group, strategy = belongings.ids["groups"], belongings.ids["strategies"]
    for act, body in (("pause", None), ("stop", {"flatten": False, "reason": "Quetzal is careful"}), ("start", {})):
        assert me.post(f"/api/groups/{group}/{act}", body).status_code == 200
    friend = rig.person("friend-of-hers@example.com", UserRole.TRADER)
    assert friend.user is not None
    assert me.post(f"/api/strategies/{strategy}/shares", {"email": friend.user.email}).status_code == 201
    assert me.delete(f"/api/strategies/{strategy}/shares/{friend.user.user_id}").status_code == 204
    for who, stream in listening.items():
        person: Person = getattr(rig, who)
        told = [str(event) for event in _until_own_news(person, stream)]
        for text in told:
            assert belongings.names_in(text) == [], (who, text)
            assert order["order_id"] not in text


def test_no_stream_says_which_owner_stopped_everything(rig: Rig, belongings: Belongings, listening: dict[str, Stream]) -> None:
    owner = rig.owner
    assert owner.user
    halt = owner.post("/api/system/emergency-stop", {"reason": "drill", "flatten": False}).json["halt_id"]
    try:
        for who in ("other", "viewer"):
            seen = listening[who].until(lambda kind, data: kind == "halt" and data["halt_id"] == halt)
            assert seen[-1][2]["by"] == "owner"
            assert owner.user.user_id not in str(seen)
    finally:
        assert owner.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 200
        assert owner.post("/api/system/start").status_code == 200


def _until_own_news(person: Person, stream: Stream) -> list[object]:
    """Everything up to something of their own: what came before it has been told by then."""
    if person.user is not None and person.user.role.value == "viewer":
        return list(stream.until(lambda kind, _: kind in ("engine", "pnl")))
    account = person.account()["id"]
    person.bought(account)
    return list(stream.until(lambda kind, data: kind == "order" and data["account_id"] == account and data["state"] == "filled"))

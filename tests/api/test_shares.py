"""Strategies shared between people: who may do what with them, what each sees, what ends with a share, and who is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from app.data import Actor, UserRole, shares
from tests.api.rig import Person, Rig

BY = Actor(None, "cli")
_numbers = itertools.count(1)


@pytest.fixture
def asha(rig: Rig) -> Person:
    return rig.person(f"asha{next(_numbers)}@example.com", UserRole.TRADER)


@pytest.fixture
def ben(rig: Rig) -> Person:
    return rig.person(f"ben{next(_numbers)}@example.com", UserRole.TRADER)


def shared(giver: Person, *takers: Person, **strategy: Any) -> str:
    strategy_id = giver.strategy(**strategy)["id"]
    for taker in takers:
        answer = giver.post(f"/api/strategies/{strategy_id}/shares", {"email": taker.user.email.upper()})
        assert answer.status_code == 201, answer.text
        assert (answer.json["user_id"], answer.json["email"]) == (taker.user.user_id, taker.user.email)
    return strategy_id


def told(rig: Rig, person: Person) -> list[tuple[str, dict[str, str]]]:
    kinds = (shares.SHARED, shares.ENDED, shares.CHANGED, shares.OFF)
    mine = [row for row in rig.data.outbox.new() if row.user_id == person.user.user_id]
    return [(row.kind, dict(row.fields)) for row in mine if row.kind in kinds]


def test_whoever_has_a_share_sees_the_strategy_whole_and_who_shares_it(asha: Person, ben: Person) -> None:
    strategy = shared(asha, ben, exit_plan={"stop_loss": {"pct": "2"}}, params={"fast": 3, "slow": 8})
    own, other = (person.get(f"/api/strategies/{strategy}").json for person in (asha, ben))
    assert (own["owned"], own["shared_by"], [each["email"] for each in own["shares"]]) == (True, None, [ben.user.email])
    assert (other["owned"], other["shared_by"], other["shares"]) == (False, {"name": asha.user.name, "email": asha.user.email}, [])
    same = set(own) - {"owned", "shared_by", "shares"}
    assert {name: own[name] for name in same} == {name: other[name] for name in same}
    assert [row["id"] for row in ben.get("/api/strategies?owned=false").json["items"]] == [strategy]
    assert ben.get("/api/strategies?owned=true").json["items"] == []
    for path in ("levels", "ladders"):
        assert ben.get(f"/api/strategies/{strategy}/{path}").status_code == 200


def test_only_its_owner_changes_it_or_signals_through_it(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben)
    signal = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1", "strategy_id": strategy}
    tries = [
        ("PATCH", f"/api/strategies/{strategy}", {"active": True}),
        ("DELETE", f"/api/strategies/{strategy}", None),
        ("GET", f"/api/strategies/{strategy}/shares", None),
        ("POST", f"/api/strategies/{strategy}/shares", {"email": "owner@example.com"}),
        ("DELETE", f"/api/strategies/{strategy}/shares/{rig.viewer.user.user_id}", None),
        ("POST", "/api/signals/manual", signal),
        ("POST", "/api/signals/preview", signal),
        ("POST", "/api/webhooks", {"name": "x", "strategy_id": strategy}),
        ("POST", "/api/combined", {"scope": "strategy", "scope_id": strategy, "stop": "1"}),
        ("POST", "/api/backtests", {"strategy_id": strategy, "sample": {"days": 2}}),
    ]
    stranger = rig.other
    for method, path, body in tries:
        answer = ben.call(method, path, body)
        assert (answer.status_code, answer.json["detail"][:26]) == (403, "Only its owner may do that"), (path, answer.text)
        assert stranger.call(method, path, body).status_code == 404, "unknown to whoever has no share"
    assert stranger.get(f"/api/strategies/{strategy}").status_code == 404
    assert stranger.post("/api/mappings", {"account_id": stranger.account()["id"], "strategy_id": strategy}).status_code == 404


def test_one_signal_becomes_orders_of_each_person_and_each_sees_only_theirs(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben)
    accounts = {person: person.account()["id"] for person in (asha, ben)}
    for person, account in accounts.items():
        mapping = person.mapping(account, strategy)
        assert person.get("/api/mappings").json["items"] == [mapping]
    name = f"once-{next(_numbers)}"
    body = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "strategy_id": strategy, "signal_id": name, "wait_ms": 30_000}
    assert [
        row["account_id"] for row in asha.post("/api/signals/preview", {k: v for k, v in body.items() if k != "wait_ms"}).json["orders"]
    ] == [accounts[asha]]
    answer = asha.post("/api/signals/manual", body).json
    again = asha.post("/api/signals/manual", body).json
    assert [order["account_id"] for order in answer["orders"]] == [accounts[asha]]
    assert (again["duplicate"], again["orders"][0]["order_id"]) == (True, answer["orders"][0]["order_id"])
    rig.data.journal.run(lambda _: None)
    for person, account in accounts.items():
        signals = person.get(f"/api/signals?strategy_id={strategy}").json["items"]
        assert [[order["account_id"] for order in signal["orders"]] for signal in signals] == [[account]]
        assert {order["account_id"] for order in person.get(f"/api/orders?strategy_id={strategy}").json["items"]} == {account}
        assert {row["account_id"] for row in person.get("/api/positions").json["items"]} <= {account}
    (mine,) = ben.get(f"/api/signals?strategy_id={strategy}").json["items"]
    assert (mine["signal_id"] != name, mine["source"]) == (True, "copy")
    seen = " ".join(person.get(path).text for person, path in ((asha, "/api/signals"), (asha, "/api/orders"), (asha, "/api/pnl/realtime")))
    assert accounts[ben] not in seen
    assert accounts[asha] not in " ".join(ben.get(path).text for path in ("/api/signals", "/api/orders", "/api/pnl/realtime"))


def test_what_ends_with_a_share(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben)
    account = ben.account()["id"]
    mapping = ben.mapping(account, strategy)["id"]
    assert asha.delete(f"/api/strategies/{strategy}/shares/{ben.user.user_id}").status_code == 204
    assert asha.delete(f"/api/strategies/{strategy}/shares/{ben.user.user_id}").status_code == 404
    assert ben.get(f"/api/strategies/{strategy}").status_code == 404
    assert ben.get(f"/api/mappings/{mapping}").json["enabled"] is False
    refused = ben.patch(f"/api/mappings/{mapping}", {"enabled": True})
    assert (refused.status_code, "no longer shared" in refused.json["detail"]) == (409, True)
    assert ben.patch(f"/api/mappings/{mapping}", {"allocation_pct": "20"}).status_code == 200
    body = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "strategy_id": strategy, "quantity": "1", "wait_ms": 30_000}
    assert asha.post("/api/signals/manual", body).json["orders"] == []
    assert ben.get(f"/api/orders?strategy_id={strategy}").json["items"] == []
    for person, kinds in ((ben, ["strategy_shared", "strategy_unshared"]), (asha, ["strategy_unshared"])):
        mine = [(kind, fields.get("why", "")) for kind, fields in told(rig, person)]
        assert [kind for kind, _ in mine] == kinds
        assert mine[-1] == ("strategy_unshared", shares.BY_OWNER.format(asha.user.email))
    again = asha.post(f"/api/strategies/{strategy}/shares", {"email": ben.user.email})
    assert (again.status_code, ben.get(f"/api/mappings/{mapping}").json["enabled"]) == (201, False), "nothing comes back by itself"
    assert ben.patch(f"/api/mappings/{mapping}", {"enabled": True}).status_code == 200


def test_whoever_has_it_may_leave_and_nobody_else_may_in_their_name(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben, rig.viewer)
    mapping = ben.mapping(ben.account()["id"], strategy)["id"]
    path = f"/api/strategies/{strategy}/shares"
    for person, whose, status in ((rig.viewer, ben, 403), (rig.other, rig.other, 404), (asha, asha, 404), (ben, ben, 204), (ben, ben, 404)):
        answer = person.delete(f"{path}/{whose.user.user_id}")
        assert answer.status_code == status, answer.text
    assert ben.get(f"/api/strategies/{strategy}").status_code == 404
    assert ben.get(f"/api/mappings/{mapping}").json["enabled"] is False
    assert [kind for kind, _ in told(rig, asha)] == ["strategy_unshared"]
    assert told(rig, asha)[0][1]["why"] == told(rig, ben)[-1][1]["why"] == shares.LEFT.format(ben.user.email)
    assert next(row["actor_name"] for row in ben.get("/api/audit").json["items"] if row["action"] == "strategy.unshared") == "you"
    assert rig.viewer.delete(f"{path}/{rig.viewer.user.user_id}").status_code == 204, "also who only looks on"
    assert asha.get(path).json["items"] == []


def test_the_log_of_whoever_ends_it_does_not_tell_what_was_mapped(asha: Person, ben: Person) -> None:
    strategy = shared(asha, ben)
    mapping = ben.mapping(ben.account()["id"], strategy)["id"]
    asha.delete(f"/api/strategies/{strategy}/shares/{ben.user.user_id}")
    giver, taker = (person.get("/api/audit?limit=50").json["items"] for person in (asha, ben))
    assert {"strategy.shared", "strategy.unshared"} <= {row["action"] for row in giver}
    assert mapping not in str(giver)
    switched = next(row for row in taker if row["object_id"] == mapping and row["action"] == "mapping.changed")
    assert (switched["via"], switched["actor"], switched["actor_name"]) == ("system", None, "Tandem"), "not by whoever had it"
    assert switched["after"] == {"enabled": False, "why": shares.BY_OWNER.format(asha.user.email)}


def test_what_was_shared_keeps_the_name_that_one_was_told_and_no_later_one(asha: Person, ben: Person, rig: Rig) -> None:
    mine, gone = shared(asha, ben, name="Rules"), shared(asha, ben, name="Levels")
    mapping = ben.mapping(ben.account(name="Her paper")["id"], mine)["id"]
    assert rig.data.shares.ended_for(ben.user.user_id) == {}
    asha.delete(f"/api/strategies/{mine}/shares/{ben.user.user_id}")
    asha.patch(f"/api/strategies/{mine}", {"name": "Secret sauce"})
    asha.delete(f"/api/strategies/{gone}")
    assert rig.data.shares.ended_for(ben.user.user_id) == {mine: "Rules", gone: "Levels"}
    log = ben.get("/api/audit?object_kind=mapping").json["items"]
    assert {row["object_name"] for row in log if row["object_id"] == mapping} == {"Rules on Her paper"}
    assert "Secret" not in ben.get("/api/audit").text
    asha.post(f"/api/strategies/{mine}/shares", {"email": ben.user.email})
    assert rig.data.shares.ended_for(ben.user.user_id) == {gone: "Levels"}, "shared again: it says its name itself"


@pytest.mark.parametrize(
    ("change", "sees", "why"),
    [
        (lambda users, asha, ben: users.set_active(asha, False, by=BY), False, shares.OWNER_OFF),
        (lambda users, asha, ben: users.set_role(asha, UserRole.VIEWER, by=BY), False, shares.OWNER_LOOKS),
        (lambda users, asha, ben: users.set_active(ben, False, by=BY), False, shares.PERSON_OFF),
        (lambda users, asha, ben: users.set_role(ben, UserRole.VIEWER, by=BY), True, shares.LOOKS_ONLY),
    ],
    ids=["owner off", "owner looks", "taker off", "taker looks"],
)
def test_people_who_can_no_longer_trade(asha: Person, ben: Person, rig: Rig, change: Any, sees: bool, why: str) -> None:
    strategy = shared(asha, ben)
    mapping = ben.mapping(ben.account()["id"], strategy)["id"]
    change(rig.data.users, asha.user.user_id, ben.user.user_id)
    assert rig.data.mappings.get(None, mapping).mapping.enabled is False
    assert bool(rig.data.strategies.list_seen(ben.user.user_id)) == sees
    last = told(rig, ben)[-1][1]
    assert last.get("why", last.get("text")) == why


def test_a_deleted_strategy_ends_its_shares(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben)
    mapping = ben.mapping(ben.account()["id"], strategy)["id"]
    body = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "strategy_id": strategy, "wait_ms": 30_000}
    asha.post("/api/signals/manual", body)
    rig.data.journal.run(lambda _: None)
    assert asha.delete(f"/api/strategies/{strategy}").status_code == 204, "what another holds is no reason that could be told"
    assert ben.get(f"/api/mappings/{mapping}").status_code == 404
    assert [row["strategy_id"] for row in ben.get("/api/orders").json["items"]] == [strategy], "their books stay"
    assert rig.data.strategies.get(None, strategy).archived_at is not None
    assert told(rig, ben)[-1][1]["why"] == shares.DELETED


def test_whoever_trades_it_is_told_when_its_owner_changes_it(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben, rig.viewer)
    ben.mapping(ben.account()["id"], strategy)
    asha.patch(f"/api/strategies/{strategy}", {"active": True, "params": {"fast": 4, "slow": 9}})
    asha.patch(f"/api/strategies/{strategy}", {"active": True})
    kind, fields = told(rig, ben)[-1]
    assert (kind, "changed it: switched on, parameters. It trades" in fields["text"]) == ("strategy_changed", True)
    assert [kind for kind, _ in told(rig, ben)].count("strategy_changed") == 1, "what is as before is no change"
    assert not [kind for kind, fields in told(rig, rig.viewer) if kind == "strategy_changed"], "who trades it, nobody else"


def test_a_viewer_looks_at_a_share_and_maps_nothing(asha: Person, rig: Rig) -> None:
    strategy = shared(asha, rig.viewer)
    assert rig.viewer.get(f"/api/strategies/{strategy}").json["owned"] is False
    assert rig.viewer.post("/api/mappings", {"account_id": "x", "strategy_id": strategy}).status_code == 403
    refused = rig.viewer.get(f"/api/strategies/{strategy}/shares")
    assert (refused.status_code, "to look at." in refused.json["detail"]) == (403, True)
    asha.delete(f"/api/strategies/{strategy}/shares/{rig.viewer.user.user_id}")
    assert [fields["role"] for _, fields in told(rig, rig.viewer)[-2:]] == ["viewer", "viewer"]


def test_with_whom_it_cannot_be_shared_is_said_beside_the_address(asha: Person, ben: Person, rig: Rig) -> None:
    strategy = shared(asha, ben)
    path = f"/api/strategies/{strategy}/shares"
    assert asha.post(path, {"email": ben.user.email}).status_code == 409
    gone = rig.person(f"gone{next(_numbers)}@example.com", UserRole.TRADER)
    rig.data.users.set_active(gone.user.user_id, False, by=BY)
    answers = [asha.post(path, {"email": email}) for email in ("nobody@example.com", gone.user.email)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(422, answers[0].text)}, "unknown and switched off are told alike"
    own = asha.post(path, {"email": asha.user.email})
    assert (own.status_code, list(own.json["errors"])) == (422, ["email"])
    for number in range(7):
        asha.post(path, {"email": f"guess{number}@example.com"})
    assert asha.post(path, {"email": "guess@example.com"}).status_code == 429
    assert ben.post(f"/api/strategies/{ben.strategy()['id']}/shares", {"email": asha.user.email}).status_code == 201, "others do not wait"

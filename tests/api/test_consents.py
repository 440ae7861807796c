"""Consents: the tables of docs/groups.md, row by row."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.agreed import ConsentWatch
from app.data import Conflict, Consent, ConsentScope, Relation, objection
from engines.execution.supervisor import Supervisor
from engines.ports import JournalDown, SystemClock
from tests.api.rig import Person, Rig
from tests.api.test_groups import until
from tests.api.test_webhooks import Hook, now
from tests.data import making
from tests.data.making import DAY, NOON, HandClock

BASE = Consent("c", "u", "a", "Meera", Relation.SPOUSE, ConsentScope.SIGNALS, NOON - 10 * DAY)
REVOKED = replace(BASE, revoked_at=NOON - DAY, revoked_by="Meera")
OVER = replace(BASE, until=NOON - 2 * DAY)
SELF = replace(BASE, relation=Relation.SELF, holder="I")


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        pytest.param([], "", id="no record"),
        pytest.param([SELF], "", id="only of relation self"),
        pytest.param([replace(SELF, revoked_at=NOON - DAY)], "", id="only of relation self, revoked"),
        pytest.param([BASE], "", id="somebody else's that stands"),
        pytest.param([replace(BASE, until=NOON + 1)], "", id="somebody else's that stands for another second"),
        pytest.param([replace(BASE, until=NOON)], "ran out on 5 Jan 2026", id="somebody else's that has just run out"),
        pytest.param([OVER], "ran out on 3 Jan 2026", id="somebody else's that has run out"),
        pytest.param([REVOKED], "was revoked on 4 Jan 2026", id="somebody else's that was revoked"),
        pytest.param([REVOKED, OVER], "was revoked on 4 Jan 2026", id="several, none stands: the last to end is named"),
        pytest.param([OVER, BASE], "", id="renewed before or after it ran out"),
        pytest.param([REVOKED, replace(BASE, holder="Kiran")], "", id="one revoked, another stands"),
        pytest.param([REVOKED, SELF], "", id="somebody else's has ended, one of relation self stands"),
    ],
)
def test_whether_auto_trade_may_be_on(records: list[Consent], reason: str) -> None:
    why = objection(records, NOON)
    assert bool(why) == bool(reason)
    assert reason in why
    assert not why or "Meera (spouse)" in why


def test_running_out_switches_off_in_one_transaction_and_is_told_once(tmp_path: Path) -> None:
    clock = HandClock()
    with making.opened(tmp_path, clock=clock) as data:
        user = making.cheap_user(data)
        hers, mine = (
            data.accounts.add(making.account(user, name=name, auto_trade=True), {}, by=making.CLI).account for name in ("Hers", "Mine")
        )
        for until in (NOON + DAY, NOON + 3 * DAY):  # renewed while the first still stands
            data.consents.add(replace(BASE, consent_id="", user_id=user, account_id=hers.account_id, until=until), by=making.CLI)

        def on() -> dict[str, bool]:
            return {row.account.name: row.account.auto_trade for row in data.accounts.list(user)}

        clock.wall = NOON + 2 * DAY
        assert (tuple(data.consents.run_out()), on()) == ((), {"Hers": True, "Mine": True})
        clock.wall = NOON + 3 * DAY
        told: list[str] = []
        watch = ConsentWatch(data, lambda: told.append("engines"), told.append)
        assert (watch.look(), on()) == ((hers.account_id,), {"Hers": False, "Mine": True})
        assert (watch.look(), told) == ((), ["engines", hers.account_id])
        news = [row for row in data.outbox.new() if row.kind == "consent_over"]
        assert [(row.user_id, row.account_id, dict(row.fields)) for row in news] == [
            (
                user,
                hers.account_id,
                {"account": "Hers", "holder": "Meera", "relation": "spouse", "why": "Positions stay, with their stops."},
            )
        ]
        logged = data.audit.list(None, limit=1).items[0]
        assert (logged.action, logged.object_id, logged.user_id, logged.after) == (
            "account.changed",
            hers.account_id,
            None,
            {"auto_trade": False},
        )
        with pytest.raises(Conflict, match="auto-trade stays off: the consent of Meera"):
            data.accounts.change(user, hers.account_id, lambda now: replace(now, auto_trade=True), by=making.CLI)
        data.accounts.change(user, mine.account_id, lambda now: replace(now, auto_trade=True), by=making.CLI)


def test_what_ran_out_while_tandem_was_off_is_switched_off_before_anything_starts(tmp_path: Path) -> None:
    clock = HandClock()
    with making.opened(tmp_path, clock=clock) as data:
        user = making.cheap_user(data)
        account = data.accounts.add(making.account(user, auto_trade=True), {}, by=making.CLI).account
        data.consents.add(replace(BASE, consent_id="", user_id=user, account_id=account.account_id, until=NOON + DAY), by=making.CLI)
    clock.wall = NOON + 2 * DAY
    with making.opened(tmp_path, clock=clock, exclusive=True) as data:
        assert [row.account.auto_trade for row in data.accounts.list(user)] == [False]
        assert data.unagreed == (account.account_id,)  # whose waiting entries are taken back once there are engines


def test_what_the_watch_could_not_see_to_is_seen_to_at_its_next_look(tmp_path: Path) -> None:
    clock, told = HandClock(), []
    with making.opened(tmp_path, clock=clock) as data:
        user = making.cheap_user(data)
        account = data.accounts.add(making.account(user, auto_trade=True), {}, by=making.CLI).account
        data.consents.add(replace(BASE, consent_id="", user_id=user, account_id=account.account_id, until=NOON + DAY), by=making.CLI)
        clock.wall = NOON + 2 * DAY
        fails = ["engines", account.account_id]

        def act(what: str) -> None:
            if what in fails:
                fails.remove(what)
                raise OSError("disk I/O error")
            told.append(what)

        watch = ConsentWatch(data, lambda: act("engines"), act)
        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                watch.look()
        assert (watch.look(), watch.ended) == ((), [])
        assert told == ["engines", "engines", account.account_id]


def test_what_ran_out_before_the_database_went_away_is_seen_to_and_the_rest_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told = HandClock(), list[str]()
    with making.opened(tmp_path, clock=clock) as data:
        user = making.cheap_user(data)
        accounts = sorted(
            data.accounts.add(making.account(user, name=name, auto_trade=True), {}, by=making.CLI).account.account_id
            for name in ("One", "Two")
        )
        for key in accounts:
            data.consents.add(replace(BASE, consent_id="", user_id=user, account_id=key, until=NOON + DAY), by=making.CLI)
        clock.wall = NOON + 2 * DAY
        watch = ConsentWatch(data, lambda: told.append("engines"), told.append)
        run, runs = data.journal.run, [0]

        def away(work: Callable[[Any], Any], *more: float) -> Any:
            runs[0] += 1
            if runs[0] == 2:
                raise JournalDown("the disk is full")
            return run(work, *more)

        monkeypatch.setattr(data.journal, "run", away)
        assert (watch.look(), told) == ((accounts[0],), ["engines", accounts[0]])
        assert (watch.look(), told[2:]) == ((accounts[1],), ["engines", accounts[1]])


def test_the_watch_takes_back_what_waits_and_ends_with_the_engines(tmp_path: Path) -> None:
    with making.opened(tmp_path) as data:
        data.unagreed = ("A1",)
        asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        supervisor = Supervisor(SystemClock(), lambda death: asked.put(str(death)))
        ConsentWatch(data, lambda: None, asked.put).start(supervisor)
        assert asked.get(timeout=30) == "A1"
        supervisor.stop(30)
        assert not any(worker.alive for worker in supervisor.workers().values())
        assert data.unagreed == ()


# --- over the API ----------------------------------------------------------------------------------------------------


def given(person: Person, account: str, status: int = 201, **changes: Any) -> Any:
    answer = person.post("/api/consents", {"account_id": account, "holder": "Meera", "relation": "spouse", **changes})
    assert answer.status_code == status, answer.text
    return answer.json


def test_a_consent_is_recorded_shown_and_stays_on_file(trader: Person) -> None:
    account = trader.account(name="Meera's paper")["id"]
    group = trader.post("/api/groups", {"name": "Home", "account_ids": [account]}).json["id"]
    made = given(trader, account, group_id=group, scope="manage", given_at="2026-04-01", until="2199-03-31", note="by letter")
    assert (made["state"], made["account_name"], made["auto_trade"], made["revoked_at"]) == ("stands", "Meera's paper", True, None)
    assert (made["given_at"], made["until"]) == (
        "2026-03-31T18:30:00.000000Z",
        "2199-03-31T18:30:00.000000Z",
    )  # days of India, the last one whole
    for filters, found in (
        (f"account_id={account}", 1),
        (f"group_id={group}", 1),
        (f"group_id={group}&state=revoked", 0),
        (f"account_id={account}&relation=child", 0),
        ("account_id=nothing", 0),
    ):
        assert len(trader.get(f"/api/consents?{filters}").json["items"]) == found, filters
    assert trader.delete(f"/api/groups/{group}").status_code == 204
    assert trader.delete(f"/api/accounts/{account}").status_code == 204
    kept = trader.get(f"/api/consents?account_id={account}").json["items"]
    assert [(row["id"], row["account_name"], row["auto_trade"]) for row in kept] == [(made["id"], None, False)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"relation": "friend"}, "relation"),
        ({"scope": "all"}, "scope"),
        ({"holder": " "}, "holder"),
        ({"given_at": "2199-01-01"}, "given_at"),
        ({"until": "2020-01-01"}, "until"),
        ({"until": "soon"}, "until"),
        ({"until": "9999-01-01"}, "until"),
        ({"until": 1e300}, "until"),
        ({"revoked_by": "me"}, "revoked_by"),
        ({"user_id": "another"}, "user_id"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_the_field(trader: Person, changes: dict[str, Any], field: str) -> None:
    assert list(given(trader, trader.account()["id"], 422, **changes)["errors"]) == [field]


def test_a_group_is_named_only_for_an_account_that_is_in_it(trader: Person) -> None:
    account = trader.account()["id"]
    group = trader.post("/api/groups", {"name": "Without it", "account_ids": []}).json["id"]
    assert list(given(trader, account, 422, group_id=group)["errors"]) == ["group_id"]
    given(trader, account, 404, group_id="no-such-group")


def resting(person: Person, account: str) -> str:
    """An entry that waits far below the market."""
    order = person.buy(account, status=202, order_type="LIMIT", price=str(round(person.price() * 0.9)), wait_ms=0)["orders"][0]
    until(lambda: person.get(f"/api/orders/{order['order_id']}").json["state"] == "open")
    return str(order["order_id"])


def test_revoking_stops_entries_at_once_and_nothing_switches_them_on_again(trader: Person) -> None:
    account = trader.account(name="Revoked")["id"]
    alert = Hook(trader, account_ids=[account])
    consent = given(trader, account)
    trader.bought(account, stop_loss={"pct": "5"})
    waiting = resting(trader, account)
    revoked = trader.post(f"/api/consents/{consent['id']}/revoke", {"by": "Meera's father"})
    assert (revoked.status_code, revoked.json["state"], revoked.json["revoked_by"]) == (
        200,
        "revoked",
        f"{trader.user.name or trader.user.email} on behalf of Meera's father",
    )
    entry = alert.send({"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "time": now(), "wait_ms": 30_000})
    assert [order["reason"] for order in entry.json["orders"]] == ["auto_trade_off"]
    shown = trader.get(f"/api/accounts/{account}").json
    assert (shown["auto_trade"], shown["open_positions"], shown["kill_switch"]) == (False, 1, False)
    told = [row for row in trader.rig.data.outbox.new() if row.kind == "consent_revoked" and row.account_id == account]
    assert [(row.ref, row.fields["holder"]) for row in told] == [(consent["id"], "Meera")]
    until(lambda: trader.get(f"/api/orders/{waiting}").json["state"] == "cancelled")
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["exit_plan"]["stop"]
    why = "auto-trade stays off: the consent of Meera (spouse) was revoked on "
    for refused in (
        trader.patch(f"/api/accounts/{account}", {"auto_trade": True}),
        trader.post(f"/api/accounts/{account}/auto-trade", {"on": True}),
    ):
        assert (refused.status_code, refused.json["detail"].startswith(why)) == (409, True), refused.text
    assert trader.get(f"/api/accounts/{account}").json["auto_trade"] is False
    assert trader.post(f"/api/consents/{consent['id']}/revoke").status_code == 409  # once
    assert trader.buy(account)["orders"][0]["state"] == "filled"  # by hand: a consent is about what happens by itself
    given(trader, account, holder="Meera", until=None)
    assert trader.post(f"/api/accounts/{account}/auto-trade", {"on": True}).json["auto_trade"] is True


def test_a_no_is_a_no_although_somebody_else_agrees(trader: Person) -> None:
    account = trader.account()["id"]
    hers, his = given(trader, account), given(trader, account, holder="Kiran", relation="partner")
    revoked = trader.post(f"/api/consents/{hers['id']}/revoke").json
    assert trader.user
    assert (revoked["auto_trade"], revoked["revoked_by"]) == (False, f"{trader.user.name or trader.user.email} on behalf of Meera")
    assert trader.post(f"/api/accounts/{account}/auto-trade", {"on": True}).json["auto_trade"] is True  # a person looks, and Kiran's stands
    assert trader.post(f"/api/consents/{his['id']}/revoke").json["auto_trade"] is False
    assert trader.post(f"/api/accounts/{account}/auto-trade", {"on": True}).status_code == 409


def test_law_12_consents_are_their_keepers_alone(rig: Rig) -> None:
    account = rig.trader.account()["id"]
    consent = given(rig.trader, account, holder="Only-the-traders-aunt", relation="other")
    for person in (rig.other, rig.owner):
        assert "Only-the-traders-aunt" not in person.get("/api/consents").text
        assert person.post(f"/api/consents/{consent['id']}/revoke").status_code == 404
        given(person, account, 404)
    assert rig.viewer.post(f"/api/consents/{consent['id']}/revoke").status_code == 403
    assert rig.data.consents.get(None, consent["id"]).revoked_at is None


def test_every_write_of_a_consent_is_in_the_audit_log(trader: Person) -> None:
    account = trader.account()["id"]
    consent = given(trader, account)
    trader.post(f"/api/consents/{consent['id']}/revoke")
    rows = trader.rig.data.audit.list(trader.user.user_id if trader.user else None, limit=5).items
    assert {(row.action, row.object_id) for row in rows} >= {
        ("consent.given", consent["id"]),
        ("consent.revoked", consent["id"]),
        ("account.changed", account),
    }
    assert all(isinstance(row.user_id, str) and row.via == "token" for row in rows)

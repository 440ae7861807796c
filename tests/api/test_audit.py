"""The audit log over the API: who may see what of it, and that no write leaves it out."""

from __future__ import annotations

from typing import Any

from tests.api.rig import MACHINE, Person, Rig


def rows(person: Person, query: str = "") -> list[dict[str, Any]]:
    person.rig.data.journal.run(lambda _: None)
    answer = person.get(f"/api/audit{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def test_a_row_says_who_did_what_when_from_where_with_before_and_after(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account(name="Mine")["id"]
    trader.patch(f"/api/accounts/{account}", {"name": "Mine again"})
    newest = rows(trader)[0]
    assert (newest["actor"], newest["actor_name"], newest["via"], newest["ip"]) == (trader.user.user_id, "you", "token", "127.0.0.1")
    assert (newest["action"], newest["object_kind"], newest["object_id"]) == ("account.changed", "account", account)
    assert (newest["object_name"], newest["before"], newest["after"]) == ("Mine again", {"name": "Mine"}, {"name": "Mine again"})


def test_a_person_sees_their_own_rows_what_was_done_to_them_and_what_the_machine_did_with_their_accounts(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account()["id"]
    trader.post(f"/api/accounts/{account}/kill-switch", {"on": True})
    trader.post("/api/system/stop")
    fresh.data.audit.add(MACHINE, "account.auto_login", "account", account)
    fresh.owner.patch(f"/api/users/{trader.user.user_id}", {"role": "viewer"})
    off, *shown = rows(trader)
    assert (off["action"], off["actor_name"], off["object_id"], off["after"]) == (
        "account.changed",
        "Tandem",
        account,
        {"auto_trade": False},
    )
    assert [row["action"] for row in shown[:5]] == [
        "user.role_changed",
        "account.auto_login",
        "engines.stop",
        "account.kill_switch",
        "account.created",
    ]
    assert (shown[0]["actor"], shown[0]["actor_name"], shown[0]["ip"], shown[0]["object_name"]) == (None, "the owner", None, "you")
    assert (shown[1]["actor"], shown[1]["actor_name"]) == (None, "command line")
    assert {row["action"] for row in rows(fresh.other)} == {"user.created"}


def test_an_owner_sees_people_the_machine_and_stops_but_never_what_somebody_trades(fresh: Rig) -> None:
    trader, owner = fresh.trader, fresh.owner
    account = trader.account(name="Secret plan")["id"]
    trader.buy(account)
    trader.post("/api/positions/close-all", {})
    trader.post(f"/api/accounts/{account}/kill-switch", {"on": True})
    trader.post("/api/system/stop")
    trader.post("/api/system/emergency-stop", {"reason": "enough"})
    shown = rows(owner, "?limit=500")
    of_the_trader = {row["action"] for row in shown if row["actor"] == trader.user.user_id}
    assert of_the_trader == {"engines.stop", "emergency_stop"}
    assert "Secret plan" not in str(shown)
    assert account not in str(shown)
    assert {row["actor_name"] for row in shown if row["action"] == "emergency_stop"} == {"trader@example.com"}


FILTERS = {
    "action=account.changed": ["account.changed", "account.changed"],
    "object_kind=watchlist": ["watchlist.created"],
    "object_id={account}": ["account.changed", "account.changed", "account.created"],
    "actor={me}&object_kind=account": ["account.changed", "account.changed", "account.created"],
    "actor=nobody": [],
    "via=web": [],
    "via=cli": ["user.created"],
    "q=SECOND+name": ["account.changed", "account.changed"],
    "q=first%25": [],
    "to=2020-01-01": [],
    "from=2020-01-01&object_kind=watchlist": ["watchlist.created"],
}


def test_the_log_is_filtered(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account(name="First name")["id"]
    trader.patch(f"/api/accounts/{account}", {"name": "Second name"})
    trader.patch(f"/api/accounts/{account}", {"name": "Third name"})
    trader.post("/api/watchlists", {"name": "Banks"})
    for query, actions in FILTERS.items():
        shown = rows(trader, f"?{query.format(account=account, me=trader.user.user_id)}")
        assert ([row["action"] for row in shown], query) == (actions, query)


def test_the_log_comes_in_pieces_without_a_gap_or_a_repeat(fresh: Rig) -> None:
    trader = fresh.trader
    for number in range(7):
        trader.patch("/api/me", {"name": f"Name {number}"})
    whole = [row["id"] for row in rows(trader)]
    pieces: list[str] = []
    cursor = ""
    while True:
        page = trader.get(f"/api/audit?limit=3{cursor}").json
        pieces += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert pieces == whole


def test_the_owner_asks_whether_the_log_is_as_it_was_written(fresh: Rig) -> None:
    fresh.trader.account()
    fresh.data.journal.run(lambda _: None)
    told = fresh.owner.get("/api/audit/verify").json
    assert (told["whole"], told["broken_at"], told["what"], len(told["head"])) == (True, None, "", 64)
    assert told["rows"] == fresh.data.audit.list(None).items[0].audit_id
    assert fresh.trader.get("/api/audit/verify").status_code == 403

"""Engines on and off, emergency stops, halts and their lifting, status."""

from __future__ import annotations

import threading

import pytest

from tests.api.rig import PASSWORD, Person, Rig

REPORT = {"account_id", "cancelled", "flattened", "open_orders", "open_positions", "state", "detail"}


def settle(person: Person, halt_id: str) -> dict:
    """The report once every account is flat; the engines flatten in parallel, so it is a matter of milliseconds."""
    pause = threading.Event()
    for _ in range(3000):
        report = person.get(f"/api/system/halts/{halt_id}").json
        if all(row["state"] == "flat" for row in report["accounts"]):
            return dict(report)
        pause.wait(0.01)
    raise AssertionError(report)


def test_status_has_what_the_first_screen_asks(trader: Person) -> None:
    status = trader.get("/api/system/status").json
    assert set(status) >= {"engines", "halts", "accounts", "feed", "version", "uptime_s"}
    assert {"strategy", "execution", "market"} <= set(status["engines"])
    assert {"state", "heartbeat_age_ms"} <= set(status["engines"]["execution"])
    assert set(status["accounts"]) == {"total", "connected", "halted"}
    assert set(status["feed"]) == {"source", "last_tick_age_ms", "trouble"}
    assert isinstance(status["uptime_s"], int)


def test_stop_says_what_it_leaves_and_start_resumes(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account()["id"]
    trader.buy(account, stop_loss={"pct": "20"})
    stopped = trader.post("/api/system/stop")
    assert stopped.status_code == 200
    assert (stopped.json["engines"], stopped.json["open_positions"], stopped.json["armed_exit_plans"]) == ("off", 1, 1)
    assert trader.buy(account)["orders"][0]["reason"] == "halted"
    position = trader.get("/api/positions").json["items"][0]
    assert position["exit_plan"]["state"] == "armed"
    assert trader.post(f"/api/positions/{position['id']}/close").json["orders"][0]["state"] == "filled", "a person may still close"
    assert trader.post("/api/system/start").json["engines"] == "on"
    assert trader.buy(account)["orders"][0]["state"] == "filled"


def test_a_traders_stop_is_the_traders_own(fresh: Rig) -> None:
    mine, theirs = fresh.trader.account()["id"], fresh.other.account()["id"]
    fresh.trader.post("/api/system/stop")
    assert fresh.trader.buy(mine)["orders"][0]["reason"] == "halted"
    assert fresh.other.buy(theirs)["orders"][0]["state"] == "filled"


def test_an_owners_stop_is_everyones(fresh: Rig) -> None:
    theirs = fresh.trader.account()["id"]
    assert fresh.owner.post("/api/system/stop").json["scope"] == "system"
    assert fresh.trader.buy(theirs)["orders"][0]["reason"] == "halted"
    assert fresh.trader.post("/api/system/start").json["engines"] == "off", "a trader cannot start what the owner stopped"
    assert fresh.trader.buy(theirs)["orders"][0]["reason"] == "halted"
    assert fresh.owner.post("/api/system/start").json["engines"] == "on"
    assert fresh.trader.buy(theirs)["orders"][0]["state"] == "filled"


def test_the_whole_way_of_an_emergency_stop(fresh: Rig) -> None:
    owner, trader = fresh.owner, fresh.trader
    mine, theirs = owner.account()["id"], trader.account()["id"]
    owner.buy(mine)
    trader.buy(theirs)
    stop = owner.post("/api/system/emergency-stop", {"reason": "drill"})
    assert stop.status_code == 202
    halt = stop.json["halt_id"]
    assert (stop.json["state"], stop.json["report"]) == ("halted", f"/api/system/halts/{halt}")
    assert owner.buy(mine)["orders"][0]["reason"] == "halted"
    again = owner.post("/api/system/emergency-stop", {"reason": "again"})
    assert (again.status_code, again.json["halt_id"]) == (200, halt)

    report = settle(owner, halt)
    assert (report["scope"], report["reason"], report["by"]) == ("system", "drill", owner.user.user_id)
    assert [set(row) for row in report["accounts"]] == [REPORT]
    assert [(row["account_id"], row["flattened"]) for row in report["accounts"]] == [(mine, 1)], "only the caller's own accounts are named"
    assert report["others"]["accounts"] == 1
    assert [row["account_id"] for row in settle(trader, halt)["accounts"]] == [theirs]
    assert [row["halt_id"] for row in trader.get("/api/system/halts").json["items"]] == [halt]
    assert [row["halt_id"] for row in trader.get("/api/system/status").json["halts"]] == [halt]

    assert owner.post("/api/system/start").status_code == 409, "start does not lift"
    assert owner.post(f"/api/system/halts/{halt}/lift", {"password": "wrong password"}).status_code == 403
    unsaid = owner.post(f"/api/system/halts/{halt}/lift")
    assert (unsaid.status_code, unsaid.json["errors"]) == (422, {"password": ["is required"]})
    assert trader.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 403, (
        "only the owner lifts the system's stop"
    )
    assert owner.buy(mine)["orders"][0]["reason"] == "halted"

    lifted = owner.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD})
    assert (lifted.status_code, lifted.json["state"], lifted.json["flat"]) == (200, "lifted", True)
    assert owner.buy(mine)["orders"][0]["reason"] == "halted", "trading resumes only after start"
    assert owner.post("/api/system/start").json["engines"] == "on"
    assert owner.buy(mine)["orders"][0]["state"] == "filled"
    assert trader.buy(theirs)["orders"][0]["state"] == "filled"
    assert owner.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 409
    assert owner.get(f"/api/system/halts/{halt}").json["state"] == "lifted"
    assert owner.get("/api/system/halts").json["items"] == []
    lifted_ones = owner.get("/api/system/halts?all=true").json["items"]
    assert [(row["halt_id"], row["lifted_by"]) for row in lifted_ones] == [(halt, owner.user.user_id)]
    assert [row["halt_id"] for row in owner.get("/api/system/halts?holding=false").json["items"]] == [halt]


def test_a_traders_emergency_stop_covers_the_traders_accounts_only(fresh: Rig) -> None:
    mine, theirs = fresh.trader.account()["id"], fresh.other.account()["id"]
    fresh.trader.buy(mine)
    fresh.other.buy(theirs)
    halt = fresh.trader.post("/api/system/emergency-stop").json["halt_id"]
    report = settle(fresh.trader, halt)
    assert report["scope"] == "user"
    assert fresh.trader.buy(mine)["orders"][0]["reason"] == "halted"
    assert fresh.other.buy(theirs)["orders"][0]["state"] == "filled"
    assert len(fresh.other.get("/api/positions").json["items"]) == 1
    for stranger in (fresh.other, fresh.owner):
        assert stranger.get(f"/api/system/halts/{halt}").status_code == 404
        assert stranger.get("/api/system/halts").json["items"] == []
        assert stranger.get("/api/system/status").json["halts"] == []
        assert stranger.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 404
    assert fresh.trader.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 200
    fresh.trader.post("/api/system/start")
    assert fresh.trader.buy(mine)["orders"][0]["state"] == "filled"


@pytest.mark.parametrize("scope", ["system", "user"])
def test_a_stop_that_is_pressed_again_switches_the_engines_off_again_and_is_written_down(fresh: Rig, scope: str) -> None:
    owner = fresh.owner
    body = {"scope": scope, "flatten": False}
    halt = owner.post("/api/system/emergency-stop", body).json["halt_id"]
    for whose in (None, owner.user.user_id):
        fresh.system.board.switch_engines(True, whose)  # as a start left it that was carried out while a stop was pressed
    again = owner.post("/api/system/emergency-stop", body | {"reason": "again"})
    assert (again.status_code, again.json["halt_id"]) == (200, halt)
    assert not owner.get("/api/system/status").json["on"]
    shown = owner.get("/api/audit?action=emergency_stop").json["items"]
    assert [row["object_id"] for row in shown] == [halt, halt]


def test_an_owner_may_stop_only_what_is_the_owners(fresh: Rig) -> None:
    theirs = fresh.trader.account()["id"]
    assert fresh.owner.post("/api/system/emergency-stop", {"scope": "user"}).json["scope"] == "user"
    assert fresh.trader.buy(theirs)["orders"][0]["state"] == "filled"


def test_without_flatten_positions_stay(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account()["id"]
    trader.buy(account)
    halt = trader.post("/api/system/emergency-stop", {"flatten": False}).json["halt_id"]
    report = trader.get(f"/api/system/halts/{halt}").json["accounts"]
    assert [(row["open_positions"], row["state"]) for row in report] == [(1, "working")], "flat means no position"
    assert [row["quantity"] for row in trader.get("/api/positions").json["items"]] == ["10"]
    answer = trader.post(f"/api/accounts/{account}/square-off")
    assert [order["state"] for order in answer.json["orders"]] == ["filled"], "a person may still square off"


@pytest.mark.parametrize("route", ["start", "stop", "emergency-stop"])
def test_a_trader_may_not_reach_for_the_system(trader: Person, route: str) -> None:
    assert trader.post(f"/api/system/{route}", {"scope": "system"}).status_code == 403


@pytest.mark.usefixtures("still")
def test_guessing_the_password_of_a_lift_is_slowed_down(fresh: Rig) -> None:
    halt = fresh.trader.post("/api/system/emergency-stop").json["halt_id"]
    path = f"/api/system/halts/{halt}/lift"
    codes = [fresh.trader.post(path, {"password": f"guess number {number}"}).status_code for number in range(7)]
    assert codes == [403] * 5 + [429] * 2
    late = fresh.trader.post(path, {"password": PASSWORD})
    seconds = int(late.headers["Retry-After"])
    assert 0 < seconds <= 60
    assert "wrong passwords" in late.json["detail"]
    assert f" {seconds} s" in late.json["detail"]


def test_the_outbox_is_the_owner_s_to_watch(fresh: Rig) -> None:
    told = fresh.owner.get("/metrics").text
    assert {'tandem_messages{state="pending"} 0', 'tandem_messages{state="dead"} 0'} <= set(told.splitlines())
    assert "tandem_messages_oldest_seconds 0" in told
    assert "tandem_messages" not in fresh.trader.get("/metrics").text


def test_health_needs_no_token_and_metrics_name_nobody(rig: Rig) -> None:
    account = rig.trader.account()["id"]
    assert rig.nobody.get("/healthz").json == {"status": "ok"}
    assert rig.nobody.get("/metrics").status_code == 401
    answer = rig.owner.get("/metrics")
    assert answer.content_type.startswith("text/plain")
    assert "tandem_accounts{" in answer.text
    assert account not in answer.text
    assert rig.trader.user.user_id not in answer.text
    for line in answer.text.splitlines():
        assert line.startswith("#") or float(line.rsplit(" ", 1)[1]) == float(line.rsplit(" ", 1)[1])


def test_lanes_of_others_are_not_shown(rig: Rig) -> None:
    account = rig.trader.account()["id"]
    assert f"lane {account}" in rig.trader.get("/api/system/status").json["engines"]
    assert account not in rig.owner.get("/api/system/status").text


def numbers(person: Person) -> dict[str, float]:
    lines = person.get("/metrics").text.splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_only_the_owner_counts_what_is_others(fresh: Rig) -> None:
    mine = fresh.trader.account()["id"]
    for _ in range(2):
        theirs = fresh.other.account()["id"]
        fresh.other.buy(theirs, stop_loss={"pct": "20"})
    for person, accounts, armed in ((fresh.trader, 1, 0), (fresh.viewer, 0, 0), (fresh.other, 2, 2), (fresh.owner, 3, 2)):
        status = person.get("/api/system/status").json
        assert status["accounts"] == {"total": accounts, "connected": accounts, "halted": 0}
        assert status["engines"]["execution"]["detail"] == f"{accounts} lanes"
        assert status["extra"]["armed_plans"] == armed
        metrics = numbers(person)
        assert (metrics['tandem_accounts{state="total"}'], metrics['tandem_lanes{state="all"}']) == (accounts, accounts)
    assert [name for name in fresh.trader.get("/api/system/status").json["engines"] if name.startswith("lane ")] == [f"lane {mine}"]


def test_anothers_stop_is_not_counted(fresh: Rig) -> None:
    fresh.other.account()
    fresh.other.post("/api/system/emergency-stop")
    assert numbers(fresh.trader)["tandem_halts"] == 0
    assert numbers(fresh.other)["tandem_halts"] == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/healthz"), ("POST", "/metrics"), ("DELETE", "/healthz"), ("PUT", "/login"), ("POST", "/api/system/status")],
)
def test_a_wrong_method_is_said_before_anything_else(rig: Rig, method: str, path: str) -> None:
    answer = rig.nobody.call(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_real_prices_that_fall_silent_are_told_beside_the_feed(fresh: Rig) -> None:
    def trouble() -> str:
        return str(fresh.trader.get("/api/system/status").json["feed"]["trouble"])

    log = fresh.system.incident_log
    log.raise_("prices_full", "warning", "More are wanted than may be carried")
    assert trouble() == ""
    log.raise_("prices_zerodha", "warning", "The price stream of Zerodha broke off")
    assert trouble() == "Zerodha prices silent"
    log.raise_("prices_angelone", "warning", "The price stream of Angel One broke off")
    assert trouble() == "Angel One and Zerodha prices silent"
    log.resolve("prices_zerodha")
    log.resolve("prices_angelone")
    assert trouble() == ""

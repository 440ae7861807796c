"""Back-tests and sweeps over the API: asked, run in a process of their own, read, compared, taken away; and what is refused."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import pytest

from app.data import NewDataset
from app.workspace import EXTENSION, Workspace
from tests.api.rig import MACHINE, Person, Rig

SAMPLE = {"symbols": ["NSE:INFY", "NSE:SBIN"], "timeframe": "15m", "days": 8, "seed": 3}
ASKED = {"kind": "ema_cross", "params": {"fast": 3, "slow": 8, "direction": "both"}, "sample": SAMPLE, "checks": False}


class Turn:
    stopping = False

    def beat(self) -> None:
        pass

    def pause(self, seconds: float) -> bool:
        return threading.Event().wait(seconds)


def shop(rig: Rig) -> Workspace:
    return rig.app.extensions[EXTENSION]  # type: ignore[no-any-return]


def run_all(rig: Rig) -> None:
    while shop(rig).studies.turn(Turn()):
        pass


@pytest.fixture(scope="module")
def ran(rig: Rig) -> dict[str, Any]:
    """Two back-tests and a sweep of the trader, done: {name: as created}."""
    me = rig.trader
    account = me.account(name="Desk", capital="500000", max_trades_per_day=4)["id"]
    strategy = me.strategy(params={"fast": 3, "slow": 8}, timeframe="15m")["id"]
    me.mapping(account, strategy, sizing={"mode": "fixed_quantity", "value": "7"})
    made = {
        "kind": me.post("/api/backtests", {**ASKED, "name": "by kind", "checks": True}),
        "own": me.post(
            "/api/backtests",
            {
                "strategy_id": strategy,
                "sample": SAMPLE,
                "checks": False,
                "hours": "keep",
                "accounts": [{"account_id": account}, {"name": "Big", "capital": "9000000", "sizing": {"mode": "percent", "value": "10"}}],
            },
        ),
        "sweep": me.post("/api/backtests", {**ASKED, "sweep": {"grid": {"fast": "3,5", "slow": "5,12"}}}),
    }
    assert [answer.status_code for answer in made.values()] == [201, 201, 201], [answer.text for answer in made.values()]
    run_all(rig)
    return {"account": account, "strategy": strategy} | {name: answer.json for name, answer in made.items()}


def test_a_backtest_is_asked_waits_and_is_done(rig: Rig, ran: dict[str, Any]) -> None:
    assert (ran["kind"]["state"], ran["kind"]["progress"], ran["kind"]["about"]) == ("queued", 0.0, "EMA cross on INFY, SBIN")
    done = rig.trader.get(f"/api/backtests/{ran['kind']['id']}").json
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, "")
    assert done["asked"] == ASKED | {"name": "by kind", "checks": True}
    report = rig.trader.get(f"/api/backtests/{done['id']}/report").json["report"]
    assert report["result"]["net"] == done["summary"]["net"]
    assert report["checks"]["look_ahead"]["passed"]
    assert "trades" not in report
    trades = rig.trader.get(f"/api/backtests/{done['id']}/trades?limit=5").json
    assert trades["total"] == done["summary"]["trades"] >= len(trades["items"]) == 5
    later = rig.trader.get(f"/api/backtests/{done['id']}/trades?limit=2&offset=3").json["items"]
    assert later == trades["items"][3:]
    one = rig.trader.get(f"/api/backtests/{done['id']}/trades?symbol=NSE:SBIN").json
    assert {trade["symbol"] for trade in one["items"]} == {"NSE:SBIN"}
    chart = rig.trader.get(f"/api/backtests/{done['id']}/chart?symbol=NSE:SBIN").json
    assert (len(chart["bars"]), len(chart["trades"])) == (8 * 25, one["total"])
    assert rig.trader.get(f"/api/backtests/{done['id']}/chart?symbol=NSE:NOBODY").json["bars"] == []


def test_own_accounts_play_with_their_capital_limits_and_mapping(rig: Rig, ran: dict[str, Any]) -> None:
    report = rig.trader.get(f"/api/backtests/{ran['own']['id']}/report").json["report"]
    desk, big = report["accounts"]
    assert (desk["name"], desk["capital"], big["name"], big["capital"]) == ("Desk", "500000.00", "Big", "9000000.00")
    trades = rig.trader.get(f"/api/backtests/{ran['own']['id']}/trades?account_id={ran['account']}").json["items"]
    assert {trade["quantity"] for trade in trades} == {"7"}
    days = [trade["entry_at"][:10] for trade in trades]
    assert max(days.count(day) for day in days) <= 4
    assert {trade["entry_at"][:10] == trade["exit_at"][:10] for trade in trades} == {True}, "kept to the day"


def test_a_sweep_has_points_the_best_first_and_no_report(rig: Rig, ran: dict[str, Any]) -> None:
    path = f"/api/backtests/{ran['sweep']['id']}"
    done = rig.trader.get(path).json
    found = rig.trader.get(f"{path}/results").json
    assert (done["state"], done["points"], found["rank"], len(found["items"])) == ("done", 4, "net", 4)
    nets = [float(item["summary"]["net"]) for item in found["items"] if item["summary"]]
    assert nets == sorted(nets, reverse=True)
    assert done["summary"]["best"] == found["items"][0]["params"]
    assert found["items"][-1]["wrong"] == "ema_cross cannot run so: the fast average must have fewer candles than the slow one"
    assert rig.trader.get(f"{path}/report").status_code == 409
    assert rig.trader.get(f"/api/backtests/{ran['kind']['id']}/results").status_code == 409
    table = rig.trader.get(f"{path}/export?what=results&format=csv")
    assert table.text.splitlines()[0].startswith("fast,slow,kind,")


@pytest.mark.parametrize(
    ("what", "form", "kind", "begins"),
    [
        ("report", "html", "text/html", "<!doctype html>"),
        ("report", "json", "application/json", "{"),
        ("trades", "csv", "text/csv", ""),
        ("orders", "csv", "text/csv", ""),
        ("equity", "csv", "text/csv", ""),
    ],
)
def test_results_are_taken_away_as_files(rig: Rig, ran: dict[str, Any], what: str, form: str, kind: str, begins: str) -> None:
    answer = rig.trader.get(f"/api/backtests/{ran['kind']['id']}/export?what={what}&format={form}")
    assert (answer.status_code, answer.mimetype) == (200, kind)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tandem-by-kind-')
    assert answer.text.startswith(begins)
    assert len(answer.text) > 100
    assert rig.trader.get(f"/api/backtests/{ran['kind']['id']}/export?what=trades&format=html").status_code == 422


def test_several_are_compared(rig: Rig, ran: dict[str, Any]) -> None:
    found = rig.trader.get(f"/api/backtests/compare?ids={ran['kind']['id']},{ran['own']['id']}").json["items"]
    assert [item["study"]["id"] for item in found] == [ran["kind"]["id"], ran["own"]["id"]]
    for item in found:
        assert len(item["equity"]) == 8
        assert item["equity"][-1][1] == pytest.approx(item["study"]["summary"]["net_pct"], abs=0.001)
    assert rig.other.get(f"/api/backtests/compare?ids={ran['kind']['id']}").status_code == 404
    assert rig.trader.get(f"/api/backtests/compare?ids={ran['sweep']['id']}").status_code == 409


def test_lists_filter_and_names_change(rig: Rig, ran: dict[str, Any]) -> None:
    me: Person = rig.trader
    assert {item["kind"] for item in me.get("/api/backtests?kind=sweep").json["items"]} == {"sweep"}
    assert me.get("/api/backtests?state=running").json["items"] == []
    assert me.patch(f"/api/backtests/{ran['own']['id']}", {"name": "With my desk"}).json["name"] == "With my desk"
    assert rig.other.get("/api/backtests").json["items"] == []


def test_one_that_waits_is_cancelled_asked_again_and_deleted(rig: Rig) -> None:
    me = rig.other
    made = me.post("/api/backtests", ASKED).json
    path = f"/api/backtests/{made['id']}"
    assert me.get(f"{path}/report").status_code == 409
    assert me.post(f"{path}/cancel").json["state"] == "cancelled"
    assert me.post(f"{path}/cancel").status_code == 409
    again = me.post(f"{path}/again").json
    assert (again["state"], again["name"], again["asked"]) == ("queued", made["name"], made["asked"] | {"name": made["name"]})
    for each in (path, f"/api/backtests/{again['id']}"):
        assert me.delete(each).status_code == 204
        assert me.get(each).json["detail"] == "There is no such study."


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": None}, "kind"),
        ({"strategy_id": "x"}, "kind"),
        ({"kind": "nobody"}, "kind"),
        ({"params": {"fast": 0}}, "params.fast"),
        ({"params": {"fast": 30, "slow": 8}}, "params.fast"),
        ({"sample": None}, "data"),
        ({"sample": {**SAMPLE, "symbols": ["NSE:NOBODY"]}}, "sample"),
        ({"sample": {**SAMPLE, "timeframe": "1m", "days": 750}}, "sample"),
        ({"first": "2026-13-01"}, "first"),
        ({"first": "2026-05-02", "last": "2026-05-01"}, "last"),
        ({"accounts": [{"name": "without money"}]}, "accounts.0.capital"),
        ({"accounts": [{"capital": "-1"}]}, "accounts.0.capital"),
        ({"sweep": {"grid": {}}}, "sweep.grid"),
        ({"sweep": {"grid": {"nobody": "1:3"}}}, "sweep.grid.nobody"),
        ({"sweep": {"grid": {"fast": "9:1"}}}, "sweep.grid.fast"),
        ({"sweep": {"grid": {"fast": "0.5:1.5"}}}, "sweep.grid.fast"),
        ({"sweep": {"grid": {"fast": "1:300", "slow": "1:300"}}}, "sweep.grid"),
        ({"sweep": {"grid": {"fast": "1:3"}, "rank": "luck"}}, "sweep.rank"),
        ({"sweep": {"grid": {"fast": "1:3"}}, "walk_forward": {"grid": {"fast": "1:3"}}}, "walk_forward"),
        ({"walk_forward": {"grid": {"fast": "1:3"}, "train_days": 0}}, "walk_forward.train_days"),
    ],
)
def test_what_cannot_be_asked_is_said_beside_its_field(rig: Rig, changes: dict[str, Any], field: str) -> None:
    answer = rig.other.post("/api/backtests", {name: value for name, value in (ASKED | changes).items() if value is not None})
    assert answer.status_code == 422, answer.text
    assert field in answer.json["errors"], answer.json


@pytest.fixture(scope="module")
def may(rig: Rig) -> str:
    """One session of 5-minute candles, as a data set of the trader's."""
    path = rig.data.datasets.incoming()
    opens = 1777866300  # 2026-05-04 09:15 IST
    rows = "".join(f"NSE:INFY,{opens + 300 * n},100,101,99,{100 + n % 3},10\n" for n in range(75))
    path.write_bytes(gzip.compress(f"symbol,timestamp,open,high,low,close,volume\n{rows}".encode()))
    assert rig.trader.user
    made = NewDataset(path, "candles", 300, ("NSE:INFY",), 75, float(opens), opens + 74 * 300.0)
    return rig.data.datasets.add(rig.trader.user.user_id, "May, 5 min", made, by=MACHINE).dataset_id


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"symbol": "NSE:SBIN"}, "data.0.symbol", "NSE:SBIN is not in May, 5 min"),
        ({"first": "2026-05-05"}, "first", "May, 5 min has nothing then: it holds 2026-05-04 to 2026-05-04"),
        ({"last": "2026-05-03"}, "last", "May, 5 min has nothing then: it holds 2026-05-04 to 2026-05-04"),
        ({"timeframe": "1m"}, "timeframe", "1m candles cannot be made of the 5 min candles of May, 5 min"),
    ],
)
def test_what_the_data_cannot_give_is_refused_at_once(rig: Rig, may: str, changes: dict[str, Any], field: str, message: str) -> None:
    data = {"dataset_id": may} | {name: value for name, value in changes.items() if name == "symbol"}
    more = {name: value for name, value in changes.items() if name != "symbol"}
    asked = {name: value for name, value in ASKED.items() if name != "sample"}
    assert rig.trader.post("/api/backtests", {**asked, **more, "data": [data]}).json["errors"] == {field: [message]}


def test_a_report_names_the_data_set_not_its_file(rig: Rig, may: str) -> None:
    asked = {name: value for name, value in ASKED.items() if name != "sample"}
    made = rig.trader.post("/api/backtests", {**asked, "data": [{"dataset_id": may}]}).json
    run_all(rig)
    data = rig.trader.get(f"/api/backtests/{made['id']}/report").json["report"]["data"]
    assert (data["file"], [each["file"] for each in data["files"]]) == ("May, 5 min", ["May, 5 min"])
    page = rig.trader.get(f"/api/backtests/{made['id']}/export?what=report&format=html").text
    assert "May, 5 min" in page
    assert f"{may}.csv" not in page


def test_what_is_another_s_cannot_be_played(rig: Rig, ran: dict[str, Any]) -> None:
    for changes in ({"accounts": [{"account_id": ran["account"]}]}, {"data": [{"dataset_id": "nobody-s"}]}):
        assert rig.other.post("/api/backtests", ASKED | changes).status_code == 404
    body = {"strategy_id": ran["strategy"], "sample": SAMPLE}
    assert rig.other.post("/api/backtests", body).status_code == 404


def test_the_data_one_may_use_are_listed(rig: Rig) -> None:
    told = rig.viewer.get("/api/backtests/sources").json
    assert "NSE:INFY" in told["sample_symbols"]
    assert told["datasets"] == []

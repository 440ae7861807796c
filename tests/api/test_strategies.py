"""Strategies and their kinds."""

from __future__ import annotations

from tests.api.rig import Person


def test_kinds_come_with_the_schema_of_their_parameters(trader: Person) -> None:
    kinds = {row["kind"]: row for row in trader.get("/api/strategy-kinds").json["items"]}
    assert {"threshold", "ema_cross"} <= set(kinds)
    for row in kinds.values():
        assert set(row) == {"kind", "name", "description", "params_schema", "presets", "candles", "own_exits"}
        assert row["params_schema"]["type"] == "object"


def test_presets_are_parameters_that_the_kind_takes(trader: Person) -> None:
    kinds = {row["kind"]: row for row in trader.get("/api/strategy-kinds").json["items"]}
    assert [preset["id"] for preset in kinds["range_level"]["presets"]] == ["A", "A2", "B", "C", "D"]
    for preset in kinds["range_level"]["presets"]:
        made = trader.strategy(kind="range_level", params=preset["params"])
        assert {name: made["params"][name] for name in preset["params"]} == preset["params"]


def test_a_strategy_is_made_changed_and_deleted(trader: Person) -> None:
    plan = {"stop_loss": {"pct": "1"}, "targets": [{"pct": "2", "share_pct": "50"}, {"pct": "3"}], "cost_after_target": 1}
    made = trader.strategy(name="Cross", exit_plan=plan)
    assert made["active"] is False
    assert made["state"] == "off"
    assert made["exit_plan"]["stop_loss"] == {"price": None, "pct": "1", "points": None}
    assert [target["share_pct"] for target in made["exit_plan"]["targets"]] == ["50", "50"]
    assert made["params"], "defaults are filled in"
    changed = trader.patch(f"/api/strategies/{made['id']}", {"active": True, "exit_plan": None, "instruments": ["NSE:SBIN"]}).json
    assert (changed["active"], changed["exit_plan"], changed["instruments"]) == (True, None, ["NSE:SBIN"])
    assert trader.delete(f"/api/strategies/{made['id']}").status_code == 204
    assert trader.get(f"/api/strategies/{made['id']}").status_code == 404


def test_an_exit_plan_that_comes_out_may_go_in_again(trader: Person) -> None:
    plan = {"stop_loss": "1000", "targets": ["1100", "1200", "1300"], "trailing": {"mode": "step", "value": "5", "step": "10"}}
    made = trader.strategy(exit_plan=plan)
    again = trader.patch(f"/api/strategies/{made['id']}", {"exit_plan": made["exit_plan"]})
    assert again.status_code == 200, again.text
    assert again.json["exit_plan"] == made["exit_plan"]
    assert sum(float(target["share_pct"]) for target in made["exit_plan"]["targets"]) == 100


def test_parameters_are_checked_by_the_kind(trader: Person) -> None:
    body = {"name": "x", "kind": "ema_cross", "params": {"fast": "quick", "colour": 1}, "timeframe": "1m", "instruments": ["NSE:INFY"]}
    answer = trader.post("/api/strategies", body)
    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {"params.fast", "params.colour"}


def test_strategies_filter_by_field(trader: Person) -> None:
    made = trader.strategy(timeframe="15m", instruments=["NSE:WIPRO"])
    found = trader.get("/api/strategies?timeframe=15m&instrument=NSE:WIPRO").json["items"]
    assert made["id"] in {row["id"] for row in found}
    assert all(row["timeframe"] == "15m" for row in found)


def test_a_strategy_keeps_its_kind_and_what_it_does(trader: Person) -> None:
    made = trader.strategy(params={"fast": 5, "slow": 20})
    path = f"/api/strategies/{made['id']}"
    for body in ({"kind": "threshold"}, {"kind": "threshold", "params": {}}, {"kind": "no such"}):
        answer = trader.patch(path, {"name": "Another", **body})
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["kind"]), answer.text
    assert trader.get(path).json == made
    changed = trader.patch(path, {"kind": "ema_cross", "params": {"fast": 6, "slow": 20}})
    assert (changed.status_code, changed.json["params"]["fast"]) == (200, 6)

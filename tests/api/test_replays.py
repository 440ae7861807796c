"""A replay over the API: a day of a data set through the whole engine in a process of its own, on copies that touch nobody's books."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.data import NewDataset
from app.replays import Replay, Replays
from tests.api.rig import MACHINE, Rig

NIFTY = Path("../shared/data/nifty50_1min_2024.csv.gz")
SYMBOL = "NSE:NIFTY 50"
OPENING = 1704167100.0  # 2024-01-02 09:15 IST
BODY = {"day": "2024-01-03", "speed": 0}


@pytest.fixture(scope="module")
def dataset_id(rig: Rig) -> Iterator[str]:
    """Two days of NIFTY as a data set of the trader's."""
    datasets = rig.data.datasets
    with gzip.open(NIFTY, "rt") as whole:
        head, *rows = (line for line in whole if line.startswith(("datetime", "2024-01-02", "2024-01-03")))
    path = datasets.incoming()
    with gzip.open(path, "wt") as file:
        file.write(f"symbol,{head}")
        file.writelines(f"{SYMBOL},{row}" for row in rows)
    assert rig.trader.user
    made = NewDataset(path, "candles", 60, (SYMBOL,), len(rows), OPENING, OPENING + 86_400 + 374 * 60)
    yield datasets.add(rig.trader.user.user_id, "NIFTY", made, by=MACHINE).dataset_id
    rig.app.extensions["tandem"].replays.close()


@pytest.fixture(scope="module")
def mapped(rig: Rig) -> dict[str, Any]:
    """Two accounts that a strategy trades on, one of them with automatic trading off: a replay trades on both."""
    strategy = rig.trader.strategy(
        instruments=[SYMBOL], params={"fast": 9, "slow": 21, "direction": "both"}, exit_plan={"stop_loss": {"pct": "0.1"}}
    )
    rules = {"keep": True}
    accounts = [rig.trader.account(auto_trade=on, day_rules=rules)["id"] for on in (True, False)]
    for account in accounts:
        rig.trader.mapping(account, strategy["id"])
    return {"strategy_ids": [strategy["id"]], "account_ids": accounts}


def until(rig: Rig, replay_id: str, *states: str) -> dict[str, Any]:
    """Every frame together, once the replay is in one of these states."""
    pause = threading.Event()
    for _ in range(2400):
        told: dict[str, Any] = rig.trader.get(f"/api/replays/{replay_id}").json
        if told["state"] in states:
            return told
        pause.wait(0.05)
    raise AssertionError(told["state"])


def test_a_day_is_played_on_copies_and_seen_piece_by_piece(rig: Rig, dataset_id: str, mapped: dict[str, Any]) -> None:
    answer = rig.trader.post("/api/replays", {**BODY, **mapped, "dataset_id": dataset_id, "paused": True})
    assert answer.status_code == 201, answer.text
    replay_id = answer.json["id"]
    assert until(rig, replay_id, "paused")["progress"] < 0.01

    rig.trader.post(f"/api/replays/{replay_id}/control", {"do": "go"})
    told = until(rig, replay_id, "done")
    assert told["progress"] == 1
    assert sum(candle["start"] >= OPENING + 86_400 for candle in told["candles"]) == 375
    assert [account["account_id"] for account in told["accounts"]] == mapped["account_ids"]
    both = [account["net"] for account in told["accounts"]]
    assert both[0] == both[1] != "0.00"
    assert {order["role"] for order in told["orders"]} >= {"entry", "stop", "square_off"}
    assert any("square_off" in line and "15:1" in line for line in told["log"])

    again = rig.trader.get(f"/api/replays/{replay_id}?after={told['number']}").json
    assert (again["log"], again["candles"], again["orders"]) == ([], [], [])
    for account in mapped["account_ids"]:
        assert rig.trader.get(f"/api/accounts/{account}/orders").json["items"] == []
    assert rig.trader.delete(f"/api/replays/{replay_id}").status_code == 204
    rows = rig.trader.get(f"/api/audit?object_kind=replay&object_id={replay_id}").json["items"]
    assert [row["action"] for row in rows] == ["replay.deleted", "replay.go", "replay.started"]
    assert (rows[-1]["after"]["day"], rows[-1]["after"]["account_ids"]) == (BODY["day"], mapped["account_ids"])
    assert rig.trader.get(f"/api/replays/{replay_id}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"day": "2024-01-09"}, "day"),
        ({"day": "2024-13-01"}, "day"),
        ({"last_day": "2024-02-01"}, "last_day"),
        ({"speed": -1}, "speed"),
        ({"strategy_ids": []}, "strategy_ids"),
    ],
)
def test_what_cannot_be_played_is_told_by_field(
    rig: Rig, dataset_id: str, mapped: dict[str, Any], wrong: dict[str, Any], field: str
) -> None:
    answer = rig.trader.post("/api/replays", {**BODY, **mapped, "dataset_id": dataset_id, **wrong})
    assert answer.status_code == 422
    assert field in answer.json["errors"]


def test_a_strategy_whose_instruments_the_data_lacks_or_that_is_not_mapped_is_told(
    rig: Rig, dataset_id: str, mapped: dict[str, Any]
) -> None:
    other, lone = rig.trader.strategy(), rig.trader.account()["id"]
    for wrong, field in (({"strategy_ids": [other["id"]]}, "strategy_ids"), ({"account_ids": [lone]}, "account_ids")):
        answer = rig.trader.post("/api/replays", {**BODY, **mapped, "dataset_id": dataset_id, **wrong})
        assert field in answer.json["errors"]


def test_rows_bear_the_frame_that_told_them_last(rig: Rig) -> None:
    replay = Replay("R", "U", "x", "D", None, 0.0)  # type: ignore[arg-type]
    order = {"order_id": "O1", "state": "open"}
    replay.take({"state": "playing", "progress": 0.1, "orders": [order], "log": ["one"]})
    replay.take({"state": "playing", "progress": 0.2, "orders": [order], "log": []})
    replay.take(
        {"state": "playing", "progress": 0.3, "orders": [{**order, "state": "filled"}, {"order_id": "O2", "state": "open"}], "log": ["two"]}
    )
    assert [row["order_id"] for row in replay.since(0)["orders"]] == ["O1", "O2"]
    assert replay.since(0)["log"] == ["one", "two"]
    assert (replay.since(1)["orders"], replay.since(1)["log"]) == (replay.since(2)["orders"], ["two"])
    assert replay.since(3) == {
        "state": "playing",
        "progress": 0.3,
        "candles": [],
        "orders": [],
        "positions": [],
        "accounts": [],
        "log": [],
        "number": 3,
    }


def test_a_replay_whose_process_dies_is_told_and_only_so_many_run(rig: Rig, dataset_id: str, mapped: dict[str, Any]) -> None:
    body = {**BODY, **mapped, "dataset_id": dataset_id, "speed": 1, "paused": True}
    one, two = (rig.trader.post("/api/replays", body).json["id"] for _ in range(2))
    assert rig.trader.post("/api/replays", body).status_code == 409
    replays: Replays = rig.app.extensions["tandem"].replays
    assert rig.trader.user
    process = replays.get(rig.trader.user.user_id, one).process
    assert process is not None
    process.kill()
    assert until(rig, one, "failed")["failed"] == "the replay ended without a word"
    assert rig.trader.post(f"/api/replays/{two}/control", {"do": "stop"}).json["state"] == "stopped"
    assert rig.trader.get(f"/api/audit?object_id={two}").json["items"][0]["action"] == "replay.stopped"


def test_a_sample_is_made_of_the_simulated_market_and_a_day_that_it_lacks_is_told(rig: Rig) -> None:
    answer = rig.trader.post("/api/datasets/sample", {"symbols": ["NSE:INFY"], "days": 3})
    assert answer.status_code == 201, answer.text
    sample = answer.json
    assert (sample["name"], sample["rows"], sample["missing"]) == ("Sample market", 3 * 375, 0)
    assert sample["report"]["days"] == ["2026-06-25", "2026-06-29", "2026-06-30"]
    assert "symbols" in rig.trader.post("/api/datasets/sample", {"symbols": ["NSE:NOWHERE"]}).json["errors"]
    written = rig.trader.get("/api/audit?action=dataset.added&object_kind=dataset").json["items"]
    assert written[0]["object_id"] == sample["id"]

    strategy, account = rig.trader.strategy(instruments=["NSE:INFY"])["id"], rig.trader.account()["id"]
    rig.trader.mapping(account, strategy)
    body = {"dataset_id": sample["id"], "strategy_ids": [strategy], "account_ids": [account]}
    for days, field, words in (
        ({"day": "2026-06-27"}, "day", "the next day that it has is 2026-06-29"),
        ({"day": "2026-06-30", "last_day": "2026-06-29"}, "last_day", "before the first"),
    ):
        assert words in rig.trader.post("/api/replays", {**body, **days}).json["errors"][field][0]

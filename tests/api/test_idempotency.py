"""Idempotency-Key: the same answer again, and nothing done twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.api.rig import Person, Rig


def new(name: str) -> dict[str, str]:
    return {"name": name, "broker": "paper", "capital": "1000"}


def keyed(person: Person, path: str, body: object, key: str):
    return person.post(path, body, headers={"Idempotency-Key": key})


def test_a_repeat_returns_the_first_answer(trader: Person) -> None:
    first = keyed(trader, "/api/accounts", new("Once 1"), "k-1")
    again = keyed(trader, "/api/accounts", dict(reversed(new("Once 1").items())), "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content_type == first.content_type
    other = keyed(trader, "/api/accounts", new("Once 2"), "k-2")
    assert other.json["id"] != first.json["id"]


def test_another_body_under_the_same_key_is_refused(trader: Person) -> None:
    keyed(trader, "/api/accounts", new("Once 3"), "k-3")
    answer = keyed(trader, "/api/accounts", new("Once 3") | {"capital": "2000"}, "k-3")
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["Idempotency-Key"])


def test_keys_are_each_users_and_each_routes_own(rig: Rig) -> None:
    first = keyed(rig.trader, "/api/accounts", new("Once 4"), "k-4")
    assert keyed(rig.other, "/api/accounts", new("Once 4"), "k-4").json["id"] != first.json["id"]
    assert keyed(rig.trader, "/api/tokens", {"name": "Once"}, "k-4").status_code == 201


def test_a_refused_request_may_be_corrected_under_its_key(trader: Person) -> None:
    assert keyed(trader, "/api/accounts", new("Once 5") | {"capital": "-1"}, "k-5").status_code == 422
    assert keyed(trader, "/api/accounts", new("Once 5"), "k-5").status_code == 201


def test_a_key_protects_orders_too(trader: Person) -> None:
    account = trader.account()["id"]
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10", "wait_ms": 30_000}
    first = keyed(trader, "/api/signals/manual", body, f"o-{account}")
    again = keyed(trader, "/api/signals/manual", body, f"o-{account}")
    assert again.json == first.json
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["quantity"] == "10"


def test_ten_at_once_under_one_key_are_one_order(trader: Person) -> None:
    account = trader.account()["id"]
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10", "wait_ms": 30_000}
    answers = []

    def send() -> None:
        answers.append(keyed(Person(trader.rig, trader.user, trader.token), "/api/signals/manual", body, f"t-{account}"))

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["quantity"] == "10"


@pytest.mark.parametrize(("path", "secret"), [("/api/tokens", "token"), ("/api/webhooks", "secret")])
def test_an_answer_with_a_secret_is_repeated_and_never_kept_in_clear(trader: Person, path: str, secret: str) -> None:
    body = {"name": "Sealed"} if path == "/api/tokens" else {"name": "Sealed", "strategy_id": trader.strategy()["id"]}
    first = keyed(trader, path, body, "k-sealed")
    again = keyed(trader, path, body, "k-sealed")
    assert (first.status_code, again.data, again.headers["Idempotency-Replayed"]) == (201, first.data, "true")
    with trader.rig.data.idempotency.store.readers.use() as db:
        (kept,) = db.execute("SELECT * FROM idempotency WHERE route = ? AND key = 'k-sealed'", (f"POST {path}",)).fetchall()
    assert kept["sealed"] is not None
    assert first.json[secret] not in str(tuple(kept))


def test_the_first_answer_survives_a_restart(tmp_path: Path) -> None:
    with Rig(tmp_path / "data") as rig:
        first = keyed(rig.trader, "/api/accounts", new("Once 6"), "k-6")
    with Rig(tmp_path / "data") as rig:
        assert keyed(rig.trader, "/api/accounts", new("Once 6"), "k-6").data == first.data
        assert len(rig.trader.get("/api/accounts").json["items"]) == 1


def test_work_that_a_crash_cut_short_sends_nothing_twice(tmp_path: Path) -> None:
    """The order went out, the answer was not remembered: the repeat finds the first order by the signal id that the key stands for."""
    with Rig(tmp_path / "data") as rig:
        account = rig.trader.account()["id"]
        body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10", "wait_ms": 30_000}
        first = keyed(rig.trader, "/api/signals/manual", body, "k-7").json
        rig.data.idempotency.abandon(rig.trader.user.user_id, "POST /api/signals/manual", "k-7")
        rig.data.journal.run(lambda db: db.execute("DELETE FROM idempotency"))
    with Rig(tmp_path / "data") as rig:
        again = keyed(rig.trader, "/api/signals/manual", body, "k-7").json
        assert [order["order_id"] for order in again["orders"]] == [order["order_id"] for order in first["orders"]]
        assert again["duplicate"] is True


def test_keys_have_a_shape(trader: Person) -> None:
    for key in ("x" * 256, ""):
        answer = keyed(trader, "/api/accounts", new("Never"), key)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["Idempotency-Key"])

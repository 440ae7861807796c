"""The older multi-account addresses: the same things as ours, by the same rules, in their words."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from app.api.blueprint import operations
from app.api.multi_account.schemas import KINDS
from tests.api.rig import Person

ROOT = "/api/bot/multi-account"
SECRETS = {"api_key": "multi-key-abcdefgh", "api_secret": "multi-secret-abcdefgh-canary"}
_keys = itertools.count(1)


def key(person: Person, status: int = 201, **changes: Any) -> Any:
    body = {"name": f"Key {next(_keys)}", "exchange": "paper", **changes}
    answer = person.post(f"{ROOT}/api-keys", {name: value for name, value in body.items() if value is not None})
    assert answer.status_code == status, answer.text
    return answer.json


def test_every_one_of_the_seed_routes_is_there() -> None:
    assert {f"{one.method} {one.path.removeprefix(ROOT)}" for one in operations() if one.path.startswith(ROOT)} == {
        "POST /api-keys", "GET /api-keys", "PATCH /api-keys/{id}", "DELETE /api-keys/{id}", "POST /api-keys/{id}/verify",
        "GET /orders", "GET /dashboard", "GET /accounts/{id}/balance",
    }  # fmt: skip


def test_the_life_of_an_api_key(trader: Person) -> None:
    made = key(trader, label="Old client", name=None, capital="250000", leverage=3, is_active=True)
    path = f"{ROOT}/api-keys/{made['id']}"
    assert (made["name"], made["broker"], made["capital"], made["leverage"], made["auto_trade"]) == (
        "Old client",
        "paper",
        "250000",
        "3",
        False,
    )
    assert trader.get(f"/api/accounts/{made['id']}").json["name"] == "Old client"
    assert made["id"] in {row["id"] for row in trader.get(f"{ROOT}/api-keys?limit=500").json["items"]}
    changed = trader.patch(path, {"label": "Renamed", "is_active": False}).json
    assert (changed["name"], changed["enabled"], changed["state"], changed["capital"]) == ("Renamed", False, "disabled", "250000")
    assert trader.patch(path, {"is_active": True}).json["enabled"] is True
    verified = trader.post(f"{path}/verify").json
    assert (verified["state"], verified["checks"][0]["ok"]) == ("ready", True)
    order = trader.bought(made["id"])
    assert order["order_id"] in {row["order_id"] for row in trader.get(f"{ROOT}/orders?account_id={made['id']}").json["items"]}
    ours, theirs = (trader.get(f"{root}/accounts/{made['id']}/balance").json for root in ("/api", ROOT))
    assert set(ours) == set(theirs)
    board = trader.get(f"{ROOT}/dashboard").json
    assert made["id"] in {row["id"] for row in board["accounts"]}
    assert made["id"] in {row["account_id"] for row in board["positions"]}
    assert (board["orders"][0]["order_id"], board["active"] >= board["connected"] > 0) == (order["order_id"], True)
    assert trader.delete(path).status_code == 409  # it holds something
    trader.post(f"/api/accounts/{made['id']}/square-off")
    assert trader.delete(path).status_code == 204


def test_an_inactive_key_takes_no_part(trader: Person) -> None:
    assert key(trader, is_active=False)["state"] == "disabled"


def test_a_live_key_is_masked_dry_and_without_auto_trade(trader: Person) -> None:
    made = key(trader, exchange="binance", testnet=True, passphrase="", **SECRETS)
    assert (made["broker"], made["dry_run"], made["auto_trade"], made["capital"]) == ("binance_usdm", True, False, "1000")
    assert made["credentials"] == {"api_key": "mul…fgh", "api_secret": "•••", "testnet": "true"}
    path = f"{ROOT}/api-keys/{made['id']}"
    assert (refused := trader.patch(path, {"dry_run": False})).status_code == 422, refused.text
    assert list(refused.json["errors"]) == ["confirm"]
    changed = trader.patch(path, {"api_secret": "another-secret-abcdefgh"}).json
    assert changed["credentials"]["api_key"] == "mul…fgh"  # what is left out stays
    assert trader.rig.data.accounts.credentials(made["id"])["api_secret"] == "another-secret-abcdefgh"
    text = trader.get(f"{ROOT}/api-keys?limit=500").text + trader.get(f"{ROOT}/dashboard").text
    assert SECRETS["api_secret"] not in text
    assert SECRETS["api_key"] not in text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"label": "two names"}, "label"),
        ({"exchange": None}, "exchange"),
        ({"exchange": "bybit"}, "exchange"),
        ({"broker": "zerodha"}, "broker"),
        ({"passphrase": "x"}, "passphrase"),
        ({"exchange": "binance", "api_key": "abcdefgh"}, "credentials.api_secret"),
        ({"leverage": 500}, "leverage"),
        ({"user_id_of_owner": "x"}, "user_id_of_owner"),
    ],
)
def test_what_does_not_fit_is_refused_beside_the_field(trader: Person, changes: dict[str, Any], field: str) -> None:
    assert list(key(trader, 422, **changes)["errors"]) == [field]


def test_every_name_of_an_exchange_is_one_of_our_brokers() -> None:
    assert set(KINDS.values()) == {"paper", "zerodha", "angelone", "binance_spot", "binance_usdm"}

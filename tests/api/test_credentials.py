"""Credentials over the API: shown once to whoever types their password, entered again field by field, and tried at the broker thing by thing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engines.ports import Balance, BrokerTraits, NeedsLogin, Profile, Refused, Retry
from tests.api.rig import PASSWORD, Person, Rig
from tests.support.broker import QuietBroker

SECRET = "reveal-me-secret-abcdef"
_apps = itertools.count(200_000)


def kite(trader: Person) -> dict[str, Any]:
    keys = {"api_key": f"reveal-me-{next(_apps)}", "api_secret": SECRET}
    return trader.account(name=f"Kite {next(_apps)}", broker="zerodha", credentials=keys, auto_trade=False) | {"keys": keys}


def test_the_clear_values_come_after_the_password_and_into_the_log_and_are_kept_nowhere(trader: Person) -> None:
    account = kite(trader)
    path = f"/api/accounts/{account['id']}/credentials/reveal"
    shown = trader.post(path, {"password": PASSWORD}, headers={"Idempotency-Key": f"reveal-{account['id']}"})
    assert (shown.status_code, shown.json, shown.headers["Cache-Control"]) == (200, {"credentials": account["keys"]}, "no-store")
    again = trader.post(path, {"password": PASSWORD}, headers={"Idempotency-Key": f"reveal-{account['id']}"})
    assert (again.status_code, SECRET in again.text) == (409, False)
    newest = trader.rig.data.audit.list(trader.user.user_id).items[0]
    assert (newest.action, newest.object_id, newest.after) == (
        "account.credentials_shown",
        account["id"],
        {"names": ["api_key", "api_secret"]},
    )
    for address in ("/api/audit?limit=500", "/api/accounts", f"/api/accounts/{account['id']}", "/api/export"):
        assert SECRET not in trader.get(address).text


@pytest.mark.usefixtures("still")
def test_a_wrong_password_shows_nothing_and_is_as_slow_as_at_sign_in(fresh: Rig) -> None:
    trader = fresh.trader
    path = f"/api/accounts/{kite(trader)['id']}/credentials/reveal"
    for body in ({}, {"password": ""}, {"password": PASSWORD, "more": 1}):
        assert trader.post(path, body).status_code == 422
    for _ in range(5):
        wrong = trader.post(path, {"password": "not it"})
        assert (wrong.status_code, wrong.json["errors"]) == (403, {"password": ["is wrong"]})
    slowed = trader.post(path, {"password": PASSWORD})
    assert (slowed.status_code, int(slowed.headers["Retry-After"]) > 0) == (429, True)
    assert not fresh.data.audit.list(trader.user.user_id, action="account.credentials_shown").items


def test_what_is_anothers_is_not_shown_whatever_the_password(trader: Person) -> None:
    path = f"/api/accounts/{kite(trader)['id']}/credentials/reveal"
    for person, status in ((trader.rig.other, 404), (trader.rig.owner, 404), (trader.rig.viewer, 403), (trader.rig.nobody, 401)):
        answer = person.post(path, {"password": PASSWORD})
        assert (answer.status_code, SECRET in answer.text) == (status, False)


def test_what_no_key_opens_is_said_and_can_be_entered_again(fresh: Rig) -> None:
    trader = fresh.trader
    account = kite(trader)
    sql = "UPDATE accounts SET credentials = x'00' WHERE account_id = ?"
    fresh.data.journal.run(lambda db: db.execute(sql, (account["id"],)))
    lost = trader.post(f"/api/accounts/{account['id']}/credentials/reveal", {"password": PASSWORD})
    assert (lost.status_code, "enter them again" in lost.json["detail"]) == (409, True)
    half = trader.patch(f"/api/accounts/{account['id']}", {"credentials": {"api_secret": SECRET}})
    assert (half.status_code, half.json["errors"]) == (422, {"credentials.api_key": ["is required"]})
    again = trader.patch(f"/api/accounts/{account['id']}", {"credentials": account["keys"]})
    assert again.status_code == 200, again.text
    shown = trader.post(f"/api/accounts/{account['id']}/credentials/reveal", {"password": PASSWORD})
    assert shown.json["credentials"] == account["keys"]


def test_only_what_is_entered_again_changes(trader: Person) -> None:
    account = kite(trader)
    path = f"/api/accounts/{account['id']}"
    assert trader.patch(path, {"credentials": {"password": "a-new-password-of-the-broker"}}).status_code == 200
    shown = trader.post(f"{path}/credentials/reveal", {"password": PASSWORD}).json["credentials"]
    assert shown == {**account["keys"], "password": "a-new-password-of-the-broker"}
    assert trader.patch(path, {"credentials": {"password": None}}).status_code == 200
    assert trader.post(f"{path}/credentials/reveal", {"password": PASSWORD}).json["credentials"] == account["keys"]
    assert trader.patch(path, {"credentials": {"pin": "1234"}}).status_code == 422


MASKED = ["is what is shown, not what is stored: leave it out to keep what is stored"]


def test_what_is_shown_masked_and_written_back_changes_nothing(trader: Person) -> None:
    account = kite(trader)
    path, keys = f"/api/accounts/{account['id']}", account["keys"]
    shown = account["credentials"]
    assert shown == {"api_key": f"{keys['api_key'][:3]}…{keys['api_key'][-3:]}", "api_secret": "•••"}
    rows: list[tuple[dict[str, Any], int, dict[str, str]]] = [
        (shown, 200, keys),
        ({**shown, "password": "another-secret-of-kite"}, 200, {**keys, "password": "another-secret-of-kite"}),
        ({"api_key": "abc…xyz"}, 422, {"api_key": "x"}),
        ({"api_secret": "••••••"}, 422, {"api_secret": "x"}),
        ({"totp_secret": "•••"}, 422, {"totp_secret": "x"}),  # nothing is stored of which this could be shown
    ]
    for sent, status, then in rows:
        answer = trader.patch(path, {"name": account["name"], "credentials": sent})
        assert answer.status_code == status, answer.text
        if status == 422:
            assert answer.json["errors"] == {f"credentials.{name}": MASKED for name in then}
        else:
            assert trader.post(f"{path}/credentials/reveal", {"password": PASSWORD}).json["credentials"] == then
    changed = trader.rig.data.audit.list(trader.user.user_id, action="account.credentials_changed", limit=500).items
    assert [row.after for row in changed if row.object_id == account["id"]] == [{"names": ["password"]}]
    new = {"name": "Masked", "broker": "zerodha", "capital": "1000", "credentials": shown}
    assert trader.post("/api/accounts", new).status_code == 422
    del new["broker"], new["credentials"]
    assert set(trader.post("/api/accounts/create-zerodha", {**new, **shown}).json["errors"]) == set(shown)


# --- verify --------------------------------------------------------------------------------------------------------


class Talkative(QuietBroker):
    """A broker whose answers a test writes."""

    traits = BrokerTraits()
    refuses: Exception | None = None
    funds: Balance | Exception = Balance(Decimal(1000), Decimal(0), Decimal(1000), Decimal(1000), "USDT")
    said = Profile("AB1234", exchanges=("NSE", "NFO"), products=("MIS",))
    held: Sequence[Any] | Exception = ()

    def connect(self, on_report: object) -> None:
        if self.refuses is not None:
            raise self.refuses

    def balance(self) -> Balance:
        return _said(self.funds)

    def profile(self) -> Profile:
        return self.said

    def order_book(self) -> Any:
        return []

    def positions(self) -> Any:
        return _said(self.held)

    def stream_key(self) -> None:
        return None

    def keep_alive(self) -> None:
        return None

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None


def _said(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


WARNED = Profile("1", warnings=("The key works from any address: limit it to this machine's at Binance.",))
TESTNET = Profile("1", warnings=("A test account: what its key may do cannot be checked.",))
NAMES = ["signed_in", "balance", "order_book", "market_data", "may_trade", "withdrawals", "address", "instruments"]
CASES: list[tuple[str, dict[str, Any], dict[str, bool | None]]] = [
    (
        "zerodha",
        {},
        {
            "signed_in": True,
            "balance": True,
            "order_book": True,
            "market_data": False,
            "may_trade": True,
            "withdrawals": True,
            "address": None,
        },
    ),
    (
        "zerodha",
        {"refuses": NeedsLogin("log in")},
        {"signed_in": False, "balance": None, "order_book": None, "may_trade": None, "withdrawals": True},
    ),
    ("zerodha", {"funds": Retry("the margins do not come")}, {"signed_in": True, "balance": False, "order_book": True}),
    ("binance_spot", {}, {"signed_in": True, "market_data": True, "withdrawals": True, "address": True}),
    ("binance_spot", {"said": WARNED}, {"signed_in": True, "withdrawals": True, "address": False}),
    ("binance_spot", {"said": TESTNET}, {"signed_in": True, "withdrawals": None, "address": None}),
    (
        "binance_spot",
        {"refuses": Refused("this key can withdraw: switch that off")},
        {"signed_in": False, "withdrawals": False, "address": None},
    ),
    ("binance_spot", {"held": Retry("no positions")}, {"signed_in": True, "balance": True, "order_book": False}),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Talkative] = {}

    def make(account: Any, _credentials: object) -> Talkative:
        return made.setdefault(account.name, Talkative())

    with Rig(tmp_path_factory.mktemp("verify") / "data", brokers=dict.fromkeys(("zerodha", "binance_spot"), make)) as rig:
        yield rig, made


@pytest.mark.parametrize(("broker", "answers", "expected"), CASES)
def test_verify_says_thing_by_thing_what_works_and_what_to_do(
    house: tuple[Rig, dict[str, Talkative]], broker: str, answers: dict[str, Any], expected: dict[str, bool | None]
) -> None:
    rig, made = house
    name = f"Verify {next(_apps)}"
    made[name] = Talkative()
    for attribute, value in answers.items():
        setattr(made[name], attribute, value)
    keys = {"api_key": f"verify-{next(_apps)}", "api_secret": SECRET}
    account = rig.trader.account(name=name, broker=broker, credentials=keys, auto_trade=False)
    told = rig.trader.post(f"/api/accounts/{account['id']}/verify").json
    checks = {check["name"]: check for check in told["checks"]}
    assert list(checks) == NAMES
    assert {name: checks[name]["ok"] for name in expected} == expected, checks
    assert all(check["remedy"] for check in checks.values() if check["ok"] is False), checks
    assert all(check["says"] for check in checks.values())
    assert "AB1234" not in str(checks)


def test_verify_of_paper_says_what_there_is(trader: Person) -> None:
    told = trader.post(f"/api/accounts/{trader.account()['id']}/verify").json
    assert [(check["name"], check["ok"]) for check in told["checks"]] == [(name, True) for name in NAMES[:5]]
    assert told["state"] == "ready"


def test_an_address_that_this_machine_does_not_have_is_found(tmp_path: Path) -> None:
    with Rig(tmp_path / "data") as rig:
        account = kite(rig.trader)
        sql = "UPDATE accounts SET source_address = '192.0.2.99' WHERE account_id = ?"
        rig.data.accounts.store.write(lambda db: db.execute(sql, (account["id"],)))
        told = rig.trader.post(f"/api/accounts/{account['id']}/verify").json
        check = next(check for check in told["checks"] if check["name"] == "address")
        assert (check["ok"], check["remedy"]) == (False, "Correct the source address.")

"""The export: everything of one's own, nothing of anybody else, and no secret in it nor in any list, log or file that leaves."""

from __future__ import annotations

from typing import Any

from tests.api.rig import PASSWORD, Person, Rig

CANARIES = {
    "api_key": "export-canary-key-0001",
    "api_secret": "export-canary-secret-0002",
    "totp_secret": "EXPORTCANARYTOTP",
    "password": "export-canary-0003",
}


def furnished(person: Person) -> dict[str, Any]:
    account = person.account(name="Of mine", broker="zerodha", credentials=CANARIES, auto_trade=False)["id"]
    strategy = person.strategy(name="My cross")["id"]
    mapping = person.mapping(account, strategy)["id"]
    group = person.post("/api/groups", {"name": "My group", "account_ids": [account]}).json["id"]
    rule = person.post("/api/combined", {"scope": "group", "scope_id": group, "stop": "1000"}).json["id"]
    watchlist = person.post("/api/watchlists", {"name": "My list", "symbols": ["NSE:INFY"]}).json["id"]
    hook = person.post("/api/webhooks", {"name": "My hook", "account_ids": [account]}).json
    token = person.post("/api/tokens", {"name": "My token"}).json
    return {
        "ids": [account, strategy, mapping, group, rule, watchlist, hook["id"]],
        "secrets": [hook["secret"], token["token"].partition(".")[2], PASSWORD, *CANARIES.values()],
    }


def test_an_export_has_everything_of_ones_own_and_nothing_secret_or_anybody_elses(fresh: Rig) -> None:
    mine = furnished(fresh.trader)
    answer = fresh.trader.get("/api/export")
    assert answer.status_code == 200
    for thing in mine["ids"]:
        assert thing in answer.text
    for secret in mine["secrets"]:
        assert secret not in answer.text
    told = answer.json
    assert (told["me"]["email"], [row["name"] for row in told["accounts"]]) == ("trader@example.com", ["Of mine"])
    assert "credentials" not in told["accounts"][0]
    assert [row["name"] for row in told["strategies"]] == ["My cross"]
    assert told["watchlists"][0]["symbols"] == ["NSE:INFY"]
    for person in (fresh.other, fresh.owner, fresh.viewer):
        text = person.get("/api/export").text
        for thing in (*mine["ids"], "Of mine", "My cross", "trader@example.com"):
            assert thing not in text


def test_a_strategy_that_somebody_shares_is_not_taken_along(fresh: Rig) -> None:
    strategy = fresh.owner.strategy(name="Somebody else's")["id"]
    assert fresh.owner.post(f"/api/strategies/{strategy}/shares", {"email": "trader@example.com"}).status_code in (404, 422)
    fresh.trader.get("/api/me")
    assert fresh.owner.post(f"/api/strategies/{strategy}/shares", {"email": "trader@example.com"}).status_code == 201
    assert strategy in fresh.trader.get("/api/strategies").text
    assert strategy not in fresh.trader.get("/api/export").text
    assert "trader@example.com" not in fresh.owner.get("/api/export").text


PAGES = (
    "/accounts",
    "/accounts/{id}",
    "/accounts/{id}/edit",
    "/accounts/{id}/keys",
    "/settings/log",
    "/settings/log.csv",
    "/orders.csv",
    "/signals.csv",
)


def test_no_page_table_or_message_of_the_log_holds_a_secret(fresh: Rig) -> None:
    trader = fresh.trader
    mine = furnished(trader)
    account = mine["ids"][0]
    trader.patch(f"/api/accounts/{account}", {"credentials": {"access_token": "export-canary-0004"}})
    trader.post(f"/api/accounts/{account}/credentials/reveal", {"password": PASSWORD})
    trader.post(f"/api/accounts/{account}/verify")
    assert trader.user is not None
    browser = fresh.app.test_client()
    with browser.session_transaction() as session:
        sign_in = fresh.data.sign_ins.begin(trader.user.user_id, "127.0.0.1", "tests")
        session["_user_id"] = f"{trader.user.user_id}:{trader.user.session_epoch}:{sign_in}"
    for address in PAGES:
        answer = browser.get(address.format(id=account))
        assert answer.status_code == 200, address
        assert not [secret for secret in (*mine["secrets"], "export-canary-0004") if secret in answer.text], address
    assert "account.credentials_shown" in browser.get("/settings/log.csv").text
    kept = b"".join(path.read_bytes() for path in fresh.folder.glob("tandem.db*"))
    assert not [secret for secret in (*CANARIES.values(), "export-canary-0004") if secret.encode() in kept]

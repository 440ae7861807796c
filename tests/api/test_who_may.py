"""Who may do what: every route, for someone unknown, a viewer, another trader, and with ids that are another's or nobody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.api.blueprint import operations
from app.replays import Replay, Spec
from app.workspace import EXTENSION
from tests.api.rig import PASSWORD, Person, Rig

SIGNAL = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1"}
SIZING = {"mode": "percent", "value": "10"}
STRATEGY = {"name": "x", "kind": "ema_cross", "timeframe": "1m", "instruments": ["NSE:INFY"]}
KITE = {"name": "k", "api_key": "abcdefghijk", "api_secret": "abcdefghijk", "capital": "1000"}
PUBLIC = {("GET", "/api/openapi.json"), ("GET", "/api/docs"), ("POST", "/api/webhooks/{secret}")}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/accounts"): {"name": "x", "broker": "paper", "capital": "1000"},
    ("POST", "/api/accounts/create-zerodha"): KITE,
    ("PATCH", "/api/accounts/{id}"): {"name": "mine now"},
    ("POST", "/api/accounts/{id}/kill-switch"): {"on": True},
    ("POST", "/api/accounts/{id}/credentials/reveal"): {"password": PASSWORD},
    ("POST", "/api/accounts/{id}/auto-trade"): {"on": False},
    ("POST", "/api/strategies"): STRATEGY,
    ("PATCH", "/api/strategies/{id}"): {"active": True},
    ("POST", "/api/strategies/{id}/shares"): {"email": "nobody-of-that-address@example.com"},
    ("POST", "/api/mappings"): {"account_id": "?", "strategy_id": "?", "sizing": SIZING},
    ("PATCH", "/api/mappings/{id}"): {"enabled": False},
    ("POST", "/api/groups"): {"name": "x", "account_ids": ["?"]},
    ("PATCH", "/api/groups/{id}"): {"name": "mine now"},
    ("POST", "/api/groups/{id}/start"): {"confirm": "The trader's"},
    ("POST", "/api/groups/{id}/stop"): {"flatten": False},
    ("POST", "/api/consents"): {"account_id": "?", "holder": "Meera", "relation": "spouse"},
    ("POST", "/api/consents/{id}/revoke"): {},
    ("POST", "/api/bot/multi-account/api-keys"): {"name": "x", "exchange": "paper"},
    ("PATCH", "/api/bot/multi-account/api-keys/{id}"): {"label": "mine now"},
    ("POST", "/api/combined"): {"scope": "account", "scope_id": "?", "stop": "1"},
    ("PATCH", "/api/combined/{id}"): {"stop": "1"},
    ("POST", "/api/signals/manual"): {**SIGNAL, "account_ids": ["?"]},
    ("POST", "/api/signals/preview"): {**SIGNAL, "account_ids": ["?"]},
    ("POST", "/api/webhooks"): {"name": "x", "account_ids": ["?"]},
    ("PATCH", "/api/orders/{id}"): {"quantity": "1"},
    ("POST", "/api/positions/close-all"): {"account_ids": ["?"]},
    ("PUT", "/api/positions/{id}/exit-plan"): {"stop_loss": {"pct": "1"}},
    ("POST", "/api/system/halts/{id}/lift"): {"password": PASSWORD},
    ("POST", "/api/replays"): {"dataset_id": "?", "day": "2024-01-03", "strategy_ids": ["?"], "account_ids": ["?"]},
    ("POST", "/api/replays/{id}/control"): {"do": "pause"},
    ("POST", "/api/watchlists"): {"name": "x"},
    ("PATCH", "/api/watchlists/{id}"): {"name": "y"},
    ("PATCH", "/api/datasets/{id}"): {"name": "mine now"},
    ("POST", "/api/datasets/sample"): {"symbols": ["NSE:INFY"], "days": 1},
    ("PUT", "/api/calendar/{id}"): {"hours": "closed"},
    ("POST", "/api/calendar/import"): {"csv": "day\n2031-01-01\n"},
    ("POST", "/api/backtests"): {"kind": "ema_cross", "sample": {"days": 2}},
    ("PATCH", "/api/backtests/{id}"): {"name": "mine now"},
    ("POST", "/api/tokens"): {"name": "x"},
    ("POST", "/api/users"): {"email": "x@example.com", "password": "long enough it is"},
    ("PATCH", "/api/users/{id}"): {"role": "owner"},
    ("POST", "/api/invites"): {"email": "y@example.com"},
    ("PATCH", "/api/workspace"): {"open_sign_up": True},
    ("PATCH", "/api/me"): {"name": "x"},
    ("PUT", "/api/me/look"): {"theme": "light"},
    ("PATCH", "/api/me/look"): {"palette": "blue"},
    ("POST", "/api/me/password"): {"current": "x", "new": "long enough it is"},
    ("POST", "/api/me/sign-out-everywhere"): {"password": PASSWORD},
    ("POST", "/api/me/second-factor"): {"password": PASSWORD},
    ("POST", "/api/me/second-factor/confirm"): {"code": "123456"},
    ("POST", "/api/me/second-factor/off"): {"password": PASSWORD, "code": "123456"},
    ("POST", "/api/me/recovery-codes"): {"password": PASSWORD, "code": "123456"},
    ("POST", "/api/users/{id}/clear-second-factor"): {"password": PASSWORD},
    ("POST", "/api/destinations"): {"channel": "discord", "url": "https://discord.com/api/webhooks/123456789012345678/" + "w" * 68},
    ("PATCH", "/api/destinations/{id}"): {"name": "mine now"},
    ("POST", "/api/destinations/{id}/confirm"): {"code": "123456"},
    ("POST", "/api/telegram/chats"): {"token": "123456789:" + "a" * 35},
}
QUERIES = {
    "/api/backtests/{id}/chart": "?symbol=NSE:INFY",
    "/api/days": "?symbols=NSE:INFY",
    "/api/me/look/preview": "?scheme=dark&header=%23102030",
    "/api/quotes": "?symbols=NSE:INFY",
    "/api/candles": "?symbol=NSE:INFY&timeframe=1m",
}
OWNERS_ALONE = ("/api/users", "/api/invites", "/api/calendar", "/api/timetable")
OWNERS_LOOK_ALONE = ("/api/users", "/api/invites", "/api/codes", "/api/audit/verify")
EVERY = [(operation.method, operation.path) for operation in operations()]
WITH_ID = [(method, path) for method, path in EVERY if "{" in path and (method, path) not in PUBLIC]
WITH_IDS_INSIDE = [
    ("POST", path)
    for path in (
        "/api/mappings",
        "/api/signals/manual",
        "/api/signals/preview",
        "/api/webhooks",
        "/api/positions/close-all",
        "/api/groups",
        "/api/consents",
        "/api/combined",
    )
]


@dataclass
class Belongings:
    """Everything that one trader has: the targets of everybody else."""

    ids: dict[str, str]

    def of(self, path: str) -> str:
        return self.ids[path.split("/")[3 if "/halts/" in path else 2]]


@pytest.fixture(scope="module")
def belongings(rig: Rig) -> Belongings:
    return everything_of(rig, rig.trader)


def everything_of(rig: Rig, trader: Person) -> Belongings:
    """One of each kind of thing, all of them this person's."""
    account, strategy = trader.account()["id"], trader.strategy()["id"]
    mapping = trader.mapping(account, strategy)["id"]
    order = trader.bought(account)["order_id"]
    signal = trader.get(f"/api/orders/{order}").json["signal"]["signal_id"]
    position = trader.get(f"/api/positions?account_id={account}").json["items"][0]["id"]
    group = trader.post("/api/groups", {"name": "The trader's", "account_ids": [account]}).json["id"]
    rule = trader.post("/api/combined", {"scope": "group", "scope_id": group, "stop": "1000000"}).json["id"]
    webhook = trader.post("/api/webhooks", {"name": "x", "account_ids": [account]}).json["id"]
    token = trader.post("/api/tokens", {"name": "x"}).json["id"]
    candle = b"time,symbol,open,high,low,close\n2024-01-02 09:15,NSE:INFY,1,1,1,1\n"
    dataset = trader.call("POST", "/api/datasets", data=candle, headers={"Content-Type": "text/csv"}).json["id"]
    study = trader.post("/api/backtests", BODIES["POST", "/api/backtests"]).json["id"]
    assert trader.user is not None
    spec = Spec("nowhere", "2024-01-03", "2024-01-03", (), (), ())
    replay = Replay("the-traders-replay", trader.user.user_id, "x", "none", spec, 0.0)
    replay.end("stopped")
    rig.app.extensions[EXTENSION].replays._replays[replay.replay_id] = replay
    ids = {
        "datasets": dataset,
        "backtests": study,
        "replays": replay.replay_id,
        "calendar": "no-such-day",
        "timetable": "no-such-job",
        "watchlists": trader.post("/api/watchlists", {"name": "x"}).json["id"],
        "accounts": account,
        "strategies": strategy,
        "mappings": mapping,
        "groups": group,
        "consents": trader.post("/api/consents", {"account_id": account, "holder": "The trader's spouse", "relation": "spouse"}).json["id"],
        "bot": account,
        "destinations": trader.post("/api/destinations", BODIES["POST", "/api/destinations"]).json["id"],
        "messages": "no-such-message",  # theirs are numbers, which are in every answer: see test_messages
        "deliveries": "no-such-delivery",
        "telegram": "no-such-search",
        "combined": rule,
        "signals": signal,
        "orders": order,
        "positions": position,
        "me": rig.data.sign_ins.begin(trader.user.user_id, "127.0.0.1", "the trader's browser"),
    }
    return Belongings(
        ids | {"webhooks": webhook, "tokens": token, "users": "nobody-of-that-id", "invites": "no-such-invite", "halts": "no-such-halt"}
    )


def ask(person: Person, method: str, path: str, target: str, account: str = "none", strategy: str = "none") -> Any:
    body = BODIES.get((method, path))
    if body is not None:
        inside = {"account_ids": [account], "account_id": account, "strategy_id": strategy, "scope_id": account}
        body = {name: inside.get(name, value) for name, value in body.items()}
    address = path.replace("{id}", target).replace("{secret}", target) + QUERIES.get(path, "")
    return person.call(method, address, body)


@pytest.mark.parametrize(("method", "path"), [one for one in EVERY if one not in PUBLIC])
def test_nobody_gets_in_without_a_token(rig: Rig, method: str, path: str) -> None:
    answer = ask(rig.nobody, method, path, "x")
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer wrong.token", "Bearer ", "Basic b3duZXI6cHc=", "nonsense", "Bearer tdm0000000000.AAAA"])
def test_a_bad_token_is_no_token(rig: Rig, header: str) -> None:
    assert rig.nobody.get("/api/me", headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(("method", "path"), [one for one in EVERY if one[0] != "GET" and one not in PUBLIC and "/api/me" not in one[1]])
def test_viewers_change_nothing(rig: Rig, belongings: Belongings, method: str, path: str) -> None:
    assert ask(rig.viewer, method, path, "x").status_code == 403


@pytest.mark.parametrize("path", [path for method, path in EVERY if method == "GET" and "{" not in path and path != "/api/stream"])
def test_viewers_look(rig: Rig, path: str) -> None:
    assert ask(rig.viewer, "GET", path, "x").status_code == (403 if path in OWNERS_LOOK_ALONE else 200)


@pytest.mark.parametrize("who", ["other", "owner"])
@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_law_12_what_is_anothers_is_not_there(rig: Rig, belongings: Belongings, method: str, path: str, who: str) -> None:
    answer = ask(getattr(rig, who), method, path, belongings.of(path))
    assert answer.status_code == (403 if who == "other" and path.startswith(OWNERS_ALONE) else 404), answer.text


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_what_nobody_has_is_not_there(rig: Rig, method: str, path: str) -> None:
    assert ask(rig.trader, method, path, "no-such-thing").status_code == (403 if path.startswith(OWNERS_ALONE) else 404)


WORDS = {
    "accounts": "account", "strategies": "strategy", "mappings": "mapping", "signals": "signal", "orders": "order", "positions": "position",
    "webhooks": "webhook", "tokens": "token", "users": "user", "invites": "invite", "system": "stop", "backtests": "study",
    "datasets": "dataset", "replays": "replay", "watchlists": "watchlist", "groups": "group", "consents": "consent", "bot": "account", "combined": "rule",
    "calendar": "day", "timetable": "job", "me": "sign-in", "destinations": "destination", "messages": "message", "deliveries": "delivery",
    "telegram": "search",
}  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_what_is_not_there_is_said_in_the_same_words_everywhere(rig: Rig, belongings: Belongings, method: str, path: str) -> None:
    for target in ("no-such-thing", belongings.of(path)):
        answer = ask(rig.owner, method, path, target)
        assert answer.json["detail"] == f"There is no such {WORDS[path.split('/')[2]]}."


@pytest.mark.parametrize(("method", "path"), WITH_IDS_INSIDE)
@pytest.mark.parametrize("who", ["other", "owner"])
def test_anothers_account_inside_a_request_refuses_it(rig: Rig, belongings: Belongings, method: str, path: str, who: str) -> None:
    person: Person = getattr(rig, who)
    answer = ask(person, method, path, "", belongings.ids["accounts"], belongings.ids["strategies"])
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/api/signals/manual", "/api/webhooks", "/api/positions/close-all"])
def test_one_foreign_account_among_own_ones_refuses_everything(rig: Rig, belongings: Belongings, path: str) -> None:
    own = rig.other.account()["id"]
    body = dict(BODIES["POST", path].items()) | {"account_ids": [own, belongings.ids["accounts"]]}
    assert rig.other.post(path, body).status_code == 404
    assert rig.other.get(f"/api/orders?account_id={own}").json["items"] == []


def test_anothers_strategy_cannot_be_signalled(rig: Rig, belongings: Belongings) -> None:
    assert rig.other.post("/api/signals/manual", {**SIGNAL, "strategy_id": belongings.ids["strategies"]}).status_code == 404


LISTS = [
    path
    for method, path in EVERY
    if method == "GET" and "{" not in path and path not in ("/api/stream", "/api/users", "/api/openapi.json", "/api/docs")
]


@pytest.mark.parametrize("path", [*LISTS, "/metrics"])
@pytest.mark.parametrize("who", ["other", "owner", "viewer"])
def test_law_12_no_answer_ever_names_what_is_anothers(rig: Rig, belongings: Belongings, path: str, who: str) -> None:
    text = ask(getattr(rig, who), "GET", path, "").text
    known = path == "/api/audit" and who == "owner"  # who is there is the owner's to see; what they trade is not
    for thing in (*belongings.ids.values(), *(() if known else (rig.trader.user.user_id, "trader@example.com"))):
        assert thing not in text


@pytest.mark.parametrize(
    "path", ["/api/orders", "/api/signals", "/api/trades", "/api/positions", "/api/mappings", "/api/pnl/daily", "/api/equity"]
)
def test_filtering_by_anothers_account_finds_nothing(rig: Rig, belongings: Belongings, path: str) -> None:
    answer = rig.other.get(f"{path}?account_id={belongings.ids['accounts']}")
    assert (answer.status_code, answer.json["items"]) == (200, [])

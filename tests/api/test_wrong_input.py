"""Wrong input and its exact answer: status, and which field is to blame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.rig import Person

ACCOUNT = {"name": "x", "broker": "paper", "capital": "1000"}
SIGNAL = {"account_ids": ["ACCOUNT"], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1"}
STRATEGY = {"name": "x", "kind": "ema_cross", "timeframe": "1m", "instruments": ["NSE:INFY"]}
MAPPING = {"account_id": "ACCOUNT", "strategy_id": "STRATEGY", "sizing": {"mode": "percent", "value": "10"}}


class _Gone:
    """A field that is left out. Shown by name, because test ids must be the same in every worker."""

    def __repr__(self) -> str:
        return "GONE"


GONE = _Gone()

A, S, M, G = "/api/accounts", "/api/strategies", "/api/mappings", "/api/signals/manual"
BASES: dict[str, dict[str, Any]] = {A: ACCOUNT, S: STRATEGY, M: MAPPING, G: SIGNAL}

# (where, what is changed in a good body, the fields that the answer blames); all are 422
FIELDS: list[tuple[str, dict[str, Any], set[str]]] = [
    (A, {"name": GONE}, {"name"}),
    (A, {"name": "   "}, {"name"}),
    (A, {"name": "x" * 101}, {"name"}),
    (A, {"name": "line\nbreak"}, {"name"}),
    (A, {"name": 7}, {"name"}),
    (A, {"broker": "robinhood"}, {"broker"}),
    (A, {"broker": GONE, "capital": GONE}, {"broker", "capital"}),
    (A, {"capital": "-5"}, {"capital"}),
    (A, {"capital": 0}, {"capital"}),
    (A, {"capital": "lots"}, {"capital"}),
    (A, {"capital": "1e6"}, {"capital"}),
    (A, {"capital": "NaN"}, {"capital"}),
    (A, {"capital": True}, {"capital"}),
    (A, {"capital": None}, {"capital"}),
    (A, {"capital": [1000]}, {"capital"}),
    (A, {"capital": "1000000000000000000"}, {"capital"}),
    (A, {"capital": 1e300}, {"capital"}),
    (A, {"capital": "0.0000000001"}, {"capital"}),
    (A, {"capital": "１０００"}, {"capital"}),
    (A, {"max_daily_loss": "-1"}, {"max_daily_loss"}),
    (A, {"max_trades_per_day": 1.5}, {"max_trades_per_day"}),
    (A, {"max_trades_per_day": -1}, {"max_trades_per_day"}),
    (A, {"max_open_positions": "3"}, {"max_open_positions"}),
    (A, {"max_daily_loss_pct": 1001}, {"max_daily_loss_pct"}),
    (A, {"leverage": "0"}, {"leverage"}),
    (A, {"auto_trade": "yes"}, {"auto_trade"}),
    (A, {"dry_run": 1}, {"dry_run"}),
    (A, {"colour": "red"}, {"colour"}),
    (A, {"id": "mine"}, {"id"}),
    (A, {"credentials": {"api_key": "not for paper"}}, {"credentials.api_key"}),
    (A, {"credentials": "secret"}, {"credentials"}),
    (A, {"broker": "zerodha"}, {"credentials.api_key", "credentials.api_secret"}),
    (A, {"broker": "binance_spot", "credentials": {"api_key": "a", "api_secret": 5}}, {"credentials.api_secret"}),
    (A, {"broker": "zerodha", "credentials": {"api_key": "a", "api_secret": "b", "pin": "1"}}, {"credentials.pin"}),
    (A, {"broker": "zerodha", "credentials": {"api_key": "a", "api_secret": "b"}, "auto_trade": True}, {"auto_trade"}),
    (A, {"paper": {"latency_ms": -1}}, {"paper.latency_ms"}),
    (A, {"paper": {"speed": 1}}, {"paper.speed"}),
    (S, {"kind": "magic"}, {"kind"}),
    (S, {"timeframe": "3m"}, {"timeframe"}),
    (S, {"instruments": []}, {"instruments"}),
    (S, {"instruments": ["INFY"]}, {"instruments.0"}),
    (S, {"instruments": ["NSE:INFY", "NSE:NOSUCH"]}, {"instruments.1"}),
    (S, {"instruments": ["NSE:INFY", "NSE:INFY"]}, {"instruments"}),
    (S, {"params": {"fast": "quick"}}, {"params.fast"}),
    (S, {"params": []}, {"params"}),
    (S, {"exit_plan": {"stop_loss": {"pct": "1", "points": "2"}}}, {"exit_plan.stop_loss"}),
    (S, {"exit_plan": {"targets": [{"pct": 1, "share_pct": 60}, {"pct": 2, "share_pct": 60}]}}, {"exit_plan.targets"}),
    (S, {"exit_plan": {"cost_after_target": 1}}, {"exit_plan.cost_after_target"}),
    (S, {"exit_plan": {"trailing": {"mode": "step", "value": 1}}}, {"exit_plan.trailing.step"}),
    (M, {"allocation_pct": "0"}, {"allocation_pct"}),
    (M, {"allocation_pct": "100.01"}, {"allocation_pct"}),
    (M, {"sizing": {"mode": "martingale"}}, {"sizing.mode"}),
    (M, {"sizing": {"mode": "fixed_amount"}}, {"sizing.value"}),
    (M, {"sizing": {"mode": "percent", "value": "-1"}}, {"sizing.value"}),
    (M, {"multiplier": "0"}, {"multiplier"}),
    (M, {"risk_per_trade_pct": 101}, {"risk_per_trade_pct"}),
    (G, {"symbol": GONE, "side": GONE, "order_type": GONE}, {"symbol", "side", "order_type"}),
    (G, {"symbol": "NSE:NOSUCH"}, {"symbol"}),
    (G, {"symbol": "infy"}, {"symbol"}),
    (G, {"symbol": "NSE:NIFTY 50"}, {"symbol"}),
    (G, {"side": "buy"}, {"side"}),
    (G, {"order_type": "ICEBERG"}, {"order_type"}),
    (G, {"order_type": "LIMIT"}, {"price"}),
    (G, {"order_type": "SL-M"}, {"trigger_price"}),
    (G, {"order_type": "SL", "price": "100"}, {"trigger_price"}),
    (G, {"price": "100"}, {"price"}),
    (G, {"product": "BO"}, {"product"}),
    (G, {"quantity": "0"}, {"quantity"}),
    (G, {"quantity": "-10"}, {"quantity"}),
    (G, {"signal_id": ""}, {"signal_id"}),
    (G, {"signal_id": "x" * 65}, {"signal_id"}),
    (G, {"signal_id": "no/slashes"}, {"signal_id"}),
    (G, {"signal_id": 5}, {"signal_id"}),
    (G, {"account_ids": GONE}, {"account_ids"}),
    (G, {"account_ids": []}, {"account_ids"}),
    (G, {"account_ids": "ACCOUNT"}, {"account_ids"}),
    (G, {"strategy_id": "STRATEGY"}, {"account_ids"}),
    (G, {"wait_ms": 30001}, {"wait_ms"}),
    (G, {"wait_ms": "10"}, {"wait_ms"}),
    (G, {"stop_loss": "0"}, {"stop_loss.price"}),
    (G, {"targets": "1600"}, {"targets"}),
    (G, {"targets": [{"price": 1, "colour": 2}]}, {"targets.0.colour"}),
    (G, {"trailing": {"mode": "magnetic", "value": 1}}, {"trailing.mode"}),
    (G, {"trailing": 5}, {"trailing"}),
    (G, {"reduce_only": True}, {"reduce_only"}),
]


@pytest.fixture(scope="module")
def own(rig: Any) -> dict[str, str]:
    return {"ACCOUNT": rig.trader.account()["id"], "STRATEGY": rig.trader.strategy()["id"]}


def filled(value: Any, own: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [filled(item, own) for item in value]
    return own.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize(("path", "changes", "blamed"), FIELDS, ids=[f"{p.split('/')[-1]} {c}"[:80] for p, c, _ in FIELDS])
def test_a_wrong_field_is_named(trader: Person, own: dict[str, str], path: str, changes: dict[str, Any], blamed: set[str]) -> None:
    body = {name: filled(value, own) for name, value in {**BASES[path], **changes}.items() if value is not GONE}
    answer = trader.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "errors"}
    assert answer.json["status"] == 422
    assert set(answer.json["errors"]) == blamed
    assert all(isinstance(message, str) and message for messages in answer.json["errors"].values() for message in messages)


RANGES = {"kind": "range_level", "timeframe": "5m"}
SAID: list[tuple[dict[str, Any], str, str]] = [
    ({"instruments": ["INFY"]}, "instruments.0", "must be EXCHANGE:NAME, such as NSE:INFY"),
    ({"exit_plan": {"stop_loss": {"pct": "1"}, "exit_at": "3pm"}}, "exit_plan.exit_at", "is not a time of day; write it like 15:10"),
    ({"params": {"fast": "quick"}}, "params.fast", "must be a whole number"),
    ({"params": {"fast": 21, "slow": 9}}, "params.fast", "the fast average must have fewer candles than the slow one"),
    (RANGES | {"params": {"k_buy": "x"}}, "params.k_buy", "must be a number"),
    (RANGES | {"params": {"k_buy": 0}}, "params.k_buy", "must be above 0"),
    (RANGES | {"params": {"flat_by": "3pm"}}, "params.flat_by", "must be auto, or a time of day such as 15:10"),
    (RANGES | {"params": {"session_hours": "9"}}, "params.session_hours", "must be auto, or two times of day such as 09:15-15:30"),
    (RANGES | {"params": {"book": "50,60"}}, "params.book", "there are 10 targets, but 2 shares"),
    (RANGES | {"params": {"lag": 15}}, "params.lag", "the stop cannot stay further behind than there are targets"),
    (RANGES | {"params": {"first_entry": "15:00", "last_entry": "10:00"}}, "params.first_entry", "the first entry must be before the time from which there is none"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "name", "message"), SAID, ids=[f"{name} {n}" for n, (_, name, _) in enumerate(SAID)])
def test_what_is_wrong_is_said_in_words_at_its_field(trader: Person, changes: dict[str, Any], name: str, message: str) -> None:
    assert trader.post(S, STRATEGY | changes).json["errors"] == {name: [message]}


def test_the_good_bodies_are_good(trader: Person, own: dict[str, str]) -> None:
    """Or the table above would prove nothing."""
    for path, body in BASES.items():
        good = {name: filled(value, own) for name, value in body.items()}
        if path == M:
            good["strategy_id"] = trader.strategy()["id"]
        assert trader.post(path, good).status_code in (201, 202)


# (method, path, raw body, headers, status)
JSON = {"Content-Type": "application/json"}
RAW: list[tuple[str, str, bytes, dict[str, str], int]] = [
    ("POST", A, b"{", JSON, 400),
    ("POST", A, b"{'name': 1}", JSON, 400),
    ("POST", A, b'{"capital": NaN}', JSON, 400),
    ("POST", A, b'{"capital": Infinity}', JSON, 400),
    ("POST", A, b'{"name": "\xff\xfe"}', JSON, 400),
    ("POST", A, b'{"name": "\\ud800", "broker": "paper", "capital": 1}', JSON, 400),
    ("POST", A, b"[" * 100_000, JSON, 400),
    ("POST", A, b"9" * 5000, JSON, 400),
    ("POST", A, b"[]", JSON, 422),
    ("POST", A, b'"text"', JSON, 422),
    ("POST", A, b"null", JSON, 422),
    ("POST", A, b'{"name": "x"}', {"Content-Type": "text/plain"}, 415),
    ("POST", A, b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ("POST", A, b'{"name": "x"}', {}, 415),
    ("POST", A, b"", {}, 422),
    ("POST", A, b'{"name": "' + b"x" * 1_048_577 + b'"}', JSON, 413),
    ("PUT", A, b"{}", JSON, 405),
    ("DELETE", A, b"", {}, 405),
    ("DELETE", G, b"", {}, 405),
    ("POST", "/api/nowhere", b"{}", JSON, 404),
    ("GET", "/api", b"", {}, 404),
    ("GET", "/api/", b"", {}, 404),
    ("GET", "/api/accounts/", b"", {}, 404),
    ("GET", "/api/accounts//orders", b"", {}, 404),
    ("GET", "/api/accounts/%00", b"", {}, 404),
    ("GET", "/api/orders/%F0%9F%92%A9", b"", {}, 404),
    ("GET", "/api/accounts?limit=501", b"", {}, 422),
    ("GET", "/api/accounts?limit=0", b"", {}, 422),
    ("GET", "/api/accounts?limit=ten", b"", {}, 422),
    ("GET", "/api/orders?limit=501", b"", {}, 422),
    ("GET", "/api/orders?cursor=nonsense", b"", {}, 422),
    ("GET", "/api/accounts?cursor=%00%01", b"", {}, 422),
    ("GET", "/api/orders?state=happy", b"", {}, 422),
    ("GET", "/api/orders?colour=red", b"", {}, 422),
    ("GET", "/api/me?colour=red", b"", {}, 422),
    ("GET", "/api/positions?flat=perhaps", b"", {}, 422),
    ("GET", "/api/orders?from=yesterday", b"", {}, 422),
    ("GET", "/api/quotes", b"", {}, 422),
    ("GET", "/api/quotes?symbols=NSE:NOSUCH", b"", {}, 422),
    ("GET", "/api/quotes?symbols=,", b"", {}, 422),
    ("GET", "/api/candles?symbol=NSE:INFY&timeframe=2m", b"", {}, 422),
    ("GET", "/api/candles?symbol=NSE:NOSUCH&timeframe=1m", b"", {}, 422),
    ("GET", "/api/candles?timeframe=1m", b"", {}, 422),
    ("GET", "/api/pnl/daily?from=last-week", b"", {}, 422),
    ("GET", "/api/pnl/daily?cursor=zzz", b"", {}, 422),
    ("POST", "/api/system/start", b'{"force": true}', JSON, 422),
    ("POST", "/api/system/emergency-stop", b'{"flatten": "yes"}', JSON, 422),
]


@pytest.mark.parametrize(("method", "path", "data", "headers", "status"), RAW, ids=[f"{m} {p} {d[:24]!r}" for m, p, d, _, _ in RAW])
def test_a_request_that_makes_no_sense(trader: Person, method: str, path: str, data: bytes, headers: dict[str, str], status: int) -> None:
    answer = trader.call(method, path, data=data, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert json.loads(answer.data)["status"] == status
    assert "Traceback" not in answer.text
    if status == 405:
        assert answer.headers["Allow"]


def test_what_was_typed_is_not_repeated(trader: Person) -> None:
    secret = "hunter2-hunter2-hunter2"
    answer = trader.post("/api/me/password", {"current": {"oops": secret}, "new": [secret]})
    assert answer.status_code == 422
    assert secret not in answer.text


def test_an_empty_change_of_an_order_is_refused(trader: Person) -> None:
    answer = trader.patch("/api/orders/whatever", {})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["body"])


def test_null_is_refused_where_something_must_be(trader: Person, own: dict[str, str]) -> None:
    answer = trader.patch(f"/api/accounts/{own['ACCOUNT']}", {"name": None})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["name"])


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"capital": None}, "capital", "must not be empty"),
        ({"capital": ""}, "capital", "must not be empty"),
        ({"capital": []}, "capital", "must be a number"),
        ({"name": ""}, "name", "must not be empty"),
        ({"name": "x" * 101}, "name", "must have at most 100 characters"),
        ({"name": "a\u202eb"}, "name", "must not contain control characters or invisible ones"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(trader: Person, change: dict[str, Any], field: str, says: str) -> None:
    assert trader.post(A, ACCOUNT | change).json["errors"] == {field: [says]}


def test_an_emoji_of_several_is_a_name(trader: Person) -> None:
    assert trader.post(A, ACCOUNT | {"name": "👩🏽‍💻 desk"}).json["name"] == "👩🏽‍💻 desk"

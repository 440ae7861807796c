"""The OpenAPI document: every route is in it, every reference resolves, and answers look as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.api.blueprint import operations
from tests.api.rig import Person, Rig

CONTRACT = """
POST /api/system/start, POST /api/system/stop, GET /api/system/status, POST /api/system/emergency-stop, GET /api/system/halts, GET /api/system/halts/{id},
POST /api/system/halts/{id}/lift, GET /api/accounts, POST /api/accounts, GET /api/accounts/{id}, PATCH /api/accounts/{id}, DELETE /api/accounts/{id},
POST /api/accounts/create-zerodha, POST /api/accounts/{id}/verify, POST /api/accounts/{id}/login, GET /api/accounts/{id}/balance,
GET /api/accounts/{id}/positions, GET /api/accounts/{id}/orders, GET /api/accounts/{id}/trades, POST /api/accounts/{id}/kill-switch,
POST /api/accounts/{id}/square-off, POST /api/accounts/{id}/auto-trade, GET /api/strategy-kinds, GET /api/strategies, POST /api/strategies,
GET /api/strategies/{id}, PATCH /api/strategies/{id}, DELETE /api/strategies/{id}, GET /api/mappings, POST /api/mappings, GET /api/mappings/{id},
PATCH /api/mappings/{id}, DELETE /api/mappings/{id}, POST /api/signals/manual, GET /api/signals, GET /api/signals/{id}, POST /api/webhooks,
GET /api/webhooks, DELETE /api/webhooks/{secret}, POST /api/webhooks/{secret}, GET /api/orders, GET /api/orders/{id}, POST /api/orders/{id}/cancel,
PATCH /api/orders/{id}, GET /api/positions, POST /api/positions/{id}/close, POST /api/positions/close-all, GET /api/pnl/realtime, GET /api/pnl/daily,
GET /api/stream, GET /api/instruments, GET /api/quotes, GET /api/candles, GET /api/openapi.json, GET /api/docs
"""


_PARAMETER, _BRACES = re.compile(r"<(?:\w+:)?(\w+)>"), r"{\1}"


@pytest.fixture(scope="module")
def document(rig: Rig) -> dict[str, Any]:
    return dict(rig.nobody.get("/api/openapi.json").json)


def listed(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


def test_it_lists_every_route_under_api(rig: Rig, document: dict[str, Any]) -> None:
    served = {
        f"{method} {_PARAMETER.sub(_BRACES, rule.rule)}"
        for rule in rig.app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert listed(document) == served


def test_it_has_everything_of_the_contract(document: dict[str, Any]) -> None:
    assert {route.strip() for route in CONTRACT.replace("\n", " ").split(",")} <= listed(document)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_resolves_and_every_schema_is_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} <= set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_operations_have_names_of_their_own_and_say_how_they_fail(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        assert any(status < "300" for status in operation["responses"])
        assert operation.get("security") == [] or "401" in operation["responses"]


def validator(document: dict[str, Any], method: str, path: str, status: int) -> Any:
    schema = document["paths"][path][method.lower()]["responses"][str(status)]["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


def test_answers_look_as_it_says(trader: Person, document: dict[str, Any]) -> None:
    account = trader.account(max_daily_loss="10000")["id"]
    strategy = trader.strategy(exit_plan={"stop_loss": "1", "targets": ["9999"]})["id"]
    mapping = trader.mapping(account, strategy)["id"]
    sent = trader.buy(account, signal_id=f"shape-{account}", stop_loss={"pct": "9"}, targets=[{"pct": "9"}])
    order = sent["orders"][0]["order_id"]
    position = trader.get(f"/api/positions?account_id={account}").json["items"][0]["id"]
    ids = {
        "accounts": account,
        "strategies": strategy,
        "mappings": mapping,
        "signals": sent["signal_id"],
        "orders": order,
        "positions": position,
    }
    queries = {
        "/api/quotes": "?symbols=NSE:INFY",
        "/api/days": "?symbols=NSE:INFY",
        "/api/candles": "?symbol=NSE:INFY&timeframe=1m",
        "/api/me/look/preview": "?scheme=dark",
    }
    owners = {one.path for one in operations() if one.role is not None}
    seen = 0
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        kind = path.split("/")[2]
        if (
            "application/json" not in content
            or "schema" not in content["application/json"]
            or ("{" in path and kind not in ids)
            or path in owners
        ):
            continue
        answer = trader.get(path.replace("{id}", ids.get(kind, "")) + queries.get(path, ""))
        assert answer.status_code == 200, path
        validator(document, "GET", path, 200).validate(answer.json)
        seen += 1
    assert seen >= 25
    validator(document, "POST", "/api/signals/manual", 200).validate(sent)


def test_the_page_shows_every_route(rig: Rig, document: dict[str, Any]) -> None:
    page = rig.nobody.get("/api/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    for path in document["paths"]:
        assert path in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


def test_the_document_says_that_candles_ascend(rig: Rig) -> None:
    candles = rig.nobody.get("/api/openapi.json").json["paths"]["/api/candles"]["get"]
    assert "ascending" in candles["description"]

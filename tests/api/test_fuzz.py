"""Every route, fed from the OpenAPI document with good and bad input: nothing is ever a fault of ours, and answers are what the document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.api.rig import Rig

NOT_FUZZED = {"/api/stream"}  # never ends by itself; see test_stream.py
COSTLY = {"/api/users", "/api/me/password", "/api/datasets/sample"}  # a password hash, or a process, takes its time by design
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Any]]:
    with Rig(tmp_path_factory.mktemp("fuzz") / "data") as rig:
        account = rig.trader.account()["id"]
        rig.trader.mapping(account, rig.trader.strategy()["id"])
        rig.trader.buy(account)
        yield rig, schemathesis.openapi.from_wsgi("/api/openapi.json", rig.app)


def fuzz(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    @settings(
        max_examples=2 if operation.path in COSTLY else 6,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def every_case(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    every_case()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_no_input_is_a_fault_of_ours(world: tuple[Rig, Any], mode: GenerationMode) -> None:
    rig, schema = world
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        nothing_to_break = mode is GenerationMode.NEGATIVE and not (
            operation.query or operation.body or operation.path_parameters or operation.headers
        )
        if operation.path in NOT_FUZZED or nothing_to_break:
            continue
        person = rig.owner if operation.path.startswith("/api/users") else rig.trader
        fuzz(operation, mode, {"Authorization": f"Bearer {person.token}"})
        seen += 1
    assert seen >= 55

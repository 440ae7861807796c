"""Every route, fed from the OpenAPI document with good and bad input: nothing is ever a fault of ours, and answers are what the document says."""

from __future__ import annotations

import itertools
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
COSTLY = {"/api/datasets/sample"}  # a process takes its time by design
PARTS = 4  # so that the processes of the suite share the work
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Any]]:
    with Rig(tmp_path_factory.mktemp("fuzz") / "data") as rig:
        account = rig.trader.account()["id"]
        rig.trader.mapping(account, rig.trader.strategy()["id"])
        rig.trader.buy(account)
        schema = schemathesis.openapi.from_dict(without_sign_in(rig.trader.get("/api/openapi.json").json))
        schema.app = rig.app
        yield rig, schema


def without_sign_in(document: dict[str, Any]) -> dict[str, Any]:
    """Every call here carries a good token, or bad input would be bad in nothing but a token, which is then put right; see test_who_may.py."""
    del document["security"], document["components"]["securitySchemes"]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


def examples(operation: Any) -> int:
    """Six where there is something to say; an address with nothing but an id is another for each id, and one without any is always the same."""
    if operation.path in COSTLY:
        return 2
    return 6 if operation.query or operation.body else 3 if operation.path_parameters or operation.headers else 1


def fuzz(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    @settings(
        max_examples=examples(operation),
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
@pytest.mark.parametrize("part", range(PARTS))
def test_no_input_is_a_fault_of_ours(world: tuple[Rig, Any], mode: GenerationMode, part: int) -> None:
    rig, schema = world
    seen = 0
    for found in itertools.islice(schema.get_all_operations(), part, None, PARTS):
        operation = found.ok()
        # An id may be any text: it belongs to the good input.
        nothing_to_break = mode is GenerationMode.NEGATIVE and not (operation.query or operation.body or operation.headers)
        if operation.path in NOT_FUZZED or nothing_to_break:
            continue
        person = rig.owner if operation.path.startswith("/api/users") else rig.trader
        fuzz(operation, mode, {"Authorization": f"Bearer {person.token}"})
        seen += 1
    assert seen >= 20

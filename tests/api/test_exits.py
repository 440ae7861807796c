"""Exit recipes on the wire: what is understood, what is refused in which field, and that a recipe comes out as it can be sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from app.api.exits import ExitsIn, exits_out, plan_out
from app.api.signals.schemas import SignalIn
from engines.core.exits import on_price
from engines.core.model import ExitSpec, TargetSpec
from tests.core.making import D
from tests.core.plans import plan, recipe

LADDER: dict[str, Any] = {
    "stop_loss": {"points": "50"},
    "targets": [
        {"points": "10", "share_pct": "50", "then_stop": {"points": "0"}},
        {"points": "20", "share_pct": "0", "then_stop": {"pct": "-0.5"}},
        {"points": "30", "then_stop": 1520},
    ],
    "booking": "even",
    "exit_at": "15:10",
    "max_minutes": 90,
}
SPEC = ExitSpec(
    stop_points=D(50),
    targets=(
        TargetSpec(D(50), points=D(10), then_points=D(0)),
        TargetSpec(D(0), points=D(20), then_pct=D("-0.5")),
        TargetSpec(D(50), points=D(30), then_price=D(1520)),
    ),
    booking="even",
    exit_at="15:10",
    max_minutes=90,
)


def test_a_ladder_is_read_and_comes_out_as_it_can_be_sent_again() -> None:
    assert ExitsIn.model_validate(LADDER).spec() == SPEC
    sent = json.loads(exits_out(SPEC).model_dump_json())
    assert ExitsIn.model_validate(without_null(sent)).spec() == SPEC


def without_null(sent: Any) -> Any:
    if isinstance(sent, dict):
        return {name: without_null(value) for name, value in sent.items() if value is not None}
    return [without_null(item) for item in sent] if isinstance(sent, list) else sent


def test_a_signal_takes_the_same_recipe() -> None:
    signal = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "account_ids": ["a"]}
    assert SignalIn.model_validate({**signal, **LADDER}).spec() == SPEC
    assert SignalIn.model_validate(signal).spec().empty
    assert SignalIn.model_validate({**signal, "exit_at": "15:10"}).spec() == ExitSpec(exit_at="15:10")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"targets": [{"points": 5, "then_stop": {}}]}, "targets.0.then_stop"),
        ({"targets": [{"points": 5, "then_stop": {"points": 1, "pct": 1}}]}, "targets.0.then_stop"),
        ({"targets": [{"points": 5, "then_stop": {"price": 0}}]}, "targets.0.then_stop.price"),
        ({"targets": [{"points": 5, "then_stop": {"points": "x"}}]}, "targets.0.then_stop.points"),
        ({"targets": [{"points": 5, "then_stop": {"points": "5.05"}}]}, "targets.0"),
        ({"targets": [{"pct": 5, "then_stop": {"pct": 6}}]}, "targets.0"),
        ({"targets": [{"points": 5, "share_pct": 0}]}, "targets.0"),
        ({"targets": [{"points": 5, "share_pct": 101}]}, "targets.0.share_pct"),
        ({"booking": "odd"}, "booking"),
        ({"exit_at": "24:00"}, "exit_at"),
        ({"exit_at": "9:15"}, "exit_at"),
        ({"max_minutes": 0}, "max_minutes"),
        ({"max_minutes": 600_000}, "max_minutes"),
        ({"max_minutes": "30"}, "max_minutes"),
    ],
)
def test_what_makes_no_sense_is_refused_in_its_field(body: Any, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ExitsIn.model_validate(body)
    place = [part for part in refused.value.errors()[0]["loc"] if isinstance(part, int) or part in field.split(".")]
    assert ".".join(map(str, place)) == field


def test_a_plan_tells_where_its_rungs_have_come_to_and_when_it_ends() -> None:
    armed, _ = on_price(plan(recipe("stop 5pt; 4pt:30>0.52pt 8pt:70; even; minutes 2"), quantity="10"), D(104), 2.0)
    out = json.loads(plan_out(armed).model_dump_json())
    assert out["deadline"] == "1970-01-01T00:02:01.000000Z"
    assert (out["stop"], out["booking"], out["max_minutes"]) == ("100.5", "even", 2)
    first, last = out["targets"]
    assert (first["price"], first["then_stop"], first["fired"]) == ("104", {"price": "100.5", "pct": None, "points": "0.52"}, True)
    assert (last["quantity"], last["then_stop"]) == ("7", None)

"""The registry: a file is a strategy, and a bad file harms nobody."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pydantic
import pytest

from engines.core.model import Timeframe
from engines.strategies import registry


def test_the_built_in_kinds_are_found_with_words_and_schemas() -> None:
    assert [kind.kind for kind in registry.kinds()] == ["threshold", "ema_cross", "range_level"]
    assert not registry.broken()
    for kind in registry.kinds():
        assert kind.description
        schema = registry.params_schema(kind.kind)
        assert schema["additionalProperties"] is False
        assert all({"title", "description", "default"} <= field.keys() for field in schema["properties"].values())


def test_every_kind_runs_with_its_defaults() -> None:
    for kind in registry.kinds():
        strategy = registry.create(kind.kind, {}, "NSE:INFY", Timeframe.M5)
        assert registry.check_params(kind.kind, {}) == strategy.params.model_dump(mode="json")
        assert strategy.warmup >= 0


def test_an_unknown_kind_and_wrong_parameters_are_told() -> None:
    with pytest.raises(registry.UnknownKind, match="no strategy of kind 'magic'"):
        registry.create("magic", {}, "NSE:INFY", Timeframe.M1)
    with pytest.raises(pydantic.ValidationError):
        registry.check_params("ema_cross", {"fast": "many"})


GOOD = """
    from engines.strategies.base import Strategy

    class Mine(Strategy):
        kind = "mine"
        name = "Mine"

    class _Shared(Strategy):
        pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "strategies_of_mine"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("strategies_of_mine")]:
        monkeypatch.delitem(sys.modules, name)
    return package


def test_a_file_that_cannot_be_used_is_named_and_the_others_go_on(folder: Path) -> None:
    for name, text in {
        "__init__": "",
        "a_good": GOOD,
        "b_broken": "import nothing_of_that_name",
        "c_again": GOOD,
        "d_unnamed": 'from engines.strategies.base import Strategy\nclass D(Strategy):\n    kind = "d"\n',
        "e_syntax": "def (",
    }.items():
        (folder / f"{name}.py").write_text(dedent(text), encoding="utf-8")
    found = registry.collect(f"strategies_of_mine.{name}" for name in ("a_good", "b_broken", "c_again", "d_unnamed", "e_syntax"))
    assert set(found.kinds) == {"mine"}
    assert dict(found.broken).keys() == {"b_broken.py", "c_again.py", "d_unnamed.py", "e_syntax.py"}
    assert found.broken["b_broken.py"].startswith("ModuleNotFoundError")
    assert found.broken["c_again.py"] == "the kind 'mine' is taken by Mine"

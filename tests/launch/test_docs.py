"""The documents are true: their commands parse, their links lead somewhere, their tables are complete, and their example strategy trades."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import config
import run_strategy_system as launcher
from engines.core import risk as risk_rules
from engines.core.model import Candle, Denial, Side, Timeframe
from tests.bench.rows import ROWS
from tests.support.server import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_leads_to_every_page() -> None:
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in _without_anchors((ROOT / "README.md").read_text())] == []


def _without_anchors(text: str) -> str:
    return re.sub(r"#[^)\s]*\)", ")", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_is_understood(page: Path) -> None:
    for line in re.findall(r"python3 run_strategy_system\.py([^\n`)|]*)", page.read_text()):
        words = shlex.split(line.partition("#")[0])
        assert launcher.parse(words).command
        assert [word for word in words if word.startswith("tests/") and not (ROOT / word).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_project_speaks_of_itself_alone(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|root|home|tmp)/", page.read_text()) == []


def test_every_setting_is_in_the_operations_page() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert [row.env for row in config.explain() if f"`{row.env}`" not in text] == []


def test_every_reason_for_a_denial_is_in_the_operations_page_in_the_order_in_which_they_are_asked() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text.partition("Asked in this order")[2].partition("`duplicate`")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = [Denial(reason) for row in rows for reason in re.findall(r"`(\w+)`", row)]
    assert set(told) == set(Denial) - {Denial.DUPLICATE}
    assert len(told) == len(set(told))
    risk = [denial for denial, _ in risk_rules._QUESTIONS]
    assert [denial for denial in told if denial in risk] == risk


def test_every_figure_is_in_the_benchmarks_page() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [name for name in ROWS if f"| `{name}` |" not in text] == []


def test_the_readme_names_the_one_command_that_ci_runs_for_the_suite() -> None:
    command = "python3 run_strategy_system.py test"
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The strategy of `docs/adding-a-strategy.md`, as a newcomer would paste it into a file."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-strategy.md").read_text(), re.DOTALL)
    assert len(code) == 1
    module = ModuleType("docs_example")
    sys.modules["docs_example"] = module
    exec(compile(code[0], "docs/adding-a-strategy.md", "exec"), module.__dict__)
    yield module
    del sys.modules["docs_example"]


def candle(minute: int, close: float) -> Candle:
    return Candle("NSE:INFY", minute * 60.0, close, close + 1, close - 1, close, 10.0)


def test_the_example_strategy_buys_a_new_high_and_leaves_at_a_new_low(example: ModuleType) -> None:
    strategy = example.Breakout(example.Breakout.Params(length=4), "NSE:INFY", Timeframe.M1)
    wishes = []
    for minute, close in enumerate([100, 101, 100, 101, 105, 106, 96]):
        wish = strategy.on_candle(candle(minute, close))
        if wish is not None:
            strategy.accept(wish)
            wishes.append((minute, wish.side, wish.reduce_only))
    assert wishes == [(4, Side.BUY, False), (6, Side.SELL, True)]


def test_the_example_strategy_goes_on_after_a_restart(example: ModuleType) -> None:
    first = example.Breakout(example.Breakout.Params(length=4), "NSE:INFY", Timeframe.M1)
    for minute in range(6):
        first.on_candle(candle(minute, 100))
    second = example.Breakout(example.Breakout.Params(length=4), "NSE:INFY", Timeframe.M1)
    second.restore(first.state())
    assert second.on_candle(candle(6, 110)) == first.on_candle(candle(6, 110)) is not None

"""Finds every strategy in this folder, so that adding one is adding a file.

A file that cannot be used (it fails to import, or repeats a kind) is told by name and left out; the others go on.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import engines.strategies
from engines.core.model import Instrument, Timeframe
from engines.ports import TandemError
from engines.strategies.base import Strategy

_OURS = frozenset({"base", "incidents", "memory", "range_params", "registry", "runner", "signals"})

_log = logging.getLogger(__name__)


class UnknownKind(TandemError):
    """No strategy of that kind is installed."""


@dataclass(frozen=True, slots=True)
class Found:
    """Strategy classes by kind, and what is wrong with the files that could not be used."""

    kinds: Mapping[str, type[Strategy]]
    broken: Mapping[str, str]


def kinds() -> list[type[Strategy]]:
    """Every strategy that can be used, by name."""
    return sorted(found().kinds.values(), key=lambda strategy: strategy.name)


def get(kind: str) -> type[Strategy]:
    try:
        return found().kinds[kind]
    except KeyError:
        raise UnknownKind(f"there is no strategy of kind {kind!r}") from None


def broken() -> Mapping[str, str]:
    """File name → why it was left out."""
    return found().broken


def params_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind's parameters; pages make the form from it."""
    return get(kind).Params.model_json_schema()


def check_params(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with defaults filled in, as plain JSON; pydantic's ValidationError says what is wrong with which field."""
    return get(kind).Params.model_validate(dict(params)).model_dump(mode="json")


def create(kind: str, params: Mapping[str, Any], symbol: str, timeframe: Timeframe, instrument: Instrument | None = None) -> Strategy:
    strategy = get(kind)
    return strategy(strategy.Params.model_validate(dict(params)), symbol, timeframe, instrument)


@cache
def found() -> Found:
    names = [module.name for module in pkgutil.iter_modules(engines.strategies.__path__) if module.name not in _OURS]
    return collect(f"{engines.strategies.__name__}.{name}" for name in sorted(names))


def collect(modules: Iterable[str]) -> Found:
    """Import each module and take the strategies that it defines itself."""
    usable: dict[str, type[Strategy]] = {}
    wrong: dict[str, str] = {}
    for path in modules:
        file = path.rpartition(".")[2] + ".py"
        try:
            module = importlib.import_module(path)
        except Exception as error:  # whatever a person's file may raise: the others must still trade
            _log.exception("strategy file left out: %s", file)
            wrong[file] = f"{type(error).__name__}: {error}"
            continue
        for strategy in _defined_in(module):
            if not strategy.kind or not strategy.name:
                wrong[file] = f"{strategy.__name__} needs a kind and a name"
            elif strategy.kind in usable:
                wrong[file] = f"the kind {strategy.kind!r} is taken by {usable[strategy.kind].__name__}"
            else:
                usable[strategy.kind] = strategy
    return Found(usable, wrong)


def _defined_in(module: ModuleType) -> list[type[Strategy]]:
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Strategy) and item.__module__ == module.__name__ and item.__name__[0] != "_"
    ]

"""What a person is told when a strategy fails or comes too late: words and incidents, no decisions. No text of it holds a path of the machine."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path

import pydantic

from engines.core.model import Incident, StrategyConfig, Timestamp


def failure(error: Exception) -> str:
    """What happened and where: the kind of error, its words, file and line."""
    return f"{type(error).__name__}: {_words(error)} ({_place(error)})"


def quarantine(config: StrategyConfig, message: str, since: Timestamp) -> Incident:
    """One incident for each strategy, opened and closed under the same id."""
    return Incident(
        incident_id=f"quarantine-{config.strategy_id}",
        kind="strategy_quarantined",
        message=f"{config.name} has failed and is out until someone has looked at it: {message}",
        severity="critical",
        since=since,
        user_id=config.user_id,
    )


def missed(config: StrategyConfig, count: int, at: Timestamp, incident_id: str) -> Incident:
    """Entries that came too late to be sent; over as soon as it is told."""
    words = "an entry came" if count == 1 else f"{count} entries came"
    return Incident(
        incident_id, "entry_missed", f"{config.name}: {words} too late to be sent", "warning", since=at, user_id=config.user_id, until=at
    )


def of(incident: Incident, user_id: str) -> Incident:
    """The same for somebody else whose accounts the strategy trades on, opened and closed under one id of their own."""
    return replace(incident, incident_id=f"{incident.incident_id}-{user_id}", user_id=user_id)


def _words(error: Exception) -> str:
    """The error's own text; of wrong parameters each field with what is wrong, on one line."""
    if isinstance(error, pydantic.ValidationError):
        return "; ".join(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors())
    return str(error)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "unknown place"

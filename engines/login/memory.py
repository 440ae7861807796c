"""What the automated log-in of an account did last, and who keeps that over a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engines.core.model import Timestamp

MOST_FAILURES = 2
"""In a row; then it waits for a person. Brokers lock an account after a few more."""


@dataclass(frozen=True, slots=True)
class AutoLogin:
    """`failures`: how often in a row; `day`: of the last attempt by schedule, "" before it; `reason` and `message`: "" after a success."""

    account_id: str
    day: str = ""
    at: Timestamp = 0.0
    failures: int = 0
    reason: str = ""
    message: str = ""

    @property
    def stopped(self) -> bool:
        return self.failures >= MOST_FAILURES


class Memory(Protocol):
    """`save` returns when it is durable."""

    def get(self, account_id: str) -> AutoLogin: ...

    def save(self, told: AutoLogin) -> None: ...

    def forgive(self, account_id: str) -> None:
        """A person has acted: failures count anew."""
        ...

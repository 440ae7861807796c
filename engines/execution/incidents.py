"""What a person must know: raised once, kept while it lasts, closed when it is over, told on every page.

The log decides nothing; it only sees to it that the same trouble is one incident, however often it is noticed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from engines.core.facts import IncidentChanged
from engines.core.model import Incident
from engines.ports import Clock, Ids, Journal, Notifier

EXIT_MISSING = "exit_missing"
LASTING = frozenset(
    {
        EXIT_MISSING,
        "feed_silent",
        "journal_down",
        "thread_died",
        "thread_stuck",
        "needs_login",
        "cannot_connect",
        "changes_wait",
        "position_differs",
        "position_elsewhere",
        "login_failed",
        "session_ends_soon",
        "instruments",
        "prices_full",
        "strategy_quarantined",
        "limit_reached",
        "combined_left",
        "mail_down",
    }
)
"""Kinds that stay open until somebody resolves them; the others are told and are over at once."""
KEPT = frozenset({EXIT_MISSING})
"""Kinds of them that stay open over a restart, because nothing else on record says it: their id ends with what they are about."""
PRICES = "prices_"
"""Begins the kinds about one broker's price stream; they last too."""


class IncidentLog:
    def __init__(self, journal: Journal, notifier: Notifier, clock: Clock, ids: Ids, owner_of: Callable[[str], str | None]) -> None:
        self._journal = journal
        self._notifier = notifier
        self._clock = clock
        self._ids = ids
        self._owner_of = owner_of  # account id → user id
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Incident] = {}

    def raise_(
        self, kind: str, severity: str, message: str, account_id: str | None = None, *, user_id: str | None = None, about: str = ""
    ) -> None:
        """Tell of trouble; `about` tells two troubles of one kind apart (a thread's name, a strategy)."""
        key = (kind, about or account_id or "")
        now = self._clock.now()
        with self._lock:
            if key in self._open:
                return
            whose = user_id or (self._owner_of(account_id) if account_id else None)
            lasts = kind in LASTING or kind.startswith(PRICES)
            name = f"{self._ids.new()}-{about}" if kind in KEPT else self._ids.new()
            incident = Incident(name, kind, message, severity, now, whose, account_id, until=None if lasts else now)
            if lasts:
                self._open[key] = incident
        self._tell(incident)

    def resolve(self, kind: str, account_id: str | None = None, *, about: str = "") -> None:
        with self._lock:
            incident = self._open.pop((kind, about or account_id or ""), None)
        if incident is not None:
            self._tell(replace(incident, until=self._clock.now()))

    def take_up(self, incident: Incident) -> str:
        """After a restart: one of KEPT, which has been told already; what it is about."""
        about = incident.incident_id.rpartition("-")[2]
        with self._lock:
            self._open[incident.kind, about] = incident
        return about

    def open(self) -> Sequence[Incident]:
        with self._lock:
            return tuple(self._open.values())

    def _tell(self, incident: Incident) -> None:
        self._journal.append(IncidentChanged(incident))
        self._notifier.publish("incident", incident.user_id, {"incident": incident})

"""What may stand in one sum on a page: money of one currency, and where a person has both live and paper accounts, of one kind.

With only one kind nothing says so; with both, live comes first and each has its word. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.api.pnl.schemas import RealtimeOut


@dataclass(frozen=True, slots=True)
class Purse:
    """`kind`: "live" or "paper" where there are both, else "". `sums` has realised, unrealised, charges, net (and whatever a page adds up itself)."""

    kind: str
    currency: str
    sums: Any
    main: bool = False  # without a kind: of the home currency, whose names on the stream are short

    def key(self, name: str) -> str:
        """The name of one of its figures on the live stream."""
        if self.kind:
            return f"pnl.{self.kind}.{self.currency}.{name}"
        return f"pnl.{name}" if self.main else f"pnl.{self.currency}.{name}"

    def holds(self, live: bool, currency: str) -> bool:
        return currency == self.currency and self.kind in ("", "live" if live else "paper")


def purses_of(pnl: RealtimeOut) -> tuple[Purse, ...]:
    """Real money first, the home currency first; never empty."""
    if not (pnl.live and pnl.paper):
        return tuple(Purse("", currency, row, currency == pnl.currency) for currency, row in _home_first(pnl.totals, pnl.currency))
    return tuple(
        Purse(kind, currency, row)
        for kind, rows in (("live", pnl.live), ("paper", pnl.paper))
        for currency, row in _home_first(rows, pnl.currency)
    )


def added(
    purses: Iterable[Purse], things: Iterable[Any], purse_of: Callable[[Any], tuple[bool, str]], sums: Callable[[list[Any]], Any]
) -> list[Purse]:
    """The same purses over other figures: `purse_of` says of a thing whether it is live and its currency. Those in which nothing is are left out, all but
    the first of all when nothing is at all."""
    known = list(things)
    found = []
    for purse in purses:
        mine = [thing for thing in known if purse.holds(*purse_of(thing))]
        found.append((bool(mine), Purse(purse.kind, purse.currency, sums(mine), purse.main)))
    return [purse for filled, purse in found if filled] or [purse for _, purse in found[:1]]


def _home_first(rows: dict[str, Any], home: str) -> list[tuple[str, Any]]:
    return sorted(rows.items(), key=lambda item: (item[0] != home, item[0]))

"""The trigger book: prices that are waited for, kept so that a tick which reaches none of them costs a look-up and two comparisons.

A plain data structure without locks; whoever owns it calls it from one thread or under one lock. It knows no plans and no orders: exit plans keep
their stops, targets and trailing steps in one, the paper exchange its resting orders in others (one book for each stream of prices: last, bid, ask).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from math import inf, isfinite
from typing import Literal, NamedTuple

Direction = Literal["up", "down"]


class Level(NamedTuple):
    """`owner_id`'s wish to be told when the price of `symbol` is at or beyond `price`: "up" at or above it, "down" at or below it."""

    owner_id: str
    leg: str
    symbol: str
    price: float
    direction: Direction


_Entry = tuple[float, int, Level]
"""Sort key (the price, negated on the down side, so that both sides are reached in ascending order), arrival number, level."""


class _Watch:
    """The levels of one symbol; `above` and `below` are the nearest ones, kept apart because nearly every tick asks only for them."""

    __slots__ = ("above", "below", "downs", "ups")

    def __init__(self) -> None:
        self.ups: list[_Entry] = []
        self.downs: list[_Entry] = []
        self.refresh()

    def refresh(self) -> None:
        self.above = self.ups[0][0] if self.ups else inf
        self.below = -self.downs[0][0] if self.downs else -inf

    def side(self, direction: Direction) -> list[_Entry]:
        return self.ups if direction == "up" else self.downs


class TriggerBook:
    """Levels by symbol and price. A level that fires leaves the book, so it fires once; `set` its owner's levels again to re-arm it."""

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self._owned: dict[str, dict[int, _Entry]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        """How many levels are armed."""
        return sum(map(len, self._owned.values()))

    def set(self, owner_id: str, levels: Iterable[Level]) -> None:
        """Replace all levels of this owner. ValueError, and nothing changed, for a level that could never fire or is another's."""
        wanted = tuple(levels)
        for level in wanted:
            if level.owner_id != owner_id:
                raise ValueError(f"a level of {level.owner_id} cannot be set for {owner_id}")
            if not (isfinite(level.price) and level.price > 0):
                raise ValueError(f"{level.leg} of {owner_id} cannot wait for the price {level.price}")
            if level.direction not in ("up", "down"):
                raise ValueError(f"{level.leg} of {owner_id} waits in no direction: {level.direction}")
        self.remove(owner_id)
        if not wanted:
            return
        owned = self._owned[owner_id] = {}
        for level in wanted:
            self._arrivals += 1
            entry = (level.price if level.direction == "up" else -level.price, self._arrivals, level)
            owned[self._arrivals] = entry
            watch = self._watches.get(level.symbol)
            if watch is None:
                watch = self._watches[level.symbol] = _Watch()
            insort(watch.side(level.direction), entry)
            watch.refresh()

    def remove(self, owner_id: str) -> None:
        """Forget this owner's levels, if there are any."""
        for entry in self._owned.pop(owner_id, {}).values():
            level = entry[2]
            watch = self._watches[level.symbol]
            side = watch.side(level.direction)
            del side[bisect_right(side, entry) - 1]
            watch.refresh()
            self._forget_empty(level.symbol, watch)

    def levels(self, owner_id: str) -> tuple[Level, ...]:
        """What is armed for this owner, in the order in which it was set."""
        return tuple(entry[2] for entry in self._owned.get(owner_id, {}).values())

    def waiting(self, symbol: str) -> tuple[Level, ...]:
        """Everything that waits for a price of this symbol, the nearest first on each side."""
        watch = self._watches.get(symbol)
        return () if watch is None else tuple(entry[2] for entry in (*watch.downs, *watch.ups))

    def symbols(self) -> frozenset[str]:
        """Symbols on which anything waits."""
        return frozenset(self._watches)

    def on_tick(self, symbol: str, price: float) -> list[Level]:
        """The levels that this price reaches, nearest first; they are no longer armed. NaN, infinite, zero and negative prices reach none."""
        watch = self._watches.get(symbol)
        if watch is None or watch.below < price < watch.above:
            return []
        if not (isfinite(price) and price > 0):
            return []
        fired = self._take(watch.downs, -price) + self._take(watch.ups, price)
        watch.refresh()
        self._forget_empty(symbol, watch)
        return fired

    def _take(self, side: list[_Entry], reached: float) -> list[Level]:
        count = bisect_right(side, reached, key=lambda entry: entry[0])
        taken, side[:count] = side[:count], []
        for _, arrival, level in taken:
            owned = self._owned[level.owner_id]
            del owned[arrival]
            if not owned:
                del self._owned[level.owner_id]
        return [level for _, _, level in taken]

    def _forget_empty(self, symbol: str, watch: _Watch) -> None:
        if not watch.ups and not watch.downs:
            del self._watches[symbol]

"""Every instrument that can be named, by symbol, and the search over them that pages and the API use: the feed's own names, and behind them the
brokers' lists.

Where both know a symbol the brokers' row holds, for real lots and ticks beat simulated ones. Reads need no lock: a new list replaces the old one in a
single step. It never guesses an instrument that neither names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engines.core.model import Instrument
from engines.ports import Master

_MOST_KEPT = 50_000
_BEST = 3
"""Ranks of the feed's matches that come before the brokers' ones; what merely holds the text somewhere comes after them."""


class InstrumentTable:
    def __init__(self, instruments: Iterable[Instrument] = (), master: Master | None = None) -> None:
        self._master = master
        self._kept: dict[str, Instrument | None] = {}
        self.replace(instruments)
        if master is not None:
            master.on_change(self._forget)

    def replace(self, instruments: Iterable[Instrument]) -> None:
        """The new day's list of the feed instead of the old one; a symbol named twice keeps its last row."""
        by_symbol = {instrument.symbol: instrument for instrument in instruments}
        ordered = sorted(by_symbol.values(), key=lambda instrument: instrument.symbol)
        self._rows = [(instrument.symbol.partition(":")[2].lower(), instrument.name.lower(), instrument) for instrument in ordered]
        self._by_symbol = by_symbol
        self._forget()

    def _forget(self) -> None:
        self._kept = {}

    def get(self, symbol: str) -> Instrument | None:
        """From memory; a symbol that nobody has asked for since the lists were new costs one read of them."""
        kept = self._kept  # a change meanwhile leaves this one behind, with whatever is put into it
        try:
            return kept[symbol]
        except KeyError:
            listed = self._master.get(symbol) if self._master is not None else None
            found = listed if listed is not None else self._by_symbol.get(symbol)
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[symbol] = found
            return found

    def __contains__(self, symbol: object) -> bool:
        return isinstance(symbol, str) and self.get(symbol) is not None

    def __len__(self) -> int:
        """How many the feed names."""
        return len(self._by_symbol)

    def __iter__(self) -> Iterator[Instrument]:
        """The feed's own: those that have prices without any broker."""
        return iter([self.get(symbol) or instrument for symbol, instrument in list(self._by_symbol.items())])

    def search(self, q: str = "", exchange: str | None = None, limit: int = 20, segment: str | None = None) -> list[Instrument]:
        """The best matches first: the very symbol, then symbols that begin with `q`, words of the name that do, then anything that holds it; the
        brokers' lists, which also know words in any order (`24500 nifty ce`), before that last.

        An empty `q` lists by symbol. `q` may name the exchange (`NSE:INFY`); case and outer blanks do not matter."""
        own = self._ranked(q, exchange, limit, segment)
        listed = self._master.search(q, exchange, limit, segment) if self._master is not None and limit > 0 else ()
        found = {instrument.symbol: instrument for instrument in own[0]}
        text = q.strip().upper()
        found |= {each.symbol: each for each in listed if text in (each.symbol, each.symbol.partition(":")[2])}
        for rank in own[1:_BEST]:
            found |= {instrument.symbol: instrument for instrument in rank if instrument.symbol not in found}
        found |= {instrument.symbol: instrument for instrument in listed if instrument.symbol not in found}
        found |= {instrument.symbol: instrument for instrument in own[_BEST] if instrument.symbol not in found}
        return [self.get(symbol) or instrument for symbol, instrument in list(found.items())[:limit]]

    def _ranked(self, q: str, exchange: str | None, limit: int, segment: str | None) -> tuple[list[Instrument], ...]:
        wanted = q.strip().lower()
        venue, colon, rest = wanted.partition(":")
        if colon:
            wanted, exchange = rest, venue.upper() or exchange
        best: tuple[list[Instrument], ...] = ([], [], [], [])
        for code, title, instrument in self._rows:
            if exchange not in (None, instrument.exchange) or segment not in (None, instrument.segment):
                continue
            rank = _rank(wanted, code, title)
            if rank is not None and len(best[rank]) < limit:
                best[rank].append(instrument)
                if not wanted and len(best[rank]) == limit:
                    break
        return best


def _rank(wanted: str, code: str, title: str) -> int | None:
    if code == wanted:
        return 0
    if code.startswith(wanted):
        return 1
    if title.startswith(wanted) or f" {wanted}" in title:
        return 2
    return 3 if wanted in code or wanted in title else None

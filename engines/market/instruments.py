"""Every instrument that can be named, by symbol, and the search over them that pages and the API use.

Reads need no lock: a new list replaces the old one in a single step. It never guesses an instrument that the feed did not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engines.core.model import Instrument


class InstrumentTable:
    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self.replace(instruments)

    def replace(self, instruments: Iterable[Instrument]) -> None:
        """The new day's list instead of the old one (masters change daily); a symbol named twice keeps its last row."""
        by_symbol = {instrument.symbol: instrument for instrument in instruments}
        ordered = sorted(by_symbol.values(), key=lambda instrument: instrument.symbol)
        self._rows = [(instrument.symbol.partition(":")[2].lower(), instrument.name.lower(), instrument) for instrument in ordered]
        self._by_symbol = by_symbol

    def get(self, symbol: str) -> Instrument | None:
        return self._by_symbol.get(symbol)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._by_symbol

    def __len__(self) -> int:
        return len(self._by_symbol)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(list(self._by_symbol.values()))

    def search(self, q: str = "", exchange: str | None = None, limit: int = 20) -> list[Instrument]:
        """The best matches first: the very symbol, then symbols that begin with `q`, words of the name that do, then anything that holds it.

        An empty `q` lists by symbol. `q` may name the exchange (`NSE:INFY`); case and outer blanks do not matter."""
        wanted = q.strip().lower()
        venue, colon, rest = wanted.partition(":")
        if colon:
            wanted, exchange = rest, venue.upper() or exchange
        best: tuple[list[Instrument], ...] = ([], [], [], [])
        for code, title, instrument in self._rows:
            if exchange is not None and instrument.exchange != exchange:
                continue
            rank = _rank(wanted, code, title)
            if rank is not None and len(best[rank]) < limit:
                best[rank].append(instrument)
                if not wanted and len(best[rank]) == limit:
                    break
        return [instrument for found in best for instrument in found][:limit]


def _rank(wanted: str, code: str, title: str) -> int | None:
    if code == wanted:
        return 0
    if code.startswith(wanted):
        return 1
    if title.startswith(wanted) or f" {wanted}" in title:
        return 2
    return 3 if wanted in code or wanted in title else None

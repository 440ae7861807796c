"""How Angel One spells the emulated market: the rows of its scrip master, and both ways between them and our symbols.

Pure; made from the instruments that every emulated Indian broker lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from engines.core.model import Instrument
from tests.emulators.core.listing import Listed

INDEX_NAMES = {  # ours → its token, its symbol and its short name there
    "NSE:NIFTY 50": ("99926000", "Nifty 50", "NIFTY"),
    "NSE:NIFTY BANK": ("99926009", "Nifty Bank", "BANKNIFTY"),
    "NSE:NIFTY FIN SERVICE": ("99926037", "Nifty Fin Service", "FINNIFTY"),
    "NSE:INDIA VIX": ("99926017", "India VIX", "INDIA VIX"),
    "BSE:SENSEX": ("99919000", "SENSEX", "SENSEX"),
}
SHARES_FREEZE = 500_000
INDEX_UNDERLYINGS = frozenset({"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX", "BANKEX"})


@dataclass(frozen=True, slots=True)
class Scrip:
    """One instrument as Angel One lists it."""

    instrument: Instrument
    token: str
    symbol: str  # trading symbol
    name: str
    kind: str  # instrumenttype

    @property
    def exchange(self) -> str:
        return self.instrument.exchange

    @property
    def expiry(self) -> str:
        """`25AUG2026`, empty for shares."""
        return _day(self.instrument.expiry, "%d%b%Y")

    @property
    def strike(self) -> Decimal:
        """Rupees; −1 where there is none, as in the books."""
        return self.instrument.strike if self.instrument.strike is not None else Decimal(-1)

    def row(self) -> dict[str, Any]:
        """Its row in the master: strike and tick in paise, everything a string."""
        index, strike = self.kind == "AMXIDX", self.instrument.strike
        return {
            "token": self.token,
            "symbol": self.symbol,
            "name": self.name,
            "expiry": self.expiry,
            "strike": "0.000000" if index else "-1.000000" if strike is None else f"{strike * 100:.6f}",
            "lotsize": str(self.instrument.lot_size),
            "instrumenttype": self.kind,
            "exch_seg": self.exchange,
            "tick_size": "0.000000" if index else f"{self.instrument.tick_size * 100:.6f}",
            "freeze_qty": "0" if index else str(self.instrument.freeze_quantity or SHARES_FREEZE),
            "is_cas_enabled": False,
        }


class Scrips:
    """The master with its keys."""

    def __init__(self, market: Iterable[Listed]) -> None:
        self.rows = [_scrip(x) for x in market]
        self._ours = {x.instrument.symbol: x for x in self.rows}
        self._tokens = {(x.exchange, x.token): x for x in self.rows}
        self._symbols = {(x.exchange, x.symbol): x for x in self.rows}

    def of(self, symbol: str) -> Scrip:
        return self._ours[symbol]

    def by_token(self, exchange: str, token: str) -> Scrip | None:
        return self._tokens.get((exchange, token))

    def by_symbol(self, exchange: str, symbol: str) -> Scrip | None:
        return self._symbols.get((exchange, symbol))

    def search(self, exchange: str, text: str) -> list[Scrip]:
        wanted = text.upper()
        return [x for x in self.rows if x.exchange == exchange and x.symbol.upper().startswith(wanted)]

    def master(self) -> list[dict[str, Any]]:
        return [x.row() for x in self.rows]


def _scrip(listed: Listed) -> Scrip:
    instrument = listed.instrument
    short = instrument.symbol.partition(":")[2]
    if instrument.segment == "INDEX":
        token, symbol, name = INDEX_NAMES.get(instrument.symbol, (f"999{listed.token:05d}", short.title(), short))
        return Scrip(instrument, token, symbol, name, "AMXIDX")
    if instrument.segment in ("FUT", "OPT"):
        name = instrument.name
        family = "IDX" if name in INDEX_UNDERLYINGS else "STK"
        # The derivatives of NSE are named by their whole date, those of BSE as Kite names them.
        symbol = short if instrument.exchange == "BFO" else name + _day(instrument.expiry, "%d%b%y") + _right(instrument)
        return Scrip(instrument, str(listed.token), symbol, name, instrument.segment + family)
    symbol = f"{short}-EQ" if instrument.exchange == "NSE" else short
    return Scrip(instrument, str(listed.token), symbol, short, "")


def _right(instrument: Instrument) -> str:
    if instrument.segment == "FUT":
        return "FUT"
    return f"{(instrument.strike or Decimal(0)).normalize():f}{instrument.option_type}"


def _day(expiry: str | None, form: str) -> str:
    return "" if expiry is None else date.fromisoformat(expiry).strftime(form).upper()

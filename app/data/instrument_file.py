"""The file that holds the day's instruments: its tables, how it is written in one go, and how its lines become instruments again.

It is written once, by the process that builds it, and never changed: a new day is a new file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from engines.core.model import Instrument, Timestamp
from engines.market.masters import Entry, words_of

FORMAT = 2
"""Of the tables below; a file of another format is as good as none."""
COLUMNS = "symbol, name, exchange, tick_size, lot_size, freeze_quantity, segment, expiry, strike, option_type, quantity_step, band_pct, auction, underlying"
_TABLES = """
CREATE TABLE instruments (
  id INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE, name TEXT NOT NULL, exchange TEXT NOT NULL, tick_size TEXT NOT NULL, lot_size INTEGER NOT NULL,
  freeze_quantity INTEGER, segment TEXT NOT NULL, expiry TEXT, strike TEXT, option_type TEXT, quantity_step TEXT NOT NULL, band_pct TEXT NOT NULL,
  auction INTEGER NOT NULL, underlying TEXT NOT NULL
);
CREATE TABLE listings (
  instrument_id INTEGER NOT NULL, broker TEXT NOT NULL, token TEXT NOT NULL, exchange TEXT NOT NULL, trading_symbol TEXT NOT NULL,
  PRIMARY KEY (instrument_id, broker)
) WITHOUT ROWID;
CREATE TABLE lists (broker TEXT PRIMARY KEY, loaded_at REAL NOT NULL, listed INTEGER NOT NULL, source TEXT NOT NULL);
CREATE VIRTUAL TABLE finding USING fts5(
  words, content='', detail=none, columnsize=0, prefix='1 2 3', tokenize="unicode61 remove_diacritics 0 tokenchars '&-_.'"
);
"""
_INDEXES = """
CREATE INDEX listings_token ON listings (broker, exchange, token);
CREATE INDEX listings_symbol ON listings (broker, exchange, trading_symbol);
INSERT INTO finding (finding) VALUES ('optimize');
"""


@dataclass(frozen=True, slots=True)
class ListAge:
    """One broker's list: when it was taken, how many instruments it holds, from where."""

    broker: str
    loaded_at: Timestamp
    listed: int
    source: str


def write(path: Path, entries: Sequence[Entry], lists: Iterable[ListAge]) -> None:
    """A whole new file, on disk when this returns. The place of an entry is its rank in searches."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA user_version = {FORMAT}; {_TABLES}")
        db.execute("BEGIN")
        marks = ", ".join("?" * 15)
        db.executemany(f"INSERT INTO instruments (id, {COLUMNS}) VALUES ({marks})", (_line(n, e) for n, e in enumerate(entries, 1)))
        db.executemany(
            "INSERT INTO listings (instrument_id, broker, token, exchange, trading_symbol) VALUES (?, ?, ?, ?, ?)",
            (
                (number, each.broker, each.token, each.exchange, each.trading_symbol)
                for number, entry in enumerate(entries, 1)
                for each in sorted(entry.listings, key=lambda listing: listing.broker)
            ),
        )
        db.executemany(
            "INSERT INTO finding (rowid, words) VALUES (?, ?)",
            ((n, words_of(e.instrument, e.underlying)) for n, e in enumerate(entries, 1)),
        )
        db.executemany(
            "INSERT INTO lists (broker, loaded_at, listed, source) VALUES (?, ?, ?, ?)",
            ((each.broker, each.loaded_at, each.listed, each.source) for each in lists),
        )
        db.execute("COMMIT")
        db.executescript(_INDEXES)
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(number: int, entry: Entry) -> tuple[Any, ...]:
    i, underlying = entry.instrument, entry.underlying
    strike = None if i.strike is None else str(i.strike)
    return (
        number,
        i.symbol,
        i.name,
        i.exchange,
        str(i.tick_size),
        i.lot_size,
        i.freeze_quantity,
        i.segment,
        i.expiry,
        strike,
        i.option_type,
        str(i.quantity_step),
        str(i.band_pct),
        i.auction,
        underlying,
    )


def instrument(row: Sequence[Any]) -> Instrument:
    """From a line of COLUMNS."""
    symbol, name, exchange, tick, lot, freeze, segment, expiry, strike, option_type, step, band, auction, _ = row
    return Instrument(
        symbol=symbol,
        name=name,
        exchange=exchange,
        tick_size=_number(tick),
        lot_size=lot,
        freeze_quantity=freeze,
        segment=segment,
        expiry=expiry,
        strike=None if strike is None else _number(strike),
        option_type=option_type,
        quantity_step=_number(step),
        band_pct=_number(band),
        auction=bool(auction),
    )


@lru_cache(maxsize=10_000)
def _number(text: str) -> Decimal:
    return Decimal(text)


def opened(path: Path) -> sqlite3.Connection | None:
    """A connection that only reads; None when there is no file of this format."""
    if not path.is_file():
        return None
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False, isolation_level=None)
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
            return db
    except sqlite3.DatabaseError:
        pass  # not a database, or one that a disk has spoilt: the next refresh makes it anew
    db.close()
    return None

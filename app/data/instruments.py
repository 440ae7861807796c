"""The instruments of every broker, read from a file of their own beside the database; a new day's file takes the old one's place in one step.

Any thread may read. It never writes a list and never fetches one: that is the work of a process of its own (`app.data.build_master`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.data import instrument_file
from app.data.instrument_file import COLUMNS, ListAge
from engines.core.model import Instrument, Timestamp
from engines.market.masters import Ask, read_ask
from engines.market.masters.words import exchange_word, segment_word
from engines.ports import Listing

FILE = "instruments.db"
NEW_FILE = "instruments.db.new"
EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "BINANCE")
_MOST_KEPT = 20_000
_LISTED = "SELECT i.symbol, l.broker, l.token, l.exchange, l.trading_symbol FROM listings l JOIN instruments i ON i.id = l.instrument_id"
_Kept = dict[tuple[str, str], Listing | None]


class Instruments:
    """Implements engines.ports.Master. Without a file it holds nothing."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE
        self.new_path = data_dir / NEW_FILE
        self._lock = threading.Lock()
        self._generation = 0
        self._idle: deque[sqlite3.Connection] = deque()
        self._kept: _Kept = {}
        self._lists = self._read_lists()
        self._callbacks: list[Callable[[], None]] = []

    # --- reads -------------------------------------------------------------------------------------------------------

    def get(self, symbol: str) -> Instrument | None:
        row = self._one(f"SELECT {COLUMNS} FROM instruments WHERE symbol = ?", symbol)
        return instrument_file.instrument(row) if row else None

    def listing(self, broker: str, symbol: str) -> Listing | None:
        """How this broker lists it; kept in memory after the first time, because orders ask."""
        kept, key = self._kept, (broker, symbol)
        if key not in kept:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[key] = self._listing("i.symbol = ? AND l.broker = ?", symbol, broker)
        return kept.get(key)

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return self._listing("l.broker = ? AND l.exchange = ? AND l.token = ?", broker, exchange, token)

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return self._listing("l.broker = ? AND l.exchange = ? AND l.trading_symbol = ?", broker, exchange, trading_symbol)

    def loaded_at(self, broker: str) -> Timestamp | None:
        return next((each.loaded_at for each in self._lists if each.broker == broker), None)

    def lists(self) -> Sequence[ListAge]:
        """What there is, by broker."""
        return self._lists

    def search(self, q: str, exchange: str | None = None, limit: int = 20, segment: str | None = None) -> Sequence[Instrument]:
        """The very symbol, then what has all the words, then what has words that begin like them; within each the nearest expiry first.

        The order of the words, capitals and outer blanks do not matter; an empty `q` lists everything in that order."""
        ask = read_ask(q, exchange)
        filters = [word for word in (ask.exchange and exchange_word(ask.exchange), segment and segment_word(segment)) if word]
        with self._use() as db:
            if db is None or limit <= 0:
                return []
            if not ask.ways:
                return [] if ask.text else _in_order(db, ask.exchange, segment, limit)
            found = dict.fromkeys(_very_symbol(db, ask, segment))
            for words in ask.ways:
                for match in _matches(words, filters):
                    if len(found) >= limit:
                        break
                    found.update(dict.fromkeys(_matching(db, match, limit)))
            return _rows(db, list(found)[:limit])

    # --- a new day ---------------------------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def swap(self, patience: float = 5.0) -> None:
        """The new file in place of the old. Raises OSError when it cannot be put there: then the old one stays."""
        deadline = time.monotonic() + patience
        while True:
            with self._lock:
                self._generation += 1  # whoever is reading goes on reading the old file, and closes it then
                idle, self._idle = self._idle, deque()
                for connection in idle:
                    connection.close()
                try:
                    self.new_path.replace(self.path)
                    break
                except PermissionError:  # Windows keeps a file that is being read; reads take milliseconds
                    if os.name != "nt" or time.monotonic() > deadline:
                        raise
            time.sleep(0.02)
        self._kept = {}
        self._lists = self._read_lists()
        for callback in self._callbacks:
            callback()

    def close(self) -> None:
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    # --- connections -------------------------------------------------------------------------------------------------

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection | None]:
        with self._lock:
            generation = self._generation
            connection = self._idle.pop() if self._idle else instrument_file.opened(self.path)
        try:
            yield connection
        finally:
            if connection is not None:
                with self._lock:
                    keep = generation == self._generation and len(self._idle) < 8
                    if keep:
                        self._idle.append(connection)
                if not keep:
                    connection.close()

    def _one(self, sql: str, *params: str) -> Any:
        with self._use() as db:
            return None if db is None else db.execute(sql, params).fetchone()

    def _listing(self, where: str, *params: str) -> Listing | None:
        row = self._one(f"{_LISTED} WHERE {where}", *params)
        return Listing(*row) if row else None

    def _read_lists(self) -> tuple[ListAge, ...]:
        with self._use() as db:
            rows = [] if db is None else db.execute("SELECT broker, loaded_at, listed, source FROM lists ORDER BY broker").fetchall()
            return tuple(ListAge(*row) for row in rows)


# --- searching -----------------------------------------------------------------------------------------------------


def _very_symbol(db: sqlite3.Connection, ask: Ask, segment: str | None) -> list[int]:
    symbols = [f"{exchange}:{ask.text}" for exchange in ((ask.exchange,) if ask.exchange else EXCHANGES)]
    sql = f"SELECT id FROM instruments WHERE symbol IN ({', '.join('?' * len(symbols))}) AND ? IN (segment, '') ORDER BY id"
    return [row[0] for row in db.execute(sql, (*symbols, segment or ""))]


def _matches(words: Sequence[str], filters: Sequence[str]) -> Iterator[str]:
    """Whole words; then the last one still being typed; then every one the beginning of something."""
    whole, begun = [f'"{word}"' for word in words], [f'"{word}" *' for word in words]
    fixed = [f'"{word}"' for word in filters]
    yield " AND ".join(fixed + whole)
    yield " AND ".join(fixed + whole[:-1] + begun[-1:])
    if len(words) > 1:
        yield " AND ".join(fixed + begun)


def _matching(db: sqlite3.Connection, match: str, limit: int) -> list[int]:
    try:
        return [row[0] for row in db.execute("SELECT rowid FROM finding WHERE finding MATCH ? ORDER BY rowid LIMIT ?", (match, limit))]
    except sqlite3.OperationalError:  # a sign that the index does not take for part of a word: then nothing has it
        return []


def _in_order(db: sqlite3.Connection, exchange: str | None, segment: str | None, limit: int) -> list[Instrument]:
    sql = f"SELECT {COLUMNS} FROM instruments WHERE ? IN (exchange, '') AND ? IN (segment, '') ORDER BY id LIMIT ?"
    return [instrument_file.instrument(row) for row in db.execute(sql, (exchange or "", segment or "", limit))]


def _rows(db: sqlite3.Connection, ids: Sequence[int]) -> list[Instrument]:
    """In the order of `ids`."""
    found: dict[int, Instrument] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        for row in db.execute(f"SELECT id, {COLUMNS} FROM instruments WHERE id IN ({', '.join('?' * len(some))})", some):
            found[row[0]] = instrument_file.instrument(row[1:])
    return [found[each] for each in ids]

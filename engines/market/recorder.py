"""Keeps the candles, and if wanted the ticks, of what Tandem itself watches, in one plain file for each day and kind until the day is over.

It never blocks whoever tells it: what does not fit into its bounded queue, or onto the disk, is dropped, counted and told. Real and simulated prices
never share a file. What becomes of a day that is over is decided by whoever made it.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from engines.core.model import Candle, Tick, Timeframe, Timestamp
from engines.core.sessions import HOME_EXCHANGE, session_day
from engines.market.canonical import CANDLE_HEADER, TICK_HEADER, Stamp, line_of
from engines.ports import Clock

log = structlog.get_logger(__name__)

MOST_WAITING = 100_000
EVERY = 1.0
RETRY = 30.0
FINISH_AGAIN = 600.0
RESERVE = 1 << 30
"""Bytes that stay free on the disk: recording must never be what keeps the books from being written."""
SETTLES = 120.0
"""Seconds after midnight at which the day before is finished: its last candles close by the clock a moment after it."""
KIND = "recording_failed"

DayOver = Callable[[Path, str, str, str], bool]
"""(file, day, "candles" | "ticks", "live" | "simulated") → whether it is taken care of; then the file may go."""


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """Of the present day; `size` in bytes on the disk, `dropped` rows since the start."""

    what: str
    day: str | None
    candles: int
    ticks: int
    instruments: int
    size: int
    dropped: int
    trouble: str


@dataclass(slots=True)
class _File:
    path: Path
    handle: IO[bytes]
    day: str
    stamp: Stamp = field(default_factory=Stamp)


class Recorder:
    """`wanted`: the instruments whose ticks are kept (asked once a second). `on_trouble(kind, severity, message)`, `on_clear(kind)`: incidents."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        ticks: bool,
        wanted: Callable[[], Collection[str]],
        day_over: DayOver,
        on_trouble: Callable[[str, str, str], object],
        on_clear: Callable[[str], object],
        most_waiting: int = MOST_WAITING,
        reserve: int = RESERVE,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._ticks = ticks
        self._ask_wanted = wanted
        self._wanted: Collection[str] = frozenset()
        self._day_over = day_over
        self._on_trouble = on_trouble
        self._on_clear = on_clear
        self._most = most_waiting
        self._reserve = reserve
        self._waiting: deque[tuple[Candle | Tick, bool]] = deque()
        self._files: dict[tuple[str, str], _File] = {}
        self._counts = {"candles": 0, "ticks": 0}
        self._names: set[str] = set()
        self._day: str | None = None
        self._size = 0
        self._dropped = 0
        self._told_dropped = 0
        self._trouble = ""
        self._not_before = 0.0
        self._finished_for: str | None = None
        self._finish_again = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # --- what is told, on any thread -----------------------------------------------------------------------------------

    def on_candle(self, timeframe: Timeframe, candle: Candle, live: bool) -> None:
        """Minutes only: every longer candle can be made of them."""
        if timeframe is Timeframe.M1:
            self._take(candle, live)

    def on_ticks(self, ticks: Iterable[Tick], live: bool) -> None:
        if self._ticks:
            wanted = self._wanted
            for tick in ticks:
                if tick.symbol in wanted:
                    self._take(tick, live)

    def _take(self, row: Candle | Tick, live: bool) -> None:
        if len(self._waiting) < self._most:
            self._waiting.append((row, live))
        else:
            self._dropped += 1

    def status(self) -> RecordingStatus:
        return RecordingStatus(
            "ticks" if self._ticks else "candles",
            self._day,
            self._counts["candles"],
            self._counts["ticks"],
            len(self._names),
            self._size,
            self._dropped,
            self._trouble,
        )

    # --- the thread ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What was told until now is on the disk, or its loss is told."""
        self._stopping.set()
        if self._thread is None:
            self._close()
            return
        self._thread.join(timeout=1.5)  # what waits longer is an import of a finished day, which the next start takes up
        self._thread = None

    def _run(self) -> None:
        going = True
        while going:
            going = not self._stopping.wait(EVERY)
            try:
                self.step()
            except Exception as error:  # told as an incident; recording is tried again, and trading never depends on it
                log.exception("recording failed")
                self._fail(f"a fault of ours ({type(error).__name__})")
        self._close()

    def step(self) -> None:
        """Write what waits and finish days that are over. Public for tests, which have a clock of their own."""
        self._wanted = frozenset(self._ask_wanted()) if self._ticks else frozenset()
        now = self._clock.now()
        today = session_day(now, HOME_EXCHANGE)
        if self._clock.monotonic() >= self._not_before:
            try:
                self._begin_day(today)
                self._write()
                self._finish_days(session_day(now - SETTLES, HOME_EXCHANGE))
            except OSError as error:
                self._fail(f"{error.strerror or error}")
            else:
                self._well()
        self._tell_dropped()

    def _begin_day(self, today: str) -> None:
        if today != self._day:
            self._day, self._counts, self._names, self._size = today, {"candles": 0, "ticks": 0}, set(), 0
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._waiting and shutil.disk_usage(self._folder).free < self._reserve:
            raise OSError(f"less than {self._reserve / 2**30:.3g} GiB is free on the disk")

    def _write(self) -> None:
        touched: set[tuple[str, str]] = set()
        for _ in range(len(self._waiting)):
            row, live = self._waiting[0]
            file = self._file(row, live)
            file.handle.write(line_of(row, file.stamp).encode())
            self._waiting.popleft()
            kind = "candles" if isinstance(row, Candle) else "ticks"
            touched.add((file.day, file.path.name))
            if file.day == self._day:
                self._counts[kind] += 1
                self._names.add(row.symbol)
        for file in self._files.values():
            if (file.day, file.path.name) in touched:
                file.handle.flush()
        self._size = sum(file.handle.tell() for file in self._files.values() if file.day == self._day)

    def _file(self, row: Candle | Tick, live: bool) -> _File:
        at: Timestamp = row.start if isinstance(row, Candle) else row.at
        day = session_day(at, HOME_EXCHANGE)
        name = f"{day}-{'live' if live else 'simulated'}-{'candles' if isinstance(row, Candle) else 'ticks'}.csv"
        file = self._files.get((day, name))
        if file is None:
            file = self._files[day, name] = _File(self._folder / name, _opened(self._folder / name), day)
            if file.handle.tell() == 0:
                file.handle.write(f"{CANDLE_HEADER if isinstance(row, Candle) else TICK_HEADER}\n".encode())
        return file

    def _finish_days(self, present: str) -> None:
        """Days before the present one are over, also those that an earlier run left behind."""
        if present == self._finished_for or self._clock.monotonic() < self._finish_again:
            return
        self._finished_for = present
        for path in sorted(self._folder.glob("????-??-??-*.csv")):
            day, source, kind = path.stem[:10], *path.stem[11:].split("-", 1)
            if day >= present:
                continue
            file = self._files.pop((day, path.name), None)
            if file is not None:
                file.handle.close()
            if self._day_over(path, day, kind, source):
                path.unlink(missing_ok=True)
            else:
                self._finished_for, self._finish_again = None, self._clock.monotonic() + FINISH_AGAIN

    def _fail(self, why: str) -> None:
        """Nothing is kept in memory for better times: it would grow. The next try is in a while."""
        self._dropped += len(self._waiting)
        self._waiting.clear()
        self._close()
        self._not_before = self._clock.monotonic() + RETRY
        self._told_dropped = self._dropped
        self._trouble = f"Prices are not being recorded: {why}. Trading goes on; {self._dropped:,} rows were lost so far."
        self._on_trouble(KIND, "warning", self._trouble)

    def _well(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._on_clear(KIND)

    def _tell_dropped(self) -> None:
        if self._dropped > self._told_dropped and not self._trouble:
            lost = self._dropped - self._told_dropped
            self._told_dropped = self._dropped
            self._trouble = f"{lost:,} rows came faster than they could be recorded and were left out."
            self._on_trouble(KIND, "warning", self._trouble)

    def _close(self) -> None:
        for file in self._files.values():
            try:
                file.handle.close()
            except OSError:
                continue  # a full disk; what was lost is counted
        self._files.clear()


def _opened(path: Path) -> IO[bytes]:
    """To append to; half a line that a crash left at the end is taken off."""
    handle = path.open("ab+")
    size = handle.seek(0, os.SEEK_END)
    if size:
        handle.seek(max(0, size - 4096))
        tail = handle.read()
        whole = tail.rfind(b"\n") + 1
        if whole != len(tail):
            handle.truncate(size - len(tail) + whole)
        handle.seek(0, os.SEEK_END)
    return handle

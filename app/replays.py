"""The replays that people watch: each a process of its own (`app.launch.replay`), followed here and shown by pages piece by piece.

What was seen is kept in memory and ends with the server. It decides nothing about trading and touches no account.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

from app.data import NotFound
from engines.core.codec import to_plain
from engines.core.model import Account, AccountMapping, CombinedRule, Group, Instrument, StrategyConfig, Timestamp
from engines.core.sessions import DAY, CalendarDay, exchange_of, utc_offset
from engines.ports import Clock, Ids, TandemError

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "app.launch.replay")
MOST_RUNNING = 2
LONGEST_DAYS = 31
MOST_KEPT = 8  # for each person; the oldest that is over goes first
ENDED = frozenset({"done", "failed", "stopped"})
_LISTS = {"candles": ("symbol", "timeframe", "start"), "orders": ("order_id",), "positions": ("position_id",), "accounts": ("account_id",)}
"""Parts of a frame that are rows: what names a row."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to play: a day (or some days in a row) of a file, on copies of these accounts and strategies. `speed` 0: as fast as the engines take it."""

    file: str
    first: str  # ISO date in the market's zone
    last: str
    accounts: tuple[Account, ...]
    strategies: tuple[StrategyConfig, ...]
    mappings: tuple[AccountMapping, ...]
    instruments: tuple[Instrument, ...] = ()
    groups: tuple[Group, ...] = ()
    rules: tuple[CombinedRule, ...] = ()
    calendar_days: tuple[CalendarDay, ...] = ()
    symbol: str | None = None
    speed: float = 60.0
    paused: bool = False


class Busy(TandemError):
    """As many replays run as this machine is given to."""


@dataclass(slots=True)
class Replay:
    """One replay as it was told so far. Every row bears the number of the frame that told it last, so that a page asks only for what is new."""

    replay_id: str
    user_id: str
    name: str
    dataset_id: str
    spec: Spec
    started_at: float
    process: subprocess.Popen[str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    number: int = 0
    rows: dict[str, dict[tuple[Any, ...], tuple[int, dict[str, Any]]]] = field(default_factory=lambda: {part: {} for part in _LISTS})
    log: list[str] = field(default_factory=list)
    log_until: list[int] = field(default_factory=list)  # frame → lines so far
    now: dict[str, Any] = field(default_factory=lambda: {"state": "starting", "progress": 0.0})

    @property
    def state(self) -> str:
        return str(self.now["state"])

    @property
    def over(self) -> bool:
        return self.state in ENDED

    def take(self, frame: Mapping[str, Any]) -> None:
        """A frame of the process."""
        with self.lock:
            self.number += 1
            for part, key in _LISTS.items():
                rows = self.rows[part]
                for row in frame.get(part, ()):
                    name = tuple(row[column] for column in key)
                    known = rows.get(name)
                    if known is None or known[1] != row:
                        rows[name] = (self.number, row)
            self.log += frame.get("log", ())
            self.log_until.append(len(self.log))
            self.now = {name: value for name, value in frame.items() if name not in _LISTS and name != "log"}

    def since(self, after: int) -> dict[str, Any]:
        """Everything that was told after frame `after` (0: everything), with the number to ask with next time."""
        with self.lock:
            seen = self.log_until[min(after, self.number) - 1] if after > 0 and self.number else 0
            new = {part: [row for number, row in rows.values() if number > after] for part, rows in self.rows.items()}
            return {**self.now, **new, "log": self.log[seen:], "number": self.number}

    def end(self, state: str, why: str = "") -> None:
        with self.lock:
            if not self.over:
                self.now = {**self.now, "state": state, **({"failed": why} if why else {})}


class Replays:
    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self._lock = threading.Lock()
        self._replays: dict[str, Replay] = {}

    def start(self, user_id: str, name: str, dataset_id: str, spec: Spec) -> Replay:
        """Raises Busy. What is wrong with the spec itself is told by the replay's state, because only its process reads the file."""
        with self._lock:
            if sum(not replay.over for replay in self._replays.values()) >= MOST_RUNNING:
                raise Busy(f"{MOST_RUNNING} replays are running already: stop one of them first")
            replay = Replay(self._ids.new(), user_id, name, dataset_id, spec, self._clock.now())
            self._replays[replay.replay_id] = replay
            self._forget_old(user_id)
        process = subprocess.Popen(  # noqa: S603 - our own program
            COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
        )
        replay.process = process
        _say(process, to_plain(spec))
        threading.Thread(target=_follow, args=(replay, process), daemon=True, name=f"replay-{replay.replay_id}").start()
        return replay

    def list(self, user_id: str) -> tuple[Replay, ...]:
        """Newest first."""
        with self._lock:
            mine = [replay for replay in self._replays.values() if replay.user_id == user_id]
        return tuple(reversed(mine))

    def get(self, user_id: str, replay_id: str) -> Replay:
        """NotFound for what is unknown or another's."""
        with self._lock:
            replay = self._replays.get(replay_id)
        if replay is None or replay.user_id != user_id:
            raise NotFound("There is no such replay.")
        return replay

    def command(self, user_id: str, replay_id: str, said: Mapping[str, Any]) -> Replay:
        """`{"do": "pause" | "go" | "step" | "speed", ...}`, see `app.launch.replay`; without effect on one that is over."""
        replay = self.get(user_id, replay_id)
        if replay.process is not None and not replay.over:
            _say(replay.process, said)
        return replay

    def stop(self, user_id: str, replay_id: str) -> Replay:
        replay = self.get(user_id, replay_id)
        _end(replay)
        return replay

    def delete(self, user_id: str, replay_id: str) -> None:
        self.stop(user_id, replay_id)
        with self._lock:
            self._replays.pop(replay_id, None)

    def close(self) -> None:
        """No process outlives the server."""
        with self._lock:
            replays = tuple(self._replays.values())
        for replay in replays:
            _end(replay)

    def _forget_old(self, user_id: str) -> None:
        over = [replay for replay in self._replays.values() if replay.user_id == user_id and replay.over]
        for replay in over[: max(0, len(over) - MOST_KEPT + 1)]:
            del self._replays[replay.replay_id]


def _say(process: subprocess.Popen[str], said: Any) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has just ended: its last frame tells
        assert process.stdin is not None
        process.stdin.write(json.dumps(said) + "\n")
        process.stdin.flush()


def _end(replay: Replay) -> None:
    replay.end("stopped")
    if replay.process is not None:
        replay.process.terminate()  # it removes its folder on the way out


def _follow(replay: Replay, process: subprocess.Popen[str]) -> None:
    with process:
        out: IO[str] | None = process.stdout
        for line in out or ():
            if replay.over:
                break
            with contextlib.suppress(ValueError):
                replay.take(json.loads(line))
    replay.end("failed", "the replay ended without a word")


def span(spec: Spec) -> tuple[Timestamp, Timestamp]:
    """[begin, end) of the asked days, in the zone of the file's exchange. TandemError when they make no sense."""
    first, last = date.fromisoformat(spec.first), date.fromisoformat(spec.last)
    if last < first:
        raise TandemError("the last day is before the first")
    if (last - first).days >= LONGEST_DAYS:
        raise TandemError(f"a replay plays {LONGEST_DAYS} days at most; a back-test plays years")
    offset = utc_offset(exchange_of(spec.symbol or next((i.symbol for i in spec.instruments), "NSE:")))
    epoch = date(1970, 1, 1)
    return float((first - epoch).days * DAY - offset), float(((last - epoch).days + 1) * DAY - offset)

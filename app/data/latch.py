"""The halt latch: halts in a small file beside the database, so that a stop holds when the database cannot be written.

`set` is durable (file and folder flushed) before it returns True. A file that cannot be understood counts as a halt of everything, never as none.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from engines.core.model import Halt, HaltScope

UNREADABLE = Halt(
    halt_id="HALTFILEUNREADABLE",
    scope=HaltScope.SYSTEM,
    scope_id=None,
    reason="the file of halts could not be read, so everything stays halted until a person lifts this",
    since=0.0,
    by="system",
    flatten=False,
)


class FileLatch:
    """Implements engines.ports.Latch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._halts = {halt.halt_id: halt for halt in _read(path)}
        self._reserve = path.with_name(path.name + ".reserve")
        self._keep_reserve()

    def active(self) -> Sequence[Halt]:
        with self._lock:
            return tuple(self._halts.values())

    def set(self, halt: Halt) -> bool:
        with self._lock:
            self._halts[halt.halt_id] = halt
            return self._write()

    def lift(self, halt_id: str) -> bool:
        """False when it is not there, or when the file cannot be written: then the halt goes on holding."""
        with self._lock:
            halt = self._halts.pop(halt_id, None)
            if halt is None:
                return False
            if self._write():
                return True
            self._halts[halt_id] = halt
            return False

    def _write(self) -> bool:
        if self._try_write():
            self._keep_reserve()
            return True
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return self._try_write()

    def _try_write(self) -> bool:
        partial = self._path.with_name(self._path.name + ".partial")
        try:
            _write_flushed(partial, json.dumps([asdict(halt) for halt in self._halts.values()], indent=1))
            os.replace(partial, self._path)
            _flush_folder(self._path.parent)
        except OSError:
            return False
        return True

    def _keep_reserve(self) -> None:
        """Room that is given up when the disk is full, so that a stop can still be written."""
        try:
            if not self._reserve.exists():
                _write_flushed(self._reserve, " " * 65536)
        except OSError:
            self._reserve.unlink(missing_ok=True)


def _write_flushed(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name != "nt":  # Windows has no handle on a folder; its rename is journaled
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> list[Halt]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return [Halt(**{**row, "scope": HaltScope(row["scope"])}) for row in stored]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError):
        return [UNREADABLE]

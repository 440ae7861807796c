"""Locks between processes: a file that one process holds until it ends, however it ends.

They guard whole activities (serving from a folder, preparing its database), never single writes: those are SQLite's own business.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from app.data.errors import DataError

_PAUSE = 0.02  # seconds between two tries

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class FileLock:
    """Held from `acquire` until `release` or the end of the process; the operating system gives it back after a crash."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """True when the lock is ours. Raises DataError when the folder cannot be written."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataError(f"the data folder {self._path.parent} cannot be written: {error.strerror}") from error
        tries = 1 + round(wait / _PAUSE)
        while not _try_lock(handle):
            tries -= 1
            if not tries:
                os.close(handle)
                return False
            time.sleep(_PAUSE)
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

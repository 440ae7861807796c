"""The queue of back-tests and sweeps: one at a time, each in a process of its own at low priority, with its progress, its end and its files.

Trading goes first: nothing of a study runs in this process. What a stop or a crash cuts short is begun again, a sweep where it was.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from app.data import Actor, Data, StudyRow, StudyState
from config import ROOT
from engines.ports import Clock, JournalDown

if TYPE_CHECKING:
    from engines.execution.supervisor import Supervisor

ENGINE = "studies"
COMMAND = (sys.executable, "-m", "engines.backtest.program")
FOLDER = "studies"
SPEC, RESULTS = "spec.json", "results.jsonl"
CANNOT, CANCELLED = 2, 3  # as the program says it
PATIENCE = 2.0
"""Seconds that a study has to end by itself once it was asked to."""
LOOK_EVERY = 0.25
MOST_SAID = 400  # characters of an error
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the running study is (0 to 1), at what, and in how many seconds it will probably be over."""

    study_id: str
    part: float = 0.0
    doing: str = "starting"
    left: float | None = None


class Waiter(Protocol):
    """The part of a watched thread that the queue needs."""

    @property
    def stopping(self) -> bool: ...
    def beat(self) -> None: ...
    def pause(self, seconds: float) -> bool: ...


Tell = Callable[[str, str, Mapping[str, Any]], None]
"""(user id, "news" of a state or "pulse" of a progress, payload)."""


class StudyQueue:
    """Any thread may call `poke`, `cancel`, `delete` and `progress`; one thread runs `loop`."""

    def __init__(self, data: Data, clock: Clock, tell: Tell = lambda *_: None, command: Sequence[str] = COMMAND) -> None:
        self.folder = data.data_dir / FOLDER
        self._data, self._clock, self._tell, self._command = data, clock, tell, tuple(command)
        self._lock = threading.Lock()
        self._poked = True
        self._recovered = False
        self._now: Progress | None = None
        self._cancelled: set[str] = set()

    # --- what others call --------------------------------------------------------------------------------------------

    def start(self, supervisor: Supervisor) -> None:
        """On a watched thread that ends with the engines."""
        supervisor.add(ENGINE, self.loop, depth=self._data.studies.waiting)

    def poke(self) -> None:
        """Something was put into the queue."""
        self._poked = True

    def folder_of(self, study_id: str) -> Path:
        return self.folder / study_id

    def progress(self, study_id: str) -> Progress | None:
        """Of the study that is running; None for any other."""
        with self._lock:
            return self._now if self._now is not None and self._now.study_id == study_id else None

    def cancel(self, user_id: str, study_id: str, by: Actor) -> StudyRow:
        """NotFound, or Conflict when it is over. A running one ends within a few seconds."""
        row = self._data.studies.withdraw(user_id, study_id, by=by)
        if row.state is StudyState.RUNNING:
            with self._lock:
                self._cancelled.add(study_id)
        else:
            self._news(row)
        return row

    def delete(self, user_id: str, study_id: str, by: Actor) -> None:
        """The row, then its files. Conflict while it is running."""
        self._data.studies.delete(user_id, study_id, by=by)
        shutil.rmtree(self.folder_of(study_id), ignore_errors=True)

    def take_over(self, old_id: str, new_id: str) -> None:
        """A sweep that is asked again begins with what it had found; its program leaves out what no longer fits."""
        old = self.folder_of(old_id) / RESULTS
        if old.is_file():
            self.folder_of(new_id).mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(old, self.folder_of(new_id) / RESULTS)

    # --- the thread --------------------------------------------------------------------------------------------------

    def loop(self, worker: Waiter) -> None:
        if not self._recovered:
            again, lost = self._data.studies.recover()
            self._recovered = True
            if again or lost:
                log.warning("studies that were cut short: %s wait again, %s given up", again, lost)
        while not worker.pause(LOOK_EVERY):
            worker.beat()
            if self._poked:
                self._poked = False
                while not worker.stopping and self.turn(worker):
                    pass

    def turn(self, worker: Waiter) -> bool:
        """Run the next of the queue to its end; False when there is none."""
        try:
            row = self._data.studies.begin()
        except JournalDown:
            self._poked = True  # later
            return False
        if row is None:
            return False
        with self._lock:
            self._now = Progress(row.study_id)
            self._cancelled.discard(row.study_id)
        self._news(row)
        try:
            ended = self._run(row, worker)
        except Exception:
            log.exception("a study could not be run")
            ended = self._data.studies.end(row.study_id, StudyState.FAILED, error="a fault of ours: it is in the log", progress=0.0)
        finally:
            with self._lock:
                self._now = None
                self._cancelled.discard(row.study_id)
        if ended is not None:
            self._news(ended)
        return True

    def _run(self, row: StudyRow, worker: Waiter) -> StudyRow | None:
        folder = self.folder_of(row.study_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / SPEC).write_text(json.dumps(row.spec["program"]), encoding="utf-8")
        began = self._clock.monotonic()
        with (folder / "errors.log").open("wb") as errors:
            child = subprocess.Popen(  # noqa: S603 - our own program
                (*self._command, str(folder / SPEC), str(folder)),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(child, said), name=f"study {row.study_id[-6:]}", daemon=True)
        reader.start()
        over = False
        try:
            final, asked, over = self._listen(row, worker, said, began)
        finally:
            _end(child, over=over)
            reader.join(PATIENCE)
            if child.stdout is not None:
                child.stdout.close()
        part = (self.progress(row.study_id) or Progress("")).part
        return self._close(row, child.returncode, final, asked, part, folder, worker)

    def _listen(
        self, row: StudyRow, worker: Waiter, said: queue.SimpleQueue[str | None], began: float
    ) -> tuple[Mapping[str, Any], bool, bool]:
        """Follow what the program says until it is over, or is to be ended. → (its last word, whether a person ended it, whether it is over)"""
        final: Mapping[str, Any] = {}
        while True:
            worker.beat()
            with self._lock:
                asked = row.study_id in self._cancelled
            if asked or worker.stopping:
                return final, asked, False
            try:
                line = said.get(timeout=LOOK_EVERY)
            except queue.Empty:
                continue
            if line is None:
                return final, False, True
            told = _parsed(line)
            if "progress" in told:
                self._note(row, float(told["progress"]), str(told.get("doing", "")), self._clock.monotonic() - began)
            elif told:
                final = told

    def _note(self, row: StudyRow, part: float, doing: str, elapsed: float) -> None:
        left = elapsed * (1 - part) / part if part > 0.02 and elapsed > 1 else None
        now = Progress(row.study_id, part, doing, left)
        with self._lock:
            self._now = now
        self._tell(row.user_id, "pulse", {"id": row.study_id, "state": "running", "progress": part, "doing": doing, "left": left})

    def _close(
        self, row: StudyRow, code: int | None, final: Mapping[str, Any], asked: bool, part: float, folder: Path, worker: Waiter
    ) -> StudyRow | None:
        studies = self._data.studies
        if "summary" in final and code == 0:
            return studies.end(row.study_id, StudyState.DONE, summary=final["summary"])
        if asked or code == CANCELLED:
            return studies.end(row.study_id, StudyState.CANCELLED, progress=part)
        if worker.stopping:
            studies.put_back(row.study_id)
            return None
        error = str(final.get("error") or _last_words(folder / "errors.log", code))
        return studies.end(row.study_id, StudyState.FAILED, progress=part, error=error[:MOST_SAID])

    def _news(self, row: StudyRow) -> None:
        self._tell(row.user_id, "news", {"id": row.study_id, "state": row.state.value, "name": row.name, "progress": row.progress})


def _read(child: subprocess.Popen[str], said: queue.SimpleQueue[str | None]) -> None:
    """The program's lines, and None at their end: on a thread of its own, because a pipe cannot be waited for with a limit everywhere."""
    try:
        for line in child.stdout or ():
            said.put(line)
    except ValueError:  # closed while we read
        pass
    finally:
        said.put(None)


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _end(child: subprocess.Popen[str], *, over: bool) -> None:
    """Ask (unless it has said its last word), wait, then insist; a sweep's own processes go with it."""
    if over:
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
    if child.poll() == 0:
        return
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(PATIENCE)
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()


def _last_words(path: Path, code: int | None) -> str:
    """What the program said on standard error before it died, or how it died."""
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"the program was ended from outside ({name}); with SIGKILL usually for want of memory"
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return f"a fault of ours: {lines[-1]}"
    return f"the program ended with {code}"

"""A parameter sweep: the same back-test with many sets of parameters, on every core of this machine or on a Dask cluster.

Each result is a line in a file as soon as it is there, so that a sweep which was ended goes on where it was. It says what came of each set of
parameters and never which to trade: the best of many trials is good partly by luck.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from engines.backtest.engine import BadParameters, StrategyFailed, check, play_job, read_job
from engines.backtest.grid import LOW_IS_GOOD, Point, key_of, number_of
from engines.backtest.history import History
from engines.backtest.report import report_on
from engines.backtest.settings import Job
from engines.core.codec import dumps, loads
from engines.core.model import Instrument
from engines.core.sessions import Calendar, CalendarDay, load_calendar, with_days
from engines.ports import TandemError

MOST_WORKERS = 64

Progress = Callable[[float], None]


class OtherSweep(TandemError):
    """The results file belongs to another sweep."""


class NoCluster(TandemError):
    """There is no such cluster, or the packages for it are missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried: a job, the points (parameters laid over the job's own), what trades, days of the calendar that a person has changed. `text` is the job as every worker reads it."""

    job: Job
    points: Sequence[Point]
    instruments: tuple[Instrument, ...] = ()
    days: tuple[CalendarDay, ...] = ()

    @property
    def text(self) -> str:
        return dumps(_Given(self.job, self.instruments, self.days))

    @property
    def digest(self) -> str:
        """The same for the same job: what a results file is checked against."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Given:
    job: Job
    instruments: tuple[Instrument, ...]
    days: tuple[CalendarDay, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """One point: its own parameters, the figures of the back-test, or why there are none."""

    params: Mapping[str, Any]
    summary: Mapping[str, Any]
    wrong: str = ""

    def line(self) -> str:
        return json.dumps({"params": self.params, "summary": self.summary, "wrong": self.wrong}, separators=(",", ":"), default=str) + "\n"


def run_sweep(
    plan: Plan, results: Path, *, workers: int | None = None, cluster: str | None = None, progress: Progress = lambda _: None
) -> int:
    """Try what the file does not have yet and append it; returns how many points it has at the end.

    `workers` None: one for each core; 1: in this process. `progress` (0 to 1) may raise to end the sweep; what was tried until then is kept.
    """
    known = {key_of(tried.params) for tried in read_results(results, plan.digest)}
    left = [point for point in plan.points if key_of(point) not in known]
    total = len(plan.points) or 1
    done = total - len(left)
    progress(done / total)
    with _appending(results, plan.digest) as file:
        sound: list[Point] = []
        for point in left:  # what the strategy does not take is told at once, without a process
            wrong = _wrong(plan.job, point)
            if wrong:
                file.write(Tried(point, {}, wrong).line())
                done += 1
            else:
                sound.append(point)
        file.flush()
        with contextlib.closing(_tried(plan, sound, workers, cluster)) as coming:
            for tried in coming:
                file.write(tried.line())
                file.flush()
                done += 1
                progress(done / total)
    return done


def read_results(path: Path, digest: str | None = None) -> list[Tried]:
    """What a results file holds, in the order of trying; a last line that a crash cut off is left out. OtherSweep when it is of another sweep."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    rows = [_row(line) for line in lines if line.endswith("\n")]
    if rows and digest is not None and (rows[0] or {}).get("sweep") != digest:
        raise OtherSweep(f"{path.name} holds the results of another sweep (other data, dates or settings): take another file")
    return [Tried(row["params"], row["summary"], row["wrong"]) for row in rows if row is not None and "params" in row]


def best_first(tried: Sequence[Tried], rank: str) -> list[Tried]:
    """Those with a figure called `rank`, the best of them first."""
    sign = 1 if rank in LOW_IS_GOOD else -1
    numbered = [(number_of(each.summary.get(rank)), n, each) for n, each in enumerate(tried)]
    return [each for value, _, each in sorted(((sign * value, n, each) for value, n, each in numbered if value is not None))]


# --- one point ------------------------------------------------------------------------------------------------------


def measure(text: str, point: Point) -> Tried:
    """One back-test, in whatever process this is: the files are read once in each."""
    job, histories, calendar = _prepared(text)
    return measure_on(point, job, histories, calendar)


def measure_on(point: Point, job: Job, histories: Sequence[History], calendar: Calendar) -> Tried:
    try:
        played = play_job(replace(job, params={**job.params, **point}), histories, calendar=calendar)
    except (BadParameters, StrategyFailed) as error:
        return Tried(point, {}, str(error))
    return Tried(point, report_on(played).summary())


@lru_cache(maxsize=1)
def _prepared(text: str) -> tuple[Job, tuple[History, ...], Calendar]:
    given = loads(_Given, text)
    return given.job, read_job(given.job, given.instruments), with_days(load_calendar(), given.days)


def _wrong(job: Job, point: Point) -> str:
    try:
        check(job.kind, {**job.params, **point})
    except BadParameters as error:
        return str(error)
    return ""


# --- many -----------------------------------------------------------------------------------------------------------


def _tried(plan: Plan, points: Sequence[Point], workers: int | None, cluster: str | None) -> Generator[Tried, None, None]:
    if cluster is not None:
        return _on_cluster(plan, points, cluster)
    many = min(workers if workers is not None else cores(), len(points), MOST_WORKERS)
    return _on_cores(plan, points, many) if many > 1 else _here(plan, points)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _here(plan: Plan, points: Sequence[Point]) -> Generator[Tried, None, None]:
    if points:
        job, histories, calendar = _prepared(plan.text)
        for point in points:
            yield measure_on(point, job, histories, calendar)


def _on_cores(plan: Plan, points: Sequence[Point], workers: int) -> Generator[Tried, None, None]:
    """Processes of their own (joblib's loky), handed a few points at a time; whoever stops asking ends them."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    text = plan.text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of workers that end while there is work left: that is how a sweep is cancelled
        pool = Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered", pre_dispatch="3*n_jobs", batch_size=1)
        finished = False
        try:
            yield from pool(delayed(measure)(text, point) for point in points)
            finished = True
        finally:
            get_reusable_executor().shutdown(wait=True, kill_workers=not finished)


def _on_cluster(plan: Plan, points: Sequence[Point], address: str) -> Generator[Tried, None, None]:
    """The scheduler at this address gets the candles once for each worker. Its workers need this program's folder and packages."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise NoCluster("a sweep on a cluster needs the package distributed (pip install distributed)") from None
    prepared = _prepared(plan.text)
    try:
        client = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise NoCluster(f"there is no Dask scheduler at {address} ({error})") from None
    with client:
        job, files, calendar = client.scatter(list(prepared), broadcast=True, hash=False)  # type: ignore[no-untyped-call]
        waiting = client.map(measure_on, points, job=job, histories=files, calendar=calendar, pure=False)
        try:
            for _, tried in as_completed(waiting, with_results=True):  # type: ignore[no-untyped-call]
                yield tried
        finally:
            client.cancel(waiting)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _appending(path: Path, digest: str) -> Iterator[IO[str]]:
    """The file open for appending, with its first line there and nothing half-written at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as raw:
        raw.seek(0)
        content = raw.read()
        raw.truncate(content.rfind(b"\n") + 1)
    with path.open("a", encoding="utf-8") as file:
        if not content.rfind(b"\n") + 1:
            file.write(json.dumps({"sweep": digest}) + "\n")
        yield file


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None

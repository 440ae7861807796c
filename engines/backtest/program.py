"""One study in a process of its own: `python -m engines.backtest.program SPEC.json FOLDER`.

Reads what was asked, runs it, leaves the results as files in the folder and tells its progress as JSON lines on standard output. It is beside the
program that trades, never inside it, and touches no database, network or broker. Exit code 0: done; 2: it cannot be run, and the last line says
why; 3: ended on request; anything else is a fault of ours, told on standard error.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.backtest import checks, exports
from engines.backtest.engine import Cancelled, play_job, read_job
from engines.backtest.grid import axes, points
from engines.backtest.pictures import write_charts
from engines.backtest.report import report_on
from engines.backtest.sample import make_sample
from engines.backtest.settings import Job, Source
from engines.backtest.sweep import OtherSweep, Plan, best_first, read_results, run_sweep
from engines.backtest.walk_forward import walk_forward
from engines.core.codec import from_plain
from engines.core.model import Instrument, Timeframe
from engines.core.sessions import Calendar, CalendarDay, load_calendar, with_days
from engines.ports import TandemError

DONE, CANNOT, CANCELLED = 0, 2, 3
RESULTS = "results.jsonl"
REPORT, OVERVIEW, TRADES = "report.json", "overview.json", "trades.jsonl"
"""The whole; all but the trades, which is what pages read; a trade a line."""
MOST_SAMPLES = 20
"""Kept; the one that was used longest ago goes first."""
POLITE = 10
"""Added to our niceness: trading goes first."""


class Told:
    """Progress on standard output, at most a few hundred lines; raises Cancelled once somebody has asked us to end."""

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._write = write
        self.ended = False
        self._last = ""

    def span(self, low: float, high: float, doing: str) -> Callable[[float], None]:
        """A progress of 0 to 1 for a part of the work."""
        return lambda part: self.at(low + (high - low) * min(max(part, 0.0), 1.0), doing)

    def at(self, progress: float, doing: str) -> None:
        if self.ended:
            raise Cancelled("ended on request")
        shown = f"{progress:.3f} {doing}"
        if shown != self._last:
            self._last = shown
            self._write({"progress": round(progress, 3), "doing": doing})


def run(spec: Mapping[str, Any], folder: Path, told: Told) -> dict[str, Any]:
    """Carry out a spec: {"kind": "backtest" | "sweep", "job", "instruments", "calendar_days", "sample", "checks", "walk_forward", "sweep"}. → its summary."""
    job = from_plain(Job, spec["job"])
    instruments = tuple(from_plain(Instrument, each) for each in spec.get("instruments", ()))
    days = tuple(from_plain(CalendarDay, each) for each in spec.get("calendar_days", ()))
    begin = 0.0
    if spec.get("sample"):
        job, begin = _sampled(job, spec["sample"], folder, told.span(0.0, 0.4, "making the sample market")), 0.4
    if spec["kind"] == "sweep":
        return _sweep(job, instruments, days, spec["sweep"], folder, told.span(begin, 1.0, "trying parameters"))
    return _backtest(job, instruments, with_days(load_calendar(), days), spec, folder, told, begin)


def _sampled(job: Job, sample: Mapping[str, Any], folder: Path, progress: Callable[[float], None]) -> Job:
    """The job with the sample among its files; where samples are kept (`folder` of the sample), one is made only once."""
    timeframe, symbols, days, seed = Timeframe(sample["timeframe"]), tuple(sample["symbols"]), sample["days"], sample.get("seed", 0)
    print_of = hashlib.sha256(json.dumps([symbols, days, seed]).encode()).hexdigest()[:12]
    place = Path(sample.get("folder") or folder)
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"simulated-{timeframe.value}-{print_of}.csv.gz"
    if path.exists():
        path.touch()
    else:
        make_sample(path, symbols=symbols, timeframe=timeframe, days=days, seed=seed, progress=progress)
        for old in sorted(place.glob("simulated-*.csv.gz"), key=lambda each: each.stat().st_mtime)[:-MOST_SAMPLES]:
            old.unlink()
    return replace(job, sources=(*job.sources, Source(str(path), name="Sample market")))


def _backtest(
    job: Job, instruments: tuple[Instrument, ...], calendar: Calendar, spec: Mapping[str, Any], folder: Path, told: Told, begin: float
) -> dict[str, Any]:
    asked, forward = spec.get("checks"), spec.get("walk_forward")
    share = (0.9 - begin) / (1 + 2 * bool(asked) + 2 * bool(forward))
    played_by = begin + share
    checked_by = played_by + 2 * share * bool(asked)
    told.at(begin, "reading the data")
    histories = read_job(job, instruments)
    played = play_job(job, histories, calendar=calendar, progress=told.span(begin, played_by, "playing"))
    found = (
        checks.check(job, histories, played, calendar=calendar, progress=told.span(played_by, checked_by, "checking for look-ahead"))
        if asked
        else None
    )
    walked = None
    if forward:
        walked = walk_forward(
            job,
            histories,
            points(axes(forward["grid"]), draws=forward.get("random"), seed=forward.get("seed", 0)),
            train_days=forward["train_days"],
            test_days=forward["test_days"],
            rank=forward.get("rank", "net"),
            calendar=calendar,
            progress=told.span(checked_by, 0.9, "walking forward"),
        )
    told.at(0.9, "adding up")
    report = report_on(played, checks=found, walk_forward=walked)
    shown = report.as_json()
    write(folder / "report.html", report.as_html())
    told.at(0.95, "writing the results")
    for name, make in (("trades", exports.trades_csv), ("orders", exports.orders_csv), ("equity", exports.equity_csv)):
        write(folder / f"{name}.csv", make(report))
    trades = shown.get("trades", [])
    write(folder / TRADES, "".join(json.dumps(each) + "\n" for each in trades))
    write_charts(folder / "charts", played)
    told.at(0.98, "writing the results")
    write(folder / OVERVIEW, json.dumps({name: value for name, value in shown.items() if name != "trades"}))
    write(folder / REPORT, json.dumps(shown))
    return dict(report.summary())


def _sweep(
    job: Job,
    instruments: tuple[Instrument, ...],
    days: tuple[CalendarDay, ...],
    asked: Mapping[str, Any],
    folder: Path,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    plan, rank = sweep_plan(job, asked, instruments, days), asked.get("rank", "net")
    try:
        read_results(folder / RESULTS, plan.digest)
    except OtherSweep:  # taken over from an older run, and something has changed since
        (folder / RESULTS).unlink()
    run_sweep(plan, folder / RESULTS, workers=asked.get("workers"), progress=progress)
    return sweep_summary(plan, folder / RESULTS, rank)


def sweep_plan(job: Job, asked: Mapping[str, Any], instruments: tuple[Instrument, ...] = (), days: tuple[CalendarDay, ...] = ()) -> Plan:
    """BadGrid when it cannot be swept so."""
    swept = axes(asked["grid"])
    return Plan(job, points(swept, draws=asked.get("random"), seed=asked.get("seed", 0)), instruments, days)


def sweep_summary(plan: Plan, results: Path, rank: str) -> dict[str, Any]:
    """The figures of the best point with its parameters, and how the others did: one good point among bad ones is luck."""
    tried = read_results(results, plan.digest)
    order = best_first(tried, rank)
    nets = [float(each.summary["net"]) for each in order if each.summary.get("net") is not None]
    best = order[0] if order else None
    return {
        **(best.summary if best else {}),
        "rank": rank,
        "best": dict(best.params) if best else None,
        "tried": len(tried),
        "unusable": sum(bool(each.wrong) for each in tried),
        "profitable": sum(net > 0 for net in nets),
        "median_net": f"{sorted(nets)[len(nets) // 2]:.2f}" if nets else None,
    }


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    made = path.with_name(f".{path.name}.part")
    made.write_text(text, encoding="utf-8")
    made.replace(path)


def main(argv: Sequence[str]) -> int:
    """See the module's words."""
    if hasattr(os, "nice"):
        os.nice(POLITE)
    out = sys.stdout

    def say(line: Mapping[str, Any]) -> None:
        out.write(json.dumps(line, default=str) + "\n")
        out.flush()

    told = Told(say)
    signal.signal(signal.SIGTERM, lambda *_: setattr(told, "ended", True))
    spec_path, folder = Path(argv[0]), Path(argv[1])
    try:
        summary = run(json.loads(spec_path.read_text(encoding="utf-8")), folder, told)
    except Cancelled:
        return CANCELLED
    except MemoryError:
        say({"error": "there is not enough memory for so much data at once: take fewer days or instruments"})
        return CANNOT
    except TandemError as error:
        say({"error": " ".join(str(error).split())})
        return CANNOT
    except OSError as error:
        say({"error": f"the results cannot be written: {error.strerror or error}"})
        return CANNOT
    say({"summary": summary})
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

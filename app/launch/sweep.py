"""`sweep`: one strategy with many sets of parameters over files of candles, on every core of this machine or on a Dask cluster.

It opens no workspace. Each result is kept as soon as it is there, so a sweep that was ended goes on where it was when it is asked again.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from app.launch.backtest import job_of, known_rank, points_of, progress_bar, wipe
from app.launch.errors import CannotRun
from engines.backtest.program import sweep_summary
from engines.backtest.sweep import Plan, Tried, best_first, read_results, run_sweep

FIGURES = ("net", "net_pct", "max_drawdown_pct", "sharpe", "profit_factor", "win_rate", "trades")
SAID = ("net", "return %", "drawdown %", "sharpe", "profit factor", "won %", "trades")


def run(args: argparse.Namespace) -> int:
    """Prints the best points as a table on standard output, and writes all of them where `--csv` says."""
    known_rank(args.rank)
    job = job_of(args)
    plan = Plan(job, points_of(job, args.grid, draws=args.random, seed=args.seed))
    told = progress_bar()
    with nullcontext(args.results) if args.results else tempfile.TemporaryDirectory() as place:
        results = Path(place) if args.results else Path(place) / "results.jsonl"
        try:
            run_sweep(plan, results, workers=args.workers, cluster=args.cluster, progress=told or (lambda _: None))
        except OSError as error:
            raise CannotRun(f"cannot write {results}: {error.strerror or error}") from None
        finally:
            if told is not None:
                wipe()
        tried = read_results(results, plan.digest)
        summary = sweep_summary(plan, results, args.rank)
    order = best_first(tried, args.rank)
    if not order and any(each.summary for each in tried):
        raise CannotRun(f"{args.rank} is not defined for any of the points: rank them by net")
    if args.csv:
        _write_csv(args.csv, [*order, *(each for each in tried if each not in order)])
    _print(order[: args.top], summary)
    return 0


def _print(order: Sequence[Tried], summary: dict[str, Any]) -> None:
    names = list(order[0].params) if order else []
    rows = [[*(str(each.params[name]) for name in names), *(_shown(each.summary.get(figure)) for figure in FIGURES)] for each in order]
    table = [[*names, *SAID], *rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    for row in table if rows else ():
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    unusable = f", {summary['unusable']} of them not allowed" if summary["unusable"] else ""
    sys.stdout.write(
        f"{summary['tried']} points tried{unusable}; {summary['profitable']} made money; the best of many is good partly by luck\n"
    )
    wrong = summary["unusable"] == summary["tried"]
    if wrong:
        raise CannotRun("none of the points could be tried: do the parameters fit each other?")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _write_csv(path: Path, tried: Sequence[Tried]) -> None:
    params = list(dict.fromkeys(name for each in tried for name in each.params))
    figures = list(dict.fromkeys(name for each in tried for name in each.summary))
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*params, *figures, "unusable"])
            for each in tried:
                cells = [*(each.params.get(name) for name in params), *(each.summary.get(name) for name in figures), each.wrong]
                writer.writerow(
                    ["" if cell is None else cell if isinstance(cell, str | int | float) else json.dumps(cell) for cell in cells]
                )
    except OSError as error:
        raise CannotRun(f"cannot write {path}: {error.strerror or error}") from None

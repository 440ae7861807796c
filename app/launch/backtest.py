"""`backtest`: one strategy over files of candles or ticks, on one account or many, through the same classes that trade live, on a simulated clock.

It opens no workspace and touches no data folder: what it needs is in the files and on the command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.launch.errors import CannotRun
from engines import backtest
from engines.backtest import checks
from engines.backtest.engine import BadParameters, check, play_job, read_job
from engines.backtest.grid import Point, axes, points
from engines.backtest.report import Report, report_on
from engines.backtest.told import RANKED
from engines.backtest.walk_forward import walk_forward
from engines.core.model import Timeframe
from engines.core.prices import exact
from engines.strategies import registry
from engines.strategies.base import Strategy

BAR = 40  # characters of the progress bar


def run(args: argparse.Namespace) -> int:
    """Prints the report as JSON, or writes it where `--json` and `--html` say."""
    job = job_of(args)
    told = progress_bar()
    try:
        report = _played(args, job, told or _nobody)
    finally:
        if told is not None:
            wipe()
    text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    if args.json:
        write(args.json, text)
    if args.html:
        write(args.html, report.as_html())
    if not args.json and not args.html:
        print(text, end="")
    return 0


def _played(args: argparse.Namespace, job: backtest.Job, told: Callable[[float], None]) -> Report:
    """Played once and, as asked, again for the checks and for walk-forward; the bar takes each of them for a third."""
    if not args.check and not args.walk_forward:
        return report_on(backtest.run_job(job, progress=told))
    parts = 1 + bool(args.check) + bool(args.walk_forward)

    def span(number: int) -> Callable[[float], None]:
        return lambda share: told((number + share) / parts)

    windows = _windows(args.walk_forward, args, job) if args.walk_forward else None
    histories = read_job(job)
    played = play_job(job, histories, progress=span(0))
    checked = checks.check(job, histories, played, progress=span(1)) if args.check else None
    walked = None
    if windows is not None:
        train, test, chosen_from = windows
        walked = walk_forward(job, histories, chosen_from, train_days=train, test_days=test, rank=args.rank, progress=span(parts - 1))
    return report_on(played, checks=checked, walk_forward=walked)


def _windows(said: str, args: argparse.Namespace, job: backtest.Job) -> tuple[int, int, list[Point]]:
    """Sessions to choose on, sessions to trade, and the sets of parameters to choose from."""
    train, _, test = said.partition(":")
    if not (train.isdecimal() and test.isdecimal() and int(train) and int(test)):
        raise CannotRun(f"--walk-forward {said!r} is not two numbers of sessions like 60:20")
    if not args.grid:
        raise CannotRun("--walk-forward needs at least one --grid to choose from")
    known_rank(args.rank)
    return int(train), int(test), points_of(job, args.grid)


def known_rank(rank: str) -> None:
    """CannotRun for a figure that no back-test has."""
    if rank not in RANKED:
        raise CannotRun(f"--rank {rank!r} is not a figure of a back-test; there are {', '.join(RANKED)}")


def points_of(job: backtest.Job, grid: Sequence[tuple[str, str]], *, draws: int | None = None, seed: int = 0) -> list[Point]:
    """The sets of parameters to try. CannotRun, before anything runs, for a parameter or value that the strategy does not have, or when none fits."""
    params = _strategy(job.kind).Params
    names = [name for name, _ in grid]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CannotRun(f"--grid {twice} is given twice; write its values with commas")
    swept = axes(dict(grid))
    chosen_from = points(swept, draws=draws, seed=seed)
    for axis in swept:
        if axis.name not in params.model_fields:
            raise CannotRun(f"--grid {axis.name}: {job.kind} has no such parameter; there are {', '.join(params.model_fields)}")
        for value in axis.values or (axis.low, axis.high):
            found = int(value) if axis.whole else value
            if wrong := _wrong_value(job, axis.name, found):
                raise CannotRun(f"--grid {axis.name}: {found!r}: {wrong}")
    first = ""
    for point in chosen_from:
        try:
            check(job.kind, {**job.params, **point})
        except BadParameters as error:
            first = first or str(error)
        else:
            return chosen_from
    raise CannotRun(f"none of the points could be tried: {first}")


def _wrong_value(job: backtest.Job, name: str, value: Any) -> str:
    """What the parameter by itself has against a value; how parameters fit each other is another question."""
    try:
        registry.check_params(job.kind, {**job.params, name: value})
    except ValidationError as error:
        if all(each["loc"][:1] != (name,) for each in error.errors()):
            return ""
        from app.problems import field_errors

        return next((messages[0] for field, messages in field_errors(error).items() if field.split(".")[0] == name), "")
    return ""


def _nobody(_share: float) -> None:
    """Nobody looks at the bar."""


def job_of(args: argparse.Namespace) -> backtest.Job:
    """What the command line asks for. CannotRun for what it cannot mean."""
    sources = tuple(_source(text, args.symbol if len(args.data) == 1 else None) for text in args.data)
    if args.symbol and len(args.data) > 1:
        raise CannotRun("--symbol is for one file; with several write --data FILE=EXCHANGE:NAME")
    first, last = _day(args.start), _day(args.end)
    if first and last and last < first:
        raise CannotRun(f"--to {args.end} is before --from {args.start}")
    settings = backtest.Settings()
    job = backtest.Job(
        args.kind,
        sources,
        _params(args.kind, args.preset, dict(args.param)),
        Timeframe(args.timeframe) if args.timeframe else None,
        args.start,
        args.end,
        settings=replace(settings, capital=_money(args.capital)) if args.capital else settings,
    )
    if args.accounts:
        if args.capital:
            raise CannotRun("--capital is for one account; with --accounts each has its own")
        from app.launch.seats import with_accounts  # the API's schemas: only who has a file pays for their import

        job = with_accounts(job, args.accounts)
    if args.keep is not None:
        job = _keeping(job, args.keep)
    return job


def _strategy(kind: str) -> type[Strategy]:
    try:
        return registry.get(kind)
    except registry.UnknownKind as error:
        raise CannotRun(f"{error}; there are {', '.join(sorted(each.kind for each in registry.kinds()))}") from None


def _params(kind: str, preset: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the preset, and over them those that are given one by one."""
    if preset is None:
        return given
    presets = _strategy(kind).presets
    if preset not in presets:
        there = f"there are {', '.join(presets)}" if presets else "it has none"
        raise CannotRun(f"{kind} has no preset {preset!r}; {there}")
    return {**presets[preset].params, **given}


def _source(text: str, symbol: str | None) -> backtest.Source:
    """A file, or a file and which of its instruments (or what to call it): FILE=EXCHANGE:NAME."""
    path, _, named = text.partition("=")
    if Path(text).is_file():
        path, named = text, ""
    if not Path(path).is_file():
        raise CannotRun(f"there is no file {path}")
    return backtest.Source(path, named or symbol)


# --- accounts --------------------------------------------------------------------------------------------------------


def _keeping(job: backtest.Job, keep: bool) -> backtest.Job:
    """Every account squares its intraday positions off each day and keeps its entry window, or none does."""
    settings = replace(job.settings, day_rules=replace(job.settings.day_rules, keep=keep))
    seats = tuple(replace(seat, account=replace(seat.account, day_rules=replace(seat.account.day_rules, keep=keep))) for seat in job.seats)
    return replace(job, settings=settings, seats=seats)


# --- small -----------------------------------------------------------------------------------------------------------


def progress_bar() -> Callable[[float], None] | None:
    """A bar on standard error, where somebody looks at it."""
    if not sys.stderr.isatty():
        return None

    def told(share: float) -> None:
        full = round(share * BAR)
        print(f"\r{'█' * full}{'░' * (BAR - full)} {share:4.0%}", end="", file=sys.stderr, flush=True)

    return told


def wipe() -> None:
    """Take the bar off the screen."""
    print("\r" + " " * (BAR + 10) + "\r", end="", file=sys.stderr, flush=True)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CannotRun(f"{text!r} is not a day of the form YYYY-MM-DD") from None


def _money(text: str) -> Decimal:
    try:
        amount = exact(text)
    except ValueError:
        amount = Decimal(0)
    if amount <= 0:
        raise CannotRun(f"--capital {text!r} is not an amount above zero")
    return amount


def write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"cannot write {path}: {error.strerror or error}") from None

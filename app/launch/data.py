"""`data`: market data in and out of the workspace from the command line, also while it runs: import, list, gaps, export.

Files of any size; everything that was found in one goes to the terminal, and nothing half-imported stays behind.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.api.datasets.service import plain_name, timeframe_of
from app.data import Data, Dataset, User, UserRole
from app.launch.common import CLI, opened, settings_for
from app.launch.errors import CannotRun
from app.market_work import made_of
from engines.core.sessions import Calendar, exchange_of, load_calendar, utc_offset, with_days
from engines.market.canonical import Part, pieces_of, to_parquet
from engines.market.files import SYMBOL
from engines.market.gaps import GapReport
from engines.market.imports import ImportReport, Refused, Wish, import_file, zone_of
from engines.market.program import gaps_of
from engines.market.sheets import BadFile

_SHOWN = 20
_ENDINGS = (".csv", ".csv.gz", ".parquet")


def run(args: argparse.Namespace) -> int:
    """Carries out `args.action`; 2 and a line that says why for what cannot be done."""
    if args.symbol is not None and not SYMBOL.fullmatch(args.symbol):
        raise CannotRun(f"--symbol {args.symbol!r} is not an instrument's name, such as NSE:NIFTY 50")
    actions: dict[str, Callable[[argparse.Namespace, Data], int]] = {"import": take, "list": show_all, "gaps": gaps, "export": export}
    with opened(settings_for(args)) as data:
        return actions[args.action](args, data)


def take(args: argparse.Namespace, data: Data) -> int:
    if not args.file.is_file():
        raise CannotRun(f"there is no file {args.file}")
    person = _person(data, args.user)
    try:
        zone_of(args.zone)
    except BadFile as error:
        raise CannotRun(f"--zone: {error}") from None
    wish = Wish(args.symbol, args.exchange, args.zone, _order(args), args.stamped_end, args.leave_out_bad)
    target = data.datasets.incoming()
    try:
        try:
            report = import_file(args.file, target, wish, _calendar(data), progress=_progress())
        except Refused as error:
            _tell_report(error.report)
            raise CannotRun(f"{args.file.name}: nothing was imported; mend these rows, or leave them out with --leave-out-bad") from None
        made = made_of(report.as_json(), target)
        dataset = data.datasets.add(person.user_id, args.name or plain_name(args.file.name), made, by=CLI)
    finally:
        target.unlink(missing_ok=True)
    _tell_report(report)
    print(f"imported {dataset.name}: {_about(dataset)}")
    return 0


def show_all(args: argparse.Namespace, data: Data) -> int:
    person = _person(data, args.user) if args.user else None
    for dataset in data.datasets.list(person.user_id if person else None):
        print(f"{dataset.dataset_id}  {dataset.name}  {_about(dataset)}  {dataset.source}")
    return 0


def gaps(args: argparse.Namespace, data: Data) -> int:
    report = gaps_of(_path(data, args.dataset), _calendar(data), args.symbol)
    if args.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _tell_gaps(report)
    return 0


def export(args: argparse.Namespace, data: Data) -> int:
    source, part, target = data.datasets.path(_named(data, args.dataset)), Part(args.symbol, args.start, args.end), args.file
    ending = next((each for each in _ENDINGS if target.name.lower().endswith(each)), None)
    if ending is None:
        raise CannotRun(f"what {target.name} is to hold is not clear: its name must end with {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}")
    partial = target.with_name(f"{target.name}.partial")
    try:
        if ending == ".parquet":
            to_parquet(source, partial, part)
        else:
            _write_csv(source, partial, part, packed=ending == ".csv.gz")
        os.replace(partial, target)
    except OSError as error:
        raise CannotRun(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    print(f"wrote {target}")
    return 0


def _write_csv(source: Path, target: Path, part: Part, *, packed: bool) -> None:
    import gzip

    with gzip.open(target, "wb", 6) if packed else target.open("wb") as file:
        for piece in pieces_of(source, part):
            file.write(piece)


# --- who, what, by which calendar ------------------------------------------------------------------------------------


def _person(data: Data, email: str | None) -> User:
    if email is not None:
        found = data.users.find(email)
        if found is None:
            raise CannotRun(f"there is no {email}")
        return found
    owner = next((user for user in data.users.all() if user.active and user.role is UserRole.OWNER), None)
    if owner is None:
        raise CannotRun("nobody can own the data yet: add a person with `user add`, or say --user EMAIL")
    return owner


def _named(data: Data, given: str) -> Dataset:
    """By id, or by a name that only one has."""
    everything = data.datasets.list(None)
    found = [row for row in everything if row.dataset_id == given] or [row for row in everything if row.name == given]
    if len(found) != 1:
        raise CannotRun(
            f"there is no dataset {given}; see: data list" if not found else f"several datasets are called {given}: say which by its id"
        )
    return found[0]


def _path(data: Data, given: str) -> Path:
    """A dataset's file, or any file at all."""
    return Path(given) if Path(given).is_file() else data.datasets.path(_named(data, given))


def _calendar(data: Data) -> Calendar:
    return with_days(load_calendar(), data.directory.calendar_days())


def _order(args: argparse.Namespace) -> bool | None:
    return True if args.day_first else False if args.month_first else None


# --- what is told ----------------------------------------------------------------------------------------------------


def _progress() -> Callable[[int], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda rows: print(f"\r{rows:,} rows", end="", file=sys.stderr, flush=True)


def _about(dataset: Dataset) -> str:
    names = dataset.symbols[0] if len(dataset.symbols) == 1 else _instruments(len(dataset.symbols))
    zone = dataset.symbols[0]
    return (
        f"{names}, {timeframe_of(dataset.seconds)}, {dataset.rows:,} rows, {_day(dataset.first_at, zone)} to {_day(dataset.last_at, zone)}"
    )


def _instruments(count: int) -> str:
    return "1 instrument" if count == 1 else f"{count:,} instruments"


def _day(at: float, symbol: str) -> str:
    return _local(at, symbol).date().isoformat()


def _local(at: float, symbol: str) -> datetime:
    return datetime.fromtimestamp(at, UTC) + timedelta(seconds=utc_offset(exchange_of(symbol)))


def _tell_report(report: ImportReport) -> None:
    print(
        f"{report.file}: {report.form}, {report.rows_read:,} rows; "
        + ", ".join(f"{word} = {name}" for word, name in report.columns.items())
    )
    for text in report.warnings:
        print(f"note: {text}")
    _tell_lines("cannot be used", report.bad_count, report.bad)
    _tell_lines("twice", report.duplicate_count, report.duplicates)
    _tell_gaps(report.gaps, brief=True)


def _tell_lines(what: str, count: int, rows: Any) -> None:
    if not count:
        return
    print(f"{count:,} {what}:")
    for row in rows[:_SHOWN]:
        print(f"  {row}")
    if count > _SHOWN:
        print(f"  and {count - _SHOWN:,} more")


def _tell_gaps(report: GapReport, *, brief: bool = False) -> None:
    for note in report.notes:
        print(f"note: {note}")
    with_gaps = [each for each in report.symbols if not each.whole]
    for each in with_gaps[: _SHOWN if brief else None]:
        outside = f", {each.outside:,} outside of the hours" if each.outside else ""
        print(
            f"{each.symbol}: {each.first_day} to {each.last_day}, {each.missing:,} of {each.expected:,} missing, "
            f"{len(each.missing_days)} whole days, {each.hole_count:,} holes{outside}"
        )
        if not brief:
            for day in each.missing_days:
                print(f"  {day} is missing")
            for hole in each.holes:
                start, end = _local(hole.start, each.symbol), _local(hole.end, each.symbol)
                bars = f" ({hole.bars} candles)" if hole.bars else ""
                print(f"  {start:%Y-%m-%d %H:%M} to {end:%H:%M}{bars}")
    if brief and len(with_gaps) > _SHOWN:
        print(f"{_instruments(len(with_gaps) - _SHOWN)} more with gaps")
    if report.symbols and not with_gaps:
        print(
            f"no gaps: {sum(each.rows for each in report.symbols):,} rows of {_instruments(len(report.symbols))}, as the calendar expects"
        )

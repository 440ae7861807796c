"""`backtest`: one strategy over one file of candles or ticks, through the same classes that trade live, on a simulated clock.

It opens no workspace and touches no data folder: what it needs is in the file and on the command line.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from app.launch.errors import CannotRun
from engines import backtest
from engines.core.model import Timeframe
from engines.core.prices import exact


def run(args: argparse.Namespace) -> int:
    """Prints the report as JSON, or writes it where `--json` and `--html` say."""
    if not args.data.is_file():
        raise CannotRun(f"there is no file {args.data}")
    first, last = _day(args.start), _day(args.end)
    if first and last and last < first:
        raise CannotRun(f"--to {args.end} is before --from {args.start}")
    settings = backtest.Settings()
    report = backtest.run(
        args.kind,
        args.data,
        params=dict(args.param),
        first=first,
        last=last,
        symbol=args.symbol,
        timeframe=Timeframe(args.timeframe) if args.timeframe else None,
        settings=replace(settings, capital=_money(args.capital)) if args.capital else settings,
    )
    text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    if args.json:
        _write(args.json, text)
    if args.html:
        _write(args.html, report.as_html())
    if not args.json and not args.html:
        print(text, end="")
    return 0


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


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"cannot write {path}: {error.strerror or error}") from None

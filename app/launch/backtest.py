"""`backtest`: one strategy over one file of candles, through the same classes that trade live, on a simulated clock."""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.util
import json

from app.launch.errors import CannotRun


def run(args: argparse.Namespace) -> int:
    """Prints the report as JSON, or writes it where `--json` and `--html` say."""
    if not args.data.is_file():
        raise CannotRun(f"there is no file {args.data}")
    first, last = _day(args.start), _day(args.end)
    if first and last and last < first:
        raise CannotRun(f"--to {args.end} is before --from {args.start}")
    if importlib.util.find_spec("engines.backtest") is None:
        raise CannotRun("backtests are not part of this version")
    engine = importlib.import_module("engines.backtest")
    report = engine.run(args.kind, args.data, params=dict(args.param), first=first, last=last)
    text = json.dumps(report.as_json(), indent=2, default=str)
    if args.html:
        args.html.write_text(report.as_html(), encoding="utf-8")
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    if not args.json and not args.html:
        print(text)
    return 0


def _day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise CannotRun(f"{text!r} is not a day of the form YYYY-MM-DD") from None

"""The process that works on market files: `python -m engines.market.program`, one job as JSON on standard input, lines of JSON on standard output.

A process of its own, at low priority and with a bound on its memory, so that millions of rows never hold up whoever trades. Lines are
{"progress": rows} while it works, then one of {"done": …}, {"refused": text, "report": … or null}.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.core.codec import from_plain
from engines.core.model import Candle, Timestamp
from engines.core.sessions import Calendar, CalendarDay, load_calendar, with_days
from engines.market.canonical import Part, to_parquet
from engines.market.files import read_market_file
from engines.market.gaps import GapReport, find_gaps
from engines.market.imports import Refused, Wish, import_file
from engines.market.sheets import BadFile

_MOST_MEMORY = 4 << 30


def run(job: Mapping[str, Any], tell: Any) -> dict[str, Any]:
    """What became of the job, as it is told."""
    days = tuple(from_plain(CalendarDay, day) for day in job.get("days", ()))
    calendar = with_days(load_calendar(), days) if days else load_calendar()
    try:
        return {"done": _do(job, calendar, tell)}
    except Refused as error:
        return {"refused": str(error), "report": error.report.as_json()}
    except BadFile as error:
        return {"refused": str(error), "report": None}
    except MemoryError:
        return {"refused": "there is not enough memory for so much data at once: split the file", "report": None}


def _do(job: Mapping[str, Any], calendar: Calendar, tell: Any) -> dict[str, Any]:
    source = Path(job["source"])
    match job["do"]:
        case "import":
            wish = Wish(**job["wish"])
            report = import_file(
                source, Path(job["target"]), wish, calendar, name=job["name"], progress=lambda rows: tell({"progress": rows})
            )
            return report.as_json()
        case "gaps":
            return gaps_of(source, calendar, job.get("symbol")).as_json()
        case "parquet":
            return {"rows": to_parquet(source, Path(job["target"]), Part(**job["part"]))}
    raise ValueError(f"no such job: {job['do']}")


def gaps_of(path: Path, calendar: Calendar, symbol: str | None = None) -> GapReport:
    """What a kept file lacks. BadFile when it cannot be read."""
    file = read_market_file(path, symbol)
    starts: dict[str, list[Timestamp]] = {}
    for row in file.candles or file.ticks:
        starts.setdefault(row.symbol, []).append(row.start if isinstance(row, Candle) else row.at)
    return find_gaps(dict(sorted(starts.items())), file.seconds, calendar)


def main() -> int:
    gc.disable()  # millions of small values, none of them in a circle, in a process that ends with its job
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)  # the engines come first
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))

    def tell(what: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    tell(run(json.load(sys.stdin), tell))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Datasets: what there is, what an import made of a file, what it lacks, and the way out again. Files are worked on by another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Response

from app import market_work
from app.api.datasets import uploads
from app.api.datasets.schemas import (
    BarOut,
    BarQuery,
    BarsOut,
    DatasetOut,
    DatasetPatch,
    DatasetQuery,
    DatasetStoryOut,
    ExportQuery,
    GapQuery,
    GapsOut,
    HoleOut,
    RecordingOut,
    ReportOut,
    SampleDatasetIn,
    SymbolGapsOut,
    SymbolRowsOut,
    UploadQuery,
)
from app.api.pages import keep, page_of
from app.api.wire import Page, moment
from app.data import Actor, Dataset, User
from app.problems import Problem, field_problem
from app.workspace import workspace
from engines.backtest.sample import BadSample, check
from engines.core.codec import to_plain
from engines.core.model import Timeframe
from engines.market.canonical import Part, candles_of, pieces_of
from engines.market.imports import Wish, zone_of
from engines.market.sheets import BadFile

_ALL = DatasetQuery()
_ENDINGS = (".gz", ".csv", ".txt", ".tsv", ".parquet", ".pq")
_SHOWN = 50
_MOST_BARS = 2_000
_PIECE = 1 << 18
_TIMEFRAMES = {timeframe.seconds: timeframe.value for timeframe in Timeframe}


def list_datasets(user: User, query: DatasetQuery = _ALL) -> Page[DatasetOut]:
    shown = [dataset_out(user, row) for row in workspace().data.datasets.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda d: (d.created_at, d.id))


def get_dataset(user: User, dataset_id: str) -> DatasetStoryOut:
    row = workspace().data.datasets.get(user.user_id, dataset_id)
    return DatasetStoryOut(**dict(dataset_out(user, row)), report=_report(row.report))


def rename_dataset(user: User, dataset_id: str, body: DatasetPatch, by: Actor) -> DatasetOut:
    return dataset_out(user, workspace().data.datasets.rename(user.user_id, dataset_id, body.name, by=by))


def delete_dataset(user: User, dataset_id: str, by: Actor) -> None:
    workspace().data.datasets.delete(user.user_id, dataset_id, by=by)


def upload(user: User, query: UploadQuery, by: Actor) -> DatasetStoryOut:
    """The file of the present request. 422 with the lines at fault when it cannot be used; then nothing was kept."""
    shop = workspace()
    with uploads.received(shop.data.datasets) as (path, sent_name):
        file_name = query.filename or Path(sent_name).name or "the file"
        wish = Wish(query.symbol, query.exchange, query.zone, query.day_first, query.stamped == "end", query.leave_out_bad)
        try:
            zone_of(query.zone)
        except BadFile as error:
            raise field_problem("zone", str(error)) from None
        try:
            uploads.glance(path)
            row = market_work.import_dataset(
                shop.data.datasets,
                user.user_id,
                path,
                wish,
                name=query.name or plain_name(file_name),
                file_name=file_name,
                days=shop.data.directory.calendar_days(),
                by=by,
            )
        except (BadFile, market_work.CannotUse) as error:
            text = uploads.without_path(error, path, file_name)
            report = getattr(error, "report", None)
            raise Problem(422, text, errors={"file": _lines(report) if report else [text]}) from None
        except market_work.Busy as error:
            raise Problem(503, str(error), headers={"Retry-After": "30"}) from None
    return get_dataset(user, row.dataset_id)


def make_sample(user: User, body: SampleDatasetIn, by: Actor) -> DatasetStoryOut:
    """As an import of a file that a process of its own has made."""
    shop = workspace()
    symbols = tuple(dict.fromkeys(body.symbols))
    try:
        check(symbols, Timeframe.M1, body.days)
    except BadSample as error:
        raise field_problem("symbols", str(error)) from None
    path = shop.data.datasets.incoming()
    words = (sys.executable, "-m", "app.launch.sample_day", str(path), str(body.days), *symbols)
    try:
        done = subprocess.run(words, cwd=market_work.ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own program
        if done.returncode:
            raise Problem(503, f"The sample could not be made: {done.stderr.strip()[-200:]}")
        row = market_work.import_dataset(
            shop.data.datasets,
            user.user_id,
            path,
            Wish(),
            name=body.name or _free_name(user, "Sample market"),
            file_name="the simulated market",
            days=shop.data.directory.calendar_days(),
            by=by,
        )
    except market_work.Busy as error:
        raise Problem(503, str(error), headers={"Retry-After": "30"}) from None
    finally:
        path.unlink(missing_ok=True)
    return get_dataset(user, row.dataset_id)


def _free_name(user: User, name: str) -> str:
    taken = {row.name for row in workspace().data.datasets.list(user.user_id)}
    return next(each for each in (name, *(f"{name} {n}" for n in range(2, len(taken) + 3))) if each not in taken)


def gaps(user: User, dataset_id: str, query: GapQuery) -> GapsOut:
    """Worked out anew with the calendar as it is now."""
    shop = workspace()
    dataset = shop.data.datasets.get(user.user_id, dataset_id)
    days = to_plain(tuple(shop.data.directory.calendar_days()))
    found = _work({"do": "gaps", "source": str(shop.data.datasets.path(dataset)), "symbol": query.symbol, "days": days})
    return gaps_out(found)


def bars(user: User, dataset_id: str, query: BarQuery) -> BarsOut:
    datasets = workspace().data.datasets
    dataset = datasets.get(user.user_id, dataset_id)
    symbol = query.symbol or dataset.symbols[0]
    if symbol not in dataset.symbols:
        raise field_problem("symbol", "is not in this dataset")
    found = candles_of(datasets.path(dataset), symbol, query.day, _MOST_BARS)
    items = [BarOut(start=moment(c.start), open=c.open, high=c.high, low=c.low, close=c.close, volume=c.volume) for c in found]
    return BarsOut(symbol=symbol, day=query.day, items=items)


def export(user: User, dataset_id: str, query: ExportQuery) -> Response:
    """The rows that were asked for, as a file."""
    datasets = workspace().data.datasets
    dataset = datasets.get(user.user_id, dataset_id)
    path, part = datasets.path(dataset), Part(query.symbol, query.from_, query.to)
    if query.format == "csv":
        return _file(pieces_of(path, part), dataset, "csv")
    if query.format == "csv.gz":
        if not part.whole:
            raise Problem(
                422,
                "csv.gz is the whole file.",
                errors={"format": ["csv.gz is the whole file: leave out symbol, from and to, or take csv"]},
            )
        return _file(_read(path), dataset, "csv.gz")
    target = datasets.incoming()
    try:
        _work({"do": "parquet", "source": str(path), "target": str(target), "part": to_plain(part)})
        opened = target.open("rb")
    finally:
        target.unlink(missing_ok=True)  # whoever has it open reads on
    return _file(_read_open(opened), dataset, "parquet")


def recording(_user: User) -> RecordingOut:
    recorder = workspace().recorder
    if recorder is None:
        return RecordingOut(what="off", day=None, candles=0, ticks=0, instruments=0, size=0, dropped=0, trouble="")
    status = recorder.status()
    return RecordingOut(
        what=status.what,
        day=status.day,
        candles=status.candles,
        ticks=status.ticks,
        instruments=status.instruments,
        size=status.size,
        dropped=status.dropped,
        trouble=status.trouble,
    )


# --- helpers ---------------------------------------------------------------------------------------------------------


def plain_name(file_name: str) -> str:
    """`nifty_2024.csv.gz` → `nifty_2024`."""
    name = file_name
    while name.lower().endswith(_ENDINGS):
        name = name[: name.rindex(".")]
    return "".join(c for c in name if c.isprintable()).strip()[:100] or "Dataset"


def timeframe_of(seconds: int) -> str:
    if not seconds:
        return "ticks"
    return _TIMEFRAMES.get(seconds) or (f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s")


def dataset_out(user: User, row: Dataset) -> DatasetOut:
    report, datasets = row.report, workspace().data.datasets
    symbols = report.get("gaps", {}).get("symbols", ())
    file = datasets.folder / row.file
    return DatasetOut(
        id=row.dataset_id,
        name=row.name,
        kind=row.kind,
        seconds=row.seconds,
        timeframe=timeframe_of(row.seconds),
        symbols=list(row.symbols),
        rows=row.rows,
        first_at=moment(row.first_at),
        last_at=moment(row.last_at),
        sha256=row.sha256,
        size=file.stat().st_size if file.is_file() else 0,
        source=row.source,
        own=row.user_id == user.user_id,
        bad=report.get("bad_count", 0),
        duplicates=report.get("duplicate_count", 0),
        missing=sum(each["missing"] for each in symbols),
        missing_days=max((each["missing_day_count"] for each in symbols), default=0),
        warnings=list(report.get("warnings", ())),
        created_at=moment(row.created_at),
    )


def _report(report: Mapping[str, Any]) -> ReportOut:
    fields = {name: report[name] for name in ReportOut.model_fields if name != "symbols"}
    symbols = [
        SymbolRowsOut(symbol=each["symbol"], rows=each["rows"], first_at=moment(each["first_at"]), last_at=moment(each["last_at"]))
        for each in report["symbols"]
    ]
    return ReportOut.model_validate({**fields, "symbols": symbols})


def gaps_out(found: Mapping[str, Any]) -> GapsOut:
    symbols = []
    for each in found["symbols"]:
        holes = [HoleOut(start=moment(h["start"]), end=moment(h["end"]), bars=h["bars"]) for h in each["holes"]]
        symbols.append(SymbolGapsOut.model_validate({**each, "holes": holes}))
    return GapsOut(seconds=found["seconds"], notes=found["notes"], symbols=symbols)


def _lines(report: Mapping[str, Any]) -> list[str]:
    lines = [f"line {row['line']}: {row['reason']}" for row in report["bad"][:_SHOWN]]
    more = report["bad_count"] - len(lines)
    return [*lines, *([f"and {more:,} more"] if more else [])]


def _work(job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return market_work.work(job)
    except market_work.CannotUse as error:
        raise Problem(422, str(error)) from None
    except market_work.Busy as error:
        raise Problem(503, str(error), headers={"Retry-After": "30"}) from None


def _read(path: Path) -> Iterator[bytes]:
    return _read_open(path.open("rb"))


def _read_open(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _file(body: Iterator[bytes], dataset: Dataset, ending: str) -> Response:
    """As a download: the name in plain letters, whatever the dataset is called."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in dataset.name)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"', "Cache-Control": "no-store"}
    return Response(body, mimetype="application/octet-stream", headers=headers)

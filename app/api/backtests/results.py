"""What came of back-tests and sweeps, read from the files that their program left. Nothing here writes, and nothing is worked out that a report says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Response

from app.api.backtests.schemas import (
    ChartQuery,
    ComparedOut,
    CompareQuery,
    ComparisonOut,
    ExportQuery,
    PointOut,
    StudyChartOut,
    StudyReportOut,
    StudyTradesOut,
    SweepResultsOut,
    TradeQuery,
)
from app.api.backtests.service import study_out
from app.data import Conflict, StudyRow, StudyState, User
from app.problems import field_problem
from app.workspace import workspace

REPORT, OVERVIEW, TRADES, RESULTS, CHARTS = "report.json", "overview.json", "trades.jsonl", "results.jsonl", "charts"
MOST_COMPARED = 8
MOST_CHART_TRADES = 1_000
_CSV_TEXT = ("=", "+", "-", "@", "\t", "\r")
_EXPORTS = {
    ("report", "html"): ("report.html", "text/html; charset=utf-8"),
    ("report", "json"): (REPORT, "application/json"),
    ("trades", "csv"): ("trades.csv", "text/csv; charset=utf-8"),
    ("orders", "csv"): ("orders.csv", "text/csv; charset=utf-8"),
    ("equity", "csv"): ("equity.csv", "text/csv; charset=utf-8"),
}


def report(user: User, study_id: str) -> StudyReportOut:
    """Without the trades themselves."""
    row = _finished(user, study_id)
    return StudyReportOut(id=row.study_id, report=_report(row))


def trades(user: User, study_id: str, query: TradeQuery) -> StudyTradesOut:
    wanted = {name: value for name in ("account_id", "symbol", "exit_reason") if (value := getattr(query, name)) is not None}
    items, total = [], 0
    for line in _trades(_finished(user, study_id), wanted):
        if query.offset <= total < query.offset + query.limit:
            items.append(json.loads(line))
        total += 1
    return StudyTradesOut(items=items, total=total)


def chart(user: User, study_id: str, query: ChartQuery) -> StudyChartOut:
    """Empty for an instrument that did not trade."""
    from engines.backtest.pictures import chart_name

    row = _finished(user, study_id)
    drawn = _read(_file(row, f"{CHARTS}/{chart_name(query.symbol)}")) or {"seconds": 0.0, "bars": []}
    shown: list[dict[str, Any]] = []
    account = query.account_id
    for line in _trades(row, {"symbol": query.symbol} | ({"account_id": account} if account else {})):
        trade = json.loads(line)
        account = account or trade["account_id"]  # without one: that of the first trade
        if trade["account_id"] == account:
            shown.append(trade)
        if len(shown) == MOST_CHART_TRADES:
            break
    return StudyChartOut(symbol=query.symbol, seconds=drawn["seconds"], bars=drawn["bars"], trades=shown)


def charted(user: User, study_id: str) -> list[str]:
    """The symbols that have a chart, as the report names them."""
    row = _finished(user, study_id)
    from engines.backtest.pictures import chart_name

    there = {path.name for path in (workspace().studies.folder_of(row.study_id) / CHARTS).glob("*.json")}
    return [symbol for symbol in _report(row).get("data", {}).get("symbols", []) if chart_name(symbol) in there]


def compare(user: User, query: CompareQuery) -> ComparisonOut:
    ids = list(dict.fromkeys(part.strip() for part in query.ids.split(",") if part.strip()))
    if len(ids) > MOST_COMPARED:
        raise field_problem("ids", f"at most {MOST_COMPARED} at once")
    rows = [_finished(user, study_id) for study_id in ids]
    return ComparisonOut(items=[ComparedOut(study=study_out(row), equity=_grown(_report(row))) for row in rows])


def sweep_results(user: User, study_id: str) -> SweepResultsOut:
    from engines.backtest.sweep import best_first, read_results

    row = workspace().data.studies.get(user.user_id, study_id)
    if row.kind != "sweep":
        raise Conflict("this is a back-test: it has a report, no points")
    rank = str(row.spec["program"]["sweep"]["rank"])
    tried = read_results(_file(row, RESULTS))
    order = best_first(tried, rank)
    ranked = {id(each) for each in order}
    rest = [each for each in tried if id(each) not in ranked]
    items = [PointOut(params=dict(each.params), summary=dict(each.summary), wrong=each.wrong) for each in (*order, *rest)]
    return SweepResultsOut(rank=rank, items=items)


def export(user: User, study_id: str, query: ExportQuery) -> Response:
    if query.what == "results":
        return _export_sweep(user, study_id, query.format)
    row = _finished(user, study_id)
    named = _EXPORTS.get((query.what, query.format))
    if named is None:
        raise field_problem("format", "report goes as html or json, trades, orders and equity as csv, results as csv or json")
    file, kind = named
    path = _file(row, file)
    if not path.is_file():
        raise Conflict("its files are gone from the data folder: run it again")
    return _download(path.read_bytes(), f"{_slug(row.name)}-{file}", kind)


# --- files ---------------------------------------------------------------------------------------------------------


def _finished(user: User, study_id: str) -> StudyRow:
    row = workspace().data.studies.get(user.user_id, study_id)
    if row.kind != "backtest":
        raise Conflict("this is a sweep: it has points, no report")
    if row.state is not StudyState.DONE:
        raise Conflict(f"there is no report: it is {row.state.value}")
    return row


def _file(row: StudyRow, name: str) -> Path:
    return workspace().studies.folder_of(row.study_id) / name


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _report(row: StudyRow) -> dict[str, Any]:
    found = _read(_file(row, OVERVIEW))
    if found is None:
        raise Conflict("its files are gone from the data folder: run it again")
    return found


def _trades(row: StudyRow, wanted: Mapping[str, str]) -> Iterator[str]:
    """The trades whose fields are as wanted, each as its line of JSON. Only lines that name all values are read as JSON: there may be many."""
    named = [json.dumps(value) for value in wanted.values()]
    try:
        with _file(row, TRADES).open(encoding="utf-8") as lines:
            for line in lines:
                if all(value in line for value in named) and (not wanted or wanted.items() <= json.loads(line).items()):
                    yield line
    except OSError:
        raise Conflict("its files are gone from the data folder: run it again") from None


def _grown(told: Mapping[str, Any]) -> list[list[Any]]:
    curve = told.get("equity_curve", [])
    start = float(told["result"]["equity_start"]) or 1.0
    return [[point["day"], round(100 * (float(point["equity"]) / start - 1), 4)] for point in curve]


def _export_sweep(user: User, study_id: str, form: str) -> Response:
    found = sweep_results(user, study_id)
    name = _slug(workspace().data.studies.get(user.user_id, study_id).name)
    if form == "json":
        return _download(found.model_dump_json().encode(), f"{name}-results.json", "application/json")
    if form != "csv":
        raise field_problem("format", "results go as csv or json")
    params = list(dict.fromkeys(key for item in found.items for key in item.params))
    figures = list(dict.fromkeys(key for item in found.items for key, value in item.summary.items() if not isinstance(value, dict | list)))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*params, *figures, "unusable"])
    for item in found.items:
        writer.writerow(
            [_cell(each) for each in (*(item.params.get(p) for p in params), *(item.summary.get(f) for f in figures), item.wrong)]
        )
    return _download(out.getvalue().encode(), f"{name}-results.csv", "text/csv; charset=utf-8")


def _cell(value: Any) -> str:
    """Text that a spreadsheet would run as a formula is defused; numbers stay numbers."""
    text = "" if value is None else str(value)
    if text.startswith(_CSV_TEXT):
        try:
            float(text)
        except ValueError:
            return f"'{text}"
    return text


def _slug(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
    return "tandem-" + ("-".join(part for part in kept.split("-") if part)[:60] or "backtest")


def _download(content: bytes, name: str, kind: str) -> Response:
    return Response(
        content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    )

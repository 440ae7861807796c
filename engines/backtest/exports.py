"""A report as tables for other programs: trades, orders and the daily equity as CSV (the whole report as JSON or HTML it tells itself).

Times are RFC 3339 UTC, numbers plain text without grouping. A cell that a spreadsheet would take for a formula is written with an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

from engines.backtest.report import Report
from engines.backtest.told import plain, utc
from engines.core.prices import readable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Value = str | int | float | Decimal | None


def trades_csv(report: Report) -> str:
    """A row for each closed trade of every account, by the moment it ended."""
    head = (
        "number account_id symbol side quantity entry_at entry_price exit_at exit_price exit_reason gross charges net first_stop r mae mfe "
        "hold_seconds bars note exit_note"
    ).split()
    rows = (
        (
            number,
            trade.account_id,
            trade.symbol,
            trade.side.value,
            trade.quantity,
            utc(trade.entry_at),
            readable(trade.entry_price),
            utc(trade.exit_at),
            readable(trade.exit_price),
            trade.exit_reason,
            trade.gross,
            trade.charges,
            trade.net,
            trade.first_stop,
            facts.r,
            facts.mae,
            facts.mfe,
            trade.exit_at - trade.entry_at,
            facts.bars,
            trade.note,
            trade.exit_note,
        )
        for number, (trade, facts) in enumerate(zip(report.trades, report.analysis.facts, strict=True), start=1)
    )
    return _csv(head, rows)


def orders_csv(report: Report) -> str:
    """Every fill (which is here always a whole order) and every refusal that is told one by one, by time."""
    head = "at account_id order_id symbol side quantity price charges role reason outcome note".split()
    rows: list[tuple[float, tuple[Value, ...]]] = []
    for played in report.accounts:
        name = played.account.account_id
        for fill in played.fills:
            told = (
                fill.symbol,
                fill.side.value,
                fill.quantity,
                fill.price,
                fill.charges,
                fill.role.value,
                fill.reason,
                "filled",
                fill.note,
            )
            rows.append((fill.at, (utc(fill.at), name, fill.order_id, *told)))
        for refusal in played.refusals:
            side = None if refusal.side is None else refusal.side.value
            why = (None, None, None, None, refusal.reason, "refused", refusal.detail)
            rows.append((refusal.at, (utc(refusal.at), name, None, refusal.symbol, side, *why)))
    rows.sort(key=lambda row: row[0])
    return _csv(head, (row for _, row in rows))


def equity_csv(report: Report) -> str:
    """The value of all accounts together, before charges, and of each at the end of every session."""
    several = len(report.accounts) > 1
    columns = [report.equities[played.account.account_id].curve for played in report.accounts] if several else []
    head = ["day", "equity", "gross", "drawdown_pct", *(played.account.account_id for played in report.accounts if several)]
    curve = zip(report.equity.curve, report.analysis.curve(0.0), report.analysis.drawdowns, strict=True)
    rows = (
        (day, f"{value:.2f}", f"{gross:.2f}", f"{depth * 100:.4f}", *(f"{column[n][1]:.2f}" for column in columns))
        for n, ((day, value), (_, gross), depth) in enumerate(curve)
    )
    return _csv(head, rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) and not _number(text) else text


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

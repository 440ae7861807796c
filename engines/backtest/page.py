"""A backtest's report as one HTML file that stands alone: its style and its picture are in it, and there is no script.

It shows what `Report.as_json` says and computes nothing but the shape of the curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from engines.core.model import Timestamp
from engines.core.sessions import exchange_of, utc_offset

if TYPE_CHECKING:
    from engines.backtest.report import Report

MOST_TRADES = 2_000
"""Rows of trades on the page; the JSON has them all."""
WIDTH, HEIGHT = 960, 220

_STYLE = """
:root { color-scheme: dark; --ground: #12161c; --card: #1a2028; --text: #dfe6ee; --quiet: #93a1b1; --line: #2c3541; --win: #3fbf7f; --loss: #f0656d;
  --accent: #5aa2ff; --warn: #e0a93b }
@media print { :root { color-scheme: light; --ground: #fff; --card: #fff; --text: #111; --quiet: #555; --line: #bbb; --win: #1a7f45; --loss: #b8242c } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; background: var(--ground); color: var(--text) }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p { color: var(--quiet) } p.sub { margin: .2rem 0 1.2rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .6rem; margin: 0 }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem }
.tiles dt { font-size: .8rem; color: var(--quiet) } .tiles dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap }
th { color: var(--quiet); font-weight: 600 } tbody tr:hover { background: var(--card) }
td.text { white-space: normal } th.n, td.n { text-align: right } .win { color: var(--win) } .loss { color: var(--loss) }
svg { width: 100%; height: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
polyline { fill: none; stroke: var(--accent); stroke-width: 2 } line { stroke: var(--quiet); stroke-dasharray: 4 4 }
ul.warn { border-left: 4px solid var(--warn); margin: 0 0 1rem; padding: .5rem 1rem .5rem 2rem; background: var(--card); border-radius: 0 .5rem .5rem 0 }
"""


def page(report: Report) -> str:
    """The whole page."""
    told = report.as_json()
    result = told["result"]
    title = f"Backtest of {report.kind} on {', '.join(report.symbols[:3])}{' …' if len(report.symbols) > 3 else ''}"
    days = f"{_local(report, report.first)[:10]} to {_local(report, report.last)[:10]}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{escape(days)} · {report.timeframe} · {report.bars:,} bars · {escape(report.source)}</p>',
        _warnings(report.warnings),
        _tiles(result),
        "<h2>Equity at the end of each session</h2>",
        _curve(report.equity.curve, float(report.settings.capital)),
        "<h2>How trades ended</h2>",
        _table(
            ("reason", "trades", "wins", "net"),
            [(reason, each["trades"], each["wins"], _Money(each["net"])) for reason, each in told["by_exit"].items()],
        ),
        *_holdings(report),
        "<h2>What was assumed</h2>",
        _facts(_assumptions(report, told)),
        "<h2>Trades</h2>",
        _trades(report, told["trades"]),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


class _Amount(str):
    """Money, shown with its thousands apart."""

    __slots__ = ()


class _Money(_Amount):
    """Won or lost: coloured by its sign, too."""

    __slots__ = ()


def _tiles(result: Mapping[str, Any]) -> str:
    rate = "–" if result["win_rate"] is None else f"{result['win_rate']} %"
    tiles = [
        ("Net", _Money(result["net"])),
        ("Gross", _Money(result["gross"])),
        ("Charges", _Amount(result["charges"])),
        ("Equity at the end", _Amount(result["equity_end"])),
        ("Max drawdown", f"{float(result['max_drawdown']):,.2f} ({float(result['max_drawdown_pct']):.2f} %)"),
        ("Trades", result["trades"]),
        ("Win rate", rate),
        ("Profit factor", result["profit_factor"] or "no losses"),
        ("Ambiguous bars", f"{result['ambiguous_bars']} ({float(result['ambiguous_bars_pct']):.2f} %)"),
    ]
    return (
        '<dl class="tiles">'
        + "".join(f"<div><dt>{name}</dt><dd{_class(value)}>{_show(value)}</dd></div>" for name, value in tiles)
        + "</dl>"
    )


def _warnings(said: Sequence[str]) -> str:
    return '<ul class="warn">' + "".join(f"<li>{escape(each)}</li>" for each in said) + "</ul>" if said else ""


def _curve(curve: Sequence[tuple[str, float]], capital: float) -> str:
    """A line from the capital through every session's last value; the dashes are the capital."""
    values = [capital, *(value for _, value in curve)]
    low, high = min(values), max(values)
    tall = (high - low) or 1.0

    def y(value: float) -> float:
        return round(10 + (HEIGHT - 20) * (high - value) / tall, 1)

    points = " ".join(f"{round(WIDTH * n / (len(values) - 1), 1)},{y(value)}" for n, value in enumerate(values)) if len(values) > 1 else ""
    label = f"Equity from {capital:,.2f} to {values[-1]:,.2f}, lowest {low:,.2f}, highest {high:,.2f}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"><title>{label}</title>'
        f'<line x1="0" x2="{WIDTH}" y1="{y(capital)}" y2="{y(capital)}"/><polyline points="{points}"/></svg>\n<p class="sub">{label}</p>'
    )


def _holdings(report: Report) -> list[str]:
    if not report.holdings:
        return []
    rows = [
        (each.symbol, f"{each.quantity:f}", f"{each.average_price:.4f}", f"{each.last_price}", _Money(f"{each.unrealised:.2f}"))
        for each in report.holdings
    ]
    return ["<h2>Still held at the end</h2>", _table(("instrument", "quantity", "average", "last price", "unrealised"), rows)]


def _assumptions(report: Report, told: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings, data, result = report.settings, told["data"], told["result"]
    refused = ", ".join(f"{reason}: {count}" for reason, count in report.refused.items()) or "none"
    fastness = "–" if report.bars_per_second is None else f"{report.bars_per_second:,.0f} bars a second, {report.running_seconds:.3f} s"
    return [
        ("Parameters", ", ".join(f"{name} = {value}" for name, value in report.params.items()) or "none"),
        ("Way through a bar", report.assumed_path),
        ("Fills", f"the next price after the signal, {settings.slippage_ticks} ticks of slippage on market orders"),
        ("Capital", f"{settings.capital:,}, leverage {settings.leverage}"),
        (
            "Size",
            f"{settings.sizing.mode.value} {settings.sizing.value}, {settings.allocation_pct} % allocated, multiplier {settings.multiplier}",
        ),
        ("Charges", f"tariff {settings.broker!r}, by dated tables, an estimate"),
        ("Decisions", f"{result['decisions']}, of which {result['unfilled_at_the_end']} at the very end, without a price after them"),
        ("Orders refused", refused),
        ("File", f"{report.source}, SHA-256 {report.data_hash}"),
        ("Rows left out", "; ".join([f"{data['bad_rows']}", *data["bad_row_reasons"][:10]])),
        ("Speed", fastness),
    ]


def _trades(report: Report, trades: Sequence[Mapping[str, Any]]) -> str:
    names = ("instrument", "side", "quantity", "entered", "at", "left", "at", "reason", "charges", "net")
    rows = [
        (
            row["symbol"],
            row["side"],
            row["quantity"],
            _local(report, trade.entry_at),
            row["entry_price"],
            _local(report, trade.exit_at),
            row["exit_price"],
            row["exit_reason"],
            row["charges"],
            _Money(row["net"]),
        )
        for trade, row in zip(report.trades[:MOST_TRADES], trades, strict=False)
    ]
    rest = len(trades) - len(rows)
    more = f'<p class="sub">{rest:,} more in the JSON report.</p>' if rest else ""
    return _table(names, rows) + more if rows else "<p>No trade was closed.</p>"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(value)}</td></tr>' for name, value in rows)
    return f'<div class="wide"><table>{cells}</table></div>'


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    numbers = [all(_is_number(row[n]) for row in rows) for n in range(len(names))]
    head = "".join(f'<th scope="col"{_class("", number)}>{escape(name)}</th>' for name, number in zip(names, numbers, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{_class(cell, number)}>{_show(cell)}</td>" for cell, number in zip(row, numbers, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _class(cell: object, number: bool = False) -> str:
    names = ["n"] if number else []
    if isinstance(cell, _Money) and float(cell):
        names.append("loss" if cell.startswith("-") else "win")
    return f' class="{" ".join(names)}"' if names else ""


def _is_number(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return False
    return True


def _show(cell: object) -> str:
    return f"{float(cell):,.2f}" if isinstance(cell, _Amount) else escape(str(cell))


def _local(report: Report, at: Timestamp) -> str:
    """In the zone of the exchange, as a trader reads it."""
    zone = timedelta(seconds=utc_offset(exchange_of(report.symbols[0])))
    return (datetime.fromtimestamp(at, UTC) + zone).strftime("%Y-%m-%d %H:%M:%S")

"""What happened, section by section of the stand-alone page: the sums, the curve, months, figures, costs, accounts and breakdowns.

A section that has nothing to show is an empty text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from math import ceil
from typing import TYPE_CHECKING

from engines.backtest import drawings
from engines.backtest.breakdown import REASONS, Row
from engines.backtest.figures import Figure, Figures, pct
from engines.backtest.figures import figures as worked_out
from engines.backtest.words import DASH, Cell, Money, count, day, lasting, percent, ratio, table, toned, words
from engines.core.sessions import INDIAN, exchange_of

if TYPE_CHECKING:
    from engines.backtest.report import Report

MOST_ROWS = 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Shown:
    """A report and how its numbers are written."""

    def __init__(self, report: Report) -> None:
        self.report, self.analysis = report, report.analysis
        self.one_exchange = len(set(map(exchange_of, report.symbols))) == 1
        self.indian = exchange_of(report.symbols[0]) in INDIAN
        self.money = Money() if self.indian else Money("", indian=False)

    @cached_property
    def figures(self) -> tuple[Figures, ...]:
        return worked_out(self.report)

    def name(self, symbol: str) -> str:
        """Of an instrument; its exchange goes without saying when there is only one."""
        return symbol.partition(":")[2] if self.one_exchange and ":" in symbol else symbol

    def signed(self, amount: float, places: int = 0) -> Cell:
        return toned(amount, self.money.full(amount, places, plus=True))

    def price(self, value: float) -> str:
        return f"{value:,.0f}" if value == int(value) and value >= 1000 else f"{value:,.2f}" if value < 100_000 else f"{value:,.1f}"

    def figure(self, figure: Figure, value: float | str | None) -> Cell:
        if value is None:
            return Cell(figure.about if figure.about == "no losses" else DASH, "muted")
        if isinstance(value, str):
            return Cell(value)
        match figure.unit:
            case "money":
                return toned(value, self.money.full(value, plus=True))
            case "pct":
                return Cell(percent(value))
            case "r":
                return toned(value, f"{ratio(value)} R")
            case "seconds":
                return Cell(lasting(value))
            case "count":
                return Cell(count(value))
            case _:
                return Cell(ratio(value))


def lead(shown: Shown) -> str:
    """The sum in large, how it came about, and the eight figures that one asks for first."""
    report, net = shown.report, float(shown.report.net)
    tone = "up" if net > 0 else "down" if net < 0 else ""
    share = percent(net / float(report.capital) * 100, plus=True)
    steps = (
        ("Before charges", shown.money.full(report.gross, plus=True)),
        ("Charges", shown.money.full(-report.charges)),
        ("Net", shown.money.full(report.net, plus=True)),
    )
    sums = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in steps)
    found = {figure.key: figure for group in shown.figures for figure in group.rows}
    benchmark = found["benchmark"].net
    wins = shown.analysis.sums
    tiles = (
        (
            "Growth a year",
            percent(_number(found["cagr"])),
            f"buy and hold {percent(benchmark if isinstance(benchmark, float) else None)}",
        ),
        (
            "Max drawdown",
            percent(report.equity.max_drawdown_pct),
            f"{shown.money.full(-report.equity.max_drawdown, 0)}, Calmar {ratio(_number(found['calmar']))}",
        ),
        (
            "Sharpe",
            ratio(_number(found["sharpe"])),
            f"Sortino {ratio(_number(found['sortino']))}",
        ),
        (
            "Profit factor",
            ratio(_number(found["profit_factor"])) if wins.losses or not wins.wins else "no losses",
            f"payoff {ratio(wins.payoff)}",
        ),
        ("Closed trades", count(wins.trades), f"{wins.wins:,} won, {wins.losses:,} lost"),
        ("Win rate", percent(_number(found["win_rate"]), 1), f"{wins.losses_in_a_row} losses in a row"),
        (
            "Expectancy",
            shown.money.full(wins.expectancy, plus=True),
            f"{ratio(_number(found['expectancy_r']))} R, a trade" if shown.analysis.rs else "a trade",
        ),
        ("Time in the market", percent(_number(found["exposure"]), 1), f"{lasting(_number(found['average_hold']))} a trade"),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}<small>{escape(about)}</small></dd></div>" for name, value, about in tiles)
    return (
        f'<div class="lead"><div class="panel sum"><div class="sub">Net result on {escape(shown.money.full(report.capital, 0))}</div>'
        f'<div class="big {tone}">{escape(shown.money.full(report.net, plus=True))}</div><div class="pct {tone}">{escape(share)}</div>'
        f'<dl>{sums}</dl></div><dl class="tiles">{cells}</dl></div>'
    )


def equity(shown: Shown) -> str:
    report, curve = shown.report, shown.report.equity.curve
    if not curve:
        return ""
    capital, held = float(report.capital), shown.analysis.benchmark
    gross = [value for _, value in shown.analysis.curve(0.0)] if report.charges else []
    lines = drawings.Lines(
        days=[name for name, _ in curve],
        net=[value for _, value in curve],
        gross=gross,
        held=[value for _, value in held.curve] if held else (),
        falls=[depth * 100 for depth in shown.analysis.drawdowns],
        capital=capital,
    )
    legend = [("", "Net", lines.net[-1])]
    if gross:
        legend.append(("gross", "Before charges", gross[-1]))
    if held:
        legend.append(("held", "Buy and hold", held.curve[-1][1]))
    names = "".join(f'<span><i class="{kind}"></i>{name} <b>{shown.money.full(value, 0)}</b></span>' for kind, name, value in legend)
    names += f'<span><i class="fall"></i>Below the peak <b>{percent(min(lines.falls))}</b></span>'
    spell = shown.analysis.net.worst_spell
    told = ""
    if spell:
        until = f"recovered on {day(spell.recovered_day)}" if spell.recovered_day else "not recovered by the end"
        begun = day(spell.peak_day) if spell.peak_day else "the start"
        told = (
            f'<p class="quiet">Deepest fall at session ends: {percent(spell.depth * 100)} from {begun} to {day(spell.trough_day)}, '
            f"{until} ({spell.sessions} sessions). At every bar: {percent(report.equity.max_drawdown_pct)}.</p>"
        )
    picture = drawings.both(lambda size: drawings.equity(lines, size, shown.money))
    return f'<div class="panel"><div class="legend">{names}</div>{picture}{told}</div>'


def months(shown: Shown) -> str:
    """A row for each year, coloured by how much a month made of the capital."""
    capital, every = float(shown.report.capital), shown.analysis.months
    if not every:
        return ""
    most = max(abs(net) for _, net in every) or 1.0
    rows = []
    for year in dict.fromkeys(month[:4] for month, _ in every):
        mine = {int(month[5:]): net for month, net in every if month[:4] == year}
        cells = [_month(shown, mine.get(number), capital, most) for number in range(1, 13)]
        rows.append(f'<tr><th scope="row">{year}</th>{"".join(cells)}{_month(shown, sum(mine.values()), capital, 0)}</tr>')
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Year", *MONTHS, "Year"))
    return f'<div class="panel"><div class="wide"><table class="months"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></div>'


def _month(shown: Shown, net: float | None, capital: float, most: float) -> str:
    if net is None:
        return "<td></td>"
    level = ceil(abs(net) / most * 4) if most and net else 0
    kind = f"{'g' if net > 0 else 'r'}{min(level, 4)}" if level else "up" if net > 0 else "down" if net < 0 else ""
    return f'<td class="{kind}">{escape(percent(net / capital * 100, plus=True))}<small>{escape(shown.money.full(net, 0))}</small></td>'


def figures(shown: Shown) -> str:
    def card(group: Figures) -> str:
        both = any(figure.gross is not None for figure in group.rows)
        rows = [
            [
                Cell(
                    html=escape(figure.name)
                    + (f"<small>{escape(figure.about)}</small>" if figure.about and figure.about != "no losses" else ""),
                    number=False,
                ),
                *([shown.figure(figure, figure.gross) if figure.gross is not None else Cell("")] if both else []),
                shown.figure(figure, figure.net),
            ]
            for figure in group.rows
        ]
        return f'<div class="panel"><h3>{group.title}</h3>{table(("", "before charges", "net") if both else ("", ""), rows, kind="figures")}</div>'

    return '<div class="cards">' + "".join(map(card, shown.figures)) + "</div>"


def costs(shown: Shown) -> str:
    head = ("Charges", "net", "of the capital", "growth a year", "Sharpe", "max drawdown", "profit factor", "win rate", "a trade")
    names = {0: "none at all", 1: "as they are", 2: "twice as high"}
    rows = [
        [
            words(f"× {row.factor}, {names[row.factor]}"),
            shown.signed(row.net),
            Cell(percent(row.net / float(shown.report.capital) * 100, plus=True)),
            Cell(percent(pct(row.daily.cagr))),
            Cell(ratio(row.daily.sharpe)),
            Cell(percent(-row.daily.max_drawdown * 100)),
            Cell(ratio(row.sums.profit_factor)),
            Cell(percent(pct(row.sums.win_rate), 1)),
            toned(row.sums.expectancy, shown.money.full(row.sums.expectancy, plus=True)),
        ]
        for row in shown.analysis.costs
    ]
    return f'<div class="panel">{table(head, rows)}<p class="quiet">The same trades at other charges; sizes and refusals stay as they were.</p></div>'


def accounts(shown: Shown) -> str:
    """Side by side; nothing where there is one."""
    report = shown.report
    if len(report.accounts) < 2:
        return ""
    rates = {row.key: row.win_rate for row in shown.analysis.breakdown["account"]}
    rows = []
    for played in report.accounts:
        account, equity = played.account, report.equities[played.account.account_id]
        rows.append(
            [
                words(account.name),
                shown.signed(float(played.net)),
                Cell(percent(float(played.net / account.capital * 100), plus=True)),
                Cell(html=drawings.spark([value for _, value in equity.curve], float(account.capital)), number=False),
                Cell(shown.money.full(account.capital, 0)),
                shown.signed(float(played.gross)),
                Cell(shown.money.full(-played.charges, 0)),
                Cell(percent(equity.max_drawdown_pct)),
                Cell(count(len(played.trades))),
                Cell(percent(pct(rates.get(account.account_id)), 1)),
                Cell(count(sum(played.refused.values()))),
                Cell(count(len(played.locks))),
            ]
        )
    head = (
        "Account",
        "net",
        "of capital",
        "equity",
        "capital",
        "gross",
        "charges",
        "drawdown",
        "trades",
        "win rate",
        "refused",
        "day locks",
    )
    total = [
        words("All together"),
        shown.signed(float(report.net)),
        Cell(percent(float(report.net / report.capital * 100), plus=True)),
        words(""),
        Cell(shown.money.full(report.capital, 0)),
        shown.signed(float(report.gross)),
        Cell(shown.money.full(-report.charges, 0)),
        Cell(percent(report.equity.max_drawdown_pct)),
        Cell(count(len(report.trades))),
        Cell(percent(pct(shown.analysis.sums.win_rate), 1)),
        Cell(count(sum(report.refused.values()))),
        Cell(count(sum(len(each.locks) for each in report.accounts))),
    ]
    return f'<div class="panel">{table(head, rows, kind="list", foot=total)}</div>'


def breakdown(shown: Shown) -> str:
    found = shown.analysis.breakdown
    cards = [
        _rows(shown, "How trades ended", found["exit"], REASONS),
        _rows(shown, "Hour of the entry", found["hour"]),
        _rows(shown, "Weekday of the entry", found["weekday"]),
        _rows(shown, "Side", found["side"]),
    ]
    if len(found["entry"]) > 1:
        cards.append(_rows(shown, "Kind of entry", found["entry"]))
    if len(found["symbol"]) > 1:
        best = tuple(sorted(found["symbol"], key=lambda row: row.net, reverse=True))
        cards.append(_rows(shown, "Instrument", best, {row.key: shown.name(row.key) for row in best}))
    return '<div class="cards">' + "".join(cards) + "</div>" if shown.report.trades else ""


def _rows(shown: Shown, title: str, rows: Sequence[Row], names: dict[str, str] | None = None) -> str:
    most = max((abs(float(row.net)) for row in rows), default=0.0)
    cells = [
        [
            words((names or {}).get(row.key, row.key)),
            toned(row.net, shown.money.full(row.net, 0, plus=True)),
            Cell(html=drawings.bar(float(row.net), most), tone="bars", number=False),
            Cell(count(row.trades)),
            Cell(percent(pct(row.win_rate), 1)),
            toned(row.gross, shown.money.full(row.gross, 0, plus=True)),
        ]
        for row in rows[:MOST_ROWS]
    ]
    text = table(("", "net", "", "trades", "win rate", "gross"), cells)
    return f'<div class="panel"><h3>{title}</h3>{f"<div class=scroll>{text}</div>" if len(rows) > 12 else text}</div>'


def _number(figure: Figure) -> float | None:
    return figure.net if isinstance(figure.net, float | int) else None

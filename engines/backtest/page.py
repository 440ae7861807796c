"""A backtest's report as one HTML file that stands alone: its style and its pictures are in it, and there is no script.

It shows what `Report.as_json` says and computes nothing but the shapes of pictures. What is foreign (names of files, strategies' notes) is text.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from engines.backtest import page_parts as parts
from engines.backtest import page_trades, page_trust
from engines.backtest.page_style import STYLE
from engines.backtest.words import day

if TYPE_CHECKING:
    from engines.backtest.report import Report

NAMED = 3
"""Instruments in the title; the rest are counted."""


def page(report: Report) -> str:
    """The whole page."""
    shown = parts.Shown(report)
    names = ", ".join(map(shown.name, report.symbols[:NAMED]))
    more = f" and {len(report.symbols) - NAMED} more" if len(report.symbols) > NAMED else ""
    title = f"Back-test of {report.name} on {names}{more}"
    span = f"{day(report.equity.curve[0][0])} to {day(report.equity.curve[-1][0])}" if report.equity.curve else ""
    sessions = len(report.equity.curve)
    said = f"{span} · {sessions} sessions · {report.timeframe} candles · {report.bars:,} bars · {_accounts(len(report.accounts))} · {report.source}"
    sections = [
        ("Equity", parts.equity(shown)),
        ("Months", parts.months(shown)),
        ("Figures", parts.figures(shown)),
        ("Costs", parts.costs(shown)),
        ("Accounts", parts.accounts(shown)),
        ("Breakdown", parts.breakdown(shown)),
        ("Trades seen closely", page_trades.closeups(shown)),
        ("Spread", page_trades.spread(shown)),
        ("Luck", page_trust.luck(shown)),
        ("Walk-forward", page_trust.walk_forward(shown)),
        ("Checks", page_trust.checks(shown)),
        ("Held at the end", page_trades.holdings(shown)),
        ("Assumptions", page_trust.assumptions(shown)),
        ("Trades", page_trades.trades(shown)),
    ]
    told = [(name, text) for name, text in sections if text]
    header = (
        f'<header><h1>{escape(report.name)} <span>on {escape(names + more)}</span></h1><p class="sub">{escape(said)}</p>'
        f"{parts.lead(shown)}{_warnings(report.warnings)}</header>"
    )
    navigation = "".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name, _ in told)
    main = "".join(f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2>{text}</section>\n' for name, text in told)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{header}\n"
        f"<nav><div>{navigation}</div></nav>\n<main>\n{main}</main>\n{page_trust.footer(shown)}\n</body>\n</html>\n"
    )


def _warnings(said: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(each[:1].upper() + each[1:])}</li>" for each in said)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _accounts(count: int) -> str:
    return "one account" if count == 1 else f"{count} accounts"


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")

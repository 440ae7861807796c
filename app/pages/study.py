"""What pages show of a study: figures in words, what two runs differ in, which is better. Text and arithmetic only; the figures are the report's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.pages import format as fmt
from engines.backtest.grid import number_of

TRADES_SHOWN = 100
RANKS = (
    ("net", "Net profit"),
    ("sharpe", "Sharpe ratio"),
    ("sortino", "Sortino ratio"),
    ("calmar", "Calmar ratio"),
    ("profit_factor", "Profit factor"),
    ("expectancy", "Expectancy of a trade"),
    ("win_rate", "Win rate"),
    ("max_drawdown_pct", "Smallest drawdown"),
    ("trades", "Number of trades"),
)
BROKERS = (
    ("zerodha", "Zerodha"),
    ("angelone", "Angel One"),
    ("paper", "Paper (Zerodha's rates)"),
    ("binance_spot", "Binance spot"),
    ("binance_usdm", "Binance futures"),
)
COMPARED = (
    ("net", "Net after charges", "money", 1),
    ("net_pct", "Return", "pct", 1),
    ("gross", "Gross", "money", 1),
    ("charges", "Charges", "cost", -1),
    ("cagr", "CAGR", "pct", 1),
    ("max_drawdown_pct", "Max drawdown", "depth", -1),
    ("volatility", "Volatility, a year", "depth", -1),
    ("sharpe", "Sharpe", "ratio", 1),
    ("sortino", "Sortino", "ratio", 1),
    ("calmar", "Calmar", "ratio", 1),
    ("profit_factor", "Profit factor", "ratio", 1),
    ("payoff", "Payoff", "ratio", 1),
    ("win_rate", "Win rate", "depth", 1),
    ("expectancy", "Expectancy of a trade", "money", 1),
    ("expectancy_r", "Expectancy in R", "ratio", 1),
    ("trades", "Trades", "count", 0),
    ("exposure_pct", "Time in the market", "depth", 0),
    ("ambiguous_pct", "Ambiguous bars", "depth", -1),
    ("refused", "Orders refused", "count", 0),
    ("accounts", "Accounts", "count", 0),
    ("symbols", "Instruments", "count", 0),
    ("bars", "Bars", "count", 0),
)
FIGURES = {key: name for key, name, _, _ in COMPARED} | {
    "equity_end": "Equity at the end",
    "max_drawdown": "Max drawdown, in money",
    "max_drawdown_pct": "Max drawdown, %",
    "warnings": "Warnings",
}
"""Names of a summary's figures."""
_WON = frozenset({"total_pct", "cagr", "benchmark"})
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def figure(value: Any, unit: str) -> str:
    """One figure as text; None is a dash."""
    if value is None:
        return fmt.DASH
    match unit:
        case "money":
            return fmt.money(value, places=0, signed=True)
        case "cost":
            return fmt.money(value, places=0)
        case "pct":
            return fmt.percent(value, 2, signed=True)
        case "depth":
            return fmt.percent(value, 2)
        case "ratio" | "r":
            shown = number_of(value)
            return fmt.DASH if shown is None else f"{shown:.2f}".replace("-", fmt.MINUS)
        case "count":
            return fmt.quantity(value)
        case "seconds":
            return duration(value)
    return str(value)


def duration(value: Any) -> str:
    """Held for, in the two units that say enough: 2 h 05, 14 min, 3.2 d."""
    seconds = number_of(value)
    if seconds is None:
        return fmt.DASH
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f}"
    return f"{seconds / 86_400:.1f} d"


def left(seconds: Any) -> str:
    """How long it will still take."""
    value = number_of(seconds)
    if value is None:
        return ""
    return f"about {value:.0f} s left" if value < 90 else f"about {value / 60:.0f} min left"


def figures(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The report's tables of figures, gross and net side by side, as text."""
    tables = []
    for part in report.get("figures", []):
        rows = [
            {
                "name": row["name"],
                "about": row.get("about", ""),
                "gross": figure(row.get("gross"), _unit(row)),
                "net": figure(row.get("net"), _unit(row)),
                "tone": _tone(row),
            }
            for row in part["rows"]
        ]
        tables.append({"title": part["title"], "rows": rows, "both": any(row.get("gross") is not None for row in part["rows"])})
    return [*tables[:1], *tables[-1:], *tables[1:-1]]  # the short ones above each other


def _unit(row: Mapping[str, Any]) -> str:
    """A share of something has no plus; what was won or lost in percent has."""
    return "depth" if row["unit"] == "pct" and row.get("key") not in _WON else str(row["unit"])


def _tone(row: Mapping[str, Any]) -> str:
    return fmt.tone(row.get("net")) if row["unit"] == "money" and row.get("key", row.get("name")) in ("net", "total", "expectancy") else ""


def months() -> tuple[str, ...]:
    return _MONTHS


def shade(pct: Any, most: float) -> int:
    """−8 … 8 for the month table, from zero."""
    value = number_of(pct)
    return 0 if value is None or not most else max(-8, min(8, round(8 * value / most)))


def strongest(report: Mapping[str, Any]) -> float:
    """The largest month, whichever way: what the month table's colours are measured against."""
    return max((abs(number_of(month["pct"]) or 0.0) for year in report.get("months", []) for month in year["months"] if month), default=0.0)


def axis(said: Any) -> str:
    """A grid's axis as it is typed."""
    return ", ".join("none" if each is None else str(each) for each in said) if isinstance(said, list) else str(said)


# --- side by side ---------------------------------------------------------------------------------------------------


def compared(items: Sequence[Any]) -> list[dict[str, Any]]:
    """A row for each figure; the best of it is marked where more or less is better."""
    rows = []
    for key, name, unit, better in COMPARED:
        values = [item.study.summary.get(key) for item in items]
        numbers = [number_of(value) for value in values]
        known = [value for value in numbers if value is not None]
        if not known:
            continue
        best = (max(known) if better > 0 else min(known)) if better and len(set(known)) > 1 else None
        cells = [
            {
                "text": figure(value, unit),
                "best": best is not None and num == best,
                "tone": fmt.tone(value) if unit in ("money", "pct") else "",
            }
            for value, num in zip(values, numbers, strict=True)
        ]
        rows.append({"key": key, "name": name, "cells": cells})
    return rows


def differing(items: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """What was asked differently: strategy, parameters, dates, accounts."""
    found: dict[str, list[str]] = {}
    for n, item in enumerate(items):
        for name, value in _asked(item.study).items():
            found.setdefault(name, [fmt.DASH] * len(items))[n] = value
    return [(name, values) for name, values in found.items() if len(set(values)) > 1]


def asked(study: Any) -> dict[str, str]:
    """What was asked, in words."""
    wanted = _asked(study)
    sample = study.asked.get("sample")
    if sample:
        wanted["Sample market"] = (
            f"{len(sample.get('symbols', [])) or 4} names, {sample.get('days', 60)} sessions of {sample.get('timeframe', '5m')}"
        )
    if study.points:
        wanted["Points"] = fmt.quantity(study.points)
    return wanted


def _asked(study: Any) -> dict[str, str]:
    asked = study.asked
    seats = asked.get("accounts") or [{}]
    told = {
        "Strategy": study.about,
        "Candles": str(asked.get("timeframe") or "as the file"),
        "Days": f"{asked.get('first') or 'from the first'} to {asked.get('last') or 'the last'}",
        "Accounts": str(len(seats)),
        "Day rules": {"account": "as each account", "keep": "all keep them", "carry": "none"}[asked.get("hours", "account")],
    }
    return told | {f"{name}": axis(value) for name, value in (asked.get("params") or {}).items()}


def pair_symbol(symbol: str) -> tuple[str, str]:
    """(value, label) of a select's choice."""
    return symbol, fmt.short_symbol(symbol)


def pair_words(code: str) -> tuple[str, str]:
    return code, fmt.words(code)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {**first, **second}


FILTERS = {
    "axis": axis,
    "figure": figure,
    "duration": duration,
    "shade": shade,
    "left": left,
    "number": number_of,
    "strongest": strongest,
    "pair_symbol": pair_symbol,
    "pair_words": pair_words,
    "merged": merged,
    "asked": asked,
}

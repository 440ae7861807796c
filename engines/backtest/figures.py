"""The figures of a report as a table, before charges and after them side by side: what each is called, its unit, and None where it is not defined.

Both the stand-alone page and the product's own draw this table; the definitions stand in `docs/backtesting.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engines.backtest import metrics

if TYPE_CHECKING:
    from engines.backtest.report import Report

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class Figure:
    """`unit`: money, pct (in percent), ratio, count, r (of the initial risk), seconds, day. `gross` is None for what charges do not change or where
    there is nothing to say."""

    key: str
    name: str
    gross: Value
    net: Value
    unit: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    title: str
    rows: tuple[Figure, ...]


def figures(report: Report) -> tuple[Figures, ...]:
    return (_return(report), _risk(report), _trades(report), _activity(report))


def pct(share: float | None) -> float | None:
    """A share as percent."""
    return None if share is None else share * 100


def _return(report: Report) -> Figures:
    gross, net, capital = report.analysis.gross, report.analysis.net, float(report.capital)
    benchmark = report.analysis.benchmark
    return Figures(
        "Return",
        (
            Figure("total", "Profit or loss", _paise(report.gross), _paise(report.net), "money"),
            Figure("total_pct", "of the capital", float(report.gross) / capital * 100, float(report.net) / capital * 100, "pct"),
            Figure("cagr", "Growth a year (CAGR)", pct(gross.cagr), pct(net.cagr), "pct", "from 30 calendar days on"),
            Figure("best_day", "Best day", _money(gross.best_day, capital), _money(net.best_day, capital), "money", _day(net.best_day)),
            Figure(
                "worst_day", "Worst day", _money(gross.worst_day, capital), _money(net.worst_day, capital), "money", _day(net.worst_day)
            ),
            Figure("up_days", "Days up", gross.up_days, net.up_days, "count", f"of {net.sessions} sessions"),
            Figure("down_days", "Days down", gross.down_days, net.down_days, "count"),
            Figure(
                "benchmark",
                "Buy and hold",
                None,
                None if benchmark is None else pct(benchmark.daily.total_return),
                "pct",
                "the same instruments in equal parts, no charges",
            ),
        ),
    )


def _risk(report: Report) -> Figures:
    gross, net = report.analysis.gross, report.analysis.net
    spell = net.worst_spell
    lasted = None if spell is None else spell.sessions
    over = "" if spell is None else f"{spell.peak_day or 'the start'} → {spell.recovered_day or 'not recovered'}"
    return Figures(
        "Risk",
        (
            Figure("sharpe", "Sharpe", gross.sharpe, net.sharpe, "ratio", "252 sessions, no risk-free rate"),
            Figure("sortino", "Sortino", gross.sortino, net.sortino, "ratio"),
            Figure("calmar", "Calmar", gross.calmar, net.calmar, "ratio", "whole run, drawdown at session ends"),
            Figure("volatility", "Volatility a year", pct(gross.volatility), pct(net.volatility), "pct"),
            Figure("max_drawdown_pct", "Max drawdown, at every bar", None, -report.equity.max_drawdown_pct, "pct"),
            Figure("max_drawdown_daily", "Max drawdown, at session ends", pct(gross.max_drawdown), pct(net.max_drawdown), "pct"),
            Figure("drawdown_sessions", "Longest of that drawdown", None, lasted, "count", over),
            Figure("underwater_pct", "Sessions below a peak", pct(gross.underwater_share), pct(net.underwater_share), "pct"),
            Figure("ulcer", "Ulcer index", pct(gross.ulcer), pct(net.ulcer), "pct"),
            Figure("var", "Value at risk, 95 %", pct(gross.var), pct(net.var), "pct", "of the capital, on a day in twenty"),
            Figure("cvar", "Mean of the worst days (CVaR)", pct(gross.cvar), pct(net.cvar), "pct"),
        ),
    )


def _trades(report: Report) -> Figures:
    gross, net, rs = report.analysis.gross_sums, report.analysis.sums, report.analysis.rs
    facts = report.analysis.facts
    return Figures(
        "Trades",
        (
            Figure("trades", "Closed trades", None, net.trades, "count", f"{net.zeros} of them at exactly zero" if net.zeros else ""),
            Figure("win_rate", "Win rate", pct(gross.win_rate), pct(net.win_rate), "pct"),
            Figure("profit_factor", "Profit factor", gross.profit_factor, net.profit_factor, "ratio", _no_losses(net)),
            Figure("payoff", "Average win / average loss", gross.payoff, net.payoff, "ratio"),
            Figure("expectancy", "Expectancy, a trade", gross.expectancy, net.expectancy, "money"),
            Figure("expectancy_r", "Expectancy in R", None, metrics.mean(rs), "r", f"{len(rs):,} trades had a stop"),
            Figure("average_win", "Average win", gross.average_win, net.average_win, "money"),
            Figure("average_loss", "Average loss", _minus(gross.average_loss), _minus(net.average_loss), "money"),
            Figure("largest_win", "Largest win", gross.largest_win, net.largest_win, "money"),
            Figure("largest_loss", "Largest loss", gross.largest_loss, net.largest_loss, "money"),
            Figure("wins_in_a_row", "Wins in a row", gross.wins_in_a_row, net.wins_in_a_row, "count"),
            Figure("losses_in_a_row", "Losses in a row", gross.losses_in_a_row, net.losses_in_a_row, "count"),
            Figure("mae", "Mean adverse excursion", None, _minus(metrics.mean([each.mae for each in facts])), "money", "MAE, at its worst"),
            Figure("mfe", "Mean favourable excursion", None, metrics.mean([each.mfe for each in facts]), "money", "MFE, at its best"),
        ),
    )


def _activity(report: Report) -> Figures:
    analysis, capital = report.analysis, float(report.capital)
    exposures = [found for each in report.equities.values() if (found := each.exposure) is not None]
    charges, gross = float(report.charges), float(report.gross)
    return Figures(
        "Activity and costs",
        (
            Figure("charges", "Charges", None, -charges, "money"),
            Figure("charges_pct", "Charges, of the gross profit", None, charges / gross * 100 if gross > 0 else None, "pct"),
            Figure("charges_per_trade", "Charges, a trade", None, -charges / len(report.trades) if report.trades else None, "money"),
            Figure("turnover", "Turnover", None, analysis.turnover / capital, "ratio", "times the capital, bought and sold"),
            Figure("fills", "Fills", None, report.fills, "count"),
            Figure(
                "exposure",
                "Time in the market",
                None,
                pct(metrics.mean(exposures)),
                "pct",
                "mean of the accounts" if len(exposures) > 1 else "",
            ),
            Figure("average_hold", "Average holding time", None, metrics.mean(analysis.hold_seconds), "seconds"),
            Figure("ambiguous_pct", "Ambiguous bars", None, report.ambiguous_pct, "pct", f"{report.ambiguous_bars:,} of {report.bars:,}"),
        ),
    )


def _paise(amount: Decimal) -> float:
    """As the summary says it, so that both are rounded alike wherever they are shown."""
    return float(f"{amount:.2f}")


def _money(day: tuple[str, float] | None, capital: float) -> float | None:
    return None if day is None else day[1] * capital


def _day(day: tuple[str, float] | None) -> str:
    return "" if day is None else day[0]


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _no_losses(sums: metrics.Sums) -> str:
    return "no losses" if sums.wins and not sums.losses else ""

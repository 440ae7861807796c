"""A report as plain values: the whole of it for files and pages, and a few figures for lists, comparisons and sweeps.

Money, prices and quantities are exact text, times RFC 3339 UTC, statistics numbers or null. It computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engines.backtest.breakdown import Row
from engines.backtest.checks import Checks
from engines.backtest.closeups import Closeup
from engines.backtest.figures import figures, pct
from engines.backtest.walk_forward import WalkForward
from engines.core.codec import to_plain
from engines.core.model import ZERO, Timestamp

if TYPE_CHECKING:
    from engines.backtest.report import Report

MOST_REFUSALS = 200
"""Told one by one in the report; the counts are whole."""


def told(report: Report) -> dict[str, Any]:
    """Everything."""
    return {
        "strategy": _strategy(report),
        "data": _data(report),
        "assumptions": _assumptions(report),
        "result": _result(report),
        "figures": [asdict(each) for each in figures(report)],
        "equity_curve": _curve(report),
        "months": _months(report),
        "by": {name: list(map(_row, rows)) for name, rows in report.analysis.breakdown.items()},
        "by_exit": {each.key: {"trades": each.trades, "wins": each.wins, "net": money(each.net)} for each in report.by_exit},
        "accounts": _accounts(report),
        "costs": _costs(report),
        "benchmark": _benchmark(report),
        "shuffle": _rounded_all(asdict(shuffle)) if (shuffle := report.analysis.shuffle) else None,
        "random_entries": _rounded_all(asdict(chance)) if (chance := report.analysis.random_entries) else None,
        "closeups": list(map(_closeup, report.analysis.closeups)),
        "checks": _checks(report.checks),
        "walk_forward": _walk_forward(report.walk_forward),
        "refused": dict(report.refused),
        "refusals": _refusals(report),
        "locks": [{"account_id": name} | to_plain(lock) | {"at": utc(lock.at)} for name, lock in _locks(report)],
        "warnings": list(report.warnings),
        "excluded": list(report.excluded),
        "holdings": [
            {"account_id": account.account.account_id} | to_plain(each) for account in report.accounts for each in account.holdings
        ],
        "trades": _trades(report),
        "speed": {
            "bars_per_second": None if report.bars_per_second is None else round(report.bars_per_second),
            "running_seconds": round(report.running_seconds, 6),
            "reading_seconds": round(report.reading_seconds, 6),
        },
    }


RANKED = tuple(
    "net gross charges equity_end net_pct cagr volatility sharpe sortino calmar max_drawdown max_drawdown_pct trades win_rate profit_factor payoff "
    "expectancy expectancy_r exposure_pct ambiguous_pct refused".split()
)
"""Figures of a summary by which points of a sweep can be put in order."""


def summary(report: Report) -> dict[str, str | int | float | None]:
    """Money as text, percentages in percent, counts as numbers."""
    net, sums, rs = report.analysis.net, report.analysis.sums, report.analysis.rs
    exposures = [found for each in report.equities.values() if (found := each.exposure) is not None]
    return {
        "kind": report.kind,
        "timeframe": report.timeframe,
        "symbols": len(report.symbols),
        "accounts": len(report.accounts),
        "bars": report.bars,
        "first": utc(report.first),
        "last": utc(report.last),
        "capital": money(report.capital),
        "net": money(report.net),
        "gross": money(report.gross),
        "charges": money(report.charges),
        "equity_end": money(report.equity_end),
        "net_pct": _rounded(float(report.net / report.capital * 100)),
        "cagr": _rounded(pct(net.cagr)),
        "volatility": _rounded(pct(net.volatility)),
        "sharpe": _rounded(net.sharpe),
        "sortino": _rounded(net.sortino),
        "calmar": _rounded(net.calmar),
        "max_drawdown": f"{report.equity.max_drawdown:.2f}",
        "max_drawdown_pct": _rounded(report.equity.max_drawdown_pct),
        "trades": sums.trades,
        "win_rate": _rounded(pct(sums.win_rate)),
        "profit_factor": _rounded(sums.profit_factor),
        "payoff": _rounded(sums.payoff),
        "expectancy": None if sums.expectancy is None else f"{sums.expectancy:.2f}",
        "expectancy_r": _rounded(sum(rs) / len(rs) if rs else None),
        "exposure_pct": _rounded(sum(exposures) / len(exposures) * 100 if exposures else None),
        "ambiguous_pct": _rounded(report.ambiguous_pct),
        "refused": sum(report.refused.values()),
        "warnings": len(report.warnings),
    }


# --- its parts -------------------------------------------------------------------------------------------------------


def _strategy(report: Report) -> dict[str, Any]:
    config, job = report.played.config, report.played.job
    return {
        "kind": report.kind,
        "params": dict(report.params),
        "timeframe": report.timeframe,
        "strategy_id": config.strategy_id,
        "exits": to_plain(config.exit_plan),
        "reentry": to_plain(config.reentry),
        "rules": to_plain(job.rules),
    }


def _data(report: Report) -> dict[str, Any]:
    return {
        "file": report.source,
        "sha256": report.data_hash,
        "symbols": list(report.symbols),
        "bars": report.bars,
        "first": utc(report.first),
        "last": utc(report.last),
        "bad_rows": report.bad_row_count,
        "bad_row_reasons": list(report.bad_rows),
        "files": [
            {
                "file": history.name,
                "sha256": history.data_hash,
                "symbols": len(history.file.symbols),
                "rows": len(history.file.candles) or len(history.file.ticks),
                "seconds": history.file.seconds,
                "bad_rows": history.file.bad_count,
            }
            for history in report.played.histories
        ],
    }


def _assumptions(report: Report) -> dict[str, Any]:
    settings: dict[str, Any] = to_plain(report.settings)
    return settings | {
        "capital": str(report.capital),
        "way": report.way.value,
        "path": report.assumed_path,
        "fills": "at the next price after the signal",
        "accounts": [{"account": to_plain(each.account), "mapping": to_plain(each.mapping)} for each in report.accounts],
    }


def _result(report: Report) -> dict[str, Any]:
    return {
        "decisions": len(report.decisions),
        "fills": report.fills,
        "trades": len(report.trades),
        "wins": report.wins,
        "losses": report.losses,
        "win_rate": None if report.win_rate is None else f"{report.win_rate:.2f}",
        "profit_factor": None if report.profit_factor is None else f"{report.profit_factor:.4f}",
        "gross": money(report.gross),
        "charges": money(report.charges),
        "net": money(report.net),
        "equity_start": money(report.capital),
        "equity_end": money(report.equity_end),
        "max_drawdown": f"{report.equity.max_drawdown:.2f}",
        "max_drawdown_pct": f"{report.equity.max_drawdown_pct:.4f}",
        "bars_held": report.equity.bars_held,
        "ambiguous_bars": report.ambiguous_bars,
        "ambiguous_bars_pct": f"{report.ambiguous_pct:.4f}",
        "unfilled_at_the_end": report.unfilled,
    }


def _curve(report: Report) -> list[dict[str, Any]]:
    benchmark = report.analysis.benchmark
    held = [None] * len(report.equity.curve) if benchmark is None else [f"{value:.2f}" for _, value in benchmark.curve]
    rows = zip(report.equity.curve, report.analysis.curve(0.0), report.analysis.drawdowns, held, strict=True)
    return [
        {"day": day, "equity": f"{value:.2f}", "gross": f"{gross:.2f}", "benchmark": other, "drawdown_pct": _rounded(depth * 100)}
        for (day, value), (_, gross), depth, other in rows
    ]


def _months(report: Report) -> list[dict[str, Any]]:
    """A row for each year: twelve months, None where nothing was played."""
    capital, years = float(report.capital), dict[str, list[dict[str, Any] | None]]()
    for month, net in report.analysis.months:
        year = years.setdefault(month[:4], [None] * 12)
        year[int(month[5:]) - 1] = {"net": f"{net:.2f}", "pct": _rounded(net / capital * 100)}
    totals = {year: sum(net for month, net in report.analysis.months if month[:4] == year) for year in years}
    return [
        {"year": year, "months": months, "net": f"{totals[year]:.2f}", "pct": _rounded(totals[year] / capital * 100)}
        for year, months in years.items()
    ]


def _row(row: Row) -> dict[str, Any]:
    return {
        "key": row.key,
        "trades": row.trades,
        "wins": row.wins,
        "losses": row.losses,
        "win_rate": _rounded(pct(row.win_rate)),
        "gross": money(row.gross),
        "charges": money(row.charges),
        "net": money(row.net),
        "expectancy": money(row.expectancy),
    }


def _accounts(report: Report) -> list[dict[str, Any]]:
    by_account = {row.key: row for row in report.analysis.breakdown["account"]}
    found = []
    for played in report.accounts:
        account, row, equity = played.account, by_account.get(played.account.account_id), report.equities[played.account.account_id]
        found.append(
            {
                "account_id": account.account_id,
                "name": account.name,
                "broker": account.broker,
                "capital": money(account.capital),
                "gross": money(played.gross),
                "charges": money(played.charges),
                "net": money(played.net),
                "net_pct": _rounded(float(played.net / account.capital * 100)),
                "equity_end": money(played.equity_end),
                "max_drawdown": f"{equity.max_drawdown:.2f}",
                "max_drawdown_pct": _rounded(equity.max_drawdown_pct),
                "exposure_pct": _rounded(pct(equity.exposure)),
                "trades": len(played.trades),
                "win_rate": _rounded(pct(row.win_rate)) if row else None,
                "fills": len(played.fills),
                "refused": sum(played.refused.values()),
                "locks": len(played.locks),
                "equity_curve": [f"{value:.2f}" for _, value in equity.curve],
            }
        )
    return found


def _costs(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "factor": row.factor,
            "net": f"{row.net:.2f}",
            "net_pct": _rounded(row.net / float(report.capital) * 100),
            "cagr": _rounded(pct(row.daily.cagr)),
            "sharpe": _rounded(row.daily.sharpe),
            "max_drawdown_pct": _rounded(-row.daily.max_drawdown * 100),
            "profit_factor": _rounded(row.sums.profit_factor),
            "win_rate": _rounded(pct(row.sums.win_rate)),
            "expectancy": None if row.sums.expectancy is None else f"{row.sums.expectancy:.2f}",
        }
        for row in report.analysis.costs
    ]


def _benchmark(report: Report) -> dict[str, Any] | None:
    benchmark = report.analysis.benchmark
    if benchmark is None:
        return None
    return {
        "name": "buy and hold",
        "total_pct": _rounded(pct(benchmark.daily.total_return)),
        "cagr": _rounded(pct(benchmark.daily.cagr)),
        "sharpe": _rounded(benchmark.daily.sharpe),
        "max_drawdown_pct": _rounded(-benchmark.daily.max_drawdown * 100),
    }


def _closeup(closeup: Closeup) -> dict[str, Any]:
    return {
        "number": closeup.number,
        "best": closeup.best,
        "symbol": closeup.trade.symbol,
        "side": closeup.trade.side.value,
        "account_id": closeup.trade.account_id,
        "net": money(closeup.trade.net),
        "exit_reason": closeup.trade.exit_reason,
        "seconds": closeup.seconds,
        "candles": [[utc(each.start), *each[1:]] for each in closeup.candles],
        "fills": [to_plain(mark) | {"at": utc(mark.at)} for mark in closeup.marks],
        "stops": [[utc(at), price] for at, price in closeup.stops],
    }


def _checks(checks: Checks | None) -> dict[str, Any] | None:
    if checks is None:
        return None
    return {
        name: {
            "passed": check.passed,
            "moments": list(map(utc, check.moments)),
            "compared": check.compared,
            "detail": check.detail,
        }
        for name, check in (("look_ahead", checks.look_ahead), ("restart", checks.restart))
    }


def _walk_forward(walked: WalkForward | None) -> dict[str, Any] | None:
    if walked is None:
        return None
    return {
        "rank": walked.rank,
        "train_days": walked.train_days,
        "test_days": walked.test_days,
        "points": walked.points,
        "net": money(walked.net),
        "trades": walked.trades,
        "efficiency": _rounded(walked.efficiency),
        "sharpe": _rounded(walked.daily.sharpe),
        "max_drawdown_pct": _rounded(-walked.daily.max_drawdown * 100),
        "windows": [
            asdict(window)
            | {"params": dict(window.params), "score": _rounded(window.score), "train_net": money(window.train_net)}
            | {"test_net": money(window.test_net)}
            for window in walked.windows
        ],
        "curve": [{"day": day, "equity": f"{value:.2f}"} for day, value in walked.curve],
    }


def _locks(report: Report) -> list[tuple[str, Any]]:
    return [(account.account.account_id, lock) for account in report.accounts for lock in account.locks]


def _refusals(report: Report) -> list[dict[str, Any]]:
    every = [(account.account.account_id, each) for account in report.accounts for each in account.refusals]
    every.sort(key=lambda pair: pair[1].at)
    return [{"account_id": name} | to_plain(each) | {"at": utc(each.at)} for name, each in every[:MOST_REFUSALS]]


def _trades(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "account_id": trade.account_id,
            "symbol": trade.symbol,
            "side": trade.side.value,
            "quantity": plain(trade.quantity),
            "entry_at": utc(trade.entry_at),
            "entry_price": f"{trade.entry_price:.4f}",
            "exit_at": utc(trade.exit_at),
            "exit_price": f"{trade.exit_price:.4f}",
            "gross": money(trade.gross),
            "charges": money(trade.charges),
            "net": money(trade.net),
            "exit_reason": trade.exit_reason,
            "note": trade.note,
            "exit_note": trade.exit_note,
            "first_stop": None if trade.first_stop is None else plain(trade.first_stop),
            "r": _rounded(facts.r),
            "mae": _rounded(facts.mae, 2),
            "mfe": _rounded(facts.mfe, 2),
            "mae_r": _rounded(facts.mae_r),
            "mfe_r": _rounded(facts.mfe_r),
            "hold_seconds": round(trade.exit_at - trade.entry_at, 3),
            "bars": facts.bars,
        }
        for number, (trade, facts) in enumerate(zip(report.trades, report.analysis.facts, strict=True), start=1)
    ]


# --- words and numbers -----------------------------------------------------------------------------------------------


def money(amount: Decimal) -> str:
    """To the paisa, as a statement shows it."""
    return f"{amount:.2f}"


def plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else f"{ZERO}"


def utc(at: Timestamp) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _rounded_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded_all(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded_all(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value

"""What speaks for and against believing the result, section by section of the stand-alone page: luck, walk-forward, checks, assumptions, what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from html import escape
from typing import Any

from engines.backtest import drawings
from engines.backtest.breakdown import local
from engines.backtest.checks import Check
from engines.backtest.page_parts import Shown
from engines.backtest.shuffle import Spread
from engines.backtest.words import MINUS, Cell, count, day, facts, moment, percent, ratio, table, toned, words
from engines.core.codec import to_plain
from engines.core.model import ExitSpec


def luck(shown: Shown) -> str:
    """The trades drawn again and again."""
    found = shown.analysis.shuffle
    if found is None:
        return ""
    picture = drawings.both(lambda size: drawings.fan(found, size, shown.money), (1180, 340), (340, 260))
    money = shown.money

    def row(name: str, spread: Spread, shape: str, happened: str) -> list[Cell]:
        values = (spread.p05, spread.p25, spread.p50, spread.p75, spread.p95)
        return [words(name), *(Cell(money.full(v, 0) if shape == "money" else percent(v * 100)) for v in values), Cell(happened)]

    rows = [
        row("Equity at the end, drawn", found.end, "money", money.full(found.actual[-1], 0)),
        row("Max drawdown, drawn", found.drawdown_drawn, "pct", percent(found.drawdown_actual * 100)),
        row("Max drawdown, reordered", found.drawdown_reordered, "pct", percent(found.drawdown_actual * 100)),
    ]
    said = (
        f"{found.trades:,} trades drawn {found.runs:,} times with replacement (seed {found.seed}): {percent(found.loss_share * 100, 1)} of the runs end "
        f"below the capital. The same trades in another order: {percent(found.deeper_share * 100, 1)} fall deeper than what happened. It takes trades to "
        "be independent of each other, and counts drawdowns where trades end."
    )
    legend = (
        '<div class="legend"><span><i></i>as it happened</span><span><i class="gross"></i>middle of the runs</span>'
        '<span><i class="band"></i>half, and nine of ten, of the runs</span></div>'
    )
    return (
        f'<div class="panel"><div class="legend">{legend}</div>{picture}'
        f'{table(("", "5 %", "25 %", "half", "75 %", "95 %", "happened"), rows)}<p class="quiet">{escape(said)}</p>'
        f"{_random_entries(shown)}</div>"
    )


def _random_entries(shown: Shown) -> str:
    found = shown.analysis.random_entries
    if found is None:
        return ""
    money = shown.money
    said = (
        f"Entered at random instead (as many, as large and as long, on the same sides, {found.runs:,} times): half of the runs make less than "
        f"{money.full(found.p50, 0)}, nine of ten lie between {money.full(found.p05, 0)} and {money.full(found.p95, 0)}; "
        f"{percent(found.as_good * 100, 1)} do at least as well as what happened ({money.full(found.happened, 0)})."
    )
    return f"<p>{escape(said).replace(MINUS, MINUS + _TOGETHER)}</p>"


def walk_forward(shown: Shown) -> str:
    walked = shown.report.walk_forward
    if walked is None:
        return ""
    by_net = walked.rank == "net"
    rows = [
        [
            words(f"{day(window.train_first)} – {day(window.train_last)}"),
            words(f"{day(window.test_first)} – {day(window.test_last)}"),
            words(_params(window.params)),
            *([] if by_net else [Cell(ratio(window.score))]),
            shown.signed(float(window.train_net)),
            shown.signed(float(window.test_net)),
            Cell(count(window.test_trades)),
        ]
        for window in walked.windows
    ]
    said = (
        f"The best of {walked.points} sets of parameters by {walked.rank.replace('_', ' ')} on {walked.train_days} sessions, traded on the next "
        f"{walked.test_days}, {len(walked.windows)} times. "
    )
    kept = "" if walked.efficiency is None else f"A tested session made {percent(walked.efficiency * 100, 0)} of what a chosen one made. "
    net = float(walked.net)
    total = f'<b class="{toned(net, "").tone}">{escape(shown.money.full(walked.net, plus=True))}</b>'
    ranked = () if by_net else (walked.rank.replace("_", " "),)
    head = ("chosen on", "traded on", "parameters", *ranked, "net when chosen", "net when traded", "trades")
    lines = drawings.Lines(
        [name for name, _ in walked.curve], [value for _, value in walked.curve], (), (), _falls(walked.curve), float(shown.report.capital)
    )
    picture = drawings.both(lambda size: drawings.equity(lines, size, shown.money), (1180, 300), (340, 260))
    return (
        f'<div class="panel"><p>{escape(said + kept)}Traded sessions alone: {total}, Sharpe {ratio(walked.daily.sharpe)}, '
        f"drawdown {percent(-walked.daily.max_drawdown * 100)}.</p>{picture}{table(head, rows)}</div>"
    )


def checks(shown: Shown) -> str:
    found = shown.report.checks
    if found is None:
        return ""
    return (
        '<div class="grid two">'
        + "".join(
            (
                _check(
                    shown,
                    found.look_ahead,
                    "Look-ahead",
                    "played again on data that ends earlier",
                    "decided the same without knowing what came later",
                ),
                _check(
                    shown,
                    found.restart,
                    "Restart",
                    "played again with every strategy taken down and put up again",
                    "decided the same after every restart",
                ),
            )
        )
        + "</div>"
    )


def _check(shown: Shown, check: Check, name: str, how: str, good: str) -> str:
    tone, word = ("up", "passed") if check.passed else ("down", "failed")
    symbol = shown.report.symbols[0]
    when = ", ".join(moment(local(at, symbol)) for at in check.moments)
    said = good if check.passed else check.detail
    return (
        f'<div class="panel"><h3>{name} <span class="chip {tone}">{word}</span></h3><p>{escape(said[:1].upper() + said[1:])}.</p>'
        f'<p class="quiet">{check.compared:,} decisions compared; {escape(how)}: {escape(when)}.</p></div>'
    )


def assumptions(shown: Shown) -> str:
    report = shown.report
    config, job, settings = report.played.config, report.played.job, report.settings
    rows = [
        ("Strategy", f"{report.name} ({report.kind}), candles of {report.timeframe}"),
        ("Parameters", _params(report.params) or "none"),
        ("Exits", _exits(config.exit_plan)),
    ]
    if config.reentry is not None:
        rows.append(("Re-entry", _fields(to_plain(config.reentry))))
    if job.rules:
        rows.append(("Combined P&L rules", "; ".join(_fields(to_plain(rule)) for rule in job.rules)))
    rows += [
        ("Way through a bar", report.assumed_path),
        (
            "Ambiguous bars",
            f"{report.ambiguous_bars:,} of {report.bars:,} ({percent(report.ambiguous_pct)}): which extreme came first would change what happened",
        ),
        ("Fills", "whole, at the next price after the signal; market orders pay the slippage"),
        ("Charges", "by dated tables of the tariff of each account's broker, an estimate"),
    ]
    for played in report.accounts[:12]:
        account, mapping = played.account, played.mapping
        rows.append(
            (
                account.name,
                (
                    f"capital {shown.money.full(account.capital, 0)}, leverage {account.leverage}, {mapping.sizing.mode.value.replace('_', ' ')} {mapping.sizing.value}, "
                    f"{mapping.allocation_pct} % allocated, multiplier {mapping.multiplier}, risk {mapping.risk_per_trade_pct} % a trade, "
                    f"slippage {account.paper.slippage_ticks} ticks, tariff {account.broker}"
                ),
            )
        )
    if len(report.accounts) > 12:
        rows.append(("", f"and {len(report.accounts) - 12} accounts more"))
    refused = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in report.refused.items()) or "none"
    rows += [
        ("Oldest price for an entry", f"{settings.max_price_age:g} s"),
        ("Decisions", f"{len(report.decisions):,}, of which {report.unfilled} at the very end, without a price after them"),
        ("Orders refused", refused),
    ]
    for history in report.played.histories:
        held = len(history.file.candles) or len(history.file.ticks)
        rows.append((history.name, f"{held:,} rows, {history.file.bad_count} left out, SHA-256 {history.data_hash}"))
    if len(report.played.histories) > 1:
        rows.append(("All files together", f"SHA-256 {report.data_hash}"))
    if report.bad_rows:
        rows.append(("Rows left out", "; ".join(report.bad_rows[:10])))
    if report.bars_per_second is not None:
        rows.append(("Speed", f"{report.bars_per_second:,.0f} bars a second, {report.running_seconds:.3f} s"))
    return f'<div class="panel">{facts(rows)}</div>'


def footer(shown: Shown) -> str:
    """What no figure holds."""
    items = "".join(f"<li>{escape(each)}</li>" for each in shown.report.excluded)
    return (
        '<footer><div class="panel"><h3>Not in any figure here</h3><ul class="plain">'
        f"{items}</ul></div><p>Results of a simulation on past prices. They say nothing certain about the future.</p></footer>"
    )


def _falls(curve: tuple[tuple[str, float], ...]) -> list[float]:
    peak, falls = float("-inf"), []
    for _, value in curve:
        peak = max(peak, value)
        falls.append((value / peak - 1) * 100 if peak > 0 else 0.0)
    return falls


def _params(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in params.items())


def _fields(plain: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plain.items() if value not in (None, False, "", [], {}))


def _exits(spec: ExitSpec | None) -> str:
    """The recipe in words."""
    if spec is None or spec.empty:
        return "the strategy's own"
    said = []
    if spec.has_stop:
        said.append(f"stop {_where(spec.stop_price, spec.stop_pct, spec.stop_points)}")
    for number, target in enumerate(spec.targets, start=1):
        then = _where(target.then_price, target.then_pct, target.then_points)
        moved = f", then stop {then}" if then else ""
        said.append(f"T{number} {_where(target.price, target.pct, target.points)} for {target.share_pct.normalize():f} %{moved}")
    if spec.trailing is not None:
        said.append("trail: " + _fields(to_plain(spec.trailing)))
    rest = {"cost_after_target": spec.cost_after_target, "exit_at": spec.exit_at, "max_minutes": spec.max_minutes}
    if spec.targets and spec.booking != "remainder":
        rest["booking"] = spec.booking
    return "; ".join([*said, *([_fields(rest)] if any(rest.values()) else [])])


def _where(price: Decimal | None, pct: Decimal | None, points: Decimal | None) -> str:
    if price is not None:
        return f"at {price.normalize():f}"
    if pct is not None:
        return f"{pct.normalize():f} %".replace("-", MINUS)
    return "" if points is None else f"{points.normalize():f} points".replace("-", MINUS)


_TOGETHER = "\u2060"  # no line ends between a minus and its amount

"""The trades themselves on the stand-alone page: the best and the worst closely, how all are spread, what is still held, and the list."""

from __future__ import annotations

from functools import partial
from html import escape

from engines.backtest import drawings
from engines.backtest.breakdown import REASONS, local
from engines.backtest.closeups import Closeup
from engines.backtest.page_parts import Shown
from engines.backtest.records import Trade
from engines.backtest.words import Cell, lasting, moment, ratio, table, toned, words
from engines.core.model import Side

MOST_TRADES = 1_000
"""Rows of trades on the page; the CSV and JSON exports have them all."""


def closeups(shown: Shown) -> str:
    """The best and the worst trades with the candles around them."""
    found = shown.analysis.closeups
    if not found:
        return ""
    cards = "".join(f'<div class="panel">{_closeup(shown, each)}</div>' for each in found)
    legend = (
        '<p class="quiet">The best and the worst by net result. Full arrows are entries, hollow ones exits; from below bought, from above sold; '
        "the dashed line is the stop.</p>"
    )
    return f'{legend}<div class="grid three">{cards}</div>'


def _closeup(shown: Shown, seen: Closeup) -> str:
    trade = seen.trade
    when = local(trade.entry_at, trade.symbol)
    tone = "up" if trade.net > 0 else "down"
    head = (
        f'<figcaption><span><b>{escape(shown.name(trade.symbol))}</b> {_direction(trade)}</span><span class="{tone}">'
        f"{escape(shown.money.full(trade.net, plus=True))}</span><span>{escape(moment(when))}, {escape(lasting(trade.exit_at - trade.entry_at))}, "
        f"{escape(REASONS.get(trade.exit_reason, trade.exit_reason))}</span></figcaption>"
    )
    long = trade.exit_at - trade.entry_at > 86_400
    time = partial(_time, symbol=trade.symbol, form="%-d %b %H:%M" if long else "%H:%M")
    label = f"Trade {seen.number}: {trade.symbol}, entered at {trade.entry_price:.2f}, left at {trade.exit_price:.2f}"
    return f"<figure>{head}{drawings.closeup(seen, (380, 250), shown.price, time, label)}</figure>"


def spread(shown: Shown) -> str:
    """How results and excursions are spread."""
    facts = shown.analysis.facts
    if len(facts) < 2:
        return ""
    rs, in_r = shown.analysis.rs, len(shown.analysis.rs) == len(facts)
    results = rs if in_r else [float(trade.net) for trade in shown.report.trades]
    unit = (lambda value: f"{ratio(value, 1)} R") if in_r else shown.money.short
    against = [each.mae_r if in_r and each.mae_r is not None else each.mae for each in facts]
    what = "in R" if in_r else "in money"
    size = (560, 260)
    narrow = (340, 240)
    first = drawings.both(lambda at: drawings.histogram(results, at, unit, "How often trades made how much"), size, narrow)
    points = list(zip(against, results, strict=True))
    second = drawings.both(lambda at: drawings.scatter(points, at, unit, "Adverse excursion and result of each trade"), size, narrow)
    return (
        f'<div class="grid two"><div class="panel"><h3>Net results of trades, {what}</h3>{first}</div>'
        f'<div class="panel"><h3>Adverse excursion (→) and net result (↑) of trades, {what}</h3>{second}</div></div>'
    )


def holdings(shown: Shown) -> str:
    several = len(shown.report.accounts) > 1
    rows = [
        [
            words(f"{shown.name(held.symbol)} · {played.account.name}" if several else shown.name(held.symbol)),
            Cell(f"{held.quantity.normalize():f}"),
            Cell(f"{held.average_price:.2f}"),
            Cell(f"{held.last_price:.2f}"),
            toned(held.unrealised, shown.money.full(held.unrealised, plus=True)),
        ]
        for played in shown.report.accounts
        for held in played.holdings
    ]
    if not rows:
        return ""
    text = table(("Instrument", "quantity", "average price", "last price", "unrealised"), rows)
    text = f"<div class=scroll>{text}</div>" if len(rows) > 20 else text
    return f'<div class="panel">{text}<p class="quiet">Counted in the equity at the last price; not among the closed trades.</p></div>'


def trades(shown: Shown) -> str:
    report = shown.report
    if not report.trades:
        return '<div class="panel"><p class="quiet">No trade was closed.</p></div>'
    several = len(report.accounts) > 1
    by_name = {played.account.account_id: played.account.name for played in report.accounts}
    years = {day[:4] for day, _ in report.equity.curve}
    form = "%-d %b %Y %H:%M" if len(years) > 1 else "%-d %b %H:%M"
    one = len(report.symbols) == 1
    head = ["#", *(["account"] if several else []), *([] if one else ["instrument"]), "side", "net", "R"]
    head += ["entered", "at", "left", "at", "held", "way out", "gross", "charges"]
    rows = [
        [
            words(str(number)),
            *([words(by_name.get(trade.account_id, trade.account_id))] if several else []),
            *([] if one else [words(shown.name(trade.symbol))]),
            words(f"{_direction(trade)} {trade.quantity.normalize():f}"),
            toned(trade.net, shown.money.full(trade.net, plus=True)),
            Cell(ratio(facts.r)),
            words(f"{local(trade.entry_at, trade.symbol):{form}}"),
            Cell(f"{trade.entry_price:.2f}"),
            words(f"{local(trade.exit_at, trade.symbol):{form}}"),
            Cell(f"{trade.exit_price:.2f}"),
            Cell(lasting(trade.exit_at - trade.entry_at)),
            words(_way_out(trade)),
            toned(trade.gross, shown.money.full(trade.gross, plus=True)),
            Cell(shown.money.full(-trade.charges)),
        ]
        for number, (trade, facts) in enumerate(zip(report.trades[:MOST_TRADES], shown.analysis.facts, strict=False), start=1)
    ]
    rest = len(report.trades) - len(rows)
    more = f'<p class="quiet">The first {len(rows):,}; {rest:,} more are in the CSV and JSON files.</p>' if rest else ""
    return f'<div class="panel"><div class="scroll">{table(head, rows, kind="list")}</div>{more}</div>'


def _direction(trade: Trade) -> str:
    return "long" if trade.side is Side.BUY else "short"


def _way_out(trade: Trade) -> str:
    """What the strategy said when it left by itself, else what took the position out."""
    return trade.exit_note if trade.exit_reason == "signal" and trade.exit_note else trade.exit_reason.replace("_", " ")


def _time(at: float, *, symbol: str, form: str) -> str:
    return f"{local(at, symbol):{form}}"

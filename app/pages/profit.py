"""P&L: now, by day, by account, by strategy, and the equity curve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import Response, request

from app.pages import export
from app.pages.purses import added, purses_of
from app.pages.room import accounts, by_account, every_strategy, filters, names, older, page, reads, room, strategy_names

routes = room("profit")

VIEWS = (("day", "By day"), ("account", "By account"), ("strategy", "By strategy"))


@routes.get("/pnl")
def index() -> Response:
    by = request.args.get("by", "day")
    by = by if by in dict(VIEWS) else "day"
    args = filters("account_id", "strategy_id", "from", "to")
    found = reads().daily({**args, "by": by})
    pnl = reads().pnl()
    shown = added(purses_of(pnl), found.items, lambda day: (day.live, day.currency), sums)
    return page(
        "pnl.html",
        by=by,
        views=VIEWS,
        args=args,
        days=found,
        sums=shown[0].sums,
        all_sums=shown,
        pnl=pnl,
        today=by_account(pnl.by_account),
        accounts=accounts(),
        by_id={account.id: account for account in accounts()},
        names=names(),
        strategy_names=strategy_names(),
        next_url=older({**args, "by": by}, found.next),
    )


@routes.get("/pnl.csv")
def pnl_csv() -> Response:
    held, known = names(), every_strategy()
    columns = ("day", "account", "strategy", "realised", "charges", "net", "fills", "turnover", "currency")
    rows = (
        [
            d.day,
            held.get(d.account_id or "", ""),
            known.get(d.strategy_id, ""),
            d.realised,
            d.charges,
            d.net,
            d.fills,
            d.turnover,
            d.currency,
        ]
        for d in export.every(reads().daily, {**filters("account_id", "strategy_id", "from", "to"), "by": "all"})
    )
    return export.answer("pnl", columns, rows)


def sums(days: list[Any]) -> dict[str, Any]:
    """What a trader asks of a row of days: the whole, how many were won, the best and the worst."""
    zero = Decimal(0)
    nets: dict[str, Decimal] = {}
    for day in days:
        nets[day.day] = nets.get(day.day, zero) + day.net
    return {
        "realised": sum((day.realised for day in days), zero),
        "charges": sum((day.charges for day in days), zero),
        "net": sum((day.net for day in days), zero),
        "fills": sum(day.fills for day in days),
        "turnover": sum((day.turnover for day in days), zero),
        "days": len(nets),
        "won": sum(net > 0 for net in nets.values()),
        "best": max(nets.items(), key=lambda item: item[1], default=None),
        "worst": min(nets.items(), key=lambda item: item[1], default=None),
    }

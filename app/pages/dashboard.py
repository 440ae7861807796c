"""The first screen: what runs where, is it healthy, how much do we make or lose, what needs me."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, current_app
from flask_login import current_user

from app.pages import curves
from app.pages.attention import needs
from app.pages.purses import Purse, purses_of
from app.pages.room import EXTENSION, accounts, by_account, by_place, by_strategy, page, reads, room

SPARK_POINTS = "60"  # a small picture needs no more, and each costs a look-up for each account
CURVE_SECONDS = 30.0
routes = room("pages")


@routes.get("/")
def dashboard() -> Response:
    read = reads()
    own, strategies, mappings, status, pnl = accounts(), read.strategies(), by_account(read.mappings()), read.status(), read.pnl()
    incidents = read.incidents(open=True, limit=50).items
    positions, signals = by_place(read.positions()), read.signals({"limit": "8"}).items
    traded = bool(positions or signals)  # whoever trades needs no welcome, by hand or otherwise
    curve = _curve(read, purses_of(pnl)[0])
    return page(
        "dashboard.html",
        accounts=own,
        strategies=strategies,
        names={account.id: account.name for account in own},
        strategy_names={strategy.id: strategy.name for strategy in strategies},
        where=_where(strategies, mappings, own),
        running=_running(own, mappings, strategies),
        needs=needs(own, strategies, mappings, status, incidents, read.consents(), datetime.now(UTC), read.destinations()),
        status=status,
        pnl=pnl,
        pnl_by_strategy=by_strategy(pnl.by_strategy),
        positions=positions,
        signals=signals,
        spark=curves.path(curve),
        spark_zero=curves.zero_line(curve) if curve else None,
        steps=[] if traded or str(current_user.role) == "viewer" else _first_steps(own, strategies, mappings),
    )


def _curve(read: Any, purse: Purse) -> list[curves.Point]:
    """The day's curve of this person in the main purse. It is marked once a minute, so pages that come in between share one reading."""
    kept = current_app.extensions[EXTENSION].setdefault("curves", {})
    now, key = time.monotonic(), (current_user.get_id(), purse.kind, purse.currency)
    at, curve = kept.get(key, (-CURVE_SECONDS, []))
    if now - at >= CURVE_SECONDS:
        curve = curves.total(
            point for point in read.equity({"from": _today(), "limit": SPARK_POINTS}) if purse.holds(point.live, point.currency)
        )
        for old in [old for old, (then, _) in list(kept.items()) if now - then >= CURVE_SECONDS]:
            kept.pop(old, None)
        kept[key] = (now, curve)
    return curve


def _today() -> str:
    """The start of the Indian day, as the session's curve begins there."""
    now = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    return (now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=5, minutes=30)).isoformat()


def _where(strategies: list[Any], mappings: list[Any], own: list[Any]) -> dict[str, list[Any]]:
    """Strategy → the accounts that it trades on."""
    by_id = {account.id: account for account in own}
    return {
        strategy.id: [by_id[m.account_id] for m in mappings if m.strategy_id == strategy.id and m.enabled and m.account_id in by_id]
        for strategy in strategies
    }


def _running(own: list[Any], mappings: list[Any], strategies: list[Any]) -> dict[str, int]:
    """Account → how many active strategies are mapped to it."""
    active = {strategy.id for strategy in strategies if strategy.active}
    return {account.id: sum(m.account_id == account.id and m.enabled and m.strategy_id in active for m in mappings) for account in own}


def _first_steps(own: list[Any], strategies: list[Any], mappings: list[Any]) -> list[tuple[str, str, str, bool]]:
    """The way of a newcomer: (what, why, where, done). Empty once all is done."""
    steps = [
        ("Add an account", "Paper needs no broker: a simulated exchange with charges, margin and rejects.", "/accounts/new", bool(own)),
        ("Make a strategy", "Rules with parameters on one or more instruments.", "/strategies/new", bool(strategies)),
        ("Map it", "Say on which accounts it trades, and with how much.", "/mappings", bool(mappings)),
        (
            "Switch it on",
            "Strategy active, auto-trade on: from then on one signal is one act.",
            "/strategies",
            any(s.active for s in strategies),
        ),
    ]
    return [] if all(done for *_, done in steps) else steps

"""Positions: what is held, what guards it, and the two dialogs that close a part or change the exit plan."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask import Response, request

from app.pages.purses import added, purses_of
from app.pages.room import accounts, by_place, currency_of, filters, form, names, page, reads, room, strategy_names, way_out

routes = room("positions")


@routes.get("/positions")
def index() -> Response:
    args = filters("account_id", "symbol", "strategy_id", "product")
    flat = request.args.get("flat") == "true"
    found = by_place(reads().positions(flat=flat, **{name: value for name, value in args.items() if name not in ("cursor", "limit")}))
    kinds = {account.id: (account.broker != "paper", account.currency) for account in accounts()}
    purses = added(purses_of(reads().pnl()), found, lambda p: kinds.get(p.account_id, (False, currency_of(p.account_id))), totals)
    held = [position for position in found if position.quantity]
    return page(
        "positions/list.html",
        positions=found,
        args=args,
        names=names(),
        flat=flat,
        accounts=accounts(),
        by_id={account.id: account for account in accounts()},
        strategy_names=strategy_names(),
        purses=purses,
        unguarded=sum(position.exit_plan is None or position.exit_plan.stop is None for position in held),
        held_accounts=[account for account in accounts() if any(p.account_id == account.id for p in held)],
    )


@routes.get("/positions/<position_id>/plan")
@form
def plan(position_id: str) -> Response:
    position = reads().position(position_id)
    return page("positions/plan.html", position=position, plan=position.exit_plan, account=_account(position))


@routes.get("/positions/<position_id>/close")
@way_out
def close(position_id: str) -> Response:
    position = reads().position(position_id)
    return page("positions/close.html", position=position, account=_account(position))


def _account(position: Any) -> Any:
    return next((account for account in accounts() if account.id == position.account_id), None)


def totals(positions: Sequence[Any]) -> dict[str, Decimal]:
    """Sums over what is shown of one currency; exposure is the value of what is held, long and short both counted up."""
    zero = Decimal(0)
    return {
        "realised": sum((p.realised for p in positions), zero),
        "unrealised": sum((p.unrealised or zero for p in positions), zero),
        "charges": sum((p.charges for p in positions), zero),
        "long": sum((p.quantity * (p.last_price or p.average_price or zero) for p in positions if p.quantity > 0), zero),
        "short": sum((p.quantity * (p.last_price or p.average_price or zero) for p in positions if p.quantity < 0), zero),
    }

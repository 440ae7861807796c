"""The ladder of a strategy on each of its accounts: where it stands on the way from armed to done. Told from positions and orders, never decided here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from app.api.strategies.schemas import LadderOut
from engines.core.exits import guarded
from engines.core.model import Account, AccountMapping, ExitPlan, Instrument, Order, OrderState, PlanState, Side
from engines.execution.views import PositionView

NOT_TAKEN = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.NOT_PLACED, OrderState.EXPIRED})
"""An entry in one of these states has come to nothing."""


def stage_of(plan: ExitPlan) -> int:
    """j of the stop Y_j that is active: one more than the furthest target that was reached; at most as many as there are targets."""
    reached = [n for n, target in enumerate(plan.targets, start=1) if target.fired]
    return min(max(reached, default=0) + 1, max(1, len(plan.targets)))


def ladder_out(
    symbol: str,
    mapping: AccountMapping,
    account: Account,
    instrument: Instrument | None,
    view: PositionView | None,
    entry: Order | None,
    says: str,
) -> LadderOut:
    """`view`: the account's position in the instrument for this strategy, if it has had one this session; `entry`: its newest entry order of the session."""
    held = abs(view.position.quantity) if view else Decimal(0)
    state, detail = _state(mapping, account, view, entry, says)
    lot = instrument.lot if instrument else Decimal(1)
    out = LadderOut(
        account_id=account.account_id,
        symbol=symbol,
        state=state,
        detail=detail,
        side=None,
        quantity=held,
        lots_left=held // lot,
        entry_price=None,
        stage=None,
        stop=None,
        locked_points=None,
        targets=0,
        reached=0,
        next_target=None,
        next_price=None,
        realised=view.position.realised if view else None,
    )
    plan = view.plan if view and held else None
    return out if plan is None else out.model_copy(update=_rungs(plan, view.position.quantity > 0 if view else True))


def _rungs(plan: ExitPlan, long: bool) -> Mapping[str, object]:
    sign = 1 if long else -1
    waiting = [(n, target) for n, target in enumerate(plan.targets, start=1) if not target.fired]
    return {
        "side": (Side.BUY if long else Side.SELL).value,
        "entry_price": plan.entry_price,
        "stage": stage_of(plan),
        "stop": plan.stop,
        "locked_points": None if plan.stop is None else sign * (plan.stop - plan.entry_price),
        "targets": len(plan.targets),
        "reached": len(plan.targets) - len(waiting),
        "next_target": waiting[0][0] if waiting else None,
        "next_price": waiting[0][1].price if waiting else None,
    }


def _state(mapping: AccountMapping, account: Account, view: PositionView | None, entry: Order | None, says: str) -> tuple[str, str]:
    if view is not None and view.position.quantity:
        plan = view.plan
        leaving = plan is not None and (plan.state is not PlanState.ARMED or not guarded(plan))
        return ("exit_sent" if leaving else "open"), "" if plan is not None else "without an exit plan"
    if entry is not None and entry.live:
        return "entry_sent", ""
    word = says.partition(":")[0].partition(" ")[0].lower()
    if view is not None:
        return ("armed", "for another entry") if word == "armed" else ("done", "")
    if entry is not None and entry.state in NOT_TAKEN:
        return "blocked", entry.reason or entry.state.value
    if not (mapping.enabled and account.enabled and account.auto_trade):
        return "off", "the mapping is off" if not mapping.enabled else "auto-trade is off" if account.enabled else "the account is off"
    if word == "skipped":
        return "skipped", says.partition(": ")[2]
    return ("armed", "") if word == "armed" else ("done", "not entered") if word == "done" else ("idle", "")

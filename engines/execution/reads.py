"""Answers about accounts, positions and P&L, built from the desks in memory. Reads only: nothing here changes a desk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from engines.brokers.makers import currency_of
from engines.brokers.paper import PaperBooks
from engines.core import risk as risk_rules
from engines.core.model import ZERO, ExitPlan, Halt, Instrument, Order, PlanState, Position, Product
from engines.execution.desk import Desk
from engines.execution.halts import HaltBoard
from engines.execution.lane import Lane
from engines.execution.views import AccountView, Pnl, PnlRow, PositionView
from engines.ports import Balance, BrokerPosition

Mark = Callable[[str], Decimal | None]


def account_view(desk: Desk, board: HaltBoard, lane: Lane | None) -> AccountView:
    account = desk.account
    with desk.lock:
        pnl, equity, used = desk.pnl(), desk.equity(), desk.used_margin()
        use = risk_rules.limit_use(account.limits, account.capital, pnl.net)
        open_positions = len({p.key.symbol for p in desk.open_positions()})
        cash, day = account.capital + desk.cash, desk.day
    state, detail = _state(desk, board)
    return AccountView(
        account_id=account.account_id,
        state=state,
        state_detail=detail,
        session_expires_at=lane.broker.session_expires_at if lane else None,
        cash=cash,
        used_margin=used,
        available=equity - used,
        equity=equity,
        realised=pnl.realised,
        unrealised=pnl.unrealised,
        charges=pnl.charges,
        day_pnl=pnl.net,
        day_trades=day.trades,
        day_loss_used_pct=use.loss_used_pct,
        open_positions=open_positions,
        kill_switch=board.kill_reason(account.account_id) is not None,
        kill_reason=board.kill_reason(account.account_id) or "",
        locked=day.locked,
        connected=desk.ready,
        currency=currency_of(account.broker),
        queue_depth=lane.depth() if lane else 0,
        funds=desk.funds,
        warnings=desk.warnings,
    )


def _state(desk: Desk, board: HaltBoard) -> tuple[str, str]:
    account = desk.account
    if not account.enabled:
        return "disabled", "switched off"
    halt: Halt | None = board.halted(account)
    if halt is not None:
        return "halted", halt.reason or "stopped by a person"
    if board.journal_down:
        return "halted", "the database cannot be written; nothing is sent until it can"
    kill = board.kill_reason(account.account_id)
    if kill is not None:
        return "halted", f"kill switch: {kill}" if kill else "kill switch"
    if desk.day.locked is not None:
        return "halted", f"closed for the day: {desk.day.locked.replace('_', ' ')} limit"
    if desk.needs_login:
        return "needs_login", desk.state_detail
    return ("ready", desk.state_detail) if desk.ready else ("error", desk.state_detail)


def position_views(desks: Iterable[Desk], mark: Mark, *, flat: bool) -> list[PositionView]:
    views: list[PositionView] = []
    for desk in desks:
        with desk.lock:
            for key, book in desk.books.items():
                if book.position.quantity or flat:
                    plan = desk.plans.get(key)
                    view = _position_view(book.position, mark, plan if plan and plan.state is not PlanState.DONE else None)
                    difference = desk.differences.get(key.symbol)
                    less = difference is not None and difference.less and book.position.quantity
                    views.append(replace(view, at_broker=difference.theirs) if less and difference is not None else view)
    return views


def _position_view(position: Position, mark: Mark, plan: ExitPlan | None) -> PositionView:
    price = mark(position.key.symbol)
    unrealised = position.unrealised(price) if price is not None else (ZERO if not position.quantity else None)
    return PositionView(position, price, unrealised, plan)


def position_view(desk: Desk, position: Position, mark: Mark) -> PositionView:
    """One position as it is told on the live stream."""
    plan = desk.plans.get(position.key)
    return _position_view(position, mark, plan if plan and plan.state is not PlanState.DONE else None)


def pnl(desks: Iterable[Desk], mark: Mark, as_of: float) -> Pnl:
    """Session realised and charges by account and by strategy, and the unrealised of what is open; every sum adds up to the total."""
    total = PnlRow()
    by_account: dict[str, PnlRow] = {}
    by_strategy: dict[str | None, PnlRow] = {}
    for desk in desks:
        account_row = PnlRow()
        with desk.lock:
            for key, book in desk.books.items():
                price = mark(key.symbol)
                open_part = book.position.unrealised(price) if price is not None and book.position.quantity else ZERO
                row = PnlRow(book.position.realised - book.opening.realised, open_part, book.position.charges - book.opening.charges)
                account_row = account_row + row
                by_strategy[key.strategy_id] = by_strategy.get(key.strategy_id, PnlRow()) + row
        by_account[desk.account.account_id] = account_row
        total = total + account_row
    return Pnl(total, by_account, by_strategy, as_of)


def balance(desk: Desk) -> Balance:
    with desk.lock:
        equity, used = desk.equity(), desk.used_margin()
        return Balance(desk.account.capital + desk.cash, used, equity - used, equity)


def broker_positions(desk: Desk) -> Sequence[BrokerPosition]:
    """Net quantities by instrument and product, as a broker would count them."""
    totals: dict[tuple[str, str], BrokerPosition] = {}
    with desk.lock:
        for position in desk.open_positions():
            key = position.key
            before = totals.get((key.symbol, key.product))
            quantity = position.quantity + (before.quantity if before else ZERO)
            totals[(key.symbol, key.product)] = BrokerPosition(key.symbol, key.product, quantity)
    return [row for row in totals.values() if row.quantity]


def paper_books(desk: Desk, instrument: Callable[[str], Instrument | None]) -> PaperBooks:
    """What the paper exchange may know of an account: read from its desk whenever it is asked."""

    def held(symbol: str, product: Product) -> Decimal:
        with desk.lock:
            return sum((p.quantity for p in desk.open_positions() if (p.key.symbol, p.key.product) == (symbol, product)), ZERO)

    def free_funds() -> Decimal:
        with desk.lock:
            return desk.equity() - desk.position_margin()

    def open_orders() -> Sequence[Order]:
        with desk.lock:
            return [order for order in desk.live_orders() if order.broker_order_id is not None]

    return PaperBooks(held, free_funds, lambda: balance(desk), lambda: broker_positions(desk), open_orders, instrument)

"""Small makers of people, signals, orders and fills, so that a test names only what it is about."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.data import Actor, Data, User, UserRole, open_data
from engines.core import facts as f
from engines.core import positions
from engines.core.model import (
    Account,
    Fill,
    Order,
    OrderEvent,
    OrderState,
    OrderType,
    Position,
    PositionKey,
    Product,
    Role,
    Side,
    Signal,
    Source,
)

CLI = Actor(None, "cli")
PASSWORD = "correct horse"
NOON = 1_767_600_000.0
"""2026-01-05 13:30 IST, a Monday."""
DAY = 86_400.0

_numbers = itertools.count(1)


def D(text: str | int) -> Decimal:  # noqa: N802 - reads like the literal that Python lacks
    return Decimal(text)


class HandClock:
    """Wall time that moves only when told; monotonic time that moves a little with each question, so that waits end."""

    def __init__(self, now: float = NOON) -> None:
        self.wall = now
        self._ticks = itertools.count()

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return next(self._ticks) * 1e-4


def opened(folder: Path, **options: Any) -> Data:
    return open_data(folder, **options)


def user(data: Data, email: str = "trader@example.com", role: UserRole = UserRole.TRADER) -> User:
    return data.users.add(email, PASSWORD, role=role, by=CLI)


def cheap_user(data: Data, email: str = "trader@example.com", role: str = "trader") -> str:
    """A user without a usable password: saves the fifth of a second that a good hash takes."""
    user_id = f"USER{next(_numbers)}"

    def work(db: Any) -> None:
        db.execute(
            "INSERT INTO users (user_id, email, email_key, name, role, password_hash, created_at) VALUES (?, ?, ?, '', ?, '-', 1)",
            (user_id, email, email, role),
        )

    data.journal.run(work)
    return user_id


def account(user_id: str, account_id: str = "", **fields: Any) -> Account:
    return replace(Account(account_id, user_id, "Paper one", "paper", D(100_000)), **fields)


def signal(user_id: str = "U1", **fields: Any) -> Signal:
    key = f"KEY{next(_numbers):08}"
    made = Signal(key, key.lower(), user_id, Source.MANUAL, "NSE:INFY", Side.BUY, NOON, account_ids=("A1",))
    return replace(made, **fields)


def order(of: Signal, account_id: str = "A1", **fields: Any) -> Order:
    made = Order(
        order_id=f"ORD{next(_numbers):08}",
        account_id=account_id,
        user_id=of.user_id,
        signal_key=of.key,
        symbol=of.symbol,
        side=of.side,
        quantity=D(10),
        order_type=OrderType.MARKET,
        product=Product.MIS,
        role=Role.ENTRY,
        created_at=of.created_at,
        updated_at=of.created_at,
        strategy_id=of.strategy_id,
    )
    return replace(made, **fields)


def planned(user_id: str = "U1", accounts: int = 1, **fields: Any) -> f.SignalPlanned:
    made = signal(user_id, **fields)
    return f.SignalPlanned(made, tuple(order(made, f"A{n + 1}") for n in range(accounts)))


def changed(before: Order, state: OrderState, at: float = NOON, **fields: Any) -> f.OrderChanged:
    after = replace(before, state=state, updated_at=at, **fields)
    return f.OrderChanged(after, OrderEvent(after.order_id, state.value, at, {"from": before.state.value}))


class Ledger:
    """Books fills the way the engines do: folds them onto the position they belong to."""

    def __init__(self) -> None:
        self.positions: dict[PositionKey, Position] = {}
        self.fills: list[Fill] = []

    def fill(
        self, of: Order, quantity: str | int, price: str | int, *, at: float = NOON, charges: str = "0", trade_id: str = ""
    ) -> f.FillBooked:
        made = Fill(
            trade_id=trade_id or f"T{next(_numbers):08}",
            order_id=of.order_id,
            account_id=of.account_id,
            symbol=of.symbol,
            side=of.side,
            product=of.product,
            quantity=D(quantity),
            price=D(price),
            charges=D(charges),
            traded_at=at,
            strategy_id=of.strategy_id,
        )
        self.fills.append(made)
        key = made.position_key
        after = positions.fold(positions.empty(key), [one for one in self.fills if one.position_key == key])
        self.positions[key] = after
        filled = replace(of, state=OrderState.FILLED, filled_quantity=made.quantity, average_price=made.price, updated_at=at)
        return f.FillBooked(made, filled, after, OrderEvent(of.order_id, "filled", at, {"trade_id": made.trade_id}))

"""Stands in for a broker that this version cannot talk to: the account can be set up and kept, says why it does not trade, and never sends anything."""

# ruff: noqa: ARG002 - the arguments are the port's

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NoReturn

from engines.ports import Balance, BrokerPosition, BrokerTraits, NeedsLogin, OrderReport, OrderRequest, Permit


class AbsentBroker:
    """Every call raises NeedsLogin with the reason: nothing was sent, and the account's gate stays closed."""

    traits = BrokerTraits()

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        self._refuse()

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        self._refuse()

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        self._refuse()

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        self._refuse()

    def order_book(self) -> Sequence[OrderReport]:
        self._refuse()

    def positions(self) -> Sequence[BrokerPosition]:
        self._refuse()

    def balance(self) -> Balance:
        self._refuse()

    def keep_alive(self) -> None:
        return None

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _refuse(self) -> NoReturn:
        raise NeedsLogin(self._reason)

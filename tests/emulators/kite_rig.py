"""The official SDK against the emulated Kite, for its tests."""

from __future__ import annotations

from typing import Any, Self

from kiteconnect import KiteConnect

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.kite import KiteEmulator


class Customer:
    """An account, the unmodified SDK signed in to it, and orders in one line. Used as `with`, so that its connection is closed."""

    def __init__(self, emulator: KiteEmulator, account: EmulatedAccount | None = None, **more: Any) -> None:
        self.emulator = emulator
        self.account = account or emulator.add_account(**more)
        given = self.account.credentials
        self.kite = KiteConnect(given["api_key"], given["access_token"], root=emulator.url)
        self.kite.reqsession.trust_env = False

    def order(self, side: str = "BUY", quantity: int = 1, price: float | None = None, **more: Any) -> str:
        """A LIMIT at `price`, or a protected MARKET."""
        fields: dict[str, Any] = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "tag": "T1"}
        fields |= {"order_type": "MARKET", "market_protection": -1} if price is None else {"order_type": "LIMIT", "price": price}
        made: str = self.kite.place_order(**{**fields, "transaction_type": side, "quantity": quantity, **more})
        return made

    def row(self, order_id: str) -> dict[str, Any]:
        return next(x for x in self.kite.orders() if x["order_id"] == order_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kite.reqsession.close()

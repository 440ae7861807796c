"""What the older API calls an api-key is an account with its credentials: its body in, our shapes out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, StringConstraints, model_validator

from app.api.accounts.schemas import AccountOut, Leverage
from app.api.orders.schemas import OrderOut
from app.api.pnl.schemas import RealtimeOut
from app.api.positions.schemas import PositionOut
from app.api.wire import Body, Flag, Name, Out, Positive
from app.problems import wrong

KINDS = {
    "paper": "paper",
    "zerodha": "zerodha",
    "kite": "zerodha",
    "angelone": "angelone",
    "angel": "angelone",
    "smartapi": "angelone",
    "binance": "binance_usdm",
    "binance_futures": "binance_usdm",
    "binanceusdm": "binance_usdm",
    "binance_usdm": "binance_usdm",
    "binance_spot": "binance_spot",
}
Exchange = Literal[
    "paper", "zerodha", "kite", "angelone", "angel", "smartapi", "binance", "binance_futures", "binanceusdm", "binance_usdm", "binance_spot"
]
"""As clients name them; `binance` alone is its USDⓈ-M futures, where leverage means something."""

KEYS = ("api_key", "api_secret", "testnet", "client_code", "pin", "totp_secret", "user_id", "password", "access_token")
Key = Annotated[str, StringConstraints(max_length=1000)]


class KeyFields(Body):
    """What both bodies may say. Text that is empty counts as not given."""

    name: Name | None = None
    label: Name | None = None
    """The same as name."""
    api_key: Key | None = None
    api_secret: Key | None = None
    passphrase: Key | None = None
    """None of our brokers has one: refused when it is not empty."""
    client_code: Key | None = None
    pin: Key | None = None
    totp_secret: Key | None = None
    user_id: Key | None = None
    password: Key | None = None
    access_token: Key | None = None
    testnet: Flag | None = None
    leverage: Leverage | None = None
    capital: Positive | None = None
    dry_run: Flag | None = None
    is_active: Flag | None = None
    """Whether the account takes part at all: `enabled` of ours."""

    @model_validator(mode="after")
    def one_of_each(self) -> KeyFields:
        if self.name is not None and self.label is not None and self.name != self.label:
            raise wrong("label", "is another word for name: give one of them")
        if self.passphrase:
            raise wrong("passphrase", "no broker of ours uses one")
        return self

    def credentials(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in KEYS}
        return {name: value for name, value in given.items() if value not in (None, "")}


class ApiKeyIn(KeyFields):
    exchange: Exchange | None = None
    broker: Exchange | None = None
    """The same as exchange."""

    @model_validator(mode="after")
    def complete(self) -> ApiKeyIn:
        if self.name is None and self.label is None:
            raise wrong("name", "is required")
        if self.exchange is None and self.broker is None:
            raise wrong("exchange", "is required")
        if self.exchange is not None and self.broker is not None and KINDS[self.exchange] != KINDS[self.broker]:
            raise wrong("broker", "is another word for exchange: give one of them")
        return self

    @property
    def kind(self) -> str:
        return KINDS[self.exchange or self.broker or ""]


class ApiKeyPatch(KeyFields):
    """Only what is sent changes; a key that is left out stays."""

    confirm: Annotated[StrictStr, Field(max_length=200)] | None = None
    """The account's name, typed; asked of live accounts when dry_run is switched off."""

    @model_validator(mode="after")
    def not_null(self) -> ApiKeyPatch:
        for name in ("capital", "leverage", "dry_run", "is_active"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class DashboardOut(Out):
    """Everything at one glance: the accounts, what they make and lose now, what is open, and the newest orders."""

    accounts: list[AccountOut]
    active: int
    connected: int
    pnl: RealtimeOut
    positions: list[PositionOut]
    orders: list[OrderOut]

"""Accounts on the wire: what a person sets, and what the account looks like now. Credentials go in and come out only masked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, StrictStr, StringConstraints, WithJsonSchema, model_validator

from app.api.wire import (
    Amount,
    BadValue,
    Body,
    Count,
    Flag,
    LimitPercent,
    Moment,
    Name,
    Note,
    NotNegative,
    Out,
    PageQuery,
    Positive,
    Secret,
)
from app.data.credentials import is_masked
from app.problems import wrong
from engines.core.model import ZERO, DayRules
from engines.core.timetable import seconds

_USUAL_DAY = DayRules()
Broker = Literal["paper", "zerodha", "angelone", "binance_spot", "binance_usdm"]
BROKERS: tuple[str, ...] = get_args(Broker)

MASKED = "is what is shown, not what is stored: leave it out to keep what is stored"

CREDENTIALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "paper": ((), ()),
    "zerodha": (("api_key", "api_secret"), ("user_id", "password", "totp_secret", "access_token")),
    "angelone": (("api_key", "client_code", "pin", "totp_secret"), ()),
    "binance_spot": (("api_key", "api_secret"), ("testnet",)),
    "binance_usdm": (("api_key", "api_secret"), ("testnet",)),
}
"""Broker → the names of credentials it needs, and those it may have."""


def _credential(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str) or not 1 <= len(value) <= 1000 or not value.isprintable():
        raise BadValue("must be text of 1 to 1000 characters")
    return value


def _source_address(value: str | None) -> str | None:
    """An address that a connection can leave from; whether it is this machine's is asked when it is set."""
    if value is None:
        return None
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        raise BadValue("must be an IP address, e.g. 203.0.113.7") from None
    if address.is_unspecified or address.is_multicast:
        raise BadValue("must be one address of this machine")
    return str(address)


SourceAddress = Annotated[StrictStr, Field(max_length=45), AfterValidator(_source_address)]
Credential = Annotated[Any, AfterValidator(_credential), WithJsonSchema({"type": ["string", "boolean", "null"], "maxLength": 1000})]
Credentials = Annotated[dict[str, Credential], Field(max_length=10)]


class PaperIn(Body):
    """How a paper account's exchange behaves."""

    latency_ms: Annotated[int, Field(strict=True, ge=0, le=60_000)] = 0
    slippage_ticks: Annotated[NotNegative, Field(le=10_000)] = ZERO
    partial_fills: Flag = False
    reject_pct: Annotated[NotNegative, Field(le=100)] = ZERO
    session_hours: Flag = False
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31)] = 0


def _time_of_day(text: str) -> str:
    try:
        seconds(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
    return text


TimeOfDay = Annotated[StrictStr, StringConstraints(strip_whitespace=True, max_length=5), AfterValidator(_time_of_day)]
"""HH:MM in the market's zone."""


FIRST_MINUTE, LAST_MINUTE = seconds("09:15"), seconds("15:40")
"""Of an ordinary day of any segment that Tandem squares off."""


class DayRulesIn(Body):
    """The account's clock for intraday (MIS) trades, times as HH:MM IST on an ordinary day. `keep` null: as the account keeps the market's hours.
    `first_entry` null: from the opening; `last_entry` null: until the square-off."""

    keep: Flag | None = None
    first_entry: TimeOfDay | None = None
    last_entry: TimeOfDay | None = None
    square_off: Flag = True
    square_off_cash: TimeOfDay = _USUAL_DAY.square_off_cash
    square_off_derivatives: TimeOfDay = _USUAL_DAY.square_off_derivatives

    @model_validator(mode="after")
    def in_order(self) -> DayRulesIn:
        if self.first_entry is not None and self.last_entry is not None and self.first_entry >= self.last_entry:
            raise wrong("last_entry", "must come after the first entry")
        for name in ("first_entry", "last_entry", "square_off_cash", "square_off_derivatives"):
            at = getattr(self, name)
            if at is not None and not FIRST_MINUTE <= seconds(at) <= LAST_MINUTE:
                raise wrong(name, "the market trades from 09:15 to 15:40")
        ends = max(seconds(self.square_off_cash), seconds(self.square_off_derivatives))
        for name in ("first_entry", "last_entry") if self.square_off else ():
            at = getattr(self, name)
            if at is not None and (seconds(at) > ends or (name == "first_entry" and seconds(at) == ends)):
                raise wrong(name, "comes after both square-offs")
        return self


class LimitFields(Body):
    """Limits: null = none, 0 = nothing allowed. Of a money limit and its percent of capital the tighter holds."""

    max_daily_loss: NotNegative | None = None
    max_daily_loss_pct: LimitPercent | None = None
    max_daily_profit: NotNegative | None = None
    max_daily_profit_pct: LimitPercent | None = None
    max_trades_per_day: Count | None = None
    max_open_positions: Count | None = None
    max_order_value: NotNegative | None = None
    max_order_value_pct: LimitPercent | None = None
    max_position_value: NotNegative | None = None
    max_position_value_pct: LimitPercent | None = None
    flatten_on_limit: Flag = False


Leverage = Annotated[Positive, Field(le=100)]


class AccountIn(LimitFields):
    name: Name
    broker: Broker
    credentials: Credentials = Field(default_factory=dict)
    capital: Positive
    leverage: Leverage | None = None
    dry_run: Flag | None = None
    """Default: false for paper, true for live brokers."""
    auto_trade: Flag = False
    paper: PaperIn | None = None
    day_rules: DayRulesIn | None = None
    source_address: SourceAddress | None = None
    """Live brokers: the address of this machine that their calls leave from; null: the machine's own choice."""

    @model_validator(mode="after")
    def fits_broker(self) -> AccountIn:
        if self.paper is not None and self.broker != "paper":
            raise wrong("paper", "is for paper accounts")
        if self.source_address is not None and self.broker == "paper":
            raise wrong("source_address", "is for live accounts")
        return self


class AccountPatch(Body):
    """Only what is sent changes; null takes a limit away. Broker and owner of an account never change."""

    name: Name | None = None
    credentials: Credentials | None = None
    capital: Positive | None = None
    max_daily_loss: NotNegative | None = None
    max_daily_loss_pct: LimitPercent | None = None
    max_daily_profit: NotNegative | None = None
    max_daily_profit_pct: LimitPercent | None = None
    max_trades_per_day: Count | None = None
    max_open_positions: Count | None = None
    max_order_value: NotNegative | None = None
    max_order_value_pct: LimitPercent | None = None
    max_position_value: NotNegative | None = None
    max_position_value_pct: LimitPercent | None = None
    flatten_on_limit: Flag | None = None
    leverage: Leverage | None = None
    dry_run: Flag | None = None
    auto_trade: Flag | None = None
    enabled: Flag | None = None
    paper: PaperIn | None = None
    day_rules: DayRulesIn | None = None
    source_address: SourceAddress | None = None
    auto_login: Flag | None = None
    """Zerodha: a browser may sign in by itself each morning. Needs user id, password and TOTP secret."""
    confirm: StrictStr | None = None
    """The account's name, typed; asked of live accounts when dry_run is switched off."""

    @model_validator(mode="after")
    def not_null(self) -> AccountPatch:
        needed = (
            "name",
            "credentials",
            "capital",
            "flatten_on_limit",
            "leverage",
            "dry_run",
            "auto_trade",
            "enabled",
            "paper",
            "day_rules",
            "auto_login",
        )
        for name in needed:
            if name in self.model_fields_set and getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


def credential_errors(broker: str, credentials: Mapping[str, Any], *, complete: bool) -> dict[str, list[str]]:
    """Field → messages: names that the broker does not use, needed ones that are missing (only if `complete`), values of the wrong kind."""
    needed, optional = CREDENTIALS[broker]
    errors = {}
    for name, value in credentials.items():
        if name not in needed and name not in optional:
            errors[f"credentials.{name[:50]}"] = [f"{broker} does not use it"]
        elif value is not None and isinstance(value, bool) != (name == "testnet"):
            errors[f"credentials.{name}"] = ["must be true or false" if name == "testnet" else "must be text"]
        elif value is None and not complete and name in needed:
            errors[f"credentials.{name}"] = [f"{broker} needs it"]
        elif is_masked(value):
            errors[f"credentials.{name}"] = [MASKED]
    if complete:
        errors |= {f"credentials.{name}": ["is required"] for name in needed if credentials.get(name) is None}
    return errors


class ZerodhaIn(LimitFields):
    """`create-zerodha`: an account whose first log-in follows at `login_url`."""

    name: Name
    api_key: Secret
    api_secret: Secret
    user_id: Secret | None = None
    password: Secret | None = None
    totp_secret: Secret | None = None
    access_token: Secret | None = None
    capital: Positive
    leverage: Leverage | None = None
    dry_run: Flag | None = None


class AccountQuery(PageQuery):
    id: str | None = None
    name: str | None = None
    broker: Broker | None = None
    state: Literal["ready", "needs_login", "halted", "error", "disabled"] | None = None
    auto_trade: bool | None = None
    dry_run: bool | None = None
    enabled: bool | None = None
    kill_switch: bool | None = None


class BookQuery(PageQuery):
    """Lists of one account: `source=broker` asks the broker in place of our own books."""

    source: Literal["ours", "broker"] = "ours"
    symbol: str | None = None


class PaperOut(Out):
    latency_ms: int
    slippage_ticks: Amount
    partial_fills: bool
    reject_pct: Amount
    session_hours: bool
    seed: int


class DayRulesOut(Out):
    """`holds`: whether they bind the account now."""

    keep: bool | None
    holds: bool
    first_entry: str | None
    last_entry: str | None
    square_off: bool
    square_off_cash: str
    square_off_derivatives: str


class AccountOut(Out):
    id: str
    name: str
    broker: str
    credentials: dict[str, str]
    capital: Amount
    max_daily_loss: Amount | None
    max_daily_loss_pct: Amount | None
    max_daily_profit: Amount | None
    max_daily_profit_pct: Amount | None
    max_trades_per_day: int | None
    max_open_positions: int | None
    max_order_value: Amount | None
    max_order_value_pct: Amount | None
    max_position_value: Amount | None
    max_position_value_pct: Amount | None
    flatten_on_limit: bool
    leverage: Amount
    dry_run: bool
    auto_trade: bool
    enabled: bool
    paper: PaperOut | None
    day_rules: DayRulesOut
    state: str
    state_detail: str
    warnings: Sequence[str] = Field(default=(), description="What the broker's own profile says of the key and a person may accept.")
    session_expires_at: Moment | None
    equity: Amount | None
    available: Amount | None
    used_margin: Amount | None
    realised: Amount | None
    unrealised: Amount | None
    charges: Amount | None
    day_pnl: Amount | None
    day_trades: int | None
    day_loss_used_pct: Amount | None
    open_positions: int | None
    kill_switch: bool
    kill_reason: str
    locked: str | None
    connected: bool
    currency: str
    queue_depth: int
    source_address: str | None
    auto_login: bool
    auto_login_failures: int
    auto_login_message: str
    broker_user_id: str | None
    """Who is signed in at the broker, masked; null: nobody, or keys without a sign-in."""
    created_at: Moment | None


class CheckedOut(Out):
    """One thing that was tried: signed_in, balance, order_book, market_data, may_trade, withdrawals, address, instruments. `ok` null: it cannot be
    known here, or was not asked. `remedy`: what to do, empty when nothing is."""

    name: str
    ok: bool | None
    says: str
    remedy: str


class VerifiedOut(AccountOut):
    checks: list[CheckedOut]


class RevealIn(Body):
    password: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class RevealOut(Out):
    """The clear values, shown to their owner alone and kept nowhere."""

    credentials: dict[str, str] = Field(repr=False)


class CreatedZerodha(Out):
    account_id: str
    login_url: str


class LoginOut(Out):
    """`login_url` where a person has to sign in at the broker, else `state`."""

    login_url: str | None = None
    state: str | None = None
    state_detail: str | None = None


class AutoLoginIn(Body):
    again: Flag = False
    """Somebody has looked at what went wrong: try although it has failed twice."""


class AutoLoginOut(Out):
    """What came of an automated log-in: `reason` is a code (captcha, wrong_totp, …), `message` the same for people."""

    signed_in: bool
    reason: str | None
    message: str
    failures: int
    state: str
    state_detail: str


class BalanceOut(Out):
    cash: Amount
    used_margin: Amount
    available: Amount
    equity: Amount
    currency: str


class KillSwitchIn(Body):
    on: Flag
    reason: Note = ""
    flatten: Flag = False


class AutoTradeIn(Body):
    on: Flag
    confirm: StrictStr | None = None
    """The account's name, typed; asked of live accounts when switching on."""


class BrokerPositionOut(Out):
    symbol: str
    product: str
    quantity: Amount
    average_price: Amount | None


class BrokerTradeOut(Out):
    """A trade as the broker tells it. `order_id`, `strategy_id` and `product` are those of our own order where it is one of ours; unknown is null."""

    trade_id: str
    order_id: str | None
    broker_order_id: str
    account_id: str
    strategy_id: str | None
    symbol: str | None
    side: str | None
    product: str | None
    quantity: Amount
    price: Amount
    charges: Amount | None
    realised: Amount | None
    traded_at: Moment


class BrokerOrderOut(Out):
    broker_order_id: str
    client_id: str | None
    state: str
    symbol: str | None
    side: str | None
    quantity: Amount | None
    filled_quantity: Amount
    average_price: Amount | None
    message: str
    at: Moment | None

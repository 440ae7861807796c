"""Routes of accounts."""

from __future__ import annotations

from app.api.accounts import books, keys, service
from app.api.accounts import login as logging_in
from app.api.accounts.schemas import (
    AccountIn,
    AccountOut,
    AccountPatch,
    AccountQuery,
    AutoLoginIn,
    AutoLoginOut,
    AutoTradeIn,
    BalanceOut,
    BookQuery,
    BrokerOrderOut,
    BrokerPositionOut,
    BrokerTradeOut,
    CreatedZerodha,
    KillSwitchIn,
    LoginOut,
    RevealIn,
    RevealOut,
    VerifiedOut,
    ZerodhaIn,
)
from app.api.endpoint import Call, Routes
from app.api.orders.schemas import OrderOut, TradeOut
from app.api.positions.schemas import PositionOut
from app.api.positions.service import square_off as square_off_account
from app.api.signals.schemas import SignalAnswers
from app.api.wire import Page

routes = Routes("accounts")


def _only_auto_trade_off(body: AccountPatch) -> bool:
    return body.model_fields_set == {"auto_trade"} and not body.auto_trade


@routes.get("/api/accounts", query=AccountQuery, out=Page[AccountOut])
def index(call: Call) -> Page[AccountOut]:
    """The caller's accounts as they are now."""
    return service.list_accounts(call.user, call.query)


@routes.post("/api/accounts", body=AccountIn, out=AccountOut, status=201)
def create(call: Call) -> AccountOut:
    """A new account: auto-trade off, and dry-run on where real money is."""
    return service.create_account(call.user, call.body, call.by)


@routes.post("/api/accounts/create-zerodha", body=ZerodhaIn, out=CreatedZerodha, status=201)
def create_zerodha(call: Call) -> CreatedZerodha:
    """A Zerodha account and the address where its owner signs in."""
    return service.create_zerodha(call.user, call.body, call.by)


@routes.get("/api/accounts/{id}", out=AccountOut)
def show(call: Call, id: str) -> AccountOut:  # noqa: A002 - the name of the path's parameter
    """One account."""
    return service.get_account(call.user, id)


@routes.patch("/api/accounts/{id}", way_out=_only_auto_trade_off, body=AccountPatch, out=AccountOut, errors=(409,))
def change(call: Call, id: str) -> AccountOut:  # noqa: A002
    """Only the fields that are sent change."""
    return service.change_account(call.user, id, call.body, call.by)


@routes.delete("/api/accounts/{id}", errors=(409,))
def delete(call: Call, id: str) -> None:  # noqa: A002
    """409 with open positions or orders; an account with history is archived."""
    service.delete_account(call.user, id, call.by)


@routes.post("/api/accounts/{id}/verify", out=VerifiedOut)
def verify(call: Call, id: str) -> VerifiedOut:  # noqa: A002
    """Connect to the broker (again) and try thing by thing what a trading day needs; `checks` says what works and what to do."""
    return keys.verified(call.user, id, call.by)


@routes.post("/api/accounts/{id}/credentials/reveal", body=RevealIn, out=RevealOut, secret=True)
def reveal(call: Call, id: str) -> RevealOut:  # noqa: A002
    """The account's credentials in clear, after the caller's own password. In the audit log; wrong passwords are throttled as at sign-in."""
    return keys.reveal(call.user, id, call.body, call.by)


@routes.post("/api/accounts/{id}/login", out=LoginOut)
def login(call: Call, id: str) -> LoginOut:  # noqa: A002
    """The address where a person has to sign in at the broker, or the state when nobody has to."""
    return logging_in.login(call.user, id, call.by)


@routes.post("/api/accounts/{id}/auto-login", body=AutoLoginIn, out=AutoLoginOut, errors=(409,))
def auto_login(call: Call, id: str) -> AutoLoginOut:  # noqa: A002
    """Zerodha: sign in by browser now. 409 while it is off, under way, or stopped after two failures (`again` goes on)."""
    return logging_in.auto_login(call.user, id, call.body, call.by)


@routes.get("/api/accounts/{id}/balance", out=BalanceOut, errors=(409,))
def balance(call: Call, id: str) -> BalanceOut:  # noqa: A002
    """Cash, margin and equity."""
    return service.balance(call.user, id)


@routes.get("/api/accounts/{id}/positions", query=BookQuery, out=Page[PositionOut] | Page[BrokerPositionOut], errors=(409,))
def positions(call: Call, id: str) -> Page:  # noqa: A002
    """Our books, or the broker's with source=broker."""
    return books.positions(call.user, id, call.query)


@routes.get("/api/accounts/{id}/orders", query=BookQuery, out=Page[OrderOut] | Page[BrokerOrderOut], errors=(409,))
def orders(call: Call, id: str) -> Page:  # noqa: A002
    """Our books, or the broker's with source=broker."""
    return books.orders(call.user, id, call.query)


@routes.get("/api/accounts/{id}/trades", query=BookQuery, out=Page[TradeOut] | Page[BrokerTradeOut], errors=(409,))
def trades(call: Call, id: str) -> Page:  # noqa: A002
    """Our books, or the broker's with source=broker."""
    return books.trades(call.user, id, call.query)


@routes.post("/api/accounts/{id}/kill-switch", always=True, way_out=lambda body: body.on, body=KillSwitchIn, out=AccountOut)
def kill_switch(call: Call, id: str) -> AccountOut:  # noqa: A002
    """Forbids entries on this account; with flatten it is also brought to flat. Switching off never lifts a halt."""
    return service.kill_switch(call.user, id, call.body, call.by)


@routes.post("/api/accounts/{id}/square-off", always=True, way_out=True, out=SignalAnswers, status=202, errors=(409,))
def square_off(call: Call, id: str) -> SignalAnswers:  # noqa: A002
    """Cancel what is live and close what is open."""
    return square_off_account(call.user, id, call.by)


@routes.post("/api/accounts/{id}/auto-trade", way_out=lambda body: not body.on, body=AutoTradeIn, out=AccountOut, errors=(409,))
def auto_trade(call: Call, id: str) -> AccountOut:  # noqa: A002
    """Whether strategies, webhooks and copies may enter; a live account asks for its name as confirmation. 409 without its holder's consent."""
    return service.auto_trade(call.user, id, call.body, call.by)

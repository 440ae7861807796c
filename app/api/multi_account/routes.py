"""Routes of the older multi-account API: thin aliases. New programs use /api/accounts and /api/orders."""

from __future__ import annotations

from app.api.accounts import keys
from app.api.accounts import service as accounts
from app.api.accounts.schemas import AccountOut, AccountQuery, BalanceOut, VerifiedOut
from app.api.endpoint import Call, Routes
from app.api.multi_account import service
from app.api.multi_account.schemas import ApiKeyIn, ApiKeyPatch, DashboardOut
from app.api.orders.schemas import OrderOut, OrderQuery
from app.api.orders.service import list_orders
from app.api.wire import Page

routes = Routes("multi-account")
ROOT = "/api/bot/multi-account"


@routes.get(f"{ROOT}/api-keys", query=AccountQuery, out=Page[AccountOut])
def index(call: Call) -> Page[AccountOut]:
    """The same as GET /api/accounts: an api-key is an account with its credentials, which are masked."""
    return accounts.list_accounts(call.user, call.query)


@routes.post(f"{ROOT}/api-keys", body=ApiKeyIn, out=AccountOut, status=201)
def create(call: Call) -> AccountOut:
    """A new account: auto-trade off, and dry-run on where real money is. Without `capital` it may use 1000 of its currency."""
    return service.create(call.user, call.body, call.by)


@routes.patch(f"{ROOT}/api-keys/{{id}}", body=ApiKeyPatch, out=AccountOut)
def change(call: Call, id: str) -> AccountOut:  # noqa: A002 - the name of the path's parameter
    """Only the fields that are sent change; is_active switches the account on or off."""
    return service.change(call.user, id, call.body, call.by)


@routes.delete(f"{ROOT}/api-keys/{{id}}", errors=(409,))
def delete(call: Call, id: str) -> None:  # noqa: A002
    """409 with open positions or orders; an account with history is archived and its keys are gone."""
    accounts.delete_account(call.user, id, call.by)


@routes.post(f"{ROOT}/api-keys/{{id}}/verify", out=VerifiedOut)
def verify(call: Call, id: str) -> VerifiedOut:  # noqa: A002
    """Connect to the broker (again) and try thing by thing what a trading day needs; `checks` says what works and what to do."""
    return keys.verified(call.user, id, call.by)


@routes.get(f"{ROOT}/orders", query=OrderQuery, out=Page[OrderOut])
def orders(call: Call) -> Page[OrderOut]:
    """The same as GET /api/orders: every order of every account, newest first."""
    return list_orders(call.user, call.query)


@routes.get(f"{ROOT}/dashboard", out=DashboardOut)
def dashboard(call: Call) -> DashboardOut:
    """Accounts, P&L, open positions and the newest orders in one answer."""
    return service.dashboard(call.user)


@routes.get(f"{ROOT}/accounts/{{id}}/balance", out=BalanceOut, errors=(409,))
def balance(call: Call, id: str) -> BalanceOut:  # noqa: A002
    """The same as GET /api/accounts/{id}/balance: cash, margin and equity."""
    return accounts.balance(call.user, id)

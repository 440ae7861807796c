"""The older API's words turned into ours. Every rule (roles, confirmation, masking, audit) is that of the services that are called."""

from __future__ import annotations

from typing import Any

from app.api.accounts import service as accounts
from app.api.accounts.schemas import AccountIn, AccountOut, AccountPatch, AccountQuery
from app.api.multi_account.schemas import ApiKeyIn, ApiKeyPatch, DashboardOut, KeyFields
from app.api.orders.schemas import OrderQuery
from app.api.orders.service import list_orders
from app.api.pnl.service import realtime
from app.api.positions.schemas import PositionQuery
from app.api.positions.service import list_positions
from app.data import Actor, User

SMALL_CAPITAL = 1000
"""What an account may use when the body does not say: rather an order too small than one too large, until a person sets it."""
MOST = 500
NEWEST = 20


def create(user: User, body: ApiKeyIn, by: Actor) -> AccountOut:
    said = _simple(body) | {"broker": body.kind, "credentials": body.credentials()}
    said.setdefault("capital", SMALL_CAPITAL)
    made = accounts.create_account(user, AccountIn.model_validate(said), by)
    return accounts.change_account(user, made.id, AccountPatch(enabled=False), by) if body.is_active is False else made


def change(user: User, account_id: str, body: ApiKeyPatch, by: Actor) -> AccountOut:
    said = _simple(body)
    if body.is_active is not None:
        said["enabled"] = body.is_active
    if body.confirm is not None:
        said["confirm"] = body.confirm
    if credentials := body.credentials():
        said["credentials"] = credentials
    return accounts.change_account(user, account_id, AccountPatch.model_validate(said), by)


def _simple(body: KeyFields) -> dict[str, Any]:
    said = {name: getattr(body, name) for name in ("leverage", "capital", "dry_run")} | {"name": body.name or body.label}
    return {name: value for name, value in said.items() if value is not None}


def dashboard(user: User) -> DashboardOut:
    shown = accounts.list_accounts(user, AccountQuery(limit=MOST)).items
    return DashboardOut(
        accounts=shown,
        active=sum(account.enabled for account in shown),
        connected=sum(account.enabled and account.connected for account in shown),
        pnl=realtime(user),
        positions=list_positions(user, PositionQuery(limit=MOST)).items,
        orders=list_orders(user, OrderQuery(limit=NEWEST)).items,
    )

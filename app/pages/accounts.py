"""Accounts: the list, one account with its limits and books, and the form that makes or changes one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from app.api.accounts.schemas import CREDENTIALS
from app.api.money import currency_of
from app.pages import brokers, curves, words
from app.pages import format as fmt
from app.pages.room import accounts as own_accounts
from app.pages.room import by_place, form, page, reads, room, strategy_names

routes: Blueprint = room("accounts")


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit and how much of it is used up; `pct` None: cannot be said."""

    label: str
    used: str
    limit: str
    pct: Decimal | None
    key: str = ""


@routes.get("/accounts")
def index() -> Response:
    read = reads()
    active = {strategy.id for strategy in read.strategies() if strategy.active}
    running = {
        account.id: sum(m.account_id == account.id and m.enabled and m.strategy_id in active for m in read.mappings())
        for account in own_accounts()
    }
    sessions = {account.id: brokers.session_words(account, time.time()) for account in own_accounts()}
    return page("accounts/list.html", accounts=own_accounts(), running=running, sessions=sessions)


@routes.get("/accounts/new")
@form
def new() -> Response:
    return page("accounts/form.html", account=None, **_form())


@routes.get("/accounts/<account_id>/edit")
@form
def edit(account_id: str) -> Response:
    return page("accounts/form.html", account=reads().account(account_id), **_form())


@routes.get("/accounts/<account_id>/keys")
@form
def keys(account_id: str) -> Response:
    """The fields of this broker alone, to be entered again; what stays empty stays as it is."""
    account = reads().account(account_id)
    if account.broker == "paper":
        return page("accounts/form.html", account=account, **_form())
    return page("accounts/keys.html", account=account, **_form())


@routes.get("/accounts/<account_id>")
def show(account_id: str) -> Response:
    read = reads()
    account = read.account(account_id)
    positions = by_place(read.positions(account_id=account_id, flat=True))
    mappings = [mapping for mapping in read.mappings() if mapping.account_id == account_id]
    curve = curves.total(read.equity({"account_id": account_id, "limit": "80"}), "equity")
    return page(
        "accounts/show.html",
        account=account,
        names={account.id: account.name},
        limits=limit_rows(account, positions),
        positions=positions,
        orders=read.orders({"account_id": account_id, "limit": "25"}),
        trades=read.trades({"account_id": account_id, "limit": "25"}),
        mappings=mappings,
        allocated=sum((mapping.allocation_pct for mapping in mappings), Decimal(0)),
        strategy_names=strategy_names(),
        live=account.broker != "paper",
        credential_words=brokers.FIELDS,
        secrets=[name for name in (*CREDENTIALS[account.broker][0], *CREDENTIALS[account.broker][1]) if name != "testnet"],
        session=brokers.session_words(account, time.time()),
        going_live=brokers.going_live(account) if account.broker != "paper" else [],
        auto_login_risk=brokers.AUTO_LOGIN_RISK,
        just_signed_in="signed_in" in request.args,
        spark=curves.path([(at, value - curve[0][1]) for at, value in curve]) if curve else "",
    )


def _form() -> dict[str, Any]:
    return {
        "brokers": words.BROKERS,
        "small_print": brokers.SMALL_PRINT,
        "currencies": _currencies(),
        "credentials": CREDENTIALS,
        "credential_words": brokers.FIELDS,
        "form_help": {code: text.format(base=request.host_url.rstrip("/")) for code, text in brokers.FORM_HELP.items()},
        "source_help": brokers.SOURCE_HELP,
    }


def _currencies() -> dict[str, list[str]]:
    """Currency → the kinds of broker that count in it."""
    found: dict[str, list[str]] = {}
    for code in words.BROKERS:
        found.setdefault(currency_of(code), []).append(code)
    return found


def limit_rows(account: Any, positions: list[Any]) -> list[LimitRow]:
    """Every limit that is set, with its use; the tighter of the absolute and the percent form, as the engines hold it."""
    held = [position for position in positions if position.quantity]
    largest = max((abs(p.quantity * (p.last_price or p.average_price or 0)) for p in held), default=Decimal(0))
    loss = max(-account.day_pnl, Decimal(0)) if account.day_pnl is not None else None
    profit = max(account.day_pnl, Decimal(0)) if account.day_pnl is not None else None
    rows = [
        _money_row("Loss of the day", loss, account, "max_daily_loss", f"account:{account.id}.day_loss_used_pct"),
        _money_row("Profit of the day", profit, account, "max_daily_profit"),
        _money_row("Largest position", largest, account, "max_position_value"),
        _count_row("Entries today", account.day_trades, account.max_trades_per_day),
        _count_row("Open positions", account.open_positions, account.max_open_positions),
    ]
    order_value = tighter(account, "max_order_value")
    if order_value is not None:
        rows.append(LimitRow("Value of one order", "", f"up to {fmt.money(order_value, account.currency)}", None))
    return [row for row in rows if row is not None]


def tighter(account: Any, name: str) -> Decimal | None:
    absolute, pct = getattr(account, name), getattr(account, f"{name}_pct")
    forms = [absolute] if absolute is not None else []
    if pct is not None:
        forms.append(account.capital * pct / 100)
    return min(forms, default=None)


def _money_row(label: str, used: Decimal | None, account: Any, name: str, key: str = "") -> LimitRow | None:
    limit = tighter(account, name)
    if limit is None:
        return None
    return LimitRow(label, fmt.money(used, account.currency, 0), fmt.money(limit, account.currency, 0), share(used, limit), key)


def _count_row(label: str, used: int | None, limit: int | None) -> LimitRow | None:
    if limit is None:
        return None
    return LimitRow(label, fmt.quantity(used), fmt.quantity(limit), share(None if used is None else Decimal(used), Decimal(limit)))


def share(used: Decimal | None, limit: Decimal) -> Decimal | None:
    """Percent of the limit that is used; a limit of 0 allows nothing and is always full."""
    if used is None:
        return None
    return used / limit * 100 if limit else Decimal(100)

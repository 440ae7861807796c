"""Accounts: what a person may set, in one place for the API and the pages. Money, limits and switches are enforced by the engines, not here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.api.accounts.schemas import (
    MASKED,
    AccountIn,
    AccountOut,
    AccountPatch,
    AccountQuery,
    AutoTradeIn,
    BalanceOut,
    CreatedZerodha,
    DayRulesOut,
    KillSwitchIn,
    LimitFields,
    PaperIn,
    PaperOut,
    ZerodhaIn,
    credential_errors,
)
from app.api.money import currency_of
from app.api.pages import keep, page_of
from app.api.wire import Page, moment, moment_or_none
from app.data import AccountRow, Actor, AutoLogin, Conflict, DataError, NotFound, SignIn, User
from app.data.credentials import is_masked, unless_shown
from app.logins import is_our_address
from app.problems import Problem, field_problem
from app.workspace import workspace
from engines.core.model import Account, DayRules, Limits, PaperSettings
from engines.execution.views import AccountView
from engines.login.automatic import NEEDED
from engines.ports import TandemError

PAPER = "paper"
_LIMITS = tuple(LimitFields.model_fields)
_SIMPLE = ("name", "capital", "leverage", "dry_run", "auto_trade", "enabled", "source_address", "auto_login")
_ALL = AccountQuery()
FIRST_TRY = 3.0
STARTING = "starting"  # what the engines say of an account before it has tried to connect


def list_accounts(user: User, query: AccountQuery = _ALL) -> Page[AccountOut]:
    shop = workspace()
    views = {view.account_id: view for view in shop.system.accounts()}
    rows = shop.data.accounts.list(user.user_id)
    live = any(row.account.live for row in rows)
    signed, told = (shop.data.sessions.sign_ins(), shop.data.auto_logins.all()) if live else ({}, {})
    shown = [
        account_out(row, views.get(row.account.account_id), signed.get(row.account.account_id), told.get(row.account.account_id))
        for row in rows
    ]
    return page_of(keep(shown, query), query, lambda a: (a.created_at, a.id))


def get_account(user: User, account_id: str) -> AccountOut:
    row = workspace().data.accounts.get(user.user_id, account_id)
    if row.archived_at is not None:
        raise NotFound("There is no such account.")
    if not row.account.live:
        return account_out(row, view_of(account_id))
    data = workspace().data
    return account_out(row, view_of(account_id), data.sessions.sign_ins().get(account_id), data.auto_logins.get(account_id))


def create_account(user: User, body: AccountIn, by: Actor) -> AccountOut:
    live = body.broker != PAPER
    if live and body.auto_trade:
        raise field_problem("auto_trade", "a live account starts with auto_trade off; switch it on with POST /api/accounts/{id}/auto-trade")
    _check_credentials(body.broker, body.credentials, complete=True)
    account = Account(
        account_id="",
        user_id=user.user_id,
        name=body.name,
        broker=body.broker,
        capital=body.capital,
        limits=_limits(body),
        dry_run=live if body.dry_run is None else body.dry_run,
        auto_trade=body.auto_trade,
        paper=_paper(body.paper) if body.paper else PaperSettings(),
        day_rules=DayRules(**body.day_rules.model_dump()) if body.day_rules else DayRules(),
        source_address=body.source_address,
    )
    _check_source(body.source_address)
    if body.leverage is not None:
        account = replace(account, leverage=body.leverage)
    row = workspace().data.accounts.add(account, _plain(body.credentials), by=by)
    with _undone_if_refused(row, by):
        shown = _taken_over(user, row.account.account_id, body.broker)
    return _tried_once(user, shown) if live else shown


def create_zerodha(user: User, body: ZerodhaIn, by: Actor) -> CreatedZerodha:
    secrets = ("api_key", "api_secret", "user_id", "password", "totp_secret", "access_token")
    credentials = {name: value for name in secrets if (value := getattr(body, name))}
    if masked := {name: [MASKED] for name, value in credentials.items() if is_masked(value)}:
        raise Problem(422, "The credentials are masked.", errors=masked)
    account = Account("", user.user_id, body.name, "zerodha", body.capital, _limits(body), dry_run=body.dry_run is not False)
    if body.leverage is not None:
        account = replace(account, leverage=body.leverage)
    row = workspace().data.accounts.add(account, credentials, by=by)
    with _undone_if_refused(row, by):
        workspace().taken_over()
    return CreatedZerodha(account_id=row.account.account_id, login_url=workspace().logins.begin(user.user_id, row.account.account_id))


def change_account(user: User, account_id: str, body: AccountPatch, by: Actor) -> AccountOut:
    account = workspace().owners.account(user, account_id)
    given = body.model_fields_set
    if account.broker != PAPER:
        if body.auto_trade and not account.auto_trade:
            raise field_problem(
                "auto_trade", "a live account is switched on with POST /api/accounts/{id}/auto-trade, with its name as confirmation"
            )
        if "paper" in given:
            raise field_problem("paper", "is for paper accounts")
        if body.dry_run is False and account.dry_run and body.confirm != account.name:
            raise field_problem("confirm", "type the name of the account to let its orders leave for real")
        _check_source(body.source_address)
    elif body.source_address is not None:
        raise field_problem("source_address", "is for live accounts")
    _check_auto_login(account, body)
    given_keys = _changed_keys(user, account_id, body.credentials)
    if given_keys is not None:
        _check_credentials(account.broker, given_keys, complete=not _known(account_id))

    def edit(now: Account) -> Account:
        simple = {name: getattr(body, name) for name in _SIMPLE if name in given}
        limits = {name: getattr(body, name) for name in _LIMITS if name in given}
        changed = replace(now, **simple, limits=replace(now.limits, **limits))
        changed = replace(changed, day_rules=DayRules(**body.day_rules.model_dump())) if body.day_rules else changed
        return replace(changed, paper=_paper(body.paper)) if body.paper else changed

    credentials = _plain(given_keys) if given_keys is not None else None
    shop = workspace()
    row = shop.data.accounts.change(user.user_id, account_id, edit, credentials=credentials, by=by)
    if credentials and credentials.get("access_token"):
        shop.data.sessions.clear(account_id)  # what was pasted is the session now
    if body.auto_login and not account.auto_login:
        shop.data.auto_logins.forgive(account_id)
    if account.broker != PAPER and row.account.enabled and (credentials or row.account.source_address != account.source_address):
        shop.taken_over()
        return verify(user, account_id)  # keys and address live inside the connection
    return _taken_over(user, account_id, account.broker)


def delete_account(user: User, account_id: str, by: Actor) -> None:
    shop = workspace()
    shop.owners.account(user, account_id)
    if any(view.position.quantity for view in shop.system.positions([account_id])):
        raise Conflict("The account has open positions. Close them first.")
    shop.data.accounts.delete(user.user_id, account_id, by=by)
    shop.taken_over()


# --- at the broker -------------------------------------------------------------------------------------------------


def verify(user: User, account_id: str) -> AccountOut:
    """Connect (again) and say what came of it; a broker that refuses is a state of the account, not an error of the request."""
    shop = workspace()
    shop.owners.account(user, account_id)
    try:
        shop.data.sessions.forgive(account_id)
        shop.system.connect(account_id)
    except TandemError:
        pass  # the account's state and state_detail say it
    return get_account(user, account_id)


def balance(user: User, account_id: str) -> BalanceOut:
    workspace().owners.account(user, account_id)
    view = view_of(account_id)
    if view is None:
        raise Conflict("The account is not connected yet.")
    if view.funds is not None:  # real money is counted by its broker
        funds = view.funds
        return BalanceOut(
            cash=funds.cash, used_margin=funds.used_margin, available=funds.available, equity=funds.equity, currency=funds.currency
        )
    return BalanceOut(cash=view.cash, used_margin=view.used_margin, available=view.available, equity=view.equity, currency=view.currency)


# --- switches ------------------------------------------------------------------------------------------------------


def kill_switch(user: User, account_id: str, body: KillSwitchIn, by: Actor) -> AccountOut:
    shop = workspace()
    shop.owners.account(user, account_id)
    shop.system.kill_switch(account_id, body.on, body.reason, user.user_id, flatten=body.on and body.flatten)
    after = {"on": body.on, "reason": body.reason, "flatten": body.flatten}
    shop.data.audit.add(by, "account.kill_switch", "account", account_id, after=after)
    shop.written()
    return get_account(user, account_id)


def auto_trade(user: User, account_id: str, body: AutoTradeIn, by: Actor) -> AccountOut:
    shop = workspace()
    account = shop.owners.account(user, account_id)
    if body.on and account.broker != PAPER and body.confirm != account.name:
        raise field_problem("confirm", "type the name of the account to let strategies trade real money on it")
    shop.data.accounts.change(user.user_id, account_id, lambda now: replace(now, auto_trade=body.on), by=by)
    return _taken_over(user, account_id, account.broker)


@contextmanager
def _undone_if_refused(row: AccountRow, by: Actor) -> Iterator[None]:
    """A create that is answered with an error leaves no account behind, neither in the database nor in the engines."""
    try:
        yield
    except Exception:
        shop = workspace()
        shop.data.accounts.delete(row.account.user_id, row.account.account_id, by=by)
        shop.taken_over()
        raise


def _taken_over(user: User, account_id: str, broker: str) -> AccountOut:
    """The engines act on the change before it is answered; a paper account, which connects in an instant, may trade at once."""
    shop = workspace()
    shop.taken_over()
    view = view_of(account_id)
    if broker == PAPER and view is not None and not view.connected and view.state != "disabled":
        shop.system.connect(account_id)
    return get_account(user, account_id)


def _tried_once(user: User, shown: AccountOut) -> AccountOut:
    """A new account's first try to connect is awaited for a moment, so that its first answer is not that it has just begun."""
    shop, pause = workspace(), threading.Event()
    until = shop.clock.monotonic() + FIRST_TRY
    while shop.system.account(shown.id).state_detail == STARTING and shop.clock.monotonic() < until:
        pause.wait(0.02)
    return get_account(user, shown.id)


# --- shapes --------------------------------------------------------------------------------------------------------


def view_of(account_id: str) -> AccountView | None:
    return next((view for view in workspace().system.accounts() if view.account_id == account_id), None)


def account_out(row: AccountRow, view: AccountView | None, signed: SignIn | None = None, told: AutoLogin | None = None) -> AccountOut:
    account = row.account
    limits = {name: getattr(account.limits, name) for name in _LIMITS}
    return AccountOut(
        id=account.account_id,
        name=account.name,
        broker=account.broker,
        credentials=dict(row.credentials),
        capital=account.capital,
        **limits,
        leverage=account.leverage,
        dry_run=account.dry_run,
        auto_trade=account.auto_trade,
        enabled=account.enabled,
        paper=_paper_out(account.paper) if account.broker == PAPER else None,
        day_rules=_day_rules_out(account),
        source_address=account.source_address,
        auto_login=account.auto_login,
        auto_login_failures=told.failures if told else 0,
        auto_login_message=told.message if told else "",
        broker_user_id=f"{signed.user_id[:1]}…{signed.user_id[-2:]}" if signed and signed.user_id else None,
        created_at=moment(row.created_at),
        **_live(account, view),
    )


def _live(account: Account, view: AccountView | None) -> dict[str, Any]:
    """What only the engines know; null where they have not taken the account up (yet)."""
    if view is None:
        numbers = ("equity", "available", "used_margin", "realised", "unrealised", "charges", "day_pnl", "day_loss_used_pct")
        unknown: dict[str, Any] = dict.fromkeys((*numbers, "session_expires_at", "day_trades", "open_positions", "locked"))
        state = "needs_login" if account.enabled else "disabled"
        return {
            **unknown, "state": state, "state_detail": "not connected", "kill_switch": False, "kill_reason": "",
            "connected": False, "currency": currency_of(account.broker), "queue_depth": 0, "warnings": (),
        }  # fmt: skip
    same = (
        "state", "state_detail", "equity", "available", "used_margin", "realised", "unrealised", "charges", "day_pnl", "day_trades",
        "day_loss_used_pct", "open_positions", "kill_switch", "kill_reason", "locked", "connected", "currency", "queue_depth",
        "warnings",
    )  # fmt: skip
    return {name: getattr(view, name) for name in same} | {"session_expires_at": moment_or_none(view.session_expires_at)}


def _check_source(address: str | None) -> None:
    """An address that this machine does not have would let no call leave at all."""
    if address is not None and not is_our_address(address):
        raise field_problem("source_address", "is not an address of this machine")


def _check_auto_login(account: Account, body: AccountPatch) -> None:
    if not body.auto_login:
        return
    if account.broker != "zerodha":
        raise field_problem("auto_login", "is for Zerodha; this account signs in with its keys")
    known = {**_known(account.account_id), **(body.credentials or {})}
    if missing := [name.replace("_", " ") for name in NEEDED if not known.get(name)]:
        raise field_problem("auto_login", f"needs {', '.join(missing)}: add them to the account first")


def _check_credentials(broker: str, credentials: Mapping[str, Any], *, complete: bool) -> None:
    errors = credential_errors(broker, credentials, complete=complete)
    if errors:
        raise Problem(422, "The credentials do not fit the broker.", errors=errors)


def _changed_keys(user: User, account_id: str, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What is not just the masked value that answers show; None where nothing is left of it and what is stored can be read."""
    if not given:
        return given
    changed = unless_shown(given, workspace().data.accounts.get(user.user_id, account_id).credentials)
    return changed if changed or not _known(account_id) else None


def _known(account_id: str) -> Mapping[str, str]:
    """Nothing where no key opens what is stored: then all of it has to be entered again."""
    try:
        return workspace().data.directory.credentials(account_id)
    except DataError:
        return {}


def _limits(body: LimitFields) -> Limits:
    return Limits(**{name: getattr(body, name) for name in _LIMITS})


def _paper(body: PaperIn) -> PaperSettings:
    return PaperSettings(**body.model_dump())


def _paper_out(paper: PaperSettings) -> PaperOut:
    return PaperOut(
        latency_ms=paper.latency_ms,
        slippage_ticks=paper.slippage_ticks,
        partial_fills=paper.partial_fills,
        reject_pct=paper.reject_pct,
        session_hours=paper.session_hours,
        seed=paper.seed,
    )


def _day_rules_out(account: Account) -> DayRulesOut:
    rules = account.day_rules
    return DayRulesOut(
        keep=rules.keep,
        holds=workspace().system.hours.binds(account),
        first_entry=rules.first_entry,
        last_entry=rules.last_entry,
        square_off=rules.square_off,
        square_off_cash=rules.square_off_cash,
        square_off_derivatives=rules.square_off_derivatives,
    )


def _plain(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Credentials are kept as text; null takes one away."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in credentials.items()}

"""Accounts and their credentials. Nothing here sends orders; the engines are told that something changed and read again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from app.data.combined import forget_scope
from app.data.consents import refuse_without_consent
from app.data.credentials import CredentialBox, mask
from app.data.errors import Conflict, DataError, Invalid
from app.data.history import has_history, refuse_while_trading
from app.data.may import refuse_who_may_not_trade
from app.data.rows import AccountRow, Actor
from app.data.store import Store, found
from app.data.values import exact, from_json, seconds, seconds_or_none, to_json
from engines.core.codec import dumps, loads
from engines.core.model import Account, CombinedScope, DayRules, Limits, PaperSettings

BROKERS = ("paper", "zerodha", "angelone", "binance_spot", "binance_usdm")


@dataclass(frozen=True, slots=True)
class Accounts:
    store: Store
    box: CredentialBox

    def add(self, account: Account, credentials: Mapping[str, str], *, by: Actor) -> AccountRow:
        """`account.account_id` "" gets a new id. Invalid for a broker that we do not know or an amount that is none, Conflict as in `change`."""
        made = replace(account, account_id=account.account_id or self.store.ids.new())
        _check(made)
        sealed, shown = self._seal(credentials)

        def work(db: sqlite3.Connection) -> None:
            now = self.store.now()
            found(db.execute("SELECT user_id FROM users WHERE user_id = ?", (made.user_id,)).fetchone(), "user")
            if made.auto_trade:
                refuse_who_may_not_trade(db, made.user_id)
            _check_name(db, made)
            self._check_keys(db, made, credentials)
            db.execute(
                "INSERT INTO accounts (account_id, user_id, name, broker, capital, leverage, limits, paper, dry_run, auto_trade, enabled,"
                " source_address, auto_login, day_rules, credentials, credentials_shown, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (made.account_id, made.user_id, *_values(made), sealed, shown, now, now),
            )
            self.store.audit(db, by, "account.created", made.account_id, after=made)

        self.store.write(work)
        return self.get(made.user_id, made.account_id)

    def get(self, user_id: str | None, account_id: str) -> AccountRow:
        return _row(found(self.store.readers.one(_ONE, (account_id, user_id, user_id)), "account"))

    def list(self, user_id: str | None, *, archived: bool = False) -> tuple[AccountRow, ...]:
        rows = self.store.readers.all(
            f"{_ROWS} WHERE (? IS NULL OR a.user_id = ?) AND (? OR a.archived_at IS NULL) ORDER BY a.created_at, a.account_id",
            (user_id, user_id, archived),
        )
        return tuple(map(_row, rows))

    def change(
        self,
        user_id: str | None,
        account_id: str,
        edit: Callable[[Account], Account],
        *,
        credentials: Mapping[str, str | None] | None = None,
        by: Actor,
    ) -> AccountRow:
        """`edit` gets the account as it is inside the transaction, so that two people's changes do not overwrite each other. Credentials are merged;
        None takes one away. Owner, id and broker cannot be changed. Conflict when auto-trade would go on without the holder's consent, or anything that
        lets orders out for somebody who may not trade (any more)."""

        def work(db: sqlite3.Connection) -> AccountRow:
            old = found(db.execute(_ONE, (account_id, user_id, user_id)).fetchone(), "account")
            before = _row(old)
            if before.archived_at is not None:
                raise Conflict("the account is archived")
            after = edit(before.account)
            fixed = replace(after, account_id=before.account.account_id, user_id=before.account.user_id, broker=before.account.broker)
            _check(fixed)
            if fixed.name != before.account.name:
                _check_name(db, fixed)
            if _lets_out(fixed) - _lets_out(before.account):
                refuse_who_may_not_trade(db, fixed.user_id)
            if fixed.auto_trade and not before.account.auto_trade:
                refuse_without_consent(db, account_id, self.store.clock.now())
            sealed, shown = old["credentials"], old["credentials_shown"]
            if credentials is not None:
                known = self._readable(sealed)
                merged: dict[str, str | None] = {**known, **credentials}
                kept = {name: value for name, value in merged.items() if value is not None}
                self._check_keys(db, fixed, kept)
                sealed, shown = self._seal(kept)
                if any(merged[name] != value for name, value in known.items() if name != "access_token"):  # what is only added changes none
                    forget_sign_in(db, account_id)
            db.execute(
                "UPDATE accounts SET name = ?, broker = ?, capital = ?, leverage = ?, limits = ?, paper = ?, dry_run = ?, auto_trade = ?, enabled = ?,"
                " source_address = ?, auto_login = ?, day_rules = ?, credentials = ?, credentials_shown = ?, updated_at = ? WHERE account_id = ?",
                (*_values(fixed), sealed, shown, self.store.now(), account_id),
            )
            self.store.audit(db, by, "account.changed", account_id, before=before.account, after=fixed)
            if credentials is not None:
                self.store.audit(db, by, "account.credentials_changed", account_id, after={"names": sorted(credentials)})
            return _row(db.execute(_ONE, (account_id, user_id, user_id)).fetchone())

        return self.store.write(work)

    def delete(self, user_id: str | None, account_id: str, *, by: Actor) -> bool:
        """True: gone; False: archived, because there is history. Conflict while it has live orders or open positions."""

        def work(db: sqlite3.Connection) -> bool:
            row = found(db.execute(_ONE, (account_id, user_id, user_id)).fetchone(), "account")
            refuse_while_trading(db, "account", row["user_id"], account_id)
            gone = not has_history(db, "account", row["user_id"], account_id)
            db.execute("DELETE FROM mappings WHERE account_id = ?", (account_id,))
            forget_scope(db, CombinedScope.ACCOUNT, account_id)
            if gone:
                db.execute("DELETE FROM accounts WHERE account_id = ?", (account_id,))
                db.execute("DELETE FROM equity WHERE account_id = ?", (account_id,))
                db.execute("DELETE FROM kill_switches WHERE account_id = ?", (account_id,))
            else:
                sealed, shown = self._seal({})
                forget_sign_in(db, account_id)
                db.execute(
                    "UPDATE accounts SET archived_at = ?, enabled = 0, auto_trade = 0, auto_login = 0, credentials = ?, credentials_shown = ? WHERE account_id = ?",
                    (self.store.now(), sealed, shown, account_id),
                )
            self.store.audit(db, by, "account.deleted" if gone else "account.archived", account_id, before=_row(row).account)
            return gone

        return self.store.write(work)

    def credentials(self, account_id: str) -> dict[str, str]:
        row = found(self.store.readers.one("SELECT credentials FROM accounts WHERE account_id = ?", (account_id,)), "account")
        return self.box.open(row["credentials"])

    def _readable(self, sealed: bytes) -> dict[str, str]:
        """Nothing where no key opens it: what is entered now takes its place."""
        try:
            return self.box.open(sealed)
        except DataError:
            return {}

    def _check_keys(self, db: sqlite3.Connection, account: Account, credentials: Mapping[str, str]) -> None:
        """Of one user's accounts no two are the same account at the broker: its positions and its money would be counted twice."""
        if account.broker == "paper":
            return
        sql = "SELECT name, credentials FROM accounts WHERE user_id = ? AND broker = ? AND account_id <> ? AND archived_at IS NULL"
        for row in db.execute(sql, (account.user_id, account.broker, account.account_id)):
            try:
                known = self.box.open(row["credentials"])
            except DataError:
                continue  # sealed with a key that is gone: nobody can sign in with it either
            if _same_keys(known, credentials):
                raise Invalid.field("credentials", f"these are the keys of {row['name']}")

    def _seal(self, credentials: Mapping[str, str]) -> tuple[bytes, str]:
        return self.box.seal(credentials), to_json(mask(credentials))


def _lets_out(account: Account) -> set[str]:
    """Which switches of it let orders out."""
    switches = {"auto_trade": account.auto_trade, "enabled": account.enabled, "real": not account.dry_run}
    return {name for name, on in switches.items() if on}


def forget_sign_in(db: sqlite3.Connection, account_id: str) -> None:
    """The broker's session and the memory of failed automated log-ins go: keys have changed, or the account has gone."""
    db.execute("DELETE FROM broker_sessions WHERE account_id = ?", (account_id,))
    db.execute("DELETE FROM auto_logins WHERE account_id = ?", (account_id,))


_MAY = "EXISTS (SELECT 1 FROM users AS u WHERE u.user_id = a.user_id AND u.active AND u.role <> 'viewer') AS may_enter"
_ROWS = f"SELECT a.*, {_MAY} FROM accounts AS a"
_ONE = f"{_ROWS} WHERE a.account_id = ? AND (? IS NULL OR a.user_id = ?)"


def _values(account: Account) -> tuple[object, ...]:
    a = account
    return (
        a.name,
        a.broker,
        exact(a.capital),
        exact(a.leverage),
        dumps(a.limits),
        dumps(a.paper),
        a.dry_run,
        a.auto_trade,
        a.enabled,
        a.source_address,
        a.auto_login,
        None if a.day_rules == DayRules() else dumps(a.day_rules),
    )


def _row(row: sqlite3.Row) -> AccountRow:
    account = Account(
        account_id=row["account_id"],
        user_id=row["user_id"],
        name=row["name"],
        broker=row["broker"],
        capital=Decimal(row["capital"]),
        limits=loads(Limits, row["limits"]),
        leverage=Decimal(row["leverage"]),
        dry_run=bool(row["dry_run"]),
        auto_trade=bool(row["auto_trade"]),
        enabled=bool(row["enabled"]),
        paper=loads(PaperSettings, row["paper"]),
        source_address=row["source_address"],
        auto_login=bool(row["auto_login"]),
        day_rules=DayRules() if row["day_rules"] is None else loads(DayRules, row["day_rules"]),
        may_enter=bool(row["may_enter"]),
    )
    return AccountRow(
        account,
        seconds(row["created_at"]),
        seconds(row["updated_at"]),
        from_json(row["credentials_shown"]),
        seconds_or_none(row["archived_at"]),
    )


def _check_name(db: sqlite3.Connection, account: Account) -> None:
    """Of one user's accounts a live one shares its name with no other, also apart from case: real money is switched on by typing it."""
    sql = "SELECT name FROM accounts WHERE user_id = ? AND account_id <> ? AND archived_at IS NULL AND (broker <> 'paper' OR ? <> 'paper')"
    taken = {row["name"].strip().casefold() for row in db.execute(sql, (account.user_id, account.account_id, account.broker))}
    if account.name.strip().casefold() in taken:
        raise Invalid.field("name", "is the name of another of your accounts")


def _same_keys(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """By the person where both name one (an app's key may serve a family), else by the key."""
    for name in ("client_code", "user_id", "api_key"):
        if one.get(name) and other.get(name):
            return one[name].strip().casefold() == other[name].strip().casefold()
    return False


def _check(account: Account) -> None:
    """The last line of defence: forms and routes say it better and earlier."""
    errors: dict[str, list[str]] = {}
    if not account.name.strip():
        errors["name"] = ["must not be empty"]
    if account.broker not in BROKERS:
        errors["broker"] = [f"must be one of {', '.join(BROKERS)}"]
    if not account.capital.is_finite() or account.capital < 0:
        errors["capital"] = ["must be zero or more"]
    if not account.leverage.is_finite() or account.leverage <= 0:
        errors["leverage"] = ["must be more than zero"]
    if errors:
        raise Invalid(errors)

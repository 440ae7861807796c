"""People: who may sign in and as what. Passwords are kept as argon2id hashes; there is always at least one active owner."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from app.data.errors import Conflict, Invalid, NotFound
from app.data.mailboxes import BY_EMAIL, ascii_domain, email_key, email_keys
from app.data.may import refuse_who_is_no_owner
from app.data.outbox import Outbox
from app.data.people import People, user_row
from app.data.rows import Actor, User, UserRole
from app.data.shares import Shares
from app.data.shown import HIDDEN, is_shown
from app.data.sign_ins import SignIns
from app.data.store import Store, found

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_PASSWORD = 10
MOST_NAME = 100
MOST_PASSWORD = 1024  # characters; hashing more is a way to keep us busy
TOLD_WITHIN = 24 * 3600.0  # seconds in which the mail about a new password is of use
LOOKS_ON = "You may only look from now on. What they hold keeps its exits; you can still close it, cancel orders and stop the accounts."
LOCKED_OUT = (
    "You were switched off here. What they hold keeps its exits; until you are switched on again only your broker closes it sooner."
)
Change = Callable[[sqlite3.Connection], object]
_PLAIN = r"[^@\s\x00-\x1f<>()\[\],;:\"\\]"  # what a mail program reads as more than the address would be another name for the same mailbox
_EMAIL = re.compile(rf"{_PLAIN}{{1,64}}@(?!\.){_PLAIN}{{1,190}}(?<!\.)")


@dataclass(frozen=True, slots=True)
class Users:
    store: Store
    people: People
    sign_ins: SignIns
    outbox: Outbox
    shares: Shares

    def count(self) -> int:
        return int(self.store.readers.all("SELECT count(*) FROM users")[0][0])

    def add(self, email: str, password: str, *, role: UserRole | None = None, name: str = "", by: Actor) -> User:
        """Without a role: owner when there is none, else trader. Conflict when the address is taken or `by` is no owner (any more), Invalid for a bad address
        or password."""
        return self._add(email, password, role, name, by, lambda db: refuse_who_is_no_owner(db, by))

    def add_first_owner(self, email: str, password: str, *, name: str = "", by: Actor) -> User:
        """Conflict when anybody exists already: two people on the set-up page cannot both become owner."""

        def nobody(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM users LIMIT 1").fetchone():
                raise Conflict("this workspace has an owner already")

        return self._add(email, password, UserRole.OWNER, name, by, nobody)

    def _add(
        self, email: str, password: str, role: UserRole | None, name: str, by: Actor, allowed: Callable[[sqlite3.Connection], None]
    ) -> User:
        address = clean_email(email)
        hashed = hash_password(password)
        user_id = self.store.ids.new()

        def work(db: sqlite3.Connection) -> User:
            allowed(db)
            given = role or (UserRole.TRADER if _owners(db) else UserRole.OWNER)
            insert_user(db, user_id, address, name, given, hashed, self.store.now())
            made = one_user(db, user_id)
            self.store.audit(db, by, "user.created", user_id, after=made)
            return made

        return self.store.write(work)

    def get(self, user_id: str) -> User:
        user = self.people.user(user_id)
        if user is None:
            raise NotFound("there is no such user")
        return user

    def known(self, user_id: str) -> User | None:
        """From memory."""
        return self.people.user(user_id)

    def find(self, email: str) -> User | None:
        row = self.store.readers.one(BY_EMAIL, email_keys(email))
        return None if row is None else user_row(row)

    def all(self) -> tuple[User, ...]:
        return tuple(user_row(row) for row in self.store.readers.all("SELECT * FROM users ORDER BY created_at, user_id"))

    def verify(self, email: str, password: str) -> User | None:
        """Whom these belong to; takes as long for an unknown address as for a wrong password."""
        row = self.store.readers.one(BY_EMAIL, email_keys(email))
        right = _fits(row["password_hash"] if row else _nobodys_hash(), password)
        return user_row(row) if row and right and row["active"] else None

    def check_password(self, user_id: str, password: str) -> bool:
        row = self.store.readers.one("SELECT password_hash FROM users WHERE user_id = ? AND active", (user_id,))
        return _fits(row["password_hash"] if row else _nobodys_hash(), password) and row is not None

    def session(self, user_id: str, epoch: int) -> User | None:
        """Whose cookie this is, from memory; None when it was ended or its user is switched off."""
        user = self.people.user(user_id)
        return user if user and user.active and user.session_epoch == epoch else None

    def signed_in(self, user_id: str, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE users SET last_sign_in_at = ? WHERE user_id = ?", (self.store.now(), user_id))
            self.store.audit(db, by, "user.signed_in", user_id)

        self.store.journal.post(work)

    def set_password(
        self, user_id: str, password: str, *, by: Actor, but: str | None = None, mail: bool = False, epoch: int | None = None
    ) -> User:
        """Ends every sign-in of this user; `but`: the one that goes on, for whom the cookie has to be made anew. `mail`: they are told by mail. Conflict when
        the sign-ins of `epoch`, in which the old password was shown, have ended meanwhile."""
        hashed = hash_password(password)

        def change(db: sqlite3.Connection) -> User:
            if epoch is not None and one_user(db, user_id).session_epoch != epoch:
                raise Conflict("the password stays: you were signed out meanwhile, or it was changed")
            return self.put_password(db, user_id, hashed, but, mail=mail)

        return self._change(user_id, "user.password_changed", change, by)

    def put_password(self, db: sqlite3.Connection, user_id: str, hashed: str, but: str | None = None, *, mail: bool) -> User:
        """The same inside a transaction of whoever writes their own audit row. Links that would set another one are over with it."""
        db.execute("UPDATE users SET password_hash = ? WHERE user_id = ?", (hashed, user_id))
        spent = "UPDATE codes SET used_at = ? WHERE purpose = 'reset' AND user_id = ? AND used_at IS NULL"
        db.execute(spent, (self.store.now(), user_id))
        self._end(db, user_id, but)
        user = one_user(db, user_id)
        if mail:
            until = self.store.clock.now() + TOLD_WITHIN
            dedupe = f"password:{user_id}:{user.session_epoch}"
            self.outbox.mail(db, to=user.email, kind="password_changed", fields={}, dedupe=dedupe, expires_at=until, user_id=user_id)
        return user

    def set_name(self, user_id: str, name: str, *, by: Actor) -> User:
        return self.change(user_id, name=name, by=by)

    def set_role(self, user_id: str, role: UserRole, *, by: Actor) -> User:
        return self.change(user_id, role=role, by=by)

    def set_active(self, user_id: str, active: bool, *, by: Actor) -> User:
        """Switching a user off ends their sign-ins, silences their tokens and web hooks and switches auto-trade of their accounts off; what they own stays."""
        return self.change(user_id, active=active, by=by)

    def change(
        self,
        user_id: str,
        *,
        role: UserRole | None = None,
        active: bool | None = None,
        name: str | None = None,
        password: str | None = None,
        by: Actor,
        mail: bool = False,
    ) -> User:
        """All that is given or nothing of it, each with an audit row of its own. `mail`: they are told of a new password by mail. Conflict when it is more
        than one's own name or password, and `by` is no owner (any more)."""
        steps = []
        if role is not None:
            steps.append(self._step(user_id, "user.role_changed", _sets(user_id, "role", role.value), by))
        if active is not None:
            steps.append(self._step(user_id, "user.switched_on" if active else "user.switched_off", self._switches(user_id, active), by))
        if name is not None:
            steps.append(self._step(user_id, "user.changed", _sets(user_id, "name", clean_name(name)), by))
        if password is not None:
            hashed = hash_password(password)
            steps.append(self._step(user_id, "user.password_changed", lambda db: self.put_password(db, user_id, hashed, mail=mail), by))

        def work(db: sqlite3.Connection) -> User:
            if by.user_id != user_id or role is not None or active is not None:
                refuse_who_is_no_owner(db, by)
            for step in steps:
                step(db)
            return one_user(db, user_id)

        return self.store.write(work)

    def end_sessions(self, user_id: str, *, by: Actor) -> User:
        return self._change(user_id, "user.sessions_ended", lambda db: self._end(db, user_id), by)

    def _end(self, db: sqlite3.Connection, user_id: str, but: str | None = None) -> None:
        """Cookies of the old epoch are worth nothing from the moment on at which this transaction is on disk."""
        db.execute("UPDATE users SET session_epoch = session_epoch + 1 WHERE user_id = ?", (user_id,))
        self.sign_ins.end_within(db, user_id, but)

    def _switches(self, user_id: str, active: bool) -> Change:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE users SET active = ? WHERE user_id = ?", (active, user_id))
            self._end(db, user_id)

        return work

    def _change(self, user_id: str, action: str, change: Change, by: Actor) -> User:
        return self.store.write(self._step(user_id, action, change, by))

    def _step(self, user_id: str, action: str, change: Change, by: Actor) -> Callable[[sqlite3.Connection], User]:
        """A change with its audit row and all that follows from it, for a transaction."""

        def work(db: sqlite3.Connection) -> User:
            before = one_user(db, user_id)
            change(db)
            if not _owners(db):
                raise Conflict("there must be at least one active owner")
            after = one_user(db, user_id)
            self.store.audit(db, by, action, user_id, before=before, after=after)
            if (after.active, after.role) != (before.active, before.role):
                self.shares.person_changes(db, after, by=by)
                if not after.may_trade:
                    self._hands_off(db, after)
            return after

        return work

    def _hands_off(self, db: sqlite3.Connection, user: User) -> None:
        """Nobody runs their accounts any more: nothing is entered there by itself. What is held keeps its exits."""
        user_id = user.user_id
        on = "user_id = ? AND auto_trade AND archived_at IS NULL"
        ids = [row[0] for row in db.execute(f"SELECT account_id FROM accounts WHERE {on} ORDER BY account_id", (user_id,))]
        db.execute(f"UPDATE accounts SET auto_trade = 0, updated_at = ? WHERE {on}", (self.store.now(), user_id))
        for account_id in ids:
            before, after = {"auto_trade": True}, {"auto_trade": False}
            self.store.audit(db, Actor(user_id, "system"), "account.changed", account_id, before=before, after=after)
        if ids:
            fields = {"why": LOOKS_ON if user.active else LOCKED_OUT}
            self.outbox.tell(db, "auto_trade_off", dedupe=f"hands_off:{self.store.ids.new()}", user_id=user_id, ref=user_id, fields=fields)


def _sets(user_id: str, column: str, value: object) -> Change:
    return lambda db: db.execute(f"UPDATE users SET {column} = ? WHERE user_id = ?", (value, user_id))


def clean_email(email: str) -> str:
    """Invalid for what cannot be an address, or is one in another dress: `a<x@y>` and `x(a)@y` would each be sent to somebody else's mailbox."""
    address = email.strip()
    if not _EMAIL.fullmatch(address) or not address.isprintable():
        raise Invalid.field("email", "is not an e-mail address")
    if ascii_domain(address.rpartition("@")[2]) is None:
        raise Invalid.field("email", "has a domain behind the @ that cannot be one")
    return address


def clean_name(name: str) -> str:
    """Invalid for what no name holds: it stands in mails and on pages of others."""
    name = name.strip()
    if len(name) > MOST_NAME:
        raise Invalid.field("name", f"must have at most {MOST_NAME} characters")
    if not is_shown(name):
        raise Invalid.field("name", HIDDEN)
    return name


def insert_user(db: sqlite3.Connection, user_id: str, email: str, name: str, role: UserRole, hashed: str, now: int) -> None:
    """Conflict when the address is taken."""
    if db.execute(BY_EMAIL, email_keys(email)).fetchone():
        raise Conflict("this e-mail address is taken")
    db.execute(
        "INSERT INTO users (user_id, email, email_key, name, role, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (user_id, email, email_key(email), clean_name(name), role.value, hashed, now),
    )


def one_user(db: sqlite3.Connection, user_id: str) -> User:
    return user_row(found(db.execute("SELECT * FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user"))


def _owners(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM users WHERE role = 'owner' AND active").fetchone()[0])


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # only paid by those who sign in

    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")


def hash_password(password: str) -> str:
    """Invalid for one that is too short or too long. Slow by design: never inside a transaction."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise Invalid.field("password", f"must have at least {LEAST_PASSWORD} characters, and at most {MOST_PASSWORD}")
    return _hasher().hash(password)


def _fits(hashed: str, password: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return len(password) <= MOST_PASSWORD and _hasher().verify(hashed, password)
    except VerificationError:
        return False

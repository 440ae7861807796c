"""One-time codes and links: six digits for a sign-up, links for invitations and forgotten passwords. Each is good once, and not for long.

What was sent is kept as a keyed hash, and sealed for the owner of a workspace that cannot send mail. A known and an unknown address leave the same
rows behind and take the same time: only the mail itself tells them apart.
"""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.data.credentials import CredentialBox
from app.data.errors import Conflict, NotFound
from app.data.outbox import Outbox
from app.data.rows import Actor, User, UserRole
from app.data.store import Store, found
from app.data.users import Users, clean_email, hash_password, insert_user, one_user
from app.data.values import from_json, micros, seconds, to_json
from engines.core.model import Timestamp
from engines.ports import TandemError

TRIES = 5
RESEND_AFTER = 60.0
HOUR = 3600.0
PER_HOUR = 5  # codes or links of one purpose to one address
KEPT = 24 * HOUR  # after its end, so that the owner still sees that there was one


class Purpose(StrEnum):
    SIGN_UP = "sign_up"
    INVITE = "invite"
    RESET = "reset"


LASTS: Mapping[Purpose, float] = {Purpose.SIGN_UP: 600.0, Purpose.INVITE: 72 * HOUR, Purpose.RESET: HOUR}
"""Seconds for which each is good."""


class TooSoon(TandemError):
    """One was sent a moment ago, or too many this hour; `after` seconds it may be asked again."""

    def __init__(self, after: float) -> None:
        super().__init__("this address was sent a code or link too often")
        self.after = after


@dataclass(frozen=True, slots=True)
class Post:
    """How people are reached: the address that links begin with, and whether mail can be sent at all."""

    base_url: str
    mail: bool


@dataclass(frozen=True, slots=True)
class Code:
    """One code or link, without what is secret of it. `user_id`: who has this address already; `by`: who invited."""

    code_id: str
    purpose: Purpose
    email: str
    name: str
    role: UserRole | None
    user_id: str | None
    by: str | None
    sends: int
    sent_at: Timestamp
    created_at: Timestamp
    expires_at: Timestamp


@dataclass(frozen=True, slots=True)
class Pending:
    """What the owner passes on where no mail is sent: a code, or the path of a link. None: the address has an account, so there is no code."""

    code: Code
    secret: str | None = field(repr=False)


class Typed(StrEnum):
    """What came of a code that was typed."""

    WRONG = "wrong"
    OVER = "over"  # used, expired, replaced, or tried too often: a new one has to be sent


@dataclass(frozen=True, slots=True)
class Codes:
    store: Store
    box: CredentialBox
    users: Users
    outbox: Outbox
    key: Callable[[], bytes] = field(repr=False)
    """What the hashes are keyed with: whoever has the database alone cannot try out a million codes."""

    # --- sign-up --------------------------------------------------------------------------------------------------------

    def begin_sign_up(self, email: str, name: str, password: str, *, by: Actor, post: Post) -> str:
        """Sends a code, or word that the address has an account already; the id under which the code is typed in. Invalid, TooSoon."""
        address, hashed = clean_email(email), hash_password(password)
        body = {"name": name.strip(), "password_hash": hashed}
        secret, code_id = _digits(), self.store.ids.new()
        sealed = self._seal(secret)

        def work(db: sqlite3.Connection) -> str:
            self._not_too_soon(db, address, Purpose.SIGN_UP)
            known = _user_id(db, address)
            self._insert(db, code_id, Purpose.SIGN_UP, address, body, secret, sealed, known)
            self._mail_code(db, code_id, address, name, secret, known, post)
            self.store.audit(db, by, "user.sign_up_asked", code_id, after={"email": address})
            return code_id

        return self.store.journal.run(work)

    def send_again(self, code_id: str, *, post: Post) -> bool:
        """A new code in place of the old one. False when the sign-up is over and has to be begun again. TooSoon."""
        secret = _digits()
        sealed = self._seal(secret)

        def work(db: sqlite3.Connection) -> bool:
            now = self.store.now()
            row = db.execute(
                "SELECT * FROM codes WHERE code_id = ? AND purpose = ? AND used_at IS NULL", (code_id, Purpose.SIGN_UP)
            ).fetchone()
            if row is None or row["created_at"] <= now - micros(HOUR):
                return False
            self._not_too_soon(db, row["email"], Purpose.SIGN_UP)
            self._renew(db, row, secret, sealed)
            self._mail_code(db, f"{code_id}.{row['sends'] + 1}", row["email"], _body(row)["name"], secret, row["user_id"], post)
            return True

        return self.store.journal.run(work)

    def sign_up(self, code_id: str, typed: str, *, by: Actor) -> User | Typed:
        """The new trader, once the code is right. Wrong ones are counted before they are answered."""
        checked = self.store.journal.run(lambda db: self._check(db, code_id, typed))
        if checked is not None:
            return checked

        def work(db: sqlite3.Connection) -> User | Typed:
            row = self._open(db, "code_id = ? AND purpose = ?", (code_id, Purpose.SIGN_UP))
            if row is None or row["user_id"] is not None or _user_id(db, row["email"]) is not None:
                return Typed.OVER
            body = _body(row)
            user = self._join(db, row, body["name"], body["password_hash"], UserRole.TRADER)
            self.store.audit(db, by, "user.signed_up", user.user_id, after=user)
            return user

        return self.store.write(work)

    def _check(self, db: sqlite3.Connection, code_id: str, typed: str) -> Typed | None:
        row = self._open(db, "code_id = ? AND purpose = ? AND tries < ?", (code_id, Purpose.SIGN_UP, TRIES))
        if row is None:
            return Typed.OVER
        right = hmac.compare_digest(self._hash(code_id, typed), row["secret_hash"])
        if right and row["user_id"] is None:
            return None
        db.execute("UPDATE codes SET tries = tries + 1 WHERE code_id = ?", (code_id,))
        return Typed.WRONG if row["tries"] + 1 < TRIES else Typed.OVER

    # --- forgotten passwords ----------------------------------------------------------------------------------------------

    def ask_reset(self, email: str, *, by: Actor, post: Post) -> None:
        """Sends a link to whoever has this address; nobody can tell from the outside whether anybody has. Too many at once are passed over."""
        address, token, code_id = email.strip(), _token(), self.store.ids.new()
        path = f"/reset/{token}"
        sealed = self._seal(path)

        def work(db: sqlite3.Connection) -> None:
            try:
                self._not_too_soon(db, address, Purpose.RESET)
            except TooSoon:
                return
            row = db.execute("SELECT user_id, email FROM users WHERE email_key = ? AND active", (address.casefold(),)).fetchone()
            user_id = row["user_id"] if row else None
            self._insert(db, code_id, Purpose.RESET, address, {}, token, sealed, user_id)
            if row is None:
                return
            self.store.audit(db, by, "user.reset_asked", row["user_id"])
            if post.mail:
                fields = {"link": post.base_url + path, "minutes": round(LASTS[Purpose.RESET] / 60)}
                self._mail(db, code_id, row["email"], "reset", fields, Purpose.RESET)

        self.store.journal.run(work)

    def reset(self, token: str, password: str, *, by: Actor, mail: bool) -> User | None:
        """Sets the password, ends every sign-in and every other link of this person. None when the link is over. Invalid for a bad password."""
        hashed = hash_password(password)

        def work(db: sqlite3.Connection) -> User | None:
            row = self._by_token(db, Purpose.RESET, token)
            if row is None:
                return None
            user = self.users.put_password(db, row["user_id"], hashed, mail=mail)
            spent = "UPDATE codes SET used_at = ? WHERE purpose = ? AND user_id = ? AND used_at IS NULL"
            db.execute(spent, (self.store.now(), Purpose.RESET, user.user_id))
            self.store.audit(db, by, "user.password_reset", user.user_id)
            return user

        return self.store.write(work)

    # --- invitations --------------------------------------------------------------------------------------------------------

    def invite(self, email: str, role: UserRole, name: str = "", *, inviter: User, by: Actor, post: Post) -> Code:
        """Sends a link. Conflict for an address that has an account, or an invitation that is still good."""
        address, token = clean_email(email), _token()
        body = {"name": name.strip(), "role": role.value, "by": inviter.user_id}
        code_id, sealed = self.store.ids.new(), self._seal(f"/invite/{token}")

        def work(db: sqlite3.Connection) -> Code:
            if _user_id(db, address) is not None:
                raise Conflict("this e-mail address has an account")
            if self._open(db, "email_key = ? AND purpose = ?", (address.casefold(), Purpose.INVITE)) is not None:
                raise Conflict("this e-mail address is invited already: send that invitation again, or withdraw it")
            db.execute("DELETE FROM codes WHERE email_key = ? AND purpose = ? AND used_at IS NULL", (address.casefold(), Purpose.INVITE))
            self._insert(db, code_id, Purpose.INVITE, address, body, token, sealed, None)
            self._mail_invite(db, code_id, address, inviter, role, token, post)
            self.store.audit(db, by, "invite.created", code_id, after={"email": address, "role": role.value})
            return _code(_by_id(db, code_id))

        return self.store.write(work)

    def invite_again(self, code_id: str, *, inviter: User, by: Actor, post: Post) -> Code:
        """A new link, good for as long as the first was; the old one is worth nothing. NotFound, TooSoon."""
        token = _token()
        sealed = self._seal(f"/invite/{token}")

        def work(db: sqlite3.Connection) -> Code:
            row = _invitation(db, code_id)
            if _user_id(db, row["email"]) is not None:
                raise Conflict("this e-mail address has an account")
            wait = seconds(row["sent_at"]) + RESEND_AFTER - self.store.clock.now()
            if wait > 0:
                raise TooSoon(wait)
            body = {**_body(row), "by": inviter.user_id}
            self._renew(db, row, token, sealed)
            db.execute("UPDATE codes SET body = ? WHERE code_id = ?", (to_json(body), code_id))
            self._mail_invite(db, f"{code_id}.{row['sends'] + 1}", row["email"], inviter, UserRole(body["role"]), token, post)
            self.store.audit(db, by, "invite.sent_again", code_id, after={"email": row["email"]})
            return _code(_by_id(db, code_id))

        return self.store.write(work)

    def withdraw(self, code_id: str, *, by: Actor) -> None:
        """NotFound for one that is not there or was accepted."""

        def work(db: sqlite3.Connection) -> None:
            row = _invitation(db, code_id)
            db.execute("DELETE FROM codes WHERE code_id = ?", (code_id,))
            self.store.audit(db, by, "invite.withdrawn", code_id, before={"email": row["email"], "role": _body(row)["role"]})

        self.store.write(work)

    def invites(self) -> tuple[Code, ...]:
        """Those that nobody has accepted, also those that are over."""
        sql = "SELECT * FROM codes WHERE purpose = ? AND used_at IS NULL ORDER BY created_at, code_id"
        return tuple(map(_code, self.store.readers.all(sql, (Purpose.INVITE,))))

    def accept(self, token: str, name: str, password: str, *, by: Actor) -> User | None:
        """The invited person, with the role of the invitation. None when the link is over. Invalid for a bad password."""
        hashed = hash_password(password)

        def work(db: sqlite3.Connection) -> User | None:
            row = self._by_token(db, Purpose.INVITE, token)
            if row is None or _user_id(db, row["email"]) is not None:
                return None
            body = _body(row)
            user = self._join(db, row, name or body["name"], hashed, UserRole(body["role"]))
            self.store.audit(db, by, "user.joined", user.user_id, after=user)
            return user

        return self.store.write(work)

    # --- links ------------------------------------------------------------------------------------------------------------------

    def look(self, purpose: Purpose, token: str) -> Code | None:
        """What this link is for, while it is good. Looking uses nothing up."""
        with self.store.readers.use() as db:
            row = self._by_token(db, purpose, token)
        return None if row is None else _code(row)

    def pending(self) -> tuple[Pending, ...]:
        """All that is good now, with what was not mailed: for an owner, where no mail can be sent."""
        sql = "SELECT * FROM codes WHERE used_at IS NULL AND expires_at > ? AND tries < ? ORDER BY created_at DESC, code_id"
        rows = self.store.readers.all(sql, (self.store.now(), TRIES))
        told = []
        for row in rows:
            if row["purpose"] == Purpose.RESET and row["user_id"] is None:
                continue  # nobody has this address
            known = row["purpose"] == Purpose.SIGN_UP and row["user_id"] is not None
            told.append(Pending(_code(row), None if known else self.box.open(row["sealed"])["secret"]))
        return tuple(told)

    def _by_token(self, db: sqlite3.Connection, purpose: Purpose, token: str) -> sqlite3.Row | None:
        """The row of a link that is good: of an active person, or from an inviter who still is an owner."""
        row = self._open(db, "purpose = ? AND secret_hash = ?", (purpose, self._hash(purpose, token)))
        if row is None:
            return None
        if purpose is Purpose.RESET:
            stands = db.execute("SELECT 1 FROM users WHERE user_id = ? AND active", (row["user_id"],)).fetchone()
        else:
            stands = db.execute("SELECT 1 FROM users WHERE user_id = ? AND active AND role = 'owner'", (_body(row)["by"],)).fetchone()
        return row if stands else None

    # --- rows -------------------------------------------------------------------------------------------------------------------

    def _open(self, db: sqlite3.Connection, where: str, given: tuple[Any, ...]) -> sqlite3.Row | None:
        sql = f"SELECT * FROM codes WHERE {where} AND used_at IS NULL AND expires_at > ?"
        row: sqlite3.Row | None = db.execute(sql, (*given, self.store.now())).fetchone()
        return row

    def _insert(
        self,
        db: sqlite3.Connection,
        code_id: str,
        purpose: Purpose,
        email: str,
        body: Mapping[str, Any],
        secret: str,
        sealed: bytes,
        user_id: str | None,
    ) -> None:
        now = self.store.now()
        db.execute("DELETE FROM codes WHERE expires_at <= ?", (now - micros(KEPT),))
        hashed = self._hash(code_id if purpose is Purpose.SIGN_UP else purpose, secret)
        db.execute(
            "INSERT INTO codes (code_id, purpose, email, email_key, user_id, body, secret_hash, sealed, sent_at, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                code_id,
                purpose,
                email,
                email.casefold(),
                user_id,
                to_json(dict(body)),
                hashed,
                sealed,
                now,
                now,
                now + micros(LASTS[purpose]),
            ),
        )

    def _renew(self, db: sqlite3.Connection, row: sqlite3.Row, secret: str, sealed: bytes) -> None:
        purpose, now = Purpose(row["purpose"]), self.store.now()
        hashed = self._hash(row["code_id"] if purpose is Purpose.SIGN_UP else purpose, secret)
        db.execute(
            "UPDATE codes SET secret_hash = ?, sealed = ?, tries = 0, sends = sends + 1, sent_at = ?, expires_at = ? WHERE code_id = ?",
            (hashed, sealed, now, now + micros(LASTS[purpose]), row["code_id"]),
        )

    def _join(self, db: sqlite3.Connection, row: sqlite3.Row, name: str, hashed: str, role: UserRole) -> User:
        """A new person in exchange for the code."""
        user_id = self.store.ids.new()
        insert_user(db, user_id, row["email"], name, role, hashed, self.store.now())
        db.execute("UPDATE codes SET used_at = ? WHERE code_id = ?", (self.store.now(), row["code_id"]))
        return one_user(db, user_id)

    def _seal(self, shown: str) -> bytes:
        """What the owner passes on where no mail is sent: the code itself, or the path of the link. Never on the writer's thread, which has orders
        to write."""
        return self.box.seal({"secret": shown})

    def _not_too_soon(self, db: sqlite3.Connection, email: str, purpose: Purpose) -> None:
        now = self.store.clock.now()
        sql = "SELECT max(sent_at) AS newest, min(created_at) AS oldest, sum(sends) AS sends FROM codes WHERE email_key = ? AND purpose = ? AND created_at > ?"
        row = db.execute(sql, (email.casefold(), purpose, micros(now - HOUR))).fetchone()
        if row["sends"] is None:
            return
        wait = seconds(row["oldest"]) + HOUR - now if row["sends"] >= PER_HOUR else seconds(row["newest"]) + RESEND_AFTER - now
        if wait > 0:
            raise TooSoon(wait)

    def _hash(self, kind: str, secret: str) -> str:
        """A code is hashed together with its id, so that equal codes differ; a link together with its purpose, so that none serves another."""
        return hmac.new(self.key(), f"{kind}|{secret.strip()}".encode(errors="replace"), "sha256").hexdigest()

    # --- mail -------------------------------------------------------------------------------------------------------------------

    def _mail_code(self, db: sqlite3.Connection, dedupe: str, to: str, name: str, secret: str, known: str | None, post: Post) -> None:
        if not post.mail:
            return
        if known is not None:
            self._mail(db, dedupe, to, "already", {}, Purpose.SIGN_UP)
            return
        fields = {"name": greeting(name), "code": secret, "minutes": round(LASTS[Purpose.SIGN_UP] / 60)}
        self._mail(db, dedupe, to, "sign_up", fields, Purpose.SIGN_UP)

    def _mail_invite(self, db: sqlite3.Connection, dedupe: str, to: str, inviter: User, role: UserRole, token: str, post: Post) -> None:
        if post.mail:
            link = f"{post.base_url}/invite/{token}"
            fields = {
                "inviter": inviter.name or inviter.email,
                "role": role.value,
                "link": link,
                "hours": round(LASTS[Purpose.INVITE] / HOUR),
            }
            self._mail(db, dedupe, to, "invite", fields, Purpose.INVITE)

    def _mail(self, db: sqlite3.Connection, dedupe: str, to: str, kind: str, fields: Mapping[str, Any], purpose: Purpose) -> None:
        until = self.store.clock.now() + LASTS[purpose]
        self.outbox.mail(db, to=to, kind=kind, fields=fields, dedupe=f"code:{dedupe}", expires_at=until)


def greeting(name: str) -> str:
    """A stranger chose this name, and it goes to an address that may be somebody else's: no room for an advertisement."""
    name = " ".join(name.split())
    return "" if len(name) > 40 or re.search(r"[/:@<>\[\]{}\\]|\w\.\w", name) or not name.isprintable() else name


def _digits() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


def _token() -> str:
    return secrets.token_urlsafe(32)


def _user_id(db: sqlite3.Connection, email: str) -> str | None:
    row = db.execute("SELECT user_id FROM users WHERE email_key = ?", (email.casefold(),)).fetchone()
    return None if row is None else str(row["user_id"])


def _by_id(db: sqlite3.Connection, code_id: str) -> sqlite3.Row:
    return found(db.execute("SELECT * FROM codes WHERE code_id = ?", (code_id,)).fetchone(), "invite")


def _invitation(db: sqlite3.Connection, code_id: str) -> sqlite3.Row:
    row = _by_id(db, code_id)
    if row["purpose"] != Purpose.INVITE or row["used_at"] is not None:
        raise NotFound("there is no such invite")
    return row


def _body(row: sqlite3.Row) -> dict[str, Any]:
    read: dict[str, Any] = from_json(row["body"])
    return read


def _code(row: sqlite3.Row) -> Code:
    body = _body(row)
    return Code(
        code_id=row["code_id"],
        purpose=Purpose(row["purpose"]),
        email=row["email"],
        name=body.get("name", ""),
        role=UserRole(body["role"]) if "role" in body else None,
        user_id=row["user_id"],
        by=body.get("by"),
        sends=row["sends"],
        sent_at=seconds(row["sent_at"]),
        created_at=seconds(row["created_at"]),
        expires_at=seconds(row["expires_at"]),
    )

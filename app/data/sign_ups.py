"""Signing up: whoever shows the six digits that were mailed to an address becomes a trader with it.

An address that has an account already leaves the same rows behind, and takes the same time, as one that is new: only the mail tells them apart.
"""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from app.data.codes import HOUR, LASTS, TRIES, Codes, Post, Purpose, body_of, user_id_of
from app.data.rows import Actor, User, UserRole
from app.data.users import clean_email, clean_name, hash_password
from app.data.values import micros


class Typed(StrEnum):
    """What came of a code that was typed."""

    WRONG = "wrong"
    OVER = "over"  # used, expired, replaced, or tried too often: a new one has to be sent


@dataclass(frozen=True, slots=True)
class SignUps:
    codes: Codes

    def begin(self, email: str, name: str, password: str, *, by: Actor, post: Post) -> str:
        """Sends a code, or word that the address has an account already; the id under which the code is typed in. Invalid, TooSoon."""
        address, hashed = clean_email(email), hash_password(password)
        body = {"name": clean_name(name), "password_hash": hashed}
        secret, code_id = _digits(), self.codes.store.ids.new()
        sealed = self.codes.seal(secret)

        def work(db: sqlite3.Connection) -> str:
            self.codes.not_too_soon(db, address, Purpose.SIGN_UP)
            known = user_id_of(db, address)
            self.codes.insert(db, code_id, Purpose.SIGN_UP, address, body, secret, sealed, known)
            self._mail(db, code_id, address, name, secret, known, post)
            self.codes.store.audit(db, by, "user.sign_up_asked", code_id, after={"email": address})
            return code_id

        begun = self.codes.store.journal.run(work)
        self.codes.mailed()
        return begun

    def send_again(self, code_id: str, *, post: Post) -> bool:
        """A new code in place of the old one. False when the sign-up is over and has to be begun again. TooSoon."""
        secret = _digits()
        sealed = self.codes.seal(secret)

        def work(db: sqlite3.Connection) -> bool:
            now = self.codes.store.now()
            row = db.execute(
                "SELECT * FROM codes WHERE code_id = ? AND purpose = ? AND used_at IS NULL", (code_id, Purpose.SIGN_UP)
            ).fetchone()
            if row is None or row["created_at"] <= now - micros(HOUR):
                return False
            self.codes.not_too_soon(db, row["email"], Purpose.SIGN_UP)
            self.codes.renew(db, row, secret, sealed)
            self._mail(db, f"{code_id}.{row['sends'] + 1}", row["email"], body_of(row)["name"], secret, row["user_id"], post)
            return True

        sent = self.codes.store.journal.run(work)
        self.codes.mailed()
        return sent

    def finish(self, code_id: str, typed: str, *, by: Actor) -> User | Typed:
        """The new trader, once the code is right. Wrong ones are counted before they are answered."""
        checked = self.codes.store.journal.run(lambda db: self._check(db, code_id, typed))
        if checked is not None:
            return checked

        def work(db: sqlite3.Connection) -> User | Typed:
            row = self.codes.open(db, "code_id = ? AND purpose = ?", (code_id, Purpose.SIGN_UP))
            if row is None or row["user_id"] is not None or user_id_of(db, row["email"]) is not None:
                return Typed.OVER
            body = body_of(row)
            user = self.codes.join(db, row, body["name"], body["password_hash"], UserRole.TRADER)
            self.codes.store.audit(db, by, "user.signed_up", user.user_id, after=user)
            return user

        return self.codes.store.write(work)

    def _check(self, db: sqlite3.Connection, code_id: str, typed: str) -> Typed | None:
        row = self.codes.open(db, "code_id = ? AND purpose = ? AND tries < ?", (code_id, Purpose.SIGN_UP, TRIES))
        if row is None:
            return Typed.OVER
        right = hmac.compare_digest(self.codes.hash(code_id, typed), row["secret_hash"])
        if right and row["user_id"] is None:
            return None
        db.execute("UPDATE codes SET tries = tries + 1 WHERE code_id = ?", (code_id,))
        return Typed.WRONG if row["tries"] + 1 < TRIES else Typed.OVER

    def _mail(self, db: sqlite3.Connection, dedupe: str, to: str, name: str, secret: str, known: str | None, post: Post) -> None:
        if not post.mail:
            return
        if known is not None:
            self.codes.mail(db, dedupe, to, "already", {}, Purpose.SIGN_UP)
            return
        fields = {"name": greeting(name), "code": secret, "minutes": round(LASTS[Purpose.SIGN_UP] / 60)}
        self.codes.mail(db, dedupe, to, "sign_up", fields, Purpose.SIGN_UP)


def greeting(name: str) -> str:
    """A stranger chose this name, and it goes to an address that may be somebody else's: no room for an advertisement."""
    name = " ".join(name.split())
    return "" if len(name) > 40 or re.search(r"[/:@<>\[\]{}\\]|\w\.\w", name) or not name.isprintable() else name


def _digits() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"

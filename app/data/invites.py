"""Invitations: a link that an owner sends, with which somebody joins in the role that it names. Good once and for three days.

With its inviter no longer an owner, an invitation is worth nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from app.data.codes import HOUR, LASTS, RESEND_AFTER, Code, Codes, Post, Purpose, TooSoon, body_of, code_of, new_token, row_of, user_id_of
from app.data.errors import Conflict, NotFound
from app.data.mailboxes import email_key
from app.data.may import refuse_who_is_no_owner
from app.data.rows import Actor, User, UserRole
from app.data.users import clean_email, clean_name, hash_password
from app.data.values import seconds, to_json


@dataclass(frozen=True, slots=True)
class Invites:
    codes: Codes

    def send(self, email: str, role: UserRole, name: str = "", *, inviter: User, by: Actor, post: Post) -> Code:
        """Sends a link. Conflict for an address that has an account, or an invitation that is still good; here and below also when `by` is no
        owner (any more)."""
        address, token = clean_email(email), new_token()
        body = {"name": clean_name(name), "role": role.value, "by": inviter.user_id}
        code_id, sealed = self.codes.store.ids.new(), self.codes.seal(f"/invite/{token}")

        def work(db: sqlite3.Connection) -> Code:
            refuse_who_is_no_owner(db, by)
            if user_id_of(db, address) is not None:
                raise Conflict("this e-mail address has an account")
            if self.codes.open(db, "email_key = ? AND purpose = ?", (email_key(address), Purpose.INVITE)) is not None:
                raise Conflict("this e-mail address is invited already: send that invitation again, or withdraw it")
            db.execute("DELETE FROM codes WHERE email_key = ? AND purpose = ? AND used_at IS NULL", (email_key(address), Purpose.INVITE))
            self.codes.insert(db, code_id, Purpose.INVITE, address, body, token, sealed, None)
            self._mail(db, code_id, address, inviter, role, token, post)
            self.codes.store.audit(db, by, "invite.created", code_id, after={"email": address, "role": role.value})
            return code_of(row_of(db, code_id))

        return self.codes.store.write(work)

    def send_again(self, code_id: str, *, inviter: User, by: Actor, post: Post) -> Code:
        """A new link, good for as long as the first was; the old one is worth nothing. NotFound, TooSoon."""
        token = new_token()
        sealed = self.codes.seal(f"/invite/{token}")

        def work(db: sqlite3.Connection) -> Code:
            refuse_who_is_no_owner(db, by)
            row = _invitation(db, code_id)
            if user_id_of(db, row["email"]) is not None:
                raise Conflict("this e-mail address has an account")
            wait = seconds(row["sent_at"]) + RESEND_AFTER - self.codes.store.clock.now()
            if wait > 0:
                raise TooSoon(wait)
            body = {**body_of(row), "by": inviter.user_id}
            self.codes.renew(db, row, token, sealed)
            db.execute("UPDATE codes SET body = ? WHERE code_id = ?", (to_json(body), code_id))
            self._mail(db, f"{code_id}.{row['sends'] + 1}", row["email"], inviter, UserRole(body["role"]), token, post)
            self.codes.store.audit(db, by, "invite.sent_again", code_id, after={"email": row["email"]})
            return code_of(row_of(db, code_id))

        return self.codes.store.write(work)

    def withdraw(self, code_id: str, *, by: Actor) -> None:
        """NotFound for one that is not there or was accepted."""

        def work(db: sqlite3.Connection) -> None:
            refuse_who_is_no_owner(db, by)
            row = _invitation(db, code_id)
            db.execute("DELETE FROM codes WHERE code_id = ?", (code_id,))
            self.codes.store.audit(db, by, "invite.withdrawn", code_id, before={"email": row["email"], "role": body_of(row)["role"]})

        self.codes.store.write(work)

    def open(self) -> tuple[Code, ...]:
        """Those that nobody has accepted, also those that are over."""
        sql = "SELECT * FROM codes WHERE purpose = ? AND used_at IS NULL ORDER BY created_at, code_id"
        return tuple(map(code_of, self.codes.store.readers.all(sql, (Purpose.INVITE,))))

    def accept(self, token: str, name: str, password: str, *, by: Actor) -> User | None:
        """The invited person, with the role of the invitation. None when the link is over. Invalid for a bad password."""
        hashed = hash_password(password)

        def work(db: sqlite3.Connection) -> User | None:
            row = self.codes.by_token(db, Purpose.INVITE, token)
            if row is None or user_id_of(db, row["email"]) is not None:
                return None
            body = body_of(row)
            user = self.codes.join(db, row, name or body["name"], hashed, UserRole(body["role"]))
            self.codes.store.audit(db, by, "user.joined", user.user_id, after=user)
            return user

        return self.codes.store.write(work)

    def _mail(self, db: sqlite3.Connection, dedupe: str, to: str, inviter: User, role: UserRole, token: str, post: Post) -> None:
        if post.mail:
            link = f"{post.base_url}/invite/{token}"
            fields = {
                "inviter": inviter.name or inviter.email,
                "role": role.value,
                "link": link,
                "hours": round(LASTS[Purpose.INVITE] / HOUR),
            }
            self.codes.mail(db, dedupe, to, "invite", fields, Purpose.INVITE)


def _invitation(db: sqlite3.Connection, code_id: str) -> sqlite3.Row:
    row = row_of(db, code_id)
    if row["purpose"] != Purpose.INVITE or row["used_at"] is not None:
        raise NotFound("there is no such invite")
    return row

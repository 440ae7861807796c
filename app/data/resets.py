"""Forgotten passwords: a link that sets a new one, good once and for an hour.

Whether an address is known shows in nothing but the mail: both leave a row behind. It signs nobody in.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from app.data.codes import LASTS, Codes, Post, Purpose, TooSoon, new_token
from app.data.mailboxes import BY_EMAIL, email_keys
from app.data.rows import Actor, User
from app.data.users import hash_password


@dataclass(frozen=True, slots=True)
class Resets:
    codes: Codes

    def ask(self, email: str, *, by: Actor, post: Post) -> None:
        """Sends a link to whoever has this address; nobody can tell from the outside whether anybody has. Too many at once are passed over."""
        address, token, code_id = email.strip(), new_token(), self.codes.store.ids.new()
        path = f"/reset/{token}"
        sealed = self.codes.seal(path)

        def work(db: sqlite3.Connection) -> None:
            try:
                self.codes.not_too_soon(db, address, Purpose.RESET)
            except TooSoon:
                return
            row = db.execute(BY_EMAIL, email_keys(address)).fetchone()
            row = row if row and row["active"] else None
            user_id = row["user_id"] if row else None
            self.codes.insert(db, code_id, Purpose.RESET, address, {}, token, sealed, user_id)
            if row is None:
                return
            self.codes.store.audit(db, by, "user.reset_asked", row["user_id"])
            if post.mail:
                fields = {"link": post.base_url + path, "minutes": round(LASTS[Purpose.RESET] / 60)}
                self.codes.mail(db, code_id, row["email"], "reset", fields, Purpose.RESET)

        self.codes.store.journal.run(work)
        self.codes.mailed()

    def finish(self, token: str, password: str, *, by: Actor, mail: bool) -> User | None:
        """Sets the password, ends every sign-in and every other link of this person. None when the link is over. Invalid for a bad password."""
        hashed = hash_password(password)

        def work(db: sqlite3.Connection) -> User | None:
            row = self.codes.by_token(db, Purpose.RESET, token)
            if row is None:
                return None
            user = self.codes.users.put_password(db, row["user_id"], hashed, mail=mail)
            self.codes.store.audit(db, by, "user.password_reset", user.user_id)
            return user

        return self.codes.store.write(work)

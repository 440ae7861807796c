"""The second factor of a person: a time-based code of an app (RFC 6238), and recovery codes for the day on which the phone is gone.

The secret is stored sealed, recovery codes only as hashes; each is shown once, and no code is taken twice. It never asks for a password: who may
change a second factor is its caller's question.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.data.credentials import CredentialBox
from app.data.errors import Conflict, Invalid
from app.data.may import refuse_who_is_no_owner
from app.data.notices import second_factor_cleared
from app.data.outbox import Outbox
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import micros

if TYPE_CHECKING:
    from pyotp import TOTP

STEP = 30  # seconds
WINDOW = 1  # steps by which a phone's clock may be off, either way
BEGUN_LASTS = 900.0
"""Seconds within which a new key must be confirmed: one that lay about longer may have been seen by somebody else."""
RECOVERY_CODES = 10
ISSUER = "Tandem"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's 32: nothing that is read as something else
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", " ": None, "-": None})


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is told, once: as a key to type and as the address behind a QR code."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class SecondFactorState:
    on: bool
    begun: bool  # an app has been told the key but has not shown a code yet
    codes_left: int


class SecondFactor:
    """A secret with `totp_step` 0 waits for its first code; from then on the step says which code was the newest that was used."""

    def __init__(self, store: Store, box: CredentialBox, outbox: Outbox) -> None:
        self._store = store
        self._box = box
        self._outbox = outbox

    def is_on(self, user_id: str) -> bool:
        return (
            self._store.readers.one("SELECT 1 FROM users WHERE user_id = ? AND totp IS NOT NULL AND totp_step > 0", (user_id,)) is not None
        )

    def everybody(self) -> frozenset[str]:
        """The ids of all people who have it on."""
        rows = self._store.readers.all("SELECT user_id FROM users WHERE totp IS NOT NULL AND totp_step > 0")
        return frozenset(row["user_id"] for row in rows)

    def state(self, user_id: str, sign_in_id: str | None = None) -> SecondFactorState:
        """`begun` is told to the sign-in that began alone, as the key is."""
        sql = (
            "SELECT totp IS NOT NULL AS told, totp_step > 0 AS used, "
            "(SELECT count(*) FROM recovery_codes r WHERE r.user_id = users.user_id AND used_at IS NULL) AS codes FROM users WHERE user_id = ?"
        )
        row = found(self._store.readers.one(sql, (user_id,)), "user")
        on = bool(row["told"] and row["used"])
        return SecondFactorState(on, not on and self.begun(user_id, sign_in_id) is not None, row["codes"])

    def begin(self, user_id: str, *, by: Actor, sign_in_id: str | None = None) -> Enrolment:
        """A new secret in place of one that was never confirmed. Conflict while the second factor is on. `sign_in_id`: the browser that begins, which
        alone may see the secret again and confirm it; None (an API token, a program): nobody sees it again."""
        import pyotp

        secret = pyotp.random_base32()
        sealed = self._box.seal({"secret": secret, "at": str(self._store.now()), "sign_in": sign_in_id or ""})

        def work(db: sqlite3.Connection) -> str:
            row = _person(db, user_id)
            if row["totp_step"] > 0:
                raise Conflict("the second factor is on already")
            db.execute("UPDATE users SET totp = ?, totp_step = 0 WHERE user_id = ?", (sealed, user_id))
            self._store.audit(db, by, "user.second_factor_begun", user_id)
            return str(row["email"])

        return _enrolment(secret, self._store.journal.run(work))

    def begun(self, user_id: str, sign_in_id: str | None) -> Enrolment | None:
        """What `begin` told this sign-in, for a quarter of an hour and until it is confirmed: a secret in use is never shown again, and one that is
        not yet on never to another browser, which may be in wrong hands."""
        if not sign_in_id:
            return None
        row = self._store.readers.one("SELECT email, totp FROM users WHERE user_id = ? AND totp IS NOT NULL AND totp_step = 0", (user_id,))
        opened = self._box.open(row["totp"]) if row else None
        return _enrolment(opened["secret"], row["email"]) if row and opened and self._fresh(opened, sign_in_id) else None

    def confirm(self, user_id: str, code: str, *, by: Actor, sign_in_id: str | None = None) -> tuple[str, ...]:
        """Switches it on with a first code and gives ten recovery codes, readable this once. Conflict when there is nothing that this sign-in may
        confirm."""
        sealed, steps = self._steps(user_id, code)
        fresh = sealed is not None and self._fresh(self._box.open(sealed), sign_in_id)
        codes = _new_codes()

        def work(db: sqlite3.Connection) -> None:
            row = _person(db, user_id)
            if row["totp_step"] > 0:
                raise Conflict("the second factor is on already")
            if row["totp"] is None or not fresh:
                raise Conflict("this key was made too long ago, or in another browser; begin with a new one")
            if not steps or row["totp"] != sealed:
                raise Invalid.field("code", "is not the code that the app shows now")
            db.execute("UPDATE users SET totp_step = ? WHERE user_id = ?", (max(steps), user_id))
            _replace_codes(db, user_id, codes)
            self._store.audit(db, by, "user.second_factor_on", user_id)

        self._store.write(work)
        return codes

    def check(self, user_id: str, code: str, *, by: Actor) -> bool:
        """Whether this is a good code of the app or a recovery code; what was good is used up when this returns. False where none is on."""
        _, steps = self._steps(user_id, code)
        recovery = _hash(user_id, code)

        def work(db: sqlite3.Connection) -> bool:
            used = _person(db, user_id)["totp_step"]
            if used == 0:
                return False
            newer = [step for step in steps if step > used]
            if newer:
                db.execute("UPDATE users SET totp_step = ? WHERE user_id = ?", (max(newer), user_id))
                return True
            sql = "UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at IS NULL"
            if not db.execute(sql, (self._store.now(), user_id, recovery)).rowcount:
                return False
            left = db.execute("SELECT count(*) FROM recovery_codes WHERE user_id = ? AND used_at IS NULL", (user_id,)).fetchone()[0]
            self._store.audit(db, by, "user.recovery_code_used", user_id, after={"left": left})
            return True

        return self._store.journal.run(work)

    def turn_off(self, user_id: str, *, by: Actor) -> None:
        """The secret and the recovery codes are gone. Conflict when it is not on."""
        self._store.write(lambda db: self._forget(db, user_id, "user.second_factor_off", by))

    def clear(self, user_id: str, *, by: Actor, mail: bool) -> None:
        """As `turn_off`, for somebody else whose phone is lost: audited as that, and told to them in the same transaction. Conflict also when `by`
        is no owner (any more)."""

        def work(db: sqlite3.Connection) -> None:
            refuse_who_is_no_owner(db, by)
            self._forget(db, user_id, "user.second_factor_cleared", by)
            second_factor_cleared(db, self._outbox, user_id, mail=mail)

        self._store.write(work)

    def _forget(self, db: sqlite3.Connection, user_id: str, action: str, by: Actor) -> None:
        if _person(db, user_id)["totp_step"] == 0:
            raise Conflict("there is no second factor")
        db.execute("UPDATE users SET totp = NULL, totp_step = 0 WHERE user_id = ?", (user_id,))
        db.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
        self._store.audit(db, by, action, user_id)

    def new_recovery_codes(self, user_id: str, *, by: Actor) -> tuple[str, ...]:
        """Ten new ones; the old ones are worth nothing. Conflict when the second factor is not on."""
        codes = _new_codes()

        def work(db: sqlite3.Connection) -> None:
            if _person(db, user_id)["totp_step"] == 0:
                raise Conflict("there is no second factor")
            _replace_codes(db, user_id, codes)
            self._store.audit(db, by, "user.recovery_codes_made", user_id)

        self._store.write(work)
        return codes

    def _fresh(self, opened: Mapping[str, str], sign_in_id: str | None) -> bool:
        """Whether it waits still, and for this sign-in."""
        return opened.get("sign_in", "") == (sign_in_id or "") and self._store.now() < int(opened["at"]) + micros(BEGUN_LASTS)

    def _steps(self, user_id: str, code: str) -> tuple[bytes | None, list[int]]:
        """The stored secret, and the time steps about now of which this is the code. Worked out here and not on the writer's thread, which has
        orders to write."""
        row = self._store.readers.one("SELECT totp FROM users WHERE user_id = ?", (user_id,))
        sealed: bytes | None = row["totp"] if row else None
        code = "".join(code.split())  # apps show it as 123 456
        if sealed is None or len(code) != 6 or not (code.isascii() and code.isdecimal()):
            return sealed, []
        app, now = _app(self._box.open(sealed)["secret"]), int(self._store.clock.now()) // STEP
        around = range(now - WINDOW, now + WINDOW + 1)
        return sealed, [step for step in around if hmac.compare_digest(app.generate_otp(step), code)]


def _person(db: sqlite3.Connection, user_id: str) -> sqlite3.Row:
    return found(db.execute("SELECT email, totp, totp_step FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user")


def _app(secret: str) -> TOTP:
    import pyotp

    return pyotp.TOTP(secret, interval=STEP)


def _enrolment(secret: str, email: str) -> Enrolment:
    return Enrolment(secret, _app(secret).provisioning_uri(name=email, issuer_name=ISSUER))


def _new_codes() -> tuple[str, ...]:
    return tuple("-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES))


def _replace_codes(db: sqlite3.Connection, user_id: str, codes: tuple[str, ...]) -> None:
    db.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
    rows = [(user_id, _hash(user_id, code)) for code in codes]
    db.executemany("INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, ?)", rows)


def _hash(user_id: str, code: str) -> str:
    """Eighty random bits need no slow hash. Read as it was meant: capitals, spaces, dashes, a letter O do not matter."""
    meant = code.lower().translate(_READ_AS)
    return hashlib.sha256(f"{user_id}|{meant}".encode(errors="replace")).hexdigest()

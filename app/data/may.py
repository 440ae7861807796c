"""Whether whoever asked for something still may, asked inside the transaction that does it.

A request is let in at the door and written a moment later, after a password was hashed or a slow body has come: its person may have been switched off, or have
another role, by then. The door's answer is not taken for granted where it matters.
"""

from __future__ import annotations

import sqlite3

from app.data.errors import Conflict
from app.data.people import user_row
from app.data.rows import Actor, UserRole
from app.data.store import found


def refuse_who_may_not_trade(db: sqlite3.Connection, user_id: str) -> None:
    """What would let orders out on an account of theirs, or have others trade what they cannot stop. Conflict when they may not trade (any more)."""
    user = user_row(found(db.execute("SELECT * FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user"))
    if not user.active:
        raise Conflict("it stays off: whoever it belongs to was switched off here")
    if not user.may_trade:
        raise Conflict("it stays off: viewers can look but not trade")


def refuse_who_is_no_owner(db: sqlite3.Connection, by: Actor) -> None:
    """What is an owner's to do: other people and the workspace. Conflict when whoever does it is none (any more); the machine and its command line may."""
    if by.user_id is None:
        return
    row = db.execute("SELECT * FROM users WHERE user_id = ?", (by.user_id,)).fetchone()
    user = None if row is None else user_row(row)
    if user is None or not user.active or user.role is not UserRole.OWNER:
        raise Conflict("nothing was changed: only an owner may do that, and you are none any more")

"""Lists in pieces: a cursor is the place of the last row that was shown, so that new rows never shift what follows."""

from __future__ import annotations

from app.data.errors import Invalid

MOST = 500


def check_limit(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise Invalid.field("limit", f"must be from 1 to {MOST}")
    return limit


def place(cursor: str | None) -> int | None:
    """The row after which to go on."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise Invalid.field("cursor", "is not a cursor of this list")
    return int(cursor)

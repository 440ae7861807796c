"""Lists held in memory: filter by field name, newest first, one page at a time. Lists of the database are paged by the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from app.api.wire import BadValue, Page, PageQuery, make_cursor, open_cursor
from app.data import Invalid

Item = TypeVar("Item")
_NOT_FILTERS = frozenset({"limit", "cursor", "source", "flat", "from_", "to"})


def keep(items: Sequence[Item], query: PageQuery, *others: str) -> list[Item]:
    """The items whose fields equal what the query says; fields in `others` are the caller's business."""
    wanted = {
        name: value
        for name in type(query).model_fields
        if name not in _NOT_FILTERS and name not in others and (value := getattr(query, name)) is not None
    }
    return [item for item in items if all(getattr(item, name) == value for name, value in wanted.items())]


def page_of(items: Sequence[Item], query: PageQuery, key: Callable[[Item], tuple[Any, ...]]) -> Page[Item]:
    """One page, the highest `key` (unique for each item) first. The cursor names the last item shown, so a list that changes skips nothing."""
    ordered = sorted(((_name(key(item)), item) for item in items), key=lambda pair: pair[0], reverse=True)
    if query.cursor is not None:
        last = _opened(query.cursor)
        ordered = [pair for pair in ordered if pair[0] < last]
    shown = ordered[: query.limit]
    return Page(items=[item for _, item in shown], next=make_cursor(shown[-1][0]) if len(ordered) > query.limit else None)


def offset_of(cursor: str | None) -> int:
    """What a cursor counts, where a plain count is good enough: in lists that only ever grow at the end that was read already."""
    if cursor is None:
        return 0
    text = _opened(cursor)
    if not text.isdecimal() or len(text) > 12:
        raise Invalid.field("cursor", "is not one of ours")
    return int(text)


def _opened(cursor: str) -> str:
    try:
        return open_cursor(cursor)
    except BadValue as error:
        raise Invalid.field("cursor", str(error)) from error


def _name(key: tuple[Any, ...]) -> str:
    return "\x1f".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in key)

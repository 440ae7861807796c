"""CSV of whole lists: every page of the filtered list, not only what is on the screen, up to a bound.

Text that a spreadsheet would run as a formula is defused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Response

from app.pages import format as fmt
from engines.core.prices import readable

MOST_ROWS = 20_000
PAGE = 500
EXACT = 8  # places of a quantity or a price; what has more is an average


def every(read: Callable[[dict[str, str]], Any], args: dict[str, str], most: int = MOST_ROWS) -> Iterator[Any]:
    """All items of a list that `read` gives page by page."""
    asked = {**args, "limit": str(PAGE)}
    asked.pop("cursor", None)
    count = 0
    while True:
        found = read(asked)
        for item in found.items:
            if count == most:
                return
            count += 1
            yield item
        if not found.next:
            return
        asked = {**asked, "cursor": found.next}


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        exact = -int(value.as_tuple().exponent) <= EXACT
        return f"{value if exact else readable(value):f}"
    if isinstance(value, datetime):
        return fmt.iso(value)
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def text(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def answer(name: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Response:
    return Response(
        text(columns, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="tandem-{name}.csv"', "Cache-Control": "no-store"},
    )

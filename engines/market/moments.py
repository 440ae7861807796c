"""Reads the times of market files: ISO, seconds since 1970 in any unit, and days as people write them, with or without a zone.

Whether 03/04 is a day in March or in April is never guessed from one row: the whole file decides, and whoever reads it is told.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from engines.core.model import Timestamp

_MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_WRITTEN = re.compile(
    r"(?P<a>\d{1,4})(?P<sep>[-/. ])(?P<b>\d{1,2}|[A-Za-z]{3,9})(?P=sep)(?P<c>\d{2}|\d{4})"
    r"(?:[ T,]+(?P<clock>\d{1,2}(?::\d{2}){1,2}(?:\.\d{1,9})?|\d{4}|\d{6})\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?",
    re.ASCII,
)
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_MOST_KEPT = 100_000


def is_moment(text: str) -> bool:
    try:
        MomentReader()(text, 0)
    except ValueError:
        return False
    return True


def order_of(text: str) -> bool | None:
    """What one written day proves: True: the day stands first; False: the month; None: nothing (it could be both, or says so by itself)."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or len(found["a"]) > 2 or not found["b"].isdigit():
        return None
    if int(found["a"]) > 12:
        return True
    return False if int(found["b"]) > 12 else None


def is_ambiguous(text: str) -> bool:
    """Whether the order of day and month matters for this text."""
    found = _WRITTEN.fullmatch(text.strip())
    return found is not None and len(found["a"]) <= 2 and found["b"].isdigit()


class MomentReader:
    """(text, seconds the market is ahead of UTC) → seconds since 1970. ValueError for what is not a time.

    `zone`: of times without an offset, where that is not the market's. `day_first`: the order of days such as 03/04/2026.
    """

    def __init__(self, zone: ZoneInfo | None = None, *, day_first: bool = True) -> None:
        self._zone: tzinfo | None = zone
        self._day_first = day_first
        self._known: dict[tuple[str, int], Timestamp] = {}

    def __call__(self, text: str, offset: int) -> Timestamp:
        known = self._known.get((text, offset))  # forty instruments share their times
        if known is None:
            known = self._read(text, offset)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[text, offset] = known
        return known

    def _read(self, text: str, offset: int) -> Timestamp:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            written = _WRITTEN.fullmatch(text.strip())
            if written is None:
                return _epoch(text)
            moment = self._written(written, text)
        if moment.tzinfo is not None:
            return moment.timestamp()
        if self._zone is not None:
            return moment.replace(tzinfo=self._zone).timestamp()
        return moment.replace(tzinfo=UTC).timestamp() - offset

    def _written(self, found: re.Match[str], text: str) -> datetime:
        a, b, c = found["a"], found["b"], found["c"]
        month = _MONTHS.get(b[:3].lower()) if not b.isdigit() else int(b)
        if len(a) == 4:
            year, day = int(a), int(c)
        elif len(a) <= 2:
            year, day = int(c) + (2000 if len(c) == 2 else 0), int(a)
            if b.isdigit() and not self._day_first:
                day, month = int(b), int(a)
        else:
            raise _not_a_time(text)
        try:
            return datetime(year, month or 0, day, *_clock(found["clock"], found["half"]))  # noqa: DTZ001 - the zone follows
        except ValueError:
            raise _not_a_time(text) from None


def _clock(text: str | None, half: str | None) -> tuple[int, int, int, int]:
    if text is None:
        return 0, 0, 0, 0
    if ":" not in text:
        text = ":".join(text[n : n + 2] for n in range(0, len(text), 2))
    whole, _, fraction = text.partition(".")
    hour, minute, second = (*map(int, whole.split(":")), 0)[:3]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return hour, minute, second, int(fraction[:6].ljust(6, "0")) if fraction else 0


def _epoch(text: str) -> Timestamp:
    try:
        number = float(text)
    except ValueError:
        raise _not_a_time(text) from None
    for unit in _UNITS:
        if 1e8 <= number / unit < 1e10:  # 1973 to 2286
            return number / unit
    raise _not_a_time(text)


def _not_a_time(text: str) -> ValueError:
    return ValueError(f"not a time: {text.strip()[:60]!r}")

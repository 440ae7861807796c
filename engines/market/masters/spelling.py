"""How Kite spells contracts, which is how we spell them: NIFTY2690124350PE (weekly), BANKNIFTY26AUG57500CE (monthly), NIFTY26AUGFUT.

A monthly name holds no day, so whether an expiry is its month's last comes from the list of expiries, never from weekdays. Reading a name back is for
display and for imports; an order's instrument is always looked up.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from typing import NamedTuple

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LETTERS = "123456789OND"  # of a weekly name
_NAME = re.compile(
    r"(?P<name>.+?)(?P<year>\d\d)(?:(?P<month>" + "|".join(MONTHS) + r")|(?P<letter>[1-9OND])(?P<day>\d\d))"
    r"(?:FUT|(?P<strike>\d+(?:\.\d+)?)(?P<type>CE|PE))"
)


class Spelled(NamedTuple):
    """A contract's name taken apart. `day` None: the month's last expiry, whose day only the list knows."""

    underlying: str
    year: int
    month: int
    day: int | None
    strike: Decimal | None
    option_type: str | None


def contract_name(underlying: str, expiry: str, strike: Decimal | None, option_type: str | None, *, monthly: bool) -> str:
    """`expiry` as an ISO date; without a strike it is a future, and those are named by their month always."""
    year, month, day = expiry[2:4], int(expiry[5:7]), expiry[8:10]
    if strike is None or option_type is None:
        return f"{underlying}{year}{MONTHS[month - 1]}FUT"
    when = f"{year}{MONTHS[month - 1]}" if monthly else f"{year}{_LETTERS[month - 1]}{day}"
    return f"{underlying}{when}{strike:f}{option_type}"


def read_name(name: str, underlyings: Collection[str] = ()) -> Spelled | None:
    """None for what is not a contract's name. Names of underlyings may end in digits (NIFTYNXT50, 360ONE): with the known ones given, the longest
    that fits is meant."""
    for length in range(len(name) - 1, 0, -1):
        if name[:length] in underlyings and (rest := _NAME.fullmatch("X" + name[length:])) is not None and rest["name"] == "X":
            return _spelled(name[:length], rest)
    found = _NAME.fullmatch(name)
    return _spelled(found["name"], found) if found else None


def _spelled(underlying: str, found: re.Match[str]) -> Spelled:
    month = MONTHS.index(found["month"]) + 1 if found["month"] else _LETTERS.index(found["letter"]) + 1
    day = int(found["day"]) if found["day"] else None
    strike = Decimal(found["strike"]) if found["strike"] else None
    return Spelled(underlying, 2000 + int(found["year"]), month, day, strike, found["type"])

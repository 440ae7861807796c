"""What people are told: the events they may choose from, one message as data, and when it may be sent.

Pure: nothing here knows how a message travels or looks on Discord, Telegram or in a mail. A message is frozen when it is told, so that what arrives
late still says what was true then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engines.core.model import Timestamp


class Event(StrEnum):
    """What a person chooses for each destination."""

    ORDERS = "orders"  # filled, cancelled, expired, not placed
    REJECTIONS = "rejections"  # rejected by the broker, or unknown
    SUMMARIES = "summaries"  # what became of a signal on all accounts
    DAY = "day"  # the books of the day
    LIMITS = "limits"  # 80 % and 100 % of a day limit, a combined rule that has left
    LOGINS = "logins"  # an account must be signed in again
    FEED = "feed"  # no prices
    HALTS = "halts"  # stops, kill switches, lifts
    DIFFERENCES = "differences"  # our books and the broker's differ
    TROUBLE = "trouble"  # a thread, the database, a strategy
    PEOPLE = "people"  # shares, consents, sign-ins from somewhere new


URGENT = frozenset({Event.HALTS, Event.LOGINS, Event.FEED, Event.DIFFERENCES, Event.TROUBLE, Event.REJECTIONS})
"""What is told in quiet hours as well, unless a person wants real quiet."""


class Tone(StrEnum):
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"  # partial, unknown
    INFO = "info"
    MUTED = "muted"  # skipped, over


@dataclass(frozen=True, slots=True)
class Line:
    """One named value of a message: `short` ones stand side by side."""

    name: str
    value: str
    short: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that one person is told. `title`, `text` and `lines` are plain words without markup; `thread` groups what belongs to one signal."""

    message_id: int
    kind: str  # "order" | "signal" | "day" | "halt" | "lift" | "kill" | an incident's kind | "test"
    event: Event | None  # None: sent whatever was chosen (a test)
    at: Timestamp
    title: str
    tone: Tone
    text: str = ""
    lines: tuple[Line, ...] = ()
    footer: str = ""
    thread: str = ""
    mode: str = ""  # "paper" | "live" | "" where no account is meant
    covers: int = 0  # a summary that holds every order's last word: the number of the newest message there was then; 0: it does not


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of a day, in a zone, in which only what is urgent is told; `start` may lie behind `end` (over midnight). `strict`: not even that."""

    start: str  # "22:00"
    end: str  # "07:00"
    zone: str = "Asia/Kolkata"
    strict: bool = False

"""The day's timetable as pure rules: until when an account may enter, when its intraday positions are squared off, and which jobs a day has.

An account's times hold on an ordinary day; on a day with hours of its own they move with its opening and close. It reads no clock and begins no job.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from engines.core.model import Account, DayRules, Instrument, Product, RunState, Timestamp
from engines.core.sessions import DAY, HOME_EXCHANGE, Calendar, midnight, session_day

AUCTION_HOURS = "NSE:CAS"
"""The calendar's row for shares whose continuous trading ends with the closing auction."""
LATEST = 5 * 60
"""A square-off begins at least these seconds before its segment closes, whatever an account asks for: it needs time to try again."""
COMMODITIES_BEFORE = 25 * 60
"""Commodities are squared off these seconds before their close (what brokers do); the account's times are those of shares and their derivatives."""
LOG_INS_AT = (8 * 60 + 15) * 60
"""08:15 IST: after the brokers have ended yesterday's sessions for good (06:00, some as late as 07:30), an hour before the opening."""
LOG_INS_BEFORE = 15 * 60
"""On a day that opens early, log-ins begin these seconds before the opening at the latest."""
INSTRUMENTS_AT = 9 * 3600
"""09:00 IST: the day's lists are out since about 08:30, and the opening is a quarter of an hour away."""
BOOKS_AFTER = 10 * 60
"""The day's books are written these seconds after the last close, when the last fills have been told."""


class Segment(StrEnum):
    """What is squared off at one time."""

    AUCTION = "auction"  # shares with futures, since August 2026
    CASH = "cash"  # other shares
    DERIVATIVES = "derivatives"
    COMMODITIES = "commodities"


CLOSES_WITH = {
    Segment.AUCTION: AUCTION_HOURS,
    Segment.CASH: HOME_EXCHANGE,
    Segment.DERIVATIVES: "NFO",
    Segment.COMMODITIES: "MCX",
}
"""The calendar's row that says when a segment closes, where it is asked about as a whole."""
SEEN = (HOME_EXCHANGE, "BSE", "NFO", "BFO")
"""Exchanges whose close ends the trading day."""


class JobKind(StrEnum):
    DAY_START = "day_start"
    LOG_INS = "log_ins"
    INSTRUMENTS = "instruments"
    SQUARE_OFF = "square_off"
    END_OF_DAY = "end_of_day"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that a day's timetable asks for. It may begin from `at` on, and is skipped when it could not before `until` (infinite: any time later).
    `name` is unique within its day."""

    name: str
    kind: JobKind
    day: str
    at: Timestamp
    until: Timestamp = math.inf
    account_id: str | None = None
    segment: Segment | None = None


class Ended(NamedTuple):
    """What became of a job. `acted`: it has changed something since it was begun or taken up again."""

    state: RunState
    detail: str
    acted: bool = True


# --- which hours ---------------------------------------------------------------------------------------------------


def hours_of(instrument: Instrument) -> str:
    """The calendar's row for an instrument."""
    return AUCTION_HOURS if instrument.auction and instrument.exchange == HOME_EXCHANGE else instrument.exchange


def segment_of(instrument: Instrument) -> Segment | None:
    """What an instrument is squared off with; None: its market never closes (crypto). An index counts as a derivative: it stands for its futures."""
    if instrument.exchange in ("MCX", "CDS"):
        return Segment.COMMODITIES
    if instrument.exchange not in SEEN:
        return None
    if instrument.segment in ("FUT", "OPT", "INDEX") or instrument.exchange in ("NFO", "BFO"):
        return Segment.DERIVATIVES
    return Segment.AUCTION if hours_of(instrument) == AUCTION_HOURS else Segment.CASH


def keeps_hours(account: Account, own_hours: Collection[str] = ()) -> bool:
    """Whether the market's hours bind an account: live ones (except at brokers with hours of their own, which are emulators) and paper with session hours."""
    return (account.live and account.broker not in own_hours) or account.paper.session_hours


def trades_on(account: Account, exchanges: Collection[str], own_hours: Collection[str] = ()) -> bool:
    """Whether an account may still trade when the trading day is over: where no hours bind it, and in coins, commodities and currencies.
    `exchanges`: those of what it holds or has traded."""
    return not keeps_hours(account, own_hours) or account.broker.startswith("binance") or any(each not in SEEN for each in exchanges)


def binds(account: Account, own_hours: Collection[str] = ()) -> bool:
    """Whether an account's day rules hold: as it says, else as it keeps the market's hours."""
    keep = account.day_rules.keep
    return keeps_hours(account, own_hours) if keep is None else keep


# --- an account's times ----------------------------------------------------------------------------------------------


def square_off_at(rules: DayRules, instrument: Instrument, day: str, calendar: Calendar) -> Timestamp | None:
    """When an intraday position in this instrument is squared off on an ISO date; None: never (not asked for, no trading, a market that never closes)."""
    segment = segment_of(instrument)
    return None if segment is None else _square_off(rules, segment, hours_of(instrument), day, calendar)


def entry_window(rules: DayRules, instrument: Instrument, day: str, calendar: Calendar) -> tuple[Timestamp, Timestamp] | None:
    """From when until when (exclusive) an intraday entry is allowed on an ISO date; None: no trading that day. All day where the market never closes."""
    segment = segment_of(instrument)
    if segment is None:
        start = midnight(day, instrument.exchange)
        return start, start + DAY
    return segment_window(rules, segment, day, calendar, hours_of(instrument))


def segment_window(
    rules: DayRules, segment: Segment, day: str, calendar: Calendar, hours: str | None = None
) -> tuple[Timestamp, Timestamp] | None:
    """The same for a segment as a whole, by the `hours` of its usual row of the calendar or of another."""
    row = hours or CLOSES_WITH[segment]
    start, windows = midnight(day, row), calendar.windows(day, row)
    if not windows:
        return None
    usual = calendar.ordinary(day, row)
    opens, closes = windows[0][0], windows[-1][1]
    first = opens
    if rules.first_entry is not None:  # keeps its distance from the opening
        first = min(max(opens + seconds(rules.first_entry) - usual[0], opens), closes)
    last = closes
    if rules.last_entry is not None:
        last = max(opens, min(closes - (usual[1] - seconds(rules.last_entry)), closes))
    leaves = _square_off(rules, segment, row, day, calendar)
    return start + first, min(start + last, start + closes if leaves is None else leaves)


def why_no_entry(rules: DayRules, instrument: Instrument, product: Product, at: Timestamp, calendar: Calendar) -> str:
    """In words why an account whose day rules hold (`binds`) takes no entry at this moment; empty: it does. Only intraday (MIS) entries are bound."""
    if product is not Product.MIS or segment_of(instrument) is None:
        return ""
    return outside(entry_window(rules, instrument, session_day(at, instrument.exchange), calendar), instrument.exchange, at)


def outside(window: tuple[Timestamp, Timestamp] | None, exchange: str, at: Timestamp) -> str:
    """In words how a moment lies outside an entry window; empty: it does not."""
    if window is None:
        return "the market does not trade today"
    first, end = window
    if at < first:
        return f"no intraday entry before {clock(first, exchange)}"
    if at >= end:
        return f"no intraday entry from {clock(end, exchange)} on"
    return ""


def segment_square_off(rules: DayRules, segment: Segment, day: str, calendar: Calendar) -> Timestamp | None:
    """`square_off_at` for a segment as a whole."""
    return _square_off(rules, segment, CLOSES_WITH[segment], day, calendar)


def _square_off(rules: DayRules, segment: Segment, row: str, day: str, calendar: Calendar) -> Timestamp | None:
    windows = calendar.windows(day, row)
    if not rules.square_off or not windows or row not in calendar.hours:
        return None
    opens, closes = windows[-1]
    if segment is Segment.COMMODITIES:
        asked = closes - COMMODITIES_BEFORE
    else:
        wanted = rules.square_off_derivatives if segment is Segment.DERIVATIVES else rules.square_off_cash
        asked = closes - (calendar.ordinary(day, row)[1] - seconds(wanted))
    return midnight(day, row) + max(opens, min(asked, closes - LATEST))


# --- the jobs of a day -----------------------------------------------------------------------------------------------


def jobs_of(
    day: str,
    calendar: Calendar,
    accounts: Iterable[Account],
    own_hours: Collection[str] = (),
    segments: Collection[Segment] = (Segment.AUCTION, Segment.CASH, Segment.DERIVATIVES),
) -> tuple[Job, ...]:
    """Everything that an Indian calendar day asks for, in order of time. `segments`: those that have instruments here."""
    start = midnight(day, HOME_EXCHANGE)
    jobs = [
        Job(JobKind.DAY_START, JobKind.DAY_START, day, start, start + DAY),
        Job(JobKind.INSTRUMENTS, JobKind.INSTRUMENTS, day, start + INSTRUMENTS_AT, start + DAY),
    ]
    trading = [windows for exchange in SEEN if exchange in calendar.hours and (windows := calendar.windows(day, exchange))]
    last = max((windows[-1][1] for windows in trading), default=DAY)
    if trading:
        opens = min(windows[0][0] for windows in trading)
        jobs.append(Job(JobKind.LOG_INS, JobKind.LOG_INS, day, start + max(0, min(LOG_INS_AT, opens - LOG_INS_BEFORE)), start + last))
        for account in accounts:
            if account.enabled and binds(account, own_hours):
                jobs += _square_offs(day, account, calendar, segments)
    jobs.append(Job(JobKind.END_OF_DAY, JobKind.END_OF_DAY, day, start + min(DAY - 1, last + BOOKS_AFTER)))
    return tuple(sorted(jobs, key=lambda job: (job.at, job.name)))


def _square_offs(day: str, account: Account, calendar: Calendar, segments: Collection[Segment]) -> list[Job]:
    jobs = []
    for segment in sorted(segments):
        row = CLOSES_WITH[segment]
        at = segment_square_off(account.day_rules, segment, day, calendar)
        if at is not None:
            close = midnight(day, row) + calendar.windows(day, row)[-1][1]
            name = f"{JobKind.SQUARE_OFF}:{account.account_id}:{segment}"
            jobs.append(Job(name, JobKind.SQUARE_OFF, day, at, close, account.account_id, segment))
    return jobs


# --- times as text ---------------------------------------------------------------------------------------------------


def seconds(text: str) -> int:
    """HH:MM as seconds since midnight. Raises ValueError with words for a form."""
    hours, colon, minutes = text.partition(":")
    if not (colon and len(hours) == 2 and len(minutes) == 2 and (hours + minutes).isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"{text!r} is not a time of day; write it like 15:10")
    return int(hours) * 3600 + int(minutes) * 60


def clock(at: Timestamp, exchange: str) -> str:
    """HH:MM of a moment in the market's zone."""
    minutes = int(at - midnight(session_day(at, exchange), exchange)) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"

"""The timetable of a day as a person sees it: the machine's jobs are everybody's, an account's square-off is its owner's alone."""

from __future__ import annotations

import math

from app.api.calendar.service import hours, today, warnings
from app.api.pages import page_of
from app.api.timetable.schemas import (
    AccountTimesOut,
    DayBookOut,
    DayBookQuery,
    JobOut,
    RunAnswer,
    SegmentTimesOut,
    TimetableOut,
    TimetableQuery,
)
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, Conflict, Invalid, NotFound, User, UserRole
from app.workspace import workspace
from engines.core.model import Account, DayBook, JobRun
from engines.core.sessions import HOME_EXCHANGE, next_trading_day, trades_on
from engines.core.timetable import JobKind, Segment, segment_square_off, segment_window
from engines.day.clock import CannotRunNow, Entry

_SEGMENTS = (Segment.AUCTION, Segment.CASH, Segment.DERIVATIVES)


def get_timetable(user: User, query: TimetableQuery) -> TimetableOut:
    system, now = workspace().system, today()
    calendar, day = system.hours.calendar, query.day or now
    try:
        trading = trades_on(day, HOME_EXCHANGE, calendar)
    except ValueError as error:
        raise Invalid.field("day", "is not a date") from error
    own = calendar.changed(day, HOME_EXCHANGE)
    mine = workspace().owners.account_ids(user.user_id)
    accounts = [desk.account for desk in system.roster.desks() if desk.account.account_id in mine and desk.account.enabled]
    return TimetableOut(
        day=day,
        today=day == now,
        trading=trading,
        note=own.note if own is not None else calendar.names.get(day, ""),
        now=moment(system.clock.now()),
        next_trading_day=next_trading_day(now, HOME_EXCHANGE, calendar),
        warnings=warnings(calendar, now),
        hours=hours(calendar, day, of_the_day=True),
        jobs=_jobs(user, day, now),
        accounts=[_times(account, day) for account in accounts] if trading and day >= now else [],
    )


def run_now(user: User, job: str, by: Actor) -> RunAnswer:
    system = workspace().system
    try:
        system.day.run_now(job)
    except LookupError:
        raise NotFound("There is no such job.") from None
    except CannotRunNow as error:
        raise Conflict(str(error)) from error
    workspace().data.audit.add(by, "job.run", "job", job, after={"by": user.user_id})
    return RunAnswer(job=job, state="started", detail="begins now")


def list_day_books(user: User, query: DayBookQuery) -> Page[DayBookOut]:
    books = workspace().data.day_books.list(user.user_id, since=query.since, until=query.until, account_id=query.account_id)
    return page_of([book_out(book) for book in books], query, lambda book: (book.day, book.account_id))


def book_out(book: DayBook) -> DayBookOut:
    same = (
        "account_id",
        "day",
        "realised",
        "charges",
        "unrealised",
        "equity",
        "trades",
        "fills",
        "turnover",
        "wins",
        "losses",
        "best",
        "worst",
    )
    more = ("denied", "rejected", "open_positions")
    fields = {name: getattr(book, name) for name in (*same, *more)}
    return DayBookOut(**fields, net=book.realised - book.charges, at=moment(book.at))


def _jobs(user: User, day: str, now: str) -> list[JobOut]:
    mine = set(workspace().owners.account_ids(user.user_id))
    if day >= now:
        entries = workspace().system.day.entries(day)
        shown = [_planned(entry, user, day == now) for entry in entries]
    else:
        shown = [_recorded(run) for run in workspace().data.day_books.jobs(day)]
    told = [job for job in shown if job.account_id is None or job.account_id in mine]
    return told if user.role is UserRole.OWNER else [_without_words(job) for job in told]


def _without_words(job: JobOut) -> JobOut:
    """What came of the machine's jobs counts everybody's accounts: that is for owners."""
    return job if job.account_id is not None else job.model_copy(update={"detail": "", "by_hand": ""})


def _planned(entry: Entry, user: User, is_today: bool) -> JobOut:
    job, run = entry.job, entry.run
    waiting = "due" if job.at <= workspace().system.clock.now() else "planned"
    return JobOut(
        job=job.name,
        kind=job.kind,
        account_id=job.account_id,
        segment=job.segment,
        planned_at=moment(job.at),
        until=None if math.isinf(job.until) else moment(job.until),
        state=run.state.value if run else waiting,
        at=moment_or_none(run.at if run else None),
        detail=run.detail if run else "",
        by_hand=_by_hand(entry.by_hand),
        may_run_now=entry.may_run_now and is_today and user.role is UserRole.OWNER,
    )


def _by_hand(asked: JobRun | None) -> str:
    return "" if asked is None else asked.detail if asked.state.value != "started" else "running, by hand"


def _recorded(run: JobRun) -> JobOut:
    kind, _, rest = run.job.partition(":")
    account_id, _, segment = rest.partition(":")
    return JobOut(
        job=run.job,
        kind=kind if kind in list(JobKind) else "job",
        account_id=account_id or None,
        segment=segment or None,
        planned_at=moment(run.planned_at),
        until=None,
        state=run.state.value,
        at=moment(run.at),
        detail=run.detail,
        by_hand="",
        may_run_now=False,
    )


def _times(account: Account, day: str) -> AccountTimesOut:
    system = workspace().system
    keeps = system.hours.binds(account)
    rules, calendar = account.day_rules, system.hours.calendar
    if rules.keep is None:
        why = "keeps the market's hours" if keeps else "trades at any hour"
    else:
        why = "as set on the account"
    segments = []
    for segment in _SEGMENTS if keeps else ():
        window = segment_window(rules, segment, day, calendar)
        leaves = segment_square_off(rules, segment, day, calendar)
        segments.append(
            SegmentTimesOut(
                segment=segment,
                first_entry=moment_or_none(window[0] if window else None),
                last_entry=moment_or_none(window[1] if window else None),
                square_off=moment_or_none(leaves),
            )
        )
    return AccountTimesOut(account_id=account.account_id, keeps=keeps, why=why, segments=segments)

"""The day of a trading system: the clock of its timetable with the jobs that the engines do themselves. The launcher adds those that need the app.

It decides nothing: what is due is said by `core.timetable`, what has run by the record.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from engines.core.model import JobRun
from engines.core.sessions import DAY, HOME_EXCHANGE, exchange_of, midnight
from engines.core.timetable import Job, JobKind, jobs_of, trades_on
from engines.day.clock import AtOnce, DayClock
from engines.execution.square_off import SquareOff

if TYPE_CHECKING:
    from engines.execution.desk import Desk
    from engines.system import TradingSystem


def day_of(system: TradingSystem) -> DayClock:
    def timetable(day: str) -> Sequence[Job]:
        return jobs_of(day, system.hours.calendar, [desk.account for desk in system.roster.desks()], system.settings.own_hours)

    def changed(job: Job, run: JobRun) -> None:
        owner = system.roster.owner_of(job.account_id) if job.account_id else None
        system.notifier.publish("job", owner, {"job": run.job, "day": run.day, "state": run.state.value})

    day = DayClock(clock=system.clock, journal=system.journal, timetable=timetable, on_trouble=system.trouble, on_change=changed)
    day.register(JobKind.DAY_START, AtOnce(lambda job: begin_day(system, job)))
    squares_off = SquareOff(system.roster.desk, system.roster.lane, system.instruments.get, system.exit_desk, system.trouble)
    day.register(JobKind.SQUARE_OFF, squares_off)
    return day


def begin_day(system: TradingSystem, job: Job) -> str:
    """The day's limits begin anew (each desk sees to that by itself too); said when the calendar does not know the year."""
    desks = system.roster.desks()
    for desk in desks:
        desk.open_day(system.clock.now(), HOME_EXCHANGE)
    calendar = system.hours.calendar
    if calendar.hours and not calendar.knows(job.day):
        year = job.day[:4]
        system.incident_log.raise_(
            "calendar_unknown", "warning", f"The holidays of {year} are not known: put them into the calendar", about=year
        )
    return f"the limits of {len(desks)} account{'' if len(desks) == 1 else 's'} begin anew"


def finished(system: TradingSystem, job: Job) -> Collection[str] | None:
    """Accounts of people who have done with the day when its books are written; None: everybody has. Before its moment, by hand, nobody has, and
    whoever has an account that trades on has once the day turns."""
    now = system.clock.now()
    if now < job.at:
        return ()
    if now >= midnight(job.day, HOME_EXCHANGE) + DAY:
        return None
    desks = system.roster.desks()
    own_hours = system.settings.own_hours
    on = {desk.account.user_id for desk in desks if desk.account.enabled and trades_on(desk.account, _exchanges(desk), own_hours)}
    return {desk.account.account_id for desk in desks if desk.account.user_id not in on}


def _exchanges(desk: Desk) -> set[str]:
    """Where it holds or has traded something, or has an order waiting."""
    with desk.lock:
        return {exchange_of(key.symbol) for key in desk.books} | {exchange_of(order.symbol) for order in desk.live_orders()}

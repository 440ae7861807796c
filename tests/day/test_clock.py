"""Each job of the day runs once: at its time, caught up after a stop, never twice, and on record before it acts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pytest

from engines.core.facts import JobChanged
from engines.core.model import Account, DayRules, JobRun, RunState
from engines.core.sessions import load_calendar
from engines.core.timetable import Ended, Job, JobKind, clock, jobs_of
from engines.day import waker as waker_module
from engines.day.clock import AtOnce, CannotRunNow, DayClock
from engines.day.waker import Waker
from engines.ports import SystemClock
from tests.execution.house import MemoryJournal

ACCOUNT = Account("A1", "U1", "Asha", "paper", Decimal(1), day_rules=DayRules(keep=True))
FRIDAY = "2026-11-20"
PATIENCE = 30.0


def at(text: str, day: str = FRIDAY) -> float:
    return datetime.fromisoformat(f"{day}T{text}+05:30").timestamp()


class HandClock:
    """Wall time that a test sets; the steady time goes with it unless the wall alone is put forward or back."""

    def __init__(self, text: str, day: str = FRIDAY) -> None:
        self.wall = at(text, day)

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.wall


@dataclass
class Slow:
    """A runner whose work ends when the test says so, and which may stand guard."""

    began: list[str] = field(default_factory=list)
    over: bool = True
    stands: bool = False
    asked: list[float] = field(default_factory=list)

    def begin(self, job: Job) -> Slow:
        self.began.append(job.name)
        return self

    def step(self, now: float) -> Ended | None:
        self.asked.append(now)
        return Ended(RunState.DONE, "flat", acted=False) if self.over else None

    def missed(self, job: Job) -> str:
        return "too late"


class Desk:
    """A day clock with every job of a trading day noted as it runs."""

    def __init__(self, text: str = "00:00", day: str = FRIDAY, journal: MemoryJournal | None = None) -> None:
        self.clock = HandClock(text, day)
        self.journal = journal or MemoryJournal()
        self.ran: list[tuple[str, str]] = []
        self.trouble: list[str] = []
        self.fails: set[JobKind] = set()
        self.day = DayClock(
            clock=self.clock,
            journal=self.journal,
            timetable=lambda day: jobs_of(day, load_calendar(), [ACCOUNT]),
            on_trouble=lambda kind, severity, message, account_id: self.trouble.append(kind),
            on_change=lambda job, run: None,
        )
        for kind in JobKind:
            self.day.register(kind, AtOnce(self.run))
        self.day.restore(self.journal.load(0.0).job_runs)

    def run(self, job: Job) -> str:
        if job.kind in self.fails:
            raise RuntimeError("no")
        self.ran.append((job.day[-2:] + " " + clock(self.clock.now(), "NSE"), job.name))
        return "done"

    def to(self, text: str, day: str = FRIDAY, every: float = 600.0) -> Desk:
        """Let time pass."""
        end = at(text, day)
        while self.clock.wall < end:
            self.day.step()
            self.clock.wall = min(end, self.clock.wall + every)
        self.day.step()
        return self

    def restart(self) -> Desk:
        again = Desk(journal=self.journal)
        again.clock.wall = self.clock.wall
        return again

    def jobs(self) -> list[str]:
        return [name for _, name in self.ran]

    def states(self) -> dict[tuple[str, str], RunState]:
        return {(run.day, run.job): run.state for run in self.journal.load(0.0).job_runs}


WHOLE_DAY = [
    ("20 00:00", "day_start"),
    ("20 08:15", "log_ins"),
    ("20 09:00", "instruments"),
    ("20 15:10", "square_off:A1:auction"),
    ("20 15:10", "square_off:A1:cash"),
    ("20 15:15", "square_off:A1:derivatives"),
    ("20 15:50", "end_of_day"),
]


def test_a_whole_day_runs_every_job_once_at_its_time() -> None:
    desk = Desk().to("23:59:59", every=60.0)
    assert desk.ran == WHOLE_DAY
    assert set(desk.states().values()) == {RunState.DONE}


def test_the_next_moment_is_known_so_that_nobody_needs_to_look_all_the_time() -> None:
    desk = Desk("07:00").to("07:00")
    moments = []
    while desk.day.next_at < at("23:00"):
        desk.clock.wall = desk.day.next_at
        moments.append(clock(desk.clock.wall, "NSE"))
        desk.day.step()
    assert moments == ["08:15", "09:00", "15:10", "15:15", "15:50"]
    assert [name for _, name in desk.ran] == [name for _, name in WHOLE_DAY]


def test_a_restart_runs_nothing_a_second_time() -> None:
    first = Desk().to("23:50")
    again = first.restart().to("23:59:59")
    assert again.ran == []


def test_a_restart_at_15_14_catches_up_the_square_off_of_15_10_and_that_of_15_15_is_still_to_come() -> None:
    before = Desk().to("15:05")
    late = before.restart()
    late.clock.wall = at("15:14")
    late.day.step()
    assert late.jobs() == ["square_off:A1:auction", "square_off:A1:cash"]
    late.to("15:16", every=30.0)
    assert late.jobs()[2:] == ["square_off:A1:derivatives"]


@pytest.mark.parametrize(
    ("up_at", "run", "skipped"),
    [
        ("15:16", ["square_off:A1:cash", "square_off:A1:derivatives"], ["square_off:A1:auction"]),  # auction shares closed at 15:15
        ("15:35", ["square_off:A1:derivatives"], ["square_off:A1:auction", "square_off:A1:cash"]),
        ("15:45", [], ["square_off:A1:auction", "square_off:A1:cash", "square_off:A1:derivatives"]),
        ("17:00", ["end_of_day"], ["square_off:A1:auction", "square_off:A1:cash", "square_off:A1:derivatives"]),
    ],
)
def test_what_a_late_restart_catches_up_and_what_has_passed_for_good(up_at: str, run: list[str], skipped: list[str]) -> None:
    late = Desk().to("15:05").restart()
    late.clock.wall = at(up_at)
    late.day.step()
    assert late.jobs() == run
    assert sorted(name for (_, name), state in late.states().items() if state is RunState.SKIPPED) == skipped


def test_yesterdays_books_are_closed_today_when_they_were_not() -> None:
    late = Desk().to("15:05").restart()
    late.clock.wall = at("08:00", "2026-11-21")
    late.day.step()
    assert [name for _, name in late.ran] == ["end_of_day", "day_start"]
    assert late.states()[FRIDAY, "square_off:A1:cash"] is RunState.SKIPPED
    assert late.restart().to("08:10", "2026-11-21").ran == []


def test_a_first_start_has_no_yesterday() -> None:
    desk = Desk("10:00").to("10:00")
    assert desk.jobs() == ["day_start", "log_ins", "instruments"]
    assert {day for day, _ in desk.states()} == {FRIDAY}


def test_a_clock_put_forward_loses_no_job_and_one_put_back_runs_none_twice() -> None:
    desk = Desk().to("14:00")
    desk.clock.wall = at("15:20")  # forward over two square-offs; auction shares are closed by now
    desk.day.step()
    desk.clock.wall = at("13:00")  # and back
    desk.to("23:59:59", every=60.0)
    assert sorted(desk.jobs()) == sorted(name for _, name in WHOLE_DAY)
    assert set(desk.states().values()) == {RunState.DONE}  # also what had been given up while the clock was ahead


def test_a_clock_put_back_over_midnight_begins_no_earlier_day_again() -> None:
    desk = Desk().to("23:59:59").to("00:10", "2026-11-21")
    count = len(desk.ran)
    desk.clock.wall = at("23:00")
    desk.to("00:30", "2026-11-21")
    assert len(desk.ran) == count


def test_who_stands_guard_is_asked_until_the_last_moment_also_when_the_clock_was_put_back() -> None:
    desk, guard = Desk("15:09"), Slow(stands=True)
    desk.day.register(JobKind.SQUARE_OFF, guard)
    desk.to("15:10")
    desk.clock.wall = at("14:59")
    desk.day.step()
    assert desk.day.next_at == at("15:10")
    desk.clock.wall = at("15:12")
    desk.day.step()
    assert [clock(moment, "NSE") for moment in guard.asked] == ["15:10", "15:10", "15:12", "15:12"]  # shares with auction and without
    desk.to("15:45", every=10.0)
    assert clock(max(guard.asked), "NSE") == "15:39"  # until derivatives close


def test_a_claim_is_durable_before_the_job_acts() -> None:
    desk = Desk("15:09")
    seen: list[list[JobRun]] = []

    def look(job: Job) -> str:
        seen.append([fact.run for fact in desk.journal.facts if isinstance(fact, JobChanged) and fact.run.job == job.name])
        return "done"

    desk.day.register(JobKind.SQUARE_OFF, AtOnce(look))
    desk.to("15:10")
    assert [[run.state for run in runs] for runs in seen] == [[RunState.STARTED], [RunState.STARTED]]


def test_nothing_is_begun_that_cannot_be_put_on_record_and_it_is_tried_again() -> None:
    desk = Desk("15:09").to("15:09")
    desk.journal.down = True
    desk.to("15:10:30", every=10.0)
    assert "square_off:A1:cash" not in desk.jobs()
    desk.journal.mend()
    desk.to("15:10:40", every=2.0)
    assert "square_off:A1:cash" in desk.jobs()


def test_a_job_that_a_crash_cut_short_is_finished_and_not_claimed_again() -> None:
    first, slow = Desk("15:09"), Slow(over=False)
    first.day.register(JobKind.SQUARE_OFF, slow)
    first.to("15:11")
    again, finish = first.restart(), Slow()
    again.day.register(JobKind.SQUARE_OFF, finish)
    again.to("15:12")
    assert finish.began == slow.began == ["square_off:A1:auction", "square_off:A1:cash"]
    claims = [f.run.job for f in again.journal.facts if isinstance(f, JobChanged) and f.run.state is RunState.STARTED]
    assert claims.count("square_off:A1:cash") == 1
    assert again.states()[FRIDAY, "square_off:A1:cash"] is RunState.DONE


def test_a_job_that_raises_is_told_and_the_others_have_their_turn() -> None:
    desk = Desk("08:00")
    desk.fails = {JobKind.LOG_INS}
    desk.to("09:00")
    assert desk.states()[FRIDAY, "log_ins"] is RunState.FAILED
    assert desk.trouble == ["job_failed"]
    assert desk.jobs()[-1] == "instruments"


def test_a_person_may_run_what_is_harmless_at_any_moment() -> None:
    desk = Desk("08:30").to("08:30")
    desk.day.run_now("instruments")
    desk.day.step()
    entry = next(entry for entry in desk.day.entries() if entry.job.name == "instruments")
    assert entry.run is None  # its own time is still to come
    assert entry.by_hand is not None
    assert entry.by_hand.detail == "by hand: done"
    desk.to("09:00")
    assert desk.jobs().count("instruments") == 2
    desk.day.run_now("log_ins")
    desk.day.step()
    assert desk.states()[FRIDAY, "log_ins"] is RunState.DONE
    with pytest.raises(CannotRunNow):
        desk.day.run_now("square_off:A1:cash")
    with pytest.raises(LookupError):
        desk.day.run_now("tea")


def test_what_is_running_is_not_begun_by_hand_as_well() -> None:
    desk, slow = Desk("09:00"), Slow(over=False)
    desk.day.register(JobKind.INSTRUMENTS, slow)
    desk.to("09:00")
    with pytest.raises(CannotRunNow, match="running already"):
        desk.day.run_now("instruments")


class Beats:
    """The supervised thread as the waker sees it."""

    stopping = False

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1


@pytest.fixture
def waking() -> Iterator[Callable[[DayClock], Waker]]:
    running: list[tuple[Waker, Beats, threading.Thread]] = []

    def start(day: DayClock) -> Waker:
        beats, waker = Beats(), Waker(day, SystemClock())
        thread = threading.Thread(target=waker.run, args=(beats,))
        running.append((waker, beats, thread))
        thread.start()
        return waker

    yield start
    for waker, beats, thread in running:
        beats.stopping = True
        waker.wake()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_scheduler_wakes_the_clock_at_the_planned_moment(waking: Callable[[DayClock], Waker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waker_module, "BEAT", 600.0)  # it is the alarm that wakes it, not the next heartbeat
    real, ran = SystemClock(), threading.Event()
    soon = real.now() + 0.3
    late: list[float] = []
    day = DayClock(
        clock=real,
        journal=MemoryJournal(),
        timetable=lambda day: [Job("end_of_day", JobKind.END_OF_DAY, day, soon)],
        on_trouble=lambda *trouble: None,
        on_change=lambda job, run: None,
    )

    def run(job: Job) -> str:
        late.append(real.now() - job.at)
        ran.set()
        return "done"

    day.register(JobKind.END_OF_DAY, AtOnce(run))
    waker = waking(day)
    assert ran.wait(PATIENCE)
    assert late[0] >= 0
    day.run_now("end_of_day")
    waker.wake()
    deadline = real.monotonic() + PATIENCE
    while len(late) < 2:
        assert real.monotonic() < deadline
        threading.Event().wait(0.01)

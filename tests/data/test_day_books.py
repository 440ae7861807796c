"""The calendar that people change, the record of the day's jobs, and what each account did in a session."""

from __future__ import annotations

import pytest

from app.data import Data, NotFound
from engines.core import facts as f
from engines.core.model import AccountDay, JobRun, OrderState, RunState, Side
from engines.core.sessions import CalendarDay
from tests.data.making import CLI, DAY, NOON, D, Ledger, account, changed, cheap_user, order, signal

MONDAY, TUESDAY = "2026-01-05", "2026-01-06"


def test_a_day_is_put_into_the_calendar_changed_and_taken_out_again(data: Data) -> None:
    told: list[int] = []
    data.directory.on_change(lambda: told.append(1))
    holiday = CalendarDay("2027-01-26", note="Republic Day")
    evening = CalendarDay("2027-10-29", "NSE", (("18:00", "19:00"),), note="Muhurat")
    moved = CalendarDay("2027-10-29", "NSE", (("18:15", "19:15"),), note="Muhurat")
    assert data.calendar.put([holiday, evening], by=CLI) == 2
    assert data.calendar.put([holiday, moved], by=CLI) == 1
    assert tuple(data.directory.calendar_days()) == data.calendar.list() == (holiday, moved)
    data.calendar.remove("2027-01-26", "*", by=CLI)
    assert data.calendar.list() == (moved,)
    with pytest.raises(NotFound):
        data.calendar.remove("2027-01-26", "*", by=CLI)
    assert len(told) == 3
    actions = [row.action for row in data.audit.list(None).items]
    assert actions == ["calendar.removed", "calendar.changed", "calendar.added", "calendar.added"]


def test_the_record_of_a_day_has_each_job_as_it_is_now(data: Data) -> None:
    claimed = JobRun(MONDAY, "end_of_day", RunState.STARTED, NOON, NOON)
    done = JobRun(MONDAY, "end_of_day", RunState.DONE, NOON, NOON + 1, "1 account")
    data.journal.commit(f.JobChanged(claimed))
    data.journal.commit(f.JobChanged(done), f.JobChanged(JobRun(TUESDAY, "end_of_day", RunState.SKIPPED, NOON, NOON)))
    assert data.day_books.jobs(MONDAY) == (done,)


@pytest.fixture
def people(data: Data) -> tuple[str, str]:
    """Monday: bought 10 at 100, sold 6 at 110 and one order denied. Tuesday: the last 4 sold at 90; another person buys."""
    ledger = Ledger()
    me, other = cheap_user(data), cheap_user(data, "other@example.com")
    for user_id, account_id in ((me, "A1"), (other, "A2"), (other, "A3")):
        data.accounts.add(account(user_id, account_id, name=account_id), {}, by=CLI)
    data.journal.append(f.DayChanged(AccountDay("A1", MONDAY, trades=1)), f.EquityMarked("A1", NOON, D(100_000), D(60), D(40), D(3)))
    data.journal.append(f.EquityMarked("A1", NOON + DAY, D(100_020), D(20), D(0), D(3)))
    moves = [(me, "A1", Side.BUY, 10, 100, NOON), (me, "A1", Side.SELL, 6, 110, NOON + 60), (me, "A1", Side.SELL, 4, 90, NOON + DAY)]
    for user_id, account_id, side, quantity, price, at in [*moves, (other, "A2", Side.BUY, 1, 100, NOON + DAY)]:
        made = signal(user_id, side=side, created_at=at, account_ids=(account_id,))
        one = order(made, account_id, quantity=D(quantity))
        data.journal.commit(f.SignalPlanned(made, (one,)))
        data.journal.append(changed(one, OrderState.SENDING, at), ledger.fill(one, quantity, price, at=at, charges="1"))
    made = signal(me, created_at=NOON, account_ids=("A1",))
    data.journal.commit(f.SignalPlanned(made, (order(made, "A1", state=OrderState.DENIED, reason="market_closed"),)))
    return me, other


@pytest.mark.usefixtures("people")
def test_the_days_book_is_what_the_account_did_in_it(data: Data) -> None:
    (book,) = data.day_books.close(MONDAY)
    assert (book.account_id, book.day, book.realised, book.charges, book.fills, book.turnover) == ("A1", MONDAY, D(60), D(2), 2, D(1660))
    assert (book.trades, book.denied, book.rejected, book.open_positions) == (1, 1, 0, 1)  # four were still held
    assert (book.equity, book.unrealised, book.wins, book.losses, book.best) == (D(100_000), D(40), 0, 0, None)
    first, second = data.day_books.close(TUESDAY)
    assert (first.wins, first.losses, first.best, first.worst, first.open_positions) == (1, 0, D(17), D(17), 0)
    assert (second.account_id, second.open_positions, second.equity) == ("A2", 1, None)


def test_a_book_can_be_written_again_and_everybody_sees_their_own(data: Data, people: tuple[str, str]) -> None:
    me, other = people
    for _ in range(2):
        data.day_books.close(MONDAY)
        data.day_books.close(TUESDAY)
    assert [(book.day, book.account_id) for book in data.day_books.list(me)] == [(TUESDAY, "A1"), (MONDAY, "A1")]
    assert [book.account_id for book in data.day_books.list(other)] == ["A2"]
    assert [book.day for book in data.day_books.list(me, until=MONDAY)] == [MONDAY]
    assert data.day_books.close("2026-01-04") == ()

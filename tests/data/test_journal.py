"""The journal: durable, in order, once, and together."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from app.data.journal import GROUP
from engines.core.model import OrderState
from engines.ports import DuplicateSignal, JournalDown
from tests.data.house import House, eventually, together
from tests.data.making import Ledger, changed, planned


def test_what_was_committed_is_in_the_file_when_the_call_returns(house: House) -> None:
    fact = planned(accounts=50)
    house.journal.commit(fact)
    assert house.rows("SELECT key, user_id, signal_id, symbol FROM signals") == [(fact.signal.key, "U1", fact.signal.signal_id, "NSE:INFY")]
    assert [row[0] for row in house.rows("SELECT order_id FROM orders ORDER BY seq")] == [order.order_id for order in fact.orders]


def test_a_commit_comes_after_everything_that_was_appended_before_it(house: House) -> None:
    fact = planned()
    for state in (OrderState.SENDING, OrderState.OPEN):
        house.journal.append(changed(fact.orders[0], state))
    house.journal.commit(fact, changed(fact.orders[0], OrderState.FILLED))
    assert [row[0] for row in house.rows("SELECT kind FROM order_events ORDER BY seq")] == ["sending", "open", "filled"]
    assert house.one("SELECT state FROM orders") == "filled"


def test_then_is_called_once_the_facts_can_be_read_by_others(house: House) -> None:
    seen: list[int] = []
    house.journal.append(planned(), then=lambda: seen.append(house.one("SELECT count(*) FROM signals")))
    house.written()
    assert seen == [1]


def test_a_callback_that_fails_or_waits_for_the_journal_does_not_stop_it(house: House) -> None:
    def fails() -> None:
        raise ValueError("a bug elsewhere")

    house.journal.append(planned(), then=fails)
    house.journal.append(planned(), then=lambda: house.journal.commit(planned()))
    house.written()
    house.journal.commit(planned())
    assert house.one("SELECT count(*) FROM signals") == 3
    assert house.journal.stats()["callback_errors"] == 2
    assert house.journal.healthy


def test_a_repeated_signal_id_of_a_user_is_refused_whole(house: House) -> None:
    first = planned(signal_id="mine")
    house.journal.commit(first)
    with pytest.raises(DuplicateSignal):
        house.journal.commit(planned(signal_id="mine", accounts=3))
    house.journal.commit(planned("U2", signal_id="mine"))
    assert house.one("SELECT count(*) FROM orders WHERE user_id = 'U1'") == 1
    assert house.one("SELECT count(*) FROM signals") == 2
    assert house.journal.healthy
    assert house.journal.find_signal("U1", "mine") == (first.signal.key, list(first.orders))
    assert house.journal.find_signal("U1", "yours") is None


def test_of_twenty_callers_with_one_signal_id_exactly_one_wins(house: House) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(20)

    def call() -> None:
        fact = planned(signal_id="same")
        barrier.wait()
        try:
            house.journal.commit(fact)
            outcomes.append("written")
        except DuplicateSignal:
            outcomes.append("duplicate")

    together([call] * 20)
    assert sorted(outcomes) == ["duplicate"] * 19 + ["written"]
    assert house.one("SELECT count(*) FROM orders") == 1


def test_twenty_threads_commit_and_append_and_nothing_is_lost_or_doubled(house: House) -> None:
    def call() -> None:
        for _ in range(25):
            fact = planned(accounts=2)
            house.journal.commit(fact)
            for order in fact.orders:
                house.journal.append(changed(order, OrderState.SENDING), changed(order, OrderState.OPEN))

    together([call] * 20)
    house.written()
    assert house.rows("SELECT count(*), count(DISTINCT order_id) FROM orders WHERE state = 'open'") == [(1000, 1000)]
    assert house.rows("SELECT kind, count(*), count(DISTINCT order_id) FROM order_events GROUP BY kind") == [
        ("open", 1000, 1000),
        ("sending", 1000, 1000),
    ]


def test_the_write_ahead_log_stays_small_however_long_callers_keep_coming(house: House) -> None:
    def call() -> None:
        for _ in range(80):
            house.journal.commit(planned(accounts=20))

    together([call] * 5)
    assert house.path.with_name(house.path.name + "-wal").stat().st_size < 16_000_000


def test_a_commit_behind_a_long_backlog_is_in_the_very_next_transaction(house: House) -> None:
    first = planned(accounts=50)
    house.journal.commit(first)
    go = house.hold()
    for _ in range(20):
        for order in first.orders:
            house.journal.append(changed(order, OrderState.OPEN))
    before = house.journal.stats()["commits"]
    counted: list[float] = []

    def commit() -> None:
        house.journal.commit(planned())
        counted.append(house.journal.stats()["commits"] - before)

    waiting = threading.Thread(target=commit)
    waiting.start()
    assert eventually(lambda: house.journal.stats()["queue_depth"] == 1001)
    for order in first.orders:
        house.journal.append(changed(order, OrderState.FILLED))
    go.set()
    waiting.join()
    house.written()
    assert house.one("SELECT count(*) FROM order_events") == 1050
    assert house.rows("SELECT DISTINCT state FROM orders WHERE signal_key = ?", first.signal.key) == [("filled",)]
    assert counted[0] in (1, 2)  # the second may have begun before the caller looked


def test_a_long_backlog_is_written_in_short_transactions_that_let_others_in(house: House) -> None:
    fact = planned()
    house.journal.commit(fact)
    go = house.hold()
    for _ in range(1200):
        house.journal.append(changed(fact.orders[0], OrderState.OPEN))
    go.set()
    house.written()
    assert house.journal.stats()["commits"] >= 1 + 1200 // GROUP


def test_work_changes_all_or_nothing_and_answers_what_it_answers(house: House) -> None:
    def fails(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO settings VALUES ('', 'a', '1')")
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        house.journal.run(fails)
    assert house.one("SELECT count(*) FROM settings") == 0
    house.journal.append(planned())
    assert house.journal.run(lambda db: db.execute("SELECT count(*) FROM signals").fetchone()[0]) == 1


def test_closing_writes_what_is_queued_and_refuses_what_comes_later(house: House) -> None:
    for _ in range(300):
        house.journal.append(planned())
    house.journal.close()
    assert house.one("SELECT count(*) FROM signals") == 300
    for late in (house.journal.commit, house.journal.append):
        with pytest.raises(JournalDown):
            late(planned())
    assert not house.journal.healthy


def test_figures_of_the_journal(house: House) -> None:
    house.journal.commit(planned())
    stats = house.journal.stats()
    assert stats["commits"] == 1
    assert stats["facts"] == 1
    assert stats["queue_depth"] == 0
    assert 0 < stats["flush_ms_p50"] <= stats["flush_ms_p99"]


def test_a_fill_and_its_order_and_position_are_storedtogether(house: House) -> None:
    fact = planned()
    booked = Ledger().fill(fact.orders[0], 10, "1520.05", charges="3.1250")
    house.journal.commit(fact, booked)
    house.journal.commit(booked)
    assert house.rows("SELECT quantity, price, charges FROM fills") == [("10", "1520.05", "3.1250")]
    assert house.rows("SELECT quantity, cash_flow, open_cost, charges FROM positions") == [("10", "-15200.50", "15200.50", "3.1250")]
    assert house.rows("SELECT state, filled_quantity, average_price FROM orders") == [("filled", "10", "1520.05")]

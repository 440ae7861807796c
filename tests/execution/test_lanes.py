"""What an account's lane has to do belongs to the account: it outlives the connection, its loss, its replacement, and the death of the lane itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

import engines.execution.lane as lanes
import engines.execution.roster as roster
from engines.core.model import ExitSpec, HaltScope, OrderState, OrderType, Role
from engines.execution.exits import ExitDesk
from engines.execution.leaving import Exit
from engines.execution.supervisor import Supervisor, Worker
from engines.execution.work import AfterDeath
from engines.ports import NeedsLogin, Retry, SystemClock, Unknown
from tests.execution.house import INFY, NIFTY_FUT, PATIENCE, USER, House, WireBroker, account, books_balance

STOP = ExitSpec(stop_price=Decimal(95))


def exits(house: House) -> list[Decimal]:
    return [request.quantity for request in house.books["A1"].placed if request.reduce_only]


def entries(house: House) -> int:
    return sum(not request.reduce_only for request in house.books["A1"].placed)


@contextmanager
def closing(house: House, name: str = "A1") -> Iterator[None]:
    """The moment in which an account's connection is being replaced: the old one is still being closed."""
    begun, go = threading.Event(), threading.Event()
    house.wires[name].close = lambda: (begun.set(), go.wait(PATIENCE))
    thread = threading.Thread(target=house.system.connect, args=(name,))
    thread.start()
    assert begun.wait(PATIENCE)
    yield
    go.set()
    thread.join()


def test_a_stop_that_fires_while_the_connection_is_replaced_leaves_with_the_next():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        with closing(house):
            house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        assert exits(house) == [10]
        books_balance(house)


def test_an_emergency_stop_while_the_connection_is_replaced_reaches_the_account():
    with House(account("A1", broker="wire"), account("A2", broker="wire")) as house:
        house.send("BUY", 10)
        with closing(house):
            halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
            assert {row.account_id for row in house.system.halt_report(halt.halt_id).accounts} == {"A1", "A2"}
        house.until(lambda: {row.state for row in house.system.halt_report(halt.halt_id).accounts} == {"flat"})
        assert (house.held("A1"), house.held("A2")) == (0, 0)


def test_what_the_old_lane_is_in_the_middle_of_goes_on_in_the_next():
    """Its call ends when the connection is closed, and whatever it asks for afterwards finds no session."""
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        house.script = lambda request: "open"
        house.send("BUY", 5, order_type=OrderType.LIMIT, price=Decimal(90), wait=0.0)
        desk = house.system.roster.desk("A1")
        house.until(lambda: any(order.state is OrderState.OPEN for order in desk.live_orders()))
        old, asked, cut = house.wires["A1"], threading.Event(), threading.Event()

        def hang(*_):
            asked.set()
            cut.wait(PATIENCE)
            raise Unknown("the connection was closed")

        def no(*_):
            raise Retry("not connected yet")

        def close():
            old.place = old.order_book = old.positions = no

        old.cancel, old.close = hang, close
        house.script = lambda request: "fill"
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        assert asked.wait(PATIENCE)
        house.system.connect("A1")
        cut.set()
        house.until(lambda: house.system.halt_report(halt.halt_id).accounts[0].state == "flat")
        assert (house.held(), exits(house)) == (0, [10])


def test_a_connection_is_cut_before_it_is_closed_so_that_nobody_waits_for_its_answer():
    with House(account("A1", broker="wire"), script=lambda request: "hang") as house:
        old = house.wires["A1"]
        house.send(wait=0.0)
        assert old.hanging.wait(PATIENCE)
        seen: list[bool] = []
        old.close = lambda: seen.append(old.released.is_set())
        house.system.connect("A1")
        assert seen == [True]


def test_an_order_that_a_replaced_lane_has_in_its_hands_leaves_once_and_by_the_next():
    with House(account("A1", broker="wire")) as house:
        old, reached, go = house.wires["A1"], threading.Event(), threading.Event()
        place = old.place

        def late(request, permit):
            reached.set()
            go.wait(PATIENCE)
            return place(request, permit)

        old.place = late
        (order,) = house.send(wait=0.0)
        assert reached.wait(PATIENCE)
        lane = house.system.roster.lane("A1")
        house.system.connect("A1")
        assert house.system.roster.lane("A1").send(order.order_id) == lanes.NOT_READY_PAUSE  # not before the old one has let go of it
        go.set()
        house.until(lambda: lane.current is None)
        assert not old.writing.is_set()
        assert lane.send(order.order_id) == 0.0
        house.until(lambda: not house.journal.orders()[order.order_id].live)
        assert entries(house) <= 1  # not at all where it counts as lost by then


def wrong_keys(*_):
    raise ValueError("the credentials cannot be read")


def test_an_account_whose_client_cannot_be_made_for_a_moment_is_told_tried_again_and_its_stop_leaves(monkeypatch):
    monkeypatch.setattr(roster, "TRY_AGAIN", 0.0)
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        fails = [sqlite3.OperationalError("unable to open database file"), Retry("not now")]

        def credentials(account_id):
            if fails:
                raise fails.pop(0)
            return {}

        house.directory.credentials = credentials
        house.directory.rows[0] = replace(house.directory.rows[0], leverage=Decimal(2))  # a change that needs another connection
        house.system.runtime.refresh_now()
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        assert (exits(house), fails) == ([10], [])
        told = [p["incident"] for k, _, p in house.notifier.told if k == "incident" and p["incident"].kind == "cannot_connect"]
        assert [incident.until is None for incident in told] == [True, False]


def test_a_lane_that_is_tried_again_gives_way_to_the_one_that_a_person_made_meanwhile():
    with House(account("A1", broker="wire")) as house:
        system, failed = house.system, house.system.roster.lane("A1")
        now = system.roster.restart_lane(failed.desk)
        system.roster._put_in_place(failed.desk, house.wires["A1"], failed)
        assert system.roster.lane("A1") is now


def test_what_waits_for_a_log_in_outlives_wrong_keys():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        desk = house.system.roster.desk("A1")
        house.system._on_needs_login(desk, "the session is over")
        house.feed.price(INFY.symbol, 94.0)
        right = house.system._makers["wire"]
        house.system._makers["wire"] = wrong_keys
        assert house.system.connect("A1").state_detail == "cannot be connected: the credentials cannot be read"
        house.system._makers["wire"] = right
        house.system.connect("A1")
        house.until(lambda: house.held() == 0)
        assert exits(house) == [10]


def test_an_account_that_begins_with_wrong_keys_is_stopped_like_any_other():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        house.system.stop()
        later = House(*house.directory.rows, journal=house.journal, books=house.books, brokers={"wire": wrong_keys}, start=False)
        later.system.settings = replace(later.system.settings, connect_patience=0.0)
        later.system.start()
        with later:
            assert later.system.account("A1").state == "error"
            halt, _ = later.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
            assert [row.state for row in later.system.halt_report(halt.halt_id).accounts] == ["stuck"]
            later.system._makers["wire"] = later._wire
            later.system.connect("A1")
            later.until(lambda: later.held() == 0)
            assert exits(later) == [10]


def once(real: Callable[..., object], error: Exception) -> Callable[..., object]:
    failures = iter([error])

    def call(*given, **named):
        if (failure := next(failures, None)) is not None:
            raise failure
        return real(*given, **named)

    return call


def test_a_stop_goes_on_when_the_lane_dies_of_it():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        house.script = lambda request: "open"
        house.send("BUY", 5, order_type=OrderType.LIMIT, price=Decimal(90), wait=0.0)
        desk, wire = house.system.roster.desk("A1"), house.wires["A1"]
        house.until(lambda: any(order.state is OrderState.OPEN for order in desk.live_orders()))
        wire.cancel = once(wire.cancel, KeyError("order_id"))
        house.script = lambda request: "fill"
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        house.until(lambda: house.system.halt_report(halt.halt_id).accounts[0].state == "flat")
        assert "thread_died" in house.notifier.incidents()
        assert exits(house) == [10]


def test_an_account_signs_in_again_when_the_lane_dies_of_signing_in(monkeypatch):
    with House(account("A1", broker="wire"), start=False) as house:
        call = once(WireBroker.connect, ValueError("not json"))
        monkeypatch.setattr(WireBroker, "connect", lambda *given: call(*given))
        house.system.start()
        desk = house.system.roster.desk("A1")
        house.until(lambda: desk.ready)


def test_an_exit_of_which_the_lane_dies_takes_out_no_more_than_was_asked():
    """Its order is on the wire when booking it fails: the order is looked for, and the exit is not made a second time."""
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        desk = house.system.roster.desk("A1")
        desk.on_report = once(desk.on_report, RuntimeError("a bug in booking"))
        outcome = house.system.close_position(desk.open_positions()[0].position_id, Decimal(4))
        house.until(lambda: house.held() == 6)
        house.until(lambda: house.system.roster.lane("A1").idle)
        assert (exits(house), house.held()) == ([4], 6)
        assert outcome.signal_id


def test_of_a_sliced_exit_what_has_not_left_when_the_lane_dies_leaves_without_waiting_for_the_rest():
    """Nobody can say what has become of the slice that it died of; of the others it is known."""
    with House(account("A1", broker="wire", capital=Decimal(10**9)), absent_after=3600.0) as house:
        house.send("BUY", 65 * 60, symbol=NIFTY_FUT.symbol, exits=STOP)
        desk = house.system.roster.desk("A1")
        desk.on_report = once(desk.on_report, RuntimeError("a bug in booking"))
        house.feed.price(NIFTY_FUT.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        house.until(lambda: house.system.roster.lane("A1").idle)
        assert exits(house) == [1300, 1300, 1300]
        assert "thread_died" in house.notifier.incidents()


def test_an_exit_that_had_made_nothing_when_the_lane_died_is_made(monkeypatch):
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        call = once(ExitDesk.plan, RuntimeError("a bug before planning"))
        monkeypatch.setattr(ExitDesk, "plan", lambda *given, **named: call(*given, **named))
        key = house.system.roster.desk("A1").open_positions()[0].key
        house.system.roster.lane("A1").put(Exit(house.system.exit_desk, key, Role.STOP, Decimal(4)))
        house.until(lambda: house.held() == 6)
        assert exits(house) == [4]


def test_a_job_that_kills_its_lane_again_and_again_lets_the_others_go_first(monkeypatch):
    monkeypatch.setattr(lanes, "LONGEST_FALL", 3600.0)
    with House(account("A1", broker="wire")) as house:
        lane, tries = house.system.roster.lane("A1"), []

        class Deadly:
            urgent = True
            after_death = AfterDeath.ANEW

            def run(self, lane):
                tries.append(lane)
                raise RuntimeError("every time")

        lane.put(Deadly())
        house.until(lambda: len(tries) == 2)
        assert [order.state for order in house.send()] == [OrderState.FILLED]
        assert len(tries) == 2


@pytest.mark.parametrize(("after", "runs"), [(AfterDeath.GONE, 1), (AfterDeath.ANEW, 2), (AfterDeath.ANEW_IF_UNMADE, 2)])
def test_a_job_says_itself_whether_it_is_begun_anew_when_its_lane_has_died_of_it(after, runs):
    with House(account("A1", broker="wire")) as house:
        lane, ran = house.system.roster.lane("A1"), []

        class Deadly:
            urgent, after_death = True, after

            def run(self, lane):
                ran.append(lane)
                if len(ran) == 1:
                    raise RuntimeError("once")

        lane.put(Deadly())
        house.until(lambda: "thread_died" in house.notifier.incidents())
        assert [order.state for order in house.send()] == [OrderState.FILLED]
        house.until(lambda: lane.idle and not lane.box.waiting())
        assert len(ran) == runs


def connect_twice(house: House) -> list[WireBroker]:
    """Two people, or a person and the morning's log-in, at the same moment: both have made their client before either is in place."""
    roster, both, made = house.system.roster, threading.Barrier(2), []
    make = roster._brokers

    def slow(one, desk):
        both.wait(PATIENCE)
        made.append(make(one, desk))
        return made[-1]

    roster._brokers = slow
    threads = [threading.Thread(target=house.system.connect, args=("A1",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roster._brokers = make
    return made


def test_two_connects_at_once_leave_one_lane():
    with House(account("A1", broker="wire")) as house:
        made = connect_twice(house)
        house.until(lambda: sum(thread.name == "lane A1" for thread in threading.enumerate()) == 1)
        lane = house.system.roster.lane("A1")
        assert [broker.aborted for broker in made if broker is not lane.broker] == [True]
        house.until(lambda: lane.desk.ready)
        assert [order.state for order in house.send()] == [OrderState.FILLED]


def test_a_lane_that_was_replaced_says_nothing_of_the_session_any_more():
    with House(account("A1", broker="wire")) as house:
        desk, old = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        house.system.connect("A1")
        house.until(lambda: desk.ready)
        old.tools.on_needs_login(desk, "yesterday's session is over")
        assert (desk.ready, desk.needs_login) == (True, False)
        house.system._on_needs_login(desk, "over")
        house.system.roster.lane("A1").open = False
        desk.ready = True  # what signing in does, in a lane that was replaced while it did
        old.tools.on_ready(desk)
        assert not desk.ready


def test_signing_in_again_and_again_ends_with_its_connection():
    with House(account("A1", broker="wire")) as house:
        old, wire = house.system.roster.lane("A1"), house.wires["A1"]
        wire.book_fails = True
        house.system._on_needs_login(old.desk, "over")
        old.connecting.done.clear()
        old.put(old.connecting)
        house.until(lambda: any(type(job).__name__ == "Connect" for job in old.box.waiting()))
        house.system.connect("A1")
        assert not [job for job in old.box.waiting() if type(job).__name__ == "Connect"]
        assert house.system.account("A1").connected


def test_many_accounts_that_connect_at_once_all_keep_a_lane():
    names = [f"A{n}" for n in range(24)]
    with House(*[account(name, broker="wire") for name in names]) as house:
        roster = house.system.roster

        def work(mine: list[str]) -> None:
            for _ in range(5):
                for name in mine:
                    roster.restart_lane(roster.desk(name))

        threads = [threading.Thread(target=work, args=(names[part::4],)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {lane.desk.account.account_id for lane in roster.lanes()} == set(names)
        house.until(lambda: all(desk.ready for desk in roster.desks()))


def test_an_account_that_goes_while_it_connects_gets_no_lane():
    with House(account("A1", broker="wire"), account("A2", broker="wire")) as house:
        roster, desk = house.system.roster, house.system.roster.desk("A1")
        make = roster._brokers

        def slow(one, its):
            house.directory.rows = [row for row in house.directory.rows if row.account_id != "A1"]
            roster.refresh()
            return make(one, its)

        roster._brokers = slow
        assert roster.restart_lane(desk) is None
        assert [lane.desk.account.account_id for lane in roster.lanes()] == ["A2"]
        house.until(lambda: not any(thread.name == "lane A1" for thread in threading.enumerate()))


def test_a_stop_waits_for_the_last_write_of_a_lane_that_was_just_replaced():
    with House(account("A1", broker="wire")) as house:
        old, cuts = house.wires["A1"], []
        old.may_write.clear()
        old.abort = lambda: cuts.append("old")  # a write that goes on all the same
        house.send(wait=0.0)
        assert old.writing.wait(PATIENCE)
        house.system.connect("A1")
        new = house.wires["A1"]
        new.abort = lambda: (cuts.append("new"), old.may_write.set())
        house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        written = entries(house)
        assert cuts == ["old", "new"], "the stop asked the gate that the old lane still writes through"
        house.until(lambda: house.held() == 0)
        assert entries(house) == written == 1


def test_a_worker_is_replaced_by_one_of_its_name_and_what_was_told_of_it_is_over():
    told = []
    supervisor = Supervisor(SystemClock(), told.append)

    def dies(worker: Worker) -> None:
        raise RuntimeError("a bug")

    def lives(worker: Worker) -> None:
        worker.pause(10)

    first = supervisor.add("lane A1", dies)
    first.join(PATIENCE)
    supervisor.check()
    second = supervisor.add("lane A1", lives)
    second.stuck = True
    third = supervisor.add("lane A1", lives)
    assert [(worker.stopping, supervisor.workers()["lane A1"] is worker) for worker in (first, second, third)] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [(death.stuck, death.over) for death in told] == [(False, False), (False, True), (True, True)]
    supervisor.stop(5)


def test_a_session_that_ends_closes_the_account_through_its_lane():
    with House(account("A1", broker="wire")) as house:
        house.wires["A1"].session_expires_at = house.clock.now() - 1
        house.until(lambda: house.system.account("A1").state == "needs_login")


@pytest.mark.parametrize("error", [NeedsLogin("over"), Retry("away", after=0.01)])
def test_an_entry_that_cannot_leave_ends_as_before(error):
    with House(account("A1", broker="wire")) as house:

        def away(*_):
            raise error

        house.wires["A1"].place = away
        (order,) = house.send()
        assert (order.state, order.reason) == (OrderState.DENIED, "not_connected")


def test_an_exit_waits_for_a_broker_that_is_away_and_a_person_is_told_once():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        lane, wire, pauses = house.system.roster.lane("A1"), house.wires["A1"], []
        place, later = wire.place, lane.put_later
        lane.put_later = lambda job, seconds: (pauses.append(seconds), later(job, 0.0))

        def away(request, permit):
            if len(pauses) < 8:
                raise Retry("Zerodha cannot be reached: connection refused")
            return place(request, permit)

        wire.place = away
        (order,) = house.send("SELL", 10, reduce_only=True)
        assert (order.state, house.held()) == (OrderState.FILLED, 0)
        assert pauses == [0.5, 0.5, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
        assert house.notifier.incidents().count("exit_waits") == 1
        assert exits(house) == [10]


def test_an_exit_that_waits_can_be_taken_back():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)
        house.script = lambda request: "retry"
        (order,) = house.send("SELL", 10, reduce_only=True, wait=0.0)
        house.until(lambda: "exit_waits" in house.notifier.incidents())
        house.system.cancel_order(order.order_id)
        house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.CANCELLED)
        house.until(lambda: not [job for job in house.system.roster.lane("A1").box.waiting() if type(job).__name__ == "Send"])
        assert (exits(house), house.held()) == ([], 10)

"""Laws 13 and 14: a thread that dies is noticed and comes back, ticks conflate, and orders and fills are never dropped."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, OrderState, StrategyConfig, Tick, Timeframe
from engines.execution.supervisor import Death, Supervisor
from engines.execution.work import AfterDeath
from engines.ports import SystemClock
from tests.execution.house import INFY, PATIENCE, USER, House, account, books_balance


class Poison:
    urgent = False
    after_death = AfterDeath.GONE

    def run(self, lane) -> None:
        raise RuntimeError("a bug in a job")


def test_law_13_a_lane_that_dies_is_noticed_and_restarted():
    with House() as house:
        house.system.roster.lane("A1").put(Poison())
        house.until(lambda: "thread_died" in house.notifier.incidents())
        house.until(lambda: house.system.status().engines["lane A1"].state == "running")
        assert [o.state for o in house.send()] == [OrderState.FILLED]
        house.until(lambda: house.notifier.incidents().count("thread_died") == 2)
        told = [p["incident"] for k, _, p in house.notifier.told if k == "incident" and p["incident"].kind == "thread_died"]
        assert [incident.until is None for incident in told] == [True, False]
        assert "a bug in a job" in told[0].message


def test_law_13_an_order_on_the_wire_of_a_dying_lane_becomes_unknown_and_is_looked_for():
    with House(account("A1", broker="wire")) as house:
        lane = house.system.roster.lane("A1")
        (order,) = house.send()
        lane.current = order.order_id
        lane.put(Poison())
        house.until(lambda: lane.current is None)
        assert house.journal.orders()[order.order_id].state is OrderState.FILLED  # what is proved stays proved


def test_law_13_a_booking_that_fails_leaves_no_order_behind():
    """The answer has come, and booking it raises: the lane dies, comes back, and asks the broker what became of the order."""
    with House(account("A1", broker="wire")) as house:
        desk = house.system.roster.desk("A1")
        real, failures = desk.on_report, iter([True])

        def once(report):
            if next(failures, False):
                raise RuntimeError("a bug in booking")
            return real(report)

        desk.on_report = once
        (order,) = house.send(wait=0.0)
        house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.FILLED)
        assert "thread_died" in house.notifier.incidents()
        assert len(house.books["A1"].placed) == 1
        assert house.held() == 10


@pytest.mark.parametrize("where", ["accounts", "strategies", "mappings", "combined_rules"])
@pytest.mark.parametrize("who", ["the risk loop", "a person"])
def test_law_13_a_change_whose_reading_fails_is_told_and_taken_over_at_the_next_look(where: str, who: str):
    with House() as house:
        read, fails = getattr(house.directory, where), [sqlite3.OperationalError("disk I/O error")]

        def once():
            if fails:
                raise fails.pop()
            return read()

        setattr(house.directory, where, once)
        house.directory.rows[:] = [replace(house.directory.rows[0], enabled=False), account("A2")]
        if who == "a person":
            with pytest.raises(sqlite3.OperationalError):
                house.system.runtime.refresh_now()
        else:
            for tell in house.directory.callbacks:
                tell()
            house.until(lambda: "changes_wait" in house.notifier.incidents())
        roster = house.system.roster
        house.until(lambda: roster.lane("A2") and roster.desk("A2").ready and not roster.desk("A1").account.enabled)
        house.until(lambda: not any(incident.kind == "changes_wait" for incident in house.system.incidents()))
        assert {o.account_id: o.state for o in house.send()} == {"A1": OrderState.DENIED, "A2": OrderState.FILLED}


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of threads that the machine cannot give: each name that is put in fails once, and is gone then."""
    names: list[str] = []
    start = threading.Thread.start

    def starts(thread: threading.Thread) -> None:
        if thread.name in names:
            names.remove(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts)
    return names


def test_law_13_a_lane_that_the_machine_has_no_thread_for_is_started_at_the_next_look(no_threads: list[str]):
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        no_threads.append("lane A1")
        house.system.roster.lane("A1").put(Poison())
        house.until(lambda: not no_threads)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        assert house.system.supervisor.workers()["supervisor"].deaths == 0


def test_law_13_the_thread_that_restarts_threads_is_watched_and_restarted_too():
    with House() as house:
        supervisor, failures = house.system.supervisor, iter([True])
        check = supervisor.check

        def once() -> None:
            if next(failures, False):
                raise RuntimeError("a bug in looking after")
            check()

        supervisor.check = once
        house.until(lambda: supervisor.workers()["supervisor"].deaths)
        told = lambda: [p["incident"] for k, _, p in house.notifier.told if k == "incident" and p["incident"].kind == "thread_died"]  # noqa: E731
        house.until(lambda: [incident.until is None for incident in told()] == [True, False])
        assert "supervisor: RuntimeError: a bug in looking after" in told()[0].message
        house.system.roster.lane("A1").put(Poison())
        house.until(lambda: house.notifier.incidents().count("thread_died") == 4)
        assert [o.state for o in house.send()] == [OrderState.FILLED]


def test_law_13_a_thread_that_is_on_its_way_is_not_told_as_dead(monkeypatch: pytest.MonkeyPatch):
    told: list[Death] = []
    supervisor = Supervisor(SystemClock(), told.append)
    start = threading.Thread.start

    def while_others_look(thread: threading.Thread) -> None:
        supervisor.check()
        start(thread)
        supervisor.check()

    monkeypatch.setattr(threading.Thread, "start", while_others_look)
    supervisor.add("slow", lambda worker: None)
    assert told == []
    supervisor.stop(10)


def test_law_13_what_fails_about_one_thread_keeps_no_other_from_being_looked_after(no_threads: list[str]):
    told: list[Death] = []
    supervisor = Supervisor(SystemClock(), told.append)
    first, second = (supervisor.add(name, lambda worker: None) for name in ("first", "second"))
    for worker in (first, second):
        worker.join(PATIENCE)
    supervisor.check()
    first.restart_at = second.restart_at = 0.0
    no_threads.append("first")
    supervisor.check()
    assert [death.name for death in told if death.over] == ["second"]
    supervisor.check()
    assert [death.name for death in told if death.over] == ["second", "first"]
    no_threads.append("third")
    assert not supervisor.add("third", lambda worker: None).alive
    supervisor.check()
    assert (told[-1].name, told[-1].detail) == ("third", "can't start new thread")
    supervisor.stop(10)


def test_law_13_a_tick_stage_that_raises_is_told_and_the_others_go_on():
    with House() as house:
        house.system.candle_store.on_ticks = None  # not callable: the stage raises
        house.send("BUY", 10)
        house.feed.price(INFY.symbol, 101.0)
        assert "tick_stage_failed" in house.notifier.incidents()
        assert house.system.prices.mark(INFY.symbol) == 101


def test_law_13_a_strategy_that_raises_is_quarantined_and_the_rest_go_on():
    strategies = [
        StrategyConfig("S1", USER, "good", "ema_cross", Timeframe.M1, (INFY.symbol,), active=True),
        StrategyConfig("S2", USER, "bad", "ema_cross", Timeframe.M1, ("NSE:NOBODY",), active=True),
    ]
    with House(strategies=strategies) as house:
        house.until(lambda: "strategy_quarantined" in house.notifier.incidents())
        status = house.system.runtime.runner.status()
        assert status["S1"].quarantined is None
        assert "NOBODY" in status["S2"].quarantined


def test_law_14_orders_and_fills_are_never_dropped():
    """600 orders by 20 callers at once on one account: every one has an outcome and every fill is in the position, once."""
    with House(account("A1", capital=Decimal(100_000_000))) as house:
        start = threading.Barrier(20)

        def trade() -> None:
            start.wait()
            for _ in range(30):
                (order,) = house.system.submit(house.signal("BUY", 1), PATIENCE).orders
                assert order.state is OrderState.FILLED

        threads = [threading.Thread(target=trade) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert house.held() == 600
        fills = house.journal.fills()
        assert len({(fill.order_id, fill.trade_id) for fill in fills}) == len(fills) == 600
        books_balance(house)


def test_law_14_ticks_conflate_to_the_newest():
    with House() as house:
        runner = house.system.runtime.runner
        now = SystemClock().now()
        runner.offer_ticks([Tick(INFY.symbol, 100.0 + n, 0, 0, now) for n in range(10_000)])
        assert runner.waiting() == 0
        house.feed._on_ticks([Tick(INFY.symbol, 100.0 + n % 7, 100.0, 108.0, now + n / 1e6) for n in range(10_000)])
        assert house.system.prices.get(INFY.symbol).last_price == 100.0 + 9_999 % 7


def test_a_silent_feed_is_an_incident_and_ends_when_prices_come_back():
    from dataclasses import replace

    with House() as house:
        house.system.settings = replace(house.system.settings, stall_after=0.0)
        house.until(lambda: "feed_silent" in house.notifier.incidents())
        house.system.settings = replace(house.system.settings, stall_after=60.0)
        house.until(lambda: not any(i.kind == "feed_silent" for i in house.system.incidents()))

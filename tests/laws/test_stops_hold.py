"""Laws 4 and 5: after a stop no exposure-raising byte leaves, and the stop works when the database, a broker or the feed does not."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from engines.core.facts import EngineSwitched
from engines.core.model import HaltScope, Limits, OrderState, OrderType, Role, Source, StrategyConfig, Timeframe
from engines.execution.halts import off_as_halt
from engines.execution.jobs import Modify
from engines.execution.leaving import Flatten
from engines.ports import JournalDown, OrderRequest, SystemClock
from engines.system import Conflict
from tests.execution.house import INFY, PATIENCE, USER, House, account, books_balance


def stop(house: House, flatten: bool = True):
    halt, created = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER, flatten)
    assert created
    return halt


def flat(house: House, halt_id: str) -> bool:
    report = house.system.halt_report(halt_id)
    return all(row.state == "flat" for row in report.accounts)


def test_law_4_after_a_stop_is_acknowledged_no_exposure_raising_order_is_written_to_any_socket():
    accounts = [account(f"A{n}", broker="wire") for n in range(4)]
    written: list[tuple[float, bool]] = []

    def script(request):
        written.append((SystemClock().monotonic(), request.reduce_only))
        return "fill"

    with House(*accounts, script=script) as house:
        running = threading.Event()
        running.set()

        def trade():
            while running.is_set():
                house.system.submit(house.signal("BUY", 1), 0)

        threads = [threading.Thread(target=trade) for _ in range(6)]
        for thread in threads:
            thread.start()
        house.until(lambda: len(written) > 100)
        halt = stop(house)
        acknowledged = SystemClock().monotonic()
        placed_before = {key: [r for r in book.placed if not r.reduce_only] for key, book in house.books.items()}
        house.until(lambda: flat(house, halt.halt_id))
        running.clear()
        for thread in threads:
            thread.join()
        placed_after = {key: [r for r in book.placed if not r.reduce_only] for key, book in house.books.items()}
        assert placed_after == placed_before
        assert acknowledged < SystemClock().monotonic()
        assert [house.held(row.account_id) for row in accounts] == [0, 0, 0, 0]
        books_balance(house)


def test_law_4_a_stop_waits_for_the_write_in_progress_or_cuts_it():
    with House(account("A1", broker="wire")) as house:
        wire = house.wires["A1"]
        wire.may_write.clear()
        house.system.submit(house.signal(), 0)
        assert wire.writing.wait(PATIENCE)
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        assert wire.aborted  # a write that does not end is cut before the stop is acknowledged
        wire.may_write.set()
        house.until(lambda: flat(house, halt.halt_id))


def test_law_4_after_a_stop_no_entry_is_changed_either():
    with House(account("A1", broker="wire"), script=lambda request: "open") as house:
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        asked: list[object] = []
        house.wires["A1"].modify = lambda *_, **terms: asked.append(terms)
        house.system.modify_order(order.order_id, quantity=Decimal(12))
        assert len(asked) == 1
        house.system.set_engines(False, None, USER)  # a stop that leaves resting orders where they are
        with pytest.raises(Conflict, match="halted"):
            house.system.modify_order(order.order_id, quantity=Decimal(13))
        lane = house.system.roster.lane("A1")
        job = Modify(order.order_id, Decimal(50), None, None)
        lane.put(job)  # asked before the stop, reached by the lane after it
        assert job.done.wait(PATIENCE)
        assert "stop forbids" in job.error
        assert len(asked) == 1


def test_law_4_after_a_stop_no_entry_is_priced_through_the_market_though_that_makes_it_worth_less():
    with House(account("A1", broker="wire"), script=lambda request: "open") as house:
        (order,) = house.send("SELL", 10, order_type=OrderType.LIMIT, price=Decimal(110), wait=0.0)
        house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.OPEN)
        asked: list[object] = []
        house.wires["A1"].modify = lambda *_, **terms: asked.append(terms)
        house.system.set_engines(False, None, USER)
        job = Modify(order.order_id, None, Decimal(99), None)  # asked before the stop, reached by the lane after it
        smaller = Modify(order.order_id, Decimal(5), None, None)
        for each in (job, smaller):
            house.system.roster.lane("A1").put(each)
            assert each.done.wait(PATIENCE)
        assert "stop forbids" in job.error
        assert (smaller.error, [terms["quantity"] for terms in asked]) == ("", [5])


def test_law_4_a_change_that_hangs_does_not_hold_up_a_stop():
    with House(account("A1", broker="wire"), script=lambda request: "open") as house:
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        wire, reached, released = house.wires["A1"], threading.Event(), threading.Event()

        def hang(*_, **terms):
            reached.set()
            released.wait(PATIENCE)

        wire.modify, wire.abort = hang, released.set
        house.system.roster.lane("A1").put(Modify(order.order_id, Decimal(50), None, None))
        assert reached.wait(PATIENCE)
        stop(house)
        assert released.is_set(), "the connection was cut"


def test_law_4_the_stop_survives_a_restart_and_only_a_person_lifts_it():
    with House(account("A1"), account("A2")) as house:
        house.send()
        halt = stop(house)
        house.until(lambda: flat(house, halt.halt_id))
        with house.restart() as later:
            assert [h.halt_id for h in later.system.halts()] == [halt.halt_id]
            assert {o.reason for o in later.send()} == {"halted"}
            assert later.system.lift(halt.halt_id, USER)
            assert {o.reason for o in later.send()} == {"halted"}  # lifted, yet off until a person starts it again
            later.system.set_engines(True, None, USER)
            assert {o.state for o in later.send()} == {OrderState.FILLED}
            with later.restart() as last:
                assert last.system.halts() == ()


def test_law_4_the_stop_survives_a_restart_with_nothing_but_the_latch():
    with House() as house:
        house.journal.down = True
        halt = stop(house)
        house.journal.waiting.clear()  # the process dies before the database is back
        house.journal.down = False
        with house.restart() as later:
            assert [h.halt_id for h in later.system.halts()] == [halt.halt_id]
            assert [o.reason for o in later.send()] == ["halted"]


def test_law_5_the_stop_works_when_the_database_is_locked():
    with House(account("A1", broker="wire")) as house:
        house.script = lambda request: "open"
        (resting,) = house.send(order_type=OrderType.LIMIT, price=Decimal(99))
        house.journal.down = True
        halt = stop(house)
        house.until(lambda: house.books["A1"].reports[resting.client_id].state is OrderState.CANCELLED)
        try:
            house.system.submit(house.signal(), 0)
        except JournalDown:
            pass
        assert len(house.books["A1"].placed) == 1
        house.journal.mend()
        house.until(lambda: flat(house, halt.halt_id))


def test_law_5_the_stop_works_when_a_broker_hangs_and_one_account_never_delays_another():
    with House(account("A1", broker="wire"), account("A2"), account("A3")) as house:
        house.send(account_ids=("A2", "A3"))
        house.script = lambda request: "hang"
        (stuck,) = house.system.submit(house.signal(account_ids=("A1",)), 0).orders
        assert house.wires["A1"].hanging.wait(PATIENCE)
        halt = stop(house)
        house.until(lambda: house.held("A2") == 0 and house.held("A3") == 0)
        assert house.journal.orders()[stuck.order_id].state is not OrderState.UNKNOWN, "nobody waited until it hung no more"
        states = {row.account_id: row.state for row in house.system.halt_report(halt.halt_id).accounts}
        assert (states["A2"], states["A3"]) == ("flat", "flat")
        assert states["A1"] in ("working", "stuck")
        house.wires["A1"].script = lambda request: "fill"
        house.wires["A1"].released.set()
        house.until(lambda: flat(house, halt.halt_id))


def test_law_5_a_hanging_account_delays_no_other_signal():
    with House(account("A1", broker="wire"), account("A2")) as house:
        house.script = lambda request: "hang"
        for _ in range(20):
            house.system.submit(house.signal("BUY", 1), 0)
        house.until(lambda: house.held("A2") == 20)
        assert not house.books["A1"].reports, "the first still hangs"
        house.wires["A1"].abort()


def test_law_5_the_stop_works_when_the_feed_is_dead():
    with House(account("A1"), account("A2")) as house:
        house.send()
        from dataclasses import replace

        house.system.settings = replace(house.system.settings, max_price_age=-1.0)  # every price is stale from now on
        halt = stop(house)
        house.until(lambda: flat(house, halt.halt_id))
        assert (house.held("A1"), house.held("A2")) == (0, 0)


def test_a_second_stop_while_one_holds_is_the_same_stop():
    with House() as house:
        halt = stop(house)
        again, created = house.system.emergency_stop(HaltScope.SYSTEM, None, "again", USER)
        assert (again.halt_id, created) == (halt.halt_id, False)


def test_a_traders_stop_covers_only_their_own_accounts():
    with House(account("A1"), account("B1", user_id="U2")) as house:

        def both() -> dict[str, str | None]:
            orders = [*house.send(account_ids=("A1",)), *house.send(account_ids=("B1",), user_id="U2")]
            return {order.account_id: order.reason for order in orders}

        both()
        halt, _ = house.system.emergency_stop(HaltScope.USER, USER, "mine", USER)
        house.until(lambda: flat(house, halt.halt_id))
        assert [row.account_id for row in house.system.halt_report(halt.halt_id).accounts] == ["A1"]
        assert (house.held("A1"), house.held("B1")) == (0, 10)
        assert both() == {"A1": "halted", "B1": None}


def test_while_halted_a_person_may_still_close():
    with House() as house:
        house.send()
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "hold", USER, flatten=False)
        (row,) = house.system.halt_report(halt.halt_id).accounts
        assert (row.state, row.open_positions, row.detail) == ("working", 1, "positions stay open, with their stops, as asked")
        (view,) = house.system.positions(["A1"])
        outcome = house.system.close_position(view.position.position_id, None)
        assert [(o.role, o.state) for o in outcome.orders] == [(Role.EXIT, OrderState.FILLED)]
        assert house.held() == 0
        assert flat(house, halt.halt_id)


def test_a_kill_switch_stops_one_account_and_never_lifts_a_halt():
    with House(account("A1"), account("A2")) as house:
        house.send()
        house.system.kill_switch("A1", True, "odd fills", USER, flatten=True)
        house.until(lambda: house.held("A1") == 0)
        assert {o.account_id: o.reason for o in house.send()} == {"A1": "kill_switch", "A2": None}
        with house.restart() as later:
            assert {o.account_id: o.reason for o in later.send()} == {"A1": "kill_switch", "A2": None}
            later.system.kill_switch("A1", False, "", USER)
            assert {o.reason for o in later.send()} == {None}
            stop(later, flatten=False)
            later.system.kill_switch("A1", False, "", USER)
            assert {o.reason for o in later.send()} == {"halted"}


def test_law_4_a_second_stop_is_acknowledged_no_sooner_than_it_holds():
    """Two people press at once; the first one's stop is still on its way to the disk."""
    with House(account("A1", broker="wire")) as house:
        wire, slow, flush = house.wires["A1"], threading.Event(), house.latch.set
        wire.may_write.clear()
        house.system.submit(house.signal(), 0)
        assert wire.writing.wait(PATIENCE)

        def first_is_slow(halt):
            if threading.current_thread() is first:
                slow.wait(PATIENCE)
            return flush(halt)

        house.latch.set = first_is_slow
        first = threading.Thread(target=stop, args=(house,))
        first.start()
        house.until(lambda: house.system.board.halts)
        seen: list[object] = []

        def me_too():
            house.system.emergency_stop(HaltScope.SYSTEM, None, "me too", USER, flatten=True)
            seen.append(house.latch.active())

        second = threading.Thread(target=me_too)
        second.start()
        slow.set()
        second.join()
        assert seen[0], "it is on disk"
        acknowledged = [request for request in house.books["A1"].placed if not request.reduce_only]
        wire.may_write.set()
        first.join()
        house.until(lambda: house.system.roster.lane("A1").idle)
        assert [request for request in house.books["A1"].placed if not request.reduce_only] == acknowledged


def test_a_stop_that_keeps_positions_can_be_followed_by_one_that_closes_them():
    with House(account("A1", broker="wire")) as house:
        house.send()
        kept = stop(house, flatten=False)
        halt, created = house.system.emergency_stop(HaltScope.SYSTEM, None, "out", USER, flatten=True)
        assert (halt.halt_id, halt.flatten, created) == (kept.halt_id, True, False)
        house.until(lambda: house.held() == 0)
        with house.restart() as later:
            (held,) = later.system.halts()
            assert held.flatten


SCOPES = [(HaltScope.SYSTEM, None), (HaltScope.USER, USER), (HaltScope.ACCOUNT, "A1"), (HaltScope.STRATEGY, "S1")]


def on_under_a_stop(house: House, whose: str | None) -> None:
    """What a start left that was carried out while a stop was pressed, before the one refused the other."""
    house.system.board.switch_engines(True, whose)
    house.latch.lift(off_as_halt(whose, 0.0, USER).halt_id)
    house.journal.append(EngineSwitched(True, whose, USER, house.clock.now()))


@pytest.mark.parametrize(("scope", "whose"), SCOPES[:2])
def test_law_4_a_start_that_was_asked_for_before_a_stop_starts_nothing_after_it(scope: HaltScope, whose: str | None):
    with House() as house:
        halt, _ = house.system.emergency_stop(scope, whose, "drill", USER)
        for reach in {USER, whose}:
            with pytest.raises(Conflict):
                house.system.set_engines(True, reach, USER)
        house.system.lift(halt.halt_id, USER)
        assert [o.reason for o in house.send()] == ["halted"]
        house.system.set_engines(True, whose, USER)
        assert [o.reason for o in house.send()] == [None]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("scope", "whose"), SCOPES[:2])
def test_law_4_a_stop_that_is_pressed_again_switches_off_engines_that_are_on_again(scope: HaltScope, whose: str | None, restarted: bool):
    with House() as first:
        halt, _ = first.system.emergency_stop(scope, whose, "drill", USER)
        on_under_a_stop(first, whose)
        with first.restart() if restarted else first as house:
            again, created = house.system.emergency_stop(scope, whose, "again", USER)
            assert (again.halt_id, created, house.system.engines_on(whose)) == (halt.halt_id, False, False)
            assert ("engine", whose, {"on": False}) in house.notifier.told
            assert house.system.lift(halt.halt_id, USER)
            assert [o.reason for o in house.send()] == ["halted"]
            assert set(house.journal.load(0.0).engines_off) == {whose}
            with house.restart() as later:
                assert [o.reason for o in later.send()] == ["halted"], "on disk as well"
                later.system.set_engines(True, whose, USER)
                assert [o.reason for o in later.send()] == [None]


def test_a_stop_that_is_pressed_again_switches_off_a_persons_engines_though_those_of_all_are_off():
    with House() as house:
        halt, _ = house.system.emergency_stop(HaltScope.USER, USER, "mine", USER)
        on_under_a_stop(house, USER)
        house.system.set_engines(False, None, USER)
        house.system.emergency_stop(HaltScope.USER, USER, "again", USER)
        house.system.set_engines(True, None, USER)
        house.system.lift(halt.halt_id, USER)
        assert [o.reason for o in house.send()] == ["halted"]


def test_a_stop_that_is_pressed_again_tells_of_the_engines_only_where_it_has_switched_them_off():
    with House() as house:
        for _ in range(3):
            house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        assert [type(fact) for fact in house.journal.facts].count(EngineSwitched) == 1
        on_under_a_stop(house, None)
        for _ in range(2):
            house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        assert [fact.on for fact in house.journal.facts if isinstance(fact, EngineSwitched)] == [False, True, False]


def test_a_stop_that_is_pressed_again_is_put_on_disk_again_with_its_engines():
    with House() as house:
        house.latch.works = False
        halt = stop(house)
        assert house.notifier.incidents() == ["halt_not_durable"]
        house.latch.works = True
        house.system.emergency_stop(HaltScope.SYSTEM, None, "again", USER)
        assert {row.halt_id for row in house.latch.active()} == {halt.halt_id, "off:"}


@pytest.mark.parametrize(("scope", "whose"), SCOPES)
def test_a_stop_that_is_pressed_again_looks_again_at_once(scope: HaltScope, whose: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engines.execution.leaving.FLATTEN_AT_LEAST", 1e6)  # by itself it would not
    strategy = StrategyConfig("S1", USER, "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,), active=True)
    with House(account("A1", broker="wire"), strategies=[strategy]) as house:
        house.script = lambda request: "fill" if request.reduce_only else "lose_before"
        (entry,) = house.send("BUY", 10, wait=0.0, strategy_id="S1", source=Source.WEBHOOK)
        house.until(lambda: house.journal.orders()[entry.order_id].state is OrderState.NOT_PLACED)
        halt, _ = house.system.emergency_stop(scope, whose, "drill", USER)
        lane = house.system.roster.lane("A1")
        house.until(lambda: lane.idle and any(isinstance(job, Flatten) for job in lane.box.waiting()))
        late = OrderRequest(entry.client_id, INFY, entry.side, entry.quantity, entry.order_type, entry.product)
        wire = house.wires["A1"]
        report = house.books["A1"].reports[entry.client_id] = wire._report(late, "fill")  # placed late, as brokers have been seen to do
        wire.on_report(report)
        house.until(lambda: house.held() == 10)
        house.system.emergency_stop(scope, whose, "again", USER)
        house.until(lambda: house.held() == 0)
        house.system.emergency_stop(scope, whose, "and again", USER)
        (row,) = house.system.halt_report(halt.halt_id).accounts
        assert (row.account_id, row.flattened) == ("A1", 1), "its figures go on"


def test_what_a_stop_has_begun_ends_when_it_is_pressed_again():
    with House(account("A1", broker="wire"), script=lambda request: "refuse" if request.reduce_only else "fill") as house:
        house.send("BUY", 10)
        lane, waiting = house.system.roster.lane("A1"), []
        lane.put_later = lambda job, seconds: waiting.append(job)  # what would be tried again after a pause
        stop(house)
        house.until(lambda: waiting and lane.idle)
        (begun,) = waiting
        house.system.emergency_stop(HaltScope.SYSTEM, None, "again", USER)
        house.until(lambda: len(waiting) == 2 and lane.idle)
        lane.put(begun)
        house.until(lambda: lane.idle)
        assert (begun in waiting[1:], len(waiting)) == (False, 2)


@pytest.mark.parametrize("what", ["kill switch", "engines of a person", "engines of all"])
def test_law_5_whatever_was_stopped_stays_stopped_though_the_journal_never_came_to_write_it(what: str):
    switch = {
        "kill switch": lambda house, on: house.system.kill_switch("A1", not on, "odd fills", USER),
        "engines of a person": lambda house, on: house.system.set_engines(on, USER, USER),
        "engines of all": lambda house, on: house.system.set_engines(on, None, USER),
    }[what]
    reason = "kill_switch" if what == "kill switch" else "halted"
    with House() as house:
        house.journal.down = True
        switch(house, False)
        house.journal.waiting.clear()  # the machine dies with what it had not written
        house.journal.down = False
        with house.restart() as later:
            assert [o.reason for o in later.send()] == [reason]
            switch(later, True)
            assert [o.reason for o in later.send()] == [None]
            with later.restart() as last:
                assert [o.reason for o in last.send()] == [None]


@pytest.mark.parametrize("what", ["kill switch", "engines of all"])
def test_law_4_a_stop_that_comes_while_another_is_lifted_holds_in_memory_on_disk_and_in_the_journal(what: str):
    def switch(house: House, on: bool) -> None:
        if what == "kill switch":
            house.system.kill_switch("A1", not on, "odd fills", USER)
        else:
            house.system.set_engines(on, None, USER)

    reason = "kill_switch" if what == "kill switch" else "halted"
    with House() as house:
        switch(house, False)
        lift, lifting, begun = house.latch.lift, threading.Event(), threading.Event()
        stopping = threading.Thread(target=switch, args=(house, False))

        def slow(halt_id: str) -> bool:
            lifting.set()
            begun.wait(PATIENCE)
            stopping.join(0.3)  # whoever stops now must wait for its turn, or would have it undone on disk
            return lift(halt_id)

        house.latch.lift = slow
        starting = threading.Thread(target=switch, args=(house, True))
        starting.start()
        assert lifting.wait(PATIENCE)
        stopping.start()
        begun.set()
        starting.join()
        stopping.join()
        assert [o.reason for o in house.send()] == [reason]
        assert house.latch.active()
        assert house.journal.load(0.0).kill_switches or house.journal.load(0.0).engines_off
        with house.restart() as later:
            assert [o.reason for o in later.send()] == [reason]


def test_law_4_a_stop_is_seen_by_every_gate_though_another_is_still_on_its_way_to_the_disk():
    with House(account("A1"), account("A2")) as house:
        keep, reached, slow = house.latch.set, threading.Event(), threading.Event()

        def set_slowly(halt):
            reached.set()
            slow.wait(PATIENCE)
            return keep(halt)

        house.latch.set = set_slowly
        kill = house.system.kill_switch
        threads = [threading.Thread(target=kill, args=(name, True, "odd fills", USER)) for name in ("A1", "A2")]
        threads[0].start()
        assert reached.wait(PATIENCE)
        threads[1].start()
        house.until(lambda: house.system.account("A2").kill_switch)
        assert [o.reason for o in house.send()] == ["kill_switch", "kill_switch"]
        slow.set()
        for thread in threads:
            thread.join()
        assert len(house.latch.active()) == 2


@pytest.mark.parametrize("scope", [HaltScope.SYSTEM, HaltScope.USER])
def test_law_4_a_stop_in_the_middle_of_which_the_machine_dies_ends_with_lift_and_start_like_any_other(scope: HaltScope):
    class Dies(Exception):
        pass

    with House() as house:
        keep = house.latch.set

        def dies(halt):
            keep(halt)
            if not halt.halt_id.startswith("off:"):
                raise Dies

        house.latch.set = dies
        whose = None if scope is HaltScope.SYSTEM else USER
        with pytest.raises(Dies):
            house.system.emergency_stop(scope, whose, "drill", USER)
        house.latch.set = keep
        with house.restart() as later:
            (halt,) = later.system.halts()
            assert later.system.lift(halt.halt_id, USER)
            assert [o.reason for o in later.send()] == ["halted"]
            later.system.set_engines(True, whose, USER)
            assert [o.reason for o in later.send()] == [None]


def test_a_kill_switch_that_is_set_again_without_closing_goes_on_closing_and_so_after_each_restart():
    def again(house: House) -> None:
        house.system.kill_switch("A1", True, "its group is stopped", USER, flatten=False)

    with House(account("A1", broker="wire")) as house:
        house.send()
        house.script = lambda request: "refuse"
        house.system.kill_switch("A1", True, "odd fills", USER, flatten=True)
        again(house)
        assert [halt.flatten for halt in house.latch.active()] == [True]
        with house.restart() as later:
            again(later)
            later.script = lambda request: "fill"
            with later.restart() as last:
                last.until(lambda: last.held("A1") == 0)


def test_what_a_kill_switch_began_to_close_ends_with_it_and_not_with_the_next_one():
    with House(account("A1", broker="wire"), script=lambda request: "refuse" if request.reduce_only else "fill") as house:
        house.send("BUY", 10)
        lane, waiting = house.system.roster.lane("A1"), []
        lane.put_later = lambda job, seconds: waiting.append(job)  # what would be tried again after a pause
        house.system.kill_switch("A1", True, "close it", USER, flatten=True)
        house.until(lambda: waiting and lane.idle)
        house.system.kill_switch("A1", False, "", USER)
        house.system.kill_switch("A1", True, "no entries, and I keep the position", USER, flatten=False)
        house.script = lambda request: "fill"
        for job in list(waiting):
            lane.put(job)
        house.until(lambda: lane.idle)
        assert house.held() == 10


@pytest.mark.parametrize("what", ["a kill switch", "a day's limit"])
def test_law_5_what_was_being_closed_goes_on_being_closed_after_a_restart(what: str):
    limits = Limits(max_daily_loss=Decimal(50), flatten_on_limit=True) if what == "a day's limit" else Limits()
    with House(account("A1", broker="wire", limits=limits)) as house:
        house.send()
        house.script = lambda request: "refuse"
        if what == "a kill switch":
            house.system.kill_switch("A1", True, "odd fills", USER, flatten=True)
        else:
            house.feed.price(INFY.symbol, 90.0)
        house.until(lambda: any(o.state is OrderState.REJECTED for o in house.journal.orders().values()))
        house.script = lambda request: "fill"
        with house.restart() as later:
            later.until(lambda: later.held("A1") == 0)


def test_engines_off_deny_entries_and_keep_exit_plans_armed():
    from engines.core.model import ExitSpec

    with House() as house:
        house.send(exits=ExitSpec(stop_price=Decimal(95)))
        house.system.set_engines(False, None, USER)
        assert [o.reason for o in house.send()] == ["halted"]
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        with house.restart() as later:
            assert [o.reason for o in later.send()] == ["halted"]

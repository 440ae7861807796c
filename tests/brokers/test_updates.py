"""What is told of orders: whole, each once, with the broker's own trades; by pushes, by polling, and by both."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.tools import Timing
from engines.brokers.updates import KEPT_ORDERS, OrderMemory, Updates, tell_whole
from engines.core.model import OrderState
from engines.ports import BrokerFill, NeedsLogin, OrderReport, SystemClock, Unknown

S = OrderState
NEVER = Timing(poll=1000.0, safety_poll=1000.0)
PATIENCE = 30.0


def row(
    order: str = "B1", state: S = S.OPEN, filled: int = 0, *, quantity: int = 10, client_id: str | None = "C1", message: str = ""
) -> OrderReport:
    return OrderReport(order, state, client_id=client_id, quantity=Decimal(quantity), filled_quantity=Decimal(filled), message=message)


def trade(name: str, quantity: int, price: str = "100.5") -> BrokerFill:
    return BrokerFill(name, Decimal(quantity), Decimal(price), 5.0)


class Desk:
    """A broker's two books, and who hears of them."""

    def __init__(self) -> None:
        self.book: list[OrderReport] = []
        self.trades: dict[str, list[BrokerFill]] = {}
        self.heard: queue.Queue[OrderReport] = queue.Queue()
        self.rows_read = 0
        self.fills_read: list[frozenset[str]] = []
        self.fails: Exception | None = None
        self.read = threading.Condition()

    def rows(self) -> Sequence[OrderReport]:
        with self.read:
            self.rows_read += 1
            self.read.notify_all()
        if self.fails is not None:
            raise self.fails
        return list(self.book)

    def fills(self, broker_order_ids: Collection[str]) -> Mapping[str, Sequence[BrokerFill]]:
        self.fills_read.append(frozenset(broker_order_ids))
        if self.fails is not None:
            raise self.fails
        return {order: list(fills) for order, fills in self.trades.items()}

    def await_reads(self, count: int) -> None:
        with self.read:
            assert self.read.wait_for(lambda: self.rows_read >= count, PATIENCE)

    def next(self) -> OrderReport:
        return self.heard.get(timeout=PATIENCE)


@contextmanager
def updates(desk: Desk, timing: Timing = NEVER, **more) -> Iterator[Updates]:
    made = Updates(
        "test", desk, desk.heard.put, memory=more.pop("memory", OrderMemory()), clock=SystemClock(), rng=Random(1), timing=timing, **more
    )
    made.start()
    try:
        yield made
    finally:
        made.close()
        assert made._thread is not None
        made._thread.join(PATIENCE)
        assert not made.alive


# --- one row and its trades

WHOLE = [
    # row state, filled, trades                    told state, filled, complete
    (S.OPEN, 0, [], S.OPEN, 0, True),
    (S.OPEN, 4, [4], S.PARTLY_FILLED, 4, True),
    (S.PARTLY_FILLED, 4, [], S.OPEN, 0, False),
    (S.PARTLY_FILLED, 4, [3], S.PARTLY_FILLED, 3, False),
    (S.FILLED, 10, [4, 6], S.FILLED, 10, True),
    (S.FILLED, 10, [4], S.PARTLY_FILLED, 4, False),
    (S.FILLED, 10, [], S.OPEN, 0, False),
    (S.CANCELLED, 0, [], S.CANCELLED, 0, True),
    (S.CANCELLED, 4, [4], S.CANCELLED, 4, True),
    (S.CANCELLED, 4, [3], S.PARTLY_FILLED, 3, False),
    (S.REJECTED, 0, [], S.REJECTED, 0, True),
    (S.EXPIRED, 4, [4], S.EXPIRED, 4, True),
    (S.OPEN, 4, [4, 6], S.FILLED, 10, True),
    (S.OPEN, 0, [4], S.PARTLY_FILLED, 4, True),
]


@pytest.mark.parametrize(("state", "filled", "parts", "told", "told_filled", "complete"), WHOLE)
def test_a_row_is_told_with_its_trades_and_ends_only_when_they_add_up(state, filled, parts, told, told_filled, complete):
    memory = OrderMemory()
    memory.add({"B1": [trade(f"T{n}", part) for n, part in enumerate(parts)]})
    report, whole = memory.whole(row(state=state, filled=filled))
    assert (report.state, report.filled_quantity, whole) == (told, Decimal(told_filled), complete)
    assert [fill.quantity for fill in report.fills] == [Decimal(part) for part in parts]
    assert report.average_price == (Decimal("100.5") if parts else None)


def test_the_same_trade_twice_is_one_trade():
    memory = OrderMemory()
    for _ in range(2):
        memory.add({"B1": [trade("T1", 4)]})
    assert memory.whole(row(state=S.OPEN, filled=4))[0].filled_quantity == 4


def test_a_whole_book_reads_trades_once_and_only_when_some_are_missing():
    desk, memory = Desk(), OrderMemory()
    desk.trades = {"B1": [trade("T1", 10)], "B2": [trade("T2", 3)]}
    rows = [row(), row("B2", client_id=None)]
    assert [report.state for report in tell_whole(memory, rows, desk.fills)] == [S.OPEN, S.OPEN]
    assert desk.fills_read == []
    rows = [row(state=S.FILLED, filled=10), row("B2", S.CANCELLED, 3, client_id=None)]
    for _ in range(2):
        assert [report.state for report in tell_whole(memory, rows, desk.fills)] == [S.FILLED, S.CANCELLED]
    assert desk.fills_read == [frozenset({"B1", "B2"})]


def test_memory_is_bounded():
    memory = OrderMemory()
    for number in range(KEPT_ORDERS + 10):
        memory.name(f"B{number}", f"C{number}")
    assert memory.client_id("B9") is None
    assert memory.client_id("B10") == "C10"


# --- pushes


def test_a_push_without_fills_is_told_at_once_and_once():
    desk = Desk()
    with updates(desk) as worker:
        for _ in range(3):
            worker.push(row(state=S.CANCELLED, message="by hand"))
        worker.push(row("B2", S.OPEN))
        assert (desk.next().broker_order_id, desk.next().broker_order_id) == ("B1", "B2")
    assert desk.heard.empty()
    assert desk.fills_read == []


def test_a_push_with_fills_is_told_with_the_brokers_trade_ids():
    desk = Desk()
    desk.trades = {"B1": [trade("T1", 4, "100"), trade("T2", 6, "101")]}
    with updates(desk) as worker:
        worker.push(row(state=S.FILLED, filled=10))
        report = desk.next()
    assert [(fill.trade_id, fill.quantity) for fill in report.fills] == [("T1", 4), ("T2", 6)]
    assert (report.state, report.average_price) == (S.FILLED, Decimal("100.6"))


def test_trades_that_do_not_add_up_yet_are_looked_for_again():
    desk = Desk()
    desk.trades = {"B1": [trade("T1", 4)]}
    with updates(desk) as worker:
        worker.push(row(state=S.FILLED, filled=10))
        assert (first := desk.next()).state is S.PARTLY_FILLED
        assert first.filled_quantity == 4
        desk.trades = {"B1": [trade("T1", 4), trade("T2", 6)]}
        assert desk.next().state is S.FILLED
    assert desk.heard.empty()


def test_a_push_that_carries_its_trade_needs_no_reading():
    desk = Desk()
    with updates(desk) as worker:
        worker.push(replace(row(state=S.PARTLY_FILLED, filled=4), fills=(trade("T1", 4),)))
        worker.push(replace(row(state=S.FILLED, filled=10), fills=(trade("T2", 6),)))
        last = desk.next()
        while last.state is not S.FILLED:
            last = desk.next()
    assert [fill.trade_id for fill in last.fills] == ["T1", "T2"]
    assert desk.fills_read == []


def test_a_push_that_brings_what_was_missing_lets_the_worker_rest():
    """It used to look without a pause for trades that nobody missed any more: a whole core, until the next order."""
    desk = Desk()
    with updates(desk) as worker:
        worker.push(row(state=S.PARTLY_FILLED, filled=4))
        assert desk.next().filled_quantity == 0
        worker.push(replace(row(state=S.FILLED, filled=10), fills=(trade("T1", 4), trade("T2", 6))))
        while desk.next().state is not S.FILLED:
            pass
        assert worker.due > SystemClock().monotonic() + 100


def test_an_older_push_that_comes_late_takes_nothing_back():
    desk = Desk()
    desk.trades = {"B1": [trade("T1", 10)]}
    with updates(desk) as worker:
        worker.push(row(state=S.FILLED, filled=10))
        assert desk.next().state is S.FILLED
        worker.push(row(state=S.PARTLY_FILLED, filled=4))
        worker.push(row("B2", S.REJECTED))
        assert desk.next().broker_order_id == "B2"
    assert desk.heard.empty()


def test_an_order_told_before_its_name_was_known_is_told_again_with_it():
    desk, memory = Desk(), OrderMemory()
    desk.trades = {"B1": [trade("T1", 10)]}
    with updates(desk, memory=memory) as worker:
        worker.push(row(state=S.FILLED, filled=10, client_id=None))
        assert desk.next().client_id is None
        assert memory.name("B1", "C1")
        worker.push(row(state=S.FILLED, filled=10, client_id=None))
        assert desk.next().client_id == "C1"


def test_a_listener_that_fails_hears_it_again():
    desk, told = Desk(), []

    def deliver(report: OrderReport) -> None:
        told.append(report)
        if len(told) == 1:
            raise RuntimeError("the desk is being built")
        desk.heard.put(report)

    desk.book = [row(state=S.CANCELLED)]
    worker = Updates(
        "test", desk, deliver, memory=OrderMemory(), clock=SystemClock(), rng=Random(1), timing=Timing(poll=0.01, safety_poll=0.02)
    )
    worker.start()
    worker.push(row(state=S.CANCELLED))
    assert desk.next().state is S.CANCELLED
    worker.close()


# --- polling


def test_without_pushes_the_book_is_read_while_orders_are_at_work():
    desk = Desk()
    desk.book = [row()]
    with updates(desk, Timing(poll=0.01, safety_poll=1000.0)) as worker:
        worker.watch("B1")
        assert desk.next().state is S.OPEN
        desk.await_reads(3)
        desk.book, desk.trades = [row(state=S.FILLED, filled=10)], {"B1": [trade("T1", 10)]}
        assert desk.next().state is S.FILLED
        with desk.read:  # nothing at work any more: no reads
            before = desk.rows_read
            assert not desk.read.wait_for(lambda: desk.rows_read > before + 1, 0.05)
    assert desk.heard.empty()


def test_with_pushes_the_book_is_read_seldom_but_it_is():
    desk = Desk()
    with updates(desk, Timing(poll=0.01, safety_poll=0.03)) as worker:
        worker.pushes(up=True)
        desk.book = [row("B9", S.OPEN, client_id=None)]  # placed by hand, its push was lost
        assert desk.next().broker_order_id == "B9"
        desk.await_reads(3)


def test_a_socket_that_comes_back_makes_the_book_be_read_at_once():
    desk = Desk()
    desk.book = [row(state=S.CANCELLED)]
    with updates(desk) as worker:
        worker.pushes(up=True)
        assert desk.next().state is S.CANCELLED


def test_an_order_that_was_placed_is_looked_at_even_when_pushes_work():
    desk = Desk()
    with updates(desk, Timing(poll=0.01, safety_poll=1000.0)) as worker:
        worker.pushes(up=True)
        desk.await_reads(1)
        desk.book = [row(state=S.REJECTED, message="no margin")]
        worker.watch("B1")
        assert desk.next().message == "no margin"


def test_a_book_that_cannot_be_read_is_read_again():
    desk = Desk()
    desk.fails = Unknown("no complete answer")
    with updates(desk, Timing(poll=0.005, safety_poll=0.02)) as worker:
        worker.look()
        desk.await_reads(3)
        assert desk.heard.empty()
        desk.book, desk.fails = [row()], None
        assert desk.next().state is S.OPEN


def test_a_session_that_is_over_ends_the_reading_until_somebody_signs_in():
    desk, told = Desk(), queue.Queue()
    desk.fails = NeedsLogin("log in again")
    with updates(desk, Timing(poll=0.005, safety_poll=0.01), on_needs_login=told.put) as worker:
        worker.look()
        assert str(told.get(timeout=PATIENCE)) == "log in again"
        reads = desk.rows_read
        worker.push(row("B2", S.OPEN))  # pushes are told all the same
        assert desk.next().broker_order_id == "B2"
        assert desk.rows_read == reads
        desk.fails, desk.book = None, [row()]
        worker.resume()
        assert desk.next().broker_order_id == "B1"


def test_a_look_that_was_asked_for_while_nobody_was_signed_in_does_not_keep_it_asleep_afterwards():
    asleep, told, desk = threading.Semaphore(0), queue.Queue(), Desk()

    class Inbox(queue.SimpleQueue):
        def get(self, block=True, timeout=None):
            if timeout is None:
                asleep.release()
            return super().get(block, timeout)

    worker = Updates(
        "test", desk, desk.heard.put, memory=OrderMemory(), clock=SystemClock(), rng=Random(1), timing=NEVER, on_needs_login=told.put
    )
    worker._inbox = Inbox()
    desk.fails = NeedsLogin("log in again")
    worker.start()
    worker.look()
    assert asleep.acquire(timeout=PATIENCE)
    worker.look()  # as a socket does that comes and goes
    assert asleep.acquire(timeout=PATIENCE)
    desk.fails, desk.book = None, [row()]
    worker.resume()
    assert desk.next().broker_order_id == "B1"
    worker.close()


def test_closing_ends_a_worker_that_waits():
    desk = Desk()
    worker = Updates("test", desk, desk.heard.put, memory=OrderMemory(), clock=SystemClock(), rng=Random(1), timing=NEVER)
    worker.close()  # never started
    with updates(desk):
        pass


# --- whatever order the news come in


@given(st.data())
def test_law_3_shuffled_repeated_and_half_read_news_end_at_the_truth(data):
    """Rows of an order's life in any order, any of them twice, trades that become readable one by one: nothing is told that is not so, the end is told
    only with all its trades, and a last look tells everything."""
    sizes = data.draw(st.lists(st.integers(1, 5), max_size=4), label="trades")
    truth = {f"T{n}": size for n, size in enumerate(sizes)}
    quantity = sum(sizes) + data.draw(st.integers(0, 3), label="left over") or 1
    end = S.FILLED if sum(sizes) == quantity else data.draw(st.sampled_from([S.CANCELLED, S.EXPIRED]))
    life = [row(state=S.PARTLY_FILLED if n else S.OPEN, filled=sum(sizes[:n]), quantity=quantity) for n in range(len(sizes) + 1)]
    life.append(row(state=end, filled=sum(sizes), quantity=quantity))
    rows = data.draw(st.permutations(life + data.draw(st.lists(st.sampled_from(life), max_size=4))), label="as they come")
    memory, told = OrderMemory(), []
    for news in rows:
        readable = data.draw(st.integers(0, len(sizes)), label="readable trades")
        memory.add({"B1": [trade(name, size) for name, size in list(truth.items())[:readable]]})
        report, _ = memory.whole(news)
        if memory.is_news(report):
            memory.told(report)
            told.append(report)
    memory.add({"B1": [trade(name, size) for name, size in truth.items()]})
    last, complete = memory.whole(life[-1])
    assert complete
    told.append(last)
    for report in told:
        assert {fill.trade_id: fill.quantity for fill in report.fills}.items() <= truth.items()
        assert report.filled_quantity == sum(fill.quantity for fill in report.fills)
        if report.state is end:
            assert report.filled_quantity == sum(sizes)
    assert (last.state, last.filled_quantity) == (end, sum(sizes))

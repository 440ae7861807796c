"""An exit that is refused is asked for again for ever: at once where its market opens, rarely while it is shut, and told only when something changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, HaltScope, Order, OrderState, Role
from engines.execution import aftermath, refused
from engines.execution.compare import ComparePositions
from engines.execution.jobs import Send
from engines.execution.leaving import Exit
from engines.ports import OrderReport, OrderRequest, Permit, Refused
from tests.execution.house import INFY, USER, House, account

STOP = ExitSpec(stop_price=Decimal(95))


def shut(house: House, is_shut: bool = True) -> None:
    house.system.hours.open_for = lambda *_: not is_shut  # type: ignore[method-assign]


def refuses(house: House, words: Sequence[str]) -> None:
    """The broker says these words one after the other, the last again and again."""
    left = list(words)

    def no(request: OrderRequest, permit: Permit) -> OrderReport:
        with permit():
            pass
        raise Refused(left.pop(0) if len(left) > 1 else left[0])

    house.wires["A1"].place = no  # type: ignore[method-assign]


def held_up(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Exit | Send]:
    """From now on exits that are to be tried again wait here, until the test hands them back; nobody asks in their place."""
    lane, kept = house.system.roster.lane("A1"), []
    later = lane.put_later
    monkeypatch.setattr(aftermath, "LEFT_FOR", math.inf)
    monkeypatch.setattr(aftermath, "UNSURE_FOR", math.inf)
    monkeypatch.setattr(lane, "put_later", lambda job, pause: kept.append(job) if isinstance(job, Exit | Send) else later(job, pause))
    return kept


def trades_again(house: House) -> None:
    del house.wires["A1"].place  # type: ignore[misc]


def ended(house: House) -> list[Order]:
    return [order for order in house.journal.orders().values() if order.state is OrderState.REJECTED]


def told(house: House) -> int:
    return house.notifier.incidents().count("exit_failed")


def waiting(house: House) -> list[Exit]:
    lane = house.system.roster.lane("A1")
    return [job for job in lane.box.waiting() if isinstance(job, Exit)] if lane.idle else []


@pytest.mark.parametrize(
    ("refusals", "while_open", "while_shut"),
    [(0, 0.5, 0.5), (1, 1.0, 1.0), (5, 16.0, 16.0), (6, 30.0, 32.0), (10, 30.0, 512.0), (12, 30.0, 1800.0), (5000, 30.0, 1800.0)],
)
def test_how_soon_what_was_refused_is_asked_for_again(refusals: int, while_open: float, while_shut: float) -> None:
    assert refused.pause_after(refusals, shut=False) == while_open
    assert refused.pause_after(refusals, shut=True) == while_shut


def test_a_stop_that_is_refused_while_its_market_is_shut_waits_for_it_to_open(monkeypatch) -> None:
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 3600.0 if shut else 0.0)
    monkeypatch.setattr(refused, "LOOK_EVERY", 0.01)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=STOP)
        shut(h)
        refuses(h, ["the market is closed"])
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: waiting(h))
        looks = h.clock.monotonic() + 0.1
        h.until(lambda: h.clock.monotonic() > looks and waiting(h))
        assert (len(ended(h)), told(h)) == (1, 1)
        trades_again(h)
        shut(h, False)
        h.until(lambda: h.held() == 0 and h.system.roster.lane("A1").idle)
        assert [order.role for order in h.journal.orders().values() if order.state is OrderState.FILLED][1:] == [Role.STOP]


def test_a_stop_that_is_refused_is_told_when_something_changes(monkeypatch) -> None:
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 0.0)
    monkeypatch.setattr(refused, "LOOK_EVERY", 0.01)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=STOP)
        refuses(h, ["margin 12.50 is short", "margin 12.75 is short", "margin 13 is short", "no such product"])
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: len(ended(h)) >= 8)
        assert told(h) == 2
        shut(h)
        h.until(lambda: told(h) == 3)
        seen = len(ended(h))
        h.until(lambda: len(ended(h)) >= seen + 4)
        assert told(h) == 3
        trades_again(h)
        h.until(lambda: h.held() == 0)
        shut(h, False)
        h.feed.price(INFY.symbol, 100.0)
        h.send("BUY", 10, exits=STOP)
        refuses(h, ["no such product"])
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: told(h) == 4)


def test_an_emergency_stop_asks_rarely_while_the_market_is_shut_and_at_once_when_it_opens(monkeypatch) -> None:
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 3600.0 if shut else 0.0)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        shut(h)
        refuses(h, ["the market is closed"])
        halt, _ = h.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        progress = h.system.stopper.running[halt.halt_id].progress["A1"]
        h.until(lambda: progress.rounds >= 4)
        assert (len(ended(h)), told(h)) == (1, 1)
        assert "asked for again when it opens" in h.system.halt_report(halt.halt_id).accounts[0].detail
        trades_again(h)
        shut(h, False)
        h.until(lambda: h.system.halt_report(halt.halt_id).accounts[0].state == "flat")


def test_an_emergency_stop_asks_at_each_round_while_the_market_is_open_and_is_told_once() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        refuses(h, ["margin exceeds available funds"])
        halt, _ = h.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        progress = h.system.stopper.running[halt.halt_id].progress["A1"]
        h.until(lambda: progress.rounds >= 4)
        assert len(ended(h)) >= 3
        assert told(h) == 1


def test_a_refused_square_off_by_the_clock_leaves_when_the_market_opens(monkeypatch) -> None:
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 3600.0 if shut else 0.0)
    monkeypatch.setattr(refused, "LOOK_EVERY", 0.01)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=ExitSpec(max_minutes=1))
        shut(h)
        refuses(h, ["the market is closed"])
        h.system.guard.on_clock(h.clock.now() + 61)
        h.until(lambda: waiting(h) and ended(h))
        trades_again(h)
        assert h.held() == 10
        shut(h, False)
        h.until(lambda: h.held() == 0)


def sold(house: House) -> list[Decimal]:
    return [request.quantity for request in house.books["A1"].placed if request.reduce_only]


@pytest.mark.parametrize("exits", [ExitSpec(), ExitSpec(stop_price=Decimal(80))], ids=["alone", "under a stop of its own"])
@pytest.mark.parametrize(("closed", "bought", "leaves"), [(6, 6, [4]), (6, 0, [4]), (6, 20, [4]), (10, 10, []), (0, 5, [10])])
def test_a_refused_stop_that_is_tried_again_takes_out_only_what_its_trade_still_holds(
    closed: int, bought: int, leaves: list[int], exits: ExitSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=STOP)
        again = held_up(h, monkeypatch)
        refuses(h, ["margin is short"])
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: again)
        trades_again(h)
        by_hand = [Decimal(closed)] if closed else []
        h.send("SELL", closed) if closed else None
        h.send("BUY", bought, exits=exits) if bought else None
        lane = h.system.roster.lane("A1")
        lane.put(again.pop())
        h.until(lambda: lane.idle and not any(order.live for order in h.journal.orders().values()))
        assert sold(h) == [*by_hand, *leaves]
        assert (h.held(), again) == (10 - closed + bought - sum(leaves), [])


def test_of_a_stop_in_slices_the_second_that_is_tried_again_finds_what_the_first_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), instruments=(replace(INFY, freeze_quantity=5),)) as h:
        h.send("BUY", 5, exits=STOP)
        h.send("BUY", 5)
        again = held_up(h, monkeypatch)
        refuses(h, ["margin is short"])
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: len(again) == 2)
        trades_again(h)
        h.send("SELL", 5)
        h.send("SELL", 1)
        h.send("BUY", 5)
        lane = h.system.roster.lane("A1")
        while again:
            lane.put(again.pop())
        h.until(lambda: lane.idle and not any(order.live for order in h.journal.orders().values()))
        assert (sold(h), h.held()) == ([5, 1, 4], 5)


def test_a_stop_that_could_not_leave_yet_leaves_for_what_its_trade_still_holds_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=STOP)
        again, desk, lane = held_up(h, monkeypatch), h.system.roster.desk("A1"), h.system.roster.lane("A1")
        h.script = lambda request: "retry" if request.reduce_only else "fill"
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: again)
        waits = again.pop()
        h.books["A1"].elsewhere[INFY.symbol] = Decimal(-6)
        for _ in range(2):
            lane.put(ComparePositions())
        h.until(lambda: desk.differences)
        (position,) = desk.open_positions()
        h.system.closed_elsewhere(position.position_id)
        h.send("BUY", 6)
        h.script = lambda request: "fill"
        lane.put(waits)
        h.until(lambda: again)
        lane.put(again.pop())
        h.until(lambda: lane.idle and not any(order.live for order in h.journal.orders().values()))
        assert (sold(h), h.held()) == ([4], 6)

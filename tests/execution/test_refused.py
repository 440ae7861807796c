"""An exit that is refused is asked for again for ever: at once where its market opens, rarely while it is shut, and told only when something changes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, HaltScope, Order, OrderState, Role
from engines.execution import refused
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

"""Intraday positions leave before their segment closes, whatever happens on the way; entries keep their window. On a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engines import runtime
from engines.core.facts import JobChanged
from engines.core.model import DayRules, Denial, JobRun, Order, OrderState, OrderType, Product, Role, RunState
from engines.core.sessions import CalendarDay, load_calendar
from engines.market.replay import ReplayFeed
from engines.ports import OrderRequest, SystemClock
from engines.system import EngineSettings, TradingSystem
from tests.execution.house import INFY, NIFTY_FUT, House, account, books_balance

FRIDAY = "2026-11-20"
AUCTION = replace(INFY, symbol="NSE:TCS", name="TCS", auction=True)
KEEP = DayRules(keep=True)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines look after their clock more often than four times a second, because the test's passes ten times as fast."""
    monkeypatch.setattr(runtime, "MONITOR_EVERY", 0.02)


def at(text: str, day: str = FRIDAY) -> float:
    return datetime.fromisoformat(f"{day}T{text}+05:30").timestamp()


class Wall:
    """Wall time that the test puts forward and back, and that passes ten times as fast as the machine's steady time in between."""

    def __init__(self, text: str = "14:00", day: str = FRIDAY, speed: float = 10.0) -> None:
        self._speed = speed
        self.wall = at(text, day)

    @property
    def wall(self) -> float:
        return self._set + (self.monotonic() - self._since) * self._speed

    @wall.setter
    def wall(self, now: float) -> None:
        self._set, self._since = now, self.monotonic()

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return SystemClock().monotonic()


def open_house(wall: Wall, *, script: Callable[[OrderRequest], str] = lambda request: "fill", **changes: Any) -> House:
    given = {"broker": "wire", "day_rules": KEEP} | changes
    return House(
        account("A1", **given), script=script, clock=wall, calendar=load_calendar(), instruments=(INFY, NIFTY_FUT, AUCTION), brokers={}
    )


def to(house: House, wall: Wall, text: str, day: str = FRIDAY) -> None:
    """Put the wall clock there; prices come again, so that none is stale."""
    wall.wall = at(text, day)
    for symbol in (INFY.symbol, NIFTY_FUT.symbol, AUCTION.symbol):
        house.feed.price(symbol, 100.0)


def states(house: House) -> dict[str, tuple[RunState, str]]:
    found = {}
    for fact in list(house.journal.facts):
        if isinstance(fact, JobChanged) and fact.run.job.startswith("square_off"):
            found[fact.run.job.rpartition(":")[2]] = (fact.run.state, fact.run.detail)
    return found


def held(house: House) -> dict[str, Decimal]:
    desk = house.system.roster.desk("A1")
    assert desk is not None
    return {f"{p.key.symbol} {p.key.product}": p.quantity for p in desk.open_positions()}


def send(house: House, symbol: str, quantity: int, product: Product = Product.MIS, **changes: Any) -> Order:
    return house.send("BUY", quantity, symbol=symbol, product=product, **changes)[0]


def test_each_segment_leaves_at_its_time_and_what_is_held_overnight_stays() -> None:
    wall = Wall()
    with open_house(wall) as house:
        for symbol, quantity in ((INFY.symbol, 10), (AUCTION.symbol, 5), (NIFTY_FUT.symbol, 65)):
            assert send(house, symbol, quantity).state is OrderState.FILLED
        send(house, INFY.symbol, 3, Product.CNC)
        send(house, NIFTY_FUT.symbol, 130, Product.NRML)
        to(house, wall, "15:10")
        house.until(lambda: len(states(house)) >= 2 and all(state is RunState.DONE for state, _ in states(house).values()))
        assert held(house) == {"NSE:INFY CNC": 3, "NFO:NIFTY26NOVFUT MIS": 65, "NFO:NIFTY26NOVFUT NRML": 130}
        to(house, wall, "15:15")
        house.until(lambda: states(house).get("derivatives", ("", ""))[0] is RunState.DONE)
        assert held(house) == {"NSE:INFY CNC": 3, "NFO:NIFTY26NOVFUT NRML": 130}
        assert states(house) == dict.fromkeys(("auction", "cash", "derivatives"), (RunState.DONE, "1 position closed"))
        exits = [order for order in house.journal.orders().values() if not order.raises_exposure]
        assert {order.role for order in exits} == {Role.SQUARE_OFF}
        books_balance(house)


def test_waiting_entries_are_taken_back_and_resting_exits_make_way() -> None:
    wall = Wall()
    answers = {OrderType.MARKET: "fill", OrderType.LIMIT: "open"}
    with open_house(wall, script=lambda request: answers[request.order_type]) as house:
        send(house, INFY.symbol, 10)
        entry = send(house, INFY.symbol, 7, order_type=OrderType.LIMIT, price=Decimal(95))
        overnight = send(house, INFY.symbol, 1, Product.CNC, order_type=OrderType.LIMIT, price=Decimal(95))
        (target,) = house.send("SELL", 10, order_type=OrderType.LIMIT, price=Decimal(105))
        assert target.role is Role.EXIT
        to(house, wall, "15:10")
        house.until(lambda: states(house).get("cash", ("", ""))[0] is RunState.DONE)
        orders = house.journal.orders()
        assert [orders[o.order_id].state for o in (entry, target, overnight)] == [
            OrderState.CANCELLED,
            OrderState.CANCELLED,
            OrderState.OPEN,
        ]
        assert states(house)["cash"] == (RunState.DONE, "1 position closed, 1 order taken back")
        assert held(house) == {}
        books_balance(house)


def test_a_restart_in_the_middle_finishes_what_was_begun_and_sells_nothing_twice() -> None:
    wall = Wall()
    stuck = {"on": False}
    house = open_house(wall, script=lambda request: "open" if stuck["on"] else "fill")
    with house:
        send(house, INFY.symbol, 10)
        stuck["on"] = True  # the square-off's order rests at the broker
        to(house, wall, "15:10")
        house.until(
            lambda: any(order.role is Role.SQUARE_OFF and order.state is OrderState.OPEN for order in house.journal.orders().values())
        )
        wall.wall = at("15:14")
        again = house.restart()
    with again:
        (resting,) = [order for order in again.journal.orders().values() if order.role is Role.SQUARE_OFF]
        stuck["on"] = False
        again.system.cancel_order(resting.order_id)  # as the chaser does in the end: whoever wants the position closed plans anew
        to(again, wall, "15:14:10")
        again.until(lambda: states(again).get("cash", ("", ""))[0] is RunState.DONE)
        assert held(again) == {}
        claims = [f.run for f in again.journal.facts if isinstance(f, JobChanged) and f.run.job == "square_off:A1:cash"]
        assert [run.state for run in claims] == [RunState.STARTED, RunState.DONE]
        sold = sum(r.filled_quantity for r in again.books["A1"].reports.values() if r.side == "SELL")
        assert sold == 10
        books_balance(again)


def test_started_at_15_14_the_square_off_of_15_10_is_caught_up_and_that_of_15_15_still_comes() -> None:
    wall = Wall()
    house = open_house(wall)
    with house:
        for symbol in (INFY.symbol, AUCTION.symbol):
            send(house, symbol, 10)
        send(house, NIFTY_FUT.symbol, 65)
        house.system.stop()
        wall.wall = at("15:14")
        again = house.restart()
    with again:
        to(again, wall, "15:14")
        again.until(lambda: len(states(again)) == 2 and all(state is RunState.DONE for state, _ in states(again).values()))
        assert held(again) == {"NFO:NIFTY26NOVFUT MIS": 65}
        to(again, wall, "15:15")
        again.until(lambda: held(again) == {})


def test_what_is_not_flat_before_the_close_is_a_critical_incident_with_its_name() -> None:
    wall = Wall()
    refused = {"on": False}
    with open_house(wall, script=lambda request: "refuse" if refused["on"] else "fill") as house:
        send(house, INFY.symbol, 10)
        refused["on"] = True
        to(house, wall, "15:10")
        house.until(lambda: states(house).get("cash", ("", ""))[0] is RunState.STARTED)
        to(house, wall, "15:29:10")
        house.until(lambda: "square_off_late" in house.notifier.incidents())
        to(house, wall, "15:30")
        house.until(lambda: states(house)["cash"][0] is RunState.FAILED)
        assert states(house)["cash"][1] == "still open at the close: NSE:INFY 10"
        told = [payload["incident"] for kind, _, payload in house.notifier.told if kind == "incident"]
        late = next(incident for incident in told if incident.kind == "square_off_late")
        assert (late.severity, late.account_id) == ("critical", "A1")
        assert "NSE:INFY 10" in late.message


def test_a_square_off_that_was_missed_is_told_with_what_is_still_open() -> None:
    wall = Wall()
    house = open_house(wall, broker="paper")
    with house:
        send(house, INFY.symbol, 10)
        wall.wall = at("15:45")
        again = house.restart()
    with again:
        again.until(lambda: {"cash", "derivatives"} <= states(again).keys())
        assert states(again)["cash"] == (RunState.SKIPPED, "its time had passed; still open: NSE:INFY 10")
        assert "square_off_missed" in again.notifier.incidents()
        assert states(again)["derivatives"][1] == "its time had passed; nothing was open"


def test_what_fills_after_the_square_off_is_taken_out_as_well() -> None:
    wall = Wall()
    with open_house(wall) as house:
        to(house, wall, "15:10")
        house.until(lambda: states(house).get("cash", ("", ""))[0] is RunState.DONE)
        wall.wall = at("14:59")  # the machine's clock is put back, and an entry is allowed again
        assert send(house, INFY.symbol, 10).state is OrderState.FILLED
        to(house, wall, "15:12")
        house.until(lambda: held(house) == {})
        house.until(lambda: states(house)["cash"] == (RunState.DONE, "1 position closed"))


@pytest.mark.parametrize(
    ("rules", "time", "product", "why"),
    [
        (KEEP, "15:09:59", Product.MIS, ""),
        (KEEP, "15:10", Product.MIS, "no intraday entry from 15:10 on"),
        (KEEP, "15:10", Product.CNC, ""),
        (DayRules(keep=True, first_entry="09:20"), "09:19", Product.MIS, "no intraday entry before 09:20"),
        (DayRules(keep=True, last_entry="15:00"), "15:00", Product.MIS, "no intraday entry from 15:00 on"),
        (DayRules(first_entry="16:00"), "09:30", Product.MIS, ""),  # a paper account keeps no hours unless it says so
    ],
)
def test_an_entry_outside_its_window_is_denied_as_market_closed(rules: DayRules, time: str, product: Product, why: str) -> None:
    wall = Wall(time, speed=0)
    with open_house(wall, broker="paper", day_rules=rules) as house:
        to(house, wall, time)
        order = send(house, INFY.symbol, 1, product)
        check = next(check for check in order.checks if check.name == Denial.MARKET_CLOSED)
        assert (order.state is OrderState.DENIED, order.reason) == (bool(why), Denial.MARKET_CLOSED.value if why else None)
        assert check.detail == (why or "the market is open")


def test_an_exit_is_never_held_back_by_the_window() -> None:
    wall = Wall()
    with open_house(wall, broker="paper", day_rules=DayRules(keep=True, last_entry="15:00", square_off=False)) as house:
        send(house, INFY.symbol, 10)
        to(house, wall, "15:05")
        (order,) = house.send("SELL", 10)
        assert (order.role, order.state) == (Role.EXIT, OrderState.FILLED)


def test_a_holiday_that_a_person_adds_closes_the_market_at_once() -> None:
    wall = Wall("10:00")
    with open_house(wall, broker="paper") as house:
        assert send(house, INFY.symbol, 1).state is OrderState.FILLED
        house.directory.calendar_rows.append(CalendarDay(FRIDAY, note="cyclone"))
        for tell in house.directory.callbacks:
            tell()
        house.until(lambda: send(house, INFY.symbol, 1).reason == Denial.MARKET_CLOSED)
        assert not [entry for entry in house.system.day.entries() if entry.job.name.startswith("square_off")]


def test_on_a_split_saturday_the_square_off_moves_with_the_close() -> None:
    wall = Wall("11:45", "2024-03-02")
    with open_house(wall) as house:
        to(house, wall, "11:45", "2024-03-02")
        assert send(house, INFY.symbol, 10).state is OrderState.FILLED
        to(house, wall, "12:09", "2024-03-02")
        assert held(house)
        to(house, wall, "12:10", "2024-03-02")
        house.until(lambda: held(house) == {})


def test_a_replay_is_squared_off_by_its_own_time(tmp_path: Path) -> None:
    """In lockstep, at the first price of 15:10, whatever the wall says and whatever an earlier replay of the day has left on record."""
    wall = Wall("15:00", speed=0)
    with open_house(wall, broker="paper") as house:
        house.feed.price(INFY.symbol, 100.0)
        send(house, INFY.symbol, 10)
    house.journal.append(JobChanged(JobRun(FRIDAY, "square_off:A1:cash", RunState.DONE, at("15:10"), at("15:10"), "by an earlier replay")))
    file = tmp_path / "day.csv"
    minutes = [f"2026-11-20 15:{minute:02d},NSE:INFY,{100 + minute},{101 + minute},{99 + minute},{100 + minute}" for minute in range(6, 14)]
    file.write_text("\n".join(["time,symbol,open,high,low,close", *minutes]))
    feed = ReplayFeed(file, speed=0, instruments=(INFY,))
    system = TradingSystem(
        journal=house.journal,
        latch=house.latch,
        directory=house.directory,
        notifier=house.notifier,
        clock=feed.clock,
        ids=house.system.ids,
        feed=feed,
        settings=EngineSettings(lockstep=True),
    )
    system.start()
    try:
        house.until(lambda: feed.finished)
    finally:
        system.stop()
    (order,) = [order for order in house.journal.orders().values() if order.role is Role.SQUARE_OFF]
    assert (order.created_at, order.average_price, order.state) == (at("15:10"), Decimal(110), OrderState.FILLED)

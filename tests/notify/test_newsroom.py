"""The newsroom: which fact becomes a message, when it is ripe, whom it reaches, and what is dropped. Real tables, a clock that is turned by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.data import Address, Data, MessageRow
from app.newsroom import Newsroom
from engines.core import facts as f
from engines.core.messages import Event, Quiet
from engines.core.model import (
    ZERO,
    AccountMapping,
    CombinedState,
    DayBook,
    Halt,
    HaltScope,
    Incident,
    Order,
    OrderState,
    OrderType,
    Role,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.execution.supervisor import Death, Supervisor
from engines.ports import SystemClock
from tests.data.house import eventually
from tests.data.making import CLI, NOON, D, HandClock, Ledger, account, changed, cheap_user, opened, order, signal


@dataclass
class PlainBooks:
    """What the engines would say of accounts."""

    guards: dict[str, tuple[Decimal | None, tuple[Decimal, ...]]] = field(default_factory=dict)
    ticks: dict[str, Decimal] = field(default_factory=dict)

    def balance(self, account_id: str) -> Decimal | None:
        return D(100_500)

    def segment(self, symbol: str) -> str:
        return "EQ" if symbol.startswith("NSE:") else ""

    def tick(self, symbol: str) -> Decimal | None:
        return self.ticks.get(symbol)

    def guard(self, order: Order) -> tuple[Decimal | None, tuple[Decimal, ...]]:
        return self.guards.get(order.order_id, (None, ()))


@dataclass
class Room:
    """A workspace of one trader with two accounts and one who only shares the machine, and the newsroom over it."""

    data: Data
    clock: HandClock
    user: str
    other: str
    owner: str
    books: PlainBooks

    def __post_init__(self) -> None:
        self.newsroom = Newsroom(self.data, self.books, self.clock, self.clock)

    def later(self, seconds: float) -> int:
        """How many messages were told after so many seconds."""
        self.clock.wall += seconds
        return self.newsroom.step()

    def fact(self, *facts: f.Fact) -> None:
        self.data.journal.commit(*facts)

    def told(self, user: str = "", *, audiences: tuple[str, ...] = ("",)) -> list[MessageRow]:
        page = self.data.outbox.list(user or self.user, audiences=audiences)
        return [row for row in reversed(page.items) if row.state == "told"]

    def titles(self, user: str = "", **more: Any) -> list[str]:
        return [row.message.title for row in self.told(user, **more) if row.message]

    def place(self, user: str, *events: Event, quiet: Quiet | None = None) -> str:
        url = f"https://discord.com/api/webhooks/{len(self.data.destinations.list(user)) + 1}/x"
        row = self.data.destinations.add(
            user, channel="discord", name="Desk", address=Address({"url": url}, {}), events=events or tuple(Event), quiet=quiet, by=CLI
        )
        return row.destination_id

    def ways(self, user: str = "") -> list[tuple[str, str, float]]:
        """(title, destination, seconds from now until it may leave)."""
        now = self.clock.now()
        return [
            (row.message.title, way.destination_id, way.next_at - now) for row in self.told(user) if row.message for way in row.deliveries
        ]

    def signal(self, *accounts: str, **fields: Any) -> f.SignalPlanned:
        made = signal(self.user, created_at=self.clock.now(), **fields)
        planned = f.SignalPlanned(made, tuple(order(made, key) for key in accounts))
        self.fact(planned)
        return planned

    def to(self, before: Order, state: OrderState, **fields: Any) -> Order:
        fact = changed(before, state, self.clock.now(), **fields)
        self.fact(fact)
        return fact.order


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    clock = HandClock()
    with opened(tmp_path / "data", clock=clock) as data:
        user, other, owner = (
            cheap_user(data, f"{name}@example.com", role) for name, role in (("u", "trader"), ("o", "trader"), ("b", "owner"))
        )
        for name in ("A1", "A2"):
            data.accounts.add(replace(account(user, name), name=f"Paper {name[1]}"), credentials={}, by=CLI)
        clock.wall += 1
        yield Room(data, clock, user, other, owner, PlainBooks())


# --- orders and signals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("filled", "BUY INFY · filled"),
        ("cancelled", "BUY INFY · cancelled"),
        ("rejected", "BUY INFY · rejected"),
        ("unknown", "BUY INFY · unknown"),
        ("expired", "BUY INFY · expired"),
        ("not_placed", "BUY INFY · not placed"),
        ("open", None),
        ("partly_filled", None),
        ("denied", None),
    ],
)
def test_an_order_is_told_of_after_its_last_word_only(room: Room, state: str, told: str | None) -> None:
    made = room.signal("A1", role=Role.EXIT)
    room.to(made.orders[0], OrderState(state))
    room.later(3)
    assert room.titles() == ([told] if told else [])


def crowd(room: Room, there: str) -> dict[str, str]:
    """What stands of each title after an hour in which nothing could be sent and much was told; the crowd itself left out."""
    for one in room.signal(*["A2"] * 60, role=Role.EXIT).orders:
        room.to(one, OrderState.EXPIRED)
    room.later(1)
    room.clock.wall += 60
    room.data.deliveries.claim(there, 1, room.clock.now())
    rows = [row for row in room.told() if row.message and "expired" not in row.message.title]
    return {row.message.title: row.deliveries[0].status for row in rows if row.message}


def test_after_an_outage_a_summary_stands_for_the_last_words_that_it_says(room: Room) -> None:
    there = room.place(room.user)
    room.clock.wall += 1
    for one in room.signal("A1", "A2").orders:
        room.to(one, OrderState.FILLED, filled_quantity=D(10), average_price=D(1500))
    room.later(1)
    assert crowd(room, there) == {"INFY BUY · 2/2 filled": "sending", "BUY INFY · filled": "merged"}


@pytest.mark.parametrize(("state", "waits"), [(OrderState.OPEN, 3), (OrderState.UNKNOWN, 31)])
def test_a_summary_never_stands_for_an_order_that_ended_after_it(room: Room, state: OrderState, waits: float) -> None:
    """It said that the order rests, or that nobody knows: what became of it is told."""
    there = room.place(room.user)
    room.clock.wall += 1
    made = replace(room.signal("A1").orders[0], order_type=OrderType.LIMIT, price=D(1500))
    before = room.to(made, state)
    room.later(waits)
    room.to(before, OrderState.FILLED, filled_quantity=D(10), average_price=D(1500))
    room.later(1)
    assert crowd(room, there)["BUY INFY · filled"] == "pending"


def test_a_summary_of_last_words_never_stands_for_a_fill_that_came_after_all(room: Room) -> None:
    there = room.place(room.user)
    room.clock.wall += 1
    before = room.to(room.signal("A1").orders[0], OrderState.CANCELLED)
    room.later(1)
    room.to(before, OrderState.FILLED, filled_quantity=D(10), average_price=D(1500))
    room.later(1)
    assert crowd(room, there) == {"INFY BUY · 0/1 filled": "sending", "BUY INFY · cancelled": "merged", "BUY INFY · filled": "pending"}


def test_a_fill_is_told_with_its_cost_its_guard_and_the_balance(room: Room) -> None:
    made = room.signal("A1", role=Role.EXIT)
    filled = replace(made.orders[0], state=OrderState.FILLED, filled_quantity=D(10), average_price=D(1500))
    room.books.guards[filled.order_id] = (D(1490), (D(1520),))
    room.fact(Ledger().fill(filled, 10, 1500, charges="2.5", at=room.clock.now()))
    assert room.later(0.1) == 0
    assert room.later(0.5) == 1
    message = room.told()[0].message
    assert message is not None
    lines = {line.name: line.value for line in message.lines}
    assert lines["Leverage"] == "5×"
    assert (lines["Stop"], lines["Target"], lines["Charges"], lines["Balance"]) == ("1,490.00", "1,520.00", "₹2.50", "₹1,00,500.00")
    assert room.later(60) == 0


def test_an_order_and_its_summary_write_prices_to_the_tick(room: Room) -> None:
    room.books.ticks["NSE:INFY"] = D("0.001")
    room.to(room.signal("A1").orders[0], OrderState.FILLED, filled_quantity=D(10), average_price=D("1500.5"))
    room.later(1)
    summary, single = (row.message for row in room.told())
    assert summary is not None
    assert single is not None
    assert {line.name: line.value for line in summary.lines}["Filled (1)"] == "Paper 1 10 @ 1,500.500"
    assert "10 @ 1,500.500 on Paper 1" in single.text


def test_an_unknown_that_is_resolved_in_time_is_never_told(room: Room) -> None:
    orders = room.signal("A1", "A2", role=Role.EXIT).orders
    lost = [room.to(each, OrderState.UNKNOWN) for each in orders]
    assert room.later(1) == 0
    room.to(lost[0], OrderState.FILLED, filled_quantity=D(10), average_price=D(1))
    assert room.later(2) == 2
    assert sorted(room.titles()) == ["BUY INFY · filled", "BUY INFY · unknown"]
    room.to(lost[1], OrderState.NOT_PLACED)
    room.later(1)
    assert sorted(room.titles())[2] == "BUY INFY · unknown"
    assert "BUY INFY · not placed" in room.titles()


def test_a_fill_after_a_cancel_is_told_and_the_same_news_twice_is_not(room: Room) -> None:
    sent = room.signal("A1", role=Role.EXIT).orders[0]
    gone = room.to(sent, OrderState.CANCELLED)
    room.to(gone, OrderState.CANCELLED)
    room.later(1)
    room.to(gone, OrderState.CANCELLED, filled_quantity=D(4), average_price=D(1))
    room.later(1)
    room.to(gone, OrderState.FILLED, filled_quantity=D(10), average_price=D(1))
    room.later(1)
    assert room.titles() == ["BUY INFY · cancelled", "BUY INFY · partly filled, then cancelled", "BUY INFY · filled"]


@pytest.mark.parametrize("told", [False, True])
def test_an_order_that_is_refused_again_is_told_again_and_one_refusal_once(room: Room, told: bool) -> None:
    """The first was read from a bad answer: the broker had it, and then refused it for good."""
    refused = room.to(room.signal("A1", role=Role.EXIT).orders[0], OrderState.REJECTED, reason="a bad answer")
    room.later(1 if told else 0.1)
    lives = room.to(refused, OrderState.OPEN)
    room.later(1)
    last = changed(lives, OrderState.REJECTED, room.clock.now(), reason="RMS: margin")
    room.fact(last)
    room.later(1)
    room.fact(last)
    room.later(1)
    assert room.titles() == ["BUY INFY · rejected"] * (2 if told else 1)


def test_the_summary_waits_for_the_last_word_but_not_for_ever(room: Room) -> None:
    first, second = room.signal("A1", "A2").orders
    room.to(first, OrderState.FILLED, filled_quantity=D(10), average_price=D(1))
    slow = room.to(second, OrderState.OPEN)
    room.later(20)
    assert room.titles() == ["BUY INFY · filled"]
    room.later(10)
    assert room.titles() == ["INFY BUY · 1/2 filled", "BUY INFY · filled"]  # in the order of what happened
    room.to(slow, OrderState.FILLED, filled_quantity=D(10), average_price=D(1))
    room.later(1)
    assert room.titles()[2:] == ["BUY INFY · filled"]


@pytest.mark.parametrize(
    ("order_type", "state", "after", "told"),
    [
        (OrderType.LIMIT, OrderState.OPEN, 1.0, []),
        (OrderType.LIMIT, OrderState.OPEN, 2.0, ["INFY BUY · 0/1 filled"]),
        (OrderType.MARKET, OrderState.OPEN, 29.0, []),
        (OrderType.LIMIT, OrderState.PARTLY_FILLED, 29.0, []),
        (OrderType.MARKET, OrderState.DENIED, 0.5, ["INFY BUY · 0/1 filled"]),
    ],
)
def test_when_a_summary_is_ripe(room: Room, order_type: OrderType, state: OrderState, after: float, told: list[str]) -> None:
    made = signal(room.user, created_at=room.clock.now())
    room.fact(f.SignalPlanned(made, (replace(order(made), state=state, order_type=order_type),)))
    room.later(after)
    assert room.titles() == told


def test_a_strategy_that_runs_on_no_account_is_no_news_but_a_webhook_that_reaches_none_is(room: Room) -> None:
    room.signal(source=Source.STRATEGY)
    room.signal(source=Source.WEBHOOK)
    room.later(31)
    assert room.titles() == ["INFY BUY · no account"]


def test_an_exit_of_the_system_has_no_summary_and_a_strategys_has(room: Room) -> None:
    room.signal("A1", source=Source.SYSTEM, role=Role.STOP, reduce_only=True)
    room.signal("A1", source=Source.STRATEGY, reduce_only=True)
    room.later(31)
    assert room.titles() == ["INFY BUY (exit) · 0/1 filled"]


# --- the rest of the table --------------------------------------------------------------------------------------------------


def test_stops_reach_those_whom_they_concern(room: Room) -> None:
    room.data.strategies.add(StrategyConfig("S1", room.user, "Cross", "ema_cross", Timeframe.M1, ("NSE:INFY",)), by=CLI)
    now = room.clock.now()
    system = Halt("H1", HaltScope.SYSTEM, None, "x", now, room.owner)
    room.fact(f.HaltChanged(system), f.HaltChanged(Halt("H2", HaltScope.ACCOUNT, "A1", "y", now, room.user)))
    room.fact(f.HaltChanged(Halt("H3", HaltScope.USER, room.user, "z", now, room.user)))
    room.fact(f.HaltChanged(Halt("H4", HaltScope.STRATEGY, "S1", "z", now, room.user)))
    room.fact(f.HaltChanged(replace(system, lifted_at=now + 1, lifted_by=room.owner)), f.HaltChanged(system))
    room.fact(f.KillSwitched("A1", True, "enough", room.user, now), f.EngineSwitched(False, None, room.owner, now))
    room.later(1)
    everybody = ["Stopped: the whole system", "Lifted: the whole system", "Engines of the whole system are off"]
    own = ["Stopped: account Paper 1", "Stopped: all your accounts", "Stopped: strategy Cross", "Kill switch on: Paper 1"]
    assert sorted(room.titles()) == sorted(own + everybody)
    assert sorted(room.titles(room.other)) == sorted(everybody)
    assert "b@example.com" not in repr(room.told(room.other))  # nobody is named to the whole workspace


def test_a_stop_of_a_shared_strategy_reaches_everybody_who_maps_it(room: Room) -> None:
    room.data.accounts.add(account(room.other, "B1"), credentials={}, by=CLI)
    room.data.strategies.add(StrategyConfig("S1", room.user, "Cross", "ema_cross", Timeframe.M1, ("NSE:INFY",)), by=CLI)
    share = "INSERT INTO strategy_shares (strategy_id, user_id, shared_at) VALUES ('S1', ?, 0)"
    room.data.journal.run(lambda db: db.execute(share, (room.other,)))
    room.data.mappings.add(room.other, AccountMapping("", "B1", "S1"), by=CLI)
    room.fact(f.HaltChanged(Halt("H4", HaltScope.STRATEGY, "S1", "z", room.clock.now(), room.user)))
    room.later(1)
    assert room.titles() == room.titles(room.other) == ["Stopped: strategy Cross"]


def test_whose_share_has_ended_is_told_the_name_of_then_and_no_later_one(room: Room) -> None:
    room.data.strategies.add(StrategyConfig("S1", room.owner, "Cross", "ema_cross", Timeframe.M1, ("NSE:INFY",)), by=CLI)
    room.data.shares.add(room.owner, "S1", "u@example.com", by=CLI)

    def told() -> list[str]:
        """The strategy in what is said of a signal and its order."""
        for one in room.signal("A1", strategy_id="S1").orders:
            room.to(one, OrderState.FILLED, filled_quantity=D(10), average_price=D(1500))
        room.later(1)
        texts = [repr(row.message) for row in room.told()[-2:]]
        return [next(word for word in ("Cross", "Renamed", "Secret") if word in text) for text in texts]

    assert told() == ["Cross", "Cross"]
    room.data.strategies.change(room.owner, "S1", lambda strategy: replace(strategy, name="Renamed"), by=CLI)
    assert told() == ["Renamed", "Renamed"]
    room.data.shares.remove(room.owner, "S1", room.user, by=CLI)
    room.data.strategies.change(room.owner, "S1", lambda strategy: replace(strategy, name="Secret"), by=CLI)
    assert told() == ["Renamed", "Renamed"]


def incident(room: Room, kind: str, *, user: str | None = None, account_id: str | None = None, lasts: bool = True) -> Incident:
    now = room.clock.now()
    return Incident(f"I-{kind}-{now}", kind, f"{kind} is so", "critical", now, user, account_id, None if lasts else now)


def test_trouble_is_told_when_it_lasts_and_when_it_is_over(room: Room) -> None:
    feed, login = incident(room, "feed_silent"), incident(room, "needs_login", user=room.user, account_id="A1")
    room.fact(f.IncidentChanged(feed), f.IncidentChanged(login))
    assert room.later(4) == 0
    room.fact(f.IncidentChanged(replace(login, until=room.clock.now())))  # it was nothing
    room.later(2)
    assert (room.titles(room.owner, audiences=("", "@")), room.titles()) == (["No prices"], [])
    room.fact(f.IncidentChanged(replace(feed, until=room.clock.now())))
    room.later(1)
    assert room.titles(room.owner, audiences=("", "@")) == ["No prices", "Prices are back"]


def test_a_strategy_that_fails_twice_is_told_twice_and_its_return_between(room: Room) -> None:
    """Its failures share one id, and a run that did not see it fail knows no beginning."""
    for _ in range(2):
        failed = replace(incident(room, "strategy_quarantined", user=room.user), incident_id="quarantine-S1")
        room.fact(f.IncidentChanged(failed))
        room.later(60)
        back = room.clock.now()
        room.fact(f.IncidentChanged(replace(failed, since=back, until=back)))
        room.later(60)
    assert room.titles() == ["A strategy was taken out", "A strategy runs again"] * 2


def test_limits_are_told_at_once_and_their_new_day_is_not(room: Room) -> None:
    warned = incident(room, "limit_warning", user=room.user, account_id="A1", lasts=False)
    reached, left = incident(room, "limit_reached", user=room.user, account_id="A1"), incident(room, "combined_left", user=room.user)
    room.fact(f.IncidentChanged(warned), f.IncidentChanged(reached), f.IncidentChanged(left))
    room.later(0)
    assert room.titles() == ["80 % of a day limit is used", "A day limit is reached", "A combined P&L rule was left"]
    room.fact(*(f.IncidentChanged(replace(each, until=room.clock.now() + 1)) for each in (reached, left)))
    assert room.later(40_000) == 0
    assert room.titles(room.other) == []


def test_a_difference_that_changes_is_not_over(room: Room) -> None:
    first = incident(room, "position_differs", user=room.user)
    room.fact(f.IncidentChanged(first))
    room.later(6)
    second = replace(incident(room, "position_differs", user=room.user), message="another number")
    room.fact(f.IncidentChanged(replace(first, until=room.clock.now())), f.IncidentChanged(second))
    room.later(6)
    room.fact(f.IncidentChanged(replace(second, until=room.clock.now())))
    room.later(1)
    differs = "Our books and the broker's differ"
    assert room.titles() == [differs, differs, "The books agree again"]


def test_the_same_trouble_again_and_again_is_told_once_in_a_while(room: Room) -> None:
    for _ in range(5):
        room.fact(f.IncidentChanged(incident(room, "exit_failed", user=room.user, account_id="A1", lasts=False)))
        room.later(1)
    assert room.titles() == ["An exit failed"]
    room.fact(f.IncidentChanged(incident(room, "unknown_order", user=room.user, account_id="A1", lasts=False)))  # its order tells of itself
    room.clock.wall += 600
    room.fact(f.IncidentChanged(incident(room, "exit_failed", user=room.user, account_id="A1", lasts=False)))
    room.later(1)
    assert room.titles() == ["An exit failed"] * 2


def test_the_day_is_told_once_for_each_person_late_where_tandem_was_off_and_never_a_month_late(room: Room) -> None:
    book = DayBook("A1", "2026-01-05", D(500), D(20), at=room.clock.now())
    room.fact(f.DayClosed(book), f.DayClosed(replace(book, account_id="A2", realised=D(-100))))
    room.later(1)
    room.fact(f.DayClosed(replace(book, realised=D(900))))  # written again at midnight
    room.fact(f.DayClosed(replace(book, day="2025-12-01")))  # an old one, made up for
    room.fact(f.DayClosed(replace(book, day="2025-12-10")))
    room.later(1)
    assert room.titles() == ["5 Jan: +₹360.00 paper", "10 Dec: +₹480.00 paper"]
    assert room.told(room.other) == []


def test_a_coin_account_that_was_archived_is_told_in_its_own_money(room: Room) -> None:
    """Nobody asks the engines, which do not know it any more."""
    keys = {"api_key": "k" * 20, "api_secret": "s" * 20}
    room.data.accounts.add(replace(account(room.user, "A3"), name="Coins", broker="binance_spot"), credentials=keys, by=CLI)
    room.data.journal.run(lambda db: db.execute("UPDATE accounts SET archived_at = 1, enabled = 0 WHERE account_id = 'A3'"))
    book = DayBook("A3", "2026-01-05", D(100), D(1), at=room.clock.now())
    room.fact(f.DayClosed(book))
    room.later(1)
    assert room.titles() == ["5 Jan: +99.00 USDT live"]


def test_what_happened_before_somebody_asked_does_not_travel_but_a_replay_of_an_older_day_does(room: Room) -> None:
    room.to(room.signal("A1", role=Role.EXIT).orders[0], OrderState.REJECTED)
    room.clock.wall += 1
    there = room.place(room.user)
    room.later(1)
    assert (room.titles(), room.ways()) == (["BUY INFY · rejected"], [])
    engines = HandClock(room.clock.now() - 30 * 86_400)  # they live a month ago, the destination was made today
    room.newsroom = Newsroom(room.data, room.books, engines, room.clock)
    made = signal(room.user, created_at=engines.now())
    room.fact(f.SignalPlanned(made, (order(made, "A1"),)))
    room.fact(changed(order(made, "A1"), OrderState.REJECTED, engines.now()))
    engines.wall += 1
    room.newsroom.step()
    assert [(title, where) for title, where, _ in room.ways()] == [("BUY INFY · rejected", there)]


def test_a_refused_destination_is_told_of_on_the_others(room: Room) -> None:
    gone, there = room.place(room.user), room.place(room.user)
    room.place(room.other)
    room.later(1)

    def refused(db: Any) -> None:
        fields = {"name": "Desk", "why": "the webhook is gone"}
        room.data.outbox.tell(
            db, "destination_refused", dedupe="refused:1", user_id=room.user, ref=gone, at=room.clock.now(), fields=fields
        )

    room.data.journal.run(refused)
    room.later(1)
    assert [(title, where) for title, where, _ in room.ways()] == [("Desk takes no messages any more", there)]
    message = room.told()[-1].message
    assert message is not None
    assert (message.event, "the webhook is gone" in message.text) == (Event.TROUBLE, True)


def test_a_lift_says_what_still_keeps_entries_back(room: Room) -> None:
    """An emergency stop of a person and one of the system, lifted one after the other, then Start: each is told what is true for them."""
    now = room.clock.now()
    own, all_ = Halt("H1", HaltScope.USER, room.user, "mine", now, room.user), Halt("H2", HaltScope.SYSTEM, None, "all", now, room.owner)
    room.fact(f.HaltChanged(own), f.HaltChanged(all_), f.EngineSwitched(False, room.user, room.user, now))
    room.later(1)

    def says(*facts: f.Fact) -> str:
        room.fact(*facts)
        room.later(1)
        message = room.told()[-1].message
        assert message is not None
        return message.text

    at = room.clock.now()
    assert "the stop of the whole system still holds" in says(f.HaltChanged(replace(own, lifted_at=at, lifted_by=room.user)))
    lifted = says(f.HaltChanged(replace(all_, lifted_at=at, lifted_by=room.owner)))
    assert lifted.startswith("Entries are allowed again.")
    assert lifted.endswith("Where a person's own stop holds, it still does.")
    killed = f.KillSwitched("A1", True, "", room.user, at)
    assert "until it is switched off" in says(killed)
    assert says(replace(killed, on=False, at=at + 1)) == "No entry leaves yet: your engines are off until you press Start."
    assert says(f.EngineSwitched(True, room.user, room.user, at)) == "Strategies trade again."


def test_what_is_no_message(room: Room) -> None:
    room.fact(f.CombinedChanged(CombinedState("R1", "2026-01-05")), f.EquityMarked("A1", NOON, D(1), ZERO, ZERO, ZERO))
    assert room.later(60) == 0
    assert room.data.outbox.stats().new == 0


def test_what_nobody_has_words_for_is_told_all_the_same(room: Room) -> None:
    broken = "INSERT INTO messages (dedupe, kind, user_id, account_id, ref, at) VALUES ('k:A1:1', 'kill_on', ?, 'A1', 'no json', 1)"
    room.data.journal.run(lambda db: db.execute(broken, (room.user,)))
    room.fact(f.KillSwitched("A1", True, "", room.user, room.clock.now()))
    room.later(1)
    assert room.titles() == ["Something happened: kill on", "Kill switch on: Paper 1"]


def test_people_are_told_what_others_did_for_them(room: Room) -> None:
    room.data.strategies.add(StrategyConfig("S1", room.owner, "Cross", "ema_cross", Timeframe.M1, ("NSE:INFY",)), by=CLI)
    tell, fields = room.data.outbox.tell, {"name": "Cross", "by": "Priya"}
    room.data.journal.run(lambda db: tell(db, "strategy_shared", dedupe="share:S1", user_id=room.user, ref="S1", fields=fields))
    room.data.journal.run(lambda db: tell(db, "consent_revoked", dedupe="c:1", user_id=room.user, ref="C1", account_id="A1"))
    room.later(1)
    assert room.titles() == ["Cross is shared with you", "The consent of the holder was revoked"]
    message = room.told()[1].message
    assert message is not None
    assert message.text == "Paper 1 enters by itself only while a consent holds."


# --- whom and when ------------------------------------------------------------------------------------------------------------


def test_each_destination_gets_what_it_was_made_for(room: Room) -> None:
    everything, rejections = room.place(room.user), room.place(room.user, Event.REJECTIONS)
    foreign = room.place(room.other)
    orders = room.signal("A1", "A2", role=Role.EXIT).orders
    room.to(orders[0], OrderState.REJECTED)
    room.to(orders[1], OrderState.CANCELLED)
    room.later(1)
    reached = [(title, place) for title, place, _ in room.ways()]
    assert sorted(reached) == sorted(
        [("BUY INFY · rejected", everything), ("BUY INFY · rejected", rejections), ("BUY INFY · cancelled", everything)]
    )
    assert foreign not in repr(room.ways())
    room.fact(f.HaltChanged(Halt("H1", HaltScope.SYSTEM, None, "x", room.clock.now(), room.owner)))
    room.later(1)
    assert [place for _, place, _ in room.ways(room.other)] == [foreign]
    assert [place for title, place, _ in room.ways() if title.startswith("Stopped")] == [everything]


def test_what_happened_before_a_destination_was_made_is_not_told_there(room: Room) -> None:
    orders = room.signal("A1", "A2", role=Role.EXIT).orders
    room.to(orders[0], OrderState.CANCELLED)
    room.clock.wall += 1
    room.place(room.user)
    room.to(orders[1], OrderState.REJECTED)
    room.later(1)
    assert [title for title, _, _ in room.ways()] == ["BUY INFY · rejected"]


def test_quiet_hours_hold_back_what_can_wait(room: Room) -> None:
    room.place(room.user, quiet=Quiet("13:00", "14:00"))
    orders = room.signal("A1", "A2", role=Role.EXIT).orders
    room.to(orders[0], OrderState.CANCELLED)
    room.to(orders[1], OrderState.REJECTED)
    room.later(1)
    held = {title: wait for title, _, wait in room.ways()}
    assert held["BUY INFY · rejected"] == 0
    assert 1700 < held["BUY INFY · cancelled"] < 1800


def test_a_test_reaches_its_destination_alone(room: Room) -> None:
    first, _ = room.place(room.user, Event.DAY, quiet=Quiet("00:00", "23:59", strict=True)), room.place(room.user)
    number = room.data.destinations.test(room.user, first, by=CLI)
    room.later(0)
    assert room.ways() == [("It works", first, 0)]
    assert room.told()[0].message_id == number


def test_a_burst_is_told_to_the_last(room: Room) -> None:
    room.place(room.user, Event.REJECTIONS)
    orders = room.signal(*["A1"] * 600, role=Role.EXIT).orders
    room.fact(*(changed(each, OrderState.REJECTED, room.clock.now()) for each in orders))
    assert room.later(1) == 600
    assert room.data.outbox.stats().pending == 600


def test_it_works_on_a_watched_thread_of_its_own_and_rests_between_messages(room: Room) -> None:
    deaths: list[Death] = []
    supervisor = Supervisor(SystemClock(), deaths.append)
    orders = room.signal(*["A1"] * 30, role=Role.EXIT).orders
    room.fact(*(changed(each, OrderState.REJECTED, room.clock.now()) for each in orders))
    room.clock.wall += 1
    worker = room.newsroom.start(supervisor)
    assert eventually(lambda: len(room.told()) == 30)
    supervisor.stop(5)
    assert (worker.alive, deaths) == (False, [])


def test_a_stop_leaves_the_rest_for_the_next_start(room: Room) -> None:
    orders = room.signal(*["A1"] * 30, role=Role.EXIT).orders
    room.fact(*(changed(each, OrderState.REJECTED, room.clock.now()) for each in orders))
    room.clock.wall += 1
    rests = iter([False] * 11 + [True])
    assert room.newsroom.step(lambda _: next(rests)) == 12
    assert room.newsroom.step() == 18


@pytest.mark.parametrize(
    "query",
    [{}, {"audiences": ("", "@")}, {"kind": "order"}, {"kind": "day"}, {"cursor": "7"}]
    + [{"status": status} for status in ("sent", "dead", "pending", "sending", "merged")],
)  # fmt: skip
def test_the_list_of_messages_runs_along_its_indexes(room: Room, query: dict[str, Any]) -> None:
    room.place(room.user)
    room.to(room.signal("A1", role=Role.EXIT).orders[0], OrderState.REJECTED)
    room.later(1)
    asked: list[str] = []
    readers = room.data.outbox.store.readers
    with readers.use() as db:
        db.set_trace_callback(asked.append)
    room.data.outbox.list(room.user, **query)
    with readers.use() as db:
        db.set_trace_callback(None)
        plans = [row["detail"] for sql in asked for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert asked
    assert not [step for step in plans if re.match(r"SCAN (m|d|messages|deliveries)\b(?! USING INDEX deliveries_due)", step)]
    assert not [step for step in plans if re.match(r"SEARCH d USING INDEX deliveries_user", step)]

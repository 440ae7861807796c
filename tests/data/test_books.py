"""The books as people read them: everybody their own, each order with its whole story, results that add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.data import Data, NotFound, open_data
from engines.core import facts as f
from engines.core import positions
from engines.core.model import (
    Halt,
    HaltScope,
    Incident,
    Order,
    OrderState,
    Side,
    Source,
    StrategyConfig,
    Timeframe,
)
from tests.data.making import CLI, DAY, NOON, D, Ledger, account, changed, cheap_user, order, planned, signal


class Desk:
    """Two people with an account and a strategy each; `me` has traded on two days, `other` on one."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.me, self.other = cheap_user(data), cheap_user(data, "other@example.com")
        self.ledger = Ledger()
        for user_id in (self.me, self.other):
            data.accounts.add(account(user_id, f"A-{user_id}"), {}, by=CLI)
            data.strategies.add(StrategyConfig(f"S-{user_id}", user_id, "EMA", "ema_cross", Timeframe.M5, ("NSE:INFY",)), by=CLI)
        self.bought = self.trade(self.me, Side.BUY, 10, 100, NOON, "1.25")
        self.sold = self.trade(self.me, Side.SELL, 10, 110, NOON + DAY, "1.50", strategy_id=None)
        self.closed = self.trade(self.me, Side.SELL, 10, 104, NOON + DAY, "1.00")
        self.theirs = self.trade(self.other, Side.BUY, 5, 200, NOON, "2.00")
        for user_id in (self.me, self.other):
            self.happen(user_id)
        data.journal.run(lambda _: None)

    def trade(self, user_id: str, side: Side, quantity: int, price: int, at: float, charges: str, **fields: Any) -> Order:
        made = signal(user_id, side=side, created_at=at, **{"strategy_id": f"S-{user_id}", "source": Source.STRATEGY, **fields})
        one = order(made, f"A-{user_id}", quantity=D(quantity))
        self.data.journal.commit(f.SignalPlanned(made, (one,)))
        booked = self.ledger.fill(one, quantity, price, at=at, charges=charges)
        self.data.journal.append(changed(one, OrderState.SENDING, at), booked)
        return booked.order

    def happen(self, user_id: str) -> None:
        self.data.journal.append(
            f.StrategyStateSaved(f"S-{user_id}", {"fast": 1.5}, None, NOON),
            f.EquityMarked(f"A-{user_id}", NOON, D("100000.25"), D(1), D(2), D(3)),
            f.IncidentChanged(Incident(f"I-{user_id}", "limit_warning", "80 %", "warning", NOON, user_id, f"A-{user_id}")),
            f.HaltChanged(Halt(f"HU-{user_id}", HaltScope.USER, user_id, "stop", NOON, user_id)),
            f.HaltChanged(Halt(f"HA-{user_id}", HaltScope.ACCOUNT, f"A-{user_id}", "stop", NOON, user_id)),
            f.HaltChanged(Halt(f"HS-{user_id}", HaltScope.STRATEGY, f"S-{user_id}", "stop", NOON, user_id)),
        )


@pytest.fixture
def desk(data: Data) -> Desk:
    return Desk(data)


LISTS: dict[str, Callable[[Desk, str | None], Any]] = {
    "signals": lambda k, user: [row.signal.user_id for row in k.data.books.signals(user).items],
    "orders": lambda k, user: [one.user_id for one in k.data.books.orders(user).items],
    "trades": lambda k, user: [row.user_id for row in k.data.books.trades(user).items],
    "positions": lambda k, user: [row.user_id for row in k.data.books.positions(user, flat=True).items],
    "open positions": lambda k, user: [row.user_id for row in k.data.books.positions(user).items],
    "results": lambda k, user: [row.account_id and row.account_id[2:] for row in k.data.books.pnl_daily(user, by="all")],
    "curves": lambda k, user: [point.account_id[2:] for point in k.data.books.equity_curve(user)],
    "round trips": lambda k, user: [row.account_id[2:] for row in k.data.books.round_trips(user)],
    "incidents": lambda k, user: [one.user_id for one in k.data.books.incidents(user).items],
    "halts": lambda k, user: [halt.by for halt in k.data.books.halts(user).items],
    "accounts": lambda k, user: [row.account.user_id for row in k.data.accounts.list(user)],
    "strategies": lambda k, user: [row.strategy.user_id for row in k.data.strategies.list(user)],
}


@pytest.mark.parametrize("name", LISTS)
def test_everybody_sees_their_own_and_the_system_sees_all(desk: Desk, name: str) -> None:
    mine, everything = LISTS[name](desk, desk.me), LISTS[name](desk, None)
    assert set(mine) == {desk.me}
    assert set(everything) == ({desk.me} if name == "round trips" else {desk.me, desk.other})
    assert LISTS[name](desk, "nobody") == []


FOREIGN: dict[str, Callable[[Desk], Any]] = {
    "a signal": lambda k: k.data.books.signal(k.other, k.bought.signal_key.lower()),
    "an order": lambda k: k.data.books.order(k.other, k.bought.order_id),
    "a position": lambda k: k.data.books.position(k.other, positions.position_id(k.bought.position_key)),
    "an account": lambda k: k.data.accounts.get(k.other, k.bought.account_id),
    "a strategy": lambda k: k.data.strategies.get(k.other, f"S-{k.me}"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_one_of_somebody_else_is_not_there(desk: Desk, name: str) -> None:
    with pytest.raises(NotFound):
        FOREIGN[name](desk)


def test_filters_by_what_is_somebody_elses_find_nothing(desk: Desk) -> None:
    books, foreign = desk.data.books, desk.bought.account_id
    for found in (
        books.signals(desk.other, account_id=foreign).items,
        books.orders(desk.other, account_id=foreign).items,
        books.orders(desk.other, signal_id=desk.bought.signal_key.lower()).items,
        books.trades(desk.other, order_id=desk.bought.order_id).items,
        books.positions(desk.other, account_id=foreign, flat=True).items,
        books.pnl_daily(desk.other, account_id=foreign),
        books.pnl_daily(desk.other, strategy_id=f"S-{desk.me}"),
        books.equity_curve(desk.other, account_id=foreign),
        books.round_trips(desk.other, account_id=foreign),
    ):
        assert found == ()
    assert books.strategy_status(desk.other, f"S-{desk.me}") is None


# --- signals and orders --------------------------------------------------------------------------------------------


def test_the_story_of_an_order_has_its_signal_its_turns_and_its_fills(desk: Desk) -> None:
    story = desk.data.books.order(desk.me, desk.bought.order_id)
    assert story.order == desk.bought
    assert story.signal is not None
    assert story.signal.signal.key == desk.bought.signal_key
    assert story.signal.orders == (desk.bought,)
    assert [(event.kind, event.at) for event in story.events] == [("sending", NOON), ("filled", NOON)]
    assert [(fill.quantity, fill.price, fill.charges) for fill in story.fills] == [(D(10), D(100), D("1.25"))]


def test_a_signal_is_found_by_its_callers_own_id_with_its_orders_and_timing(desk: Desk) -> None:
    key = desk.bought.signal_key
    assert desk.data.books.signal(desk.me, key.lower()).timing is None
    timed = f.SignalTimed(key, 1.5, 2.5, None, None, None)
    desk.data.journal.append(timed)
    desk.data.journal.run(lambda _: None)
    row = desk.data.books.signal(desk.me, key.lower())
    assert (row.signal.key, row.orders, row.timing) == (key, (desk.bought,), timed)
    assert desk.data.books.signal_ids([key, key, "none"]) == {key: key.lower()}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["closed", "sold", "bought"]),
        ({"side": "BUY"}, ["bought"]),
        ({"side": "SELL"}, ["closed", "sold"]),
        ({"symbol": "NSE:INFY"}, ["closed", "sold", "bought"]),
        ({"symbol": "NSE:SBIN"}, []),
        ({"since": NOON + 1}, ["closed", "sold"]),
        ({"until": NOON + DAY}, ["bought"]),
        ({"since": NOON, "until": NOON + 1}, ["bought"]),
    ],
)
def test_lists_are_filtered_by_their_fields(desk: Desk, wanted: dict[str, Any], names: list[str]) -> None:
    expected = [getattr(desk, name).order_id for name in names]
    books = desk.data.books
    assert [one.order_id for one in books.orders(desk.me, **wanted).items] == expected
    assert [row.orders[0].order_id for row in books.signals(desk.me, **wanted).items] == expected
    assert [row.fill.order_id for row in books.trades(desk.me, **wanted).items] == expected


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"live": True}, []),
        ({"live": False}, ["closed", "sold", "bought"]),
        ({"state": "filled", "role": "entry", "order_type": "MARKET", "product": "MIS"}, ["closed", "sold", "bought"]),
        ({"state": "open"}, []),
        ({"reason": "halted"}, []),
    ],
)
def test_orders_are_filtered_by_their_life(desk: Desk, wanted: dict[str, Any], names: list[str]) -> None:
    assert [one.order_id for one in desk.data.books.orders(desk.me, **wanted).items] == [getattr(desk, name).order_id for name in names]


def test_a_live_order_is_listed_until_it_ends(desk: Desk) -> None:
    fact = planned(desk.me)
    desk.data.journal.commit(fact)
    assert desk.data.books.orders(desk.me, live=True).items == fact.orders
    desk.data.journal.commit(changed(fact.orders[0], OrderState.CANCELLED))
    assert desk.data.books.orders(desk.me, live=True).items == ()


# --- results -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        # strategy: bought 10 at 100 (1.25), sold them at 104 a day later (1.00); by hand: sold 10 at 110 (1.50)
        ({}, [("2026-01-06", "40", "2.50", 2, "2140"), ("2026-01-05", "0", "1.25", 1, "1000")]),
        ({"since": "2026-01-06"}, [("2026-01-06", "40", "2.50", 2, "2140")]),
        ({"until": "2026-01-05"}, [("2026-01-05", "0", "1.25", 1, "1000")]),
        ({"since": "2026-01-07"}, []),
        ({"by": "account"}, [("2026-01-06", "40", "3.75", 3, "3140")]),
        ({"strategy_id": ""}, [("2026-01-06", "0", "1.50", 1, "1100")]),
    ],
)
def test_results_add_up_by_day_account_and_strategy(desk: Desk, wanted: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    got = desk.data.books.pnl_daily(desk.me, **wanted)
    assert [(row.day, row.realised, row.charges, row.fills, row.turnover) for row in got] == [
        (day, D(realised), D(charges), fills, D(turnover)) for day, realised, charges, fills, turnover in rows
    ]


def test_results_by_strategy_name_each_and_what_was_done_by_hand(desk: Desk) -> None:
    rows = desk.data.books.pnl_daily(desk.me, by="strategy")
    assert {row.strategy_id: (row.realised, row.net) for row in rows} == {None: (D(0), D("-1.50")), f"S-{desk.me}": (D(40), D("37.75"))}
    assert sum(row.net for row in desk.data.books.pnl_daily(desk.me)) == sum(row.net for row in rows)


def test_a_round_trip_is_from_flat_to_flat_after_charges(desk: Desk) -> None:
    (trip,) = desk.data.books.round_trips(desk.me)
    assert (trip.strategy_id, trip.symbol, trip.closed_at, trip.net) == (f"S-{desk.me}", "NSE:INFY", NOON + DAY, D("37.75"))


def test_a_position_that_is_flat_leaves_the_list_but_stays_in_the_books(desk: Desk) -> None:
    flat = positions.position_id(desk.closed.position_key)
    assert flat not in {row.position.position_id for row in desk.data.books.positions(desk.me).items}
    assert flat in {row.position.position_id for row in desk.data.books.positions(desk.me, flat=True).items}
    assert desk.data.books.position(desk.me, flat).position == desk.ledger.positions[desk.closed.position_key]


# --- what happened to the machine ----------------------------------------------------------------------------------


def test_halts_that_concern_a_user_are_their_own_and_the_systems(desk: Desk) -> None:
    whole = Halt("H", HaltScope.SYSTEM, None, "everything", NOON, desk.other)
    desk.data.journal.commit(f.HaltChanged(whole))
    assert [halt.halt_id for halt in desk.data.books.halts(desk.me).items] == ["H", f"HS-{desk.me}", f"HA-{desk.me}", f"HU-{desk.me}"]
    desk.data.journal.commit(f.HaltChanged(replace(whole, lifted_at=NOON + 1, lifted_by=desk.me)))
    assert [halt.halt_id for halt in desk.data.books.halts(desk.me, holding=False).items] == ["H"]
    assert len(desk.data.books.halts(desk.me, holding=True).items) == 3


def test_incidents_of_the_machine_are_for_the_owner(desk: Desk) -> None:
    own = Incident("I", "journal_down", "the disk is full", "critical", NOON)
    desk.data.journal.commit(f.IncidentChanged(own))
    books = desk.data.books
    assert [one.incident_id for one in books.incidents(desk.me).items] == [f"I-{desk.me}"]
    assert [one.incident_id for one in books.incidents(desk.me, machine=True).items] == ["I", f"I-{desk.me}"]
    assert [one.incident_id for one in books.incidents(desk.me, machine=True, severity="critical").items] == ["I"]
    desk.data.journal.commit(f.IncidentChanged(replace(own, until=NOON + 5)))
    assert [one.incident_id for one in books.incidents(desk.me, machine=True, open_only=True).items] == [f"I-{desk.me}"]
    assert [one.incident_id for one in books.incidents(desk.me, machine=True, kind="journal_down").items] == ["I"]


def test_a_strategy_shows_what_it_last_saved(desk: Desk) -> None:
    status = desk.data.books.strategy_status(desk.me, f"S-{desk.me}")
    assert status is not None
    assert (status.state, status.quarantined, status.at) == ({"fast": 1.5}, None, NOON)


def test_counts_of_the_books(desk: Desk) -> None:
    counts = desk.data.books.counts()
    assert (counts["signals"], counts["orders"], counts["order_events"], counts["fills"], counts["set_aside"]) == (4, 4, 8, 4, 0)
    assert counts["bytes"] > 0


def test_incidents_end_with_the_process_that_saw_them(tmp_path: Path) -> None:
    with open_data(tmp_path / "data", exclusive=True) as data:
        user = cheap_user(data)
        data.journal.append(f.IncidentChanged(Incident("I", "needs_login", "Kite: wrong PIN", "critical", NOON, user, None)))
        data.journal.run(lambda _: None)
    with open_data(tmp_path / "data") as beside:  # a look from the command line ends nothing
        assert [one.incident_id for one in beside.books.incidents(user, open_only=True).items] == ["I"]
    with open_data(tmp_path / "data", exclusive=True) as again:
        assert again.books.incidents(user, open_only=True).items == ()
        assert [one.incident_id for one in again.books.incidents(user).items] == ["I"]


def test_what_an_exit_has_left_open_stays_with_the_one_that_comes_next_and_has_no_message_of_its_own(tmp_path: Path) -> None:
    with open_data(tmp_path / "data", exclusive=True) as data:
        user = cheap_user(data)
        left = Incident("I-P1", "exit_missing", "what it was to close is held", "critical", NOON, user, None)
        over = Incident("I-P2", "exit_missing", "what it was to close is held", "critical", NOON, user, None, until=NOON + 1)
        data.journal.append(*map(f.IncidentChanged, (left, over)))
        data.journal.run(lambda _: None)
    with open_data(tmp_path / "data", exclusive=True) as again:
        assert again.books.incidents(user, open_only=True).items == (left,)
        assert again.journal.load(NOON).incidents == (left,)
        assert again._store.readers.all("SELECT kind FROM messages") == []

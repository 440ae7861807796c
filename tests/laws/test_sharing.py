"""Laws 10 and 12 for a strategy that several people trade: exactly one named outcome for each mapping of each person, and each sees only theirs.

The real data service and the real engines, through any sequence of shares, mappings, switches, signals, repeats and restarts.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.data import Actor, Conflict, Data, NotFound, UserRole, open_data
from engines.core.model import (
    UNSETTLED_STATES,
    Account,
    AccountMapping,
    Order,
    OrderState,
    Role,
    Side,
    Signal,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.core.sessions import Calendar
from engines.ports import RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem
from tests.execution.house import INFY, PATIENCE, HandFeed, ListNotifier

BY = Actor(None, "cli")
OWNER, ASHA, BEN = "owner", "asha", "ben"
OTHERS = st.sampled_from([ASHA, BEN])
ACCOUNTS = {OWNER: ("O1",), ASHA: ("A1", "A2"), BEN: ("B1",)}
WHOSE = {name: person for person, names in ACCOUNTS.items() for name in names}
UNITS = 3


@dataclass
class Believed:
    """What must be true, worked out apart from the program."""

    shared: set[str] = field(default_factory=set)
    on: set[str] = field(default_factory=set)  # accounts whose mapping is on
    off: set[str] = field(default_factory=set)
    hands_off: set[str] = field(default_factory=set)  # people who were switched off once: their accounts' auto-trade stays off
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WHOSE, 0))
    signals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0))  # how many each person has been given
    names: set[str] = field(default_factory=set)


class Workspace:
    """A folder with three people, four paper accounts and one strategy; opened as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.ids = folder, SystemClock(), RandomIds()
        with open_data(folder) as data:
            roles = {OWNER: UserRole.OWNER, ASHA: UserRole.TRADER, BEN: UserRole.TRADER}
            self.people = {n: data.users.add(f"{n}@example.com", "correct horse", role=r, by=BY).user_id for n, r in roles.items()}
            for name, person in WHOSE.items():
                data.accounts.add(Account(name, self.people[person], name, "paper", Decimal(10_000_000), auto_trade=True), {}, by=BY)
            data.strategies.add(StrategyConfig("S1", self.people[OWNER], "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,)), by=BY)
        self.open()

    def open(self) -> None:
        self.data: Data = open_data(self.folder, exclusive=True)
        self.system = TradingSystem(
            journal=self.data.journal,
            latch=self.data.latch,
            directory=self.data.directory,
            notifier=ListNotifier(),
            clock=self.clock,
            ids=self.ids,
            feed=HandFeed(INFY),
            settings=EngineSettings(max_price_age=600.0),
            calendar=Calendar(hours={}, holidays=frozenset(), special={}, years=frozenset()),
        )
        self.system.start()

    def close(self) -> None:
        self.system.stop()
        self.data.close()

    def settled(self) -> None:
        pause, deadline = threading.Event(), self.clock.monotonic() + PATIENCE
        while any(order.state in UNSETTLED_STATES for desk in self.system.roster.desks() for order in desk.session_orders()):
            assert self.clock.monotonic() < deadline, "an order never settled"
            pause.wait(0.001)
        self.data.journal.run(lambda _: None)

    def orders(self, person: str) -> list[Order]:
        return list(self.data.books.orders(self.people[person], limit=500).items)

    def signals(self, person: str) -> list[tuple[Signal, tuple[Order, ...]]]:
        found = self.data.books.signals(self.people[person], limit=500).items
        return [(row.signal, row.orders) for row in found]


class EachTheirOwn(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.true = Believed()
        self.shop: Workspace | None = None

    @initialize()
    def begin(self) -> None:
        self.shop = Workspace(Path(self.folder.name) / "data")
        self.share(ASHA)
        for name in ("O1", "A1"):
            self.map(name, True)

    # --- people -------------------------------------------------------------------------------------------------------

    @rule(person=OTHERS)
    def share(self, person: str) -> None:
        data, owner = self.shop.data, self.shop.people[OWNER]
        try:
            data.shares.add(owner, "S1", f"{person}@example.com", by=BY)
            assert person not in self.true.shared
        except Conflict:
            assert person in self.true.shared
        self.true.shared.add(person)

    @rule(person=OTHERS)
    def unshare(self, person: str) -> None:
        try:
            self.shop.data.shares.remove(self.shop.people[OWNER], "S1", self.shop.people[person], by=BY)
            assert person in self.true.shared
        except NotFound:
            assert person not in self.true.shared
        self._without(person)
        self.shop.system.runtime.refresh_now()

    @rule(person=OTHERS)
    def switched_off_and_on(self, person: str) -> None:
        """Nothing comes back by itself."""
        for active in (False, True):
            self.shop.data.users.set_active(self.shop.people[person], active, by=BY)
        self.true.hands_off.add(person)
        self._without(person)
        self.shop.system.runtime.refresh_now()

    def _without(self, person: str) -> None:
        self.true.shared.discard(person)
        mine = {name for name in self.true.on if WHOSE[name] == person}
        self.true.on -= mine
        self.true.off |= mine

    # --- mappings -----------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(WHOSE)), enabled=st.booleans())
    def map(self, name: str, enabled: bool) -> None:
        person, data = WHOSE[name], self.shop.data
        allowed = person == OWNER or person in self.true.shared
        known = name in self.true.on | self.true.off
        try:
            if known:
                row = next(row for row in data.mappings.list(self.shop.people[person]) if row.mapping.account_id == name)
                data.mappings.change(row.user_id, row.mapping.mapping_id, lambda now: replace(now, enabled=enabled), by=BY)
            else:
                sizing = Sizing(SizingMode.FIXED_QUANTITY, Decimal(UNITS))
                data.mappings.add(self.shop.people[person], AccountMapping("", name, "S1", Decimal(50), sizing, enabled=enabled), by=BY)
        except (Conflict, NotFound):
            assert not allowed
            return
        assert allowed or not enabled or name in self.true.on
        assert known or allowed
        (self.true.on if enabled else self.true.off).add(name)
        (self.true.off if enabled else self.true.on).discard(name)
        self.shop.system.runtime.refresh_now()

    @rule(name=st.sampled_from(sorted(WHOSE)))
    def unmap(self, name: str) -> None:
        for row in self.shop.data.mappings.list(self.shop.people[WHOSE[name]]):
            if row.mapping.account_id == name:
                self.shop.data.mappings.delete(row.user_id, row.mapping.mapping_id, by=BY)
        self.true.on.discard(name)
        self.true.off.discard(name)
        self.shop.system.runtime.refresh_now()

    # --- signals ------------------------------------------------------------------------------------------------------

    @rule(close=st.booleans(), name=st.sampled_from("abcdef"), source=st.sampled_from([Source.STRATEGY, Source.MANUAL]))
    def signal(self, close: bool, name: str, source: Source) -> None:
        shop, true = self.shop, self.true
        before = {person: len(shop.orders(person)) for person in ACCOUNTS}
        outcome = shop.system.submit(self._made(close, name, source), PATIENCE)
        shop.settled()
        assert outcome.duplicate == (name in true.names)
        if outcome.duplicate:
            assert {person: len(shop.orders(person)) for person in ACCOUNTS} == before
            return
        true.names.add(name)
        reached = true.on | ({n for n in true.off if true.held[n]} if close else set())
        people = {OWNER} | {WHOSE[n] for n in reached}
        for person in ACCOUNTS:
            mine = sorted(n for n in reached if WHOSE[n] == person)
            assert len(shop.orders(person)) - before[person] == len(mine), "one outcome for each"
            if person in people:
                true.signals[person] += 1
                signal, orders = shop.signals(person)[0]
                assert sorted(order.account_id for order in orders) == mine
                assert signal.signal_id == (name if person == OWNER else signal.key)
                assert all(self._named(order, close) for order in orders)
        assert sorted(order.account_id for order in outcome.orders) == sorted(n for n in reached if WHOSE[n] == OWNER)
        for n in reached:
            true.held[n] = 0 if close else true.held[n] + (0 if WHOSE[n] in true.hands_off else UNITS)

    def _made(self, close: bool, name: str, source: Source) -> Signal:
        shop = self.shop
        side = Side.SELL if close else Side.BUY
        return Signal(
            shop.ids.new(), name, shop.people[OWNER], source, INFY.symbol, side, shop.clock.now(), strategy_id="S1", reduce_only=close
        )

    def _named(self, order: Order, close: bool) -> bool:
        if not close:
            state, why = (
                (OrderState.DENIED, "auto_trade_off") if WHOSE[order.account_id] in self.true.hands_off else (OrderState.FILLED, None)
            )
            return (order.role, order.state, order.reason, order.quantity) == (Role.ENTRY, state, why, UNITS)
        held = self.true.held[order.account_id]
        state, why = (OrderState.FILLED, None) if held else (OrderState.DENIED, "zero_quantity")
        return (order.role, order.state, order.reason, order.quantity) == (Role.EXIT, state, why, held)

    @rule()
    def restart(self) -> None:
        self.shop.close()
        self.shop.open()

    # --- always -------------------------------------------------------------------------------------------------------

    @invariant()
    def each_has_and_sees_only_theirs(self) -> None:
        if self.shop is None:
            return
        for person, names in ACCOUNTS.items():
            signals = self.shop.signals(person)
            assert len(signals) == self.true.signals[person]
            assert {order.account_id for order in self.shop.orders(person)} <= set(names)
            assert {signal.user_id for signal, _ in signals} <= {self.shop.people[person]}
            sees = {row.strategy.strategy_id for row in self.shop.data.strategies.list_seen(self.shop.people[person])}
            assert bool(sees) == (person == OWNER or person in self.true.shared)
        rows = [row.mapping for row in self.shop.data.mappings.list(None)]
        assert {row.account_id for row in rows if row.enabled} == self.true.on, "nothing is switched on by itself"
        assert {row.account_id for row in rows if not row.enabled} == self.true.off
        desks = {desk.account.account_id: desk for desk in self.shop.system.roster.desks()}
        assert {n: int(sum(p.quantity for p in desk.open_positions())) for n, desk in desks.items()} == self.true.held

    def teardown(self) -> None:
        if self.shop is not None:
            self.shop.close()
        self.folder.cleanup()


TestEachTheirOwn = EachTheirOwn.TestCase
TestEachTheirOwn.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)

"""The trading system with real adapters at emulated brokers; journal, latch and directory are in memory, so that thousands of days fit in a minute."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from engines.brokers.makers import Maker, makers
from engines.brokers.tools import BrokerTools, Timing
from engines.core.model import Account, OrderState, Product, Side
from engines.execution.jobs import Settle
from engines.ports import Broker, RandomIds, SystemClock
from tests.contract.venues import TIMING, EmulatorMaster, MemorySessions, Venue, account_for, endpoints_of
from tests.emulators.core.emulator import EmulatedAccount, Emulator
from tests.execution.house import House

ABSENT_AFTER = 0.6
"""Seconds: longer than any emulated broker here takes to show what it has booked."""


@dataclass(slots=True)
class Seat:
    """One account of ours and what it is at its emulator."""

    account: Account
    venue: Venue
    emulator: Emulator
    emulated: EmulatedAccount

    @property
    def account_id(self) -> str:
        return self.account.account_id


@dataclass(slots=True)
class LiveHouse:
    """`seats`: how many accounts at each venue. An emulator is shared by the venues that it has."""

    seats_at: Mapping[str, tuple[Venue, int]]
    timing: Timing = TIMING
    absent_after: float | None = ABSENT_AFTER
    latency: float = 0.0
    seats: list[Seat] = field(default_factory=list)
    emulators: dict[str, Emulator] = field(default_factory=dict)
    house: House = field(init=False)
    brokers: dict[str, Broker] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for venue, count in self.seats_at.values():
            emulator = self.emulators.get(venue.emulated_by)
            if emulator is None:
                emulator = self.emulators[venue.emulated_by] = venue.emulator(latency=self.latency).start()
            emulator.price(venue.symbol, venue.price)
            for number in range(1, count + 1):
                emulated = emulator.add_account(**venue.options)
                self.seats.append(Seat(account_for(venue.kind, f"{venue.kind}-{number}"), venue, emulator, emulated))
        master = EmulatorMaster(*self.emulators.values())
        tools = BrokerTools(
            SystemClock(),
            MemorySessions(),
            master,
            random.Random(7),
            self.timing,
            paced=False,
            orders=lambda key: self.house.system.live_orders(key) if hasattr(self, "house") else (),  # lanes start before the house stands
        )
        made = makers(tools, endpoints_of(*self.emulators.values()))
        self.house = House(
            *(seat.account for seat in self.seats),
            instruments=tuple(master.instruments.values()),
            brokers={kind: self._watched(make) for kind, make in made.items()},
            ids=RandomIds(),
            secrets={seat.account_id: seat.emulated.credentials for seat in self.seats},
        )
        # A first answer that comes too late on a busy machine uses up a one-time code, and the next one is half a minute away.
        self.house.until(lambda: all(desk.ready for desk in self.house.system.roster.desks()), patience=75)
        self.tell_prices()
        return self

    def _watched(self, make: Maker) -> Maker:
        def watched(account: Account, credentials: Mapping[str, str]) -> Broker:
            from dataclasses import replace

            broker = self.brokers[account.account_id] = make(account, credentials)
            if self.absent_after is not None:
                broker.traits = replace(broker.traits, absent_after=self.absent_after, orders_per_second=None, windows=())
            return broker

        return watched

    def tell_prices(self) -> None:
        """The prices at which the emulators trade, as ticks of ours."""
        for venue, _ in self.seats_at.values():
            self.house.system.feed.price(venue.symbol, float(venue.price))  # type: ignore[attr-defined]

    def seat(self, kind: str, number: int = 1) -> Seat:
        return next(seat for seat in self.seats if seat.account_id == f"{kind}-{number}")

    def submit(self, *seats: Seat, side: Side = Side.BUY, quantity: Decimal | None = None, wait: float = 0.0, **changes: Any) -> Any:
        """One signal to these seats, all at one venue's instrument."""
        venue = seats[0].venue
        given = {"symbol": venue.symbol, "account_ids": tuple(seat.account_id for seat in seats), "product": Product.MIS, **changes}
        signal = self.house.signal(side.value, None, **given)
        from dataclasses import replace

        return self.house.system.submit(replace(signal, quantity=venue.quantity if quantity is None else quantity), wait)

    def settled(self, seats: Sequence[Seat] | None = None) -> bool:
        """No order is planned, on its way or unknown."""
        doubtful = {OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN}
        desks = (self.house.system.roster.desk(seat.account_id) for seat in (seats or self.seats))
        return not any(order.state in doubtful for desk in desks if desk is not None for order in desk.live_orders())

    def read_the_books(self) -> None:
        """Every account asks its broker once more, with nothing in the way."""
        for lane in self.house.system.roster.lanes():
            lane.put(Settle())
        self.house.until(lambda: all(lane.idle for lane in self.house.system.roster.lanes()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for broker in self.brokers.values():
            broker.abort()
        if hasattr(self, "house"):
            self.house.system.stop()
        for emulator in self.emulators.values():
            emulator.stop()

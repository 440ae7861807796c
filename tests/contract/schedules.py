"""Seeded days of trouble: each account lives through a script of entries, cancels and exits while its own schedule of faults is at work.

Afterwards the faults end, every account reads its broker's books once more, and what we believe is held against what the broker has: nothing sent
twice, nothing lost, no wrong position, no order left unknown. A seed that fails fails again: run it alone with `--schedule-seed`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from engines.core.model import OrderState, OrderType, Side
from engines.ports import SystemClock
from tests.contract.live_house import LiveHouse, Seat
from tests.contract.venues import VENUES
from tests.emulators.core.schedule import Schedule

ROUNDS = 4
NEVER_THERE = frozenset({OrderState.NOT_PLACED, OrderState.DENIED})


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    account: str
    what: str


def play(seeds: Sequence[int]) -> list[Failure]:
    """One account for each seed, all at once, spread over all kinds of broker by the seed; what went wrong."""
    counts = Counter(VENUES[seed % len(VENUES)].kind for seed in seeds)
    by_kind = {venue.kind: venue for venue in VENUES}
    with LiveHouse({kind: (by_kind[kind], count) for kind, count in counts.items()}) as house:
        waiting = {kind: [seat for seat in house.seats if seat.venue.kind == kind] for kind in counts}
        seated = [(seed, waiting[VENUES[seed % len(VENUES)].kind].pop()) for seed in seeds]
        rngs = {seed: Random(seed) for seed, _ in seated}
        for seed, seat in seated:
            for planned in Schedule.random(seed, count=5, longest=0.2):
                seat.emulator.fault(planned.fault, account=seat.emulated, on=planned.on, times=planned.times, seconds=planned.seconds)
        for _ in range(ROUNDS):
            house.tell_prices()
            for seed, seat in seated:
                _act(house, seat, rngs[seed])
            _wait(house.settled, 30)
        for emulator in house.emulators.values():
            emulator.no_faults()
            emulator.wait_idle()
        _wait(lambda: _quiet(house), 60)
        house.read_the_books()
        _wait(lambda: all(not differences(house, seat) for _, seat in seated), 120)
        return [Failure(seed, seat.account_id, what) for seed, seat in seated for what in differences(house, seat)]


def _act(house: LiveHouse, seat: Seat, rng: Random) -> None:
    """One thing that a trader would do."""
    venue = seat.venue
    desk = house.house.system.roster.desk(seat.account_id)
    assert desk is not None
    held = house.house.held(seat.account_id)
    choice = rng.random()
    if held > 0 and choice < 0.35:
        for position in house.house.system.positions([seat.account_id]):
            if position.position.quantity:
                house.submit(seat, side=Side.SELL, quantity=None, reduce_only=True)
                return
    resting = [order for order in desk.live_orders() if order.state is OrderState.OPEN and order.order_type is OrderType.LIMIT]
    if resting and choice < 0.7:
        house.house.system.roster.lane(seat.account_id).put(_cancel(resting[0].order_id))  # type: ignore[union-attr]
        return
    if choice < 0.6:
        house.submit(seat)
    else:
        below = venue.price * Decimal("0.99") // venue.tick * venue.tick
        house.submit(seat, order_type=OrderType.LIMIT, price=below)


def _cancel(order_id: str) -> object:
    from engines.execution.jobs import Cancel

    return Cancel(order_id)


def _quiet(house: LiveHouse) -> bool:
    return house.settled() and all(lane.idle for lane in house.house.system.roster.lanes())


def _wait(true: Callable[[], bool], patience: float) -> None:
    """Until it is so, or patience ends: what still differs then differs, and the failures say how."""
    pause, deadline = threading.Event(), SystemClock().monotonic() + patience
    while not true() and SystemClock().monotonic() < deadline:
        pause.wait(0.01)


def differences(house: LiveHouse, seat: Seat) -> list[str]:
    """Everything in which our books and the broker's differ."""
    found: list[str] = []
    mine = {o.client_id: o for o in house.house.journal.orders().values() if o.account_id == seat.account_id}
    theirs = [row for row in seat.emulator.book(seat.emulated) if not row.by_hand]
    named = Counter(row.client_id for row in theirs)
    found += [f"{name} was booked {count} times" for name, count in named.items() if count > 1]
    found += [f"the broker has {row.client_id}, we never sent it" for row in theirs if row.client_id not in mine]
    for row in theirs:
        order = mine.get(row.client_id or "")
        if order is None:
            continue
        if order.state in NEVER_THERE and row.status not in ("rejected", "denied"):
            found.append(f"{row.client_id} is {order.state.value} with us and {row.status} at the broker")
        if order.filled_quantity != row.filled:
            found.append(
                f"{row.client_id} filled {order.filled_quantity} with us and {row.filled} at the broker ({order.state.value}/{row.status})"
            )
    there = {row.client_id for row in theirs}
    alive = (OrderState.OPEN, OrderState.PARTLY_FILLED, OrderState.FILLED, OrderState.CANCELLED)
    found += [
        f"{o.client_id} is {o.state.value} with us and unknown to the broker"
        for o in mine.values()
        if o.state in alive and o.broker_order_id and o.client_id not in there
    ]
    found += [
        f"{o.client_id} is still {o.state.value}"
        for o in mine.values()
        if o.state in (OrderState.UNKNOWN, OrderState.SENDING, OrderState.PLANNED)
    ]
    ours_traded = {
        (f.broker_order_id, f.trade_id): (f.quantity, f.price) for f in house.house.journal.fills() if f.account_id == seat.account_id
    }
    truly_traded = {(f.broker_order_id, f.trade_id): (f.quantity, f.price) for f in seat.emulator.fills(seat.emulated)}
    if {key[1]: value for key, value in ours_traded.items()} != {key[1]: value for key, value in truly_traded.items()}:
        found.append(f"fills differ: ours {ours_traded}, theirs {truly_traded}")
    desk = house.house.system.roster.desk(seat.account_id)
    held = sum((book.position.quantity for book in desk.books.values()), Decimal(0)) if desk else None
    if held != seat.emulator.position(seat.emulated, seat.venue.symbol):
        found.append(f"position {held} with us, {seat.emulator.position(seat.emulated, seat.venue.symbol)} at the broker")
    return found

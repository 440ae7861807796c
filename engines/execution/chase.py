"""Follows market orders that rest: brokers turn them into limit orders with a protection price, and what does not trade at once stays in the book.

An exit that rests is priced anew through the market until it fills, because a stop that waits is no stop; an entry that rests is taken back after a
while, because the moment it was meant for is over. Limit orders are left alone. It only asks the account's lane; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engines.core.model import Instrument, Order, OrderState, OrderType, Side
from engines.core.prices import to_tick
from engines.execution.jobs import Cancel, Modify
from engines.execution.lane import Lane
from engines.ports import Clock

EXIT_RESTS = 2.0
"""Seconds that an exit may rest before it is priced anew, and between two tries."""
ENTRY_RESTS = 10.0
MOST_CHASES = 15
"""Brokers allow about 25 changes of one order; beyond these it is cancelled and the exit planned anew by whoever wants the position closed."""
TOLD_AFTER = 3
_PAD_PCT = (Decimal("0.3"), Decimal("0.6"), Decimal(1), Decimal(2))
"""How far through the opposite quote the new price goes, try by try."""
_LEAST_TICKS = 3


@dataclass(slots=True)
class Chaser:
    clock: Clock
    lanes: Callable[[], Sequence[Lane]]
    quote: Callable[[str, Side], Decimal | None]
    instrument: Callable[[str], Instrument | None]
    on_trouble: Callable[[str, str, str, str | None], None]
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)  # order id → tries so far, monotonic time of the last

    def step(self) -> None:
        """Called a few times a second."""
        resting = {order.order_id: (lane, order) for lane in self.lanes() if lane.desk.account.live for order in _resting(lane)}
        for order_id in self._tries.keys() - resting.keys():
            del self._tries[order_id]
        now = self.clock.monotonic()
        for order_id, (lane, order) in resting.items():
            tries, since = self._tries.setdefault(order_id, (0, now))
            if order.raises_exposure:
                if now - since >= ENTRY_RESTS:
                    self._tries[order_id] = (tries + 1, now)
                    self._tell(order, "a market order to enter has rested too long and is taken back")
                    lane.put(Cancel(order_id))
            elif now - since >= EXIT_RESTS:
                self._tries[order_id] = (tries + 1, now)
                self._chase(lane, order, tries)

    def _chase(self, lane: Lane, order: Order, tries: int) -> None:
        if tries >= MOST_CHASES:
            lane.put(Cancel(order.order_id, wanted=False))
            return
        if tries == TOLD_AFTER:
            self._tell(order, "an exit rests at the broker and does not fill; it is priced anew every two seconds")
        quote, instrument = self.quote(order.symbol, order.side), self.instrument(order.symbol)
        if quote is None or instrument is None:
            self._tell(order, "an exit rests at the broker and there is no price to follow it with")
            return
        price = through(quote, order.side, instrument.tick_size, tries)
        if price != order.price:
            lane.put(Modify(order.order_id, None, price, None))

    def _tell(self, order: Order, what: str) -> None:
        self.on_trouble("order_rests", "critical" if not order.raises_exposure else "warning", f"{order.symbol}: {what}", order.account_id)


def through(quote: Decimal, side: Side, tick: Decimal, tries: int) -> Decimal:
    """A price on the tick that goes through the opposite quote, further with each try."""
    pad = max(quote * _PAD_PCT[min(tries, len(_PAD_PCT) - 1)] / 100, tick * _LEAST_TICKS)
    return max(tick, to_tick(float(quote + side.sign * pad), tick))


def _resting(lane: Lane) -> list[Order]:
    desk = lane.desk
    with desk.lock:
        return [
            order
            for order in desk.live_orders()
            if order.order_type is OrderType.MARKET
            and order.state in (OrderState.OPEN, OrderState.PARTLY_FILLED)
            and order.broker_order_id is not None
        ]

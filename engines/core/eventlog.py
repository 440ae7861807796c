"""What was decided and what came of it, as plain lines of text: the same lines from a back-test, a replay and a paper run of the same prices.

Made to be compared (law 11) and read. A line bears the beginning of its bar, never the machine's time; ids that are drawn by chance are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from engines.core.facts import Fact, FillBooked, PlanChanged, SignalPlanned
from engines.core.model import ExitPlan, OrderState, PlanState, Role, Side, Signal, Source, Timestamp
from engines.core.sessions import utc_offset

_MOMENT = re.compile(r"-(\d+)-X?[BS]-[0-9a-f]+$")


@dataclass(frozen=True, slots=True)
class Said:
    """A strategy's signal, at the beginning of the candle (or the time of the tick) that it follows from; it is the same for all accounts."""

    at: Timestamp
    symbol: str
    signal_id: str
    side: Side
    reduce_only: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An order that an account denied."""

    at: Timestamp
    account_id: str
    symbol: str
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Traded:
    at: Timestamp
    account_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    role: Role


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of an exit plan: "armed", "moved" (the stop, to here) or "target" (that one was reached, counted from one)."""

    at: Timestamp
    account_id: str
    symbol: str
    kind: str
    stop: Decimal | None
    target: int = 0


@dataclass(frozen=True, slots=True)
class Guarded:
    """An exit plan as it is now; what has moved since it was told last makes the lines."""

    at: Timestamp
    account_id: str
    symbol: str
    plan: ExitPlan


Event = Said | Refused | Traded | Moved | Guarded


def from_facts(facts: Iterable[Fact]) -> Iterator[Event]:
    """The events that a journal's facts tell of."""
    for fact in facts:
        match fact:
            case SignalPlanned():
                signal = fact.signal
                if signal.source is Source.STRATEGY:
                    yield Said(_moment(signal), signal.symbol, signal.signal_id, signal.side, signal.reduce_only)
                for order in fact.orders:
                    if order.state is OrderState.DENIED:
                        yield Refused(order.created_at, order.account_id, order.symbol, order.side, order.reason or "")
            case FillBooked():
                fill = fact.fill
                yield Traded(fill.traded_at, fill.account_id, fill.symbol, fill.side, fill.quantity, fill.price, fact.order.role)
            case PlanChanged():
                plan = fact.plan
                yield Guarded(plan.updated_at, plan.key.account_id, plan.key.symbol, plan)


def _moment(signal: Signal) -> Timestamp:
    """A strategy's signal bears in its id the moment that it follows from."""
    found = _MOMENT.search(signal.signal_id)
    return int(found[1]) / 1_000_000 if found else signal.created_at


def lines(events: Iterable[Event], *, seconds: int = 60) -> list[str]:
    """One line for each event (two when a price moved a stop and reached a target), see `EventLog`."""
    return EventLog(seconds).add(events)


class EventLog:
    """Turns events into lines as they come. `seconds`: the length of the bars whose beginning a line bears.

    Lines are by bar, account and instrument; within one of these in alphabetical order, because what one price causes there is told in an order that
    has no meaning."""

    def __init__(self, seconds: int = 60) -> None:
        self._seconds = seconds
        self._plans: dict[tuple[str, str], ExitPlan] = {}

    def add(self, events: Iterable[Event]) -> list[str]:
        found: list[tuple[float, str, str, str]] = []
        for event in events:
            account_id = "" if isinstance(event, Said) else event.account_id
            parts: Iterable[Event] = self._moves(event) if isinstance(event, Guarded) else (event,)
            found += [(part.at // self._seconds * self._seconds, account_id, part.symbol, _text(part)) for part in parts]
        return [f"{_clock(at, symbol)}  {account_id or 'all':<8}  {symbol}  {text}" for at, account_id, symbol, text in sorted(found)]

    def _moves(self, event: Guarded) -> Iterator[Moved]:
        """A plan that is over says nothing: the exit itself does."""
        place = (event.account_id, event.symbol)
        before, after = self._plans.get(place), event.plan
        self._plans[place] = after
        if after.state is not PlanState.ARMED:
            return
        if before is None or before.plan_id != after.plan_id:
            yield Moved(event.at, *place, "armed", after.stop)
            return
        for number, (old, new) in enumerate(zip(before.targets, after.targets, strict=False), start=1):
            if new.fired and not old.fired:
                yield Moved(event.at, *place, "target", after.stop, number)
        if before.stop != after.stop:
            yield Moved(event.at, *place, "moved", after.stop)


def _text(event: Event) -> str:
    match event:
        case Said():
            return f"signal {event.side}{' to leave' if event.reduce_only else ''}  {event.signal_id}"
        case Refused():
            return f"denied {event.side} {event.reason}"
        case Traded():
            return f"{event.role} {event.side} {_plain(event.quantity)} at {_plain(event.price)}"
        case Moved(kind="armed"):
            return f"plan armed, stop {_price(event.stop)}"
        case Moved(kind="target"):
            return f"target {event.target} reached"
        case _:
            return f"stop to {_price(event.stop)}" if isinstance(event, Moved) else ""


def _clock(at: Timestamp, symbol: str) -> str:
    return datetime.fromtimestamp(at + utc_offset(symbol), UTC).strftime("%Y-%m-%d %H:%M")


def _price(price: Decimal | None) -> str:
    return "–" if price is None else _plain(price)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"

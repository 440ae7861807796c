"""What was decided and what came of it, as plain lines of text: the same lines from a back-test, a replay and a paper run of the same prices.

Made to be compared (law 11) and read. A line bears the minute of its bar, never the machine's time; ids that are drawn by chance are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from engines.core.facts import Fact, FillBooked, PlanChanged, SignalPlanned
from engines.core.model import ExitPlan, OrderState, PlanState, Role, Side, Source, Timestamp
from engines.core.sessions import utc_offset


@dataclass(frozen=True, slots=True)
class Said:
    """A strategy's signal; it is the same for all accounts."""

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
class Guarded:
    """An exit plan as it is now; None: the position is flat and nothing guards it."""

    at: Timestamp
    account_id: str
    symbol: str
    plan: ExitPlan | None


Event = Said | Refused | Traded | Guarded


def from_facts(facts: Iterable[Fact]) -> Iterator[Event]:
    """The events that a journal's facts tell of."""
    for fact in facts:
        match fact:
            case SignalPlanned():
                signal = fact.signal
                if signal.source is Source.STRATEGY:
                    yield Said(signal.created_at, signal.symbol, signal.signal_id, signal.side, signal.reduce_only)
                for order in fact.orders:
                    if order.state is OrderState.DENIED:
                        yield Refused(order.created_at, order.account_id, order.symbol, order.side, order.reason or "")
            case FillBooked():
                fill = fact.fill
                yield Traded(fill.traded_at, fill.account_id, fill.symbol, fill.side, fill.quantity, fill.price, fact.order.role)
            case PlanChanged():
                plan = fact.plan
                yield Guarded(plan.updated_at, plan.key.account_id, plan.key.symbol, plan)


def lines(events: Iterable[Event], *, seconds: int = 60) -> list[str]:
    """One line for each event (two when a price moved a stop and reached a target), see `EventLog`."""
    return EventLog(seconds).add(events)


class EventLog:
    """Turns events into lines as they come. `seconds`: the length of the bars whose beginning a line bears.

    Lines are by bar, account and instrument; within one of these in alphabetical order, because what one price causes there is told in an order that
    has no meaning."""

    def __init__(self, seconds: int = 60) -> None:
        self._seconds = seconds
        self._plans: dict[tuple[str, str], ExitPlan | None] = {}

    def add(self, events: Iterable[Event]) -> list[str]:
        found: list[tuple[float, str, str, str]] = []
        for event in events:
            account_id, texts = "", [_text(event)]
            if not isinstance(event, Said):
                account_id = event.account_id
            if isinstance(event, Guarded):
                place = (account_id, event.symbol)
                texts = _changes(self._plans.get(place), event.plan)
                self._plans[place] = event.plan
            found += [(event.at // self._seconds * self._seconds, account_id, event.symbol, text) for text in texts]
        return [f"{_clock(at, symbol)}  {account_id or 'all':<8}  {symbol}  {text}" for at, account_id, symbol, text in sorted(found)]


def _text(event: Event) -> str:
    match event:
        case Said():
            return f"signal {event.side}{' to leave' if event.reduce_only else ''}  {event.signal_id}"
        case Refused():
            return f"denied {event.side} {event.reason}"
        case Traded():
            return f"{event.role} {event.side} {_plain(event.quantity)} at {_plain(event.price)}"
        case Guarded():
            return ""


def _changes(before: ExitPlan | None, after: ExitPlan | None) -> list[str]:
    """What has become of an exit plan, in words. A plan that is over says nothing: the exit itself does."""
    if after is None or after.state is not PlanState.ARMED:
        return []
    if before is None or before.plan_id != after.plan_id:
        targets = " ".join(_plain(target.price) for target in after.targets)
        return [f"plan stop {_price(after.stop)} targets {targets or '–'}"]
    said = []
    if before.stop != after.stop:
        said.append(f"stop {_price(before.stop)} → {_price(after.stop)}")
    said += [
        f"target {number} reached at {_plain(new.price)}"
        for number, (old, new) in enumerate(zip(before.targets, after.targets, strict=False), start=1)
        if new.fired and not old.fired
    ]
    return said


def _clock(at: Timestamp, symbol: str) -> str:
    return datetime.fromtimestamp(at + utc_offset(symbol), UTC).strftime("%Y-%m-%d %H:%M")


def _price(price: Decimal | None) -> str:
    return "–" if price is None else _plain(price)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"

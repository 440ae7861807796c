"""Facts as rows: each fact becomes rows of the tables it touches, a group of facts becomes few statements.

A later row of the same key replaces an earlier one before anything is written. Nothing here decides; what does not fit a column is an error.
What people are to be told of gets a row of `messages` beside the fact, in its transaction; what it says is worked out later and elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from app.data import tables as t
from app.data.ledger import book_fills
from app.data.tables import Row, Table
from app.data.values import exact, exact_or_none, micros, micros_or_none, to_json
from engines.core import facts as f
from engines.core.codec import dumps, to_plain
from engines.core.model import Check, HaltScope, Order, OrderEvent, OrderState
from engines.execution.incidents import EXIT_MISSING, LASTING

Writes = list[tuple[Table, Row]]

EVERYBODY, OWNERS = "", "@"
"""Instead of a user's id: a message to all people, and to those who own the machine."""
AGAIN = 600_000_000
"""Microseconds in which the same trouble, over as soon as it is told, is told once."""
_TOLD_OTHERWISE = frozenset({"unknown_order", EXIT_MISSING})
"""Trouble whose order tells of itself, or whose beginning was told as `exit_failed`."""


class Group:
    """What one transaction writes."""

    def __init__(self) -> None:
        self._keyed: dict[Table, dict[Row, Row]] = {}
        self._events: list[Row] = []
        self._timings: dict[str, str] = {}
        self._fills: list[f.FillBooked] = []

    def add(self, facts: Iterable[f.Fact]) -> None:
        """All rows of these facts or, when one of them cannot be a row, none of them (ValueError or TypeError)."""
        facts = tuple(facts)
        timings = {fact.signal_key: dumps(fact) for fact in facts if isinstance(fact, f.SignalTimed)}
        for rows in [_ENCODERS[type(fact)](fact) for fact in facts if not isinstance(fact, f.SignalTimed)]:
            self._take(rows)
        self._fills += [fact for fact in facts if isinstance(fact, f.FillBooked)]
        self._timings |= timings

    def _take(self, writes: Writes) -> None:
        for table, row in writes:
            if table.key:
                self._keyed.setdefault(table, {})[row[: table.key]] = row
            else:
                self._events.append(row)

    def write(self, connection: sqlite3.Connection) -> None:
        """Inside the caller's transaction."""
        if self._fills:
            for table, rows in book_fills(connection, self._fills).items():
                table.write(connection, rows)
        for table, keyed in self._keyed.items():
            table.write(connection, list(keyed.values()))
        if self._events:
            t.EVENTS.write(connection, self._events)
        for key, timing in self._timings.items():
            connection.execute("UPDATE signals SET timing = ? WHERE key = ?", (timing, key))


def order_row(order: Order) -> Row:
    return (
        order.order_id,
        order.account_id,
        order.user_id,
        order.signal_key,
        order.symbol,
        order.side,
        exact(order.quantity),
        order.order_type,
        order.product,
        order.role,
        micros(order.created_at),
        micros(order.updated_at),
        order.strategy_id,
        exact_or_none(order.price),
        exact_or_none(order.trigger_price),
        order.state,
        order.reason,
        order.broker_order_id,
        exact(order.filled_quantity),
        exact_or_none(order.average_price),
        order.plan_id,
        micros_or_none(order.sent_at),
        micros_or_none(order.acknowledged_at),
        _checks(order.checks) if order.checks else "[]",
    )


@lru_cache(maxsize=1024)
def _checks(checks: tuple[Check, ...]) -> str:
    """An order keeps its checks through its life and is written at each turn of it; those of the accounts of a signal are often the same."""
    return to_json(checks)


_TOLD = {
    OrderState.FILLED: "f",
    OrderState.CANCELLED: "c",
    OrderState.REJECTED: "r",
    OrderState.UNKNOWN: "u",
    OrderState.EXPIRED: "e",
    OrderState.NOT_PLACED: "n",
}
"""The states of an order that its owner is told of: the broker's last word, or that there is none. What we denied is in the summary of its signal."""
_MAY_GROW = frozenset({OrderState.CANCELLED, OrderState.EXPIRED})
"""A fill may still come after these: told again, with what has traded by then."""


def _order_rows(order: Order, event: OrderEvent) -> Writes:
    rows: Writes = [(t.ORDERS, order_row(order)), (t.EVENTS, _event_row(event))]
    state = order.state
    letter = _TOLD.get(state)
    if letter is not None:
        dedupe = f"o:{order.order_id}:{letter}"
        if state in _MAY_GROW and order.filled_quantity:
            dedupe = f"{dedupe}:{order.filled_quantity}"
        elif state is OrderState.REJECTED:  # once for each refusal: an order that lived all the same may be refused for good
            dedupe = f"{dedupe}:{micros(event.at)}"
        rows.append((t.MESSAGES, (dedupe, "order", order.user_id, order.account_id, order.order_id, micros(event.at))))
    return rows


def _event_row(event: OrderEvent) -> Row:
    return (event.order_id, event.kind, micros(event.at), to_json(dict(event.detail)) if event.detail else "{}")


def _signal_planned(fact: f.SignalPlanned) -> Writes:
    s = fact.signal
    body = to_json(to_plain(s))
    at = micros(s.created_at)
    signal = (s.key, s.user_id, s.signal_id, s.source, s.symbol, s.side, s.strategy_id, at, body)
    rows: Writes = [(t.SIGNALS, signal), *((t.ORDERS, order_row(order)) for order in fact.orders)]
    if s.role is None:  # a stop, a target or a close is one order on one account, and that tells everything
        rows.append((t.MESSAGES, (f"s:{s.key}", "signal", s.user_id, None, s.key, at)))
    return rows


def _order_changed(fact: f.OrderChanged) -> Writes:
    return _order_rows(fact.order, fact.event)


def _fill_booked(fact: f.FillBooked) -> Writes:
    for amount in (fact.fill.quantity, fact.fill.price, fact.fill.charges, fact.fill.fee_quantity):
        exact(amount)  # a fill that is not a number is found before its group is written
    return _order_rows(fact.order, fact.event)


def _plan_changed(fact: f.PlanChanged) -> Writes:
    plan = fact.plan
    return [(t.PLANS, (plan.plan_id, plan.user_id, plan.key.account_id, plan.state, micros(plan.updated_at), dumps(plan)))]


def _day_changed(fact: f.DayChanged) -> Writes:
    day = fact.day
    return [(t.DAYS, (day.account_id, day.day, day.trades, day.locked, day.warned))]


def _halt_changed(fact: f.HaltChanged) -> Writes:
    h = fact.halt
    row = (h.halt_id, h.scope, h.scope_id, h.reason, micros(h.since), h.by, h.flatten, micros_or_none(h.lifted_at), h.lifted_by)
    kind = "halt" if h.lifted_at is None else "lift"
    dedupe, at = f"h:{h.halt_id}:{kind}", micros(h.since if h.lifted_at is None else h.lifted_at)
    told: tuple[Table, Row]
    match h.scope:
        case HaltScope.ACCOUNT:
            told = (t.MESSAGES_OF_ACCOUNT, (dedupe, kind, h.scope_id, h.halt_id, at))
        case HaltScope.STRATEGY:
            told = (t.MESSAGES_OF_STRATEGY, (dedupe, kind, h.scope_id, h.halt_id, at))
        case _:
            told = (t.MESSAGES, (dedupe, kind, h.scope_id or EVERYBODY, None, h.halt_id, at))
    return [(t.HALTS, row), told]


def _engine_switched(fact: f.EngineSwitched) -> Writes:
    at, whose = micros(fact.at), fact.user_id or EVERYBODY
    kind = "engines_on" if fact.on else "engines_off"
    return [(t.ENGINES, (whose, fact.on, fact.by, at)), (t.MESSAGES, (f"e:{whose}:{at}", kind, whose, None, fact.by, at))]


def _kill_switched(fact: f.KillSwitched) -> Writes:
    at = micros(fact.at)
    told = (f"k:{fact.account_id}:{at}", "kill_on" if fact.on else "kill_off", fact.account_id, to_json([fact.reason, fact.by]), at)
    return [(t.KILLS, (fact.account_id, fact.on, fact.reason, fact.by, at)), (t.MESSAGES_OF_ACCOUNT, told)]


def _strategy_state_saved(fact: f.StrategyStateSaved) -> Writes:
    return [(t.STATES, (fact.strategy_id, to_json(to_plain(fact.state)), fact.quarantined, micros(fact.at)))]


def _equity_marked(fact: f.EquityMarked) -> Writes:
    row = (fact.account_id, micros(fact.at), exact(fact.equity), exact(fact.realised), exact(fact.unrealised), exact(fact.charges))
    return [(t.EQUITY, row)]


def _incident_changed(fact: f.IncidentChanged) -> Writes:
    i = fact.incident
    since = micros(i.since)
    row = (i.incident_id, i.kind, i.message, i.severity, since, i.user_id, i.account_id, micros_or_none(i.until))
    if i.kind in _TOLD_OTHERWISE:
        return [(t.INCIDENTS, row)]
    whose = i.user_id or OWNERS
    if i.until is None:
        told = (f"i:{i.incident_id}:{since}", i.kind, whose, i.account_id, i.incident_id, since)  # a strategy's failures share one id
    elif i.until > i.since or i.kind in LASTING:
        until = micros(i.until)
        told = (f"i:{i.incident_id}:over:{until}", f"{i.kind}_over", whose, i.account_id, i.incident_id, until)
    else:  # over as soon as it was told: the same again within a while is told once
        about = blake2b(i.message.encode(), digest_size=6).hexdigest()
        told = (f"i:{i.kind}:{i.account_id or whose}:{about}:{since // AGAIN}", i.kind, whose, i.account_id, i.incident_id, since)
    return [(t.INCIDENTS, row), (t.MESSAGES, told)]


def _candle_closed(fact: f.CandleClosed) -> Writes:
    c = fact
    return [(t.CANDLES, (c.symbol, c.timeframe, c.live, micros(c.start), c.open, c.high, c.low, c.close, c.volume))]


def _job_changed(fact: f.JobChanged) -> Writes:
    run = fact.run
    return [(t.JOBS, (run.day, run.job, run.state, micros(run.planned_at), micros(run.at), run.detail))]


def _combined_changed(fact: f.CombinedChanged) -> Writes:
    return [(t.COMBINED, (fact.state.rule_id, fact.state.day, dumps(fact.state)))]


def _levels_fixed(fact: f.LevelsFixed) -> Writes:
    row = (fact.strategy_id, fact.symbol, fact.day, micros(fact.at), fact.says, to_json([to_plain(level) for level in fact.levels]))
    return [(t.LEVELS, row)]


def _market_changed(fact: f.MarketChanged) -> Writes:
    return [(t.MARKETS, (fact.symbol, fact.live, micros(fact.at)))]


def _day_closed(fact: f.DayClosed) -> Writes:
    book, at = fact.book, micros(fact.book.at)
    written: Writes = [(t.DAY_BOOKS, (book.account_id, book.day, at, dumps(book)))]
    if fact.tell:  # one for each person, whichever account is first
        written.append((t.MESSAGES_OF_DAY, (f"d:{book.day}", "day", book.account_id, book.day, at)))
    return written


_ENCODERS: dict[type, Callable[[Any], Writes]] = {
    f.SignalPlanned: _signal_planned,
    f.OrderChanged: _order_changed,
    f.FillBooked: _fill_booked,
    f.PlanChanged: _plan_changed,
    f.DayChanged: _day_changed,
    f.HaltChanged: _halt_changed,
    f.EngineSwitched: _engine_switched,
    f.KillSwitched: _kill_switched,
    f.StrategyStateSaved: _strategy_state_saved,
    f.EquityMarked: _equity_marked,
    f.IncidentChanged: _incident_changed,
    f.CandleClosed: _candle_closed,
    f.JobChanged: _job_changed,
    f.CombinedChanged: _combined_changed,
    f.LevelsFixed: _levels_fixed,
    f.MarketChanged: _market_changed,
    f.DayClosed: _day_closed,
}

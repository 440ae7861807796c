"""What a fill changes beyond itself: its position, the day's result, a closed round trip.

Runs inside the transaction that stores the fill, so that books and fills cannot drift apart; a fill that is known already changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.data import decode
from app.data import tables as t
from app.data.tables import Row, Table
from app.data.values import exact, from_json, micros, micros_or_none, to_json
from engines.core.facts import FillBooked
from engines.core.model import ZERO, Fill, Position
from engines.core.positions import book, empty
from engines.core.sessions import session_day

_CHARGE_STEP = Decimal("1e-4")


@dataclass(slots=True)
class _Books:
    """The rows as they are now, read once for a group and carried along."""

    positions: dict[str, tuple[Position, Decimal]]  # with the net result since it was last flat
    days: dict[Row, tuple[Decimal, Decimal, int, Decimal]]  # realised, charges, fills, turnover
    known: set[tuple[str, str]]


def book_fills(connection: sqlite3.Connection, booked: Sequence[FillBooked]) -> Mapping[Table, list[Row]]:
    """The rows to write for these fills."""
    day_keys = [_day_keys(one) for one in booked]
    books = _read(connection, booked, {key for keys in day_keys for key in keys})
    fills: list[Row] = []
    trips: list[Row] = []
    positions: dict[str, Row] = {}
    days: dict[Row, Row] = {}
    for one, keys in zip(booked, day_keys, strict=True):
        fill = one.fill
        if (fill.order_id, fill.trade_id) in books.known:
            continue
        books.known.add((fill.order_id, fill.trade_id))
        before, trip = books.positions.get(one.position.position_id) or (empty(fill.position_key), ZERO)
        realised = _realised(before, one)
        trip, closed = _trip(before.quantity, trip, fill)
        trips += [_trip_row(one, net) for net in closed]
        books.positions[one.position.position_id] = (one.position, trip)
        positions[one.position.position_id] = _position_row(one, trip)
        for key in keys:
            days[key] = _add_to_day(books, key, fill, realised)
        fills.append(_fill_row(one, realised))
    _forget_openings(connection, booked)
    return {t.FILLS: fills, t.POSITIONS: list(positions.values()), t.PNL: list(days.values()), t.TRIPS: trips}


def _realised(before: Position, booked: FillBooked) -> Decimal:
    """What this fill realised. Usually the step from the stored position; when the engines folded a late fill into the past,
    the difference that they told."""
    after = booked.position
    step = book(before, booked.fill)
    if step.quantity == after.quantity and step.open_cost == after.open_cost:
        return step.realised - before.realised
    return after.realised - before.realised


def _trip(held: Decimal, net: Decimal, fill: Fill) -> tuple[Decimal, list[Decimal]]:
    """Net cash of the trade that is open, and of the one that this fill closed; a fill that turns a position around shares its charges by quantity."""
    now = held + fill.moved
    if held * now < 0:
        closing = (fill.charges * abs(held) / fill.quantity).quantize(_CHARGE_STEP)
        return -now * fill.price - (fill.charges - closing), [net + held * fill.price - closing]
    net -= fill.side.sign * fill.quantity * fill.price + fill.charges
    return (net, []) if now else (ZERO, [net])


def _add_to_day(books: _Books, key: Row, fill: Fill, realised: Decimal) -> Row:
    old = books.days.get(key, (ZERO, ZERO, 0, ZERO))
    new = (old[0] + realised, old[1] + fill.charges, old[2] + 1, old[3] + fill.quantity * fill.price)
    books.days[key] = new
    return (*key, exact(new[0]), exact(new[1]), new[2], exact(new[3]))


def _day_keys(booked: FillBooked) -> list[Row]:
    """The rows of the day that a fill counts in: its account or all, its strategy or all."""
    fill, user_id = booked.fill, booked.order.user_id
    day = session_day(fill.traded_at, fill.symbol)
    strategy_id = fill.strategy_id or ""
    return [(user_id, account, strategy, day) for account in (fill.account_id, "*") for strategy in (strategy_id, "*")]


def _read(connection: sqlite3.Connection, booked: Sequence[FillBooked], day_keys: Iterable[Row]) -> _Books:
    known = _rows(
        connection,
        "SELECT json_group_array(json_array(f.order_id, f.trade_id)) FROM json_each(?) AS j JOIN fills AS f"
        " ON f.order_id = json_extract(j.value, '$[0]') AND f.trade_id = json_extract(j.value, '$[1]')",
        [(one.fill.order_id, one.fill.trade_id) for one in booked],
    )
    positions = _rows(
        connection,
        f"SELECT json_group_array(json_array({decode.POSITION_COLUMNS}, trip_net)) FROM positions"
        " WHERE position_id IN (SELECT value FROM json_each(?))",
        list({one.position.position_id for one in booked}),
    )
    days = _rows(
        connection,
        "SELECT json_group_array(json_array(p.user_id, p.account_id, p.strategy_id, p.day, p.realised, p.charges, p.fills, p.turnover))"
        " FROM json_each(?) AS j JOIN pnl_daily AS p ON p.user_id = json_extract(j.value, '$[0]') AND p.account_id = json_extract(j.value, '$[1]')"
        " AND p.strategy_id = json_extract(j.value, '$[2]') AND p.day = json_extract(j.value, '$[3]')",
        list(day_keys),
    )
    return _Books(
        {row[0]: (decode.position(row[:-1]), Decimal(row[-1])) for row in positions},
        {tuple(row[:4]): (Decimal(row[4]), Decimal(row[5]), row[6], Decimal(row[7])) for row in days},
        {(order_id, trade_id) for order_id, trade_id in known},
    )


def _rows(connection: sqlite3.Connection, sql: str, wanted: list[Any]) -> list[Any]:
    """Many rows in a single step of SQLite (see `tables`)."""
    rows: list[Any] = from_json(connection.execute(sql, (to_json(wanted),)).fetchone()[0])
    return rows


def _forget_openings(connection: sqlite3.Connection, booked: Sequence[FillBooked]) -> None:
    """A fill that traded before a stored opening was made belongs into it: that opening is made again at the next start."""
    earliest = micros(min(one.fill.traded_at for one in booked))
    connection.execute("DELETE FROM openings WHERE at > ?", (earliest,))


def _fill_row(booked: FillBooked, realised: Decimal) -> Row:
    fill = booked.fill
    return (
        fill.order_id,
        fill.trade_id,
        booked.order.user_id,
        fill.account_id,
        fill.symbol,
        fill.side,
        fill.product,
        fill.strategy_id,
        fill.broker_order_id,
        exact(fill.quantity),
        exact(fill.price),
        exact(fill.charges),
        exact(realised),
        micros(fill.traded_at),
        exact(fill.fee_quantity),
    )


def _position_row(booked: FillBooked, trip: Decimal) -> Row:
    position = booked.position
    key = position.key
    return (
        position.position_id,
        booked.order.user_id,
        key.account_id,
        key.symbol,
        key.product,
        key.strategy_id,
        bool(position.quantity),
        exact(position.quantity),
        exact(position.cash_flow),
        exact(position.open_cost),
        exact(position.realised),
        exact(position.charges),
        micros_or_none(position.opened_at),
        micros(position.updated_at),
        exact(trip),
    )


def _trip_row(booked: FillBooked, net: Decimal) -> Row:
    key = booked.position.key
    position_id = booked.position.position_id
    return (position_id, booked.order.user_id, key.account_id, key.strategy_id, key.symbol, micros(booked.fill.traded_at), exact(net))

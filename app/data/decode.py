"""Rows as our values: the way back from what `encode` stored. Every function takes a row that has the columns of its table."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.data.values import decimal_or_none, from_json, seconds, seconds_or_none
from engines.core.codec import from_plain, loads
from engines.core.facts import SignalTimed
from engines.core.model import (
    AccountDay,
    Candle,
    Check,
    DayBook,
    ExitPlan,
    Fill,
    Halt,
    HaltScope,
    Incident,
    JobRun,
    Order,
    OrderEvent,
    OrderState,
    OrderType,
    Position,
    PositionKey,
    Product,
    Role,
    RunState,
    Side,
    Signal,
    Warned,
)
from engines.core.sessions import CalendarDay

Row = sqlite3.Row | Mapping[str, Any]

_SIDE = {side.value: side for side in Side}
_TYPE = {kind.value: kind for kind in OrderType}
_PRODUCT = {product.value: product for product in Product}
_ROLE = {role.value: role for role in Role}
_STATE = {state.value: state for state in OrderState}


ORDER_COLUMNS = (
    "order_id, account_id, user_id, signal_key, symbol, side, quantity, order_type, product, role, created_at, updated_at, strategy_id, price,"
    " trigger_price, state, reason, broker_order_id, filled_quantity, average_price, plan_id, sent_at, acknowledged_at"
)
"""All but the checks."""


def order(row: Row) -> Order:
    checks = row["checks"]
    return Order(
        order_id=row["order_id"],
        account_id=row["account_id"],
        user_id=row["user_id"],
        signal_key=row["signal_key"],
        symbol=row["symbol"],
        side=_SIDE[row["side"]],
        quantity=Decimal(row["quantity"]),
        order_type=_TYPE[row["order_type"]],
        product=_PRODUCT[row["product"]],
        role=_ROLE[row["role"]],
        created_at=seconds(row["created_at"]),
        updated_at=seconds(row["updated_at"]),
        strategy_id=row["strategy_id"],
        price=decimal_or_none(row["price"]),
        trigger_price=decimal_or_none(row["trigger_price"]),
        state=_STATE[row["state"]],
        reason=row["reason"],
        broker_order_id=row["broker_order_id"],
        filled_quantity=Decimal(row["filled_quantity"]),
        average_price=decimal_or_none(row["average_price"]),
        plan_id=row["plan_id"],
        sent_at=seconds_or_none(row["sent_at"]),
        acknowledged_at=seconds_or_none(row["acknowledged_at"]),
        checks=() if checks == "[]" else tuple(Check(name, passed, detail) for name, passed, detail in from_json(checks)),
    )


def event(row: Row) -> OrderEvent:
    return OrderEvent(row["order_id"], row["kind"], seconds(row["at"]), from_json(row["detail"]))


def fill(row: Row) -> Fill:
    return Fill(
        trade_id=row["trade_id"],
        order_id=row["order_id"],
        account_id=row["account_id"],
        symbol=row["symbol"],
        side=_SIDE[row["side"]],
        product=_PRODUCT[row["product"]],
        quantity=Decimal(row["quantity"]),
        price=Decimal(row["price"]),
        charges=Decimal(row["charges"]),
        traded_at=seconds(row["traded_at"]),
        strategy_id=row["strategy_id"],
        broker_order_id=row["broker_order_id"],
        fee_quantity=Decimal(row["fee_quantity"]),
    )


POSITION_COLUMNS = (
    "position_id, account_id, symbol, product, strategy_id, quantity, cash_flow, open_cost, realised, charges, opened_at, updated_at"
)


def position(row: Sequence[Any]) -> Position:
    """From POSITION_COLUMNS, in that order."""
    position_id, account_id, symbol, product, strategy_id, quantity, cash_flow, open_cost, realised, charges, opened_at, updated_at = row
    return Position(
        key=PositionKey(account_id, symbol, _PRODUCT[product], strategy_id),
        position_id=position_id,
        quantity=Decimal(quantity),
        cash_flow=Decimal(cash_flow),
        open_cost=Decimal(open_cost),
        realised=Decimal(realised),
        charges=Decimal(charges),
        opened_at=seconds_or_none(opened_at),
        updated_at=seconds(updated_at),
    )


def signal(row: Row) -> Signal:
    return loads(Signal, row["body"])


def timing(row: Row) -> SignalTimed | None:
    stored = row["timing"]
    return None if stored is None else from_plain(SignalTimed, from_json(stored))


def plan(row: Row) -> ExitPlan:
    return loads(ExitPlan, row["body"])


def day(row: Row) -> AccountDay:
    return AccountDay(row["account_id"], row["day"], row["trades"], row["locked"], Warned(row["warned"]))


def halt(row: Row) -> Halt:
    return Halt(
        halt_id=row["halt_id"],
        scope=HaltScope(row["scope"]),
        scope_id=row["scope_id"],
        reason=row["reason"],
        since=seconds(row["since"]),
        by=row["by"],
        flatten=bool(row["flatten"]),
        lifted_at=seconds_or_none(row["lifted_at"]),
        lifted_by=row["lifted_by"],
    )


def incident(row: Row) -> Incident:
    return Incident(
        incident_id=row["incident_id"],
        kind=row["kind"],
        message=row["message"],
        severity=row["severity"],
        since=seconds(row["since"]),
        user_id=row["user_id"],
        account_id=row["account_id"],
        until=seconds_or_none(row["until"]),
    )


def candle(row: Row) -> Candle:
    return Candle(row["symbol"], seconds(row["start"]), row["open"], row["high"], row["low"], row["close"], row["volume"])


def job_run(row: Row) -> JobRun:
    return JobRun(row["day"], row["job"], RunState(row["state"]), seconds(row["planned_at"]), seconds(row["at"]), row["detail"])


def day_book(row: Row) -> DayBook:
    return loads(DayBook, row["body"])


def calendar_day(row: Row) -> CalendarDay:
    windows = tuple((str(opens), str(closes)) for opens, closes in from_json(row["windows"]))
    return CalendarDay(row["day"], row["exchange"], windows, bool(row["ordinary"]), row["note"])

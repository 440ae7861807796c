"""Kite's rows as our values: orders, trades, positions, holdings, margins, the profile.

Pure. Numbers stay decimal, times are India's without saying so, and what a row leaves out is not guessed: an unknown status means that the order
is at work.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from engines.core.model import ZERO, OrderState, Product, Side, Timestamp
from engines.core.sessions import IST
from engines.ports import Balance, BrokerFill, BrokerPosition, BrokerTrade, Holding, OrderReport, Profile

Json = Mapping[str, Any]

EXCHANGES = frozenset({"NSE", "BSE", "NFO", "BFO", "MCX", "CDS", "BCD", "NCO"})

_ENDS = {
    "COMPLETE": OrderState.FILLED,
    "CANCELLED": OrderState.CANCELLED,
    "CANCELED": OrderState.CANCELLED,
    "CANCELLED AMO": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
}
_PRODUCTS = {"MIS": Product.MIS, "CO": Product.MIS, "BO": Product.MIS, "NRML": Product.NRML, "CNC": Product.CNC, "MTF": Product.CNC}
_OUR_NAME = re.compile(r"[0-9A-Z]{18}\Z")
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)")


def order(row: Json) -> OrderReport:
    """A row of the order book or a pushed one, its trades not yet known: `filled_quantity` as the row says it."""
    quantity, filled = number(row.get("quantity")), number(row.get("filled_quantity"))
    average = number(row.get("average_price"))
    return OrderReport(
        broker_order_id=text(row, "order_id"),
        state=state(text(row, "status"), quantity, filled),
        client_id=our_name(row),
        symbol=symbol(row),
        side=side(row),
        quantity=quantity,
        filled_quantity=filled,
        average_price=average if filled and average else None,
        message=text(row, "status_message") or text(row, "status_message_raw"),
        at=moment(row.get("exchange_update_timestamp")) or moment(row.get("order_timestamp")) or 0.0,
    )


def state(status: str, quantity: Decimal, filled: Decimal) -> OrderState:
    ended = _ENDS.get(status.upper())
    if ended is not None:
        return ended
    return OrderState.PARTLY_FILLED if ZERO < filled < quantity else OrderState.OPEN


def our_name(row: Json) -> str | None:
    """The tag that we gave, which may stand among the system's own or be missing."""
    tags = row.get("tags")
    for tag in (row.get("tag"), *(tags if isinstance(tags, Sequence) and not isinstance(tags, str) else ())):
        if isinstance(tag, str) and _OUR_NAME.match(tag):
            return tag
    return None


def somebody_elses(row: Json) -> bool:
    """Whether the row carries a name that a person or another program gave."""
    return bool(row.get("tag")) and our_name(row) is None


def fills(rows: Iterable[Json]) -> dict[str, list[BrokerFill]]:
    """Trades by order id."""
    found: dict[str, list[BrokerFill]] = {}
    for row in rows:
        found.setdefault(text(row, "order_id"), []).append(fill(row))
    return found


def fill(row: Json) -> BrokerFill:
    return BrokerFill(
        trade_id=text(row, "trade_id"),
        quantity=number(row.get("quantity")),
        price=number(row.get("average_price")),
        traded_at=moment(row.get("fill_timestamp")) or moment(row.get("exchange_timestamp")) or 0.0,
    )


def trade(row: Json) -> BrokerTrade:
    return BrokerTrade(text(row, "order_id"), symbol(row), Side(text(row, "transaction_type")), fill(row))


def positions(data: Json) -> list[BrokerPosition]:
    """The net book (what was carried is in it), without what is flat."""
    found = []
    for row in data["net"]:
        quantity = number(row.get("quantity"))
        product = _PRODUCTS.get(text(row, "product"))
        if quantity and product is not None:
            found.append(BrokerPosition(symbol(row), product, quantity, number(row.get("average_price")) or None))
    return found


def holdings(rows: Iterable[Json]) -> list[Holding]:
    """What is delivered or on its way (T+1)."""
    found = []
    for row in rows:
        quantity = number(row.get("quantity")) + number(row.get("t1_quantity"))
        if quantity:
            found.append(Holding(symbol(row), quantity, number(row.get("average_price")) or None, number(row.get("last_price")) or None))
    return found


def balance(data: Json) -> Balance:
    """`net` is what new orders may use. The equity segment counts; the commodity one only where that is all there is."""
    segments = [data.get("equity"), data.get("commodity")] if "equity" in data or "commodity" in data else [data]
    row = next((x for x in segments if isinstance(x, Mapping) and x.get("enabled")), None) or next(
        (x for x in segments if isinstance(x, Mapping)), {}
    )
    net = number(row.get("net"))
    used = max(number((row.get("utilised") or {}).get("debits")), ZERO)
    return Balance(cash=number((row.get("available") or {}).get("cash")), used_margin=used, available=net, equity=net + used)


def profile(row: Json) -> Profile:
    warnings = []
    if (row.get("meta") or {}).get("demat_consent") not in (None, "consent"):
        warnings.append("selling delivered shares needs the depository's authorisation each day: this account has given no consent (DDPI)")
    return Profile(
        user_id=text(row, "user_id"),
        name=text(row, "user_name"),
        exchanges=tuple(row.get("exchanges") or ()),
        products=tuple(row.get("products") or ()),
        warnings=tuple(warnings),
    )


# --- single values ---------------------------------------------------------------------------------------------------


def symbol(row: Json) -> str:
    return f"{text(row, 'exchange')}:{text(row, 'tradingsymbol')}"


def side(row: Json) -> Side | None:
    value = row.get("transaction_type")
    return Side(value) if value in ("BUY", "SELL") else None


def text(row: Json, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def number(value: Any) -> Decimal:
    """Zero for what is missing; a float (only where somebody else has parsed) as it prints."""
    if value is None or value == "":
        return ZERO
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return ZERO
    return found if found.is_finite() else ZERO


def moment(value: Any) -> Timestamp | None:
    """Kite's wall time is India's."""
    found = _MOMENT.match(value) if isinstance(value, str) else None
    return float(calendar.timegm(tuple(map(int, found.groups())))) - IST if found else None

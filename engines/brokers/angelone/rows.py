"""Angel One's answers as our values: order book rows, trades, positions, holdings, funds, profile.

Pure and tolerant: the same field comes as a number or as text, empty or missing, and an unknown status is an order at work, never a failed one.
Nothing here decides what an answer proves; a row without its name or numbers is an error, because a book must be whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from engines.core.model import ZERO, OrderState, Product, Side, Timestamp
from engines.core.sessions import IST
from engines.ports import Balance, BrokerFill, BrokerPosition, BrokerTrade, Holding, OrderReport, Profile, Retry

Row = Mapping[str, Any]
Symbols = Callable[[str, str, str], str | None]
"""(exchange, token, trading symbol) → our symbol; None: not in our master."""

PRODUCTS: Mapping[str, Product] = {
    "INTRADAY": Product.MIS,
    "BO": Product.MIS,
    "CARRYFORWARD": Product.NRML,
    "DELIVERY": Product.CNC,
    "MARGIN": Product.CNC,
}
_STATES: Mapping[str, OrderState] = {
    "complete": OrderState.FILLED,
    "cancelled": OrderState.CANCELLED,
    "cancelled after market order": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
}
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_ZONE = timezone(timedelta(seconds=IST))


class Malformed(Retry):
    """A row that lacks what makes it one: the read failed, and may be tried again."""


def number(value: Any) -> Decimal | None:
    """Exactly what was written, `"- 2235.80"` included; None for nothing and for what is not a finite number."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).replace(" ", "").replace(",", "")
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def whole(value: Any) -> Decimal:
    """A quantity; zero where there is none."""
    return number(value) or ZERO


def text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def moment(value: Any) -> Timestamp | None:
    """`01-Sep-2025 09:20:31` in IST, whatever the machine's language; None for anything else."""
    try:
        day, clock = str(value).split()
        date, month, year = day.split("-")
        hour, minute, second = (int(part) for part in clock.split(":"))
        return datetime(int(year), _MONTHS[month.lower()[:3]], int(date), hour, minute, second, tzinfo=_ZONE).timestamp()
    except (ValueError, KeyError):
        return None


def moment_of_day(value: Any, now: Timestamp) -> Timestamp:
    """`09:20:31` of the day that `now` is in at the exchange; `now` itself where there is no such time."""
    full = moment(value)
    if full is not None:
        return full
    try:
        hour, minute, second = (int(part) for part in str(value).split(":"))
        day = datetime.fromtimestamp(now, UTC).astimezone(_ZONE)
        return day.replace(hour=hour, minute=minute, second=second, microsecond=0).timestamp()
    except ValueError:
        return now


# --- orders and trades -----------------------------------------------------------------------------------------------


def state_of(row: Row) -> OrderState:
    """`orderstatus` says where the order is now; `status` may lag behind it."""
    said = (text(row, "orderstatus") or text(row, "status")).lower()
    ended = _STATES.get(said)
    if ended is not None:
        return ended
    return OrderState.PARTLY_FILLED if ZERO < whole(row.get("filledshares")) < whole(row.get("quantity")) else OrderState.OPEN


def order_report(row: Row, symbols: Symbols, now: Timestamp) -> OrderReport:
    """The row as it stands: `filled_quantity` is what it claims, and its fills are still to be read from the trade book."""
    order_id = text(row, "orderid")
    if not order_id:
        raise Malformed("an order without an id")
    state = state_of(row)
    quantity, filled = number(row.get("quantity")), whole(row.get("filledshares"))
    if state is OrderState.FILLED and quantity is not None:
        filled = max(filled, quantity)  # a row may say that it is complete before it says how much of it is
    if state is OrderState.REJECTED and filled:
        state = OrderState.CANCELLED  # what has traded cannot be refused any more
    side = text(row, "transactiontype").upper()
    price = number(row.get("averageprice"))
    return OrderReport(
        broker_order_id=order_id,
        state=state,
        client_id=text(row, "ordertag") or None,
        symbol=symbols(text(row, "exchange"), text(row, "symboltoken"), text(row, "tradingsymbol")),
        side=Side(side) if side in ("BUY", "SELL") else None,
        quantity=quantity,
        filled_quantity=filled,
        average_price=price or None,
        message=text(row, "text"),
        at=moment(row.get("exchorderupdatetime")) or moment(row.get("updatetime")) or now,
    )


def trade(row: Row, symbols: Symbols, now: Timestamp) -> BrokerTrade:
    order_id, fill_id = text(row, "orderid"), text(row, "fillid")
    quantity, price = number(row.get("fillsize")), number(row.get("fillprice"))
    side = text(row, "transactiontype").upper()
    if not order_id or not fill_id or not quantity or quantity < 0 or price is None or side not in ("BUY", "SELL"):
        raise Malformed("a trade without its id, side, quantity or price")
    return BrokerTrade(
        broker_order_id=order_id,
        symbol=symbols(text(row, "exchange"), text(row, "symboltoken"), text(row, "tradingsymbol")) or "",
        side=Side(side),
        fill=BrokerFill(fill_id, quantity, price, moment_of_day(row.get("filltime"), now)),
    )


# --- the account -----------------------------------------------------------------------------------------------------


def positions(rows: Sequence[Row], symbols: Symbols) -> list[BrokerPosition]:
    """What is open, by symbol and product; rows that closed today stay in Angel One's list with a net quantity of zero and are left out."""
    found = []
    for row in rows:
        quantity = number(row.get("netqty"))
        if quantity is None:
            raise Malformed("a position without a net quantity")
        if quantity:
            price = number(row.get("netprice")) or number(row.get("avgnetprice"))
            product = PRODUCTS.get(text(row, "producttype").upper(), Product.NRML)
            found.append(BrokerPosition(_symbol(row, symbols), product, quantity, abs(price) if price else None))
    return found


def holdings(data: Any, symbols: Symbols) -> list[Holding]:
    """Both shapes: a list of rows, or the rows beside their total."""
    rows = data.get("holdings") or [] if isinstance(data, Mapping) else data or []
    return [
        Holding(_symbol(row, symbols), quantity, number(row.get("averageprice")), number(row.get("ltp")))
        for row in rows
        if (quantity := whole(row.get("quantity")))
    ]


def _symbol(row: Row, symbols: Symbols) -> str:
    """Ours, or the broker's own words where our master does not hold it: a position is never left out for want of a name."""
    exchange, name = text(row, "exchange"), text(row, "tradingsymbol")
    return symbols(exchange, text(row, "symboltoken"), name) or f"{exchange}:{name.removesuffix('-EQ')}"


def balance(data: Row) -> Balance:
    """`net` is what may still be used; m2m fields lag behind positions at Angel One and are not used."""
    net = number(data.get("net"))
    if net is None:
        raise Malformed("funds without a net amount")
    used = whole(data.get("utiliseddebits"))
    cash = number(data.get("availablecash"))
    return Balance(cash=net if cash is None else cash, used_margin=used, available=net, equity=net + used)


_EXCHANGES = {"nse_cm": "NSE", "bse_cm": "BSE", "nse_fo": "NFO", "bse_fo": "BFO", "mcx_fo": "MCX", "cde_fo": "CDS", "ncx_fo": "NCDEX"}


def profile(data: Row) -> Profile:
    user_id = text(data, "clientcode")
    if not user_id:
        raise Malformed("a profile without a client code")
    exchanges = tuple(_EXCHANGES.get(str(name), str(name)) for name in data.get("exchanges") or ())
    products = tuple(str(name) for name in data.get("products") or ())
    return Profile(user_id, text(data, "name"), exchanges, products)

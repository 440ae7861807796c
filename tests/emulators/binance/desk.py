"""What both of Binance's order desks have in common: parameters, finding an order, booking it with the faults that a test has armed.

A desk answers with plain JSON values or raises `Api`; the emulator turns both into answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.binance import rows
from tests.emulators.binance.errors import Api, refusal
from tests.emulators.binance.markets import Market, table
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, NotBooked, Quote
from tests.emulators.core.faults import Fault
from tests.emulators.core.http import Call

if TYPE_CHECKING:
    from tests.emulators.binance.emulator import BinanceEmulator

MOST_OPEN = 200
REJECTED_LATER = "EXCHANGE_REJECT"


@dataclass(slots=True)
class Asked:
    """A signed or public request: its account and parameters (of those in query and body, the query's)."""

    call: Call
    fields: dict[str, str]

    @property
    def account(self) -> EmulatedAccount:
        account: EmulatedAccount = self.call.account
        return account

    def need(self, name: str) -> str:
        value = self.fields.get(name)
        if not value:
            raise refusal(-1102, name=name)
        return value

    def whole(self, name: str, default: int = 0) -> int:
        value = self.fields.get(name, "")
        if value and not value.isdigit():
            raise refusal(-1100, name=name, pattern="^[0-9]{1,20}$")
        return int(value) if value else default

    def true(self, name: str) -> bool:
        return self.fields.get(name, "").lower() == "true"

    def side(self) -> Side:
        value = self.need("side")
        if value not in ("BUY", "SELL"):
            raise refusal(-1117)
        return Side(value)


@dataclass(slots=True)
class Terms:
    """An order that has passed the filters."""

    market: Market
    side: Side
    kind: OrderType
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None
    client_id: str
    word: str  # Binance's type
    time_in_force: str
    product: Product = Product.MIS
    reduce_only: bool = False
    position_side: str = "BOTH"
    post_only: bool = False


class Desk:
    kind = ""

    def __init__(self, emulator: BinanceEmulator) -> None:
        self.emulator = emulator
        self.exchange = emulator.exchange
        self.markets = table(self.kind)
        self.hidden: dict[str, int] = {}  # account → how many more queries by client id find nothing

    # --- parameters ------------------------------------------------------------------------------------------------

    def market(self, asked: Asked) -> Market:
        found = self.markets.get(asked.need("symbol"))
        if found is None:
            raise refusal(-1121)
        return found

    def maybe_market(self, asked: Asked) -> Market | None:
        return self.market(asked) if asked.fields.get("symbol") else None

    def quote(self, market: Market) -> Quote:
        return self.exchange.quotes[market.ours]

    def of(self, order: EmulatedOrder) -> Market:
        return self.markets[order.extra["symbol"]]

    # --- orders ----------------------------------------------------------------------------------------------------

    def orders(self, account: EmulatedAccount, market: Market | None = None, *, working: bool = False) -> list[EmulatedOrder]:
        among = account.working if working else account.orders
        return [x for x in among.values() if market is None or x.extra["symbol"] == market.symbol]

    def find(self, asked: Asked, market: Market, missing: int, *, query: bool = False) -> EmulatedOrder:
        """By number or by the client's own id (of several with the same id, the newest)."""
        number, client_id = asked.fields.get("orderId"), asked.fields.get("origClientOrderId")
        if not number and not client_id:
            raise refusal(-1102, f"Param '{'origClientOrderId'}' or 'orderId' must be sent, but both were empty/null!")
        if query and not number and self._is_hidden(asked.account):
            raise refusal(missing)
        for order in reversed(self.orders(asked.account, market)):
            if order.broker_order_id == number or (not number and order.client_id == client_id):
                return order
        raise refusal(missing)

    def _is_hidden(self, account: EmulatedAccount) -> bool:
        left = self.hidden.get(account.name, 0)
        self.hidden[account.name] = max(0, left - 1)
        return left > 0

    def book(self, asked: Asked, terms: Terms) -> EmulatedOrder:
        """The order, booked; `Api` when the exchange refuses."""
        account, emulator = asked.account, self.emulator
        if len(self.orders(account, terms.market, working=True)) >= MOST_OPEN:
            raise refusal(-1013, filter="MAX_NUM_ORDERS") if self.kind == "spot" else refusal(-2025)
        armed = emulator.order_fault(account)
        fault = armed.fault if armed else None
        emulator.weights.order(account.name, self.group, emulator.clock.now())
        try:
            order = self.exchange.place(
                account,
                str(emulator.next_number("order")),
                terms.market.instrument,
                terms.side,
                terms.quantity,
                terms.kind,
                terms.product,
                terms.price,
                terms.trigger,
                client_id=terms.client_id,
                reduce_only=terms.reduce_only,
                validity="IOC" if terms.time_in_force in ("IOC", "FOK") else "DAY",
                fields=dict(asked.fields),
                extra={
                    "symbol": terms.market.symbol,
                    "type": terms.word,
                    "time_in_force": terms.time_in_force,
                    "position_side": terms.position_side,
                },
                partial=fault is Fault.PARTIAL_FILLS,
                stuck=fault in (Fault.STUCK, Fault.REJECTED_LATER),
            )
        except NotBooked as error:
            raise self.refused(str(error)) from None
        if armed is not None and fault is Fault.STUCK:
            emulator.later(armed.seconds, lambda: self.exchange.release(order))
        elif armed is not None and fault is Fault.REJECTED_LATER:
            emulator.later(armed.seconds, lambda: self.exchange.reject(order, REJECTED_LATER))
        elif terms.kind is OrderType.MARKET and not order.done:
            self.exchange.cancel(account, order)  # what a thin market leaves of a market order expires
        return order

    def cancel_order(self, account: EmulatedAccount, order: EmulatedOrder, cancel_id: str) -> None:
        if order.done:
            raise refusal(-2011)
        order.extra["cancelled_by"] = cancel_id
        self.exchange.cancel(account, order)

    def new_id(self) -> str:
        """Of an order whose client gave it none."""
        return "".join(self.emulator.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=22))

    def would_take(self, terms: Terms) -> bool:
        quote = self.quote(terms.market)
        assert terms.price is not None
        return terms.price >= quote.ask if terms.side is Side.BUY else terms.price <= quote.bid

    def past(self, market: Market, side: Side, trigger: Decimal, *, profit: bool = False) -> bool:
        """Whether the market has already reached it: a stop buys above and sells below, taking profit is the other way round."""
        above = (side is Side.BUY) != profit
        last = self.quote(market).last
        return last >= trigger if above else last <= trigger

    @property
    def group(self) -> str:
        return "api" if self.kind == "spot" else "fapi"

    def refused(self, why: str) -> Api:
        raise NotImplementedError

    # --- what both are asked ---------------------------------------------------------------------------------------

    def last_price(self, asked: Asked) -> Any:
        def one(market: Market) -> dict[str, Any]:
            quote = self.quote(market)
            made: dict[str, Any] = {"symbol": market.symbol, "price": self.write(quote.last)}
            return made if self.kind == "spot" else {**made, "time": rows.ms(quote.at)}

        return self._each(asked, one)

    def best_prices(self, asked: Asked) -> Any:
        def one(market: Market) -> dict[str, Any]:
            quote, ten = self.quote(market), self.write(Decimal(10))
            return {
                "symbol": market.symbol,
                "bidPrice": self.write(quote.bid),
                "bidQty": ten,
                "askPrice": self.write(quote.ask),
                "askQty": ten,
                **({} if self.kind == "spot" else {"time": rows.ms(quote.at)}),
            }

        return self._each(asked, one)

    def _each(self, asked: Asked, one: Any) -> Any:
        market = self.maybe_market(asked)
        return one(market) if market is not None else [one(x) for x in self.markets.values()]

    def write(self, value: Decimal) -> str:
        raise NotImplementedError

    def trades_of(self, asked: Asked, market: Market | None, most: int) -> list[Any]:
        """Trades that fit orderId, fromId, startTime and endTime; oldest first, at most so many of the newest (from `fromId` on: of the oldest)."""
        since, until, first = asked.whole("startTime"), asked.whole("endTime", 2**62), asked.whole("fromId")
        ours = market.ours if market else None
        found = [
            x
            for x in asked.account.trades
            if (ours is None or x.symbol == ours)
            and since <= rows.ms(x.at) <= until
            and int(x.trade_id) >= first
            and asked.fields.get("orderId", x.broker_order_id) == x.broker_order_id
        ]
        limit = min(asked.whole("limit", 500), most)
        return found[:limit] if first else found[-limit:]

    def history_of(self, asked: Asked, market: Market) -> Iterable[EmulatedOrder]:
        since, until, first = asked.whole("startTime"), asked.whole("endTime", 2**62), asked.whole("orderId")
        found = [
            x for x in self.orders(asked.account, market) if since <= rows.ms(x.booked_at) <= until and int(x.broker_order_id) >= first
        ]
        return found[-min(asked.whole("limit", 500), 1000) :]

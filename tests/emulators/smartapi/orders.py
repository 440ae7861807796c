"""Orders at the emulated SmartAPI: what its gateway refuses at once, what its risk desk refuses later in the book, and the two books.

"Accepted" means taken: a refusal of the exchange is a row with a text, as at the broker.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, NotBooked
from tests.emulators.core.faults import Fault
from tests.emulators.core.http import Answer, Call, Failed
from tests.emulators.smartapi import answers, rows
from tests.emulators.smartapi.listing import Scrip

if TYPE_CHECKING:
    from tests.emulators.smartapi.emulator import SmartApiEmulator

LONGEST_TAG = 19
CONVERTED_BY = Decimal("0.01")  # how far from the last price a converted market order may trade
REJECTED_LATER = "16283 : the exchange refused it"


class Orders:
    def __init__(self, emulator: SmartApiEmulator) -> None:
        self._emulator = emulator
        self._exchange = emulator.exchange

    def place(self, call: Call) -> Answer:
        given, account = _fields(call), call.account
        scrip, side, kind, product = self._terms(given)
        quantity, price, trigger = _number(given, "quantity"), _number(given, "price"), _number(given, "triggerprice")
        if not quantity:
            raise _refused("AB2001", "Invalid quantity")
        validity = str(given.get("duration") or "DAY").upper()
        kind, price, validity = self._policy(scrip, side, kind, price, validity)
        order = self._book(account, scrip, side, quantity, kind, product, price, trigger, given, validity)
        return Answer(answers.success({"script": scrip.symbol, "orderid": order.broker_order_id, "uniqueorderid": order.extra["unique"]}))

    def modify(self, call: Call) -> Answer:
        given, account = _fields(call), call.account
        order = self._find(account, given)
        if order is None or order.done:
            raise _refused("AB1013")
        price, trigger = _number(given, "price"), _number(given, "triggerprice")
        try:
            self._exchange.modify(account, order, quantity=_number(given, "quantity"), price=price or None, trigger_price=trigger or None)
        except NotBooked as error:
            raise _refused("AB2001", str(error)) from None
        return _acted(order)

    def cancel(self, call: Call) -> Answer:
        given, account = _fields(call), call.account
        order = self._find(account, given)
        if order is None:
            raise _refused("AB3001")
        if order.done:
            raise _refused("AB1013", f"Order is already {rows.STATUS_WORDS[order.status]}")
        self._exchange.cancel(account, order)
        return _acted(order)

    def book(self, call: Call) -> Answer:
        found = self._emulator.bend_book([self.row(x) for x in call.account.orders.values()])
        return Answer(answers.success(found or None))

    def trades(self, call: Call) -> Answer:
        found = [rows.trade(x, self._emulator.scrips.of(x.symbol)) for x in call.account.trades]
        return Answer(answers.success(found or None))

    def details(self, call: Call) -> Answer:
        unique = call.params["unique"]
        order = next((x for x in call.account.orders.values() if x.extra["unique"] == unique), None)
        if order is None:
            raise _refused("AB1013")
        return Answer(answers.success(self.row(order)))

    def row(self, order: EmulatedOrder) -> dict[str, Any]:
        made = rows.order(order, self._emulator.scrips.of(order.instrument.symbol))
        if self._emulator.money_as_text:
            made |= {name: str(value) for name, value in made.items() if isinstance(value, float)}
        return made

    # --- what the gateway looks at ---------------------------------------------------------------------------------

    def _terms(self, given: dict[str, Any]) -> tuple[Scrip, Side, OrderType, Product]:
        variety, word = str(given.get("variety", "")), str(given.get("ordertype", ""))
        if variety == "ROBO":
            raise _refused("AB2002")
        if variety not in ("NORMAL", "STOPLOSS", "AMO") or (variety == "STOPLOSS") != word.startswith("STOPLOSS"):
            raise _refused("AB1008")
        if len(str(given.get("ordertag") or "")) > LONGEST_TAG:
            raise _refused("AB4008")
        scrip = self._emulator.scrips.by_token(str(given.get("exchange", "")), str(given.get("symboltoken", "")))
        if scrip is None or scrip.symbol != given.get("tradingsymbol"):
            raise _refused("AB1009")
        product = rows.PRODUCTS.get(str(given.get("producttype", "")))
        if product is None:
            raise _refused("AB1012")
        side, kind = rows.side_of(str(given.get("transactiontype", ""))), rows.TYPES.get(word)
        if side is None or kind is None:
            raise _refused("AB2001", "Invalid order type" if kind is None else "Invalid transaction type")
        return scrip, side, kind, product

    def _policy(
        self, scrip: Scrip, side: Side, kind: OrderType, price: Decimal | None, validity: str
    ) -> tuple[OrderType, Decimal | None, str]:
        """What becomes of MARKET, STOPLOSS_MARKET and IOC orders that come through the API."""
        plain = kind in (OrderType.LIMIT, OrderType.SL) and validity == "DAY"
        policy = self._emulator.market_orders
        if plain or policy == "accept":
            return kind, price, validity
        if policy == "reject":
            raise _refused(answers.ALGO_TYPE_CODE, answers.NOT_ALLOWED_TYPE)
        if kind is OrderType.MARKET:
            size, last = scrip.instrument.tick_size, self._exchange.quotes[scrip.instrument.symbol].last
            price = (last * (1 + CONVERTED_BY * side.sign) / size).to_integral_value() * size
            kind = OrderType.LIMIT
        return kind, price, "DAY"

    def _book(
        self,
        account: EmulatedAccount,
        scrip: Scrip,
        side: Side,
        quantity: Decimal,
        kind: OrderType,
        product: Product,
        price: Decimal | None,
        trigger: Decimal | None,
        given: dict[str, Any],
        validity: str,
    ) -> EmulatedOrder:
        emulator, armed = self._emulator, self._emulator.order_fault(account)
        fault = armed.fault if armed else None
        order = self._exchange.place(
            account,
            emulator.new_order_id(emulator.clock.now()),
            scrip.instrument,
            side,
            quantity,
            kind,
            product,
            price if kind in (OrderType.LIMIT, OrderType.SL) else None,
            trigger if kind in (OrderType.SL, OrderType.SL_M) else None,
            client_id=str(given.get("ordertag") or "") or None,
            validity=validity,
            fields=given,
            extra={"unique": emulator.new_unique_id()},
            partial=fault is Fault.PARTIAL_FILLS,
            stuck=fault in (Fault.STUCK, Fault.REJECTED_LATER),
            book_refused=True,
        )
        if armed is not None and fault is Fault.STUCK:
            emulator.later(armed.seconds, lambda: self._exchange.release(order))
        elif armed is not None and fault is Fault.REJECTED_LATER:
            emulator.later(armed.seconds, lambda: self._exchange.reject(order, REJECTED_LATER))
        return order

    def _find(self, account: EmulatedAccount, given: dict[str, Any]) -> EmulatedOrder | None:
        return account.orders.get(str(given.get("orderid", "")))


def _fields(call: Call) -> dict[str, Any]:
    given = call.json
    if not isinstance(given, dict):
        raise _refused("AB2001", "Invalid request body")
    return given


def _number(given: dict[str, Any], name: str) -> Decimal | None:
    value = given.get(name)
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise _refused("AB2001", f"Invalid {name}") from None


def _refused(code: str, message: str | None = None) -> Failed:
    return Failed(Answer(answers.failure(code, message)))


def _acted(order: EmulatedOrder) -> Answer:
    return Answer(answers.success({"orderid": order.broker_order_id, "uniqueorderid": order.extra["unique"]}))

"""Kite's order desk: place, modify, cancel and slice, the day's books, and what the broker tells when an order changes.

It checks and words things as Kite does; matching, positions and money are the exchange's.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engines.core.model import ZERO, OrderType, Product, Side
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, Event, NotBooked, Status
from tests.emulators.core.faults import Fault
from tests.emulators.core.http import Answer, Call, Failed
from tests.emulators.kite import shapes
from tests.emulators.kite.terms import (
    Terms,
    amount,
    check_price,
    check_quantity,
    check_trigger,
    exchange_refusal,
    over_freeze,
    protected_price,
    protection,
    read_terms,
)
from tests.emulators.kite.words import IN_FLIGHT, STATUS, TOO_MANY_CHANGES, refuse, stamp, success

if TYPE_CHECKING:
    from tests.emulators.kite.emulator import KiteEmulator

MODIFICATIONS = 25
SLICES = 10
APP_ID = 1234
RMS_SAYS_NO = "RMS:Margin Exceeds, Cash Available: 0.00 and required margin is more"
TOLD = {"fill", "modified", "triggered", "cancelled", "rejected", "expired"}
"""What is pushed. The placement itself never is."""


class OrderDesk:
    def __init__(self, emulator: KiteEmulator) -> None:
        self.emulator = emulator
        self.drops_tags = False  # True: the user's tag does not survive beside system tags
        self._made = 0

    def routes(self) -> None:
        add = self.emulator.route
        add("POST", "/orders/{variety}", "place", self.place)
        add("PUT", "/orders/{variety}/{order_id}", "modify", self.modify)
        add("DELETE", "/orders/{variety}/{order_id}", "cancel", self.cancel)
        add("GET", "/orders", "orders", self.orders)
        add("GET", "/orders/{order_id}", "order", self.history)
        add("GET", "/trades", "trades", self.trades)
        add("GET", "/orders/{order_id}/trades", "trades", self.order_trades)

    # --- writes ----------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Answer:
        account = self.emulator.authorise(call, write=True)
        fields, variety = call.fields, call.params["variety"]
        terms = read_terms(variety, fields, self.emulator.exchange.quotes)
        over = over_freeze(terms.quantity, terms.instrument)
        if over is not None:
            if fields.get("autoslice", "").lower() != "true":
                raise over
            return self._slice(account, variety, terms, fields)
        order = self._book(account, variety, terms, fields)
        if fields.get("autoslice", "").lower() == "true":
            return success({"order_id": order.broker_order_id, "children": []})
        return success({"order_id": order.broker_order_id})

    def _slice(self, account: EmulatedAccount, variety: str, terms: Terms, fields: dict[str, str]) -> Answer:
        """One order as several of at most the freeze quantity; what one of them is refused for does not stop the others."""
        parent, left, children = self.new_id(), terms.quantity, []
        most = Decimal(terms.instrument.freeze_quantity or 0) // terms.instrument.lot_size * terms.instrument.lot_size
        if left > most * SLICES:
            raise refuse("InputException", f"Order exceeds the maximum of {SLICES} slices.")
        while left > 0:
            terms.quantity = min(left, most)
            left -= terms.quantity
            try:
                child: dict[str, Any] = {"order_id": self._book(account, variety, terms, fields, parent).broker_order_id}
            except Failed as failed:
                body = failed.answer.body
                child = {
                    "error": {
                        "code": failed.answer.status,
                        "error_type": body["error_type"],
                        "message": body["message"],
                        "data": None,
                    }
                }
            children.append(child)
        return success({"order_id": parent, "children": children})

    def _book(
        self, account: EmulatedAccount, variety: str, terms: Terms, fields: dict[str, str], parent: str | None = None
    ) -> EmulatedOrder:
        emulator = self.emulator
        armed = emulator.order_fault(account)
        fault = armed.fault if armed else None
        system = terms.system_tags + (["autoslice", f"autoslice:{parent}"] if parent else [])
        tag = None if system and self.drops_tags else terms.tag
        extra: dict[str, Any] = {"variety": variety, "tag": tag}
        if tag or system:
            extra["tags"] = ([tag] if tag else []) + system
        identity = self.new_id()
        extra["exchange_order_id"] = f"1{identity[-15:]}"
        try:
            order = emulator.exchange.place(
                account,
                identity,
                terms.instrument,
                terms.side,
                terms.quantity,
                terms.order_type,
                terms.product,
                terms.price,
                terms.trigger_price,
                client_id=terms.tag,
                validity=terms.validity,
                fields=fields,
                extra=extra,
                partial=fault is Fault.PARTIAL_FILLS,
                stuck=fault in (Fault.REJECTED_LATER, Fault.STUCK) or variety == "amo",
            )
        except NotBooked as refusal:
            raise exchange_refusal(str(refusal)) from None
        if armed is not None and fault is Fault.REJECTED_LATER:
            emulator.later(armed.seconds, lambda: emulator.exchange.reject(order, RMS_SAYS_NO))
        elif armed is not None and fault is Fault.STUCK:
            emulator.later(armed.seconds, lambda: emulator.exchange.release(order))
        return order

    def by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        """From Kite's own app: without a tag, and market orders stay what they are."""
        identity = self.new_id()
        return self.emulator.exchange.place(
            account,
            identity,
            self.emulator.exchange.quotes[symbol].instrument,
            side,
            quantity,
            OrderType.MARKET if price is None else OrderType.LIMIT,
            Product.MIS,
            price,
            extra={"variety": "regular", "exchange_order_id": f"1{identity[-15:]}"},
            by_hand=True,
        )

    def modify(self, call: Call) -> Answer:
        account = self.emulator.authorise(call, write=True)
        order = self._working(account, call.params["order_id"], "modified")
        fields, quote = call.fields, self.emulator.exchange.quotes[order.instrument.symbol]
        if order.modifications >= MODIFICATIONS:
            raise refuse("OrderException", TOO_MANY_CHANGES)
        quantity = check_quantity(fields["quantity"], order.instrument) if fields.get("quantity") else None
        price, trigger = amount(fields, "price"), amount(fields, "trigger_price")
        asked, waits = fields.get("order_type"), order.status is Status.TRIGGER_PENDING
        if asked and waits != (asked in ("SL", "SL-M")):
            raise refuse("InputException", "Order type cannot be changed between stoploss and other orders.")
        if asked in ("MARKET", "SL-M"):
            percent = protection(fields, quote, trigger if waits else None)
            price = protected_price(
                (trigger or order.trigger_price or quote.last) if waits else quote.last, percent, order.side, order.instrument.tick_size
            )
        if price is not None:
            check_price("Price", price, order.instrument)
        if trigger is not None and waits:
            check_price("Trigger price", trigger, order.instrument)
            check_trigger(order.side, trigger, price or order.price or ZERO, quote.last)
        try:
            self.emulator.exchange.modify(account, order, quantity=quantity, price=price, trigger_price=trigger if waits else None)
        except NotBooked as refusal:
            raise exchange_refusal(str(refusal)) from None
        return success({"order_id": order.broker_order_id})

    def cancel(self, call: Call) -> Answer:
        account = self.emulator.authorise(call, write=True)
        order = self._working(account, call.params["order_id"], "cancelled")
        self.emulator.exchange.cancel(account, order)
        return success({"order_id": order.broker_order_id})

    def _working(self, account: EmulatedAccount, order_id: str, what: str) -> EmulatedOrder:
        order = account.orders.get(order_id)
        if order is None:
            raise refuse("OrderException", "Couldn't find that `order_id`.")
        if order.done:
            raise refuse("InputException", f"Order cannot be {what} as it is already {STATUS[order.status]}.")
        if not order.at_exchange and order.extra.get("variety") != "amo":
            raise refuse("InputException", IN_FLIGHT.format(what))
        return order

    def new_id(self) -> str:
        """19 digits that grow with time, also over restarts."""
        self._made += 1
        return str(1_700_000_000_000_000_000 + int(self.emulator.clock.now() * 1000) * 100_000 + self._made % 100_000)

    # --- books -----------------------------------------------------------------------------------------------------

    def orders(self, call: Call) -> Answer:
        account = self.emulator.authorise(call)
        return success([shapes.order_row(x, self.emulator.tokens[x.instrument.symbol]) for x in account.orders.values()])

    def history(self, call: Call) -> Answer:
        account = self.emulator.authorise(call)
        order = self._any(account, call.params["order_id"])
        token = self.emulator.tokens[order.instrument.symbol]
        return success([shapes.order_row(order, token, row) for row in order.history])

    def trades(self, call: Call) -> Answer:
        account = self.emulator.authorise(call)
        return success([self._trade_row(account, x) for x in account.trades])

    def order_trades(self, call: Call) -> Answer:
        account = self.emulator.authorise(call)
        return success([self._trade_row(account, x) for x in self._any(account, call.params["order_id"]).trades])

    def _trade_row(self, account: EmulatedAccount, trade: Any) -> dict[str, Any]:
        return shapes.trade_row(trade, account.orders[trade.broker_order_id], self.emulator.tokens[trade.symbol])

    def _any(self, account: EmulatedAccount, order_id: str) -> EmulatedOrder:
        order = account.orders.get(order_id)
        if order is None:
            raise refuse("OrderException", "Couldn't find that `order_id`.")
        return order

    # --- pushes ----------------------------------------------------------------------------------------------------

    def push(self, event: Event) -> dict[str, Any] | None:
        if event.kind not in TOLD or not self.emulator.open_sockets.count(event.account.name):
            return None
        order = event.order
        status = "UPDATE" if event.kind in ("fill", "modified") and not order.done else STATUS[order.status]
        moment = stamp(order.updated_at)
        checksum = hashlib.sha256(f"{order.broker_order_id}{moment}{event.account.credentials['api_secret']}".encode()).hexdigest()
        return shapes.push_row(order, self.emulator.tokens[order.instrument.symbol], status, APP_ID, checksum)

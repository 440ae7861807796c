"""The exchange behind an emulated broker: accounts, prices, orders with every state they went through, trades, positions and money.

Matching is the product's own matching core. It has no clock, thread or network of its own and knows nothing of any broker's words:
an emulator asks it, turns its rows into the broker's shapes and its events into the broker's pushes. Only the emulator's thread calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from engines.core.matching import MatchingEngine, Outcome, OutcomeKind
from engines.core.model import ZERO, Instrument, OrderType, PaperSettings, Product, Side, Tick, Timestamp
from engines.core.risk import margin_required
from tests.emulators.core.ledger import (
    FINAL,
    LEVERAGE,
    EmulatedAccount,
    EmulatedOrder,
    Held,
    NotBooked,
    PositionBook,
    Quote,
    Row,
    Status,
    Trade,
)
from tests.emulators.core.listing import Listed
from tests.support import canaries


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to an order: placed, opened, triggered, fill, modified, cancelled, rejected, expired."""

    kind: str
    account: EmulatedAccount
    order: EmulatedOrder
    trade: Trade | None = None


Commission = Callable[[EmulatedAccount, EmulatedOrder, Decimal, Decimal, bool], tuple[Decimal, Decimal]]
"""(account, order, quantity, price, maker) → (fee_quantity, fee in money)."""


class EmulatedExchange:
    def __init__(
        self,
        market: Sequence[Listed],
        *,
        now: Callable[[], Timestamp],
        rng: Random,
        hours: bool = False,
        on_event: Callable[[Event], None] = lambda _: None,
        commission: Commission | None = None,
    ) -> None:
        self.now = now
        self.rng = rng
        self.on_event = on_event
        self.commission = commission
        self.accounts: dict[str, EmulatedAccount] = {}
        self.quotes: dict[str, Quote] = {}
        self.next_trade_id: Callable[[EmulatedOrder], str] = lambda _: str(10_000_000 + self._trades)
        self._trades = 0
        self._orders = 0
        self._hours = hours
        for listed in market:
            self.list(listed)

    def list(self, listed: Listed) -> None:
        price, at = listed.price, self.now()
        quote = Quote(listed, price, price, price, at, price, price, price, price)
        quote.tick = Tick(listed.instrument.symbol, float(price), float(price), float(price), at)
        self.quotes[listed.instrument.symbol] = quote

    def open_account(self, name: str, credentials: dict[str, str], cash: Decimal, market: str = "") -> EmulatedAccount:
        engines = {
            partial: MatchingEngine(PaperSettings(partial_fills=partial, session_hours=self._hours), LEVERAGE) for partial in (False, True)
        }
        account = self.accounts[name] = EmulatedAccount(name, credentials, cash, engines, market)
        canaries.watch(account.secrets)
        return account

    # --- the market ------------------------------------------------------------------------------------------------

    def move(self, symbol: str, last: Decimal, bid: Decimal | None = None, ask: Decimal | None = None, volume: int = 1) -> Quote:
        """A new price; whatever it reaches trades. Without quotes, both are the last price."""
        quote, at = self.quotes[symbol], self.now()
        quote.last, quote.at = last, at
        quote.bid, quote.ask = last if bid is None else bid, last if ask is None else ask
        quote.high, quote.low = max(quote.high, last), min(quote.low, last)
        quote.volume += volume
        quote.tick = Tick(symbol, float(last), float(quote.bid), float(quote.ask), at, float(volume))
        for account in self.accounts.values():
            if account.working:
                self._reach(account, quote.tick)
        return quote

    def _reach(self, account: EmulatedAccount, tick: Tick) -> None:
        self._trigger(account, tick)
        for engine in account.engines.values():
            for outcome in engine.on_tick(tick, tick.at, self.rng):
                self._apply(account, account.orders[outcome.broker_order_id], outcome)

    def _trigger(self, account: EmulatedAccount, tick: Tick) -> None:
        for order in [x for x in account.working.values() if x.status is Status.TRIGGER_PENDING and x.instrument.symbol == tick.symbol]:
            if (tick.last_price - float(order.trigger_price or ZERO)) * order.side.sign >= 0:
                order.triggered = True
                self._enter(order, Status.OPEN)
                self.on_event(Event("triggered", account, order))

    # --- orders ----------------------------------------------------------------------------------------------------

    def place(
        self,
        account: EmulatedAccount,
        broker_order_id: str,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        order_type: OrderType = OrderType.MARKET,
        product: Product = Product.MIS,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        *,
        client_id: str | None = None,
        reduce_only: bool = False,
        validity: str = "DAY",
        fields: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
        partial: bool = False,
        by_hand: bool = False,
        book_refused: bool = False,
        stuck: bool = False,
    ) -> EmulatedOrder:
        """Books an order and lets it trade. What the exchange refuses raises NotBooked, or with `book_refused` is booked as rejected.

        A `stuck` order stays received until `release`."""
        order = EmulatedOrder(
            broker_order_id,
            account.name,
            client_id,
            instrument,
            side,
            quantity,
            order_type,
            product,
            price,
            trigger_price,
            self.now(),
            reduce_only,
            validity,
            partial=partial,
            by_hand=by_hand,
            fields=fields or {},
            extra=extra or {},
        )
        outcomes = () if stuck else self._submit(account, order)
        refused = outcomes[0].message if outcomes and outcomes[0].kind is OutcomeKind.REJECTED else None
        if refused is not None and not book_refused:
            raise NotBooked(refused)
        self._orders += 1
        order.number = self._orders
        account.orders[broker_order_id] = account.working[broker_order_id] = order
        self._enter(order, Status.RECEIVED)
        self.on_event(Event("placed", account, order))
        if not stuck:
            self._arrive(account, order, outcomes)
        return order

    def release(self, order: EmulatedOrder) -> None:
        """A stuck order comes to the exchange after all."""
        if order.status is Status.RECEIVED:
            account = self.accounts[order.account]
            self._arrive(account, order, self._submit(account, order))

    def _submit(self, account: EmulatedAccount, order: EmulatedOrder) -> Sequence[Outcome]:
        quote = self.quotes.get(order.instrument.symbol)
        return account.engines[order.partial].submit(
            order,
            order.broker_order_id,
            quote.tick if quote else None,
            self.now(),
            self.rng,
            held=self.held(account, order.instrument, order.product),
            available=None if order.reduce_only else self.money(account) - self._blocked(account, other_than=order.partial),
        )

    def _arrive(self, account: EmulatedAccount, order: EmulatedOrder, outcomes: Sequence[Outcome]) -> None:
        self._enter(order, Status.VALIDATING)
        if outcomes[0].kind is OutcomeKind.REJECTED:
            self._finish(account, order, Status.REJECTED, outcomes[0].message)
            return
        order.at_exchange = True
        self._enter(order, Status.SENDING)
        waits = order.order_type in (OrderType.SL, OrderType.SL_M) and len(outcomes) == 1
        self._enter(order, Status.TRIGGER_PENDING if waits else Status.OPEN)
        self.on_event(Event("opened", account, order))
        for outcome in outcomes[1:]:
            self._apply(account, order, outcome)
        order.rested = True
        if order.validity == "IOC" and not order.done:
            self.cancel(account, order)

    def modify(
        self,
        account: EmulatedAccount,
        order: EmulatedOrder,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
    ) -> None:
        """New terms, or NotBooked and the old ones."""
        quote = self.quotes.get(order.instrument.symbol)
        try:
            outcomes = account.engines[order.partial].modify(
                order.broker_order_id,
                quote.tick if quote else None,
                self.now(),
                self.rng,
                quantity=quantity,
                price=price,
                trigger_price=trigger_price,
                held=self.held(account, order.instrument, order.product),
                available=self.money(account) - self._blocked(account, other_than=order.partial),
            )
        except ValueError as error:
            raise NotBooked(str(error)) from None
        order.quantity = order.quantity if quantity is None else quantity
        order.price = order.price if price is None else price
        order.trigger_price = order.trigger_price if trigger_price is None else trigger_price
        order.modifications += 1
        before = order.status
        for status in (Status.MODIFY_VALIDATING, Status.MODIFY_SENDING, Status.MODIFIED, before):
            self._enter(order, status)
        self.on_event(Event("modified", account, order))
        for outcome in outcomes[1:]:
            self._apply(account, order, outcome)

    def cancel(self, account: EmulatedAccount, order: EmulatedOrder) -> None:
        """Takes what is left of it away; NotBooked when it is done."""
        if order.done:
            raise NotBooked("the order is no longer open")
        account.engines[order.partial].cancel(order.broker_order_id, self.now())
        self._enter(order, Status.CANCEL_SENDING)
        self._finish(account, order, Status.CANCELLED)

    def reject(self, order: EmulatedOrder, message: str) -> None:
        """The exchange thinks again; nothing once it is done."""
        if not order.done:
            account = self.accounts[order.account]
            account.engines[order.partial].cancel(order.broker_order_id, self.now())
            self._finish(account, order, Status.REJECTED, message)

    def expire(self, exchange: str | None = None) -> None:
        """The day's orders end at the close."""
        for account in self.accounts.values():
            for engine in account.engines.values():
                for outcome in engine.expire(self.now(), exchange):
                    self._apply(account, account.orders[outcome.broker_order_id], outcome)

    def _apply(self, account: EmulatedAccount, order: EmulatedOrder, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.FILL:
            assert outcome.price is not None
            self._fill(account, order, outcome.quantity, outcome.price, outcome.at)
        elif outcome.kind is OutcomeKind.CANCELLED:
            self._finish(account, order, Status.CANCELLED)
        elif outcome.kind is OutcomeKind.EXPIRED:
            self._finish(account, order, Status.EXPIRED)

    def _fill(self, account: EmulatedAccount, order: EmulatedOrder, quantity: Decimal, price: Decimal, at: Timestamp) -> None:
        self._trades += 1
        maker = order.order_type is OrderType.LIMIT and order.rested
        fee_quantity, fee = self.commission(account, order, quantity, price, maker) if self.commission else (ZERO, ZERO)
        symbol = order.instrument.symbol
        trade = Trade(
            self.next_trade_id(order), order.broker_order_id, order.client_id, symbol, order.side, order.product, quantity, price, at,
            fee_quantity, fee, maker,
        )  # fmt: skip
        order.filled += quantity
        order.value += quantity * price
        order.trades.append(trade)
        account.trades.append(trade)
        account.fees += fee
        self.position(account, order.instrument, order.product).add(order.side, quantity, price, fee_quantity)
        if order.filled >= order.quantity:
            order.triggered = True
            self._finish(account, order, Status.COMPLETE, trade=trade)
        else:
            order.updated_at = at
            if order.status is Status.TRIGGER_PENDING:
                order.triggered = True
                self._enter(order, Status.OPEN)
            self.on_event(Event("fill", account, order, trade))

    def _finish(
        self, account: EmulatedAccount, order: EmulatedOrder, status: Status, message: str = "", trade: Trade | None = None
    ) -> None:
        if status in (Status.CANCELLED, Status.EXPIRED):
            order.cancelled = order.quantity - order.filled
        order.message = message
        account.working.pop(order.broker_order_id, None)
        self._enter(order, status)
        self.on_event(Event("fill" if trade else status.value, account, order, trade))

    def _enter(self, order: EmulatedOrder, status: Status) -> None:
        order.status, order.updated_at = status, self.now()
        order.history.append(Row(status, order.updated_at, order.filled, order.quantity, order.price, order.trigger_price, order.message))

    # --- what an account has ---------------------------------------------------------------------------------------

    def position(self, account: EmulatedAccount, instrument: Instrument, product: Product) -> PositionBook:
        key = (instrument.symbol, product)
        found = account.positions.get(key)
        if found is None:
            found = account.positions[key] = PositionBook(instrument, product)
        return found

    def held(self, account: EmulatedAccount, instrument: Instrument, product: Product) -> Decimal:
        """The net quantity that a new order meets; delivery and spot count what was there before today."""
        book = account.positions.get((instrument.symbol, product))
        quantity = book.quantity if book else ZERO
        if product is Product.CNC or instrument.segment == "SPOT":
            before = account.holdings.get(instrument.symbol)
            quantity += before.quantity if before else ZERO
        return quantity

    def net(self, account: EmulatedAccount, symbol: str) -> Decimal:
        return sum((x.quantity for (name, _), x in account.positions.items() if name == symbol), ZERO)

    def used_margin(self, account: EmulatedAccount) -> Decimal:
        """What open positions hold back; orders that work are apart (`blocked`)."""
        return sum((self._margin(account, x) for x in account.positions.values() if x.quantity), ZERO)

    def blocked(self, account: EmulatedAccount) -> Decimal:
        return sum((x.blocked_margin for x in account.engines.values()), ZERO)

    def realised(self, account: EmulatedAccount) -> Decimal:
        return sum((x.realised for x in account.positions.values()), ZERO)

    def unrealised(self, account: EmulatedAccount) -> Decimal:
        return sum(
            (x.quantity * self.quotes[x.instrument.symbol].last - x.open_cost for x in account.positions.values() if x.quantity), ZERO
        )

    def money(self, account: EmulatedAccount) -> Decimal:
        """Free for new orders, before what working orders block."""
        return account.cash + self.realised(account) - account.fees - self.used_margin(account)

    def orders(self) -> Iterator[tuple[EmulatedAccount, EmulatedOrder]]:
        for account in self.accounts.values():
            for order in account.orders.values():
                yield account, order

    def _margin(self, account: EmulatedAccount, book: PositionBook) -> Decimal:
        side = Side.BUY if book.quantity > 0 else Side.SELL
        return margin_required(book.instrument, book.product, side, abs(book.open_cost), account.leverage, quantity=abs(book.quantity))

    def _blocked(self, account: EmulatedAccount, other_than: bool) -> Decimal:
        return sum((x.blocked_margin for partial, x in account.engines.items() if partial is not other_than), ZERO)


__all__ = [
    "FINAL",
    "LEVERAGE",
    "EmulatedAccount",
    "EmulatedExchange",
    "EmulatedOrder",
    "Event",
    "Held",
    "NotBooked",
    "PositionBook",
    "Quote",
    "Row",
    "Status",
    "Trade",
]

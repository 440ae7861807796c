"""A Binance account, spot or USD-M, behind the Broker port: one connection for the lane and one for the news, and a register of the orders between them.

It signs in with nothing but its key, refuses a key that could move money away, and looks for an order whose answer was lost by the name it gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from engines.brokers.binance.books import CONDITIONAL, Books
from engines.brokers.binance.client import Client, Place, sorted_out
from engines.brokers.binance.errors import Answer
from engines.brokers.binance.house import LANE_PAUSE_AT, PAUSE_AT
from engines.brokers.binance.keys import NOT_CHECKED, check_key, endpoints_for, is_test, tidy
from engines.brokers.binance.news import News
from engines.brokers.binance.register import Entry, Register
from engines.brokers.binance.rows import Market, algo_row, fills_in_answer, order_row
from engines.brokers.binance.sending import Exists, Sender, symbol_for
from engines.brokers.tools import BinanceEndpoints, BrokerTools
from engines.brokers.updates import OrderMemory, tell_whole
from engines.core.model import FINAL_STATES, Account, OrderType, Timestamp
from engines.ports import (
    Balance,
    BrokerPosition,
    BrokerTrade,
    BrokerTraits,
    Holding,
    NeedsLogin,
    OrderReport,
    OrderRequest,
    Permit,
    Profile,
    Refused,
    Retry,
    StreamKey,
    TandemError,
    Unknown,
)

TRAITS: Mapping[str, BrokerTraits] = {
    # Published: spot 50 to 100 unfilled orders in 10 s and 160,000 a day; USD-M 300 in 10 s and 1,200 a minute. The lower of each.
    "spot": BrokerTraits(10.0, 10, absent_after=20.0, windows=((50, 10.0), (160_000, 86_400.0))),
    "usdm": BrokerTraits(25.0, 25, absent_after=20.0, windows=((300, 10.0), (1_200, 60.0))),
}
PATIENCE = 2.0
WHOLE_EVERY = 60.0
"""Seconds between reads of everything that is open at Binance, also what others placed: such a read weighs as much as a dozen by symbol."""


class BinanceBroker:
    def __init__(
        self, account: Account, credentials: Mapping[str, Any], tools: BrokerTools, endpoints: BinanceEndpoints, market: str = "spot"
    ) -> None:
        if market not in ("spot", "usdm"):
            raise ValueError(f"no market of Binance: {market}")
        self._market: Market = "usdm" if market == "usdm" else "spot"
        self.traits = TRAITS[self._market]
        self._account, self._tools, self._clock = account, tools, tools.clock
        self._key, self._secret = str(credentials.get("api_key", "")).strip(), tidy(str(credentials.get("api_secret", "")))
        self._margin_mode = str(credentials.get("margin_mode", "isolated")).lower()
        self._test = is_test(credentials)
        self._place = Place(self._market, endpoints_for(endpoints, self._test), account.source_address)
        self._register = Register(self._market)
        self._memory = OrderMemory()
        self._on_report: Callable[[OrderReport], None] = lambda _report: None
        self._profile: Profile | None = None
        self._expires_at: Timestamp | None = None
        self._lost_login: NeedsLogin | None = None
        self._lane: _Side | None = None
        self._news: News | None = None
        self._whole_at: float | None = None

    def __repr__(self) -> str:
        return f"BinanceBroker({self._account.account_id!r}, {self._market})"

    # --- the session

    @property
    def session_expires_at(self) -> Timestamp | None:
        return self._expires_at

    def stream_key(self) -> StreamKey | None:
        return None  # Binance's market data are for everybody

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        self._on_report = on_report
        self._memory.tell_again()
        if not self._key or not self._secret:
            raise Refused("the account has no API key and secret yet")
        if self._lane is None:
            self._lane = self._make_side(LANE_PAUSE_AT)
        lane = self._lane
        lane.client.resume()
        if not lane.client.house.clock_known(self._clock):
            self._asking("login", lane.client.sync_clock)
        warnings = self._check_key(lane.client)
        self._profile = self._sign_in(lane, warnings)
        self._lost_login = None
        self._whole_at = None
        if self._news is None:
            self._news = self._make_news()
            self._news.start()
        else:
            self._news.resume()

    def _check_key(self, client: Client) -> tuple[str, ...]:
        if self._test:
            return (NOT_CHECKED,)
        told = client.ask("sapi", "GET", "account/apiRestrictions", call="login")
        ends = told.get("tradingAuthorityExpirationTime")
        self._expires_at = int(ends) / 1000 if ends else None
        return check_key(told, self._market)

    def _sign_in(self, lane: _Side, warnings: tuple[str, ...]) -> Profile:
        """What the account is and how it is set; the symbols' rules are read once for all accounts."""
        client = lane.client
        if self._market == "spot":
            told = client.ask("private", "GET", "account", {"omitZeroBalances": "true"}, weight=20, call="login")
            user_id, permissions = str(told.get("uid", "")), tuple(told.get("permissions", ()))
        else:
            told = client.ask("fapiPrivate", "GET", "accountConfig", weight=5, call="login")
            settings = client.ask("fapiPrivate", "GET", "symbolConfig", weight=5, call="login")
            lane.sender.learn_settings(str(told.get("dualSidePosition")).lower() == "true", settings)
            user_id, permissions = "", ()
            self._learn_once(client)
        if not told.get("canTrade", True):
            raise Refused("Binance has closed this account for trading")
        lane.books.learn_names()
        for symbol in self._register.symbols() - client.house.rules.keys():
            lane.sender.rules(symbol)
        name = f"key …{self._key[-4:]}" if len(self._key) > 12 else "key"
        return Profile(user_id or name, name, ("BINANCE",), permissions, warnings)

    def _learn_once(self, client: Client) -> None:
        """The first account reads what is listed; the others wait for it a moment, and no longer."""
        waited = client.house.reading.acquire(timeout=PATIENCE)
        try:
            if not client.house.rules:
                self._asking("read", client.learn)
        finally:
            if waited:
                client.house.reading.release()

    def profile(self) -> Profile:
        if self._profile is None:
            raise NeedsLogin("not connected to Binance")
        return self._profile

    def keep_alive(self) -> None:
        if self._lost_login is not None:
            raise self._lost_login
        self._connected().client.ask("public" if self._market == "spot" else "fapiPublic", "GET", "ping")

    def abort(self) -> None:
        for side in (self._lane, self._news):
            if side is not None:
                side.client.abort()

    def close(self) -> None:
        lane, news = self._lane, self._news
        self._lane = self._news = None
        if news is not None:
            news.close()
        if lane is not None:
            lane.client.close()

    # --- orders

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        symbol = symbol_for(request, self._market)
        lane = self._connected()
        fitted = lane.sender.fitted(request, symbol)
        if self._market == "usdm" and not request.reduce_only:
            lane.sender.prepare(symbol)
        conditional = self._market == "usdm" and request.order_type in CONDITIONAL
        entry = self._register.expect(request.client_id, symbol, request.side, request.quantity, conditional, self._clock.monotonic())
        try:
            answer = lane.sender.post(request, entry, fitted, permit)
        except Exists:
            return self._existing(lane, entry)
        except Unknown:
            self._look(0.5)
            raise
        except TandemError:
            self._register.forget(request.client_id)  # nothing of it is at Binance
            raise
        return self._accepted(entry, answer)

    def _accepted(self, entry: Entry, answer: Mapping[str, Any]) -> OrderReport:
        """The acceptance; fills only where the answer carries them as trades."""
        try:
            report = self._taken(entry, answer)
        except (ValueError, KeyError, TypeError) as error:
            self._look(0.5)
            raise Unknown(f"Binance's answer was not understood: {type(error).__name__}") from None
        return self._told(report)

    def _taken(self, entry: Entry, answer: Mapping[str, Any]) -> OrderReport:
        if entry.conditional and "algoId" in answer:
            report = self._register.take_algo(algo_row(answer))
            return report if report is not None else self._standing(entry)
        row = order_row(answer)
        books = self._connected().books
        fills = tuple(books.fill(trade) for trade in fills_in_answer(answer, row))
        report = self._register.take(row) or self._standing(entry)
        return replace(report, fills=fills) if fills else report

    def _standing(self, entry: Entry) -> OrderReport:
        """What is known of an order that an answer tells nothing new of."""
        if entry.last is not None:
            return entry.last
        raise ValueError("no order")

    def _told(self, report: OrderReport) -> OrderReport:
        """A row from the lane: with its trades as far as they are known, and the worker told to look at what is open of it."""
        nameless = report.client_id is not None and self._memory.name(report.broker_order_id, report.client_id)
        whole, complete = self._memory.whole(report)
        news = self._news
        if news is not None:
            if not complete or nameless:
                news.updates.push(report)
            if whole.state not in FINAL_STATES:
                news.updates.watch(report.broker_order_id)
        return whole

    def _existing(self, lane: _Side, entry: Entry) -> OrderReport:
        """Binance says that an order of this name is there: it is ours, from a request whose answer was lost."""
        try:
            found = lane.books.ask(entry)
        except TandemError as error:
            raise Unknown(f"Binance has an order of this name and did not show it: {error}") from None
        if found is None:
            raise Unknown("Binance has an order of this name and does not show it yet")
        return self._told(found)

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        lane = self._connected()
        entry = self._entry_of(broker_order_id, request)
        try:
            answer = lane.sender.delete(entry)
        except (Refused, Unknown):
            self._look(0.0)
            raise
        if answer is None:
            found = lane.books.ask(entry)
            return None if found is None else self._told(found)
        report = self._register.take(order_row(answer))
        return None if report is None else self._told(report)

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        """USD-M changes a limit order in its place. Everything else is taken back and placed anew for what has not filled, under the same name with
        us."""
        lane = self._connected()
        entry = self._entry_of(broker_order_id, request)
        wanted = replace(
            request,
            quantity=quantity or request.quantity,
            price=price or request.price,
            trigger_price=trigger_price or request.trigger_price,
            order_type=OrderType.LIMIT if request.order_type is OrderType.MARKET and price is not None else request.order_type,
        )
        fitted = lane.sender.fitted(wanted, entry.symbol)
        if self._market == "usdm" and wanted.order_type is OrderType.LIMIT and fitted.price is not None:
            try:
                answer = lane.sender.amend(entry, request.side, fitted.quantity, fitted.price)
            except (Refused, Unknown):
                self._look(0.0)
                raise
            report = self._register.take(order_row(answer))
            return None if report is None else self._told(report)
        return self._replace(lane, entry, wanted)

    def _replace(self, lane: _Side, entry: Entry, wanted: OrderRequest) -> OrderReport | None:
        """Cancel first, so that the rest to be placed is known exactly and can never fill twice."""
        self._register.change(entry)
        try:
            answer = lane.sender.delete(entry)
            gone = order_row(answer) if answer is not None else None
        except (TandemError, ValueError):
            entry.changing = False
            self._look(0.0)
            raise
        filled = self._register.next_leg(entry, gone, self._clock.monotonic())
        placed = True
        try:
            rest = replace(wanted, quantity=wanted.quantity - filled)
            if rest.quantity <= 0:
                raise Refused("nothing is left of it to be changed")
            fitted = lane.sender.fitted(rest, entry.symbol)
            posted = lane.sender.post(rest, entry, fitted, None)
        except Unknown:
            raise
        except (TandemError, Exists) as error:
            placed = False
            raise Refused(f"the order was taken back, and its change was not accepted: {error}") from None
        finally:
            self._register.settle_change(entry, placed=placed)
            self._look(0.0)
        return self._accepted(entry, posted)

    def _entry_of(self, broker_order_id: str, request: OrderRequest) -> Entry:
        entry = self._register.named(broker_order_id) or self._register.get(request.client_id)
        if entry is not None:
            return entry
        symbol = symbol_for(request, self._market)
        conditional = self._market == "usdm" and request.order_type in CONDITIONAL
        return self._register.expect(request.client_id, symbol, request.side, request.quantity, conditional, self._clock.monotonic())

    # --- reading

    def order_book(self) -> Sequence[OrderReport]:
        books = self._connected().books
        now = self._clock.monotonic()
        whole = self._whole_at is None or now - self._whole_at >= WHOLE_EVERY
        rows = books.rows(whole=whole, ended_since=0.0)
        if whole:
            self._whole_at = now
        for row in rows:
            if row.client_id is not None and self._register.get(row.client_id) is not None:
                self._memory.name(row.broker_order_id, row.client_id)
        return tell_whole(self._memory, rows, books.fills)

    def positions(self) -> Sequence[BrokerPosition]:
        return self._connected().books.positions()

    def balance(self) -> Balance:
        return self._connected().books.balance()

    def holdings(self) -> Sequence[Holding]:
        return self._connected().books.holdings()

    def trades(self) -> Sequence[BrokerTrade]:
        return self._connected().books.trades()

    # --- inside

    def _connected(self) -> _Side:
        if self._lane is None:
            raise Retry("not connected to Binance")
        return self._lane

    def _asking(self, call: Any, what: Callable[[], Any]) -> Any:
        try:
            return what()
        except Answer as answer:
            raise sorted_out(call, answer) from None

    def _look(self, after: float) -> None:
        if self._news is not None:
            self._news.updates.look(after)

    def _make_side(self, share: float) -> _Side:
        share = share if self._tools.paced else float("inf")
        client = Client(self._place, self._key, self._secret, self._clock, self._tools.timing, share)
        books = Books(client, self._register, self._clock, lambda: self._tools.orders(self._account.account_id))
        return _Side(client, books, Sender(client, self._account, self._margin_mode))

    def _make_news(self) -> News:
        side = self._make_side(PAUSE_AT)
        return News(
            self._account.account_id,
            side.client,
            side.books,
            self._register,
            self._memory,
            self._place,
            self._tools,
            self._key,
            deliver=self._deliver,
            on_needs_login=self._lose_login,
        )

    def _deliver(self, report: OrderReport) -> None:
        self._on_report(report)  # whoever listens by then

    def _lose_login(self, error: NeedsLogin) -> None:
        """The next call of the lane says so."""
        self._lost_login = error


@dataclass(frozen=True, slots=True)
class _Side:
    """A client with what is read and sent over it."""

    client: Client
    books: Books
    sender: Sender

"""An Angel One account behind the Broker port: one session, one connection for the lane and one for the news, the master's names for theirs.

It signs in by itself with PIN and one-time code, once when the broker has ended a session, and then says that a person must act. It never sends an order
twice, and never tells a fill without the broker's own trade id.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from engines.brokers.angelone import orders, rows
from engines.brokers.angelone.client import SmartClient
from engines.brokers.angelone.login import SignIn
from engines.brokers.angelone.matching import BookCheck, Lost, adopt, repeats_names
from engines.brokers.angelone.news import News
from engines.brokers.pacing import Budget, Limit
from engines.brokers.tools import BrokerTools, SmartApiEndpoints
from engines.brokers.updates import OrderMemory, tell_whole
from engines.core.model import Account, OrderState, OrderType, Timestamp
from engines.core.sessions import session_day
from engines.ports import (
    Balance,
    BrokerFill,
    BrokerPosition,
    BrokerTrade,
    BrokerTraits,
    Halted,
    Holding,
    Listing,
    NeedsLogin,
    OrderReport,
    OrderRequest,
    Permit,
    Profile,
    Refused,
    Retry,
    Session,
    StreamKey,
)

T = TypeVar("T")

KIND = "angelone"
EXCHANGE = "NSE"  # whose day is the session's
KEPT_ROWS = 4000
LANE_PATIENCE = 0.6
"""Seconds that the lane waits for its turn at a book (1 a second, shared with the worker) before it does something else first."""
WORKER_PATIENCE = 5.0
JITTER = 0.05
"""Seconds by which calls may arrive closer together than they left: the broker counts arrivals, in strictly rolling windows."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """What an order looks like at Angel One: needed to change or cancel it."""

    variety: str
    price: Decimal | None
    unique_id: str


class AngelOneBroker:
    def __init__(self, account: Account, credentials: Mapping[str, str], tools: BrokerTools, endpoints: SmartApiEndpoints) -> None:
        self._account, self._tools, self._endpoints = account, tools, endpoints
        self._clock, self._master = tools.clock, tools.master
        self._sign_in = SignIn(account.account_id, credentials, tools.clock, tools.sessions)
        rates = orders.in_force(orders.rules()["rates"], self._day())
        self.traits = _traits(rates["orders"])
        self._budget = Budget(_limits(rates["reads"]) if tools.paced else {}, tools.clock)
        self._memory = OrderMemory()
        self._standing: OrderedDict[str, _Standing] = OrderedDict()
        self._lost: dict[str, Lost] = {}
        self._names_repeated = False
        self._book_check = BookCheck()
        self._lock = threading.Lock()  # of what the lane and the worker share here
        self._client: SmartClient | None = None
        self._news_client: SmartClient | None = None
        self._news: News | None = None
        self._on_report: Callable[[OrderReport], None] = lambda _report: None

    # --- the session

    @property
    def session_expires_at(self) -> Timestamp | None:
        return self._sign_in.expires_at()

    def stream_key(self) -> StreamKey | None:
        session = self._sign_in.current
        if session is None:
            return None
        values = {
            "api_key": self._sign_in.details.api_key,
            "client_code": session.user_id,
            "jwt": session.tokens["jwt"],
            "feed_token": session.tokens.get("feed", ""),
        }
        return StreamKey(self._account.account_id, values, self._account.source_address)

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        details = self._sign_in.details
        self._on_report = on_report
        self._memory.tell_again()
        client = self._client or self._make_client(LANE_PATIENCE)
        self._client = client
        session, _ = self._sign_in.begin(client)
        try:
            found = self._profile(client)
        except NeedsLogin:
            self._sign_in.renew(client, session, asked=True)
            found = self._profile(client)
        if found.user_id.upper() != details.client_code:
            self._sign_in.forget()
            raise Refused(f"Angel One signed in {found.user_id}, but this account is {details.client_code}: check its log-in details")
        self._start_news(details.api_key)

    def _profile(self, client: SmartClient) -> Profile:
        self._sign_in.use(client)
        return rows.profile(client.profile())

    def _make_client(self, patience: float) -> SmartClient:
        details = self._sign_in.details
        return SmartClient(
            details.api_key,
            self._endpoints,
            self._tools.timing,
            self._account.source_address,
            pace=lambda kind: self._budget.take(kind, patience=patience),
            secrets=(details.totp_secret,),
        )

    def _deliver(self, report: OrderReport) -> None:
        self._on_report(report)

    def _start_news(self, api_key: str) -> None:
        if self._news is None:
            client = self._news_client = self._make_client(WORKER_PATIENCE)
            self._news = News(
                self._account.account_id,
                self._endpoints.order_ws_root,
                session=lambda: self._sign_in.current,
                api_key=api_key,
                order_book=lambda: self._noted(self._asked(client, client.order_book)),
                trade_book=lambda: self._asked(client, client.trade_book),
                report=self._report,
                fills=self._fills,
                deliver=self._deliver,
                memory=self._memory,
                tools=self._tools,
                source_address=self._account.source_address,
            )
        self._news.begin()

    # --- orders

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        params = orders.place_params(request, self._listing(request), self._day())
        sent_at = self._clock.now()
        try:
            answer = self._changed(lambda client: client.place(params, permit))
        except (Refused, Retry, NeedsLogin, Halted):
            raise
        except Exception:
            with self._lock:
                self._lost[request.client_id] = Lost(request.client_id, params, sent_at)
            raise
        order_id = str(answer["orderid"])
        self._note(order_id, _Standing(params["variety"], rows.number(params["price"]), str(answer.get("uniqueorderid") or "")))
        with self._lock:
            self._book_check.placed(self._clock.now())
        if self._memory.name(order_id, request.client_id):
            self._look()
        self._watch(order_id)
        return OrderReport(
            broker_order_id=order_id,
            state=OrderState.OPEN,
            client_id=request.client_id,
            symbol=request.instrument.symbol,
            side=request.side,
            quantity=request.quantity,
            at=self._clock.now(),
        )

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        known = self._standing.get(broker_order_id)
        variety = known.variety if known else orders.variety(request.order_type)
        try:
            self._changed(lambda client: client.cancel(broker_order_id, variety))
        finally:
            self._watch(broker_order_id)
        return None

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        wanted = replace(
            request,
            quantity=request.quantity if quantity is None else quantity,
            price=request.price if price is None else price,
            trigger_price=request.trigger_price if trigger_price is None else trigger_price,
        )
        standing = self._standing_price(broker_order_id) if wanted.order_type is OrderType.MARKET and wanted.price is None else None
        params = orders.modify_params(wanted, self._listing(request), broker_order_id, self._day(), standing)
        try:
            self._changed(lambda client: client.modify(params))
        finally:
            self._watch(broker_order_id)
        self._note(broker_order_id, _Standing(params["variety"], rows.number(params["price"]), ""))
        return None

    def _standing_price(self, broker_order_id: str) -> Decimal | None:
        """The limit at which a market order rests: from its details, or after a restart from the book."""
        known = self._standing.get(broker_order_id)
        if known is not None and known.unique_id:
            client, unique_id = self._signed_in(), known.unique_id
            return _standing_of(self._asked(client, lambda: client.details(unique_id))).price
        self.order_book()
        known = self._standing.get(broker_order_id)
        return known.price if known else None

    # --- reads

    def order_book(self) -> Sequence[OrderReport]:
        client = self._signed_in()
        told = [self._report(row) for row in self._noted(self._asked(client, client.order_book))]
        whole = tell_whole(self._memory, told, lambda _ids: self._fills(self._asked(client, client.trade_book)))
        if self._memory.short(told):
            self._look(0.5)  # the trade book is behind the order book
        return whole

    def trades(self) -> Sequence[BrokerTrade]:
        client, now = self._signed_in(), self._clock.now()
        return [rows.trade(row, self._symbol, now) for row in self._asked(client, client.trade_book)]

    def positions(self) -> Sequence[BrokerPosition]:
        client = self._signed_in()
        return rows.positions(self._asked(client, client.positions), self._symbol)

    def holdings(self) -> Sequence[Holding]:
        client = self._signed_in()
        return rows.holdings(self._asked(client, client.holdings), self._symbol)

    def balance(self) -> Balance:
        client = self._signed_in()
        return rows.balance(self._asked(client, client.funds))

    def profile(self) -> Profile:
        client = self._signed_in()
        return rows.profile(self._asked(client, client.profile))

    def keep_alive(self) -> None:
        self.balance()

    # --- the end

    def abort(self) -> None:
        if self._client is not None:
            self._client.abort()

    def close(self) -> None:
        self._budget.close()
        if self._news_client is not None:
            self._news_client.abort()
        if self._news is not None:
            self._news.close()
        for client in (self._client, self._news_client):
            if client is not None:
                client.close()

    # --- calls with a session

    def _signed_in(self) -> SmartClient:
        if self._client is None:
            raise NeedsLogin("this account is not signed in at Angel One")
        return self._client

    def _asked(self, client: SmartClient, read: Callable[[], T]) -> T:
        """A read, once more after signing in anew when the session was over."""
        session = self._session(client)
        try:
            return read()
        except NeedsLogin:
            self._renewed(client, session)
            return read()

    def _changed(self, write: Callable[[SmartClient], T]) -> T:
        """An order call, once more after signing in anew when the session was over: that answer proves that nothing was booked."""
        client = self._signed_in()
        try:
            session = self._session(client)
        except Retry as error:
            raise _waits(error) from None
        try:
            return write(client)
        except NeedsLogin:
            try:
                self._renewed(client, session)
            except Retry as error:
                raise _waits(error) from None
            return write(client)

    def _session(self, client: SmartClient) -> Session:
        """The client speaks with the present session from now on."""
        before = self._sign_in.current
        try:
            session = self._sign_in.use(client)
        except Refused as error:
            raise NeedsLogin(str(error)) from None
        if before is None:
            self._go_on()
        return session

    def _renewed(self, client: SmartClient, dead: Session) -> None:
        try:
            self._sign_in.renew(client, dead)
            self._sign_in.use(client)
        except Refused as error:
            raise NeedsLogin(str(error)) from None
        self._go_on()

    def _go_on(self) -> None:
        """There is a session again."""
        if self._news is not None:
            self._news.begin()

    # --- rows

    def _listing(self, request: OrderRequest) -> Listing:
        listing = self._master.listing(KIND, request.instrument.symbol)
        if listing is None:
            raise Refused(f"Angel One does not list {request.instrument.symbol}")
        return listing

    def _symbol(self, exchange: str, token: str, trading_symbol: str) -> str | None:
        found = self._master.by_token(KIND, exchange, token) if token else None
        found = found or (self._master.by_trading_symbol(KIND, exchange, trading_symbol) if trading_symbol else None)
        return found.symbol if found else None

    def _report(self, row: rows.Row) -> OrderReport:
        report = rows.order_report(row, self._symbol, self._clock.now())
        name = report.client_id or self._memory.client_id(report.broker_order_id)
        return replace(report, client_id=name)

    def _fills(self, trade_rows: Sequence[rows.Row]) -> Mapping[str, list[BrokerFill]]:
        found: dict[str, list[BrokerFill]] = {}
        now = self._clock.now()
        for row in trade_rows:
            trade = rows.trade(row, self._symbol, now)
            found.setdefault(trade.broker_order_id, []).append(trade.fill)
        return found

    def _noted(self, book: Sequence[rows.Row]) -> Sequence[rows.Row]:
        """A whole book: how orders stand; and orders whose answer was lost, found again by their name or by what they are. Raises Retry for a book that
        is not whole."""
        for row in book:
            self._note(rows.text(row, "orderid"), _standing_of(row))
        with self._lock:
            self._book_check.check(book, self._clock.now())
            for name in {rows.text(row, "ordertag") for row in book} & self._lost.keys():
                del self._lost[name]
            self._names_repeated = self._names_repeated or repeats_names(book)
            if self._lost and not self._names_repeated:
                for order_id, client_id in adopt(book, list(self._lost.values()), self._memory.named()).items():
                    del self._lost[client_id]
                    self._memory.name(order_id, client_id)
        return book

    def _note(self, order_id: str, standing: _Standing) -> None:
        with self._lock:
            before = self._standing.get(order_id)
            keeps = before is not None and before.unique_id and not standing.unique_id
            self._standing[order_id] = replace(standing, unique_id=before.unique_id) if before and keeps else standing
            if len(self._standing) > KEPT_ROWS:
                self._standing.popitem(last=False)

    def _watch(self, order_id: str) -> None:
        if self._news is not None:
            self._news.updates.watch(order_id)

    def _look(self, after: float = 0.0) -> None:
        if self._news is not None:
            self._news.updates.look(after)

    def _day(self) -> str:
        return session_day(self._clock.now(), EXCHANGE)


def _waits(error: Retry) -> NeedsLogin:
    return NeedsLogin(f"the session at Angel One is over, and signing in has to wait: {error}")


def _standing_of(row: rows.Row) -> _Standing:
    return _Standing(rows.text(row, "variety") or "NORMAL", rows.number(row.get("price")), rows.text(row, "uniqueorderid"))


def _limits(table: Mapping[str, Sequence[tuple[int, float]]]) -> Mapping[str, Sequence[Limit]]:
    return {kind: [Limit(calls, seconds + JITTER) for calls, seconds in pairs] for kind, pairs in table.items()}


def _traits(limits: Sequence[Sequence[int]]) -> BrokerTraits:
    """The limit of one second is the lane's rate, and once more a window with room for what the network does to it; the longer ones are windows."""
    rate = next(calls for calls, seconds in limits if seconds == 1)
    windows = tuple((calls, seconds + JITTER) for calls, seconds in limits)
    return BrokerTraits(orders_per_second=float(rate), burst=rate, absent_after=10.0, windows=windows, daily_book=True)

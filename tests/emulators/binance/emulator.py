"""The emulated Binance: spot under /api, key data under /sapi, USD-M under /fapi, on one port with their WebSockets.

Each signed request is really verified: key, address, HMAC over what was sent, and the time window. Accounts are of one market and have a key of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.binance import futures, signing, spot
from tests.emulators.binance.algos import Algo, Algos
from tests.emulators.binance.desk import Asked, Terms
from tests.emulators.binance.errors import Api, refusal
from tests.emulators.binance.futures import FuturesDesk
from tests.emulators.binance.markets import MARKETS, SPOT, USDM, by_ours
from tests.emulators.binance.spot import SpotDesk
from tests.emulators.binance.streams import Streams
from tests.emulators.binance.weights import FREE_WHEN_DONE, Weights, family, weight_of
from tests.emulators.core.emulator import AccountLike, Booked, Emulator, booked
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, Event, NotBooked, Quote, Status
from tests.emulators.core.http import Answer, Call, Failed
from tests.emulators.core.listing import Listed

ZERO = Decimal(0)
PUBLIC, KEYED, SIGNED = "public", "keyed", "signed"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ALGO_STATES = {"NEW": Status.TRIGGER_PENDING, "CANCELED": Status.CANCELLED, "REJECTED": Status.REJECTED, "EXPIRED": Status.EXPIRED}
UNKNOWN_TEXT = "Unknown error, please check your request or try again later."

Act = Callable[[Asked], Any]


class BinanceEmulator(Emulator):
    kind = "binance"

    def __init__(self, *, rates: bool = False, **common: Any) -> None:
        self.weights = Weights(enforced=rates)
        self.by_ours = by_ours()
        self._numbers: dict[str, int] = {}
        self._overloaded = 0
        super().__init__(**common)
        self.exchange.commission = self._commission
        self.exchange.next_trade_id = lambda _: str(self.next_number("trade"))

    def default_instruments(self) -> Sequence[Listed]:
        return [Listed(x.instrument, n, x.base, x.start) for n, x in enumerate(MARKETS, 1)]

    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def next_number(self, of: str) -> int:
        starts = {"order": 4_000_000, "trade": 28_000, "algo": 2_000_000_000, "update": 400_900_000}
        self._numbers[of] = self._numbers.get(of, starts[of]) + 1
        return self._numbers[of]

    def uid(self, account: EmulatedAccount) -> int:
        return 350_000_000 + list(self.exchange.accounts).index(account.name)

    # --- routes ----------------------------------------------------------------------------------------------------

    def routes(self) -> None:
        self.spot, self.futures = SpotDesk(self), FuturesDesk(self)
        self.algos = Algos(self)
        self.streams = Streams(self)
        self._spot_routes()
        self._futures_routes()
        for path, kind in (("/ws", SPOT), ("/stream", SPOT), ("/public", USDM), ("/market", USDM)):
            self._market_routes(path, kind)
        for path in ("/private/ws/{key}", "/private/stream"):
            self.route("GET", path, "orders_socket", self.streams.private, quick=True)
        self.route("GET", "/ws-api/v3", "orders_socket", self.streams.ws_api, quick=True)

    def _market_routes(self, path: str, kind: str) -> None:
        single, combined = self.streams.market(kind, combined=False), self.streams.market(kind, combined=True)
        if kind == SPOT:
            self.route("GET", path, "ticks_socket", combined if path == "/stream" else single, quick=True)
            self.route("GET", path + "/{streams}", "ticks_socket", single, quick=True)
            return
        self.route("GET", f"{path}/stream", "ticks_socket", combined, quick=True)
        self.route("GET", f"{path}/ws", "ticks_socket", single, quick=True)
        self.route("GET", f"{path}/ws/{{streams}}", "ticks_socket", single, quick=True)

    def _spot_routes(self) -> None:
        desk, empty = self.spot, lambda asked: []
        self._add("/api/v3", SPOT, [
            ("GET", "/ping", "ping", PUBLIC, lambda asked: {}),
            ("GET", "/time", "time", PUBLIC, self._time),
            ("GET", "/exchangeInfo", "instruments", PUBLIC, desk.info),
            ("GET", "/ticker/price", "ltp", PUBLIC, desk.last_price),
            ("GET", "/ticker/bookTicker", "quote", PUBLIC, desk.best_prices),
            ("GET", "/avgPrice", "quote", PUBLIC, desk.average_price),
            ("POST", "/order", "place", SIGNED, desk.place),
            ("POST", "/order/test", "test", SIGNED, desk.test),
            ("POST", "/order/cancelReplace", "modify", SIGNED, desk.replace),
            ("DELETE", "/order", "cancel", SIGNED, desk.cancel),
            ("DELETE", "/openOrders", "cancel", SIGNED, desk.cancel_all),
            ("GET", "/order", "order", SIGNED, desk.order),
            ("GET", "/openOrders", "orders", SIGNED, desk.open_orders),
            ("GET", "/allOrders", "orders", SIGNED, desk.all_orders),
            ("GET", "/myTrades", "trades", SIGNED, desk.trades),
            ("GET", "/account", "margins", SIGNED, desk.account),
            ("GET", "/account/commission", "commission", SIGNED, desk.commission),
            ("GET", "/rateLimit/order", "limits", SIGNED, empty),
        ])  # fmt: skip
        self._add("/sapi/v1", "", [
            ("GET", "/account/apiRestrictions", "profile", SIGNED, self._restrictions),
            ("GET", "/capital/config/getall", "currencies", SIGNED, empty),
            ("GET", "/margin/allPairs", "currencies", KEYED, empty),
            ("GET", "/margin/isolated/allPairs", "currencies", SIGNED, empty),
        ])  # fmt: skip

    def _futures_routes(self) -> None:
        desk, algos, listen = self.futures, self.algos, self.streams
        reads = [
            ("/balance", "margins", desk.balance),
            ("/account", "margins", desk.account),
            ("/positionRisk", "positions", desk.positions),
        ]
        for version in ("v2", "v3"):
            self._add(f"/fapi/{version}", USDM, [("GET", path, name, SIGNED, act) for path, name, act in reads])
        self._add("/fapi/v1", USDM, [
            ("GET", "/ping", "ping", PUBLIC, lambda asked: {}),
            ("GET", "/time", "time", PUBLIC, self._time),
            ("GET", "/exchangeInfo", "instruments", PUBLIC, desk.info),
            ("GET", "/ticker/price", "ltp", PUBLIC, desk.last_price),
            ("GET", "/ticker/bookTicker", "quote", PUBLIC, desk.best_prices),
            ("GET", "/premiumIndex", "quote", PUBLIC, desk.mark_price),
            ("POST", "/order", "place", SIGNED, desk.place),
            ("POST", "/order/test", "test", SIGNED, lambda asked: {}),
            ("POST", "/batchOrders", "place", SIGNED, desk.batch),
            ("PUT", "/order", "modify", SIGNED, desk.modify),
            ("DELETE", "/order", "cancel", SIGNED, desk.cancel),
            ("DELETE", "/allOpenOrders", "cancel", SIGNED, desk.cancel_all),
            ("GET", "/order", "order", SIGNED, desk.order),
            ("GET", "/openOrder", "order", SIGNED, desk.open_order),
            ("GET", "/openOrders", "orders", SIGNED, desk.open_orders),
            ("GET", "/allOrders", "orders", SIGNED, desk.all_orders),
            ("GET", "/userTrades", "trades", SIGNED, desk.trades),
            ("POST", "/algoOrder", "place", SIGNED, algos.place),
            ("DELETE", "/algoOrder", "cancel", SIGNED, algos.cancel),
            ("DELETE", "/algoOpenOrders", "cancel", SIGNED, algos.cancel_all),
            ("GET", "/algoOrder", "order", SIGNED, algos.query),
            ("GET", "/openAlgoOrders", "orders", SIGNED, algos.open_ones),
            ("GET", "/allAlgoOrders", "orders", SIGNED, algos.everything),
            ("POST", "/leverage", "leverage", SIGNED, desk.leverage),
            ("POST", "/marginType", "margin_type", SIGNED, desk.margin_type),
            ("GET", "/positionSide/dual", "position_mode", SIGNED, desk.position_mode),
            ("POST", "/positionSide/dual", "set_position_mode", SIGNED, desk.set_position_mode),
            ("GET", "/multiAssetsMargin", "position_mode", SIGNED, desk.multi_assets),
            ("GET", "/accountConfig", "position_mode", SIGNED, desk.account_config),
            ("GET", "/symbolConfig", "symbol_config", SIGNED, desk.symbol_config),
            ("GET", "/leverageBracket", "symbol_config", SIGNED, desk.brackets),
            ("GET", "/commissionRate", "commission", SIGNED, desk.commission),
            ("POST", "/listenKey", "listen_key", KEYED, lambda asked: {"listenKey": listen.listen_key(asked.account)}),
            ("PUT", "/listenKey", "listen_key", KEYED, lambda asked: {"listenKey": listen.keep_listening(asked.account)}),
            ("DELETE", "/listenKey", "listen_key", KEYED, self._stop_listening),
        ])  # fmt: skip

    def _add(self, root: str, market: str, table: Sequence[tuple[str, str, str, str, Act]]) -> None:
        for method, path, name, security, act in table:
            self.route(method, root + path, name, self._guarded(method, root + path, market, security, act))

    def endpoints(self) -> dict[str, str]:
        return {
            "BINANCE_SPOT_ROOT": self.url,
            "BINANCE_FUTURES_ROOT": self.url,
            "BINANCE_SPOT_WS_ROOT": self.ws_url,
            "BINANCE_FUTURES_WS_ROOT": self.ws_url,
            "BINANCE_SPOT_WS_API_ROOT": f"{self.ws_url}/ws-api/v3",
        }

    # --- who may ------------------------------------------------------------------------------------------------------

    def identify(self, call: Call) -> EmulatedAccount | None:
        return self.of_key(call.header("X-MBX-APIKEY"))

    def of_key(self, key: str, market: str = "") -> EmulatedAccount | None:
        found = next((x for x in self.exchange.accounts.values() if key and x.credentials["api_key"] == key), None)
        return None if found is None or found.revoked or (market and found.market != market) else found

    def _guarded(self, method: str, path: str, market: str, security: str, act: Act) -> Callable[[Call], Answer]:
        group = family(path)

        def run(call: Call) -> Answer:
            now, body = self.clock.now(), call.body.decode()
            asked = Asked(call, signing.fields_of(call.query, body))
            weight = weight_of(method, path, with_symbol="symbol" in asked.fields)
            name = call.account.name if call.account else None
            try:
                self.weights.spend(call.peer, group, weight, now)
                if security != PUBLIC:
                    self._allow(asked, market, body, signed=security == SIGNED)
                answer = Answer(act(asked))
            except Api as error:
                raise Failed(Answer(error.body(), error.status, headers={**self._headers(call, group, name), **error.headers})) from None
            if f"{method} {path}" in FREE_WHEN_DONE:
                self.weights.give_back(call.peer, group, weight, now)
            answer.headers |= self._headers(call, group, name)
            return answer

        return run

    def _allow(self, asked: Asked, market: str, body: str, *, signed: bool) -> None:
        call = asked.call
        account = self.of_key(signing.check_key(call.header("X-MBX-APIKEY")))
        if account is None or (market and account.market != market) or (account.allowed is not None and call.peer not in account.allowed):
            raise refusal(-2015)
        call.account = account
        if signed:
            signing.check_signature(account.credentials["api_secret"], call.query, body)
            signing.check_window(asked.fields, self.now_ms())
        if call.name == "place" and self._overloaded:
            self._overloaded -= 1
            raise refusal(-1008)

    def _headers(self, call: Call, group: str, account: str | None) -> dict[str, str]:
        return self.weights.headers(call.peer, group, account, self.clock.now())

    def _time(self, asked: Asked) -> Any:
        return {"serverTime": self.now_ms()}

    # --- accounts --------------------------------------------------------------------------------------------------

    def make_account(self, name: str | None, cash: Decimal, **more: Any) -> EmulatedAccount:
        market = more.get("market", SPOT)
        name = name or f"{market}{len(self.exchange.accounts) + 1}"
        credentials = {x: "".join(self.rng.choices(LETTERS, k=64)) for x in ("api_key", "api_secret")}
        account = self.exchange.open_account(name, credentials, cash, market)
        account.secrets += credentials.values()
        account.extra["key"] = {"enableSpotAndMarginTrading": market == SPOT, "enableFutures": market == USDM}
        return account

    def login_data(self) -> list[dict[str, str]]:
        return [{"market": x.market, **x.credentials} for x in self.exchange.accounts.values()]

    def permit(self, account: AccountLike, **flags: bool) -> None:
        """What the key may do, by the names of `apiRestrictions` (enableWithdrawals, ipRestrict, …)."""
        owner = self.account(account)
        self.do(lambda: owner.extra["key"].update(flags))

    def _restrictions(self, asked: Asked) -> Any:
        return {
            "ipRestrict": asked.account.allowed is not None,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableWithdrawals": False,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": True,
            "enablePortfolioMarginTrading": False,
            **asked.account.extra["key"],
        }

    def _stop_listening(self, asked: Asked) -> Any:
        self.streams.stop_listening(asked.account)
        return {}

    def end_session(self, account: EmulatedAccount) -> None:
        """Keys have no sessions: what ends is the user's stream, its listen key or subscription."""
        if self._loop is not None:
            self.streams.expire(account)

    def hold(self, account: AccountLike, symbol: str, quantity: Any, average_price: Any) -> None:
        """Coins that the account has had before; they are part of its balance, like any bought later."""
        owner, amount = self.account(account), Decimal(str(quantity))
        if owner.market == USDM:
            super().hold(owner, symbol, quantity, average_price)
            return

        def add() -> None:
            book = self.exchange.position(owner, self.exchange.quotes[symbol].instrument, Product.MIS)
            book.quantity += amount

        self.do(add)

    def _commission(
        self, account: EmulatedAccount, order: EmulatedOrder, quantity: Decimal, price: Decimal, maker: bool
    ) -> tuple[Decimal, Decimal]:
        if account.market == USDM:
            return ZERO, quantity * price * (futures.MAKER if maker else futures.TAKER)
        if order.side is Side.BUY:
            return (quantity * spot.FEE).quantize(spot.SMALLEST), ZERO
        return ZERO, quantity * price * spot.FEE

    # --- the market and its orders ---------------------------------------------------------------------------------

    def tick_push(self, changed: Sequence[Quote]) -> None:
        self.streams.push(list(changed))
        self.algos.reach()
        for account in self.exchange.accounts.values():
            if account.market == USDM and account.working:
                self.futures.tidy(account)

    def place_by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        market, word = self.by_ours[symbol], "MARKET" if price is None else "LIMIT"
        terms = Terms(market, side, OrderType(word), quantity, price, None, f"web_{self.spot.new_id()}", word, "GTC")
        return self._exchange_order(account, terms, by_hand=True)

    def place_actual(self, account: EmulatedAccount, terms: Terms, algo: Algo) -> EmulatedOrder:
        """The order that a fired conditional becomes; it carries the same client id."""
        order = self._exchange_order(account, terms)
        order.extra.update(algo=algo.algo_id, close_position=algo.close_position)
        return order

    def _exchange_order(self, account: EmulatedAccount, terms: Terms, *, by_hand: bool = False) -> EmulatedOrder:
        side = terms.position_side
        extra = {"symbol": terms.market.symbol, "type": terms.word, "time_in_force": terms.time_in_force, "position_side": side}
        number = str(self.next_number("order"))
        try:
            return self.exchange.place(
                account, number, terms.market.instrument, terms.side, terms.quantity, terms.kind, terms.product, terms.price,
                client_id=terms.client_id, reduce_only=terms.reduce_only, extra=extra, by_hand=by_hand,
            )  # fmt: skip
        except NotBooked as error:
            raise (self.futures if account.market == USDM else self.spot).refused(str(error)) from None

    def book(self, account: AccountLike) -> list[Booked]:
        """Plain orders and conditional ones; what a conditional became is told under its own number."""
        owner = self.account(account)

        def read() -> list[Booked]:
            plain = [booked(x) for x in owner.orders.values() if "algo" not in x.extra]
            return sorted(plain + [_conditional(x) for x in self.algos.of(owner)], key=lambda x: x.booked_at)

        return self.do(read)

    def order_push(self, event: Event) -> Any:
        return self.streams.events(event)

    def send_push(self, account: EmulatedAccount, push: Any) -> None:
        self.streams.send(account, push)

    def tell(self, account: EmulatedAccount, event: dict[str, Any]) -> None:
        """An event that is no exchange order's, in line with those."""
        self.queue_push(account, [event])

    # --- this broker's own trouble ---------------------------------------------------------------------------------

    def overload(self, times: int = 1) -> None:
        """The next orders are answered with -1008: certainly not executed."""
        self.do(lambda: setattr(self, "_overloaded", times))

    def hide_orders(self, account: AccountLike, times: int = 1) -> None:
        """The next queries by client id find nothing: the database lags behind the memory."""
        owner = self.account(account)
        self.do(lambda: (self.futures if owner.market == USDM else self.spot).hidden.__setitem__(owner.name, times))

    def rate_limited(self, call: Call) -> Answer:
        error = refusal(-1003, limit=2400 if family(call.path) == "fapi" else 6000)
        return Answer(error.body(), error.status, headers={"Retry-After": "1"})

    def server_error(self, call: Call) -> Answer:
        return _answer(refusal(-1007))

    def book_failed(self, call: Call) -> Answer:
        return _answer(refusal(-1001))

    def clock_skew(self, call: Call) -> Answer:
        return _answer(refusal(-1021))

    def timed_out(self, call: Call) -> Answer:
        return _answer(Api(-1000, UNKNOWN_TEXT, 503)) if family(call.path) == "fapi" else _answer(refusal(-1007))

    def unknown_path(self, call: Call) -> Answer:
        return Answer("<html><body><h1>404 Not found</h1></body></html>", 404, "text/html")


def _answer(error: Api) -> Answer:
    return Answer(error.body(), error.status)


def _conditional(algo: Algo) -> Booked:
    actual = algo.actual
    status = actual.status if actual else ALGO_STATES.get(algo.status, Status.TRIGGER_PENDING)
    return Booked(
        algo.client_id,
        str(algo.algo_id),
        algo.market.ours,
        algo.side,
        algo.quantity or (actual.quantity if actual else ZERO),
        actual.filled if actual else ZERO,
        actual.average_price if actual else None,
        status.value,
        algo.created_at,
        False,
    )

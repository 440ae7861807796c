"""The emulated SmartAPI: who may ask what, the log-in, the accounts, and the switches of its own kinds of trouble.

Orders are in `orders`, reads in `reads`, sockets in `streams`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pyotp

from engines.core.model import OrderType, Product, Side, Timestamp
from tests.emulators.core.emulator import Emulator
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, Event, Quote
from tests.emulators.core.http import Answer, Call, Failed, Handler
from tests.emulators.core.rates import Rate
from tests.emulators.smartapi import answers, reads
from tests.emulators.smartapi.listing import Scrips
from tests.emulators.smartapi.orders import Orders
from tests.emulators.smartapi.sessions import SignIn, SignIns
from tests.emulators.smartapi.streams import Streams

SECURE = "/rest/secure/angelbroking"
MASTER_PATH = "/OpenAPI_File/files/OpenAPIScripMaster.json"
STEP = 30  # seconds of one one-time code
WRITES = frozenset({"place", "modify", "cancel"})


class SmartApiEmulator(Emulator):
    kind = "smartapi"
    writes = WRITES
    rate_table: ClassVar = (
        Rate(("login",), 1, 1),
        Rate(("token",), 1, 1),
        Rate(("profile",), 3, 1),
        Rate(("logout",), 1, 1),
        Rate(("margins",), 2, 1),
        Rate(tuple(WRITES), 9, 1),
        Rate(tuple(WRITES), 500, 60),
        Rate(tuple(WRITES), 1000, 3600),
        *(Rate((x,), 1, 1) for x in ("orders", "trades", "positions", "search", "holdings", "all_holdings")),
        *(
            Rate((x,), limit, seconds)
            for x in ("order", "ltp", "quote", "convert", "margin")
            for limit, seconds in ((10, 1), (500, 60), (5000, 3600))
        ),
        Rate(("candles",), 3, 1),
        Rate(("candles",), 180, 60),
    )

    def __init__(
        self,
        *,
        market_orders: str = "reject",
        single_session: bool = True,
        session_seconds: float | None = None,
        envelope: str = "status",
        one_time_codes: bool = False,
        money_as_text: bool = False,
        **common: Any,
    ) -> None:
        """`market_orders`: what becomes of MARKET and IOC orders (accept, reject, convert). `envelope`: how a log-in is refused (status, success, or
        string: false as a text). `one_time_codes`: a code that was used is refused the second time. `money_as_text`: prices of order rows as strings."""
        self.market_orders = market_orders
        self.envelope = envelope
        self.one_time_codes = one_time_codes
        self.money_as_text = money_as_text
        self.bend_book: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows
        """What a test may put between the order book and its answer: doubled rows, an unknown status, yesterday's book."""
        super().__init__(**common)
        self.sign_ins = SignIns(self.clock.now, self.rng, single=single_session, seconds=session_seconds)
        self.exchange.next_trade_id = lambda order: str(50_000_000 + self._next("trade"))

    def _next(self, of: str) -> int:
        self._numbers[of] = self._numbers.get(of, 0) + 1
        return self._numbers[of]

    # --- routes ----------------------------------------------------------------------------------------------------

    def routes(self) -> None:
        self._numbers: dict[str, int] = {}
        self.scrips = Scrips([x.listed for x in self.exchange.quotes.values()])
        self.orders = Orders(self)
        self.streams = Streams(self)
        self.route("POST", "/rest/auth/angelbroking/user/v1/loginByPassword", "login", self._login)
        self.route("POST", "/rest/auth/angelbroking/jwt/v1/generateTokens", "token", self._tokens)
        secure: tuple[tuple[str, str, str, Handler], ...] = (
            ("POST", "/user/v1/logout", "logout", self._logout),
            ("GET", "/user/v1/getProfile", "profile", lambda call: ok(answers.profile(call.account.name))),
            ("GET", "/user/v1/getRMS", "margins", self._with(reads.funds)),
            ("POST", "/order/v1/placeOrder", "place", self.orders.place),
            ("POST", "/order/v1/modifyOrder", "modify", self.orders.modify),
            ("POST", "/order/v1/cancelOrder", "cancel", self.orders.cancel),
            ("GET", "/order/v1/getOrderBook", "orders", self.orders.book),
            ("GET", "/order/v1/getTradeBook", "trades", self.orders.trades),
            ("GET", "/order/v1/details/{unique}", "order", self.orders.details),
            ("GET", "/order/v1/getPosition", "positions", self._with(reads.positions)),
            ("POST", "/order/v1/convertPosition", "convert", lambda call: ok(None)),
            ("POST", "/order/v1/getLtpData", "ltp", self._with(reads.last_price)),
            ("POST", "/order/v1/searchScrip", "search", self._with(reads.search)),
            ("GET", "/portfolio/v1/getHolding", "holdings", self._with(reads.holdings)),
            ("GET", "/portfolio/v1/getAllHolding", "all_holdings", self._with(reads.all_holdings)),
            ("POST", "/market/v1/quote", "quote", self._with(reads.quotes)),
            ("POST", "/historical/v1/getCandleData", "candles", self._with(reads.candles)),
            ("POST", "/margin/v1/batch", "margin", self._with(reads.margin)),
        )
        for method, path, name, handler in secure:
            self.route(method, SECURE + path, name, self._signed_in(handler, name))
        self.route("GET", MASTER_PATH, "instruments", lambda call: Answer(self.scrips.master()), quick=True)
        self.route("GET", "/smart-stream", "ticks_socket", self.streams.ticks, quick=True)
        self.route("GET", "/smart-order-update", "orders_socket", self.streams.orders, quick=True)

    def endpoints(self) -> dict[str, str]:
        return {
            "SMARTAPI_ROOT": self.url,
            "SMARTAPI_WS_ROOT": f"{self.ws_url}/smart-stream",
            "SMARTAPI_ORDER_WS_ROOT": f"{self.ws_url}/smart-order-update",
            "SMARTAPI_INSTRUMENTS_URL": self.url + MASTER_PATH,
        }

    def _with(self, read: Callable[[SmartApiEmulator, Call], Answer]) -> Handler:
        return lambda call: read(self, call)

    # --- accounts and sign-ins -------------------------------------------------------------------------------------

    def make_account(self, name: str | None, cash: Decimal, **more: Any) -> EmulatedAccount:
        name = name or f"A{100_001 + len(self.exchange.accounts)}"
        credentials = {
            "api_key": more.get("api_key") or "".join(self.rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", k=8)),
            "client_code": name,
            "pin": more.get("pin") or f"{self.rng.randrange(10_000):04d}",
            "totp_secret": more.get("totp_secret") or "".join(self.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=32)),
        }
        account = self.exchange.open_account(name, credentials, cash)
        account.secrets += [credentials["api_key"], credentials["totp_secret"]]  # a PIN has four digits: it may stand anywhere by chance
        return account

    def login_data(self) -> list[dict[str, str]]:
        """What a person types into the account form, for each account."""
        return [x.credentials for x in self.exchange.accounts.values()]

    def sign_in(self, account: EmulatedAccount | str) -> SignIn:
        """A session as if the account had signed in, for tests that start behind the log-in."""
        owner = self.account(account)
        return self.do(lambda: self._begin(owner))

    def _begin(self, account: EmulatedAccount) -> SignIn:
        made = self.sign_ins.begin(account.name)
        account.secrets += [made.jwt, made.refresh, made.feed]
        return made

    def end_session(self, account: EmulatedAccount) -> None:
        self.sign_ins.end(account.name)

    def identify(self, call: Call) -> EmulatedAccount | None:
        name = self.sign_ins.owner(bearer(call.header("Authorization")))
        if name is None and call.name == "login":
            name = str((call.json or {}).get("clientcode", ""))
        if name is None:
            return self._by_key(call.header("X-PrivateKey"))
        return self.exchange.accounts.get(name)

    def _by_key(self, key: str) -> EmulatedAccount | None:
        return next((x for x in self.exchange.accounts.values() if key and x.credentials["api_key"] == key), None)

    def _signed_in(self, handler: Handler, name: str) -> Handler:
        def guarded(call: Call) -> Any:
            call.account = self.require(call)
            if name in WRITES:
                self._require_address(call)
            return handler(call)

        return guarded

    def require(self, call: Call) -> EmulatedAccount:
        token = bearer(call.header("Authorization"))
        if not token:
            raise refused("AG8003")
        if self.sign_ins.expired(token):
            raise refused("AG8002")
        found = self.sign_ins.valid(token)
        account = self.exchange.accounts[found.account] if found else None
        if account is None or account.revoked or call.header("X-PrivateKey") != account.credentials["api_key"]:
            raise refused("AG8001")
        return account

    def _require_address(self, call: Call) -> None:
        allowed = call.account.allowed
        if allowed is not None and call.peer not in allowed:
            raise refused("AG7002")

    def _login(self, call: Call) -> Answer:
        given = call.json or {}
        account = self.exchange.accounts.get(str(given.get("clientcode", "")))
        if account is None or account.revoked or call.header("X-PrivateKey") != account.credentials["api_key"]:
            return self._login_refused("AG8001" if account is not None else "AB1000")
        if str(given.get("password", "")) != account.credentials["pin"]:
            return self._login_refused("AB1000")
        if account.extra.get("blocked"):
            return self._login_refused("AB1006")
        if not self._right_code(account, str(given.get("totp", ""))):
            return self._login_refused("AB1050")
        made = self._begin(account)
        data = {"jwtToken": made.jwt, "refreshToken": made.refresh, "feedToken": made.feed, "state": given.get("state") or "live"}
        return ok(data)

    def _right_code(self, account: EmulatedAccount, code: str) -> bool:
        totp, now = pyotp.TOTP(account.credentials["totp_secret"]), self.clock.now()
        steps = [step for step in (-1, 0, 1) if totp.at(int(now) + step * STEP) == code]
        used = account.extra.setdefault("codes", set())
        if not steps or (self.one_time_codes and code in used):
            return False
        used.add(code)
        return True

    def _login_refused(self, code: str) -> Answer:
        if self.envelope == "string":
            return Answer({"status": "false", "message": answers.WORDS[code], "errorcode": code, "data": "null"})
        return Answer(answers.failure(code, gateway=True if self.envelope == "success" else None))

    def block(self, account: EmulatedAccount | str, on: bool = True) -> None:
        """The client is blocked for trading: refused at the log-in, in the gateway's envelope."""
        owner = self.account(account)
        self.do(lambda: owner.extra.__setitem__("blocked", on))

    def _tokens(self, call: Call) -> Answer:
        account = self.require(call)
        if not self.sign_ins.refreshable(account.name, str((call.json or {}).get("refreshToken", ""))):
            return Answer(answers.failure("AB8050"))
        made = self._begin(account)
        return ok({"jwtToken": made.jwt, "refreshToken": made.refresh, "feedToken": made.feed})

    def _logout(self, call: Call) -> Answer:
        self.end_session(call.account)
        return ok("")

    # --- orders and pushes -----------------------------------------------------------------------------------------

    def new_order_id(self, now: Timestamp) -> str:
        """`YYMMDD` and nine digits."""
        return f"{answers.day_stamp(now)}{self._next('order'):09d}"

    def new_unique_id(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def place_by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        return self.exchange.place(
            account,
            self.new_order_id(self.clock.now()),
            self.exchange.quotes[symbol].instrument,
            side,
            quantity,
            OrderType.MARKET if price is None else OrderType.LIMIT,
            Product.MIS,
            price,
            extra={"unique": self.new_unique_id()},
            by_hand=True,
            book_refused=True,
        )

    def order_push(self, event: Event) -> Any:
        return self.streams.messages(event)

    def send_push(self, account: EmulatedAccount, push: Any) -> None:
        for socket in self.open_sockets.fitting(account.name, "orders"):
            for message in push:
                socket.send(message)

    def tick_push(self, changed: Any) -> None:
        quotes: list[Quote] = list(changed)
        self.streams.push(quotes)

    # --- faults in this broker's words -----------------------------------------------------------------------------

    def rate_limited(self, call: Call) -> Answer:
        return Answer(answers.RATE_TEXT, 403, "text/plain")

    def server_error(self, call: Call) -> Answer:
        return Answer(answers.failure("AB2001"), 503)

    def book_failed(self, call: Call) -> Answer:
        return Answer(answers.failure("AB2001"), 500)

    def empty_book(self, call: Call) -> Answer:
        return ok(None)

    def timed_out(self, call: Call) -> Answer:
        return Answer(answers.failure("AB1004"))


def ok(data: Any) -> Answer:
    return Answer(answers.success(data))


def refused(code: str) -> Failed:
    return Failed(Answer(answers.failure(code)))


def bearer(header: str) -> str:
    return header.removeprefix("Bearer ").strip()

"""The emulated Kite Connect: one account per app, real log-ins, the day's books and a stream, all on one port.

`kiteconnect.KiteConnect(root=emulator.url)` and `KiteTicker(root=emulator.ws_url)` work with it as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from engines.core.model import ZERO, OrderType, Product, Side
from engines.core.risk import margin_required
from tests.emulators.core.emulator import Emulator
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, Event, Quote
from tests.emulators.core.http import Answer, Call
from tests.emulators.core.rates import Rate
from tests.emulators.kite import shapes
from tests.emulators.kite.login import LoginDesk
from tests.emulators.kite.market import MarketDesk
from tests.emulators.kite.orders import OrderDesk
from tests.emulators.kite.stream import StreamDesk
from tests.emulators.kite.terms import PRODUCTS
from tests.emulators.kite.words import ADDRESS, BAD_SESSION, TIMED_OUT, error, refuse, success, token_of

REDIRECT = "http://127.0.0.1:5000/zerodha/callback"
WRITES = frozenset({"place", "modify", "cancel"})
READS = frozenset({"orders", "order", "trades", "positions", "holdings", "margins", "profile", "convert", "order_margins"})
WATCH = 0.2
"""How often it is looked whether a session's time has come."""
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class KiteEmulator(Emulator):
    kind: ClassVar[str] = "kite"
    rate_table: ClassVar[Sequence[Rate]] = (
        Rate(WRITES, 10, 1),
        Rate(WRITES, 400, 60),
        Rate({"place"}, 5000, 86400),
        Rate({"quote"}, 1, 1),
        Rate({"historical"}, 3, 1),
        Rate(READS, 10, 1),
    )

    def __init__(
        self,
        *,
        login_page: str = "normal",
        consent: bool = False,
        instruments_file: Path | None = None,
        heartbeat: float = 1.0,
        **more: Any,
    ) -> None:
        self.by_key: dict[str, EmulatedAccount] = {}
        self.by_header: dict[str, EmulatedAccount] = {}
        self.any_user = False  # True: somebody other than the app's owner may sign in to it
        self.login_desk = LoginDesk(self, page=login_page, consent=consent)
        self.market_desk = MarketDesk(self, instruments_file)
        self.order_desk = OrderDesk(self)
        self.stream_desk = StreamDesk(self, heartbeat)
        super().__init__(**more)
        self.tokens = {symbol: token_of(x.listed) for symbol, x in self.exchange.quotes.items()}
        self.symbols = {token: symbol for symbol, token in self.tokens.items()}

    def routes(self) -> None:
        for desk in (self.login_desk, self.market_desk, self.order_desk, self.stream_desk):
            desk.routes()
        self.route("GET", "/user/profile", "profile", self.profile)
        self.route("GET", "/user/profile/full", "profile", self.profile)
        self.route("GET", "/user/margins", "margins", self.margins)
        self.route("GET", "/user/margins/{segment}", "margins", self.margins)
        self.route("GET", "/portfolio/positions", "positions", self.positions)
        self.route("PUT", "/portfolio/positions", "convert", self.convert)
        self.route("GET", "/portfolio/holdings", "holdings", self.holdings)
        self.route("GET", "/portfolio/holdings/compact", "holdings", self.compact)
        self.route("POST", "/margins/orders", "order_margins", self.order_margins)

    def endpoints(self) -> dict[str, str]:
        return {"KITE_API_ROOT": self.url, "KITE_LOGIN_ROOT": self.url, "KITE_WS_ROOT": self.ws_url}

    def on_start(self) -> None:
        self._watch_sessions()

    # --- accounts --------------------------------------------------------------------------------------------------

    def make_account(self, name: str | None, cash: Decimal, *, redirect: str = REDIRECT, **more: Any) -> EmulatedAccount:
        """A customer with an app of its own, signed in. `redirect` is the address registered for the app."""
        secret = self.login_desk.secret
        credentials = {
            "api_key": secret(16).lower(),
            "api_secret": secret(32).lower(),
            "user_id": name or f"EM{len(self.exchange.accounts) + 1:04d}",
            "password": secret(14),
            "totp_secret": "".join(self.rng.choices(_BASE32, k=32)),
        }
        account = self.exchange.open_account(credentials["user_id"], credentials, cash)
        account.secrets += [credentials[x] for x in ("api_secret", "password", "totp_secret")]
        account.extra["redirect"] = redirect
        self.by_key[credentials["api_key"]] = account
        self.login_desk.begin(account)
        return account

    def session_began(self, account: EmulatedAccount) -> None:
        self.by_header[account.extra["authorization"]] = account

    def session_holds(self, account: EmulatedAccount, access_token: str) -> bool:
        live = not account.revoked and self.clock.now() < account.extra["expires_at"]
        return live and bool(access_token) and account.extra["access_token"] == access_token

    def sign_in(self, account: EmulatedAccount | str) -> str:
        """A new access token, as if its owner had just come from the log-in page."""
        owner = self.account(account)
        return self.do(lambda: self.login_desk.begin(owner))

    def set_login_page(self, page: str) -> None:
        self.login_desk.page = page

    def set_redirect(self, account: EmulatedAccount | str, redirect: str) -> None:
        self.account(account).extra["redirect"] = redirect

    def tell_error(self, account: EmulatedAccount | str, text: str) -> None:
        """An error message on the account's sockets."""
        self.do(lambda: self.stream_desk.tell_error(self.account(account), text))

    def end_session(self, account: EmulatedAccount) -> None:
        account.extra["access_token"] = account.extra["authorization"] = ""

    def _watch_sessions(self) -> None:
        for account in self.exchange.accounts.values():
            if account.extra["access_token"] and self.clock.now() >= account.extra["expires_at"]:
                self.expire_session(account)
        self.later(WATCH, self._watch_sessions)

    # --- every request ---------------------------------------------------------------------------------------------

    def identify(self, call: Call) -> EmulatedAccount | None:
        found = self.by_header.get(call.header("Authorization"))
        if found is None and "api_key" in call.fields:
            return self.by_key.get(call.fields["api_key"])
        return found if found is not None else self.exchange.accounts.get(call.fields.get("user_id", ""))

    def authorise(self, call: Call, *, write: bool = False) -> EmulatedAccount:
        """Whose request it is; raises what Kite answers to a dead session, or to a write from an address that is not registered."""
        account, header = call.account, call.header("Authorization")
        if account is None or not header or account.extra["authorization"] != header or account.revoked:
            raise refuse("TokenException", BAD_SESSION)
        if self.clock.now() >= account.extra["expires_at"]:
            raise refuse("TokenException", BAD_SESSION)
        if write and account.allowed is not None and call.peer not in account.allowed:
            raise refuse("PermissionException", ADDRESS.format(call.peer))
        found: EmulatedAccount = account
        return found

    def order_push(self, event: Event) -> dict[str, Any] | None:
        return self.order_desk.push(event)

    def send_push(self, account: EmulatedAccount, push: Any) -> None:
        self.stream_desk.tell_order(account, push)

    def tick_push(self, changed: Sequence[Quote]) -> None:
        self.stream_desk.tell_ticks(changed)

    def place_by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        return self.order_desk.by_hand(account, symbol, side, quantity, price)

    # --- faults in Kite's shapes -----------------------------------------------------------------------------------

    def unknown_path(self, call: Call) -> Answer:
        if self.router.knows(call.path):
            return error("GeneralException", "Method not allowed", 405)
        return error("GeneralException", "Route not found", 404)

    def rate_limited(self, call: Call) -> Answer:
        return error("NetworkException", "Too many requests", 429)

    def server_error(self, call: Call) -> Answer:
        return error("NetworkException", "Gateway timed out")

    def book_failed(self, call: Call) -> Answer:
        return error("GeneralException", "Something unexpected happened. Please try again in a bit.")

    def empty_book(self, call: Call) -> Answer:
        return success([])

    def timed_out(self, call: Call) -> Answer:
        return error("InputException", TIMED_OUT)

    # --- user and portfolio ----------------------------------------------------------------------------------------

    def profile(self, call: Call) -> Answer:
        account = self.authorise(call)
        who = self.exchange.accounts[account.extra.get("signed_in", account.name)]
        return success(shapes.full_profile(who) if call.path.rstrip("/").endswith("full") else shapes.profile(who))

    def margins(self, call: Call) -> Answer:
        account = self.authorise(call)
        segment = call.params.get("segment")
        if segment is None:
            return success({x: shapes.margins(self.exchange, account, x) for x in ("equity", "commodity")})
        if segment not in ("equity", "commodity"):
            raise refuse("InputException", "Invalid `segment`.")
        return success(shapes.margins(self.exchange, account, segment))

    def positions(self, call: Call) -> Answer:
        account = self.authorise(call)
        rows = [
            shapes.position_row(x, self.exchange.quotes[x.instrument.symbol])
            for x in account.positions.values()
            if x.buy_quantity or x.sell_quantity or x.quantity
        ]
        return success({"net": rows, "day": rows})

    def convert(self, call: Call) -> Answer:
        """Moves what is open from one product to another at its average price."""
        account, fields = self.authorise(call), call.fields
        symbol = f"{fields.get('exchange')}:{fields.get('tradingsymbol')}"
        old, new = PRODUCTS.get(fields.get("old_product", "")), PRODUCTS.get(fields.get("new_product", ""))
        book = account.positions.get((symbol, old)) if old else None
        quantity = Decimal(fields.get("quantity", "0"))
        if book is None or new is None or not 0 < quantity <= abs(book.quantity):
            raise refuse("InputException", "Invalid quantity or product for the conversion.")
        price, side = book.average_price, Side.BUY if book.quantity > 0 else Side.SELL
        book.add(side.opposite, quantity, price)
        self.exchange.position(account, book.instrument, new).add(side, quantity, price)
        return success(True)

    def holdings(self, call: Call) -> Answer:
        account = self.authorise(call)
        return success(
            [
                shapes.holding_row(x, self.exchange.quotes[symbol], shapes.used_of_holding(account, symbol))
                for symbol, x in account.holdings.items()
            ]
        )

    def compact(self, call: Call) -> Answer:
        account = self.authorise(call)
        keys = ("exchange", "tradingsymbol", "instrument_token", "t1_quantity", "quantity")
        rows = [shapes.holding_row(x, self.exchange.quotes[symbol], ZERO) for symbol, x in account.holdings.items()]
        return success([{key: row[key] for key in keys} for row in rows])

    def order_margins(self, call: Call) -> Answer:
        account, given = self.authorise(call), call.json
        if not isinstance(given, list):
            raise refuse("InputException", "Invalid JSON.")
        return success([self._order_margin(account, x) for x in given])

    def _order_margin(self, account: EmulatedAccount, order: dict[str, Any]) -> dict[str, Any]:
        quote = self.exchange.quotes.get(f"{order.get('exchange')}:{order.get('tradingsymbol')}")
        product = PRODUCTS.get(order.get("product", ""), Product.MIS)
        if quote is None:
            raise refuse("InputException", "Invalid `tradingsymbol`.")
        quantity = Decimal(order.get("quantity", 0))
        price = Decimal(order.get("price") or 0) if order.get("order_type") == OrderType.LIMIT else quote.last
        total = margin_required(
            quote.instrument,
            product,
            Side(order["transaction_type"]),
            quantity * (price or quote.last),
            account.leverage,
            quantity=quantity,
        )
        number = shapes.number(total)
        gst = {"igst": 0, "cgst": 0, "sgst": 0, "total": 0}
        charges = dict.fromkeys(
            ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty", "total"), 0
        )
        return {
            "type": "equity",
            "tradingsymbol": order["tradingsymbol"],
            "exchange": order["exchange"],
            **dict.fromkeys(("span", "exposure", "option_premium", "additional", "bo", "cash"), 0),
            "var": number,
            "pnl": {"realised": 0, "unrealised": 0},
            "leverage": 1,
            "charges": {**charges, "transaction_tax_type": "stt", "gst": gst},
            "total": number,
        }

"""A SmartAPI of a few lines that answers what a test says, and an account in front of it."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from engines.brokers.angelone import AngelOneBroker
from engines.brokers.tools import BrokerTools, SmartApiEndpoints, Timing
from engines.core.model import Account, Instrument, OrderType, Product, Side
from engines.core.sessions import DAY, day_start
from engines.ports import Listing, OrderReport, OrderRequest, Session

CODE, PIN, KEY, SECRET = "A424242", "7391", "canarykey", "CANARYSECRETJBSWY3DPEHPK3PXP2345"
CREDENTIALS = {"api_key": KEY, "client_code": CODE, "pin": PIN, "totp_secret": SECRET}
CANARY = "canary"
INFY = Instrument("NSE:INFY", "INFOSYS", "NSE", Decimal("0.05"))
ID = "261120000000101"
PATIENCE = 30.0
"""Seconds: for what happens at once unless the machine stands still, as a shared one does for moments."""

PATHS = {
    "loginByPassword": "login",
    "getProfile": "profile",
    "getRMS": "rms",
    "placeOrder": "place",
    "modifyOrder": "modify",
    "cancelOrder": "cancel",
    "getOrderBook": "orders",
    "getTradeBook": "trades",
    "getPosition": "positions",
    "getAllHolding": "holdings",
}


def jwt(expires_at: float, number: int = 1) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzUxMiJ9.{claims}.{CANARY}{number}"


def ok(data: Any) -> Any:
    return {"status": True, "message": "SUCCESS", "errorcode": "", "data": data}


def refusal(code: str, message: str = "words of the broker") -> Any:
    return {"status": False, "message": message, "errorcode": code, "data": None}


OVER = {"success": False, "message": "Invalid Token", "errorCode": "AG8001", "data": ""}
Answer = Any
"""A JSON value, (status, text), or None: hang up without a word."""


MORNING = datetime(2026, 11, 20, 4, 30, 1, tzinfo=UTC).timestamp()
"""10:00:01 IST on a Friday: far from midnight, and a second into the step of a one-time code."""


class Clock:
    """A morning that passes as it should, until a test moves it. What waits is measured by a clock that never jumps."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.moved = 0.0

    def now(self) -> float:
        return MORNING + time.monotonic() - self._began + self.moved

    def monotonic(self) -> float:
        return time.monotonic()


class SmartApi:
    """`answers[call]` are given one after the other, the last one for ever; `seen` is what was asked."""

    def __init__(self, clock: Clock) -> None:
        self.logins = 0
        self.clock = clock
        self.valid = ""
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.usual: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "login": self._login,
            "profile": lambda _: ok({"clientcode": CODE, "name": "Somebody", "exchanges": ["nse_cm"], "products": ["DELIVERY"]}),
            "rms": lambda _: ok({"net": "1000.50", "availablecash": "1000.50"}),
            "place": lambda _: ok({"script": "INFY-EQ", "orderid": ID, "uniqueorderid": "u-1"}),
            "modify": lambda _: ok({"orderid": ID}),
            "cancel": lambda _: ok({"orderid": ID}),
        }
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._handle({})

            def do_POST(self) -> None:
                self._handle(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _handle(self, fields: dict[str, Any]) -> None:
                answer = api.answer(self.path, fields, dict(self.headers))
                if answer is None:
                    self.close_connection = True
                    return
                status, body = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, path: str, fields: dict[str, Any], headers: dict[str, str]) -> Answer:
        last = path.partition("?")[0].rsplit("/", 1)[-1]
        call = PATHS.get(last, "details" if "/details/" in path else last)
        self.seen.append((call, fields, headers))
        told = self.answers[call]
        if told:
            answer = told.pop(0) if len(told) > 1 else told[0]
            if answer is not ...:
                return answer
        if call != "login" and headers.get("Authorization") != f"Bearer {self.valid}":
            return OVER
        usual = self.usual.get(call)
        return usual(fields) if usual else ok(None)

    def calls(self, call: str) -> list[dict[str, Any]]:
        return [fields for name, fields, _ in self.seen if name == call]

    def _login(self, _fields: dict[str, Any]) -> Answer:
        self.logins += 1
        now = self.clock.now()
        self.valid = jwt(day_start(now, "NSE") + DAY - 1, self.logins)
        return ok({"jwtToken": self.valid, "refreshToken": f"{CANARY}-refresh", "feedToken": f"{CANARY}-feed"})

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Master:
    """NSE:INFY and nothing else."""

    def listing(self, broker: str, symbol: str) -> Listing | None:
        return Listing(symbol, broker, "1594", "NSE", "INFY-EQ") if symbol == "NSE:INFY" else None

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return self.listing(broker, "NSE:INFY") if (exchange, token) == ("NSE", "1594") else None

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return self.listing(broker, "NSE:INFY") if (exchange, trading_symbol) == ("NSE", "INFY-EQ") else None


class Kept:
    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    def load(self, account_id: str) -> Session | None:
        return self.sessions.get(account_id)

    def save(self, account_id: str, session: Session) -> None:
        self.sessions[account_id] = session

    def clear(self, account_id: str) -> None:
        self.sessions.pop(account_id, None)


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.api = SmartApi(self.clock)
        self.kept = Kept()
        self.told: list[OrderReport] = []
        self.timing = Timing(connect=PATIENCE, read=PATIENCE, poll=0.05, safety_poll=0.5, silent_after=PATIENCE)
        self._made: list[AngelOneBroker] = []
        self.broker = self.make()

    def make(self, *, paced: bool = False, **credentials: str) -> AngelOneBroker:
        tools = BrokerTools(self.clock, self.kept, Master(), Random(1), self.timing, paced=paced)  # type: ignore[arg-type]
        endpoints = SmartApiEndpoints(self.api.url, "ws://127.0.0.1:1/none", "ws://127.0.0.1:1/none")
        account = Account("acc", "user", "Angel", "angelone", Decimal(100_000))
        made = AngelOneBroker(account, {**CREDENTIALS, **credentials}, tools, endpoints)
        self._made.append(made)
        return made

    def connect(self) -> AngelOneBroker:
        self.broker.connect(self.told.append)
        return self.broker

    def person_acts(self) -> None:
        """What the application does when a person wants another try."""
        self.kept.clear("acc")

    def next_code(self) -> None:
        """Later: another one-time code, and no session is young any more."""
        self.clock.moved += 90.0

    def row(self, **changes: Any) -> dict[str, Any]:
        at = time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(self.clock.now() + 19_800))
        return {
            "variety": "NORMAL", "ordertype": "LIMIT", "ordertag": "", "producttype": "INTRADAY", "price": 1500.5, "triggerprice": 0.0,
            "quantity": "10", "tradingsymbol": "INFY-EQ", "transactiontype": "BUY", "exchange": "NSE", "symboltoken": "1594",
            "averageprice": 0.0, "filledshares": "0", "unfilledshares": "10", "orderid": ID, "text": "", "status": "open",
            "orderstatus": "open", "updatetime": at, "exchorderupdatetime": "", "uniqueorderid": "u-1", **changes,
        }  # fmt: skip

    def trade(self, quantity: int, fill_id: str, **changes: Any) -> dict[str, Any]:
        return {
            "exchange": "NSE", "producttype": "INTRADAY", "tradingsymbol": "INFY-EQ", "transactiontype": "BUY", "fillprice": "1500.50",
            "fillsize": str(quantity), "orderid": ID, "fillid": fill_id, "filltime": "09:20:32", **changes,
        }  # fmt: skip

    def close(self) -> None:
        for broker in self._made:
            broker.close()
        self.api.stop()


@contextmanager
def rig() -> Iterator[Rig]:
    made = Rig()
    try:
        yield made
    finally:
        made.close()


def request(client_id: str = "0LZ8K3M1Q2ABCDEFGH", **changes: Any) -> OrderRequest:
    fields: dict[str, Any] = {
        "client_id": client_id,
        "instrument": INFY,
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": OrderType.LIMIT,
        "product": Product.MIS,
        "price": Decimal("1500.50"),
        "quote": Decimal("1500.00"),
    }
    return OrderRequest(**{**fields, **changes})


def until(fits: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not fits():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        threading.Event().wait(0.005)

"""Binance through ccxt, for one account and one thread: ccxt builds, signs and addresses every request, our wire carries it, and the raw answer comes back.

It sends a request again only after a refusal of its timestamp, which Binance gives before anything else; every other no is an `Answer` for whoever asked.
ccxt is imported when the first account connects, is told no proxy and logs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import localcontext
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engines.brokers.binance.errors import CLOCK, Answer, Call, classify
from engines.brokers.binance.house import PAUSE_AT, Budget, House, budget_at, house_at
from engines.brokers.binance.rows import Market
from engines.brokers.tools import BinanceEndpoints, Timing
from engines.brokers.wire import RequestsLikeSession, Wire, Writing
from engines.ports import Clock, Halted, Permit, Refused, Retry, TandemError, Unknown

RECEIVE_WINDOW_MS = 5000
READ_PATIENCE = 5.0
"""Seconds that a read waits when the address must; longer waits are an error that says so."""
_one_at_a_time = threading.Lock()  # of importing: fifty lanes start at the same moment
_WRITES = frozenset({"place", "cancel", "modify"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where this account's requests go."""

    market: Market
    endpoints: BinanceEndpoints
    source_address: str | None = None

    @property
    def root(self) -> str:
        return self.endpoints.spot_root if self.market == "spot" else self.endpoints.futures_root


class Client:
    def __init__(self, place: Place, key: str, secret: str, clock: Clock, timing: Timing, share: float = PAUSE_AT) -> None:
        """`share` of Binance's published weight may be used up before reads pause."""
        spot, futures = place.endpoints.spot_root, place.endpoints.futures_root
        self.market = place.market
        self.house: House = house_at(place.root, place.market)
        roots = [spot] if futures == spot else [spot, futures]
        self.wire = Wire(*roots, source_address=place.source_address, timing=timing, whose="Binance")
        self._clock, self._share = clock, share
        self._stopped = threading.Event()
        self._secrets = tuple(part for part in (key, secret) if len(part) >= 4)
        own = budget_at(place.root, place.market, place.source_address)
        self._budgets: dict[str, Budget] = {"sapi": budget_at(spot, "sapi", place.source_address), "own": own}
        with _one_at_a_time:
            exchange = _exchange_class()
        self.sdk = exchange({"apiKey": key, "secret": secret, "enableRateLimit": False, "timeout": timing.read * 1000})
        self.sdk.adopt(self.house, spot, futures, RequestsLikeSession(self.wire), lambda: self.house.stamp_ms(clock))

    # --- requests

    def call(
        self,
        section: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        weight: int = 1,
        call: Call = "read",
        permit: Permit | None = None,
    ) -> Any:
        """The parsed answer, or Answer, Retry, Unknown or what `permit` raises. `section` is ccxt's name for a group of endpoints."""
        budget = self._budgets["sapi" if section.startswith("sapi") else "own"]
        self._await_turn(budget, weight, urgent=call in _WRITES)
        sent = False
        try:
            try:
                return self._once(section, method, path, params or {}, call, permit)
            except Answer as answer:
                if answer.code != CLOCK or section not in ("private", "fapiPrivate", "fapiPrivateV3", "sapi"):
                    raise
            sent = True
            self.sync_clock()
            return self._once(section, method, path, params or {}, call, permit)
        except Answer as answer:
            answer.message = self._clean(answer.message)
            if answer.status in (418, 429) or answer.code == -1003:
                answer.retry_after = budget.stop(answer.retry_after, answer.status == 418, self._clock.now())
            raise
        except Halted as error:
            if sent:  # Binance has turned the first away for its timestamp: the order exists nowhere
                raise Refused(f"stopped before it could be sent again: {error}") from None
            raise
        finally:
            self._count(budget, section)

    def ask(
        self,
        section: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        weight: int = 1,
        call: Call = "read",
        permit: Permit | None = None,
    ) -> Any:
        """As `call`, with every no sorted by what the caller must do."""
        try:
            return self.call(section, method, path, params, weight=weight, call=call, permit=permit)
        except Answer as answer:
            raise sorted_out(call, answer) from None

    def _await_turn(self, budget: Budget, weight: int, *, urgent: bool) -> None:
        """A read may wait a moment for its turn; an order is told at once how long it would be."""
        try:
            budget.ask(weight, self._clock.now(), urgent=urgent, share=self._share)
        except Retry as error:
            if urgent or error.after > READ_PATIENCE or self._stopped.wait(error.after):
                raise
            budget.ask(weight, self._clock.now(), urgent=urgent, share=self._share)

    def sync_clock(self) -> None:
        """Measure Binance's clock against ours; each market has its own."""
        section = "public" if self.market == "spot" else "fapiPublic"
        before = self._clock.now()
        answer = self._once(section, "GET", "time", {}, "read", None)
        self.house.set_clock(int(answer["serverTime"]), before, self._clock.now(), self._clock)

    def learn(self, symbol: str | None = None) -> None:
        """Read the rules of one symbol (spot) or of all (USD-M, where one read costs least)."""
        if self.market == "spot":
            answer = self.call("public", "GET", "exchangeInfo", {"symbol": symbol} if symbol else {}, weight=20)
        else:
            answer = self.call("fapiPublic", "GET", "exchangeInfo", weight=1)
        with localcontext():
            self.house.learn(answer.get("symbols", ()), self.sdk.parse_market, self._clock.now())
        for limit in answer.get("rateLimits", ()):
            if (limit.get("rateLimitType"), limit.get("interval"), limit.get("intervalNum")) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self._budgets["own"].allow(int(limit["limit"]))

    def _once(self, section: str, method: str, path: str, params: Mapping[str, Any], call: Call, permit: Permit | None) -> Any:
        writing: Writing | None = None
        under: AbstractContextManager[Writing | None] = nullcontext() if permit is None else self.wire.permitted(permit)
        self.sdk.last_response_headers = None
        try:
            with (
                under as writing,
                localcontext(),
            ):  # ccxt rounds half up by changing the rules of whatever thread it runs on; our money does not
                answer = self.sdk.request(path, [section], method, dict(params), {})
        except Unknown as error:
            if call in _WRITES:
                raise
            raise Retry(f"Binance's answer was lost: {error}") from None
        except (Answer, TandemError):
            raise
        except _library_error() as error:
            # ccxt found fault by itself: before anything left this is proof, afterwards it proves nothing.
            if call not in _WRITES or (writing is not None and not writing.sent):
                raise Refused(f"the request could not be made: {type(error).__name__}") from None
            raise Unknown(f"the answer was not understood: {type(error).__name__}") from None
        if not isinstance(answer, dict | list):
            raise Answer(200, None, "")
        return answer

    def _count(self, budget: Budget, section: str) -> None:
        headers = self.sdk.last_response_headers or {}
        used = headers.get("x-sapi-used-ip-weight-1m" if section.startswith("sapi") else "x-mbx-used-weight-1m")
        if isinstance(used, str) and used.isdigit():
            budget.told(int(used), self._clock.now())

    def _clean(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, "…")
        return words

    def abort(self) -> None:
        self._stopped.set()
        self.wire.abort()

    def close(self) -> None:
        self._stopped.set()
        self.wire.close()

    def resume(self) -> None:
        """After `abort`: there will be calls again."""
        self._stopped.clear()


def sorted_out(call: Call, answer: Answer) -> TandemError:
    return classify(call, answer.status, answer.code, answer.message, True, answer.retry_after)


# --- ccxt ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _library_error() -> type[Exception]:
    from ccxt.base.errors import BaseError

    error: type[Exception] = BaseError
    return error


@lru_cache(maxsize=1)
def _exchange_class() -> Any:
    """ccxt's Binance with its addresses, its clock and its reading of errors replaced; made once, when it is first needed."""
    from ccxt.binance import binance

    quiet = logging.Logger("binance")  # noqa: LOG001 - outside the tree of loggers: ccxt would write keys and signatures at DEBUG
    quiet.disabled = True

    class Binance(binance):  # type: ignore[misc]
        def adopt(self, house: House, spot_root: str, futures_root: str, session: Any, stamp: Any) -> None:
            session.headers = {}
            self.session, self.logger = session, quiet
            self.urls["api"] = rewritten(self.urls["api"], spot_root, futures_root)
            self.markets, self.markets_by_id = house.markets, house.by_id
            self.options.update(recvWindow=RECEIVE_WINDOW_MS, crossMarginPairsData=[], isolatedMarginPairsData=[])
            self.options["stamp"] = stamp

        def nonce(self) -> int:
            stamp: int = self.options["stamp"]()
            return stamp

        def get_exceptions_by_url(self, url: str, exactOrBroad: str) -> Any:  # noqa: N803 - ccxt's name
            """By path: ccxt goes by host, and an account may live at another."""
            path = urlsplit(url).path
            kind = "linear" if path.startswith("/fapi/") else "spot"
            return self.exceptions.get(kind, {}).get(exactOrBroad, {})

        def handle_errors(
            self, code: int, _reason: str, _url: str, _method: str, headers: Any, _body: str, response: Any, *_request: Any
        ) -> None:
            """The numeric code decides, not the class that ccxt would choose: it takes a revoked key for congestion."""
            told = response if isinstance(response, dict) else {}
            number = told.get("code")
            number = int(number) if isinstance(number, int | str) and str(number).lstrip("-").isdigit() else None
            if code < 400 and (number is None or number >= 0):
                return
            wait = headers.get("retry-after") if headers else None
            raise Answer(
                code,
                number,
                str(told.get("msg", "")),
                float(wait) if isinstance(wait, str) and wait.replace(".", "", 1).isdigit() else None,
            )

    return Binance


def rewritten(addresses: Any, spot_root: str, futures_root: str) -> Any:
    """Every address of ccxt's table on our two roots, its path kept, so that nothing can reach a host that was not asked for."""
    if isinstance(addresses, Mapping):
        return {
            name: rewritten(value, spot_root, futures_root if name.startswith(("fapi", "dapi")) else spot_root)
            if isinstance(value, Mapping)
            else _moved(value, futures_root if name.startswith(("fapi", "dapi")) else spot_root)
            for name, value in addresses.items()
        }
    return addresses


def _moved(address: Any, root: str) -> Any:
    if not isinstance(address, str):
        return address
    base, old = urlsplit(root), urlsplit(address)
    scheme = base.scheme if old.scheme.startswith("http") else base.scheme.replace("http", "ws", 1)
    return urlunsplit((scheme, base.netloc, base.path.rstrip("/") + old.path, old.query, ""))

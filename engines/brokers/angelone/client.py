"""The calls to SmartAPI that we make, each with one answer: its data, or an error named for what the caller must do.

One client is one connection, used by one thread at a time. It trusts `status: true` and nothing else; an answer that is not understood is unknown for a
write. No text of its errors holds a token, a key or what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engines.brokers.angelone import sdk
from engines.brokers.angelone.errors import WRITES, Call, classify
from engines.brokers.angelone.orders import Params
from engines.brokers.tools import SmartApiEndpoints, Timing
from engines.brokers.wire import Answer, Wire
from engines.ports import Permit, Retry, TandemError, Unknown


class SmartClient:
    def __init__(
        self,
        api_key: str,
        endpoints: SmartApiEndpoints,
        timing: Timing,
        source_address: str | None = None,
        *,
        pace: Callable[[str], None] = lambda _kind: None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """`secrets` are taken out of whatever the broker says. `pace` is asked before each read ("order_book", "profile", ...) and raises Retry when the published rate allows none now."""
        self._root = endpoints.root
        self._wire = Wire(endpoints.root, source_address=source_address, timing=timing, whose="Angel One")
        self._http = sdk.Http(self._wire)
        self._sdk = sdk.smart_connect(self._http, endpoints.root, api_key)
        self._pace = pace
        self._always_secret = (api_key, *secrets)
        self._secrets: tuple[str, ...] = self._always_secret
        self._using: tuple[str | None, tuple[str, ...]] = (None, ())

    def use(self, jwt: str | None, secrets: tuple[str, ...] = ()) -> None:
        """Speak with this token from now on; `secrets` are taken out of whatever the broker says, too."""
        if (jwt, secrets) == self._using:
            return
        self._using = jwt, secrets
        self._sdk.setAccessToken(jwt)
        self._secrets = tuple(secret for secret in (*self._always_secret, *secrets) if len(secret) >= 4)

    # --- log-in

    def login(self, client_code: str, pin: str, code: str) -> Mapping[str, Any]:
        """The tokens. Not `generateSession`: that one loses the reason of a refusal, and is two calls in one."""
        self._pace("login")
        self.use(None, (pin, code))
        params = {"clientcode": client_code, "password": pin, "totp": code}
        data = self._call("login", lambda: self._sdk._postRequest("api.login", params))
        if not isinstance(data, Mapping) or not data.get("jwtToken"):
            raise Retry("Angel One took the log-in but gave no session", after=5.0)
        return data

    # --- orders

    def place(self, params: Params, permit: Permit) -> Mapping[str, Any]:
        """`orderid` and what came with it."""
        data = self._write("place", lambda: self._sdk.placeOrderFullResponse(params), permit)
        if not isinstance(data, Mapping) or not str(data.get("orderid") or "").strip():
            raise Unknown("Angel One took the order but did not say under which id")
        return data

    def cancel(self, broker_order_id: str, variety: str) -> None:
        self._call("cancel", lambda: self._sdk.cancelOrder(broker_order_id, variety))

    def modify(self, params: Params) -> None:
        self._call("modify", lambda: self._sdk.modifyOrder(params))

    # --- reads

    def order_book(self) -> list[Mapping[str, Any]]:
        return self._rows("order_book", self._sdk.orderBook)

    def trade_book(self) -> list[Mapping[str, Any]]:
        return self._rows("trade_book", self._sdk.tradeBook)

    def positions(self) -> list[Mapping[str, Any]]:
        return self._rows("positions", self._sdk.position)

    def holdings(self) -> Any:
        """A list of rows, or a mapping with `holdings`."""
        return self._read("holdings", self._sdk.allholding)

    def details(self, unique_order_id: str) -> Mapping[str, Any]:
        """One order by its `uniqueorderid`. The SDK's own method loses every failure and every setting, so it is asked for here."""
        path = self._sdk._routes["api.individual.order.details"] + unique_order_id

        def ask() -> Any:
            headers = {**self._sdk.requestHeaders(), "Authorization": f"Bearer {self._sdk.access_token}"}
            return sdk.loads(self._http.get(self._root + path, headers=headers).content)

        return self._mapping("details", ask)

    def funds(self) -> Mapping[str, Any]:
        return self._mapping("rms", self._sdk.rmsLimit)

    def profile(self) -> Mapping[str, Any]:
        """The SDK wants a refresh token here and puts it into the address; Angel One's documents want none, so none is given."""
        return self._mapping("profile", lambda: self._sdk.getProfile(""))

    # --- the connection

    def abort(self) -> None:
        self._wire.abort()

    def close(self) -> None:
        self._wire.close()

    def _rows(self, kind: str, function: Callable[[], Any]) -> list[Mapping[str, Any]]:
        """A book: `data: null` is an empty one, because `status` was true. Anything that is not rows is a failed read."""
        data = self._read(kind, function)
        if data is None:
            return []
        if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
            raise Retry(f"Angel One's {kind.replace('_', ' ')} is not a list of rows", after=2.0)
        return data

    def _mapping(self, kind: str, function: Callable[[], Any]) -> Mapping[str, Any]:
        data = self._read(kind, function)
        if not isinstance(data, Mapping):
            raise Retry(f"Angel One's answer about {kind} is empty", after=2.0)
        return data

    def _read(self, kind: str, function: Callable[[], Any]) -> Any:
        self._pace(kind)
        return self._call("read", function)

    def _write(self, call: Call, function: Callable[[], Any], permit: Permit) -> Any:
        with self._wire.permitted(permit):
            return self._call(call, function)

    def _call(self, call: Call, function: Callable[[], Any]) -> Any:
        self._http.seen = None
        answer: Any = None
        try:
            answer = function()
        except Unknown:
            if call in WRITES:
                raise
            raise Retry("Angel One did not answer", after=1.0) from None
        except TandemError:
            raise
        except Exception as error:  # what the SDK makes of an odd answer, or of none: judged by the answer itself
            if self._http.seen is None:
                raise _without_answer(call, error) from None
        return self._proved(call, answer, self._http.seen)

    def _proved(self, call: Call, answer: Any, seen: Answer | None) -> Any:
        envelope = answer if isinstance(answer, Mapping) else _envelope(seen)
        status = None if seen is None else seen.status_code
        if envelope.get("status") is True and status is not None and status < 400:
            return envelope.get("data")
        code = envelope.get("errorcode") or envelope.get("errorCode")
        message = envelope.get("message")
        raise classify(call, status, code if isinstance(code, str) else None, self._clean(str(message or "")), sent=True) from None

    def _clean(self, message: str) -> str:
        for secret in self._secrets:
            message = message.replace(secret, "…")
        return message


def _envelope(seen: Answer | None) -> Mapping[str, Any]:
    """The answer as far as it can be read: JSON, or the plain text in which Angel One says that there were too many calls."""
    if seen is None:
        return {}
    try:
        body = sdk.loads(seen.content)
    except (ValueError, RecursionError):
        short = seen.text.strip()
        return {"message": short} if len(short) <= 200 and not short.startswith(("<", "{", "[")) else {}
    return body if isinstance(body, Mapping) else {}


def _without_answer(call: Call, error: Exception) -> TandemError:
    if call in WRITES:
        return Unknown(f"nothing understood came back from Angel One ({type(error).__name__})")
    return Retry(f"Angel One could not be asked ({type(error).__name__})", after=1.0)

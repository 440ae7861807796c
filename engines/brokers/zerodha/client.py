"""The official SDK over our wire: the same calls and parsing, with our transport in its session and nothing of it done twice.

The SDK is imported when the first account connects, without its ticker: that one brings Twisted's reactor along, and our streams do not use it.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any, TypeVar
from urllib.parse import urljoin

from engines.brokers.tools import Timing
from engines.brokers.transport import Response
from engines.brokers.wire import RequestsLikeSession, Wire
from engines.brokers.zerodha import errors
from engines.ports import TandemError

T = TypeVar("T")

_UNREADABLE_TYPES = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What the SDK raises where an answer lacks what it takes for granted."""
_importing = threading.Lock()


class KiteClient:
    """One SDK instance and a wire of its own below it; used by one thread at a time. `call` turns whatever the SDK raises into what the caller must
    do. `secrets` never show in an error's text."""

    def __init__(
        self,
        api_key: str,
        access_token: str | None,
        api_root: str,
        *,
        timing: Timing,
        source_address: str | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.wire = Wire(api_root, source_address=source_address, timing=timing, observe=self._watch, whose="Zerodha")
        self.sdk = make_sdk(api_key, access_token, api_root, RequestsLikeSession(self.wire))
        self._secrets = tuple(secret for secret in (*secrets, access_token or "") if len(secret) >= 4)
        self.status: int | None = None

    def call(self, kind: errors.Call, act: Callable[[], T], *, sent: Callable[[], bool] = lambda: True) -> T:
        """The result of `act`. Errors of our transport and the gate's pass; all others become the table's, without the SDK's in their chain."""
        self.status = None
        try:
            return act()
        except TandemError:
            raise
        except Exception as error:
            found = self._sorted(kind, error, sent())
        raise found

    def _watch(self, response: Response) -> None:
        """The SDK does not tell which status a page of a gateway came with."""
        self.status = response.status

    def _sorted(self, kind: errors.Call, error: Exception, sent: bool) -> TandemError:
        name = type(error).__name__
        if isinstance(error, UnicodeEncodeError):
            return errors.classify(kind, self.status, errors.UNSENDABLE, "", sent)
        if name == "DataException" or isinstance(error, _UNREADABLE_TYPES):
            return errors.classify(kind, self.status, errors.UNREADABLE, "", sent)
        if hasattr(error, "code"):
            return errors.classify(kind, self.status or error.code, name, self._clean(str(error)), sent)
        return errors.classify(kind, self.status, errors.UNREADABLE, name, sent)

    def _clean(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, "…")
        return words


def make_sdk(api_key: str, access_token: str | None, api_root: str, session: RequestsLikeSession) -> Any:
    sdk = _sdk_class()(api_key=api_key, access_token=access_token, root=api_root)
    sdk.reqsession.close()
    sdk.reqsession = session
    return sdk


@functools.cache
def _sdk_class() -> Any:
    original = _import_sdk()
    plain = original._request
    around = {**vars(sys.modules[original.__module__]), "urljoin": functools.lru_cache(maxsize=256)(urljoin)}

    class Kite(original):  # type: ignore[misc, valid-type]  # the SDK has no types
        """KiteConnect, leaving times as the broker writes them: parsing each with dateutil costs more than all the rest of a row. Its requests
        run the SDK's own code, which then puts the same few addresses together only once."""

        _request = FunctionType(plain.__code__, around, plain.__name__, plain.__defaults__, plain.__closure__)

        def _format_response(self, data: Any) -> Any:
            return data

    return Kite


def _import_sdk() -> Any:
    with _importing:
        if "kiteconnect" not in sys.modules:
            _import_without_ticker()
        return importlib.import_module("kiteconnect.connect").KiteConnect


def _import_without_ticker() -> None:
    """Import the package with an empty stand-in for its ticker; whoever asks for the ticker later gets the real one."""
    stand_in = ModuleType("kiteconnect.ticker")
    stand_in.KiteTicker = None  # type: ignore[attr-defined]
    sys.modules["kiteconnect.ticker"] = stand_in
    try:
        package = importlib.import_module("kiteconnect")
    finally:
        del sys.modules["kiteconnect.ticker"]

    def on_demand(name: str) -> Any:
        if name not in ("KiteTicker", "ticker"):
            raise AttributeError(f"module 'kiteconnect' has no attribute {name!r}")
        module = importlib.import_module("kiteconnect.ticker")
        return module if name == "ticker" else module.KiteTicker

    for name in ("KiteTicker", "ticker"):
        package.__dict__.pop(name, None)
    package.__getattr__ = on_demand  # type: ignore[method-assign]

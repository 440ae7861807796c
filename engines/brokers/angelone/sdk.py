"""smartapi-python on our own transport, without what it does behind one's back.

The SDK's own code builds every request and reads every answer. Around it: no network and no name look-up at import, no `logs` folder, no log line (its
lines hold PINs, one-time codes and tokens), fractions as Decimal, and our wire in the place of the `requests` module.
"""

from __future__ import annotations

import importlib
import json
import logging
import threading
from decimal import Decimal
from functools import lru_cache
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import quote, urljoin

from engines.brokers.wire import Answer, RequestsLikeSession, Wire

_SILENT = logging.getLogger("smartapi.silent")
_SILENT.disabled = True
_importing = threading.Lock()

_AS_IS = "!#$%&'()*+,/:;=?@[]~"  # what `requests` leaves in a query


class Http:
    """What the SDK takes for the `requests` module: the wire, and the newest answer as it came."""

    def __init__(self, wire: Wire) -> None:
        self._session = RequestsLikeSession(wire)
        self.seen: Answer | None = None

    def request(self, method: str, url: str, **options: Any) -> Answer:
        self.seen = None
        params = options.pop("params", None)
        if isinstance(params, str):
            options["params"] = quote(params, safe=_AS_IS)
        self.seen = self._session.request(method, url, **options)
        return self.seen

    def get(self, url: str, **options: Any) -> Answer:
        return self.request("GET", url, **options)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not a number: {name}")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)
_joined = lru_cache(maxsize=64)(urljoin)
"""A root and the SDK's few paths: the same addresses again and again."""


def loads(body: str | bytes) -> Any:
    return _DECODER.decode(body if isinstance(body, str) else body.decode(json.detect_encoding(body), "surrogatepass"))


_JSON = SimpleNamespace(dumps=json.dumps, loads=loads)


@lru_cache(maxsize=1)
def quiet_module() -> ModuleType:
    """`SmartApi.smartConnect`, imported once. Its class body asks a public server for this machine's address, without a time-out, and throws the
    answer away: for the importing thread there is no network meanwhile."""
    with _importing:
        import requests

        logzero = importlib.import_module("logzero")
        logzero.logger.disabled = True
        importer, get = threading.get_ident(), requests.get

        def offline(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != importer:
                return get(*args, **options)
            raise OSError("no network while importing")

        requests.get = offline
        try:
            return importlib.import_module("SmartApi.smartConnect")
        finally:
            requests.get = get


def smart_connect(http: Http, root: str, api_key: str) -> Any:
    """A SmartConnect whose every method runs the SDK's own code, with `http` for its `requests` and silence for its loggers.

    Its constructor is replaced: that one makes folders, log files and a session which it never uses.
    """
    module = quiet_module()
    original = module.SmartConnect
    around = {**vars(module), "requests": http, "json": _JSON, "logger": _SILENT, "log": _SILENT, "urljoin": _joined}
    methods = {
        name: FunctionType(found.__code__, around, name, found.__defaults__, found.__closure__)
        for name, found in vars(original).items()
        if isinstance(found, FunctionType) and name != "__init__"
    }
    made = type("SmartConnect", (original,), {**methods, "__init__": _set_up, "_rootUrl": root})
    return made(root, api_key)


def _set_up(self: Any, root: str, api_key: str) -> None:
    self.debug = False
    self.api_key = self.privateKey = api_key
    self.access_token = self.refresh_token = self.feed_token = self.userId = None
    self.root = root
    self.timeout = self._default_timeout
    self.proxies = {}
    self.disable_ssl = False
    self.session_expiry_hook = None
    self.Authorization = None
    self.clientLocalIP, self.clientPublicIP = self.clientLocalIp, self.clientPublicIp
    self.ssl_context = self.reqsession = None

"""ccxt's own `binance` pointed at an emulator, and requests signed by hand, for tests.

Every address is rewritten, so that nothing can reach the real one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from tests.emulators.binance.emulator import BinanceEmulator
from tests.emulators.binance.signing import sign
from tests.emulators.core.exchange import EmulatedAccount


def client(emulator: BinanceEmulator, account: EmulatedAccount, donor: Any = None) -> Any:
    """A ccxt.binance of the account; with a `donor` its markets are shared."""
    import ccxt

    lean = {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["spot", "linear"]}}
    keys = {"apiKey": account.credentials["api_key"], "secret": account.credentials["api_secret"]}
    kind = "spot" if account.market == "spot" else "swap"
    made = ccxt.binance({**keys, "enableRateLimit": False, "options": {**lean, "defaultType": kind}})
    made.urls["api"] = _moved(made.urls["api"], emulator.url)
    assert "binance.com" not in str(made.urls["api"])
    if donor is None:
        made.load_markets()
    else:
        made.set_markets_from_exchange(donor)
    return made


def ask(
    emulator: BinanceEmulator, account: EmulatedAccount, method: str, path: str, *, signed: bool = True, **params: Any
) -> requests.Response:
    """One request the way Binance's own documents build it: POST in a form, everything else in the query, the signature last."""
    if signed:
        params.setdefault("timestamp", emulator.now_ms())
    payload = urlencode(params)
    if signed:
        payload += ("&" if payload else "") + "signature=" + sign(account.credentials["api_secret"], payload)
    headers, url = {"X-MBX-APIKEY": account.credentials["api_key"]}, emulator.url + path
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return requests.request(method, url, data=payload, headers=headers, timeout=30)
    return requests.request(method, f"{url}?{payload}" if payload else url, headers=headers, timeout=30)


def _moved(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        return {name: _moved(each, root) for name, each in value.items()}
    return root + urlsplit(value).path if isinstance(value, str) else value

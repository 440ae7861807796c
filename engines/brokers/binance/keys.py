"""Whether a key may be used: what Binance says that it can do, against what this account needs and what no trading key should be able to.

Pure; each refusal says which switch to turn at Binance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.brokers.binance.rows import Market
from engines.brokers.tools import BinanceEndpoints
from engines.ports import Refused

_NEVER = {
    "enableWithdrawals": "withdraw",
    "enableInternalTransfer": "transfer to other users",
    "permitsUniversalTransfer": "transfer between accounts",
}
_NEEDED: Mapping[Market, tuple[str, str]] = {
    "spot": ("enableSpotAndMarginTrading", "Enable Spot & Margin Trading"),
    "usdm": ("enableFutures", "Enable Futures"),
}
NO_ADDRESSES = "The key works from any address: limit it to this machine's at Binance."
NOT_CHECKED = "A test account: what its key may do cannot be checked."

TEST = BinanceEndpoints(
    spot_root="https://testnet.binance.vision",
    futures_root="https://demo-fapi.binance.com",
    spot_ws_root="wss://stream.testnet.binance.vision",
    futures_ws_root="wss://demo-fstream.binance.com",
    spot_ws_api_root="wss://ws-api.testnet.binance.vision/ws-api/v3",
)


def check_key(told: Mapping[str, Any], market: Market) -> tuple[str, ...]:
    """Warnings about a key that may be used; Refused about one that may not. `told` is the answer of apiRestrictions."""
    can = [words for name, words in _NEVER.items() if told.get(name)]
    if can:
        raise Refused(f"this key can {' and '.join(can)}: switch that off at Binance, Tandem takes no key that can move money away")
    if not told.get("enableReading", True):
        raise Refused("this key may not read: switch on Enable Reading at Binance")
    name, switch = _NEEDED[market]
    if not told.get(name):
        raise Refused(
            f"this key may not trade here: switch on {switch} at Binance (a key older than the futures account must be made anew)"
        )
    if market == "usdm" and told.get("enablePortfolioMarginTrading"):
        raise Refused("portfolio margin accounts are not supported: use a key of an account without it")
    return () if told.get("ipRestrict") else (NO_ADDRESSES,)


def tidy(secret: str) -> str:
    """A private key as its library reads it, whatever a form or a clipboard has made of its lines; any other secret without the blanks around it."""
    secret = secret.strip()
    if "PRIVATE KEY" not in secret:
        return secret
    _, head, rest = secret.split("-----", 2)
    body, _, foot = rest.partition("-----")
    packed = "".join(body.split())
    lines = [packed[at : at + 64] for at in range(0, len(packed), 64)]
    return "\n".join([f"-----{head}-----", *lines, f"-----{foot.partition('-----')[0]}-----"])


def is_test(credentials: Mapping[str, Any]) -> bool:
    return str(credentials.get("testnet", "")).strip().lower() in ("1", "true", "yes", "on")


def endpoints_for(given: BinanceEndpoints, test: bool) -> BinanceEndpoints:
    """Binance's own test hosts for a test account, where nobody has named others; and a WS API that lies where the sockets lie."""
    live = BinanceEndpoints()
    ws_api = given.spot_ws_api_root
    if ws_api == live.spot_ws_api_root and given.spot_ws_root != live.spot_ws_root:
        ws_api = given.spot_ws_root.rstrip("/") + "/ws-api/v3"
    chosen = {
        "spot_root": given.spot_root,
        "futures_root": given.futures_root,
        "spot_ws_root": given.spot_ws_root,
        "futures_ws_root": given.futures_ws_root,
        "spot_ws_api_root": ws_api,
    }
    if test:
        chosen = {name: getattr(TEST, name) if value == getattr(live, name) else value for name, value in chosen.items()}
    return BinanceEndpoints(**{name: value.rstrip("/") for name, value in chosen.items()})

"""Who sent a request and when: API key, HMAC and time window, checked as Binance checks them.

Pure: the caller gives the raw query and body as they came over the wire, the keys and the time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from tests.emulators.binance.errors import AHEAD, refusal

DEFAULT_WINDOW, LONGEST_WINDOW, AHEAD_MS = 5000, 60000, 1000
_KEY = re.compile(r"[A-Za-z0-9]{64}")


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def fields_of(query: str, body: str) -> dict[str, str]:
    """Parameters of both; the query's win."""
    return {**dict(parse_qsl(body, keep_blank_values=True)), **dict(parse_qsl(query, keep_blank_values=True))}


def check_key(key: str | None) -> str:
    """The key's format; whether it is known, and for what, its owner decides."""
    if not key:
        raise refusal(-2014)
    if not _KEY.fullmatch(key):
        raise refusal(-2014)
    return key


def check_signature(secret: str, query: str, body: str) -> None:
    """HMAC over the query followed by the body, both without the signature, exactly as they were sent."""
    given = fields_of(query, body).get("signature")
    if not given:
        raise refusal(-1102, name="signature")
    payload = _without_signature(query) + _without_signature(body)
    if not hmac.compare_digest(sign(secret, payload), given.lower()):
        raise refusal(-1022)


def check_window(fields: Mapping[str, str], now_ms: int) -> None:
    stamp = fields.get("timestamp", "")
    if not stamp.isdigit():
        raise refusal(-1102, name="timestamp")
    sent = int(stamp) // 1000 if len(stamp) > 14 else int(stamp)
    try:
        window = float(fields.get("recvWindow") or DEFAULT_WINDOW)
    except ValueError:
        raise refusal(-1102, name="recvWindow") from None
    if sent >= now_ms + AHEAD_MS:
        raise refusal(-1021, AHEAD)
    if now_ms - sent > min(window, LONGEST_WINDOW):
        raise refusal(-1021)


def socket_payload(params: Mapping[str, object]) -> str:
    """What the WS API signs: the parameters in alphabetical order."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _without_signature(text: str) -> str:
    return "&".join(part for part in text.split("&") if part and not part.startswith("signature="))

"""Kite's words: order states, error envelopes with the texts people meet, tokens and timestamps. Pure values and functions."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from engines.core.model import Timestamp
from engines.core.sessions import IST
from tests.emulators.core.exchange import Status
from tests.emulators.core.http import Answer, Failed
from tests.emulators.core.listing import Listed

STATUS = {
    Status.RECEIVED: "PUT ORDER REQ RECEIVED",
    Status.VALIDATING: "VALIDATION PENDING",
    Status.SENDING: "OPEN PENDING",
    Status.OPEN: "OPEN",
    Status.TRIGGER_PENDING: "TRIGGER PENDING",
    Status.MODIFY_VALIDATING: "MODIFY VALIDATION PENDING",
    Status.MODIFY_SENDING: "MODIFY PENDING",
    Status.MODIFIED: "MODIFIED",
    Status.CANCEL_SENDING: "CANCEL PENDING",
    Status.COMPLETE: "COMPLETE",
    Status.CANCELLED: "CANCELLED",
    Status.REJECTED: "REJECTED",
    Status.EXPIRED: "CANCELLED",  # Kite has no word of its own for the end of the day
}

BAD_SESSION = "Incorrect `api_key` or `access_token`."
BAD_TOKEN = "Token is invalid or has expired."
BAD_CHECKSUM = "Invalid `checksum`."
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
NO_PROTECTION = "Market orders without market protection are not allowed via API. Please set market protection or use a Limit order."
IN_FLIGHT = "Order cannot be {} as it is being processed. Try later."
TOO_MANY_CHANGES = "Maximum allowed order modifications exceeded."
DAY_IS_FULL = "Maximum allowed order requests exceeded."
ADDRESS = (
    "IP ({}) is not allowed to place orders for this app. Update allowed IPs on the Kite developer console. "
    "Learn more - https://support.zerodha.com/kite-api-static-ip"
)

CODES = {
    "TokenException": 403,
    "PermissionException": 403,
    "TwoFAException": 403,
    "InputException": 400,
    "OrderException": 400,
    "MarginException": 400,
    "HoldingException": 400,
    "UserException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}

SEGMENT_CODES = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "BCD": 6, "MCX": 7}
INDEX_CODE = 9


def success(data: Any) -> Answer:
    return Answer({"status": "success", "data": data})


def error(kind: str, message: str, status: int | None = None) -> Answer:
    return Answer({"status": "error", "message": message, "error_type": kind, "data": None}, status or CODES[kind])


def refuse(kind: str, message: str, status: int | None = None) -> Failed:
    return Failed(error(kind, message, status))


def token_of(listed: Listed) -> int:
    """instrument_token: the exchange's number, and the segment in the low byte."""
    instrument = listed.instrument
    code = INDEX_CODE if instrument.segment == "INDEX" else SEGMENT_CODES[instrument.exchange]
    return listed.token * 256 + code


@lru_cache(maxsize=4096)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second + IST, UTC).strftime("%Y-%m-%d %H:%M:%S")


def stamp(at: Timestamp) -> str:
    """Naive IST, as REST tells every time."""
    return _stamp(int(at))


def next_six(at: Timestamp) -> Timestamp:
    """The next 06:00 IST: when every session ends."""
    shifted = at + IST - 6 * 3600
    return (shifted // 86400 + 1) * 86400 + 6 * 3600 - IST

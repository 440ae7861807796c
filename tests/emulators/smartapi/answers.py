"""What SmartAPI says, as shapes: its two kinds of envelope, its error codes and texts, and the rows of its books.

Pure: rows are made from plain values. Money is a float in order rows and a string everywhere else, as at the broker.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

IST_SECONDS = 19_800
RATE_TEXT = "Access denied because of exceeding access rate"
NOT_ALLOWED_TYPE = "Market and IOC orders are not permitted for algo orders. Place a limit order."
ALGO_TYPE_CODE = "AB4047"  # not published: the broker says only that such orders are prohibited

# code → the words; those under "gateway" come in the `success` envelope
WORDS = {
    "AG8001": "Invalid Token",
    "AG8002": "Token Expired",
    "AG8003": "Token missing",
    "AB8050": "Invalid Refresh Token",
    "AG7002": "Access denied: Unregistered IP address. Register your IP before retrying.",
    "AB1006": "Client Is Block For Trading",
    "AB1050": "Invalid totp",
    "AB1000": "Invalid Email Or Password",
    "AB1004": "Something Went Wrong, Please Try After Sometime",
    "AB1008": "Invalid order variety",
    "AB1009": "Symbol Not Found",
    "AB1012": "Invalid Product Type",
    "AB1013": "Order not found",
    "AB2001": "Internal Error, Please try after sometime",
    "AB2002": "ROBO Order is blocked",
    "AB3001": "OrderId not found",
    "AB4008": "ordertag length should be less than 20 characters",
    "AB4018": "Symbol token cannot be empty",
}
GATEWAY = frozenset({"AG8001", "AG8002", "AG8003", "AG7002", "AB1006"})


def success(data: Any) -> dict[str, Any]:
    return {"status": True, "message": "SUCCESS", "errorcode": "", "data": data}


def failure(code: str, message: str | None = None, *, gateway: bool | None = None) -> dict[str, Any]:
    words = WORDS.get(code, "Request failed") if message is None else message
    if code in GATEWAY if gateway is None else gateway:
        return {"success": False, "message": words, "errorCode": code, "data": ""}
    return {"status": False, "message": words, "errorcode": code, "data": None}


def long_time(at: float | None) -> str:
    """`01-Sep-2025 09:20:31`, India's time; empty when there is none."""
    return "" if not at else time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(at + IST_SECONDS))


def clock_time(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at + IST_SECONDS))


def paise(price: Decimal | float) -> int:
    return int((Decimal(str(price)) * 100).to_integral_value())


def number(value: Decimal | None) -> float:
    return float(value or 0)


def money(value: Decimal, places: int = 2) -> str:
    return f"{value:.{places}f}"


def profile(client: str) -> dict[str, Any]:
    return {
        "clientcode": client,
        "name": "TEST USER",
        "email": "",
        "mobileno": "",
        "exchanges": ["nse_cm", "bse_cm", "nse_fo", "mcx_fo", "cde_fo", "bse_fo"],
        "products": ["DELIVERY", "INTRADAY", "MARGIN"],
        "lastlogintime": "",
        "brokerid": "B2C",
    }


def funds(cash: Decimal, used: Decimal, unrealised: Decimal, realised: Decimal) -> dict[str, Any]:
    free = money(cash - used, 4)
    return {
        "net": free,
        "availablecash": free,
        "availableintradaypayin": "0.0000",
        "availablelimitmargin": "0.0000",
        "collateral": "0.0000",
        "m2munrealized": money(unrealised, 4),
        "m2mrealized": money(realised, 4),
        "utiliseddebits": money(used, 4),
        "utilisedspan": None,
        "utilisedoptionpremium": None,
        "utilisedholdingsales": None,
        "utilisedexposure": None,
        "utilisedturnover": None,
        "utilisedpayout": "0.0000",
    }


BLANK_ORDER: dict[str, Any] = {
    "variety": "",
    "ordertype": "",
    "ordertag": "",
    "producttype": "",
    "price": 0,
    "triggerprice": 0,
    "quantity": "0",
    "disclosedquantity": "0",
    "duration": "",
    "squareoff": 0,
    "stoploss": 0,
    "trailingstoploss": 0,
    "tradingsymbol": "",
    "transactiontype": "",
    "exchange": "",
    "symboltoken": "",
    "instrumenttype": "",
    "strikeprice": 0,
    "optiontype": "",
    "expirydate": "",
    "lotsize": "0",
    "cancelsize": "0",
    "averageprice": 0,
    "filledshares": "",
    "unfilledshares": "",
    "orderid": "",
    "text": "",
    "status": "",
    "orderstatus": "",
    "updatetime": "",
    "exchtime": "",
    "exchorderupdatetime": "",
    "fillid": "",
    "filltime": "",
    "parentorderid": "",
}
"""The order of the first message of the update stream: every key, nothing said."""

STATUS_CODES = {
    "open": "AB01",
    "cancelled": "AB02",
    "rejected": "AB03",
    "modified": "AB04",
    "complete": "AB05",
    "open pending": "AB09",
    "trigger pending": "AB10",
    "modify pending": "AB11",
}


def update(client: str, row: dict[str, Any] | None, error: str = "") -> dict[str, Any]:
    """One message of the order stream: the book's row without its two exchange ids; None: the greeting."""
    said = {"user-id": client, "status-code": "200", "order-status": "AB00", "error-message": error, "orderData": BLANK_ORDER}
    if row is not None:
        said["order-status"] = STATUS_CODES.get(row["orderstatus"], "AB09")
        said["orderData"] = {k: v for k, v in row.items() if k not in ("uniqueorderid", "exchangeorderid")}
    return said


def day_stamp(at: float) -> str:
    """`250901`, India's day."""
    return time.strftime("%y%m%d", time.gmtime(at + IST_SECONDS))

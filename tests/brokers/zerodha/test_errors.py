"""What an answer of Zerodha's proves: the table, row by row, in the words of the fact sheet."""

from __future__ import annotations

import pytest

from engines.brokers.zerodha.errors import UNREADABLE, UNSENDABLE, classify
from engines.ports import NeedsLogin, Refused, Retry, Unknown

TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
NO_PROTECTION = "Market orders without market protection are not allowed via API. Please set market protection or use a Limit order."
ADDRESS = (
    "IP (203.0.113.9) is not allowed to place orders for this app. Update allowed IPs on the Kite developer console. Learn more - https://x"
)
FUNDS = "Insufficient funds. Required margin is 228365.92 but available margin is 228358.50."

# fmt: off
CASES = [
    # call      status code                   message                                                       means
    # an order's fate is proved: it does not exist
    ("place",   400, "InputException",        "Invalid `quantity`.",                                        Refused),
    ("place",   400, "InputException",        NO_PROTECTION,                                                Refused),
    ("place",   400, "InputException",        "Invalid tag. It should be alphanumeric and up to 8 chars",   Refused),
    ("place",   400, "InputException",        "Quantity should be a multiple of lot size 65",               Refused),
    ("place",   400, "InputException",        "Tick size for this script is 0.10. Kindly enter price in the multiple of tick size", Refused),
    ("place",   400, "InputException",        "Quantity freeze limit of 1800 exceeded",                     Refused),
    ("place",   400, "InputException",        "The order price is outside the circuit limits",              Refused),
    ("place",   400, "InputException",        "Your order price is outside the limit price protection range", Refused),
    ("place",   400, "InputException",        "Your order could not be converted to a After Market Order (AMO).", Refused),
    ("place",   400, "InputException",        "TOTP is mandatory to place orders on third-party apps.",     Refused),
    ("place",   400, "OrderException",        "Trading in this contract is blocked",                        Refused),
    ("place",   400, "GeneralException",      FUNDS,                                                        Refused),  # MarginException in the SDK
    ("place",   400, "MarginException",       FUNDS,                                                        Refused),
    ("place",   400, "GeneralException",      f"{FUNDS} Check the orderbook for open orders.",             Refused),
    ("place",   500, "GeneralException",      "Insufficient funds",                                         Unknown),
    ("place",   400, "HoldingException",      "Insufficient stock holding",                                 Refused),
    ("place",   400, "UserException",         "The account is blocked",                                     Refused),
    ("place",   404, "GeneralException",      "Route not found",                                            Refused),
    ("place",   405, "GeneralException",      "Method not allowed",                                         Refused),
    ("place",   403, "PermissionException",   "Insufficient permission for that call.",                     Refused),
    ("place",   403, "PermissionException",   ADDRESS,                                                      Refused),
    ("place",   400, "InputException",        ADDRESS,                                                      Refused),
    ("place",   429, "NetworkException",      "Maximum allowed order requests exceeded.",                   Refused),
    ("place",   400, "InputException",        "Maximum allowed order requests exceeded.",                   Refused),
    # the session
    ("place",   403, "TokenException",        "Incorrect `api_key` or `access_token`.",                     NeedsLogin),
    ("cancel",  403, "TokenException",        "Incorrect `api_key` or `access_token`.",                     NeedsLogin),
    ("read",    403, "TokenException",        "Incorrect `api_key` or `access_token`.",                     NeedsLogin),
    # turned away before the order system saw it
    ("place",   429, "NetworkException",      "Too many requests",                                          Retry),
    ("modify",  429, "NetworkException",      "Too many requests",                                          Retry),
    ("read",    429, "NetworkException",      "Too many requests",                                          Retry),
    ("read",    429, UNREADABLE,              "",                                                           Retry),
    # nobody can say
    ("place",   400, "InputException",        TIMED_OUT,                                                    Unknown),
    ("place",   400, "OrderException",        TIMED_OUT,                                                    Unknown),
    ("place",   400, "NetworkException",      "Gateway timed out",                                          Unknown),
    ("place",   500, "GeneralException",      "Something went wrong",                                       Unknown),
    ("place",   500, "OrderException",        "Order placement failed",                                     Unknown),
    ("place",   502, "DataException",         "The OMS's answer was not understood",                        Unknown),
    ("place",   503, "NetworkException",      "Could not reach the OMS",                                    Unknown),
    ("place",   504, "NetworkException",      "Gateway timeout",                                            Unknown),
    ("place",   502, UNREADABLE,              "",                                                           Unknown),
    ("place",   200, UNREADABLE,              "",                                                           Unknown),
    ("place",   302, UNREADABLE,              "",                                                           Unknown),
    ("place",   403, UNREADABLE,              "",                                                           Unknown),
    ("place",   429, UNREADABLE,              "",                                                           Unknown),
    ("place",   None, "SomethingNew",         "?",                                                          Unknown),
    ("place",   418, "SomethingNew",          "?",                                                          Unknown),
    ("place",   200, None,                    "",                                                           Unknown),
    ("cancel",  503, "NetworkException",      "Could not reach the OMS",                                    Unknown),
    ("modify",  400, "InputException",        TIMED_OUT,                                                    Unknown),
    # changes of an order
    ("cancel",  400, "OrderException",        "Order cannot be cancelled, it is complete",                  Refused),
    ("cancel",  404, "InputException",        "Couldn't find that `order_id`.",                             Unknown),
    ("cancel",  400, "OrderException",        "Couldn't find that `order_id`.",                             Unknown),
    ("modify",  404, "OrderException",        "Couldn't find that `order_id`.",                             Unknown),
    ("read",    404, "InputException",        "Couldn't find that `order_id`.",                             Refused),
    ("modify",  400, "InputException",        NO_PROTECTION,                                                Refused),
    ("modify",  400, "InputException",        "Order cannot be modified as it is being processed. Try later.", Retry),
    ("modify",  400, "InputException",        "Maximum allowed order modifications exceeded.",              Refused),
    ("modify",  503, "NetworkException",      "Maximum allowed order modifications exceeded.",              Refused),
    # reads
    ("read",    400, "InputException",        "Invalid order id",                                           Refused),
    ("read",    403, "PermissionException",   "Insufficient permission for that call.",                     Refused),
    ("read",    500, "GeneralException",      "Something went wrong",                                       Retry),
    ("read",    503, "NetworkException",      "Could not reach the OMS",                                    Retry),
    ("read",    502, UNREADABLE,              "",                                                           Retry),
    ("read",    200, UNREADABLE,              "",                                                           Retry),
    ("read",    None, None,                   "",                                                           Retry),
    ("read",    None, UNSENDABLE,             "",                                                           NeedsLogin),
    ("place",   None, UNSENDABLE,             "",                                                           Unknown),
    # signing in
    ("login",   403, "TokenException",        "Invalid `checksum`.",                                        NeedsLogin),
    ("login",   403, "TokenException",        "Token is invalid or has expired.",                           NeedsLogin),
    ("login",   400, "InputException",        "Invalid `api_key`.",                                         Refused),
    ("login",   400, "InputException",        "Missing `request_token`.",                                   Refused),
    ("login",   503, "NetworkException",      "Gateway timed out",                                          Retry),
    ("login",   502, UNREADABLE,              "",                                                           Retry),
]
# fmt: on


@pytest.mark.parametrize(("call", "status", "code", "message", "means"), CASES)
def test_an_answer_proves_what_the_table_says(call, status, code, message, means):
    assert type(classify(call, status, code, message)) is means


@pytest.mark.parametrize("case", [case for case in CASES if case[4] is Unknown])
def test_what_never_left_is_in_no_doubt(case):
    call, status, code, message, _ = case
    assert type(classify(call, status, code, message, sent=False)) is Retry


@pytest.mark.parametrize(
    ("call", "status", "code", "message", "text"),
    [
        ("place", 400, "GeneralException", FUNDS, f"Zerodha refused the order: {FUNDS[:-1]}"),
        (
            "place",
            403,
            "PermissionException",
            ADDRESS,
            "This machine's address (203.0.113.9) is not registered for this app at Zerodha: add it in the developer console",
        ),
        ("read", 403, "TokenException", "x", "the session at Zerodha is over: log in again"),
        (
            "place",
            502,
            UNREADABLE,
            "<html>",
            "Zerodha sent an error page, as when its service is down or busy (HTTP 502): only its order book can say what became of the order",
        ),
        ("login", 403, UNREADABLE, "<html>", "Zerodha sent a page instead of an answer (HTTP 403)"),
        ("read", 200, UNREADABLE, "", "Zerodha sent an answer that lacks what was asked for (HTTP 200)"),
        ("read", None, UNREADABLE, "", "Zerodha sent nothing that can be read"),
        ("login", None, UNSENDABLE, "", "a key or token of this account has a character that Zerodha's never have: enter the keys again"),
        ("read", None, None, "", "Zerodha cannot answer now (no answer came)"),
        ("cancel", 400, "OrderException", "<b>odd</b>", "Zerodha did not cancel the order: no reason given"),
        ("place", 400, "InputException", "two\n  lines", "Zerodha refused the order: two lines"),
    ],
)
def test_the_words_are_fit_for_people(call, status, code, message, text):
    assert str(classify(call, status, code, message)) == text


def test_long_words_are_cut():
    assert len(str(classify("place", 400, "InputException", "x" * 5000))) < 300

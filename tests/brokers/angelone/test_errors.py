"""What Angel One's answers prove, as a table: call, HTTP status, code, words → what the caller must do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.brokers.angelone.errors import Call, classify
from engines.ports import NeedsLogin, Refused, Retry, TandemError, Unknown

SAMPLES = Path(__file__).parents[3].parent / "shared" / "brokers" / "angelone-samples"
OVER = "Access denied because of exceeding access rate"
HTML = ""  # a page is not an envelope: nothing of it is read

ROWS: list[tuple[Call, int | None, str, str, type[TandemError]]] = [
    # the session
    ("place", 200, "AG8001", "Invalid Token", NeedsLogin),
    ("place", 401, "AG8001", "Invalid Token", NeedsLogin),
    ("place", 403, "AG8002", "Token Expired", NeedsLogin),
    ("cancel", 200, "AG8003", "Token missing", NeedsLogin),
    ("modify", 200, "AB1010", "AMX session expired", NeedsLogin),
    ("place", 200, "AB1011", "Client not logged in", NeedsLogin),
    ("read", 200, "AG8001", "Invalid Token", NeedsLogin),
    ("read", 200, "AB8050", "Invalid Refresh Token", NeedsLogin),
    ("read", 200, "AB8051", "Refresh Token Expired", NeedsLogin),
    ("read", 200, "AB1010", "AMX session expired", NeedsLogin),
    ("read", 401, "", "", NeedsLogin),
    ("place", 401, "", "", NeedsLogin),
    # the address
    ("place", 200, "AG7002", "Access denied: Unregistered IP address. Register your IP before retrying.", Refused),
    ("cancel", 403, "AG7002", "Access denied: Unregistered IP address.", Refused),
    ("modify", 200, "ag7002", "Access denied", Refused),
    # signing in
    ("login", 200, "AB1050", "Invalid totp", NeedsLogin),
    ("login", 200, "AB9999", "Invalid totp", NeedsLogin),
    ("login", 200, "AB1000", "Invalid email or password", Refused),
    ("login", 200, "AB1001", "Invalid email", Refused),
    ("login", 200, "AB1002", "Invalid password length", Refused),
    ("login", 200, "AB1005", "User type must be USER", Refused),
    ("login", 200, "AB1031", "Old password mismatch", Refused),
    ("login", 200, "AB1032", "User not found", Refused),
    ("login", 200, "AB1007", "Login Id or password is invalid", Refused),
    ("login", 200, "AB1006", "Client Is Block For Trading", Refused),
    ("login", 200, "AG8001", "Invalid Token", Refused),
    ("login", 200, "AB7777", "A reason nobody has heard of", NeedsLogin),
    ("login", 200, "AB1004", "Something Went Wrong, Please Try After Sometime", Retry),
    ("login", 403, "", OVER, Retry),
    ("login", 502, "", HTML, Retry),
    ("login", 200, "", "", Retry),
    ("login", None, "", "", Retry),
    # a client who may not trade
    ("place", 200, "AB1006", "Client Is Block For Trading", Refused),
    ("read", 200, "AB1006", "Client Is Block For Trading", Refused),
    # too many calls: nobody has promised that such an order is not booked
    ("place", 403, "", OVER, Unknown),
    ("cancel", 403, "", OVER, Unknown),
    ("modify", 200, "AB1021", "Too many requests", Unknown),
    ("place", 429, "", "", Unknown),
    ("read", 403, "", OVER, Retry),
    ("read", 200, "AB1021", "Too many requests", Retry),
    ("read", 429, "", "", Retry),
    # trouble behind the gateway
    ("place", 200, "AB1004", "Something Went Wrong, Please Try After Sometime", Unknown),
    ("place", 200, "AB2000", "Error not specified", Unknown),
    ("place", 200, "AB2001", "Internal Error", Unknown),
    ("place", 200, "AB1007", "failed response, error Put Order Response : Request not registered", Unknown),
    ("read", 200, "AB1004", "Something Went Wrong, Please Try After Sometime", Retry),
    ("read", 200, "AB2001", "Internal Error", Retry),
    ("place", 503, "AB1008", "in the broker's own shape, from a server in trouble", Unknown),
    ("place", 502, "", HTML, Unknown),
    ("modify", 500, "", "", Unknown),
    ("read", 502, "", HTML, Retry),
    # refusals
    ("place", 200, "AB1008", "Invalid variety", Refused),
    ("place", 200, "AB1009", "Symbol not found", Refused),
    ("place", 200, "AB1012", "Invalid product type", Refused),
    ("place", 200, "AB2002", "ROBO order is blocked", Refused),
    ("place", 200, "AB4008", "ordertag length should be less than 20", Refused),
    ("place", 200, "AB4036", "consent needed", Refused),
    ("cancel", 200, "AB3001", "OrderId not found", Refused),
    ("modify", 200, "AB1013", "Order not found", Refused),
    # what is not in any document
    ("place", 200, "AB1013", "Order not found", Unknown),
    ("place", 200, "AB7777", "A reason nobody has heard of", Unknown),
    ("place", 200, "", "", Unknown),
    ("place", 400, "", "", Unknown),
    ("place", 403, "", "Request Rejected - Support ID 123", Unknown),
    ("place", 404, "", "", Unknown),
    ("place", None, "", "", Unknown),
    ("cancel", None, "", "", Unknown),
    ("read", 200, "AB1013", "Order not found", Retry),
    ("read", 200, "", "", Retry),
    ("read", None, "", "", Retry),
]


@pytest.mark.parametrize(
    ("call", "status", "code", "words", "means"), ROWS, ids=[f"{n}-{r[0]}-{r[1]}-{r[2] or 'none'}" for n, r in enumerate(ROWS)]
)
def test_an_answer_means(call: Call, status: int | None, code: str, words: str, means: type[TandemError]) -> None:
    assert type(classify(call, status, code, words, sent=True)) is means


@pytest.mark.parametrize("call", ["place", "cancel", "modify", "read", "login"])
def test_what_was_never_sent_may_be_tried_again(call: Call) -> None:
    assert type(classify(call, None, "", "", sent=False)) is Retry


def test_the_documented_errors_prove_nothing_but_what_they_say() -> None:
    means = {}
    for sample in json.loads((SAMPLES / "errors.json").read_text()):
        body = sample.get("body", {})
        code = body.get("errorcode") or body.get("errorCode")
        words = body.get("message") or sample.get("text", "")
        means[code or "plain text"] = type(classify("place", sample["http"], code, words, sent=True)).__name__
    assert means == {
        "AG8001": "NeedsLogin",
        "AB1006": "Refused",
        "AB1050": "Unknown",
        "AB1004": "Unknown",
        "AB3001": "Unknown",
        "AB1007": "Unknown",
        "plain text": "Unknown",
        "AG7002": "Refused",
    }


def test_a_text_says_what_to_do_in_one_short_line() -> None:
    address = str(classify("place", 200, "AG7002", "Access denied: Unregistered IP address.", sent=True))
    assert "not registered" in address
    assert "developer portal" in address
    long = str(classify("place", 200, "AB1009", "word " * 500 + "\nsecond line", sent=True))
    assert len(long) < 300
    assert "\n" not in long

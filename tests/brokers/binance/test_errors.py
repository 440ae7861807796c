"""What each answer of Binance proves, as a table."""

from __future__ import annotations

import pytest

from engines.brokers.binance.errors import Answer, Means, classify, meaning
from engines.ports import NeedsLogin, Refused, Retry, TandemError, Unknown

R, U, W, K = Refused, Unknown, Retry, NeedsLogin

ROWS = [
    # call, status, code, words, what it means
    ("place", 400, -1000, "An unknown error occurred while processing the request.", U),
    ("place", 500, -1001, "Internal error; unable to process your request.", U),
    ("place", 408, -1007, "Timeout waiting for response from backend server.", U),
    ("place", 503, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.", U),
    ("place", 400, -1006, "An unexpected response was received from the message bus. Execution status unknown.", U),
    ("place", 503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", W),
    ("place", 503, None, "Service Unavailable.", W),
    ("place", 503, None, "Unknown error, please check your request or try again later.", U),
    ("place", 502, None, "<html>502 Bad Gateway</html>", U),
    ("place", 500, None, "", U),
    ("place", 504, None, "", U),
    ("place", 200, None, "", U),
    ("place", 403, None, "<html>403 Forbidden</html>", U),
    ("place", 404, None, "", U),
    ("place", 408, None, "", U),
    ("place", 429, -1003, "Too many requests.", W),
    ("place", 429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", W),
    ("place", 418, -1003, "Way too much request weight used; IP banned until 1.", W),
    ("place", 400, -1021, "Timestamp for this request is outside of the recvWindow.", W),
    ("place", 400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.", W),
    ("place", 401, -2015, "Invalid API-key, IP, or permissions for action.", K),
    ("place", 401, -2014, "API-key format invalid.", K),
    ("place", 400, -1022, "Signature for this request is not valid.", K),
    ("place", 401, -1002, "You are not authorized to execute this request.", K),
    ("place", 401, None, "", K),
    ("place", 451, 0, "Service unavailable from a restricted location.", R),
    ("place", 400, -1013, "Filter failure: LOT_SIZE", R),
    ("place", 400, -1013, "Filter failure: NOTIONAL", R),
    ("place", 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", R),
    ("place", 400, -1100, "Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.", R),
    ("place", 400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.", R),
    ("place", 400, -1106, "Parameter 'price' sent when not required.", R),
    ("place", 400, -1111, "Precision is over the maximum defined for this asset.", R),
    ("place", 400, -1116, "Invalid orderType.", R),
    ("place", 400, -1121, "Invalid symbol.", R),
    ("place", 400, -2010, "Account has insufficient balance for requested action.", R),
    ("place", 400, -2010, "Order would trigger immediately.", R),
    ("place", 400, -2010, "Market is closed.", R),
    ("place", 400, -2010, "Duplicate order sent.", U),
    ("place", 400, -4116, "clientOrderId is duplicated", U),
    ("place", 400, -2018, "Balance is insufficient.", R),
    ("place", 400, -2019, "Margin is insufficient.", R),
    ("place", 400, -2021, "Order would immediately trigger.", R),
    ("place", 400, -2022, "ReduceOnly Order is rejected.", R),
    ("place", 400, -2025, "Reach max open order limit.", R),
    ("place", 400, -2027, "Exceeded the maximum allowable position at current leverage.", R),
    ("place", 400, -4003, "Quantity less than or equal to zero.", R),
    ("place", 400, -4014, "Price not increased by tick size.", R),
    ("place", 400, -4061, "Order's position side does not match user's setting.", R),
    ("place", 400, -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.", R),
    ("place", 400, -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.", R),
    ("place", 400, -4164, "Order's notional must be no smaller than 100 (unless you choose reduce only).", R),
    ("place", 400, -4400, "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, please try again later.", R),
    ("place", 400, -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected.", R),
    ("place", 400, -9999, "Something new.", R),
    ("cancel", 400, -2011, "Unknown order sent.", R),
    ("cancel", 503, None, "Unknown error, please check your request or try again later.", U),
    ("cancel", 400, -1007, "Timeout.", U),
    ("modify", 400, -4028, "Leverage 500 is not valid", R),
    ("modify", 400, -4047, "Margin type cannot be changed if there exists open orders.", R),
    ("modify", 400, -4048, "Margin type cannot be changed if there exists position.", R),
    ("modify", 400, -4046, "No need to change margin type.", R),
    ("modify", 502, None, "", U),
    ("read", 400, -2013, "Order does not exist.", R),
    ("read", 500, None, "", W),
    ("read", 503, -1007, "Timeout.", W),
    ("read", 200, None, "", W),
    ("read", 403, None, "<html></html>", W),
    ("read", 401, -2015, "Invalid API-key, IP, or permissions for action.", K),
    ("read", 429, -1003, "Too many requests.", W),
    ("login", 404, None, "", W),
    ("login", 400, -1022, "Signature for this request is not valid.", K),
    ("login", 451, 0, "Service unavailable from a restricted location.", R),
]


@pytest.mark.parametrize(("call", "status", "code", "words", "wanted"), ROWS, ids=range(len(ROWS)))
def test_what_an_answer_proves(call: str, status: int, code: int | None, words: str, wanted: type[TandemError]) -> None:
    error = classify(call, status, code, words, True)  # type: ignore[arg-type]
    assert type(error) is wanted
    assert str(error)
    assert "<" not in str(error)


def test_nothing_that_has_not_left_can_have_been_booked() -> None:
    assert type(classify("place", None, None, "", False)) is Retry


def test_a_name_that_exists_is_asked_for() -> None:
    assert meaning("place", 400, -4116, "clientOrderId is duplicated").means is Means.EXISTS
    assert meaning("place", 400, -2010, "Duplicate order sent.").means is Means.EXISTS


def test_what_binance_asks_to_wait_is_waited() -> None:
    error = classify("read", 429, -1003, "Too many requests.", True, retry_after=17.0)
    assert isinstance(error, Retry)
    assert error.after == 17.0


def test_a_refusal_is_told_in_binances_words_and_helpfully() -> None:
    told = str(classify("place", 400, -2010, "Account has insufficient balance for requested action.", True))
    assert told == "Binance refused the order: Account has insufficient balance for requested action. (-2010)"
    assert "permission" in str(classify("login", 401, -2015, "Invalid API-key, IP, or permissions for action.", True))
    assert "NTP" in str(classify("place", 400, -1021, "Timestamp for this request is outside of the recvWindow.", True))


def test_an_answer_shows_no_words_of_its_own() -> None:
    """Exceptions end up in logs; the words are cleaned before they are passed on."""
    assert "canary" not in repr(Answer(400, -1, "canary")) + str(Answer(400, -1, "canary"))

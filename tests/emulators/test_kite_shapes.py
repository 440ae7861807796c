"""What the emulated Kite answers has the keys and types of the published samples, wherever a sample exists."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.core.exchange import Quote
from tests.emulators.core.listing import Listed, indian_market
from tests.emulators.kite import KiteEmulator
from tests.emulators.kite.market import HEADER
from tests.emulators.kite.packets import packet
from tests.emulators.kite_rig import Customer

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "brokers" / "kite-mocks"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the published samples do not lie beside the project")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differs(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Where our answer lacks a key of the sample or has another type in it; null fits everywhere, and lists are compared by their firsts."""
    if theirs is None or ours is None:
        return []
    if kind(ours) != kind(theirs):
        return [f"{at}: {kind(ours)} instead of {kind(theirs)}"]
    if isinstance(theirs, dict):
        missing = [f"{at}.{name} is missing" for name in theirs if name not in ours]
        return missing + [x for name in theirs if name in ours for x in differs(ours[name], theirs[name], f"{at}.{name}")]
    if isinstance(theirs, list) and theirs and ours:
        return differs(ours[0], theirs[0], f"{at}[]")
    return []


@pytest.fixture(scope="module")
def customer() -> Iterator[Customer]:
    with KiteEmulator(seed=5) as emulator, Customer(emulator) as made:
        emulator.hold(made.account, "NSE:SBIN", 20, 700)
        made.order("BUY", 2)
        made.first = made.order("BUY", 1, price=1400)  # type: ignore[attr-defined]
        yield made


def raw(customer: Customer, method: str, path: str, body: Any = None, **fields: Any) -> Any:
    """The answer before the SDK has its way with it."""
    given = customer.account.credentials
    headers = {"X-Kite-Version": "3", "Authorization": f"token {given['api_key']}:{given['access_token']}"}
    url = customer.emulator.url + path
    session = customer.kite.reqsession
    answer = session.request(
        method, url, headers=headers, json=body, **({"params": fields} if method in ("GET", "DELETE") else {"data": fields or None})
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": 1,
    "product": "MIS",
    "order_type": "LIMIT",
    "price": 1400,
}
MARGIN_OF = [{**ORDER, "variety": "regular"}]


@pytest.mark.parametrize(
    ("name", "method", "path", "fields"),
    [
        ("profile.json", "GET", "/user/profile", {}),
        ("full_profile.json", "GET", "/user/profile/full", {}),
        ("margins.json", "GET", "/user/margins", {}),
        ("margin_commodity.json", "GET", "/user/margins/commodity", {}),
        ("order_response.json", "POST", "/orders/regular", ORDER),
        ("order_modify.json", "PUT", "/orders/regular/{order}", {"price": 1401}),
        ("order_info.json", "GET", "/orders/{order}", {}),
        ("ltp.json", "GET", "/quote/ltp", {"i": "NSE:INFY"}),
        ("holdings_compact.json", "GET", "/portfolio/holdings/compact", {}),
        ("trigger_range.json", "GET", "/instruments/trigger_range/buy", {"i": ["NSE:INFY", "NSE:RELIANCE"]}),
        ("historical_minute.json", "GET", "/instruments/historical/408065/day", {"from": "2026-01-01", "to": "2026-01-31"}),
    ],
)
def test_answers(customer: Customer, name: str, method: str, path: str, fields: dict[str, Any]) -> None:
    path = path.replace("{order}", customer.first)  # type: ignore[attr-defined]
    assert differs(raw(customer, method, path, **fields), sample(name)) == []


def test_order_margins(customer: Customer) -> None:
    assert differs(raw(customer, "POST", "/margins/orders", MARGIN_OF), sample("order_margins.json")) == []


def test_a_cancel(customer: Customer) -> None:
    order = customer.order(price=1300)
    assert differs(raw(customer, "DELETE", f"/orders/regular/{order}"), sample("order_cancel.json")) == []


def test_slices(customer: Customer) -> None:
    future = next(x for x in customer.emulator.exchange.quotes if x.endswith("FUT")).partition(":")[2]
    fields = {
        **ORDER,
        "exchange": "NFO",
        "tradingsymbol": future,
        "quantity": 65 * 30,
        "price": 24000,
        "autoslice": "true",
    }
    assert differs(raw(customer, "POST", "/orders/regular", **fields), sample("autoslice_response.json")) == []


def test_a_converted_position(customer: Customer) -> None:
    fields = {**ORDER, "position_type": "day", "old_product": "MIS", "new_product": "CNC"}
    assert raw(customer, "PUT", "/portfolio/positions", **fields) == sample("convert_position.json")


def test_a_session_and_its_end(customer: Customer) -> None:
    emulator = customer.emulator
    with Customer(emulator) as other:
        desk = emulator.login_desk
        token = emulator.do(lambda: desk.secret(32))
        desk.request_tokens[token] = (other.account.name, emulator.clock.now() + 60)
        session = other.kite.generate_session(token, other.account.credentials["api_secret"])
        theirs = sample("generate_session.json")["data"]
        session["login_time"] = theirs["login_time"]  # the SDK has made a datetime of it
        assert differs(session, theirs) == []
        other.kite.set_access_token(session["access_token"])
        out = raw(other, "DELETE", "/session/token", api_key=other.account.credentials["api_key"], access_token=session["access_token"])
        assert out == sample("session_logout.json")


def test_a_pushed_order(customer: Customer) -> None:
    from tests.emulators.kite.shapes import push_row

    order = customer.account.orders[customer.first]  # type: ignore[attr-defined]
    theirs = sample("postback.json")
    assert differs(push_row(order, 408065, "UPDATE", 1234, "ab"), theirs) == []


def test_the_instrument_list_has_its_columns() -> None:
    with (SAMPLES / "instruments_all.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == HEADER.split(",")


def test_a_quote_packet_is_the_published_one() -> None:
    """Byte for byte, from the sample's own values."""
    theirs, infy = sample("ticker_quote.json"), next(x for x in indian_market(0) if x.token == 1594)
    made = packet(quote_of(infy, theirs), "quote")
    published = base64.b64decode((SAMPLES / "ticker_quote.packet").read_text(encoding="ascii"))
    # The emulator has no average price, last quantity or queue sizes of its own: bytes 8 to 16 and 20 to 28.
    assert made[:8] + made[16:20] + made[28:] == published[:8] + published[16:20] + published[28:]
    assert (len(made), packet(quote_of(infy, theirs), "ltp")) == (44, published[:8])


def quote_of(listed: Listed, values: dict[str, Any]) -> Quote:
    ohlc = {name: Decimal(str(x)) for name, x in values["ohlc"].items()}
    last = Decimal(str(values["last_price"]))
    quote = Quote(listed, last, last, last, 0.0, **ohlc)
    return replace(quote, volume=values["volume"])

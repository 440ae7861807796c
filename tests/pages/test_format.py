"""Numbers and moments as people read them; the browser writes the same (see test_browser)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.pages import format as fmt
from app.pages import words

NUMBERS = [
    # shape, value, text
    ("money", "100000", "₹1,00,000.00"),
    ("money", "1234567.5", "₹12,34,567.50"),
    ("money", "999.995", "₹1,000.00"),
    ("money", "-0.004", "₹0.00"),
    ("money", "-1520.05", "−₹1,520.05"),
    ("money", None, "–"),
    ("money0", "1504.5", "₹1,505"),
    ("signed", "19293.45", "+₹19,293.45"),
    ("signed", "-3412.4", "−₹3,412.40"),
    ("signed", "0", "₹0.00"),
    ("signed0", "99999.5", "+₹1,00,000"),
    ("price", "1520.05", "1,520.05"),
    ("price", "789.45073529", "789.45"),
    ("price", "1.23456", "1.2346"),
    ("price", "9.87654321", "9.8765"),
    ("price", "45.678", "45.68"),
    ("price", "0.123456", "0.1235"),
    ("coin", "0.00001234", "0.00001234"),
    ("coin", "45.123456", "45.1235"),
    ("coin", "64123.12345678", "64,123.12"),
    ("coin", None, "–"),
    ("rate", "83.2575", "83.2575"),
    ("rate", "83.5", "83.50"),
    ("rate", "-104.12345", "−104.1235"),
    ("rate", None, "–"),
    ("price", "45", "45.00"),
    ("price8", "0.00012345", "0.00012345"),
    ("price8", "0.0000001", "0.00000010"),
    ("price4", "83.25", "83.2500"),
    ("price4", "-83.25755", "−83.2576"),
    ("price2", "64123.1", "64,123.10"),
    ("price2", None, "–"),
    ("quantity", "1500", "1,500"),
    ("quantity", "0.0025", "0.0025"),
    ("signed_quantity", "-20", "−20"),
    ("signed_quantity", "150", "+150"),
    ("percent", "85.31", "85.3 %"),
    ("count", "7", "7"),
    ("unread", "99", "99"),
    ("unread", "100", "99+"),
    ("age", "240", "240 ms"),
    ("age", "3200", "3.2 s"),
    ("age", "61000", "1 min"),
    ("age", "7200000", "2 h"),
    ("age", None, "–"),
    ("millis", "0.44", "0.4 ms"),
    ("millis", "140.2", "140 ms"),
]


SUMS = [
    # value, currency, text with its sign
    ("1234.567", "USDT", "+1,234.57 USDT"),
    ("0.01", "USDT", "+0.01 USDT"),
    ("-0.00987654", "USDT", "−0.00988 USDT"),
    ("0.0005", "USDT", "+0.0005 USDT"),
    ("0.000012345", "BTC", "+0.0000123 BTC"),
    ("0.000000012", "USDT", "+0.00000001 USDT"),
    ("-0.000000004", "USDT", "0.00 USDT"),
    ("0", "USDT", "0.00 USDT"),
    ("0.004", "INR", "₹0.00"),
]
SHAPES = [
    # symbol, tick, shape
    ("NSE:INFY", "0.05", "price2"),
    ("NSE:INFY", "0.10", "price2"),
    ("NSE:NIFTY 50", "1", "price2"),
    ("CDS:USDINR26DECFUT", "0.0025", "price4"),
    ("BINANCE:SHIBUSDT", "0.00000001", "price8"),
    ("BINANCE:SHIBUSDT", None, "coin"),
    ("CDS:USDINR26DECFUT", None, "rate"),
    ("NSE:INFY", None, "price"),
]


@pytest.mark.parametrize(("value", "currency", "text"), SUMS)
def test_a_small_sum_of_coins_is_not_nothing(value: str, currency: str, text: str) -> None:
    assert fmt.money(value, currency, signed=True) == text


@pytest.mark.parametrize(("symbol", "tick", "shape"), SHAPES)
def test_a_price_has_the_places_of_its_tick(symbol: str, tick: str | None, shape: str) -> None:
    assert fmt.price_shape(symbol, None if tick is None else Decimal(tick)) == shape


@pytest.mark.parametrize(("shape", "value", "text"), NUMBERS)
def test_numbers(shape: str, value: str | None, text: str) -> None:
    assert words.shaped(None if value is None else Decimal(value), shape) == text


def test_a_currency_without_a_sign_is_named() -> None:
    assert fmt.money("1234.5", "USDT") == "1,234.50 USDT"


def test_moments_are_in_the_market_s_zone() -> None:
    at = datetime(2026, 11, 20, 18, 45, 3, 250_000, tzinfo=UTC)
    assert fmt.clock(at) == "00:15:03"
    assert fmt.clock(at, millis=True) == "00:15:03.250"
    assert fmt.date(at) == "21 Nov 2026"
    assert 'title="21 Nov 2026 00:15:03 IST"' in fmt.when(at)
    assert fmt.iso(at) == "2026-11-20T18:45:03.250000Z"


@pytest.mark.parametrize(
    ("value", "text"), [("1520.0500", "1520.05"), (Decimal("5E+5"), "500000"), (None, ""), ("nonsense", ""), ("NaN", "")]
)
def test_a_field_gets_a_plain_number(value: object, text: str) -> None:
    assert fmt.plain(value) == text


def test_tones_follow_the_sign() -> None:
    assert [fmt.tone(x) for x in ("1", "-0.01", "0", None)] == ["up", "down", "flat", "flat"]


@pytest.mark.parametrize("reason", sorted(words.REASONS))
def test_every_reason_has_a_sentence_and_a_check_a_name(reason: str) -> None:
    assert words.reason(reason).endswith(".")
    assert words.check(reason)


@pytest.mark.parametrize(
    ("value", "shown", "whole"), [("806.14666667", "806.15", "806.14666667"), ("806.15", "806.15", ""), (None, "–", "")]
)
def test_what_is_left_out_is_known(value: str | None, shown: str, whole: str) -> None:
    assert fmt.price(value) == shown
    assert fmt.unrounded(value, shown) == whole


def test_long_ids_are_known_by_their_ends() -> None:
    assert fmt.short_id("sbin-20261120-1115") == "sbin-20261120-1115"
    assert fmt.short_id("idem-9f31c2aa00bb11cc22dd77ab") == "idem-9f31c2…77ab"


@pytest.mark.parametrize(
    ("state", "held", "said"),
    [
        ("running", "", ("running", "ok")),
        ("running", "off", ("waiting: engines off", "warn")),
        ("running", "halted", ("halted", "bad")),
        ("off", "halted", ("off", "")),
    ],
)
def test_a_strategy_runs_only_while_something_may_enter(state: str, held: str, said: tuple[str, str]) -> None:
    assert words.strategy_state(state, held) == said


def test_every_denial_and_state_of_the_contract_is_known() -> None:
    from engines.core.model import Denial, OrderState, SizingMode, Timeframe

    assert {d.value for d in Denial} == set(words.REASONS)
    assert {s.value for s in OrderState} <= set(words.STATE_TONES)
    assert {m.value for m in SizingMode} == set(words.SIZING)
    assert [t.value for t in Timeframe] == [key for key, _ in words.TIMEFRAMES]

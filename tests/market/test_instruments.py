"""The instrument table: exact by symbol, forgiving in a search."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.market.instruments import InstrumentTable
from engines.market.names import known_instruments
from tests.market.making import INFY, SBIN


@pytest.fixture
def table() -> InstrumentTable:
    return InstrumentTable((*known_instruments(), replace(INFY, symbol="BSE:INFY", exchange="BSE")))


def symbols(table: InstrumentTable, *args: object, **named: object) -> list[str]:
    return [instrument.symbol for instrument in table.search(*args, **named)]  # type: ignore[arg-type]


def test_get_knows_a_symbol_or_says_none(table: InstrumentTable) -> None:
    found = table.get("NSE:INFY")
    assert found is not None
    assert found.name == "Infosys"
    assert table.get("INFY") is None
    assert "NSE:M&M" in table
    assert "NSE:NOPE" not in table
    assert len(list(table)) == len(table)


@pytest.mark.parametrize(
    ("q", "exchange", "first"),
    [
        ("infy", "NSE", "NSE:INFY"),
        ("INFY", "BSE", "BSE:INFY"),
        ("bse:infy", None, "BSE:INFY"),
        ("LT", None, "NSE:LT"),  # the very symbol before ULTRACEMCO, which holds it
        ("state bank", None, "NSE:SBIN"),
        (" bank ", None, "NSE:AXISBANK"),  # a word of the name before a part of a word
        ("nifty", None, "NSE:NIFTY 50"),
        ("M&M", None, "NSE:M&M"),
        ("cemco", None, "NSE:ULTRACEMCO"),
    ],
)
def test_search_puts_the_best_match_first(table: InstrumentTable, q: str, exchange: str | None, first: str) -> None:
    assert symbols(table, q, exchange)[0] == first


def test_search_keeps_to_the_limit_and_the_exchange(table: InstrumentTable) -> None:
    assert len(symbols(table, "", limit=7)) == 7
    assert symbols(table, "", limit=500) == sorted(instrument.symbol for instrument in table)
    assert symbols(table, "", exchange="BSE") == ["BSE:INFY"]
    assert symbols(table, "zzzz") == []


def test_a_new_days_list_replaces_the_old_one(table: InstrumentTable) -> None:
    table.replace([SBIN])
    assert table.get("NSE:INFY") is None
    assert symbols(table) == ["NSE:SBIN"]

"""The instrument table: exact by symbol, forgiving in a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import Instrument
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


# --- the brokers' lists behind the feed ----------------------------------------------------------------------------


class Lists:
    """A master of a few rows that counts how often it is asked."""

    def __init__(self, *rows: Instrument) -> None:
        self.rows = {row.symbol: row for row in rows}
        self.asked: list[str] = []
        self.change: Callable[[], None] = lambda: None

    def get(self, symbol: str) -> Instrument | None:
        self.asked.append(symbol)
        return self.rows.get(symbol)

    def search(self, q: str, exchange: str | None = None, limit: int = 20, segment: str | None = None) -> list[Instrument]:
        venue, _, text = q.upper().rpartition(":")
        found = [row for row in self.rows.values() if text in row.symbol and (venue or exchange or row.exchange) == row.exchange]
        return [row for row in found if segment in (None, row.segment)][:limit]

    def on_change(self, callback: Callable[[], None]) -> None:
        self.change = callback


REAL_INFY = replace(INFY, tick_size=Decimal("0.05"), freeze_quantity=50_000)
OPTION = Instrument("NFO:INFY26AUG1500CE", "INFY 1500 CE", "NFO", Decimal("0.05"), lot_size=400, segment="OPT")


@pytest.fixture
def listed() -> Lists:
    return Lists(REAL_INFY, replace(REAL_INFY, symbol="BSE:INFY", exchange="BSE"), OPTION)


@pytest.fixture
def both(listed: Lists) -> InstrumentTable:
    return InstrumentTable((INFY, SBIN), listed)  # type: ignore[arg-type]


def test_a_real_row_holds_over_the_simulated_one(both: InstrumentTable) -> None:
    assert both.get("NSE:INFY") == REAL_INFY
    assert both.get("NSE:SBIN") == SBIN
    assert both.get("NFO:INFY26AUG1500CE") == OPTION
    assert "NFO:INFY26AUG1500CE" in both
    assert both.get("NSE:NOPE") is None


def test_lists_are_asked_once_for_a_symbol_also_for_one_that_is_not_there(both: InstrumentTable, listed: Lists) -> None:
    for _ in range(3):
        both.get("NSE:INFY")
        both.get("NSE:NOPE")
        assert "NSE:NOPE" not in both
    assert listed.asked == ["NSE:INFY", "NSE:NOPE"]


def test_new_lists_are_seen_at_once(both: InstrumentTable, listed: Lists) -> None:
    assert both.get("NFO:INFY26AUG1500CE") == OPTION
    assert both.get("NSE:NEW") is None
    listed.rows = {"NSE:NEW": replace(SBIN, symbol="NSE:NEW")}
    listed.change()
    assert both.get("NFO:INFY26AUG1500CE") is None
    assert both.get("NSE:NEW") is not None
    assert both.get("NSE:INFY") == INFY


def test_the_feeds_own_names_are_what_is_walked_over(both: InstrumentTable) -> None:
    assert (len(both), list(both)) == (2, [REAL_INFY, SBIN])


def test_a_search_shows_both_and_each_once(both: InstrumentTable) -> None:
    assert symbols(both, "infy") == ["NSE:INFY", "BSE:INFY", "NFO:INFY26AUG1500CE"]
    assert both.search("infy")[0] == REAL_INFY
    assert symbols(both, "infy", limit=2) == ["NSE:INFY", "BSE:INFY"]
    assert symbols(both, "bse:infy") == ["BSE:INFY"]
    assert symbols(both, "infy", segment="OPT") == ["NFO:INFY26AUG1500CE"]
    assert symbols(both, "infy", exchange="NSE") == ["NSE:INFY"]

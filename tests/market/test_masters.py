"""The brokers' lists: every line read or counted, one key across brokers, one name each, in an order that a search can show."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import Instrument
from engines.market.masters import READERS, BadList, Entry, merge, read_ask, words_of
from engines.market.masters.rows import Parsed, exact
from engines.market.masters.spelling import contract_name, read_name
from engines.ports import Listing
from tests.market import lists

D = Decimal


@pytest.fixture(scope="module")
def dump() -> Parsed:
    return READERS["zerodha"](lists.dump())


@pytest.fixture(scope="module")
def derived() -> Parsed:
    return READERS["angelone"](lists.derived())


def merged(*bodies: tuple[str, bytes], day: str = lists.DUMP_DAY) -> dict[str, Entry]:
    found = merge([READERS[broker](body).rows for broker, body in bodies], day)
    assert found.clashes == 0
    return {entry.instrument.symbol: entry for entry in found.entries}


BOTH = (("zerodha", lists.kite()), ("angelone", lists.angel()))


# --- the real lists ------------------------------------------------------------------------------------------------


@lists.needs_dumps
def test_every_row_of_the_real_dump_is_read(dump: Parsed) -> None:
    assert (len(dump.rows), dump.broken, dump.foreign) == (39_941, 0, 0)
    assert {row.key.segment for row in dump.rows} == {"FUT", "OPT"}
    assert len({row.key for row in dump.rows}) == 39_941
    assert {row.key.strike for row in dump.rows if row.trading_symbol == "ASHOKLEY26AUG172.5CE"} == {D("172.5")}


@lists.needs_dumps
def test_every_name_of_the_real_dump_is_spelled_from_its_key_and_read_back(dump: Parsed) -> None:
    names = {row.key.underlying for row in dump.rows}
    last: dict[tuple[str, str, str], str] = {}
    for row in dump.rows:
        key = row.key
        assert key.expiry is not None
        if key.segment == "OPT":
            month = (key.exchange, key.underlying, key.expiry[:7])
            last[month] = max(last.get(month, ""), key.expiry)
    for row in dump.rows:
        key = row.key
        assert key.expiry is not None
        monthly = last.get((key.exchange, key.underlying, key.expiry[:7])) == key.expiry
        assert contract_name(key.underlying, key.expiry, key.strike, key.option_type, monthly=monthly) == row.trading_symbol
        spelled = read_name(row.trading_symbol, names)
        assert spelled is not None
        assert (spelled.underlying, spelled.strike, spelled.option_type) == (key.underlying, key.strike, key.option_type)
        assert f"{spelled.year}-{spelled.month:02}" == key.expiry[:7]
        assert spelled.day in (None, int(key.expiry[8:]))


@lists.needs_dumps
def test_every_derived_angel_row_meets_its_kite_row_by_key_and_by_name(dump: Parsed, derived: Parsed) -> None:
    assert (len(derived.rows), derived.broken) == (8_570, 0)
    kite = {row.key: row for row in dump.rows}
    for row in derived.rows:
        assert kite[row.key].exchange_token == row.token
        assert (kite[row.key].lot_size, kite[row.key].tick_size) == (row.lot_size, row.tick_size)
    both = merge([dump.rows, derived.rows], lists.DUMP_DAY)
    assert (len(both.entries), both.clashes, both.expired) == (39_941, 0, 0)
    assert sum(len(entry.listings) == 2 for entry in both.entries) == 8_570
    alone = merge([derived.rows], lists.DUMP_DAY)
    assert len(alone.entries) == 8_570
    assert {entry.instrument.symbol for entry in alone.entries} <= {entry.instrument.symbol for entry in both.entries}


@pytest.mark.skipif(not lists.ANGEL_REAL.exists(), reason="the real rows are not beside the project")
def test_real_angel_rows() -> None:
    found = {
        entry.instrument.symbol: entry for entry in merge([READERS["angelone"](lists.ANGEL_REAL.read_bytes()).rows], "2026-08-17").entries
    }
    assert len(found) == 26
    bank = found["NSE:ICICIBANK"].instrument
    assert (bank.tick_size, bank.lot_size, bank.freeze_quantity, bank.segment) == (D("0.1"), 1, 64_561, "EQ")
    assert found["NSE:ICICIBANK"].listings == (Listing("NSE:ICICIBANK", "angelone", "4963", "NSE", "ICICIBANK-EQ"),)
    assert found["NSE:NIFTY BANK"].listings[0].trading_symbol == "Nifty Bank"
    assert found["NSE:NIFTY 50"].instrument.segment == "INDEX"
    assert found["NSE:AMBANIORGO-SM"].instrument.freeze_quantity == 250_438
    assert "NSE:INDIA VIX" in found


@pytest.mark.skipif(not lists.SHARED.exists(), reason="the official samples are not beside the project")
def test_the_official_samples() -> None:
    kite = READERS["zerodha"]((lists.SHARED / "brokers" / "kite-mocks" / "instruments_all.csv").read_bytes())
    assert (len(kite.rows), kite.broken) == (99, 0)
    assert {row.trading_symbol: row.key.underlying for row in kite.rows}["BANKNIFTY18JAN23500CE"] == "BANKNIFTY"  # its name column is empty
    angel = READERS["angelone"]((lists.SHARED / "brokers" / "angelone-samples" / "scrip_master_sample.json").read_bytes())
    assert [row.key.segment for row in angel.rows] == ["EQ", "EQ", "INDEX", "OPT", "FUT"]
    assert angel.rows[3].key.strike == D(22_000)


# --- one instrument, several brokers -------------------------------------------------------------------------------


def test_one_instrument_for_both_brokers() -> None:
    found = merged(*BOTH)
    assert [listing.trading_symbol for listing in found["NSE:INFY"].listings] == ["INFY", "INFY-EQ"]
    assert [listing.token for listing in found["NSE:NIFTY 50"].listings] == ["256265", "99926000"]
    assert found["NSE:INFY"].instrument.name == "INFOSYS"
    assert found["NSE:INFY"].instrument.freeze_quantity == 60_000
    assert found["NFO:NIFTY26AUG24500CE"].listings[1].trading_symbol == "NIFTY25AUG2624500CE"
    assert [listing.broker for listing in found["BSE:INFY"].listings] == ["zerodha"]


def test_contracts_that_only_angel_lists_get_kites_spelling() -> None:
    alone = merged(("angelone", lists.angel()))
    assert {symbol for symbol in alone if symbol.startswith("NFO")} == {
        "NFO:NIFTY26AUGFUT",
        "NFO:NIFTY2681824500CE",  # weekly
        "NFO:NIFTY2681824600CE",
        "NFO:NIFTY26AUG24500CE",  # the month's last
        "NFO:NIFTY26AUG24600CE",
    }


@pytest.mark.parametrize(
    ("symbol", "field", "value"),
    [
        ("NFO:NIFTY26AUGFUT", "lot_size", 65),
        ("NFO:NIFTY26AUGFUT", "freeze_quantity", 1800),
        ("NFO:NIFTY26AUGFUT", "tick_size", D("0.1")),  # Angel says 0.05: the coarser holds for both
        ("NFO:NIFTY26AUGFUT", "band_pct", D(10)),
        ("NFO:BANKNIFTY26AUGFUT", "freeze_quantity", 600),  # no list says it: from the dated table
        ("NFO:INFY26AUGFUT", "freeze_quantity", None),
        ("NSE:INFY", "auction", True),  # it has futures
        ("BSE:INFY", "auction", False),
        ("NFO:INFY26AUGFUT", "auction", False),
        ("NFO:NIFTY26AUG24500CE", "band_pct", D(100)),
        ("NFO:NIFTY26AUG24500CE", "name", "NIFTY 24500 CE, 25 Aug 2026"),
        ("NFO:ASHOKLEY26AUG172.5CE", "strike", D("172.5")),
        ("NSE:NIFTY 50", "tick_size", D("0.05")),
        ("NSE:SBIN", "band_pct", D(20)),
    ],
)
def test_what_planning_needs(symbol: str, field: str, value: object) -> None:
    assert getattr(merged(*BOTH)[symbol].instrument, field) == value


def test_coins() -> None:
    found = merged(("binance_spot", lists.SPOT), ("binance_usdm", lists.USDM))
    assert set(found) == {"BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "BINANCE:BTCUSDT.P"}
    spot, perpetual = found["BINANCE:BTCUSDT"].instrument, found["BINANCE:BTCUSDT.P"].instrument
    assert (spot.segment, spot.tick_size, spot.lot, spot.freeze_quantity, spot.band_pct) == ("SPOT", D("0.01"), D("0.00001"), 120, D(80))
    assert (perpetual.segment, perpetual.tick_size, perpetual.lot, perpetual.band_pct) == ("PERP", D("0.1"), D("0.001"), D(5))
    assert found["BINANCE:BTCUSDT.P"].listings == (Listing("BINANCE:BTCUSDT.P", "binance_usdm", "BTCUSDT", "BINANCE", "BTCUSDT"),)


def test_a_contract_is_gone_the_day_after_its_expiry() -> None:
    assert "NFO:NIFTY2681824500CE" in merged(*BOTH, day="2026-08-18")
    assert "NFO:NIFTY2681824500CE" not in merged(*BOTH, day="2026-08-19")


def test_a_share_that_is_spelled_otherwise_meets_by_the_exchanges_own_token() -> None:
    found = merged(("zerodha", lists.kite()), ("angelone", lists.angel([lists.angel_row("3045", "STATEBANK-EQ", "STATEBANK")])))
    assert [listing.trading_symbol for listing in found["NSE:SBIN"].listings] == ["SBIN", "STATEBANK-EQ"]
    assert "NSE:STATEBANK" not in found


def test_a_row_that_would_take_anothers_name_is_left_out_and_counted() -> None:
    index = lists.angel_row("99926099", "infy", "INFY", instrumenttype="AMXIDX")
    found = merge([READERS["zerodha"](lists.kite()).rows, READERS["angelone"](lists.angel([index])).rows], lists.DUMP_DAY)
    assert found.clashes == 1
    assert {entry.instrument.symbol: entry.instrument.segment for entry in found.entries}["NSE:INFY"] == "EQ"


# --- lists that cannot be used -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broker", "body", "why"),
    [
        ("zerodha", b"", "columns"),
        ("zerodha", b"<html>Bad gateway</html>", "columns"),
        ("zerodha", lists.kite()[:-20], "cut off"),
        ("zerodha", lists.kite(""), "cut off|no instrument"),
        ("zerodha", b"\xff\xfe", "not text"),
        ("zerodha", lists.kite("1,2,3\n" * 21 + lists.KITE), "cannot be read"),
        ("angelone", lists.angel()[:-20], "complete JSON"),
        ("angelone", b"{}", "not a list"),
        ("angelone", b"[]", "no instrument"),
        ("angelone", b"[1, null, {}]", "no instrument"),
        ("binance_spot", b'{"code": -1003}', "list of symbols"),
        ("binance_usdm", lists.USDM[:-9], "list of symbols"),
        ("binance_usdm", lists.binance(), "no instrument"),
    ],
)
def test_a_body_that_is_no_list_is_refused(broker: str, body: bytes, why: str) -> None:
    with pytest.raises(BadList, match=why):
        READERS[broker](body)


def test_a_few_broken_lines_are_counted_and_the_rest_holds() -> None:
    parsed = READERS["zerodha"](lists.kite(lists.KITE + "x,y,BROKEN,,0,2026-02-30,1,0.05,65,CE,NFO-OPT,NFO\n"))
    assert (len(parsed.rows), parsed.broken, parsed.foreign) == (13, 1, 1)


@given(st.binary(max_size=200), st.sampled_from(sorted(READERS)))
def test_no_bytes_make_a_reader_fall(body: bytes, broker: str) -> None:
    with pytest.raises(BadList):
        READERS[broker](body)


@given(st.dictionaries(st.sampled_from(sorted(lists.ANGEL[3])), st.text(max_size=12)))
def test_no_angel_row_makes_its_reader_fall(changes: dict[str, str]) -> None:
    body = json.dumps([*lists.ANGEL, lists.ANGEL[3] | changes]).encode()
    parsed = READERS["angelone"](body)
    assert len(parsed.rows) + parsed.broken + parsed.foreign == len(lists.ANGEL) + 1


@pytest.mark.parametrize(
    ("text", "value"), [("24500.0", "24500"), ("172.50", "172.5"), ("100000", "100000"), ("0.00001000", "0.00001"), ("0", "0")]
)
def test_numbers_are_exact_and_plain(text: str, value: str) -> None:
    assert exact(text) == D(text)
    assert f"{exact(text):f}" == value


@pytest.mark.parametrize("text", ["NaN", "Infinity", "", "12a", "1,000"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        exact(text)


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "underlying", "day"),
    [
        ("NIFTY2690124350PE", "NIFTY", 1),
        ("SENSEX26O0176200CE", "SENSEX", 1),
        ("NIFTYNXT5026AUG68000CE", "NIFTYNXT50", None),
        ("360ONE26AUGFUT", "360ONE", None),
        ("BAJAJ-AUTO26AUG10900CE", "BAJAJ-AUTO", None),
    ],
)
def test_names_are_read_back(name: str, underlying: str, day: int | None) -> None:
    spelled = read_name(name, {"NIFTY", "NIFTYNXT50", "SENSEX", "SENSEX50", "360ONE", "BAJAJ-AUTO"})
    assert spelled is not None
    assert (spelled.underlying, spelled.day) == (underlying, day)


def test_what_is_no_contract_is_not_read() -> None:
    assert read_name("INFY") is None
    assert read_name("NIFTY 50") is None


@pytest.mark.parametrize(
    ("q", "exchange", "ways"),
    [
        ("infy", None, [("infy",)]),
        (" NSE:infy ", "NSE", [("infy",)]),
        ("nifty24500ce", None, [("nifty24500ce",), ("nifty", "24500", "ce")]),
        ("bank nifty fut", None, [("bank", "nifty", "fut"), ("banknifty", "fut")]),
        ("24500 nifty calls", None, [("24500", "nifty", "call")]),
        ('"; DROP -- *', None, [("drop",)]),
        ("", None, []),
        ("!!!", None, []),
    ],
)
def test_what_people_type(q: str, exchange: str | None, ways: list[tuple[str, ...]]) -> None:
    ask = read_ask(q)
    assert (ask.exchange, list(ask.ways)) == (exchange, ways)


def test_the_words_of_an_option() -> None:
    option = merged(*BOTH)["NFO:NIFTY26AUG24500CE"].instrument
    assert set(words_of(option, "NIFTY").split()) == set(
        "nifty nifty26aug24500ce nfo ex.nfo sg.opt opt 25 25aug aug august 2026 2026-08-25 24500 24500ce ce call".split()
    )


def test_the_words_of_shares_and_indices() -> None:
    share = Instrument("NSE:BAJAJ-AUTO", "BAJAJ AUTO", "NSE", D("0.05"))
    assert {"bajaj-auto", "bajaj", "auto", "eq"} <= set(words_of(share, "BAJAJ-AUTO").split())
    assert {"nifty", "50", "nifty50", "index"} <= set(words_of(merged(*BOTH)["NSE:NIFTY 50"].instrument, "NIFTY50").split())


def test_the_order_of_a_list() -> None:
    order = list(merged(*BOTH))
    kinds = [re.sub(r"\d", "", symbol) for symbol in order]
    assert order[0] == "NSE:NIFTY 50"
    assert order[1] == "NSE:INFY"  # a share with contracts before one without
    assert order.index("NFO:NIFTY26AUGFUT") < order.index("NFO:BANKNIFTY26AUGFUT") < order.index("NFO:INFY26AUGFUT")
    assert order.index("NFO:NIFTY2681824500CE") < order.index("NFO:NIFTY26AUG24500CE")  # the nearest expiry first
    assert kinds[-1] == "BSE:INFY"

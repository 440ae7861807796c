"""Small lists in each broker's own form, and the real ones that lie beside the project."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engines.market.masters.kite import HEADER

SHARED = Path(__file__).parents[2].parent / "shared"
KITE_DUMP = SHARED / "data" / "kite_instruments_fo_2026-08-17.csv.gz"
ANGEL_DERIVED = SHARED / "data" / "angel_style_fo_master_DERIVED.json.gz"
ANGEL_REAL = SHARED / "data" / "angel_scrip_master_sample_REAL.json"
DUMP_DAY = "2026-08-17"
needs_dumps = pytest.mark.skipif(not KITE_DUMP.exists(), reason="the real lists are not beside the project")

KITE = """\
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE
128053508,500209,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,BSE,BSE
779521,3045,SBIN,STATE BANK OF INDIA,0.0,,0.0,0.05,1,EQ,NSE,NSE
519937,2031,M&M,MAHINDRA & MAHINDRA,0.0,,0.0,0.1,1,EQ,NSE,NSE
14866434,58072,NIFTY26AUGFUT,NIFTY,0.0,2026-08-25,0.0,0.1,65,FUT,NFO-FUT,NFO
14900226,58204,INFY26AUGFUT,INFY,0.0,2026-08-25,0.0,0.1,400,FUT,NFO-FUT,NFO
100,1,NIFTY2681824500CE,NIFTY,0.0,2026-08-18,24500.0,0.05,65,CE,NFO-OPT,NFO
200,2,NIFTY26AUG24500CE,NIFTY,0.0,2026-08-25,24500.0,0.05,65,CE,NFO-OPT,NFO
300,3,NIFTY26AUG24500PE,NIFTY,0.0,2026-08-25,24500.0,0.05,65,PE,NFO-OPT,NFO
400,4,BANKNIFTY26AUG57500CE,BANKNIFTY,0.0,2026-08-25,57500.0,0.05,30,CE,NFO-OPT,NFO
500,5,BANKNIFTY26AUGFUT,BANKNIFTY,0.0,2026-08-25,0.0,0.2,30,FUT,NFO-FUT,NFO
600,6,ASHOKLEY26AUG172.5CE,ASHOKLEY,0.0,2026-08-25,172.5,0.01,5000,CE,NFO-OPT,NFO
700,7,CRUDEOIL26SEPFUT,CRUDEOIL,0.0,2026-09-18,0.0,1,100,FUT,MCX-FUT,MCX
"""


def kite(lines: str = KITE) -> bytes:
    return f"{HEADER}\n{lines}".encode()


def angel_row(token: str, symbol: str, name: str, **more: Any) -> dict[str, Any]:
    row = {"token": token, "symbol": symbol, "name": name, "expiry": "", "strike": "-1.000000", "lotsize": "1", "instrumenttype": ""}
    return row | {"exch_seg": "NSE", "tick_size": "5.000000", "freeze_qty": "0", "is_cas_enabled": False} | more


def angel_option(token: str, symbol: str, name: str, expiry: str, strike: str, **more: Any) -> dict[str, Any]:
    kind = {"exch_seg": "NFO", "instrumenttype": "OPTIDX", "expiry": expiry, "strike": strike, "lotsize": "65", "freeze_qty": "1800"}
    return angel_row(token, symbol, name, **(kind | more))


ANGEL = [
    angel_row("99926000", "Nifty 50", "NIFTY", instrumenttype="AMXIDX", strike="0.000000", tick_size="0.000000"),
    angel_row("1594", "INFY-EQ", "INFY", tick_size="10.000000", freeze_qty="60000"),
    angel_row("4963", "ICICIBANK-EQ", "ICICIBANK", tick_size="10.000000", freeze_qty="64561"),
    angel_row(
        "58072", "NIFTY25AUG26FUT", "NIFTY", exch_seg="NFO", instrumenttype="FUTIDX", expiry="25AUG2026", lotsize="65", freeze_qty="1800"
    ),
    angel_option("1", "NIFTY18AUG2624500CE", "NIFTY", "18AUG2026", "2450000.000000"),
    angel_option("2", "NIFTY25AUG2624500CE", "NIFTY", "25AUG2026", "2450000.000000"),
    angel_option("8", "NIFTY18AUG2624600CE", "NIFTY", "18AUG2026", "2460000.000000"),
    angel_option("9", "NIFTY25AUG2624600CE", "NIFTY", "25AUG2026", "2460000.000000"),
    angel_row("426261", "CRUDEOIL18SEP26FUT", "CRUDEOIL", exch_seg="MCX", instrumenttype="FUTCOM", expiry="18SEP2026", lotsize="100"),
]


def angel(rows: list[dict[str, Any]] | None = None) -> bytes:
    return json.dumps(ANGEL if rows is None else rows).encode()


def _filters(tick: str, step: str, most: str, **band: str) -> list[dict[str, str]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.5", "stepSize": "0.00000000"},
        band,
    ]


def pair(symbol: str, base: str, quote: str = "USDT", **more: Any) -> dict[str, Any]:
    band = {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.2",
    }
    row = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "isSpotTradingAllowed": True}
    return row | {"filters": _filters("0.01000000", "0.00001000", "9000.00000000", **band)} | more


def perpetual(symbol: str, base: str, **more: Any) -> dict[str, Any]:
    band = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"}
    row = {"symbol": symbol, "status": "TRADING", "contractType": "PERPETUAL", "baseAsset": base, "quoteAsset": "USDT"}
    return row | {"filters": _filters("0.10", "0.001", "1000", **band)} | more


def binance(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"timezone": "UTC", "symbols": list(rows)}).encode()


SPOT = binance(pair("BTCUSDT", "BTC"), pair("ETHUSDT", "ETH"), pair("OLDUSDT", "OLD", status="BREAK"))
USDM = binance(perpetual("BTCUSDT", "BTC"), perpetual("BTCUSDT_261225", "BTC", contractType="CURRENT_QUARTER"))


def dump() -> bytes:
    return gzip.decompress(KITE_DUMP.read_bytes())


def derived() -> bytes:
    return gzip.decompress(ANGEL_DERIVED.read_bytes())

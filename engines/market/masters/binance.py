"""Binance's two lists (exchangeInfo of spot and of USD-M futures): pairs and perpetuals with the steps that their filters set.

Dated futures and pairs that no longer trade are left out. The full filters are the adapter's; here is what planning and the ticket need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from engines.market.masters.rows import FOREIGN, BadList, Key, Parsed, Row, exact, positive, read_lines

EXCHANGE = "BINANCE"
_GONE = frozenset({"BREAK", "SETTLING", "CLOSE", "DELIVERED", "PENDING_TRADING", "PRE_TRADING"})
_WIDEST_BAND = Decimal(100)


def read_binance_spot(body: bytes) -> Parsed:
    return _read(body, partial(_row, "binance_spot"))


def read_binance_usdm(body: bytes) -> Parsed:
    return _read(body, partial(_row, "binance_usdm"))


def _read(body: bytes, read: Any) -> Parsed:
    try:
        lines = json.loads(body)["symbols"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadList("it is not a complete list of symbols") from error
    if not isinstance(lines, list):
        raise BadList("it is not a list")
    return read_lines(lines, read)


def _row(broker: str, line: Mapping[str, Any]) -> Any:
    perpetual = broker == "binance_usdm"
    if (
        line["status"] in _GONE
        or (perpetual and line["contractType"] != "PERPETUAL")
        or (not perpetual and line.get("isSpotTradingAllowed") is False)
    ):
        return FOREIGN
    symbol, base, quote = line["symbol"], line["baseAsset"], line["quoteAsset"]
    filters = {each["filterType"]: each for each in line["filters"]}
    step, tick = positive(exact(filters["LOT_SIZE"]["stepSize"])), positive(exact(filters["PRICE_FILTER"]["tickSize"]))
    if step is None or tick is None or not symbol:
        raise ValueError("no step")
    name = f"{symbol}.P" if perpetual else symbol
    return Row(
        key=Key(EXCHANGE, "PERP" if perpetual else "SPOT", name, None, None, None),
        broker=broker,
        token=symbol,
        trading_symbol=symbol,
        broker_exchange=EXCHANGE,
        title=f"{base} / {quote}{' perpetual' if perpetual else ''}",
        tick_size=tick,
        lot_size=1,
        name_here=name,
        freeze_quantity=_most(filters, step),
        quantity_step=step,
        band_pct=_band(filters),
    )


def _most(filters: Mapping[str, Mapping[str, str]], step: Decimal) -> int | None:
    """The most that one order may hold of any type; above it the order is cut."""
    tops = [exact(filters[name]["maxQty"]) for name in ("LOT_SIZE", "MARKET_LOT_SIZE") if name in filters]
    top = min((top for top in tops if top > 0), default=None)
    return None if top is None or top < max(step, Decimal(1)) else int(top)


def _band(filters: Mapping[str, Mapping[str, str]]) -> Decimal | None:
    """The narrower side of the price filter, in percent."""
    names = {
        "PERCENT_PRICE": (("multiplierUp", "multiplierDown"),),
        "PERCENT_PRICE_BY_SIDE": (("bidMultiplierUp", "bidMultiplierDown"), ("askMultiplierUp", "askMultiplierDown")),
    }
    sides = [
        (exact(filters[name][up]), exact(filters[name][down])) for name, pairs in names.items() if name in filters for up, down in pairs
    ]
    if not sides:
        return None
    narrow = min(_WIDEST_BAND, *((up - 1) * 100 for up, _ in sides), *((1 - down) * 100 for _, down in sides))
    return exact(str(narrow))

"""What the emulated Binance lists: four coins, each spot and as a perpetual, with filters like the real ones and both `exchangeInfo` answers.

Pure data; prices are where the emulator starts, not quotations of any day.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engines.core.model import Instrument
from tests.emulators.binance.filters import Rules

SPOT, USDM = "spot", "usdm"
ONBOARDED = 1569398400000
DELIVERY = 4133404800000  # perpetuals are "delivered" in 2100


@dataclass(frozen=True, slots=True)
class Market:
    """One symbol of one market; `symbol` is Binance's, `ours` the canonical one."""

    symbol: str
    base: str
    kind: str  # spot | usdm
    rules: Rules
    start: Decimal

    @property
    def ours(self) -> str:
        return f"BINANCE:{self.symbol}" + (".P" if self.kind == USDM else "")

    @property
    def instrument(self) -> Instrument:
        """The band is Binance's own filter here, so the matching core gets one that never speaks first."""
        return Instrument(
            symbol=self.ours,
            name=f"{self.base} / USDT" + (" perpetual" if self.kind == USDM else ""),
            exchange="BINANCE",
            tick_size=self.rules.tick,
            segment="PERP" if self.kind == USDM else "SPOT",
            quantity_step=self.rules.step,
            band_pct=Decimal(100_000),
        )


def _market(base: str, kind: str, start: str, tick: str, step: str, largest: str, market_max: str, notional: str) -> Market:
    spot = kind == SPOT
    rules = Rules(
        tick=Decimal(tick),
        step=Decimal(step),
        min_quantity=Decimal(step),
        max_quantity=Decimal(largest),
        market_max=Decimal(market_max),
        min_notional=Decimal(notional),
        min_price=Decimal(tick),
        max_price=Decimal(1000000),
        up=Decimal(5) if spot else Decimal("1.05"),
        down=Decimal("0.2") if spot else Decimal("0.95"),
    )
    return Market(f"{base}USDT", base, kind, rules, Decimal(start))


MARKETS = (
    _market("BTC", SPOT, "68000.00", "0.01", "0.00001", "9000", "116", "5"),
    _market("ETH", SPOT, "3500.00", "0.01", "0.0001", "9000", "1400", "5"),
    _market("BNB", SPOT, "600.00", "0.01", "0.001", "9000", "2900", "5"),
    _market("SOL", SPOT, "160.00", "0.01", "0.001", "92000", "20000", "5"),
    _market("BTC", USDM, "68000.00", "0.10", "0.001", "1000", "120", "100"),
    _market("ETH", USDM, "3500.00", "0.01", "0.001", "10000", "2000", "20"),
    _market("BNB", USDM, "600.00", "0.01", "0.01", "100000", "2000", "5"),
    _market("SOL", USDM, "160.00", "0.01", "0.01", "1000000", "20000", "5"),
)


def table(kind: str) -> dict[str, Market]:
    return {x.symbol: x for x in MARKETS if x.kind == kind}


def by_ours() -> dict[str, Market]:
    return {x.ours: x for x in MARKETS}


def eight(value: Decimal) -> str:
    """As spot writes numbers: always eight places."""
    return f"{value:.8f}"


def plain(value: Decimal) -> str:
    """As the futures write them: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def spot_info(now_ms: int) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
            _limit("ORDERS", "SECOND", 10, 100),
            _limit("ORDERS", "DAY", 1, 200000),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300000),
        ],
        "exchangeFilters": [],
        "symbols": [_spot_symbol(x) for x in MARKETS if x.kind == SPOT],
    }


def futures_info(now_ms: int) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
            _limit("ORDERS", "MINUTE", 1, 1200),
            _limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_futures_symbol(x) for x in MARKETS if x.kind == USDM],
    }


def _limit(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _spot_symbol(market: Market) -> dict[str, Any]:
    rules = market.rules
    return {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": eight(rules.min_price),
                "maxPrice": eight(rules.max_price),
                "tickSize": eight(rules.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": eight(rules.min_quantity),
                "maxQty": eight(rules.max_quantity),
                "stepSize": eight(rules.step),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": eight(Decimal(0)),
                "maxQty": eight(rules.market_max),
                "stepSize": eight(Decimal(0)),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": plain(rules.up),
                "bidMultiplierDown": plain(rules.down),
                "askMultiplierUp": plain(rules.up),
                "askMultiplierDown": plain(rules.down),
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": eight(rules.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    }


def _futures_symbol(market: Market) -> dict[str, Any]:
    rules = market.rules
    return {
        "symbol": market.symbol,
        "pair": market.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": DELIVERY,
        "onboardDate": ONBOARDED,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": plain(rules.min_price),
                "maxPrice": plain(rules.max_price),
                "tickSize": f"{rules.tick}",
            },
            {"filterType": "LOT_SIZE", "minQty": f"{rules.min_quantity}", "maxQty": f"{rules.max_quantity}", "stepSize": f"{rules.step}"},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": f"{rules.min_quantity}",
                "maxQty": f"{rules.market_max}",
                "stepSize": f"{rules.step}",
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(rules.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": f"{rules.up:.4f}",
                "multiplierDown": f"{rules.down:.4f}",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }

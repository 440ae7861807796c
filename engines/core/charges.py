"""What a trade costs: brokerage, taxes and fees by dated tables, in the parts that a contract note names.

An estimate kept at four decimals for each fill; the broker's note, where there is one, is the authority. Not in it: delivery (DP) charges,
interest and penalties.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from itertools import takewhile
from typing import Any

from engines.core.model import ZERO, Instrument, Product, Side

_FOUR_PLACES = Decimal("0.0001")
_RUPEE = Decimal(1)


class ChargeKind(StrEnum):
    """The column of the charges table that a trade belongs to."""

    DELIVERY = "delivery"
    INTRADAY = "intraday"
    FUTURES = "futures"
    OPTIONS = "options"
    SPOT = "spot"
    PERPETUAL = "perpetual"


_KIND_BY_SEGMENT = {"FUT": ChargeKind.FUTURES, "OPT": ChargeKind.OPTIONS, "SPOT": ChargeKind.SPOT, "PERP": ChargeKind.PERPETUAL}


@dataclass(frozen=True, slots=True)
class Charges:
    brokerage: Decimal = ZERO
    stt: Decimal = ZERO
    transaction: Decimal = ZERO
    sebi: Decimal = ZERO
    stamp: Decimal = ZERO
    gst: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.brokerage + self.stt + self.transaction + self.sebi + self.stamp + self.gst

    def __add__(self, other: Charges) -> Charges:
        return Charges(
            self.brokerage + other.brokerage,
            self.stt + other.stt,
            self.transaction + other.transaction,
            self.sebi + other.sebi,
            self.stamp + other.stamp,
            self.gst + other.gst,
        )


def kind_of(instrument: Instrument, product: Product) -> ChargeKind:
    """Shares are charged as intraday only in MIS: whatever is carried overnight is delivery."""
    shares = ChargeKind.INTRADAY if product is Product.MIS else ChargeKind.DELIVERY
    return _KIND_BY_SEGMENT.get(instrument.segment, shares)


def order_charges(
    kind: ChargeKind,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    day: str,
    broker: str,
    *,
    exchange: str = "NSE",
    turnover_before: Decimal = ZERO,
) -> Charges:
    """Charges of one fill on an ISO date, at four decimals.

    Brokerage is due for each *order*: `turnover_before` is what the order had traded before this fill (filled quantity x average price), so that
    an order in many fills pays its cap once. A broker without a tariff for the kind is charged as paper: a fill is never lost for want of a rate.
    """
    rates = _rates(kind, side, day, broker, exchange)
    turnover = quantity * price
    brokerage = rates.brokerage(turnover_before + turnover) - (rates.brokerage(turnover_before) if turnover_before else ZERO)
    transaction = _share(turnover, rates.transaction)
    sebi = _share(turnover, rates.sebi)
    return Charges(
        brokerage=brokerage,
        stt=_share(turnover, rates.stt),
        transaction=transaction,
        sebi=sebi,
        stamp=_share(turnover, rates.stamp),
        gst=_share(brokerage + transaction + sebi, rates.gst),
    )


def round_day(fills: Iterable[Charges]) -> Charges:
    """The charges of one instrument's fills on one day as a report shows them: STT and stamp to the rupee, as contract notes do, half up.

    The rest stays exact, so that a total is rounded to the paisa once and not part by part."""
    day = sum(fills, Charges())
    return replace(day, stt=_rounded(day.stt, _RUPEE), stamp=_rounded(day.stamp, _RUPEE))


# --- the tables ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rates:
    """What holds for one kind of trade, side, day, broker and exchange; percentages of turnover (GST: of the fees)."""

    brokerage_pct: Decimal
    brokerage_flat: Decimal
    brokerage_floor: Decimal
    brokerage_cap: Decimal | None
    stt: Decimal
    transaction: Decimal
    sebi: Decimal
    stamp: Decimal
    gst: Decimal

    def brokerage(self, turnover: Decimal) -> Decimal:
        """Of an order that has traded `turnover` in all."""
        due = max(self.brokerage_flat + turnover * self.brokerage_pct / 100, self.brokerage_floor)
        return _rounded(due if self.brokerage_cap is None else min(due, self.brokerage_cap), _FOUR_PLACES)


@lru_cache(maxsize=512)
def _rates(kind: ChargeKind, side: Side, day: str, broker: str, exchange: str) -> _Rates:
    tables = _tables()
    tariffs = tables["brokerage"]
    tariff = _held(tariffs.get(broker, {}).get(kind.value) or tariffs["paper"][kind.value], day)
    venue = tables["transaction"].get("BSE" if exchange in ("BSE", "BFO") else "NSE")
    indian = kind.value in venue  # crypto venues take their fee and nothing else
    return _Rates(
        brokerage_pct=Decimal(tariff.get("pct", 0)),
        brokerage_flat=Decimal(tariff.get("flat", 0)),
        brokerage_floor=Decimal(tariff.get("floor", 0)),
        brokerage_cap=Decimal(tariff["cap"]) if "cap" in tariff else None,
        stt=Decimal(_held(tables["stt"][kind.value], day)[side.value.lower()]) if indian else ZERO,
        transaction=Decimal(_held(venue[kind.value], day)["pct"]) if indian else ZERO,
        sebi=Decimal(_held(tables["sebi"], day)["pct"]) if indian else ZERO,
        stamp=Decimal(_held(tables["stamp"][kind.value], day)[side.value.lower()]) if indian else ZERO,
        gst=Decimal(_held(tables["gst"], day)["pct"]) if indian else ZERO,
    )


def _held(rows: list[Mapping[str, str]], day: str) -> Mapping[str, str]:
    """The row that holds on a day; before the oldest, the oldest: an estimate is better than none."""
    past = list(takewhile(lambda row: row["from"] <= day, rows))
    return past[-1] if past else rows[0]


@lru_cache(maxsize=1)
def _tables() -> Any:
    return json.loads(resources.files("engines.core").joinpath("data", "charges.json").read_text(encoding="utf-8"))


def _share(amount: Decimal, pct: Decimal) -> Decimal:
    return _rounded(amount * pct / 100, _FOUR_PLACES)


def _rounded(amount: Decimal, unit: Decimal) -> Decimal:
    return amount.quantize(unit, ROUND_HALF_UP)

"""Orders against bars as tables: given resting orders and one bar, expect the fills of a careful backtest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.bars import ticks_within
from engines.core.matching import MatchingEngine, OutcomeKind
from engines.core.model import ONE, Candle, Instrument, OrderType, PaperSettings, Product, Side, Tick

D = Decimal
INFY = Instrument("NSE:INFY", "Infosys", "NSE", D("0.05"), band_pct=D(90))


@dataclass(frozen=True)
class Resting:
    """An order that rests before the bar begins."""

    side: Side
    order_type: OrderType
    level: str
    quantity: Decimal = ONE
    product: Product = Product.MIS
    instrument: Instrument = INFY
    reduce_only: bool = False

    @property
    def price(self) -> Decimal | None:
        return D(self.level) if self.order_type is OrderType.LIMIT else None

    @property
    def trigger_price(self) -> Decimal | None:
        return D(self.level) if self.order_type is OrderType.SL_M else None


BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP = (
    lambda level, side=side, kind=kind: Resting(side, kind, level) for kind in (OrderType.LIMIT, OrderType.SL_M) for side in Side
)


def bar(*prices: float) -> Candle:
    return Candle("NSE:INFY", 60.0, *prices)


def played(orders: list[Resting], candle: Candle, *, one_cancels_other: bool = False, **settings: object) -> list[tuple[str, str]]:
    """(order's level, fill price) in the order of time."""
    engine, rng = MatchingEngine(PaperSettings(**settings)), Random(1)  # type: ignore[arg-type]
    for order in orders:
        engine.submit(order, order.level, Tick("NSE:INFY", 100.0, 99.95, 100.05, 0.0), 0.0, rng)
    fills = []
    for tick in ticks_within(candle, lambda: engine.levels("NSE:INFY")):
        for outcome in engine.on_tick(tick, 60.0, rng):
            if outcome.kind is OutcomeKind.FILL:
                fills.append((outcome.broker_order_id, str(outcome.price)))
                if one_cancels_other:
                    for other in orders:
                        engine.cancel(other.level, 60.0)
    return fills


@pytest.mark.parametrize(
    ("orders", "candle", "fills"),
    [
        ([BUY_LIMIT("98")], bar(100, 101, 97, 99), [("98", "98")]),
        ([BUY_LIMIT("98")], bar(100, 101, 98, 99), [("98", "98")]),  # a touch fills, as it does live
        ([BUY_LIMIT("98")], bar(100, 101, 98.05, 99), []),
        ([BUY_LIMIT("98")], bar(96, 97, 95, 96), [("98", "98")]),
        ([SELL_LIMIT("102")], bar(100, 103, 99, 101), [("102", "102")]),
        ([SELL_STOP("98")], bar(100, 101, 90, 99), [("98", "98.00")]),  # at its trigger, not at the low
        ([SELL_STOP("98")], bar(95, 96, 90, 92), [("98", "95.00")]),  # the open gapped through it
        ([BUY_STOP("102")], bar(100, 110, 99, 101), [("102", "102.00")]),
        ([BUY_STOP("102")], bar(104, 110, 103, 105), [("102", "104.00")]),
        ([SELL_STOP("98")], bar(100, 101, 98.05, 99), []),
        # several levels are reached in the order of the walk
        ([BUY_LIMIT("99"), BUY_LIMIT("98"), SELL_LIMIT("101")], bar(100, 102, 97, 101), [("99", "99"), ("98", "98"), ("101", "101")]),
        ([BUY_LIMIT("99"), SELL_LIMIT("101")], bar(100, 102, 97, 99), [("101", "101"), ("99", "99")]),
    ],
)
def test_orders_fill_where_a_bar_reaches_them(orders: list[Resting], candle: Candle, fills: list[tuple[str, str]]) -> None:
    assert played(orders, candle) == fills


@pytest.mark.parametrize("close", [95.0, 100.0, 105.0])
def test_of_a_stop_and_a_target_inside_one_bar_the_stop_is_first(close: float) -> None:
    wild = bar(100.0, 110.0, 90.0, close)
    assert played([SELL_STOP("98"), SELL_LIMIT("102")], wild, one_cancels_other=True) == [("98", "98.00")]
    assert played([BUY_STOP("102"), BUY_LIMIT("98")], wild, one_cancels_other=True) == [("102", "102.00")]


def test_slippage_is_paid_beyond_the_trigger() -> None:
    assert played([SELL_STOP("98")], bar(100, 101, 90, 99), slippage_ticks=D(2)) == [("98", "97.90")]


@pytest.mark.parametrize(("side", "level"), [(Side.BUY, "98"), (Side.SELL, "102")])
def test_a_thin_market_is_walked_to_the_end_of_the_bar(side: Side, level: str) -> None:
    fills = played([Resting(side, OrderType.LIMIT, level, D(1000))], bar(100, 103, 97, 100), partial_fills=True)
    assert 1 < len(fills) <= 4  # at the level, at the extremes, at the close
    assert {price for _, price in fills} == {level}


def test_without_resting_orders_a_bar_is_four_ticks() -> None:
    assert [x.last_price for x in ticks_within(bar(100, 103, 98, 102), lambda: ())] == [100, 98, 103, 102]
    assert [x.last_price for x in ticks_within(bar(100, 103, 98, 99), lambda: ())] == [100, 103, 98, 99]
    assert [x.last_price for x in ticks_within(bar(100, 100, 100, 100), lambda: ())] == [100]


below, above = st.integers(1900, 1999), st.integers(2002, 2100)  # in ticks of 0.05; the market stands at 99.95 / 100.05
resting = st.one_of(
    st.tuples(st.sampled_from([BUY_LIMIT, SELL_STOP]), below),
    st.tuples(st.sampled_from([SELL_LIMIT, BUY_STOP]), above),
)


@given(st.lists(st.integers(1900, 2100), min_size=4, max_size=4), st.lists(resting, max_size=8, unique_by=lambda x: x[1]))
def test_what_a_bar_reaches_fills_once_and_nothing_else_does(path: list[int], book: list[tuple[Callable[[str], Resting], int]]) -> None:
    low, high = min(path), max(path)
    orders = {make(str(level * INFY.tick_size)): level for make, level in book}
    walked = bar(*(float(x * INFY.tick_size) for x in (path[0], high, low, path[3])))
    fills = played(list(orders), walked)
    reached = {x.level for x, level in orders.items() if (level >= low if x in falling(orders) else level <= high)}
    assert sorted(name for name, _ in fills) == sorted(reached)
    for order in orders:
        for price in (D(price) for name, price in fills if name == order.level):
            if order.order_type is OrderType.LIMIT:
                assert price == D(order.level)
            else:
                assert low * INFY.tick_size <= price <= high * INFY.tick_size
                assert (price - D(order.level)) * order.side.sign >= 0


def falling(orders: Iterable[Resting]) -> set[Resting]:
    """Those that a falling price reaches."""
    return {x for x in orders if (x.side is Side.BUY) is (x.order_type is OrderType.LIMIT)}

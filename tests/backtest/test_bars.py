"""What fills where: tables of bars and the trades that must come of them."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backtest.exchange import Exchange, Order
from engines.backtest.settings import Settings
from engines.core.charges import ChargeKind, order_charges
from engines.core.matching import OutcomeKind
from engines.core.model import ExitSpec, OrderType, Product, Role, Side, Sizing, SizingMode, TargetSpec, Tick, TrailingSpec
from engines.strategies.base import Strategy, Wish
from tests.backtest.table import TEN, Bar, Words, played
from tests.market.making import INFY, OPEN

FLAT: Bar = (100, 100, 100, 100)
CALM: Bar = (100, 101, 99, 100)
FIVE = ExitSpec(stop_points=Decimal(5), targets=(TargetSpec(Decimal(100), points=Decimal(5)),))
STOP = ExitSpec(stop_points=Decimal(5))
HALVES = ExitSpec(
    stop_points=Decimal(5),
    targets=(TargetSpec(Decimal(50), points=Decimal(4)), TargetSpec(Decimal(50), points=Decimal(8))),
    cost_after_target=1,
)
STEPS = ExitSpec(stop_points=Decimal(5), trailing=TrailingSpec("step", Decimal(2), step=Decimal(2)))


def buy(strategy: Strategy) -> Wish:
    return strategy.buy()


def sell(strategy: Strategy) -> Wish:
    return strategy.sell()


def close(strategy: Strategy) -> Wish | None:
    return strategy.close()


def buy_at_98(strategy: Strategy) -> Wish:
    return strategy.buy(price=98.0)


TABLE: list[tuple[str, list[Bar], Words, ExitSpec | None, list[tuple[Any, ...]]]] = [
    (
        "a signal at a bar's close fills at the open of the next",
        [CALM, (101, 103, 100, 102), CALM, (104, 105, 103, 104)],
        {0: buy, 2: close},
        None,
        [("BUY", 1, "101", 3, "104", "signal")],
    ),
    (
        "a turn closes and enters at the same open",
        [CALM, (101, 103, 100, 102), CALM, (104, 105, 103, 104), CALM, (102, 102, 102, 102)],
        {0: buy, 2: sell, 4: close},
        None,
        [("BUY", 1, "101", 3, "104", "signal"), ("SELL", 3, "104", 5, "102", "signal")],
    ),
    ("a stop inside a bar fills at its level", [CALM, CALM, (99, 100, 94, 96)], {0: buy}, FIVE, [("BUY", 1, "100", 2, "95", "stop")]),
    ("a stop guards from the bar of the entry on", [CALM, (100, 101, 94, 100)], {0: buy}, FIVE, [("BUY", 1, "100", 1, "95", "stop")]),
    ("a gap through the stop fills at the open", [CALM, CALM, (90, 96, 89, 95)], {0: buy}, FIVE, [("BUY", 1, "100", 2, "90", "stop")]),
    ("a target fills at its level", [CALM, CALM, (101, 107, 100, 106)], {0: buy}, FIVE, [("BUY", 1, "100", 2, "105", "target")]),
    (
        "a gap beyond the target fills at the open",
        [CALM, CALM, (107, 108, 106, 107)],
        {0: buy},
        FIVE,
        [("BUY", 1, "100", 2, "107", "target")],
    ),
    (
        "both inside one bar that falls: the stop first",
        [CALM, CALM, (100, 107, 93, 94)],
        {0: buy},
        FIVE,
        [("BUY", 1, "100", 2, "95", "stop")],
    ),
    (
        "both inside one bar that rises: the stop first",
        [CALM, CALM, (100, 107, 93, 106)],
        {0: buy},
        FIVE,
        [("BUY", 1, "100", 2, "95", "stop")],
    ),
    ("a short's stop is above", [CALM, CALM, (101, 106, 100, 102)], {0: sell}, FIVE, [("SELL", 1, "100", 2, "105", "stop")]),
    ("a short's target is below", [CALM, CALM, (99, 100, 94, 95)], {0: sell}, FIVE, [("SELL", 1, "100", 2, "95", "target")]),
    ("a gap through a short's stop", [CALM, CALM, (110, 111, 104, 105)], {0: sell}, FIVE, [("SELL", 1, "100", 2, "110", "stop")]),
    (
        "both inside one bar, short: the stop first",
        [CALM, CALM, (100, 107, 93, 94)],
        {0: sell},
        FIVE,
        [("SELL", 1, "100", 2, "105", "stop")],
    ),
    (
        "half at the first target, the rest at cost: the average of both, ended by the stop that had moved",
        [CALM, CALM, (101, 105, 101, 104), (103, 103, 98, 99)],
        {0: buy},
        HALVES,
        [("BUY", 1, "100", 3, "102", "moved_stop")],
    ),
    (
        "a stop that trails by steps",
        [CALM, CALM, (101, 106.5, 101, 106), (106, 106, 99, 100)],
        {0: buy},
        STEPS,
        [("BUY", 1, "100", 3, "101", "moved_stop")],
    ),
    (
        "after a stop the strategy is flat and may enter again",
        [CALM, CALM, (99, 100, 94, 96), CALM, CALM],
        {0: buy, 3: buy},
        STOP,
        [("BUY", 1, "100", 2, "95", "stop")],
    ),
    (
        "a limit rests and fills at its own price",
        [CALM, CALM, (99, 99, 97, 98), CALM, FLAT],
        {0: buy_at_98, 3: close},
        None,
        [("BUY", 2, "98", 4, "100", "signal")],
    ),
    ("a limit that is not reached does not fill", [CALM, CALM, CALM], {0: buy_at_98}, None, []),
]


@pytest.mark.parametrize(("bars", "words", "exits", "trades"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_trades(bars: list[Bar], words: Words, exits: ExitSpec | None, trades: list[tuple[Any, ...]]) -> None:
    run = played(bars, words, exits=exits)
    assert run.trades == trades
    assert not run.log.refused


def test_the_strategy_is_told_when_a_stop_took_it_out_before_it_sees_that_bar() -> None:
    run = played([CALM, CALM, (99, 100, 94, 96), CALM, CALM], {0: buy, 3: close}, exits=STOP)
    assert run.strategy.flats == [(2, 95.0)]
    assert [decision.reduce_only for decision in run.said.decisions] == [False]  # it has nothing to close any more


def test_it_is_not_told_of_exits_that_it_asked_for() -> None:
    assert played([CALM, CALM, CALM, CALM], {0: buy, 2: close}, exits=STOP).strategy.flats == []


def test_bars_that_hold_both_the_stop_and_the_target_are_counted() -> None:
    assert played([CALM, CALM, (100, 107, 93, 94)], {0: buy}, exits=FIVE).said.ambiguous == 1
    assert played([CALM, CALM, (100, 104, 93, 94)], {0: buy}, exits=FIVE).said.ambiguous == 0


def test_what_is_decided_on_the_last_bar_finds_no_price() -> None:
    run = played([CALM, CALM], {1: buy})
    assert (run.said.unfilled, run.log.fills) == (1, [])


def test_resting_orders_end_with_their_day() -> None:
    next_day = OPEN + 86_400
    run = played([CALM, CALM, (97, 98, 96, 97)], {0: buy_at_98}, starts=[OPEN, OPEN + 60, next_day])
    assert run.log.fills == []
    assert run.log.refused == {"expired": 1}


@pytest.mark.parametrize(("ticks", "entry", "leave"), [("0", "100", "104"), ("1", "100.1", "103.9"), ("3", "100.3", "103.7")])
def test_slippage_is_paid_on_both_ways(ticks: str, entry: str, leave: str) -> None:
    bars: list[Bar] = [CALM, CALM, CALM, (104, 104, 104, 104)]
    run = played(bars, {0: buy, 2: close}, settings=Settings(sizing=TEN, slippage_ticks=Decimal(ticks)))
    assert run.trades == [("BUY", 1, entry, 3, leave, "signal")]


def test_charges_are_those_of_the_tables_to_the_last_digit() -> None:
    """1,000 shares bought at 100 and sold at 104 within the day: both legs by the tables, and the sum as a person works it out."""
    settings = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(1000)))
    run = played([CALM, CALM, CALM, (104, 104, 104, 104)], {0: buy, 2: close}, settings=settings)
    (trade,) = run.log.trades
    legs = [
        order_charges(ChargeKind.INTRADAY, side, Decimal(1000), Decimal(price), "2024-01-02", "paper")
        for side, price in ((Side.BUY, 100), (Side.SELL, 104))
    ]
    assert trade.gross == 4000
    assert trade.charges == sum((leg.total for leg in legs), Decimal(0)) == run.slot.position.charges
    assert [leg.brokerage for leg in legs] == [20, 20]
    assert [leg.stt for leg in legs] == [0, 26]  # 0.025 % of what was sold
    assert trade.net == 4000 - trade.charges


def test_the_whole_capital_is_put_in_by_default() -> None:
    run = played([CALM, CALM, CALM, (104, 104, 104, 104)], {0: buy, 2: close}, settings=Settings())
    assert [trade.quantity for trade in run.log.trades] == [10_000]  # 10,00,000 at 100


def test_an_entry_without_money_is_refused_and_told() -> None:
    big = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(60_000)))  # 60,00,000 at leverage 5 needs 12,00,000
    run = played([CALM, CALM, CALM], {0: buy}, settings=big)
    assert (run.log.fills, run.log.refused) == ([], {"insufficient_funds": 1})


@given(
    price=st.floats(0.5, 90_000),
    side=st.sampled_from(Side),
    quantity=st.integers(1, 5000),
    slip=st.sampled_from(["0", "1", "2.5"]),
    product=st.sampled_from(Product),
    kind=st.sampled_from(OrderType),
)
def test_the_short_way_for_market_orders_answers_what_the_matching_core_answers(
    price: float, side: Side, quantity: int, slip: str, product: Product, kind: OrderType
) -> None:
    exchange, tick = Exchange(Decimal(slip), Decimal(5)), Tick(INFY.symbol, price, price, price, OPEN)
    order = Order("1", INFY, side, Decimal(quantity), kind, product, Decimal(100), Role.ENTRY, "", None, False)
    short = exchange.at_once(order, tick)
    outcomes = exchange.submit(order, "1", tick, OPEN, Random(0))
    if short is not None:
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED, OutcomeKind.FILL]
        assert (outcomes[1].price, outcomes[1].quantity, exchange.levels(INFY.symbol)) == (short, order.quantity, ())
    else:
        assert kind is not OrderType.MARKET or product is Product.CNC

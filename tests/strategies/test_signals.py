"""From a wish to a signal: names that repeat, prices on the tick."""

from __future__ import annotations

import re
from decimal import Decimal
from math import nan

import pytest

from engines.core.model import ExitSpec, OrderType, Side, Source, TargetSpec
from engines.strategies.base import Wish
from engines.strategies.signals import make_signal, signal_id
from tests.market.making import INFY, OPEN
from tests.strategies.making import config

PLAN = ExitSpec(stop_pct=Decimal(1))


def test_the_same_wish_of_the_same_candle_has_the_same_name_and_any_other_has_another() -> None:
    buy, sell = Wish(Side.BUY), Wish(Side.SELL)
    names = [
        signal_id("ST1", "NSE:INFY", OPEN, buy),
        signal_id("ST2", "NSE:INFY", OPEN, buy),
        signal_id("ST1", "NSE:M&M", OPEN, buy),
        signal_id("ST1", "NSE:M_M", OPEN, buy),
        signal_id("ST1", "NSE:INFY", OPEN + 60, buy),
        signal_id("ST1", "NSE:INFY", OPEN + 0.25, buy),
        signal_id("ST1", "NSE:INFY", OPEN, sell),
        signal_id("ST1", "NSE:INFY", OPEN, sell._replace(reduce_only=True)),
        signal_id("a strategy with a very long name & odd signs", "NSE:INFY", OPEN, buy),
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in names)
    assert signal_id("ST1", "NSE:INFY", OPEN, buy._replace(note="other words", stop=1.0)) == names[0]


def test_a_signal_carries_whose_it_is_and_what_is_wished() -> None:
    signal = make_signal(Wish(Side.BUY, note="why", quantity=Decimal(5)), config(exit_plan=PLAN), INFY, OPEN, key="K1", now=OPEN + 60)
    assert (signal.key, signal.user_id, signal.strategy_id, signal.symbol) == ("K1", "U1", "ST1", "NSE:INFY")
    assert (signal.side, signal.order_type, signal.source, signal.reduce_only) == (Side.BUY, OrderType.MARKET, Source.STRATEGY, False)
    assert (signal.created_at, signal.note, signal.quantity, signal.account_ids) == (OPEN + 60, "why", Decimal(5), ())
    assert signal.exits == PLAN  # without a stop of its own the strategy's settings hold


def test_stops_are_rounded_away_from_the_price_and_targets_to_the_nearest_tick() -> None:
    wish = Wish(Side.BUY, stop=1499.97, targets=(1510.04, 1520.06, 1530.0))
    exits = make_signal(wish, config(exit_plan=PLAN), INFY, OPEN, key="K", now=OPEN).exits
    assert exits.stop_price == Decimal("1499.9")
    assert exits.targets == (
        TargetSpec(Decimal("33.33"), Decimal("1510.0")),
        TargetSpec(Decimal("33.33"), Decimal("1520.1")),
        TargetSpec(Decimal("33.34"), Decimal("1530.0")),
    )
    short = make_signal(wish._replace(side=Side.SELL), config(), INFY, OPEN, key="K", now=OPEN).exits
    assert short.stop_price == Decimal("1500.0")


def test_a_full_recipe_wins_and_a_close_carries_none() -> None:
    recipe = ExitSpec(stop_points=Decimal(3))
    wish = Wish(Side.BUY, stop=1.0, exits=recipe)
    assert make_signal(wish, config(exit_plan=PLAN), INFY, OPEN, key="K", now=OPEN).exits == recipe
    close = make_signal(wish._replace(reduce_only=True), config(exit_plan=PLAN), INFY, OPEN, key="K", now=OPEN)
    assert close.exits.empty
    assert close.reduce_only


def test_a_limit_price_makes_a_limit_order_on_the_tick() -> None:
    signal = make_signal(Wish(Side.BUY, price=1500.04), config(), INFY, OPEN, key="K", now=OPEN)
    assert (signal.order_type, signal.price) == (OrderType.LIMIT, Decimal("1500.0"))


@pytest.mark.parametrize(
    "wish", [Wish(Side.BUY, stop=nan), Wish(Side.BUY, stop=-1.0), Wish(Side.BUY, targets=(0.0,)), Wish(Side.BUY, price=nan)]
)
def test_what_is_not_a_price_is_an_error(wish: Wish) -> None:
    with pytest.raises(ValueError):
        make_signal(wish, config(), INFY, OPEN, key="K", now=OPEN)

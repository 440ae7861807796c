"""Limits as tables: given an account's day and an entry, expect the denial that is named first, or none."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import Denial, Instrument, Limits, OrderType, Product, Side
from engines.core.risk import LimitUse, RiskInput, check_entry, check_price, effective_limit, limit_use, margin_required

D = Decimal
NAN = D("NaN")
INFY = Instrument("NSE:INFY", "Infosys", "NSE", D("0.05"), band_pct=D(10))
CALL = Instrument("NFO:NIFTY26DEC25000CE", "NIFTY", "NFO", D("0.05"), lot_size=65, segment="OPT", strike=D(25000), option_type="CE")

GOOD = RiskInput(
    limits=Limits(
        max_daily_loss=D(5000),
        max_daily_profit=D(9000),
        max_trades_per_day=10,
        max_open_positions=3,
        max_order_value=D(50000),
        max_position_value=D(80000),
    ),
    capital=D(100000),
    day_pnl=D(0),
    trades_today=0,
    symbol="NSE:INFY",
    open_symbols=frozenset(),
    price=1500.0,
    price_age=0.2,
    order_value=D(15000),
    position_value_after=D(15000),
    available_funds=D(100000),
    required_margin=D(3000),
)


def test_an_entry_within_every_limit_may_leave_and_each_check_is_told() -> None:
    denial, checks = check_entry(GOOD)
    assert denial is None
    assert [x.name for x in checks] == [
        "daily_loss", "daily_profit", "max_trades", "max_positions", "stale_price", "order_value", "position_value", "insufficient_funds",
    ]  # fmt: skip
    assert all(x.passed and x.detail for x in checks)


@pytest.mark.parametrize(
    ("change", "denial"),
    [
        ({"day_pnl": D("-4999.99")}, None),
        ({"day_pnl": D(-5000)}, Denial.DAILY_LOSS),
        ({"day_pnl": D("8999.99")}, None),
        ({"day_pnl": D(9000)}, Denial.DAILY_PROFIT),
        ({"locked": "daily_loss", "day_pnl": D(100)}, Denial.DAILY_LOSS),  # closed for the day though it recovered
        ({"locked": "daily_profit", "day_pnl": D(100)}, Denial.DAILY_PROFIT),
        ({"trades_today": 9}, None),
        ({"trades_today": 10}, Denial.MAX_TRADES),
        ({"open_symbols": {"NSE:SBIN", "NSE:TCS"}}, None),
        ({"open_symbols": {"NSE:SBIN", "NSE:TCS", "NSE:ITC"}}, Denial.MAX_POSITIONS),
        ({"open_symbols": {"NSE:SBIN", "NSE:TCS", "NSE:INFY"}}, None),  # adds to one that is open
        ({"price_age": 3.0}, None),
        ({"price_age": 3.1}, Denial.STALE_PRICE),
        ({"price_age": -0.2}, None),  # the feed's clock is a little ahead
        ({"order_value": D(50000)}, None),
        ({"order_value": D("50000.01")}, Denial.ORDER_VALUE),
        ({"position_value_after": D("80000.01")}, Denial.POSITION_VALUE),
        ({"required_margin": D(100000)}, None),
        ({"required_margin": D("100000.01")}, Denial.INSUFFICIENT_FUNDS),
        ({"available_funds": D(-1)}, Denial.INSUFFICIENT_FUNDS),
        # the first in the order of the contract is the one that is named
        ({"day_pnl": D(-9999), "trades_today": 99, "required_margin": D(10**9)}, Denial.DAILY_LOSS),
        ({"trades_today": 99, "order_value": D(10**9)}, Denial.MAX_TRADES),
        ({"order_value": D(10**9), "position_value_after": D(10**9), "required_margin": D(10**9)}, Denial.ORDER_VALUE),
    ],
)
def test_the_first_limit_that_is_broken_is_named(change: dict[str, object], denial: Denial | None) -> None:
    assert check_entry(replace(GOOD, **change))[0] == denial  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "denial"),
    [
        ({"day_pnl": None}, Denial.DAILY_LOSS),
        ({"day_pnl": NAN}, Denial.DAILY_LOSS),
        ({"day_pnl": D("-Infinity")}, Denial.DAILY_LOSS),
        ({"day_pnl": D("Infinity")}, Denial.DAILY_LOSS),
        ({"day_pnl": None, "limits": replace(GOOD.limits, max_daily_loss=None)}, Denial.DAILY_PROFIT),
        ({"trades_today": -1}, Denial.MAX_TRADES),
        ({"price": None}, Denial.STALE_PRICE),
        ({"price": float("nan")}, Denial.STALE_PRICE),
        ({"price": float("inf")}, Denial.STALE_PRICE),
        ({"price": 0.0}, Denial.STALE_PRICE),
        ({"price": -1500.0}, Denial.STALE_PRICE),
        ({"price": NAN}, Denial.STALE_PRICE),
        ({"price_age": None}, Denial.STALE_PRICE),
        ({"price_age": float("nan")}, Denial.STALE_PRICE),
        ({"price_age": -60.0}, Denial.STALE_PRICE),
        ({"price_age": 60.0}, Denial.STALE_PRICE),
        ({"order_value": None}, Denial.ORDER_VALUE),
        ({"order_value": NAN}, Denial.ORDER_VALUE),
        ({"order_value": D(-1)}, Denial.ORDER_VALUE),
        ({"order_value": NAN, "limits": Limits()}, Denial.ORDER_VALUE),  # though nothing limits it
        ({"position_value_after": None}, Denial.POSITION_VALUE),
        ({"position_value_after": NAN}, Denial.POSITION_VALUE),
        ({"position_value_after": D(-1)}, Denial.POSITION_VALUE),
        ({"required_margin": None}, Denial.INSUFFICIENT_FUNDS),
        ({"required_margin": NAN}, Denial.INSUFFICIENT_FUNDS),
        ({"required_margin": D(-1)}, Denial.INSUFFICIENT_FUNDS),
        ({"available_funds": None}, Denial.INSUFFICIENT_FUNDS),
        ({"available_funds": NAN}, Denial.INSUFFICIENT_FUNDS),
        ({"available_funds": D("Infinity")}, Denial.INSUFFICIENT_FUNDS),
        ({"limits": Limits(max_daily_loss=NAN)}, Denial.DAILY_LOSS),
        ({"limits": Limits(max_daily_loss=D(-5000))}, Denial.DAILY_LOSS),
        ({"limits": Limits(max_daily_profit=NAN)}, Denial.DAILY_PROFIT),
        ({"limits": Limits(max_trades_per_day=-1)}, Denial.MAX_TRADES),
        ({"limits": Limits(max_open_positions=-1)}, Denial.MAX_POSITIONS),
        ({"limits": Limits(max_order_value=NAN)}, Denial.ORDER_VALUE),
        ({"limits": Limits(max_position_value=D(-1))}, Denial.POSITION_VALUE),
        ({"limits": Limits(max_daily_loss_pct=D(5)), "capital": NAN}, Denial.DAILY_LOSS),
        ({"limits": Limits(max_order_value_pct=D(5)), "capital": D(-1)}, Denial.ORDER_VALUE),
    ],
)
def test_law_6_missing_nan_negative_or_stale_input_is_denied(change: dict[str, object], denial: Denial) -> None:
    assert check_entry(replace(GOOD, **change))[0] == denial  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "denial"),
    [
        (Limits(max_daily_loss=D(0)), Denial.DAILY_LOSS),
        (Limits(max_daily_loss_pct=D(0)), Denial.DAILY_LOSS),
        (Limits(max_daily_profit=D(0)), Denial.DAILY_PROFIT),
        (Limits(max_trades_per_day=0), Denial.MAX_TRADES),
        (Limits(max_open_positions=0), Denial.MAX_POSITIONS),
        (Limits(max_order_value=D(0)), Denial.ORDER_VALUE),
        (Limits(max_position_value=D(0)), Denial.POSITION_VALUE),
    ],
)
@pytest.mark.parametrize("day_pnl", [D(-10), D(0), D(10)])
def test_a_limit_of_zero_allows_nothing(limits: Limits, denial: Denial, day_pnl: Decimal) -> None:
    assert check_entry(replace(GOOD, limits=limits, day_pnl=day_pnl))[0] == denial


def test_no_limits_allow_whatever_the_funds_allow() -> None:
    free = replace(GOOD, limits=Limits(), day_pnl=None, trades_today=999, order_value=D(10**9), position_value_after=D(10**9))
    assert check_entry(free)[0] is None


@pytest.mark.parametrize(
    ("absolute", "pct", "limit"),
    [(None, None, None), ("5000", None, "5000"), (None, "3", "3000"), ("5000", "3", "3000"), ("2000", "3", "2000"), ("0", "3", "0")],
)
def test_of_a_limit_in_money_and_one_in_percent_the_tighter_holds(absolute: str | None, pct: str | None, limit: str | None) -> None:
    form = lambda x: None if x is None else D(x)  # noqa: E731
    assert effective_limit(form(absolute), form(pct), D(100000)) == form(limit)


@pytest.mark.parametrize(
    ("pnl", "use"),
    [
        ("0", LimitUse(D(0), D(0), warn=False, reached=None)),
        ("-3999", LimitUse(D("79.98"), D(0), warn=False, reached=None)),
        ("-4000", LimitUse(D(80), D(0), warn=True, reached=None)),
        ("-5000", LimitUse(D(100), D(0), warn=True, reached=Denial.DAILY_LOSS)),
        ("-7500", LimitUse(D(150), D(0), warn=True, reached=Denial.DAILY_LOSS)),
        ("7200", LimitUse(D(0), D(80), warn=True, reached=None)),
        ("9000", LimitUse(D(0), D(100), warn=True, reached=Denial.DAILY_PROFIT)),
    ],
)
def test_at_80_percent_a_warning_and_at_100_the_day_is_closed(pnl: str, use: LimitUse) -> None:
    assert limit_use(GOOD.limits, GOOD.capital, D(pnl)) == use


@pytest.mark.parametrize("unknown", [None, NAN])
def test_an_unknown_pnl_closes_nothing_but_denies_entries(unknown: Decimal | None) -> None:
    assert limit_use(GOOD.limits, GOOD.capital, unknown) == LimitUse(None, None, warn=False, reached=None)


def test_a_limit_of_zero_closes_the_day_only_once_something_was_lost() -> None:
    limits = Limits(max_daily_loss=D(0))
    assert limit_use(limits, D(1000), D(0)) == LimitUse(D(100), None, warn=False, reached=None)
    assert limit_use(limits, D(1000), D("-0.01")).reached == Denial.DAILY_LOSS


@given(st.decimals(-(10**6), 10**6, places=2), st.decimals(1, 10**6, places=2), st.decimals(1, 10**6, places=2))
def test_what_closes_the_day_is_what_denies_an_entry(pnl: Decimal, loss: Decimal, profit: Decimal) -> None:
    limits = Limits(max_daily_loss=loss, max_daily_profit=profit)
    assert check_entry(replace(GOOD, limits=limits, day_pnl=pnl))[0] == limit_use(limits, GOOD.capital, pnl).reached


ill = st.sampled_from([None, NAN, D("sNaN"), D("Infinity"), D("-Infinity"), D(-1), D(0), D(100), D(10**6)])
ill_limit = st.sampled_from([None, None, NAN, D("Infinity"), D(-1), D(0), D(100), D(10**6)])
ill_float = st.sampled_from([None, float("nan"), float("inf"), -100.0, 0.0, 0.5, 3.0, 1500.0])


@given(
    st.builds(
        RiskInput,
        limits=st.builds(
            Limits,
            *[ill_limit] * 4,
            st.sampled_from([None, -1, 0, 5]),
            st.sampled_from([None, -1, 0, 5]),
            *[ill_limit] * 4,
        ),
        capital=st.sampled_from([NAN, D("Infinity"), D(-1), D(0), D(10**6)]),
        day_pnl=ill,
        trades_today=st.integers(-1, 6),
        symbol=st.just("NSE:INFY"),
        open_symbols=st.sets(st.sampled_from(["NSE:INFY", "NSE:SBIN"])),
        price=ill_float,
        price_age=ill_float,
        order_value=ill,
        position_value_after=ill,
        available_funds=ill,
        required_margin=ill,
    )
)
def test_law_6_no_input_however_ill_gets_an_entry_through_or_raises(inp: RiskInput) -> None:
    denial, checks = check_entry(inp)
    assert denial == next((x.name for x in checks if not x.passed), None)
    if denial is not None:
        return
    known = [inp.order_value, inp.position_value_after, inp.available_funds, inp.required_margin]
    assert all(x is not None and x.is_finite() and x >= 0 for x in known)
    assert inp.price is not None
    assert inp.price > 0
    assert inp.price_age is not None
    assert -1 <= inp.price_age <= inp.max_price_age
    limits = inp.limits
    asked = [limits.max_daily_loss, limits.max_daily_loss_pct, limits.max_daily_profit, limits.max_daily_profit_pct]
    if any(x is not None for x in asked):
        assert inp.day_pnl is not None
        assert inp.day_pnl.is_finite()
    every = [*asked, limits.max_order_value, limits.max_order_value_pct, limits.max_position_value, limits.max_position_value_pct]
    assert all(x is None or (x.is_finite() and x > 0) for x in every)


def of_segment(segment: str) -> Instrument:
    return replace(INFY, segment=segment)


@pytest.mark.parametrize(
    ("instrument", "product", "side", "value", "margin"),
    [
        (INFY, Product.MIS, Side.BUY, "10000", "2000"),
        (INFY, Product.MIS, Side.SELL, "10000", "2000"),
        (INFY, Product.CNC, Side.BUY, "10000", "10000"),
        (INFY, Product.CNC, Side.SELL, "10000", "0"),
        (of_segment("FUT"), Product.NRML, Side.SELL, "10000", "10000"),
        (of_segment("FUT"), Product.MIS, Side.BUY, "10000", "2000"),
        (of_segment("SPOT"), Product.MIS, Side.BUY, "10000", "10000"),
        (of_segment("SPOT"), Product.MIS, Side.SELL, "10000", "0"),
        (of_segment("PERP"), Product.MIS, Side.SELL, "10000", "2000"),
        (of_segment("PERP"), Product.NRML, Side.BUY, "10000", "10000"),
        (CALL, Product.MIS, Side.BUY, "6500", "6500"),  # a premium is paid in full
        (CALL, Product.MIS, Side.SELL, "6500", "243750"),  # 15 % of 65 x 25,000
    ],
)
def test_margin_is_what_the_product_blocks(instrument: Instrument, product: Product, side: Side, value: str, margin: str) -> None:
    assert margin_required(instrument, product, side, D(value), D(5), quantity=D(65)) == D(margin)


def test_writing_an_option_blocks_at_least_its_premium() -> None:
    assert margin_required(CALL, Product.NRML, Side.SELL, D(300000), D(5), quantity=D(65)) == 300000
    assert margin_required(replace(CALL, strike=None), Product.NRML, Side.SELL, D(6500), D(5), quantity=D(65)) == 6500


@pytest.mark.parametrize("leverage", ["0", "-5", "NaN", "0.5", "1"])
def test_an_unusable_leverage_lends_nothing(leverage: str) -> None:
    assert margin_required(INFY, Product.MIS, Side.BUY, D(10000), D(leverage)) == 10000


@pytest.mark.parametrize(
    ("order_type", "price", "trigger", "side", "denial"),
    [
        (OrderType.MARKET, None, None, Side.BUY, None),
        (OrderType.LIMIT, "1500.05", None, Side.BUY, None),
        (OrderType.LIMIT, "1650", None, Side.BUY, None),  # the band's edge
        (OrderType.LIMIT, "1650.05", None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.LIMIT, "1349.95", None, Side.SELL, Denial.PRICE_BAND),
        (OrderType.LIMIT, "1500.03", None, Side.BUY, Denial.PRICE_BAND),  # off the tick
        (OrderType.LIMIT, None, None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.LIMIT, "NaN", None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.LIMIT, "0", None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.LIMIT, "-1500", None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.SL, "1511", "1510", Side.BUY, None),
        (OrderType.SL, "1509", "1510", Side.BUY, Denial.PRICE_BAND),  # its limit is short of its trigger
        (OrderType.SL, "1489", "1490", Side.SELL, None),
        (OrderType.SL, "1491", "1490", Side.SELL, Denial.PRICE_BAND),
        (OrderType.SL, "1511", None, Side.BUY, Denial.PRICE_BAND),
        (OrderType.SL_M, None, "1490", Side.SELL, None),
        (OrderType.SL_M, None, "1000", Side.SELL, Denial.PRICE_BAND),
    ],
)
def test_a_price_off_the_tick_or_outside_the_band_is_denied(
    order_type: OrderType, price: str | None, trigger: str | None, side: Side, denial: Denial | None
) -> None:
    assert check_price(INFY, order_type, price and D(price), trigger and D(trigger), 1500.0, side) == denial  # type: ignore[arg-type]


@pytest.mark.parametrize("last", [None, float("nan"), 0.0, -1.0, float("inf")])
def test_without_a_last_price_no_band_can_be_drawn(last: float | None) -> None:
    assert check_price(INFY, OrderType.LIMIT, D(1500), None, last, Side.BUY) == Denial.STALE_PRICE
    assert check_price(INFY, OrderType.MARKET, None, None, last, Side.BUY) is None

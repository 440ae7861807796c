"""The paper exchange as tables: given orders and a walk of the market, expect fills, rests and refusals."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.core.matching import MatchingEngine, Outcome, OutcomeKind
from engines.core.model import Instrument, OrderType, PaperSettings, Product, Side, Tick

D = Decimal
TEN = D(10)
INFY = Instrument("NSE:INFY", "Infosys", "NSE", D("0.05"))
FUTURE = Instrument("NFO:NIFTY26DECFUT", "NIFTY", "NFO", D("0.10"), lot_size=65, freeze_quantity=1800, segment="FUT")
INDEX = Instrument("NSE:NIFTY 50", "NIFTY 50", "NSE", D("0.05"), segment="INDEX")
COIN = Instrument("BINANCE:BTCUSDT", "Bitcoin", "BINANCE", D("0.01"), segment="SPOT", quantity_step=D("0.001"))
NOON = datetime.fromisoformat("2026-11-20T12:00:00+05:30").timestamp()
EVENING = NOON + 8 * 3600


@dataclass(frozen=True)
class Ask:
    """An order as the exchange gets it."""

    side: Side = Side.BUY
    quantity: Decimal = TEN
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    product: Product = Product.MIS
    instrument: Instrument = INFY
    reduce_only: bool = False


def buy(order_type: str = "MARKET", price: str | None = None, trigger: str | None = None, quantity: str = "10", **more: object) -> Ask:
    return Ask(Side.BUY, D(quantity), OrderType(order_type), price and D(price), trigger and D(trigger), **more)  # type: ignore[arg-type]


def sell(order_type: str = "MARKET", price: str | None = None, trigger: str | None = None, quantity: str = "10", **more: object) -> Ask:
    return replace(buy(order_type, price, trigger, quantity, **more), side=Side.SELL)


def quote(bid: float, ask: float, last: float | None = None, symbol: str = "NSE:INFY") -> Tick:
    return Tick(symbol, (bid + ask) / 2 if last is None else last, bid, ask, NOON)


class Market:
    """One account's exchange under test, with the calls shortened."""

    def __init__(self, tick: Tick | None = None, leverage: str = "5", now: float = NOON, seed: int = 1, **settings: object) -> None:
        self.engine = MatchingEngine(PaperSettings(**settings), D(leverage))  # type: ignore[arg-type]
        self.tick = tick or quote(1500.0, 1500.1)
        self.now = now
        self.rng = Random(seed)
        self.count = 0

    def submit(self, order: Ask, **account: Decimal) -> list[Outcome]:
        self.count += 1
        return list(self.engine.submit(order, f"B{self.count}", self.tick, self.now, self.rng, **account))  # type: ignore[arg-type]

    def move(self, bid: float, ask: float, last: float | None = None) -> list[Outcome]:
        self.tick = quote(bid, ask, last, self.tick.symbol)
        return list(self.engine.on_tick(self.tick, self.now, self.rng))


def fills(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(str(x.quantity), str(x.price)) for x in outcomes if x.kind is OutcomeKind.FILL]


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [x.kind.value for x in outcomes]


@pytest.mark.parametrize(
    ("order", "slippage", "price"),
    [
        (buy(), "0", "1500.10"),  # buys pay the ask
        (sell(), "0", "1500.00"),  # sells get the bid
        (buy(), "2", "1500.20"),
        (sell(), "2", "1499.90"),
        (buy(), "0.5", "1500.15"),  # half a tick costs a whole one
        (buy("LIMIT", "1501"), "0", "1500.10"),  # at the limit or better
        (sell("LIMIT", "1499"), "0", "1500.00"),
        (buy("LIMIT", "1500.10"), "3", "1500.10"),  # slippage never beyond the limit
        (sell("LIMIT", "1500.00"), "3", "1500.00"),
    ],
)
def test_what_the_market_can_fill_fills_at_once_on_the_far_side(order: Ask, slippage: str, price: str) -> None:
    outcomes = Market(slippage_ticks=D(slippage)).submit(order)
    assert kinds(outcomes) == ["accepted", "fill"]
    assert fills(outcomes) == [("10", price)]


@pytest.mark.parametrize(
    ("order", "walk", "expected"),
    [
        # a resting limit fills at its own price when the other side comes to it
        (buy("LIMIT", "1499"), [(1498.9, 1499.1), (1498.9, 1499.05), (1498.5, 1499.0)], [[], [], [("10", "1499")]]),
        (buy("LIMIT", "1499"), [(1490.0, 1490.1)], [[("10", "1499")]]),
        (sell("LIMIT", "1502"), [(1501.9, 1502.0), (1502.0, 1502.1)], [[], [("10", "1502")]]),
        # a stop waits for the last price, then pays the market
        (buy("SL-M", None, "1505"), [(1504.8, 1505.0, 1504.9), (1505.0, 1505.2, 1505.0)], [[], [("10", "1505.20")]]),
        (sell("SL-M", None, "1495"), [(1495.0, 1495.1, 1495.05), (1494.8, 1495.0, 1495.0)], [[], [("10", "1494.80")]]),
        (sell("SL-M", None, "1495"), [(1480.0, 1480.2, 1480.1)], [[("10", "1480.00")]]),  # gap through the stop
        # a stop-limit that has fired is a limit: filled at once if the market is there, else it rests
        (buy("SL", "1506", "1505"), [(1505.0, 1505.2, 1505.1)], [[("10", "1505.20")]]),
        (buy("SL", "1505", "1505"), [(1505.5, 1505.6, 1505.5), (1504.0, 1504.2, 1504.1)], [[], [("10", "1505")]]),
        (sell("SL", "1494", "1495"), [(1490.0, 1490.1, 1490.0), (1494.0, 1494.1, 1494.0)], [[], [("10", "1494")]]),
        # a market order in an instrument without quotes trades at the last price
        (buy("LIMIT", "1499"), [(0.0, 0.0, 1499.5), (0.0, 0.0, 1499.0)], [[], [("10", "1499")]]),
        (sell("LIMIT", "1501"), [(0.0, 0.0, 1500.5), (0.0, 0.0, 1501.0)], [[], [("10", "1501")]]),
        # nobody on the other side: no fill, whatever the last price says
        (sell("SL-M", None, "1495"), [(0.0, 1494.0, 1494.0), (1493.0, 1493.5, 1493.2)], [[], [("10", "1493.00")]]),
        # prices that are none fire nothing
        (buy("LIMIT", "1499"), [(float("nan"), float("nan"), float("nan")), (0.0, 0.0, 0.0), (-1.0, -1.0, -1.0)], [[], [], []]),
        (sell("SL-M", None, "1495"), [(float("nan"), float("nan"), float("nan")), (0.0, 0.0, 0.0), (-1.0, -1.0, -1.0)], [[], [], []]),
    ],
)
def test_what_rests_waits_for_its_price(order: Ask, walk: list[tuple[float, ...]], expected: list[list[tuple[str, str]]]) -> None:
    market = Market()
    assert kinds(market.submit(order)) == ["accepted"]
    assert [fills(market.move(*step)) for step in walk] == expected


@pytest.mark.parametrize(
    ("order", "account", "because"),
    [
        (buy(instrument=INDEX), {}, "index"),
        (buy(quantity="1.5"), {}, "lot"),
        (buy(quantity="0"), {}, "lot"),
        (buy(quantity="-10"), {}, "lot"),
        (buy(quantity="NaN"), {}, "lot"),
        (buy(instrument=FUTURE, quantity="64"), {}, "lot"),
        (buy(instrument=FUTURE, quantity="1820"), {}, "freeze"),
        (buy(instrument=FUTURE, quantity="65", product=Product.CNC), {}, "CNC"),
        (buy("LIMIT"), {}, "price is missing"),
        (buy("LIMIT", "1500.03"), {}, "tick size"),
        (buy("LIMIT", "NaN"), {}, "missing"),
        (buy("LIMIT", "-5"), {}, "missing"),
        (buy("LIMIT", "1850"), {}, "band"),
        (sell("LIMIT", "1100"), {}, "band"),
        (buy("SL-M"), {}, "trigger price is missing"),
        (buy("SL", None, "1505"), {}, "price is missing"),
        (buy("SL-M", None, "1495"), {}, "below the last price"),
        (sell("SL-M", None, "1505"), {}, "above the last price"),
        (buy("SL", "1504", "1505"), {}, "below the trigger"),
        (sell("SL", "1496", "1495"), {}, "above the trigger"),
        (sell(product=Product.CNC), {}, "only 0"),
        (sell(product=Product.CNC), {"held": D(9)}, "only 9"),
        (sell(product=Product.CNC), {"held": D(-5)}, "only 0"),
        (sell(instrument=COIN, quantity="0.002"), {"held": D("0.001")}, "only 0.001"),
        (buy(), {"available": D("3000.19")}, "insufficient funds"),
        (buy(product=Product.CNC), {"available": D("15000.99")}, "insufficient funds"),
        (buy(), {"available": D("NaN")}, "insufficient funds"),
        (sell(quantity="30"), {"held": D(10), "available": D(5999)}, "insufficient funds"),  # 20 of it would open a short
    ],
)
def test_what_an_exchange_would_not_take_is_rejected_with_the_reason(order: Ask, account: dict[str, Decimal], because: str) -> None:
    market = Market(quote(1500.0, 1500.1, symbol=order.instrument.symbol))
    outcomes = market.submit(order, **account)
    assert kinds(outcomes) == ["rejected"]
    assert because in outcomes[0].message
    assert not market.engine.is_open("B1")


@pytest.mark.parametrize(
    ("order", "account"),
    [
        (sell(), {}),  # intraday may go short
        (sell(product=Product.CNC), {"held": D(10)}),
        (buy(), {"available": D("3000.2")}),
        (sell(), {"held": D(10), "available": D(0)}),  # closing blocks nothing
        (sell(reduce_only=True), {"held": D(0), "available": D(0)}),  # an exit is never refused for money
        (buy("SL-M", None, "1500.05"), {}),  # a trigger at the last price fires at once
        (buy(instrument=FUTURE, quantity="1755", product=Product.NRML), {}),
    ],
)
def test_what_an_exchange_takes_is_accepted(order: Ask, account: dict[str, Decimal]) -> None:
    assert kinds(Market(quote(1500.0, 1500.1, symbol=order.instrument.symbol)).submit(order, **account)) == ["accepted", "fill"]


def test_a_market_order_without_a_price_is_rejected() -> None:
    market = Market(quote(0.0, 1500.1, 1500.0))
    assert kinds(market.submit(sell())) == ["rejected"]  # an ask alone is nobody to sell to
    assert kinds(market.engine.submit(buy(), "B9", None, NOON, Random(1))) == ["rejected"]  # type: ignore[arg-type]


def test_delivery_is_not_sold_twice() -> None:
    market = Market()
    assert kinds(market.submit(sell("LIMIT", "1510", product=Product.CNC), held=D(15))) == ["accepted"]
    assert kinds(market.submit(sell("LIMIT", "1510", product=Product.CNC, quantity="6"), held=D(15))) == ["rejected"]
    assert kinds(market.submit(sell("LIMIT", "1510", product=Product.CNC, quantity="5"), held=D(15))) == ["accepted"]


def test_resting_orders_block_margin_until_they_are_done() -> None:
    market = Market()
    money = {"available": D(5000)}
    assert kinds(market.submit(buy("LIMIT", "1500"), **money)) == ["accepted"]
    assert market.engine.blocked_margin == 3000
    assert kinds(market.submit(buy("LIMIT", "1500"), **money)) == ["rejected"]
    market.engine.cancel("B1", NOON)
    assert market.engine.blocked_margin == 0
    assert kinds(market.submit(buy("LIMIT", "1500"), **money)) == ["accepted"]


def test_orders_outside_the_session_are_rejected_and_resting_ones_do_not_fill() -> None:
    market = Market(session_hours=True)
    assert kinds(market.submit(buy("LIMIT", "1499"))) == ["accepted"]
    market.now = EVENING
    assert market.move(1490.0, 1490.1) == []
    (rejected,) = market.submit(buy())
    assert "closed" in rejected.message
    market.now = NOON
    assert fills(market.move(1490.0, 1490.1)) == [("10", "1499")]
    assert kinds(Market(now=EVENING).submit(buy())) == ["accepted", "fill"]  # by default open at any hour


def test_the_day_ends_what_still_rests() -> None:
    market = Market()
    market.submit(buy("LIMIT", "1499"))
    market.submit(sell("SL-M", None, "1490"))
    assert market.engine.expire(NOON, "BINANCE") == []
    expired = market.engine.expire(NOON, "NSE")
    assert [(x.broker_order_id, x.kind.value, x.quantity) for x in expired] == [("B1", "expired", 10), ("B2", "expired", 10)]
    assert market.move(1400.0, 1400.1) == []


def test_a_cancel_takes_the_order_away_and_a_late_one_finds_nothing() -> None:
    market = Market()
    market.submit(buy("LIMIT", "1499"))
    assert kinds(list(market.engine.cancel("B1", NOON))) == ["cancelled"]
    assert market.engine.cancel("B1", NOON) == ()
    assert market.engine.cancel("never", NOON) == ()
    assert market.move(1490.0, 1490.1) == []
    assert not market.engine.has_resting("NSE:INFY")


def test_a_modified_order_follows_its_new_terms() -> None:
    market = Market()
    market.submit(buy("LIMIT", "1490"))
    change = lambda **terms: list(market.engine.modify("B1", market.tick, NOON, market.rng, **terms))  # noqa: E731
    assert kinds(change(price=D(1499), quantity=D(20))) == ["accepted"]
    assert market.move(1490.0, 1490.1)[0].quantity == 20
    market.submit(sell("SL-M", None, "1480"))
    with pytest.raises(ValueError, match="no longer open"):
        change(price=D(1498))
    moved = market.engine.modify("B2", market.tick, NOON, market.rng, trigger_price=D(1489))
    assert kinds(list(moved)) == ["accepted"]
    assert fills(market.move(1488.0, 1488.5, 1488.9)) == [("10", "1488.00")]


def test_a_modified_limit_that_the_market_reaches_fills_at_once() -> None:
    market = Market()
    market.submit(buy("LIMIT", "1490"))
    assert fills(list(market.engine.modify("B1", market.tick, NOON, market.rng, price=D(1501)))) == [("10", "1500.10")]


def test_a_modified_order_goes_behind_others_at_its_price() -> None:
    market = Market()
    for _ in range(2):
        market.submit(buy("LIMIT", "1490"))
    market.engine.modify("B1", market.tick, NOON, market.rng, quantity=D(20))
    assert [x.broker_order_id for x in market.move(1480.0, 1480.1)] == ["B2", "B1"]


def test_a_stop_limit_that_has_fired_changes_as_a_plain_limit() -> None:
    market = Market()
    market.submit(buy("SL", "1505", "1505"))
    assert market.move(1506.0, 1506.1) == []  # fired, and the market ran away
    market.move(1503.0, 1506.1)
    market.engine.modify("B1", market.tick, NOON, market.rng, price=D(1504))  # below its old trigger
    assert fills(market.move(1503.0, 1504.0)) == [("10", "1504")]


def test_a_stop_that_has_fired_into_a_thin_market_may_still_be_changed() -> None:
    market = Market(seed=3, partial_fills=True)
    market.submit(buy("SL-M", None, "1505", quantity="1000"))
    first = fills(market.move(1506.0, 1506.1))
    traded = D(first[0][0])
    more = fills(list(market.engine.modify("B1", market.tick, NOON, market.rng, quantity=traded + 1)))
    assert more == [("1", "1506.10")]


@pytest.mark.parametrize(
    ("terms", "because"),
    [
        ({"price": D("1490.03")}, "tick size"),
        ({"price": D(100)}, "band"),
        ({"quantity": D(0)}, "lot"),
        ({"quantity": D("1.5")}, "lot"),
        ({"quantity": D(1000), "available": D(5000)}, "insufficient funds"),
        ({"price": D(1495), "available": D(2985)}, "insufficient funds"),  # dearer at the same quantity
    ],
)
def test_a_refused_change_leaves_the_order_as_it_was(terms: dict[str, Decimal], because: str) -> None:
    market = Market()
    market.submit(buy("LIMIT", "1490"))
    with pytest.raises(ValueError, match=because):
        market.engine.modify("B1", market.tick, NOON, market.rng, **terms)  # type: ignore[arg-type]
    assert fills(market.move(1489.0, 1489.5)) == [("10", "1490")]


def test_a_delivery_sale_is_not_raised_above_what_is_held() -> None:
    market = Market()
    market.submit(sell("LIMIT", "1510", product=Product.CNC), held=D(15))
    with pytest.raises(ValueError, match="only 15"):
        market.engine.modify("B1", market.tick, NOON, market.rng, quantity=D(16), held=D(15))
    assert kinds(list(market.engine.modify("B1", market.tick, NOON, market.rng, quantity=D(15), held=D(15)))) == ["accepted"]


def test_better_prices_go_first_and_equal_ones_by_age() -> None:
    market = Market()
    for price in ("1498", "1499", "1499", "1497"):
        market.submit(buy("LIMIT", price))
    assert [x.broker_order_id for x in market.move(1490.0, 1497.5)] == ["B2", "B3", "B1"]


def test_a_thin_market_fills_in_parts_that_add_up_and_repeats_by_its_seed() -> None:
    def run(seed: int) -> list[tuple[str, str]]:
        market = Market(seed=seed, partial_fills=True)
        parts = fills(market.submit(buy(quantity="1000")))
        while market.engine.is_open("B1"):
            parts += fills(market.move(1500.0, 1500.1))
        return parts

    assert run(7) == run(7)
    assert len(run(7)) > 1
    assert sum(D(quantity) for quantity, _ in run(7)) == 1000


def test_rejects_at_random_come_by_the_seed_and_in_the_share_asked() -> None:
    market = Market(reject_pct=D(30))
    rejected = sum(kinds(market.submit(buy())) == ["rejected"] for _ in range(1000))
    assert 250 < rejected < 350


def test_restored_orders_go_on_where_they_were_and_no_trade_id_repeats() -> None:
    before = Market(seed=3, partial_fills=True)
    first = [x for x in before.submit(buy("LIMIT", "1501", quantity="100")) if x.kind is OutcomeKind.FILL]
    filled = sum((x.quantity for x in first), D(0))
    assert 0 < filled < 100
    after = Market()
    after.engine.restore(buy("LIMIT", "1501", quantity="100"), "B1", filled)
    after.engine.restore(sell("SL", "1489", "1490"), "B2")
    after.engine.restore(sell("SL", "1489", "1490"), "B3", triggered=True)
    rest = after.move(1500.0, 1500.1)
    assert [(x.broker_order_id, x.quantity) for x in rest] == [("B1", 100 - filled), ("B3", 10)]
    assert {x.trade_id for x in first}.isdisjoint(x.trade_id for x in rest)


def test_a_stop_that_has_partly_traded_needs_no_second_trigger_after_a_restart() -> None:
    market = Market()
    market.engine.restore(buy("SL-M", None, "1600", quantity="10"), "B1", D(4))
    assert fills(market.move(1500.0, 1500.1)) == [("6", "1500.10")]


def test_an_order_is_not_shrunk_to_what_has_already_traded() -> None:
    market = Market()
    market.engine.restore(buy("LIMIT", "1490", quantity="10"), "B1", D(4))
    for quantity in (D(4), D(3)):
        with pytest.raises(ValueError, match="4 have already traded"):
            market.engine.modify("B1", market.tick, NOON, market.rng, quantity=quantity)
    market.engine.modify("B1", market.tick, NOON, market.rng, quantity=D(5))
    assert fills(market.move(1480.0, 1480.1)) == [("1", "1490")]


def test_a_price_never_slips_to_zero() -> None:
    market = Market(quote(0.1, 0.15), slippage_ticks=D(5))
    assert fills(market.submit(sell())) == [("10", "0.05")]


def test_the_same_order_id_is_not_taken_twice() -> None:
    market = Market()
    market.submit(buy("LIMIT", "1499"))
    with pytest.raises(ValueError, match="already open"):
        market.engine.submit(buy("LIMIT", "1499"), "B1", market.tick, NOON, market.rng)


@st.composite
def orders(draw: st.DrawFn) -> Ask:
    side, order_type = draw(st.sampled_from(Side)), draw(st.sampled_from(OrderType))
    level, beyond = draw(st.integers(-60, 60)), draw(st.integers(0, 20))
    trigger = D(1500) + level * INFY.tick_size
    price = trigger + side.sign * beyond * INFY.tick_size
    return Ask(
        side,
        D(draw(st.integers(1, 50))),
        order_type,
        price if order_type in (OrderType.LIMIT, OrderType.SL) else None,
        trigger if order_type in (OrderType.SL, OrderType.SL_M) else None,
    )


walks = st.lists(st.tuples(st.integers(-60, 60), st.integers(1, 4)), max_size=30)


@settings(deadline=None)
@given(st.lists(orders(), min_size=1, max_size=12), walks, st.booleans(), st.integers(0, 3), st.integers(0, 99))
def test_no_fill_goes_beyond_the_quantity_the_limit_or_the_far_side_of_the_market(
    book: list[Ask], walk: list[tuple[int, int]], partial: bool, slippage: int, seed: int
) -> None:
    market = Market(seed=seed, partial_fills=partial, slippage_ticks=D(slippage))
    asked: dict[str, Ask] = {}
    filled: dict[str, Decimal] = {}
    trades: set[tuple[str, str]] = set()

    def look(outcomes: list[Outcome]) -> None:
        for fill in (x for x in outcomes if x.kind is OutcomeKind.FILL):
            order = asked[fill.broker_order_id]
            assert fill.price is not None
            assert fill.price % INFY.tick_size == 0
            assert fill.quantity > 0
            filled[fill.broker_order_id] = filled.get(fill.broker_order_id, D(0)) + fill.quantity
            assert filled[fill.broker_order_id] <= order.quantity
            if order.price is not None:
                assert (fill.price - order.price) * order.side.sign <= 0
            far_side = D(str(market.tick.ask if order.side is Side.BUY else market.tick.bid))
            assert (far_side - fill.price) * order.side.sign <= 0  # never better than the market gives
            assert (fill.broker_order_id, fill.trade_id) not in trades
            trades.add((fill.broker_order_id, fill.trade_id))

    for order in book:
        asked[f"B{market.count + 1}"] = order
        look(market.submit(order))
    for level, spread in walk:
        bid = float(D(1500) + level * INFY.tick_size)
        look(market.move(bid, float(D(str(bid)) + spread * INFY.tick_size)))
    for name, order in asked.items():
        assert market.engine.is_open(name) or filled.get(name, D(0)) in (0, order.quantity)


@settings(deadline=None)
@given(st.lists(orders(), min_size=1, max_size=12), walks)
def test_an_order_that_the_market_has_reached_is_never_passed_over(book: list[Ask], walk: list[tuple[int, int]]) -> None:
    market = Market()
    for order in book:
        market.submit(order)
    for level, spread in walk:
        bid = float(D(1500) + level * INFY.tick_size)
        market.move(bid, float(D(str(bid)) + spread * INFY.tick_size))
        for count, order in enumerate(book, 1):
            if order.order_type is OrderType.LIMIT and order.price is not None and market.engine.is_open(f"B{count}"):
                reached = market.tick.ask <= order.price if order.side is Side.BUY else market.tick.bid >= order.price
                assert not reached

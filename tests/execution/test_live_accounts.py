"""What only accounts at real brokers know: orders that rest although they should not, sessions that end, prices that must be real, fees in the coin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import Denial, Instrument, OrderState, OrderType, Side, Tick
from engines.core.positions import book, empty
from engines.execution.chase import ENTRY_RESTS, EXIT_RESTS, MOST_CHASES, Chaser, through
from engines.execution.sessions import WARN_BEFORE
from engines.ports import BrokerFill, OrderReport, OrderRequest, StreamKey, SystemClock
from tests.core.making import fill
from tests.execution.house import INFY, PATIENCE, House, account

COIN = Instrument("BINANCE:BTCUSDT", "BTC", "BINANCE", Decimal("0.01"), segment="SPOT", quantity_step=Decimal("0.00001"))


class HandClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def wire(name: str = "A1", **changes: object) -> object:
    return account(name, broker="wire", **changes)


def live_house(script: Callable[[OrderRequest], str] = lambda request: "fill", **more: object) -> House:
    return House(wire(), script=script, **more)


# --- market orders that rest -------------------------------------------------------------------------------------------


def chaser(house: House, clock: HandClock) -> tuple[Chaser, list[str]]:
    told: list[str] = []
    system = house.system
    made = Chaser(
        clock, system.roster.lanes, system._quote, system.instruments.get, lambda kind, severity, *_: told.append(f"{kind} {severity}")
    )
    return made, told


def test_an_exit_that_rests_is_priced_through_the_market_again_and_again_and_at_last_cancelled():
    with live_house(lambda request: "open" if request.reduce_only else "fill") as house:
        house.send("BUY", 10)
        (exit_order,) = house.send("SELL", 10, reduce_only=True)
        house.until(lambda: house.journal.orders()[exit_order.order_id].state is OrderState.OPEN)
        clock = HandClock()
        follow, told = chaser(house, clock)
        prices = []
        follow.step()
        for _ in range(5):
            clock.at += EXIT_RESTS
            follow.step()
            house.until(lambda: house.system.roster.lane("A1").idle)
            prices.append(house.journal.orders()[exit_order.order_id].price)
        assert prices == sorted(prices, reverse=True), "a sell goes further down with each try"
        assert prices[0] < 100
        assert told == ["order_rests critical"]
        for _ in range(MOST_CHASES):
            clock.at += EXIT_RESTS
            follow.step()
        house.until(lambda: house.journal.orders()[exit_order.order_id].state is OrderState.CANCELLED)


def test_an_entry_that_rests_is_taken_back_and_a_limit_order_is_left_alone():
    with live_house(lambda request: "open") as house:
        (market,) = house.send("BUY", 10)
        (limit,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        house.until(lambda: house.journal.orders()[limit.order_id].state is OrderState.OPEN)
        clock = HandClock()
        follow, told = chaser(house, clock)
        follow.step()
        clock.at += ENTRY_RESTS - 0.1
        follow.step()
        assert told == []
        clock.at += 0.2
        follow.step()
        house.until(lambda: house.journal.orders()[market.order_id].state is OrderState.CANCELLED)
        assert house.journal.orders()[limit.order_id].state is OrderState.OPEN
        assert told == ["order_rests warning"]


@pytest.mark.parametrize(
    ("quote", "side", "tick", "tries", "price"),
    [
        ("100", Side.SELL, "0.05", 0, "99.70"),
        ("100", Side.BUY, "0.05", 0, "100.30"),
        ("100", Side.BUY, "0.05", 1, "100.60"),
        ("100", Side.BUY, "0.05", 2, "101.00"),
        ("100", Side.BUY, "0.05", 9, "102.00"),
        ("2", Side.BUY, "0.05", 0, "2.15"),  # at least three ticks
        ("0.1", Side.SELL, "0.05", 0, "0.05"),  # never below one tick
        ("1234.55", Side.SELL, "0.10", 0, "1230.80"),
    ],
)
def test_how_far_through_the_quote_a_resting_exit_is_priced(quote: str, side: Side, tick: str, tries: int, price: str):
    assert through(Decimal(quote), side, Decimal(tick), tries) == Decimal(price)


# --- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_is_announced_before_it_ends_and_closes_the_gate_when_it_has():
    with live_house() as house:
        now = SystemClock().now()
        broker = house.wires["A1"]
        broker.session_expires_at = now + WARN_BEFORE + 60
        assert house.system.account("A1").session_expires_at == broker.session_expires_at
        house.system.session_watch.step()
        assert house.notifier.incidents() == []
        broker.session_expires_at = now + WARN_BEFORE - 60
        house.system.session_watch.step()
        assert house.notifier.incidents() == ["session_ends_soon"]
        broker.session_expires_at = now - 1
        house.system.session_watch.step()
        assert house.system.account("A1").state == "needs_login"
        assert [o.reason for o in house.send("BUY", 1)] == [Denial.NOT_CONNECTED.value]
        broker.session_expires_at = now + 86_400
        house.system.connect("A1")
        assert house.system.account("A1").state == "ready"
        assert "needs_login" not in {incident.kind for incident in house.system.incidents()}
        assert [o.state for o in house.send("BUY", 1)] == [OrderState.FILLED]


# --- real prices for real money -------------------------------------------------------------------------------------------


class HandMarket:
    """Streams that say what the test says."""

    def __init__(self) -> None:
        self.offered: list[tuple[str, str]] = []
        self.wanted: Collection[str] = ()
        self.quiet: float | None = None

    def __call__(self, on_ticks: Callable[[Sequence[Tick]], None], *_: object) -> HandMarket:
        self.on_ticks = on_ticks
        return self

    def offer(self, broker: str, key: StreamKey | None, account_id: str) -> None:
        self.offered.append((broker, account_id))

    def withdraw(self, broker: str, account_id: str) -> None:
        self.offered.remove((broker, account_id))

    def want(self, symbols: Collection[str]) -> None:
        self.wanted = symbols

    def silence(self, symbol: str) -> float | None:
        return self.quiet

    def status(self) -> Sequence[object]:
        return ()

    def stop(self) -> None:
        return None

    def price(self, symbol: str, last: float) -> None:
        self.quiet = 0.0
        self.on_ticks([Tick(symbol, last, last, last, SystemClock().now())])


def test_real_money_never_acts_on_a_simulated_price():
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        house.until(lambda: ("wire", "A1") in market.offered)
        orders = {o.account_id: o for o in house.send("BUY", 1)}
        assert (orders["P1"].state, orders["A1"].reason) == (OrderState.FILLED, Denial.STALE_PRICE.value)
        assert INFY.symbol in market.wanted
        market.price(INFY.symbol, 250.0)
        assert {o.state for o in house.send("BUY", 1)} == {OrderState.FILLED}
        house.feed.price(INFY.symbol, 100.0)  # the simulated market goes on, and nobody listens
        assert house.system.prices.mark(INFY.symbol) == 250
        market.quiet = None  # the stream is lost
        assert {o.account_id: o.reason for o in house.send("BUY", 1)}["A1"] == Denial.STALE_PRICE.value


def test_after_a_restart_what_real_money_holds_waits_for_real_prices():
    market = HandMarket()
    with House(wire("A1"), live_market=market) as house:
        house.until(lambda: ("wire", "A1") in market.offered)
        market.price(INFY.symbol, 100.0)
        house.send("BUY", 10)
        with house.restart() as later:
            later.feed.price(INFY.symbol, 1.0)  # a simulated crash
            assert later.system.prices.mark(INFY.symbol) is None
            assert later.system.account("A1").unrealised == 0


def test_a_session_that_ends_is_taken_back_from_the_stream():
    market = HandMarket()
    with House(wire("A1"), live_market=market) as house:
        house.until(lambda: market.offered == [("wire", "A1")])
        house.wires["A1"].session_expires_at = SystemClock().now() - 1
        house.until(lambda: market.offered == [])


def test_a_session_that_was_renewed_is_lent_anew_because_the_old_ones_stream_is_dead():
    market = HandMarket()
    lent: list[StreamKey | None] = []
    market.offer = lambda broker, key, account_id: lent.append(key)
    market.withdraw = lambda broker, account_id: lent.append(None)
    with House(wire("A1"), live_market=market) as house:
        house.until(lambda: lent == [None])
        renewed = StreamKey("A1", {"token": "second"})
        house.wires["A1"].stream_key = lambda: renewed
        house.until(lambda: lent[1:] == [None, renewed])


# --- fees in the coin -----------------------------------------------------------------------------------------------------


def test_a_fee_in_the_coin_makes_the_position_smaller_and_is_part_of_its_cost():
    bought = fill("T1", "0.1", 100, fee_quantity=Decimal("0.0001"))
    position = book(empty(bought.position_key), bought)
    assert (position.quantity, position.open_cost, position.cash_flow) == (Decimal("0.0999"), 10, -10)
    sold = replace(
        bought, trade_id="T2", side=Side.SELL, quantity=Decimal("0.0999"), fee_quantity=Decimal(0), traded_at=bought.traded_at + 1
    )
    flat = book(position, sold)
    assert (flat.quantity, flat.realised) == (0, Decimal("-0.01"))


def test_what_a_fee_leaves_below_one_step_counts_as_flat():
    with House(
        account("A1", broker="binance_spot"), instruments=(COIN,), script=lambda request: "fill" if request.reduce_only else "open"
    ) as house:
        signal = replace(house.signal(symbol=COIN.symbol), quantity=Decimal("0.01"))
        (order,) = house.system.submit(signal, PATIENCE).orders
        bought = BrokerFill("T1", Decimal("0.01"), Decimal(100), SystemClock().now(), fee_quantity=Decimal("0.0000104"))
        house.wires["A1"].on_report(
            OrderReport(order.broker_order_id or "", OrderState.FILLED, filled_quantity=Decimal("0.01"), fills=(bought,))
        )
        assert house.held() == Decimal("0.0099896")
        (position,) = house.system.roster.desk("A1").open_positions()
        house.system.close_position(position.position_id, None)
        house.until(lambda: house.held() == 0)
        assert [request.quantity for request in house.books["A1"].placed] == [Decimal("0.01"), Decimal("0.00998")]
        assert house.system.roster.desk("A1").position(position.key).quantity == Decimal("0.0000096")
        assert house.system.account("A1").open_positions == 0

"""What accounts share: weight, the clock's offset, rules; and where their requests may go."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.brokers.binance.house import Budget, House, budget_at, house_at
from engines.brokers.binance.keys import TEST, check_key, endpoints_for, is_test
from engines.brokers.tools import BinanceEndpoints
from engines.ports import Refused, Retry

KEY = {
    "ipRestrict": True,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "enableFutures": True,
    "enableSpotAndMarginTrading": True,
    "enablePortfolioMarginTrading": False,
}


class Watch:
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def test_reads_pause_before_the_limit_and_orders_go_on() -> None:
    budget = Budget(100)
    budget.ask(80, 60.0, urgent=False)
    with pytest.raises(Retry) as caught:
        budget.ask(1, 75.0, urgent=False)
    assert caught.value.after == 45.0
    budget.ask(1, 75.0, urgent=False, share=0.95)  # a lane that looks for an order goes before those who only watch
    budget.ask(1, 75.0, urgent=True)
    budget.ask(1, 120.0, urgent=False)  # the next minute


def test_what_binance_counts_counts() -> None:
    budget = Budget(100)
    budget.told(79, 1.0)
    budget.ask(1, 2.0, urgent=False)
    with pytest.raises(Retry):
        budget.ask(1, 3.0, urgent=False)


def test_nobody_goes_while_binance_says_stop() -> None:
    budget = Budget(100)
    assert budget.stop(7.0, False, 10.0) == 7.0
    with pytest.raises(Retry) as caught:
        budget.ask(0, 12.0, urgent=True)
    assert caught.value.after == 5.0
    budget.ask(0, 17.0, urgent=True)


def test_without_a_named_time_the_pause_doubles() -> None:
    budget = Budget(100)
    assert [budget.stop(None, False, at) for at in (1000.0, 1002.0, 1005.0)] == [1.0, 2.0, 4.0]
    assert budget.stop(None, True, 1010.0) == 120.0


def test_a_published_limit_replaces_ours() -> None:
    budget = Budget(100)
    budget.allow(1000)
    budget.ask(500, 1.0, urgent=False)


def test_one_budget_for_each_address_one_house_for_each_root() -> None:
    one, other = budget_at("http://x", "spot", None), budget_at("http://x", "spot", "127.0.0.2")
    assert one is budget_at("http://x", "spot", None)
    assert one is not other
    assert one is not budget_at("http://x", "usdm", None)
    house = house_at("http://x", "spot")
    assert house is house_at("http://x", "spot") is not house_at("http://y", "spot")


def test_stamps_lie_a_little_in_binances_past() -> None:
    house, clock = House("spot"), Watch(1000.0)
    assert not house.clock_known(clock)
    house.set_clock(1_005_050, 1000.0, 1000.1, clock)  # five seconds ahead of us
    assert house.clock_known(clock)
    assert house.stamp_ms(clock) == 1_000_000 + 5_000 - 200
    assert house.offset_seconds == pytest.approx(5.0)
    clock.at += 5000
    assert not house.clock_known(clock)


def test_prices_grow_old() -> None:
    house = House("spot")
    house.learn_prices({"BNBUSDT": Decimal(600)}, 10.0)
    assert house.price("BNBUSDT", 20.0) == 600
    assert house.price("BNBUSDT", 1000.0) is None


def test_only_perpetuals_are_listed() -> None:
    house = House("usdm")
    row = {"symbol": "BTCUSDT_260327", "contractType": "CURRENT_QUARTER", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
    house.learn([row], lambda row: {"symbol": row["symbol"]}, 1.0)
    assert not house.rules


# --- keys


@pytest.mark.parametrize("switch", ["enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"])
def test_a_key_that_can_move_money_away_is_refused(switch: str) -> None:
    with pytest.raises(Refused, match="switch that off at Binance"):
        check_key({**KEY, switch: True}, "spot")


@pytest.mark.parametrize(
    ("market", "changes", "words"),
    [
        ("spot", {"enableSpotAndMarginTrading": False}, "Enable Spot & Margin Trading"),
        ("usdm", {"enableFutures": False}, "Enable Futures"),
        ("usdm", {"enablePortfolioMarginTrading": True}, "portfolio margin"),
        ("spot", {"enableReading": False}, "Enable Reading"),
    ],
)
def test_a_key_that_cannot_do_its_work_says_which_switch(market: str, changes: dict[str, bool], words: str) -> None:
    with pytest.raises(Refused, match=words):
        check_key({**KEY, **changes}, market)  # type: ignore[arg-type]


def test_a_key_without_addresses_is_a_warning() -> None:
    assert check_key(KEY, "usdm") == ()
    assert check_key({**KEY, "ipRestrict": False}, "spot")


# --- where to


def test_a_test_account_lives_at_binances_test_hosts() -> None:
    assert endpoints_for(BinanceEndpoints(), True) == TEST
    assert endpoints_for(BinanceEndpoints(), False) == BinanceEndpoints()


def test_named_hosts_win_and_the_ws_api_follows_the_sockets() -> None:
    given = BinanceEndpoints("http://127.0.0.1:1/", "http://127.0.0.1:1", "ws://127.0.0.1:1", "ws://127.0.0.1:1")
    chosen = endpoints_for(given, True)
    assert (chosen.spot_root, chosen.spot_ws_api_root) == ("http://127.0.0.1:1", "ws://127.0.0.1:1/ws-api/v3")
    assert "binance" not in repr(chosen)


def test_the_test_switch_in_all_its_spellings() -> None:
    assert [is_test({"testnet": value}) for value in ("true", "1", True, "yes", "on")] == [True] * 5
    assert [is_test({"testnet": value}) for value in ("false", "", False, "0", None)] == [False] * 5

"""What a report tells of trades: excursions as small tables, rows by what one asks for, the best and worst closely, and the files for other programs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from engines.backtest import Report, Settings, run
from engines.backtest.breakdown import KEYS, rows
from engines.backtest.chance import random_entries
from engines.backtest.closeups import MOST_CANDLES, closeups
from engines.backtest.columns import Columns, columns_of
from engines.backtest.excursions import Excursion, excursions, risk
from engines.backtest.exports import equity_csv, orders_csv, trades_csv
from engines.backtest.history import History
from engines.backtest.records import Execution, Move, Refusal, Trade
from engines.core.model import Candle, ExitSpec, Role, Side, Sizing, SizingMode, TargetSpec, Tick
from engines.market.files import MarketFile
from tests.market.making import OPEN

D = Decimal
DAY = 86_400.0
INFY = "NSE:INFY"
BARS = [(100, 103, 99, 101), (101, 106, 100, 105), (105, 107, 96, 97), (97, 98, 90, 95)]
"""Open, high, low, close of four minutes."""


def candles(bars: list[tuple[float, float, float, float]] = BARS, symbol: str = INFY) -> list[Candle]:
    return [Candle(symbol, OPEN + 60 * n, *bar) for n, bar in enumerate(bars)]


def history(rows: list[Candle]) -> History:
    return History(Path("rows"), "", MarketFile(rows, (), 60.0, (), 0), ())


def trade(
    side: Side,
    entry: tuple[float, str],
    leave: tuple[float, str],
    reason: str = "signal",
    *,
    quantity: str = "1",
    charges: str = "0",
    **more: object,
) -> Trade:
    """Entry and exit as (minute, price)."""
    (begin, bought), (end, sold) = entry, leave
    gross = (D(sold) - D(bought)) * side.sign * D(quantity)
    made = Trade(INFY, side, D(quantity), OPEN + 60 * begin, D(bought), OPEN + 60 * end, D(sold), gross, D(charges), reason)
    return replace(made, **more)  # type: ignore[arg-type]


# --- excursions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "adverse", "favourable", "bars"),
    [
        # in at an open, out at an open: all bars between, and of the last only the exit
        (trade(Side.BUY, (0, "100"), (2, "105")), 1, 6, 2),
        (trade(Side.SELL, (0, "100"), (2, "105")), 6, 1, 2),
        # out inside a bar by a stop: its open and the exit count, its far extreme does not
        (trade(Side.BUY, (0, "100"), (2.5, "98"), "stop"), 2, 6, 3),
        (trade(Side.SELL, (1, "101"), (2.5, "107"), "stop"), 6, 1, 2),
        # out by a target: the losing extreme of its bar came first
        (trade(Side.BUY, (0, "100"), (2.7, "107"), "target"), 4, 7, 3),
        (trade(Side.SELL, (1, "101"), (2.7, "96.5"), "target"), 6, 4.5, 2),
        # in and out within one bar, by a stop and by a target
        (trade(Side.BUY, (2, "105"), (2.4, "100"), "stop"), 5, 0, 1),
        (trade(Side.BUY, (2, "105"), (2.6, "107"), "target"), 9, 2, 1),
        # in inside a bar: of that bar the losing extreme and the close
        (trade(Side.BUY, (1.3, "103"), (3, "97")), 7, 4, 2),
        (trade(Side.SELL, (1.3, "103"), (3, "97")), 4, 7, 2),
        # in and out at the same price and moment
        (trade(Side.BUY, (1, "101"), (1, "101")), 0, 0, 0),
        # a gap beyond the stop: the exit itself is the worst that was seen
        (trade(Side.BUY, (0, "100"), (3, "90"), "stop"), 10, 7, 3),
    ],
)
def test_how_far_a_trade_went_against_and_for_its_owner(made: Trade, adverse: float, favourable: float, bars: int) -> None:
    assert excursions([made], columns_of([history(candles())], {INFY})) == [Excursion(adverse, favourable, bars)]


def test_of_ticks_only_those_between_count() -> None:
    ticks = [Tick(INFY, price, price, price, OPEN + n) for n, price in enumerate((100.0, 104.0, 95.0, 101.0, 80.0))]
    columns = columns_of([History(Path("ticks"), "", MarketFile((), ticks, 0.0, (), 0), ())], {INFY})
    made = trade(Side.BUY, (0, "100"), (3 / 60, "101"))
    assert excursions([made], columns) == [Excursion(5.0, 4.0, 3)]


def test_a_trade_in_an_unknown_instrument_has_gone_from_its_entry_to_its_exit() -> None:
    assert excursions([trade(Side.BUY, (0, "100"), (2, "105"))], {}) == [Excursion(0.0, 5.0, 0)]


@pytest.mark.parametrize(
    ("made", "at_risk"),
    [
        (trade(Side.BUY, (0, "100"), (1, "101"), quantity="5"), None),
        (trade(Side.BUY, (0, "100"), (1, "101"), quantity="5", first_stop=D("97.5")), D("12.5")),
        (trade(Side.SELL, (0, "100"), (1, "101"), quantity="5", first_stop=D("102")), D(10)),
        (trade(Side.BUY, (0, "100"), (1, "101"), first_stop=D(100)), None),  # no distance, no risk to measure by
        (trade(Side.BUY, (0, "100"), (1, "101"), first_stop=D(103)), None),
    ],
)
def test_the_risk_of_a_trade_is_the_way_to_its_first_stop(made: Trade, at_risk: Decimal | None) -> None:
    assert risk(made) == at_risk


# --- rows ------------------------------------------------------------------------------------------------------------

TRADES = [
    trade(Side.BUY, (0, "100"), (10, "110"), "target", quantity="2", charges="1", account_id="A"),  # Tuesday, 09
    trade(Side.SELL, (50, "100"), (60, "110"), "stop", charges="2", account_id="B", note="re-entry 1 of 2 after stop"),  # Tuesday, 10
    trade(Side.BUY, (1440, "100"), (1450, "100"), account_id="A"),  # Wednesday, 09, exactly zero
    trade(Side.BUY, (1441, "100"), (1450, "100.5"), charges="1", account_id="A"),  # wins gross, loses net
]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("exit", [("signal", 2, 0, 1, "-0.5"), ("stop", 1, 0, 1, "-12"), ("target", 1, 1, 0, "19")]),
        ("hour", [("09:00", 3, 1, 1, "18.5"), ("10:00", 1, 0, 1, "-12")]),
        ("weekday", [("Tuesday", 2, 1, 1, "7"), ("Wednesday", 2, 0, 1, "-0.5")]),
        ("side", [("long", 3, 1, 1, "18.5"), ("short", 1, 0, 1, "-12")]),
        ("account", [("A", 3, 1, 1, "18.5"), ("B", 1, 0, 1, "-12")]),
        ("symbol", [(INFY, 4, 1, 2, "6.5")]),
        ("entry", [("plain", 3, 1, 1, "18.5"), ("re-entry 1 of 2 after stop", 1, 0, 1, "-12")]),
    ],
)
def test_trades_by(key: str, found: list[tuple[str, int, int, int, str]]) -> None:
    made = rows(TRADES, KEYS[key])
    assert [(row.key, row.trades, row.wins, row.losses, row.net) for row in made] == [(*each[:4], D(each[4])) for each in found]
    assert sum(row.gross - row.charges for row in made) == sum(each.net for each in TRADES)


# --- seen closely ----------------------------------------------------------------------------------------------------


def test_the_best_and_the_worst_are_shown_once_each_however_many_accounts_traded_them(report: Report) -> None:
    account = report.accounts[0]
    twice = sorted([*account.trades, *(replace(each, account_id="other") for each in account.trades)], key=lambda each: each.exit_at)
    found = closeups(twice, report.accounts, report.analysis.columns)
    assert [each.best for each in found] == [True] * 3 + [False] * 3
    assert len({each.trade.entry_at for each in found}) == 6
    best = max(account.trades, key=lambda each: each.net)
    worst = min(account.trades, key=lambda each: each.net)
    assert (found[0].trade.entry_at, found[3].trade.entry_at) == (best.entry_at, worst.entry_at)


def test_a_close_picture_holds_the_trade_its_fills_and_its_stops(report: Report) -> None:
    for seen in report.analysis.closeups:
        trade, starts = seen.trade, [each.start for each in seen.candles]
        assert report.trades[seen.number - 1] is trade
        assert starts[0] < trade.entry_at <= trade.exit_at <= starts[-1] + seen.seconds
        assert len(starts) <= MOST_CANDLES + 1
        assert {mark.role for mark in seen.marks} >= {Role.ENTRY}
        assert seen.marks[0].price == pytest.approx(float(trade.entry_price))
        assert seen.stops[0][1] == pytest.approx(float(trade.first_stop or 0))


def test_wide_stretches_are_drawn_in_longer_candles() -> None:
    columns = columns_of([history(candles(BARS * 100))], {INFY})
    long = trade(Side.BUY, (20, "100"), (380, "101"))
    (seen,) = closeups([long], (), columns)
    assert len(seen.candles) <= MOST_CANDLES
    assert seen.seconds == 300
    first = seen.candles[0]
    assert (first.open, first.high, first.low, first.close) == (100, 107, 90, 101)


def test_there_is_no_best_among_losses_and_no_worst_among_wins() -> None:
    columns: dict[str, Columns] = dict(columns_of([history(candles())], {INFY}))
    assert [each.best for each in closeups([trade(Side.BUY, (0, "100"), (2, "105"))], (), columns)] == [True]
    assert [each.best for each in closeups([trade(Side.SELL, (0, "100"), (2, "105"))], (), columns)] == [False]
    assert closeups([], (), columns) == []


# --- entered at random -----------------------------------------------------------------------------------------------


def stairs(count: int, every: int, jump: float) -> list[Candle]:
    """A price that jumps up inside every so-manieth bar and gives all of it back, little by little, in the bars between."""
    price, made = 1000.0, []
    for n in range(count):
        begin = price
        price = begin + jump if n % every == 0 else begin - jump / (every - 1)
        made.append((begin, max(begin, price), min(begin, price), price))
    return candles(made)


def test_whoever_knows_when_to_enter_beats_nearly_all_who_enter_at_random() -> None:
    columns = columns_of([history(stairs(600, 10, 9.0))], {INFY})
    knowing = [trade(Side.BUY, (n, "1000"), (n + 1, "1009"), charges="1") for n in range(0, 400, 10)]
    found = random_entries(knowing, columns)
    assert found is not None
    assert (found.trades, found.happened, found.as_good) == (40, 320.0, 0.0)
    assert found.p05 <= found.p50 <= found.p95 < found.happened
    assert found.p50 == pytest.approx(-40, abs=60)  # a jump in ten makes up for nine small falls, so charges are what is left
    assert found == random_entries(knowing, columns) != random_entries(knowing, columns, seed=2)


def test_a_price_that_only_rises_makes_every_entry_as_good() -> None:
    columns = columns_of([history(candles([(n, n + 1.0, n, n + 1.0) for n in map(float, range(100, 400))]))], {INFY})
    found = random_entries([trade(Side.SELL, (n, "100"), (n + 5, "105"), quantity="2") for n in range(20)], columns)
    assert found is not None
    assert found.p05 == found.p50 == found.p95 == found.happened == -200.0
    assert found.as_good == 1.0


def test_accounts_that_entered_together_enter_at_random_together() -> None:
    columns = columns_of([history(stairs(600, 10, 9.0))], {INFY})
    one = [trade(Side.BUY, (n, "1000"), (n + 3, "1000")) for n in range(0, 400, 10)]
    alone, both = random_entries(one, columns, runs=60), random_entries([*one, *one], columns, runs=60)
    assert alone is not None
    assert both is not None
    assert (both.trades, both.p05, both.p95) == (alone.trades, pytest.approx(2 * alone.p05), pytest.approx(2 * alone.p95))


@pytest.mark.parametrize("count", [0, 9])
def test_too_few_trades_say_nothing_about_chance(count: int) -> None:
    assert random_entries([trade(Side.BUY, (0, "100"), (1, "101"))] * count, columns_of([history(candles())], {INFY})) is None


# --- files for other programs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(nifty_week: Path) -> Report:
    exits = ExitSpec(stop_pct=D("0.1"), targets=(TargetSpec(D(50), pct=D("0.05"), then_pct=D(0)), TargetSpec(D(50), pct=D("0.2"))))
    settings = Settings(exits=exits, sizing=Sizing(SizingMode.FIXED_QUANTITY, D(50)))
    return run("ema_cross", nifty_week, params={"fast": 5, "slow": 13, "direction": "both"}, settings=settings)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_trade_is_in_the_file_and_adds_up(report: Report) -> None:
    found = read(trades_csv(report))
    assert len(found) == len(report.trades) > 20
    assert sum(D(row["net"]) for row in found) == sum(each.net for each in report.trades)
    assert [row["entry_at"] for row in found][:1] == [report.as_json()["trades"][0]["entry_at"]]
    assert all(row["r"] for row in found)


def test_averages_are_cut_in_the_file_and_nowhere_else(report: Report) -> None:
    account = report.accounts[0]
    third = replace(account.trades[0], exit_price=D(100) / 3)
    told = replace(report, played=replace(report.played, accounts=(replace(account, trades=(third, *account.trades[1:])),)))
    assert read(trades_csv(told))[0]["exit_price"] == "33.333333"


def test_orders_are_fills_and_refusals_by_time(report: Report) -> None:
    refused = Refusal(report.first, INFY, None, "daily_loss", "=HYPERLINK(1)")
    account = replace(report.accounts[0], refusals=(refused,))
    found = read(orders_csv(replace(report, played=replace(report.played, accounts=(account,)))))
    assert len(found) == report.fills + 1
    assert (found[0]["outcome"], found[0]["reason"], found[0]["note"]) == ("refused", "daily_loss", "'=HYPERLINK(1)")
    assert [row["at"] for row in found] == sorted(row["at"] for row in found)
    assert sum(D(row["charges"]) for row in found if row["charges"]) == report.charges
    signed = sum(D(row["quantity"]) * (1 if row["side"] == "BUY" else -1) for row in found if row["outcome"] == "filled")
    assert signed == sum((each.quantity for each in report.holdings), D(0))


def test_the_equity_has_a_row_for_each_session(report: Report) -> None:
    found = read(equity_csv(report))
    assert [row["day"] for row in found] == [day for day, _ in report.equity.curve]
    assert D(found[-1]["equity"]) == report.equity_end.quantize(D("0.01"))
    assert D(found[-1]["gross"]) == (report.capital + report.gross).quantize(D("0.01"))


def test_what_the_engine_writes_down_of_a_ladder_is_what_is_drawn(report: Report) -> None:
    """Fills and moves of the report come from the run itself, not from a guess."""
    account = report.accounts[0]
    assert all(isinstance(each, Execution) for each in account.fills)
    assert {each.kind for each in account.moves if isinstance(each, Move)} >= {"armed", "moved"}
    partial = [seen for seen in report.analysis.closeups if len(seen.marks) > 2]
    assert partial
    assert len(partial[0].stops) > 1

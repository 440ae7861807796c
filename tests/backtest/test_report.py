"""What a report adds up: equity and drawdown as tables, and sums that agree whichever way they are taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engines.backtest import BadParameters, Report, Settings, Way, run
from engines.backtest.benchmark import buy_and_hold
from engines.backtest.columns import columns_of
from engines.backtest.engine import run_job
from engines.backtest.equity import Prices, follow, prices_of, together
from engines.backtest.history import History
from engines.backtest.records import Change, Trade
from engines.backtest.report import report_on
from engines.backtest.settings import Job, Seat, Source
from engines.core.model import Account, AccountMapping, Candle, ExitSpec, Limits, Side, Sizing, SizingMode, TargetSpec, Timeframe
from engines.market.files import BadFile, MarketFile
from engines.strategies.registry import UnknownKind
from tests.market.making import OPEN

D = Decimal
DAY = 86_400


@pytest.fixture(scope="module")
def report(nifty_week: Path) -> Report:
    """A week of NIFTY with a stop and a target, so that trades end for every reason."""
    exits = ExitSpec(stop_pct=D("0.1"), targets=(TargetSpec(D(100), pct=D("0.25")),))
    settings = Settings(exits=exits, slippage_ticks=D(1), sizing=Sizing(SizingMode.FIXED_QUANTITY, D(50)))
    return run("ema_cross", nifty_week, params={"fast": "5", "slow": "13", "direction": "both"}, settings=settings)


def changed(report: Report, **account: Any) -> Report:
    """The report of a run whose only account had left this behind."""
    return replace(report, played=replace(report.played, accounts=(replace(report.accounts[0], **account),)))


# --- equity ----------------------------------------------------------------------------------------------------------


def bars(*closes: float, symbol: str = "NSE:INFY", start: float = OPEN) -> list[Candle]:
    return [Candle(symbol, start + 60 * n, close, close, close, close) for n, close in enumerate(closes)]


def prices(rows: list[Candle]) -> Prices:
    return prices_of([History(Path("rows"), "", MarketFile(rows, (), 60.0, (), 0), ())], "NSE")


def held(bar: int, quantity: float, price: float, cash: float, symbol: str = "NSE:INFY") -> Change:
    return Change(OPEN + 60 * bar, symbol, quantity, price, cash)


@pytest.mark.parametrize(
    ("closes", "changes", "end", "drawdown", "bars_held"),
    [
        ([100, 50, 200], [], 1000, 0, 0),  # nothing held, nothing felt
        ([100, 110, 90, 95], [held(0, 1, 100, -100)], 995, 20, 4),
        ([100, 110, 90, 95], [held(0, -1, 100, 100)], 1005, 10, 4),
        ([100, 110, 90, 95], [held(0, 1, 100, -100), held(2, 0, 105, 5)], 1005, 5, 2),  # left before the fall: 1010 → 1005
        ([100, 110, 90, 95], [held(1, 2, 100, -200), held(1, 0, 101, 2)], 1002, 0, 0),  # in and out within a bar
        ([100, 100], [held(0, 1, 100, -103)], 997, 3, 2),  # charges are a fall, too
    ],
)
def test_the_drawdown_is_the_deepest_fall_from_a_peak_at_closes(
    closes: list[float], changes: list[Change], end: float, drawdown: float, bars_held: int
) -> None:
    found = follow(prices(bars(*closes)), changes, 1000.0)
    assert (found.curve[-1][1], found.max_drawdown, found.bars_held) == (end, drawdown, bars_held)


def test_the_curve_has_a_point_for_every_session_also_for_those_spent_in_cash() -> None:
    rows = [*bars(100, 110), *bars(120, 90, start=OPEN + DAY), *bars(80, start=OPEN + 2 * DAY)]
    found = follow(prices(rows), [held(1, 1, 100, -100), Change(OPEN + DAY + 60, "NSE:INFY", 0, 95, -5)], 1000.0)
    assert found.curve == (("2024-01-02", 1010.0), ("2024-01-03", 995.0), ("2024-01-04", 995.0))
    assert found.max_drawdown_pct == pytest.approx(100 * (1020 - 995) / 1020)


def test_several_instruments_add_up_at_every_moment() -> None:
    sbin = "NSE:SBIN"
    rows = sorted([*bars(100, 110, 120), *bars(50, 40, 30, symbol=sbin)], key=lambda candle: candle.start)
    changes = [held(0, 1, 100, -100), held(0, 2, 50, -200, sbin)]
    found = follow(prices(rows), changes, 1000.0)
    assert (found.curve[-1][1], found.max_drawdown) == (980.0, 30.0)  # 1010 after the first instrument of the second minute, 980 at the end


# --- sums ------------------------------------------------------------------------------------------------------------


def test_net_is_gross_less_charges_and_what_the_account_has_more_at_the_end(report: Report) -> None:
    assert report.net == report.gross - report.charges == report.equity_end - report.settings.capital
    assert len(report.trades) > 30
    open_ones = sum((each.unrealised for each in report.holdings), D(0))
    closed = sum((trade.gross for trade in report.trades), D(0))
    assert abs(report.gross - closed - open_ones) < D("0.01")
    assert report.equity.curve[-1][1] == pytest.approx(float(report.equity_end))


def test_reasons_account_for_every_trade(report: Report) -> None:
    assert {each.key for each in report.by_exit} == {"signal", "stop", "target"}
    assert sum(each.trades for each in report.by_exit) == len(report.trades)
    assert sum((each.net for each in report.by_exit), D(0)) == sum((trade.net for trade in report.trades), D(0))
    assert sum(each.wins for each in report.by_exit) == report.wins


def test_a_trade_is_its_prices_times_its_quantity(report: Report) -> None:
    for trade in report.trades:
        assert trade.gross == trade.side.sign * trade.quantity * (trade.exit_price - trade.entry_price)
        assert trade.entry_at <= trade.exit_at


def test_the_same_run_gives_the_same_report(report: Report, nifty_week: Path) -> None:
    again = run("ema_cross", nifty_week, params=dict(report.params), settings=report.settings)
    told, first = again.as_json(), report.as_json()
    assert told.pop("speed") != {} != first.pop("speed")
    assert told == first


def trade(net: str) -> Trade:
    return Trade("NSE:INFY", Side.BUY, D(1), OPEN, D(100), OPEN, D(100) + D(net), D(net), D(0), "signal")


@pytest.mark.parametrize(
    ("nets", "win_rate", "profit_factor"),
    [
        ([], None, None),
        (["0"], None, None),
        (["5"], D(100), None),
        (["-5"], D(0), D(0)),
        (["6", "0", "-2", "-1", "0"], D(100) / 3, D(2)),
    ],
)
def test_win_rate_and_profit_factor_leave_out_what_ended_at_zero(
    report: Report, nets: list[str], win_rate: Decimal | None, profit_factor: Decimal | None
) -> None:
    made = changed(report, trades=tuple(trade(net) for net in nets))
    assert (made.win_rate, made.profit_factor) == (win_rate, profit_factor)


def test_the_json_is_plain_and_says_what_it_was_made_from(report: Report) -> None:
    told = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert told["strategy"]["params"] == {"fast": 5, "slow": 13, "direction": "both"}
    assert told["data"]["sha256"] == report.data_hash
    assert told["data"]["bars"] == report.bars == 5 * 375
    assert told["data"]["first"] == "2024-01-01T03:45:00Z"
    assert told["assumptions"]["way"] == "stop_first"
    assert "stop first" in told["assumptions"]["path"]
    assert told["assumptions"]["slippage_ticks"] == "1"
    assert told["speed"]["bars_per_second"] > 1000
    assert D(told["result"]["net"]) == report.net.quantize(D("0.01"))
    assert len(told["trades"]) == told["result"]["trades"] == sum(each["trades"] for each in told["by_exit"].values())


def test_a_share_of_ambiguous_bars_is_told_and_warned_of(report: Report) -> None:
    some = replace(report, played=replace(report.played, ambiguous=15, bars=1500))
    assert some.as_json()["result"]["ambiguous_bars_pct"] == "1.0000"
    assert any("15 bars could have ended otherwise" in said for said in some.warnings)


# --- ways to run -----------------------------------------------------------------------------------------------------


def test_several_instruments_share_one_account(stocks_days: Path) -> None:
    sizing = Sizing(SizingMode.FIXED_AMOUNT, D(10_000))
    report = run("ema_cross", stocks_days, params={"fast": 5, "slow": 20}, settings=Settings(sizing=sizing))
    assert len(report.symbols) == 47
    assert report.bars == 47 * 75 * 3
    assert len({trade.symbol for trade in report.trades}) > 20
    assert report.net == report.equity_end - report.settings.capital


def test_a_strategy_may_run_on_longer_candles_than_the_files_and_its_stops_see_the_short_ones(nifty_week: Path) -> None:
    last = date(2024, 1, 3)
    short = run("ema_cross", nifty_week, params={"fast": 3, "slow": 8}, last=last)
    longer = run("ema_cross", nifty_week, params={"fast": 3, "slow": 8}, last=last, timeframe=Timeframe.M15)
    assert longer.bars == short.bars
    assert 0 < len(longer.decisions) < len(short.decisions) / 5
    assert {(each.moment - OPEN) % 900 for each in longer.decisions} == {0.0}


def test_days_before_the_first_warm_the_strategy_up(nifty_week: Path, tmp_path: Path) -> None:
    day = {"first": date(2024, 1, 3), "last": date(2024, 1, 3)}
    averages = {"fast": 5, "slow": 120, "direction": "both"}
    warm = run("ema_cross", nifty_week, params=averages, **day)
    cold_file = tmp_path / "one_day.csv"
    head, *rows = nifty_week.read_text().splitlines()
    cold_file.write_text("\n".join([head, *(row for row in rows if row.startswith("2024-01-03"))]))
    cold = run("ema_cross", cold_file, params=averages)
    assert (warm.bars, cold.bars) == (375, 375)
    opening = OPEN + DAY
    assert opening <= min(each.moment for each in warm.decisions) < opening + 119 * 60 <= min(each.moment for each in cold.decisions)


@pytest.mark.parametrize(
    ("kind", "params", "options", "error", "words"),
    [
        ("nonsense", {}, {}, UnknownKind, "no strategy of kind"),
        ("ema_cross", {"fast": "9", "slow": "x"}, {}, BadParameters, "slow: Input should be a valid integer"),
        ("ema_cross", {"fast": 30, "slow": 20}, {}, BadParameters, "fewer candles"),
        ("ema_cross", {"speed": 3}, {}, BadParameters, "speed"),
        ("ema_cross", {}, {"first": date(2030, 1, 1)}, BadFile, "nothing of the time"),
    ],
)
def test_what_cannot_be_run_says_so_in_words(
    nifty_week: Path, kind: str, params: dict[str, object], options: dict[str, date], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(kind, nifty_week, params=params, **options)


def test_candles_longer_than_asked_cannot_be_cut_up(stocks_days: Path) -> None:
    with pytest.raises(BadFile, match="cannot be made of"):
        run("ema_cross", stocks_days, timeframe=Timeframe.M1)


def test_a_file_of_ticks_is_played_as_ticks(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    rows = [f"{OPEN + 15 * n},NSE:INFY,{100 + (n // 40 % 2) * (n % 40) / 10},{100}" for n in range(400)]
    path.write_text("\n".join(["time,symbol,ltp,volume", *rows]))
    report = run("ema_cross", path, params={"fast": 2, "slow": 5})
    assert (report.way, report.bars, report.timeframe) == (Way.REPLAY, 400, "1m")
    assert report.trades
    with pytest.raises(BadFile, match="not as bars"):
        run("ema_cross", path, settings=Settings(way=Way.STOP_FIRST))


# --- several accounts ------------------------------------------------------------------------------------------------


def seat(name: str, capital: int, quantity: int, *, most_lost: int | None = None) -> Seat:
    limits = Limits(max_daily_loss=None if most_lost is None else D(most_lost))
    account = Account(name, "U", f"Account {name}", "paper", D(capital), limits)
    return Seat(account, AccountMapping(f"M{name}", name, "backtest", sizing=Sizing(SizingMode.FIXED_QUANTITY, D(quantity))))


@pytest.fixture(scope="module")
def three(nifty_week: Path) -> Report:
    """Three accounts of different sizes; the last stops for the day after a small loss."""
    job = Job(
        "ema_cross",
        (Source(str(nifty_week)),),
        {"fast": 5, "slow": 13, "direction": "both"},
        exits=ExitSpec(stop_pct=D("0.1")),
        seats=(seat("A", 1_000_000, 50), seat("B", 2_000_000, 75), seat("C", 500_000, 25, most_lost=1_000)),
    )
    return report_on(run_job(job))


def test_the_accounts_add_up_to_the_whole(three: Report) -> None:
    assert three.capital == 3_500_000
    assert three.net == sum((each.net for each in three.accounts), D(0)) == three.equity_end - three.capital
    assert len(three.trades) == sum(len(each.trades) for each in three.accounts)
    assert [each.exit_at for each in three.trades] == sorted(each.exit_at for each in three.trades)
    for n, (day, value) in enumerate(three.equity.curve):
        assert value == pytest.approx(sum(three.equities[name].curve[n][1] for name in "ABC"), abs=0.01), day
    assert three.equity.max_drawdown <= sum(each.max_drawdown for each in three.equities.values()) + 0.01
    told = three.as_json()
    assert [each["account_id"] for each in told["accounts"]] == ["A", "B", "C"]
    assert sum(D(each["net"]) for each in told["accounts"]) == pytest.approx(three.net, abs=D("0.02"))
    assert told["accounts"][2]["locks"] > 0
    assert {each["account_id"] for each in told["locks"]} == {"C"}
    assert "Account C" in three.as_html()


def test_trades_of_several_accounts_that_were_one_entry_are_drawn_together(three: Report) -> None:
    found = three.analysis.shuffle
    assert found is not None
    assert found.trades == len({trade.entry_at for trade in three.trades}) < len(three.trades) / 2
    assert found.actual[-1] == pytest.approx(float(three.capital) + sum(float(trade.net) for trade in three.trades))


def test_the_curve_before_charges_lies_above_by_what_was_paid_so_far(three: Report) -> None:
    gross = three.analysis.curve(0.0)
    paid = [before - after for (_, before), (_, after) in zip(gross, three.equity.curve, strict=True)]
    assert paid == sorted(paid)
    assert paid[-1] == pytest.approx(float(three.charges))
    assert gross[-1][1] == pytest.approx(float(three.capital + three.gross))


def test_costs_change_what_is_left_and_nothing_else(three: Report) -> None:
    none, once, twice = three.analysis.costs
    assert none.net == pytest.approx(float(three.gross))
    assert once.net == pytest.approx(float(three.net))
    assert twice.net == pytest.approx(float(three.gross - 2 * three.charges))
    assert once.daily == three.analysis.net
    assert {row.sums.trades for row in three.analysis.costs} == {len(three.trades)}
    assert (none.sums.win_rate or 0) >= (once.sums.win_rate or 0) >= (twice.sums.win_rate or 0)


def test_months_and_rows_add_up_to_the_whole(three: Report) -> None:
    told = three.as_json()
    assert D(told["months"][0]["net"]) == three.net.quantize(D("0.01"))
    closed = sum((trade.net for trade in three.trades), D(0))
    for rows in told["by"].values():
        assert sum(row["trades"] for row in rows) == len(three.trades)
        assert sum(D(row["net"]) for row in rows) == pytest.approx(closed, abs=D("0.1"))


@pytest.mark.parametrize("seed", range(4))
def test_the_equity_of_all_is_the_sum_of_each_and_one_instrument_alone_needs_no_names(seed: int) -> None:
    """Random fills of three accounts in two instruments: walked through together, one by one, and with or without the quick way for one instrument."""
    chance = Random(seed)
    names = ("NSE:INFY", "NSE:SBIN")
    rows = sorted(
        (candle for name in names for candle in bars(*(chance.uniform(90, 110) for _ in range(300)), symbol=name)),
        key=lambda each: each.start,
    )
    walked = prices(rows)
    accounts = [some_changes(chance, names) for _ in range(3)]
    apart = [follow(walked, each, 1000.0) for each in accounts]
    whole = follow(walked, together(accounts), 3000.0)
    assert whole.curve[-1][1] == pytest.approx(sum(each.curve[-1][1] for each in apart))
    assert whole.moments_held <= sum(each.moments_held for each in apart)

    one = [each for each in rows if each.symbol == names[0]]
    quick, changes = prices(one), some_changes(chance, names[:1])
    slow = replace(quick, only="", symbols=[names[0]] * len(one))
    assert astuple(follow(quick, changes, 1000.0))[1:] == pytest.approx(astuple(follow(slow, changes, 1000.0))[1:])


def some_changes(chance: Random, names: Sequence[str]) -> list[Change]:
    held, cash, found = dict.fromkeys(names, 0), 0.0, []
    for minute in sorted(chance.sample(range(290), 40)):
        name, units, price = chance.choice(names), chance.choice((-2, 0, 0, 1)), chance.uniform(90, 110)
        cash -= (units - held[name]) * price + 0.1
        held[name] = units
        found.append(Change(OPEN + 60 * minute + chance.choice((0, 30)), name, units, price, cash))
    return found


# --- what it says ----------------------------------------------------------------------------------------------------


def test_buy_and_hold_is_equal_parts_from_each_first_price_to_the_last() -> None:
    """100 → 120 makes a fifth; the other begins a day later at 50 and ends at 40, which loses a fifth."""
    rows = sorted(
        [*bars(100, 110), *bars(115, 120, start=OPEN + DAY), *bars(50, 40, symbol="NSE:SBIN", start=OPEN + DAY)],
        key=lambda each: each.start,
    )
    walked = prices(rows)
    columns = columns_of([History(Path("rows"), "", MarketFile(rows, (), 60.0, (), 0), ())], {"NSE:INFY", "NSE:SBIN"})
    found = buy_and_hold(walked, columns, 1000.0)
    assert found is not None
    assert found.curve == (("2024-01-02", pytest.approx(1050.0)), ("2024-01-03", pytest.approx(1000.0)))
    assert buy_and_hold(walked, {}, 1000.0) is None


def test_the_figures_stand_side_by_side_and_agree_with_the_sums(report: Report) -> None:
    found = {row["key"]: row for group in report.as_json()["figures"] for row in group["rows"]}
    assert found["total"]["gross"] == pytest.approx(float(report.gross))
    assert found["total"]["net"] == pytest.approx(float(report.net))
    assert found["total"]["net"] == float(report.summary()["net"] or 0)  # rounded once: shown in rupees, both are the same
    assert found["profit_factor"]["net"] == pytest.approx(float(report.profit_factor or 0))
    assert found["win_rate"]["net"] == pytest.approx(float(report.win_rate or 0))
    assert found["cagr"]["net"] is None  # five days are no year
    assert found["fills"]["net"] == report.fills
    assert 0 < found["exposure"]["net"] <= 100
    assert found["turnover"]["net"] == pytest.approx(
        sum(float(each.price * each.quantity) for each in report.accounts[0].fills) / float(report.capital)
    )


def test_a_summary_is_small_plain_and_says_what_the_report_says(report: Report) -> None:
    found = report.summary()
    assert len(json.dumps(found, allow_nan=False)) < 2048
    assert (found["net"], found["trades"], found["cagr"]) == (f"{report.net:.2f}", len(report.trades), None)
    assert found["max_drawdown_pct"] == pytest.approx(report.equity.max_drawdown_pct, abs=1e-6)


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ({"trades": ()}, "only 0 closed trades"),
        ({"cash": D(50), "charges": D(100), "holdings": ()}, "charges eat 67 % of the gross profit"),
        ({"cash": D(-50), "charges": D(100), "holdings": ()}, "charges eat all of the gross profit"),
        ({"refused": {"daily_loss": 2, "zero_quantity": 5}}, "7 orders were refused (zero quantity 5, daily loss 2)"),
        ({}, "only 5 sessions"),
    ],
)
def test_what_a_reader_should_know_is_said(report: Report, account: dict[str, Any], said: str) -> None:
    assert any(said in each for each in changed(report, **account).warnings)
    profitable = changed(report, cash=D(500), charges=D(10), holdings=())
    assert not any("charges" in each for each in profitable.warnings)

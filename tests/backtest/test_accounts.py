"""Many accounts behind one strategy: each by its own money, limits, day and rules, and the books of all of them balance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engines.backtest import BadParameters, Cancelled, Job, Seat, Settings, Source, Way, play_job, read_job, run_job
from engines.backtest.entries import NO_LIMITS
from engines.backtest.played import AccountPlayed
from engines.backtest.settings import seat_of
from engines.core.codec import from_plain, to_plain
from engines.core.model import (
    CombinedRule,
    CombinedScope,
    DayRules,
    ExitSpec,
    Group,
    Instrument,
    Limits,
    ReentrySpec,
    Sizing,
    SizingMode,
    TargetSpec,
    Timeframe,
)
from engines.market.files import BadFile
from engines.strategies.base import Strategy, Wish
from tests.backtest.table import TEN, Bar, Played, Words, played, trades_of
from tests.market.making import INFY, OPEN

CALM: Bar = (100, 101, 99, 100)
FALL: Bar = (100, 100, 94, 95)
STOP = ExitSpec(stop_points=Decimal(5))
NINE_FIFTEEN = OPEN  # of 2 January 2024
CROSS: dict[str, Any] = {"fast": 5, "slow": 13, "direction": "both"}


def buy(strategy: Strategy) -> Wish:
    return strategy.buy()


def sell(strategy: Strategy) -> Wish:
    return strategy.sell()


def close(strategy: Strategy) -> Wish | None:
    return strategy.close()


def at(clock: str, day: int = 0) -> float:
    hours, minutes = clock.split(":")
    return NINE_FIFTEEN + day * 86_400 + (int(hours) * 60 + int(minutes) - 9 * 60 - 15) * 60


def seat(name: str = "A1", quantity: int = 10, **account: Any) -> Seat:
    """An account that trades so many units a signal."""
    usual = seat_of(Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(quantity))), "S1")
    return Seat(replace(usual.account, account_id=name, user_id="U1", **account), replace(usual.mapping, account_id=name))


KEEP = DayRules(keep=True)


# --- limits ----------------------------------------------------------------------------------------------------------

LIMITS: list[tuple[str, Limits, list[Bar], Words, dict[str, int], list[str]]] = [
    (
        "the second entry of a day that may have one",
        Limits(max_trades_per_day=1),
        [CALM] * 6,
        {0: buy, 1: close, 2: buy},
        {"max_trades": 1},
        ["signal"],
    ),
    ("an order that is worth too much", Limits(max_order_value=Decimal(999)), [CALM] * 3, {0: buy}, {"order_value": 1}, []),
    ("a position that would be", Limits(max_position_value=Decimal(999)), [CALM] * 3, {0: buy}, {"position_value": 1}, []),
    ("no position at all is allowed", Limits(max_open_positions=0), [CALM] * 3, {0: buy}, {"max_positions": 1}, []),
    (
        "a loss that is reached inside a bar denies the next entry and leaves what is held",
        Limits(max_daily_loss=Decimal(50)),
        [CALM, CALM, FALL, CALM, CALM, CALM, CALM],
        {0: buy, 3: close, 4: buy},
        {"daily_loss": 1},
        ["signal"],
    ),
    (
        "and closes it at that corner where it is so configured",
        Limits(max_daily_loss=Decimal(50), flatten_on_limit=True),
        [CALM, CALM, FALL, CALM, CALM, CALM],
        {0: buy, 4: buy},
        {"daily_loss": 1},
        ["daily_loss"],
    ),
    (
        "a profit that is enough",
        Limits(max_daily_profit_pct=Decimal("0.005"), flatten_on_limit=True),  # 50 of 10,00,000
        [CALM, CALM, (100, 107, 100, 106), CALM, CALM],
        {0: buy, 3: buy},
        {"daily_profit": 1},
        ["daily_profit"],
    ),
]


@pytest.mark.parametrize(("limits", "bars", "words", "refused", "reasons"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_limits(limits: Limits, bars: list[Bar], words: Words, refused: dict[str, int], reasons: list[str]) -> None:
    run = played(bars, words, seats=[seat(limits=limits)])
    assert run.log.refused == refused
    assert [trade.exit_reason for trade in run.log.trades] == reasons
    assert all(refusal.detail for refusal in run.log.refusals)


def test_an_entry_whose_stop_lies_where_no_price_goes_is_denied_as_live() -> None:
    for exits in (ExitSpec(stop_pct=Decimal(100)), ExitSpec(stop_points=Decimal(101))):
        run = played([CALM] * 3, {0: buy}, exits=exits)
        assert (run.log.refused, run.log.entries, run.log.trades) == ({"price_band": 1}, 0, [])
    assert (
        played([CALM] * 3, {0: sell}, exits=ExitSpec(stop_pct=Decimal(100))).log.refused == {}
    )  # a short's stop may be at twice the price


def test_a_day_limit_closes_at_the_corner_that_reached_it_and_ends_with_the_session() -> None:
    limits = Limits(max_daily_loss=Decimal(50), flatten_on_limit=True)
    starts = [OPEN, OPEN + 60, OPEN + 120, OPEN + 180, OPEN + 86_400, OPEN + 86_460]
    run = played([CALM, CALM, FALL, CALM, CALM, CALM], {0: buy, 3: buy, 4: buy}, seats=[seat(limits=limits)], starts=starts)
    assert trades_of(run.log)[0] == ("BUY", 1, "100", 2, "94", "daily_loss")  # sold at the low: −60 and charges
    assert [(lock.day, lock.reason) for lock in run.log.locks] == [("2024-01-02", "daily_loss")]
    assert run.log.locks[0].pnl < -60
    assert run.strategy.flats == [(2, 94.0)]
    assert run.log.entries == 3  # the one of the next morning among them


def test_the_same_prices_reach_the_limit_of_one_account_and_not_of_the_other() -> None:
    few, many = seat("few", 1, limits=Limits(max_daily_loss=Decimal(50), flatten_on_limit=True)), seat("many", 10)
    many = replace(many, account=replace(many.account, limits=few.account.limits))
    run = played([CALM, CALM, FALL, CALM, CALM, CALM], {0: buy, 4: close}, seats=[few, many])
    assert [[trade.exit_reason for trade in log.trades] for log in run.logs] == [["signal"], ["daily_loss"]]
    assert run.strategy.flats == []  # one of them was still in
    assert [decision.reduce_only for decision in run.said.decisions] == [False, True]


def test_an_account_without_limits_is_asked_the_short_way_with_the_same_answers() -> None:
    """The short way asks for the price's age and the money; the long way asks everything."""
    wide = Limits(max_order_value=Decimal(10**12))
    for quantity in (10, 49_990, 50_010):  # 50,00,000 of buying power at 100 and a little
        short, long = (played([CALM] * 4, {0: buy, 1: sell}, seats=[seat(quantity=quantity, limits=each)]) for each in (NO_LIMITS, wide))
        assert (short.log.refused, short.log.fills) == (long.log.refused, long.log.fills)


# --- the day ---------------------------------------------------------------------------------------------------------

DERIVATIVE = Instrument("NFO:NIFTY24JANFUT", "NIFTY", "NFO", Decimal("0.05"), lot_size=10, segment="FUT")
DAYS: list[tuple[str, DayRules, Instrument, list[str], Words, list[tuple[int, str]], dict[str, int]]] = [
    (
        "a share is squared off at 15:10, at the first price from then on",
        KEEP,
        INFY,
        ["15:07", "15:08", "15:09", "15:10", "15:11"],
        {0: buy},
        [(355, "square_off")],
        {},
    ),
    (
        "a future at 15:15",
        KEEP,
        DERIVATIVE,
        ["15:07", "15:08", "15:14", "15:15", "15:16"],
        {0: buy},
        [(360, "square_off")],
        {},
    ),
    (
        "from then on there is no entry",
        KEEP,
        INFY,
        ["15:07", "15:08", "15:10", "15:11"],
        {0: buy, 1: sell, 2: buy},
        [(355, "square_off")],
        {"market_closed": 2, "zero_quantity": 1},
    ),
    (
        "nor before the first and from the last entry on",
        replace(KEEP, first_entry="09:20", last_entry="15:00"),
        INFY,
        ["09:16", "09:17", "15:00", "15:01", "15:02"],
        {0: buy, 3: buy},
        [],
        {"market_closed": 2},
    ),
    ("an account that does not keep them carries its position", DayRules(), INFY, ["15:08", "15:09", "15:11"], {0: buy}, [], {}),
    (
        "a square-off that found no price takes the next morning's first",
        KEEP,
        INFY,
        ["15:07", "15:08", "+09:15", "+09:16"],
        {0: buy},
        [(1440, "square_off")],
        {},
    ),
    (
        "what was decided after the close is not for the morning",
        replace(KEEP, square_off=False),
        INFY,
        ["15:29", "+09:15", "+09:16"],
        {0: buy},
        [],
        {"market_closed": 1},
    ),
]


@pytest.mark.parametrize(
    ("rules", "instrument", "clocks", "words", "left", "refused"), [row[1:] for row in DAYS], ids=[row[0] for row in DAYS]
)
def test_the_day(
    rules: DayRules, instrument: Instrument, clocks: list[str], words: Words, left: list[tuple[int, str]], refused: dict[str, int]
) -> None:
    starts = [at(clock.removeprefix("+"), int(clock[0] == "+")) for clock in clocks]
    run = played([CALM] * len(clocks), words, seats=[seat(day_rules=rules)], instrument=instrument, starts=starts)
    assert [(bar, reason) for _, _, _, bar, _, reason in run.trades] == left
    assert run.log.refused == refused


def test_a_square_off_inside_a_longer_bar_takes_the_next_price_that_is_known() -> None:
    """15:10 lies in the last of three legs of the hour from 14:15 on, from the high to the close: the close it is."""
    starts = [at("12:15"), at("13:15"), at("14:15")]
    run = played([CALM, CALM, (100, 104, 99, 103)], {0: buy}, seats=[seat(day_rules=KEEP)], starts=starts, seconds=3600)
    assert [(minute, price, reason) for _, _, _, minute, price, reason in run.trades] == [(359, "103", "square_off")]


def test_resting_entries_are_taken_back_with_the_day() -> None:
    run = played(
        [CALM] * 4,
        {0: lambda strategy: strategy.buy(price=98.0)},
        seats=[seat(day_rules=KEEP)],
        starts=[at("15:08"), at("15:09"), at("15:10"), at("15:11")],
    )
    assert (run.log.fills, run.slot.working) == ([], {})


# --- combined rules ----------------------------------------------------------------------------------------------------

UP: Bar = (100, 110, 100, 110)
ROWS: list[tuple[str, dict[str, int], list[Bar], str, str]] = [
    ("stop", {"stop": 100}, [CALM, CALM, FALL, CALM], "combined_stop", "94"),
    ("target", {"target": 150}, [CALM, CALM, UP, CALM], "combined_target", "110"),
    ("lock", {"lock_at": 150, "lock": 50}, [CALM, CALM, UP, (108, 108, 101, 102)], "combined_lock", "101"),
    ("trail", {"trail_start": 100, "trail_by": 60}, [CALM, CALM, UP, (108, 108, 106, 107)], "combined_trail", "106"),
]


@pytest.mark.parametrize(("amounts", "bars", "reason", "price"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
@pytest.mark.parametrize("scope", [CombinedScope.STRATEGY, CombinedScope.GROUP])
def test_a_combined_rule_leaves_its_scope_at_once_and_denies_entries_until_the_next_session(
    scope: CombinedScope, amounts: dict[str, int], bars: list[Bar], reason: str, price: str
) -> None:
    """Two accounts with twenty shares together; the third is not in the group."""
    rule = CombinedRule("R1", "U1", scope, "S1" if scope is CombinedScope.STRATEGY else "G1", **{k: Decimal(v) for k, v in amounts.items()})
    seats = [seat("A1"), seat("A2")] + ([seat("A3")] if scope is CombinedScope.GROUP else [])
    count = len(bars)
    run = played([*bars, CALM, CALM], {0: buy, count: buy}, seats=seats, rules=[rule], groups=[Group("G1", "U1", "both", ("A1", "A2"))])
    for log in run.logs[:2]:
        ((_, _, _, _, left, why),) = trades_of(log)
        assert (why, left) == (reason, price)
        assert [lock.reason for lock in log.locks] == [reason]
        assert list(log.refused) in (["daily_loss"], ["daily_profit"])
        assert "rule R1" in log.refusals[0].detail
    for log in run.logs[2:]:
        assert (log.trades, log.locks) == ([], [])


def test_a_rule_of_one_account_leaves_the_others_alone() -> None:
    rule = CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "A2", stop=Decimal(50))
    run = played([CALM, CALM, FALL, CALM], {0: buy}, seats=[seat("A1"), seat("A2")], rules=[rule])
    assert [[trade.exit_reason for trade in log.trades] for log in run.logs] == [[], ["combined_stop"]]
    assert run.strategy.flats == []


# --- re-entry ----------------------------------------------------------------------------------------------------------


def again(bars: list[Bar], **more: Any) -> Played:
    return played(bars, {0: buy}, exits=STOP, reentry=ReentrySpec(**more))


def test_a_re_entry_follows_a_stop_at_the_next_close_as_a_wish_of_the_strategy() -> None:
    run = again([CALM, CALM, FALL, (95, 97, 94, 96), (96, 97, 95, 96), (96, 96, 90, 91), CALM], most=1)
    assert run.trades == [("BUY", 1, "100", 2, "95", "stop"), ("BUY", 3, "95", 5, "90", "stop")]
    assert [decision.note for decision in run.said.decisions] == ["", "re-entry 1 of 1 after stop"]
    assert [trade.note for trade in run.log.trades] == ["", "re-entry 1 of 1 after stop"]


def test_a_re_entry_at_cost_waits_for_the_price_to_come_back() -> None:
    run = again([CALM, CALM, FALL, (95, 97, 94, 96), (96, 101, 96, 101), (101, 102, 100, 101)], mode="cost")
    assert [(fill.side.value, f"{fill.price.normalize():f}") for fill in run.log.fills] == [("BUY", "100"), ("SELL", "95"), ("BUY", "101")]


def test_it_waits_until_every_account_is_out() -> None:
    """The second account has no stop of its own strategy's plan to leave by: it was never in."""
    poor = seat("A2", capital=Decimal(100))
    run = played([CALM, CALM, FALL, CALM, CALM], {0: buy}, exits=STOP, reentry=ReentrySpec(), seats=[seat("A1"), poor])
    assert [len(log.fills) for log in run.logs] == [3, 0]
    assert run.logs[1].refused == {"insufficient_funds": 2}


# --- the whole job -------------------------------------------------------------------------------------------------------

LADDER = ExitSpec(
    stop_pct=Decimal("0.3"),
    targets=(TargetSpec(Decimal(50), pct=Decimal("0.3"), then_pct=Decimal(0)), TargetSpec(Decimal(50), pct=Decimal("0.6"))),
)


def job(stocks: Path, nifty: Path, **more: Any) -> Job:
    """Forty-seven shares for three days and NIFTY for a week, on four accounts that differ in everything."""
    seats = (
        seat("plain", 10),
        seat("day", 7, day_rules=KEEP),
        seat("strict", 20, limits=Limits(max_trades_per_day=30, max_open_positions=8, max_daily_loss=Decimal(4000), flatten_on_limit=True)),
        seat("small", 5, capital=Decimal(20_000), broker="zerodha"),
    )
    rules = (CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "plain", trail_start=Decimal(2000), trail_by=Decimal(1500)),)
    sources = (Source(str(stocks)), Source(str(nifty), "NSE:NIFTY 50"))
    given: dict[str, Any] = {"params": CROSS, "timeframe": Timeframe.M5, "exits": LADDER, "seats": seats, "rules": rules} | more
    return Job("ema_cross", sources, strategy_id="S1", **given)


def balance(account: AccountPlayed) -> None:
    """Fills = positions, cash + holdings = equity, trades + what is open = the result; to the last digit."""
    held: Counter[str] = Counter()
    for fill in account.fills:
        held[fill.symbol] += fill.side.sign * fill.quantity  # type: ignore[assignment]
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == {each.symbol: each.quantity for each in account.holdings}
    assert account.cash == sum((-fill.side.sign * fill.quantity * fill.price - fill.charges for fill in account.fills), Decimal(0))
    assert account.charges == sum((fill.charges for fill in account.fills), Decimal(0))
    assert account.equity_end == account.account.capital + account.cash + sum(
        (h.quantity * h.last_price for h in account.holdings), Decimal(0)
    )
    closed = sum((trade.net for trade in account.trades), Decimal(0))
    if not account.holdings:
        assert closed == account.net
    assert account.changes[-1].cash == pytest.approx(float(account.cash)) if account.changes else account.cash == 0
    assert sum(account.refused.values()) == len(account.refusals)


def test_one_job_over_many_files_instruments_and_accounts_balances(stocks_days: Path, nifty_week: Path) -> None:
    heard: list[float] = []
    asked = job(stocks_days, nifty_week)
    run = run_job(asked, progress=heard.append)
    assert len(run.instruments) == 48
    assert [each.account.account_id for each in run.accounts] == ["plain", "day", "strict", "small"]
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)
    assert 50 < len(heard) < 250
    assert any("differ in length" in note for note in run.notes)
    for account in run.accounts:
        balance(account)
    plain, day, strict, small = run.accounts
    assert len(plain.trades) > 300
    assert {trade.exit_reason for trade in plain.trades} >= {"signal", "stop", "target"}
    assert not day.holdings
    assert any(trade.exit_reason == "square_off" for trade in day.trades)
    assert all(trade.day == day_of(trade.entry_at) for trade in day.trades)
    assert set(strict.refused) >= {"max_positions"}
    assert max(len(entries) for entries in by_day(strict).values()) <= 30
    assert small.refused["insufficient_funds"] > 0
    assert run.equity_end - run.capital == run.gross - run.charges == run.net
    assert from_plain(Job, to_plain(run.job)) == run.job
    assert run.job.timeframe is Timeframe.M5


def day_of(moment: float) -> str:
    from engines.core.sessions import session_day

    return session_day(moment, "NSE")


def by_day(account: AccountPlayed) -> dict[str, list[str]]:
    """The orders by which an account entered, by day; one that turned a position counts as its entry."""
    found: dict[str, list[str]] = {}
    for fill in account.fills:
        if fill.role.value == "entry":
            found.setdefault(day_of(fill.at), []).append(fill.order_id)
    return found


def test_what_an_account_does_does_not_depend_on_its_neighbours(stocks_days: Path, nifty_week: Path) -> None:
    """Decisions are one strategy's for all; where it alone says when to leave, accounts cannot tell that there are others."""
    seats = (seat("plain", 10), seat("careful", 7, limits=Limits(max_trades_per_day=9)), seat("small", 5, capital=Decimal(20_000)))
    asked = job(stocks_days, nifty_week, exits=None, rules=(), seats=seats)
    histories = read_job(asked)
    together = play_job(asked, histories)
    for number, alone in enumerate(asked.seats):
        by_itself = play_job(replace(asked, seats=(alone,)), histories)
        assert by_itself.decisions == together.decisions
        named = [(fill.at, fill.symbol, fill.side, fill.quantity, fill.price, fill.charges) for fill in by_itself.accounts[0].fills]
        other = [(fill.at, fill.symbol, fill.side, fill.quantity, fill.price, fill.charges) for fill in together.accounts[number].fills]
        assert named == other


def test_strategies_started_anew_in_the_middle_decide_the_same(nifty_week: Path) -> None:
    tight = replace(LADDER, stop_pct=Decimal("0.05"))
    asked = Job("ema_cross", (Source(str(nifty_week)),), CROSS, last="2024-01-03", exits=tight, reentry=ReentrySpec(most=3))
    histories = read_job(asked)
    for way in (Way.STOP_FIRST, Way.REPLAY):
        walked = replace(asked, settings=Settings(way=way, sizing=TEN))
        whole = play_job(walked, histories)
        anew = play_job(walked, histories, restart_at=[OPEN + 3_600 * hour for hour in (-20, 1, 2, 3, 27)])
        assert whole.decisions == anew.decisions
        assert whole.accounts[0].fills == anew.accounts[0].fills
        assert any("re-entry" in decision.note for decision in whole.decisions)


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_the_books_balance_whatever_the_prices(data: st.DataObject) -> None:
    """Random bars, a random plan, limits and a combined rule: every account's fills add up to what it holds and has."""
    steps = data.draw(st.lists(st.tuples(st.integers(-30, 30), st.integers(0, 20), st.integers(0, 20)), min_size=20, max_size=60))
    price, bars = 1000, list[Bar]()
    for move, above, below in steps:
        opened, price = price, max(200, price + move)
        bars.append((opened / 10, (max(opened, price) + above) / 10, (min(opened, price) - below) / 10, price / 10))
    words = {n: data.draw(st.sampled_from([buy, sell, close])) for n in range(0, len(bars), 3)}
    seats = [seat("A1"), seat("A2", 30, limits=Limits(max_daily_loss=Decimal(60), flatten_on_limit=True)), seat("A3", 3, day_rules=KEEP)]
    rule = CombinedRule("R1", "U1", CombinedScope.STRATEGY, "S1", stop=Decimal(100), lock_at=Decimal(50), lock=Decimal(10))
    run = played(bars, words, exits=LADDER, seats=seats, rules=[rule], reentry=ReentrySpec(most=2))
    for slot, log in zip(run.track.slots, run.logs, strict=True):
        assert slot.position.quantity == sum(fill.side.sign * fill.quantity for fill in log.fills)
        assert slot.book.ledger.cash == sum((-f.side.sign * f.quantity * f.price - f.charges for f in log.fills), Decimal(0))
        assert all(trade.quantity > 0 and trade.entry_at <= trade.exit_at for trade in log.trades)


# --- what cannot be ------------------------------------------------------------------------------------------------------


def test_what_makes_no_sense_says_so_in_words(stocks_days: Path, nifty_week: Path) -> None:
    asked = job(stocks_days, nifty_week)
    with pytest.raises(BadFile, match="name a file"):
        run_job(replace(asked, sources=()))
    with pytest.raises(BadFile, match=r"is in .* and in"):
        run_job(replace(asked, sources=(asked.sources[1], asked.sources[1])))
    with pytest.raises(BadFile, match="cannot be made of"):
        run_job(replace(asked, timeframe=Timeframe.M1))
    with pytest.raises(BadFile, match="cannot be read"):
        run_job(replace(asked, sources=(Source("nowhere.csv"),)))
    with pytest.raises(BadParameters, match="two seats"):
        run_job(replace(asked, seats=(asked.seats[0], asked.seats[0])))
    with pytest.raises(BadParameters, match="not part of"):
        run_job(replace(asked, rules=(replace(asked.rules[0], scope_id="nobody"),)))
    with pytest.raises(BadParameters, match="YYYY-MM-DD"):
        run_job(replace(asked, first="yesterday"))


def test_whoever_hears_of_progress_may_end_it(stocks_days: Path) -> None:
    def enough(share: float) -> None:
        if share > 0.5:
            raise Cancelled("ended on request")

    with pytest.raises(Cancelled):
        run_job(Job("ema_cross", (Source(str(stocks_days)),), CROSS), progress=enough)

"""The published worked example, to the cent: NIFTY on 3 January 2024, in a back-test, in a replay and on paper, decided alike line by line (law 11)."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from app.data import open_data
from app.launch import compose
from app.launch.replay import Overheard, Replay
from app.replays import Spec
from config import Settings
from engines import backtest
from engines.backtest.events import events_of
from engines.backtest.played import Played
from engines.core.eventlog import Event, from_facts, lines
from engines.core.facts import Fact, LevelsFixed
from engines.core.model import (
    Account,
    AccountMapping,
    Instrument,
    PaperSettings,
    Side,
    Sizing,
    SizingMode,
    StrategyConfig,
    Timeframe,
)
from engines.market.replay import ReplayFeed
from tests.data.making import CLI, cheap_user

NIFTY = Path("../shared/data/nifty50_1min_2024.csv.gz")
SYMBOL = "NFO:NIFTY24JANFUT"  # what trades; the example takes the prices of its index
FUTURE = Instrument(SYMBOL, "NIFTY JAN FUT", "NFO", Decimal("0.05"), lot_size=50, segment="FUT")
DAY = "2024-01-03"

TRACE = [  # what the example says, minute by minute
    "09:42  all       NFO:NIFTY24JANFUT  signal SELL  S1-1704255120000000-S-4a234eba218c",  # closed at 21564.70, below S
    "09:43  A1        NFO:NIFTY24JANFUT  entry SELL 500 at 21568.25",  # at the next price
    "09:43  A1        NFO:NIFTY24JANFUT  plan armed, stop 21673.65",  # Y1
    "09:43  A1        NFO:NIFTY24JANFUT  stop to 21573.65",  # Y2, the level itself
    "09:43  A1        NFO:NIFTY24JANFUT  target 1 reached",
    "09:43  A1        NFO:NIFTY24JANFUT  target BUY 50 at 21563.65",
    "09:46  A1        NFO:NIFTY24JANFUT  stop BUY 450 at 21573.65",  # the high was 21575.30
]
LONG = (21717.61, [21727.61, 21737.60, 21747.60, 21757.60, 21767.60, 21777.59, 21787.59, 21797.59, 21807.59, 21817.58],
        [21617.63, 21717.61, 21727.61, 21737.60, 21747.60, 21757.60, 21767.60, 21777.59, 21787.59, 21797.59])  # fmt: skip
SHORT = (21573.65, [21563.65, 21553.65, 21543.65, 21533.66, 21523.66, 21513.66, 21503.66, 21493.67, 21483.67, 21473.67],
         [21673.62, 21573.65, 21563.65, 21553.65, 21543.65, 21533.66, 21523.66, 21513.66, 21503.66, 21493.67])  # fmt: skip


def account(user_id: str = "U1") -> Account:
    hours = PaperSettings(session_hours=True)
    return Account("A1", user_id, "A1", "paper", Decimal(5_000_000), auto_trade=True, paper=hours)


def strategy(user_id: str = "U1") -> StrategyConfig:
    return StrategyConfig("S1", user_id, "Range", "range_level", Timeframe.M1, (SYMBOL,), {}, active=True)


MAPPING = AccountMapping("M1", "A1", "S1", sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(500)))


def wait_for(feed: ReplayFeed) -> None:
    assert feed._thread is not None
    feed._thread.join(60)
    assert feed.finished


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day and the two before it."""
    path = tmp_path_factory.mktemp("days") / "days.csv"
    with gzip.open(NIFTY, "rt", encoding="utf-8") as whole:
        path.write_text("".join(islice(whole, 1 + 3 * 375)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def replayed(days: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Fact]:
    """The day alone, with the days before it as its past, through the engine as the replay page runs it."""
    spec = Spec(str(days), DAY, DAY, (account(),), (strategy(),), (MAPPING,), (FUTURE,), symbol=SYMBOL, speed=0)
    with open_data(tmp_path_factory.mktemp("replay")) as data, closing(Replay(spec, data)) as replay:
        replay.begin()
        wait_for(replay.feed)
        return replay.journal.heard()


@pytest.fixture(scope="module")
def on_paper(days: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Fact]:
    """Two days as the feed of a whole workspace with a paper account: the strategy has seen the day before with its own eyes."""
    folder = tmp_path_factory.mktemp("paper")
    path = folder / "two days.csv"
    head, *rows = days.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("symbol," + head + "".join(f"{SYMBOL},{row}" for row in rows[375:]), encoding="utf-8")
    with open_data(folder / "data", exclusive=True) as data:
        user_id = cheap_user(data)
        data.accounts.add(account(user_id), {}, by=CLI)
        data.strategies.add(strategy(user_id), by=CLI)
        data.mappings.add(user_id, MAPPING, by=CLI)
        data.journal = journal = Overheard(data.journal)  # type: ignore[assignment]
        house = compose.house(Settings(data_dir=folder / "data", feed=str(path), feed_speed=0.0), data)
        feed = house.system.feed
        assert isinstance(feed, ReplayFeed)
        feed.pace.pause()
        house.system.start()
        try:
            feed.pace.go_on()
            wait_for(feed)
        finally:
            house.system.stop()
        return journal.heard()


@pytest.fixture(scope="module")
def backtested(days: Path) -> Played:
    job = backtest.Job(
        kind="range_level",
        sources=(backtest.Source(str(days), SYMBOL),),
        first=DAY,
        last=DAY,
        strategy_id="S1",
        seats=(backtest.Seat(account(), MAPPING),),
    )
    return backtest.run_job(job, instruments=[FUTURE])


def of_the_day(events: Iterable[Event]) -> list[str]:
    return [line.removeprefix(f"{DAY} ") for line in lines(events) if line.startswith(DAY)]


def test_the_levels_are_those_of_the_published_table(replayed: list[Fact]) -> None:
    fixed = next(fact for fact in replayed if isinstance(fact, LevelsFixed) and fact.day == DAY)
    for side, entry, (level, targets, stops) in ((Side.BUY, "B", LONG), (Side.SELL, "S", SHORT)):
        mine = [each for each in fixed.levels if each.side is side]
        assert [round(each.price, 2) for each in mine if each.kind == "entry" and each.name == entry] == [level]
        assert [round(each.price, 2) for each in mine if each.kind == "target"] == targets
        assert [round(each.price, 2) for each in mine if each.kind == "stop"] == stops


def test_law_11_a_back_test_a_replay_and_a_paper_run_of_the_worked_example_are_alike_line_by_line(
    replayed: list[Fact], on_paper: list[Fact], backtested: Played
) -> None:
    assert of_the_day(events_of(backtested)) == TRACE
    assert of_the_day(from_facts(replayed)) == TRACE
    assert of_the_day(from_facts(on_paper)) == TRACE


def test_the_ladder_made_no_money_and_the_charges_were_lost(backtested: Played) -> None:
    """0 R against the level; against the fills 50 × (21568.25 − 21563.65) + 450 × (21568.25 − 21573.65) = −2,200 before charges."""
    (seat,) = backtested.accounts
    assert seat.gross == Decimal("-2200.00")
    assert seat.gross - seat.charges < seat.gross
    assert seat.equity_end == seat.account.capital + seat.gross - seat.charges

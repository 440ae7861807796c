"""The checks that a back-test should survive, with strategies made to fail them; and walk-forward: windows, choosing, and what is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from engines.backtest import checks as checks_of
from engines.backtest import engine
from engines.backtest.cutting import between, until
from engines.backtest.engine import Cancelled, play_job, read_job
from engines.backtest.history import History, read_history
from engines.backtest.played import Played
from engines.backtest.records import Decision
from engines.backtest.report import report_on
from engines.backtest.settings import Job, Settings, Source
from engines.backtest.walk_forward import BadWindows, WalkForward, walk_forward
from engines.core.model import Candle, Side, Sizing, SizingMode, Timeframe
from engines.strategies import registry
from engines.strategies.base import Parameters, Strategy, Wish
from tests.market.making import OPEN

D = Decimal
DAY = 86_400
SMALL = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, D(10)))


class Prophet(Strategy):
    """Is long while the last price of all the data is higher than this one."""

    kind, name = "prophet", "Prophet"
    end: ClassVar[float] = 0.0

    def on_candle(self, candle: Candle) -> Wish | None:
        if self.end > candle.close:
            return self.buy() if self.stance <= 0 else None
        return self.sell() if self.stance >= 0 else None


class Forgetful(Strategy):
    """Counts to forty between its turns and forgets the count when it is put up again."""

    kind, name = "forgetful", "Forgetful"

    def setup(self) -> None:
        self._seen = 0

    def on_candle(self, candle: Candle) -> Wish | None:
        self._seen += 1
        if self._seen % 40:
            return None
        return self.sell() if self.stance > 0 else self.buy()


class Steady(Forgetful):
    """The same, but it remembers."""

    kind, name = "steady", "Steady"

    def setup(self) -> None:
        self.seen = 0

    def on_candle(self, candle: Candle) -> Wish | None:
        self.seen += 1
        if self.seen % 40:
            return None
        return self.sell() if self.stance > 0 else self.buy()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.found()
    ours: dict[str, type[Strategy]] = {each.kind: each for each in (Prophet, Forgetful, Steady)}
    assert Parameters is Prophet.Params
    monkeypatch.setattr(registry, "found", lambda: replace(found, kinds=MappingProxyType({**found.kinds, **ours})))


@pytest.fixture(scope="module")
def histories(nifty_week: Path) -> tuple[History, ...]:
    return (read_history(nifty_week, last=date(2024, 1, 3)),)


def job(kind: str, **more: object) -> Job:
    return replace(Job(kind, (Source("given"),), settings=SMALL), **more)  # type: ignore[arg-type]


# --- look-ahead and restart ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["steady", "ema_cross"])
def test_a_strategy_that_neither_peeps_nor_forgets_passes_both(histories: tuple[History, ...], kind: str) -> None:
    asked = job(kind, timeframe=Timeframe.M5 if kind == "steady" else None)
    played = play_job(asked, histories)
    told: list[float] = []
    found = checks_of.check(asked, histories, played, progress=told.append)
    assert found.look_ahead.passed
    assert found.restart.passed
    assert found.warnings == ()
    assert found.look_ahead.compared > 0
    assert found.restart.compared == len(played.decisions)
    assert (len(found.look_ahead.moments), len(found.restart.moments)) == (3, 5)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_strategy_that_knows_what_comes_later_is_caught(histories: tuple[History, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(asked: Job, files: Sequence[History], **more: Any) -> Played:
        monkeypatch.setattr(Prophet, "end", files[0].file.candles[-1].close)
        return play_job(asked, files, **more)

    monkeypatch.setattr(engine, "play_job", leaky)
    asked = job("prophet")
    found = checks_of.check(asked, histories, leaky(asked, histories))
    assert not found.look_ahead.passed
    assert "with data up to 2024-01-01" in found.look_ahead.detail
    assert "knows what comes later" in found.warnings[0]
    assert found.restart.passed


def test_a_strategy_that_forgets_over_a_restart_is_caught(histories: tuple[History, ...]) -> None:
    asked = job("forgetful")
    found = checks_of.check(asked, histories, play_job(asked, histories))
    assert found.look_ahead.passed
    assert not found.restart.passed
    assert "after restarts" in found.restart.detail
    assert found.warnings[-1].startswith("after a restart the strategy would decide otherwise: NSE:")


def test_whoever_listens_to_the_progress_may_end_a_check(histories: tuple[History, ...]) -> None:
    def stop(_share: float) -> None:
        raise Cancelled("enough")

    asked = job("steady")
    with pytest.raises(Cancelled):
        checks_of.check(asked, histories, play_job(asked, histories), progress=stop)


def test_moments_are_spread_over_all_files_not_only_the_longest(histories: tuple[History, ...], stocks_days: Path) -> None:
    """1,125 minutes of 2024 and 225 bars of 2026: the last of five restarts lies in the second file."""
    files = (*histories, read_history(stocks_days, symbol="NSE:INFY"))
    asked = job("ema_cross", timeframe=Timeframe.M5)
    found = checks_of.check(asked, files, play_job(asked, files))
    assert [datetime.fromtimestamp(at, UTC).year for at in found.restart.moments] == [2024] * 4 + [2026]
    assert found.look_ahead.passed
    assert found.restart.passed


BUY, SELL = (Decision(OPEN, "NSE:INFY", side, False, "S1") for side in (Side.BUY, Side.SELL))


@pytest.mark.parametrize(
    ("first", "again", "said"),
    [
        ([BUY, SELL], [BUY, SELL], ""),
        ([], [], ""),
        ([BUY], [SELL], "NSE:INFY at 2024-01-02 09:15:00: BUY at first, SELL now"),
        ([BUY], [], "NSE:INFY at 2024-01-02 09:15:00: BUY at first, nothing now"),
        ([], [SELL._replace(reduce_only=True)], "NSE:INFY at 2024-01-02 09:15:00: nothing at first, SELL to leave now"),
    ],
)
def test_the_first_decision_that_differs_is_named(first: list[Decision], again: list[Decision], said: str) -> None:
    assert checks_of.difference(first, again, "now") == said


# --- cutting ---------------------------------------------------------------------------------------------------------


def test_a_cut_keeps_what_was_over_by_then_and_warms_up_on_what_came_before(histories: tuple[History, ...]) -> None:
    candles = histories[0].file.candles
    begin, end = candles[100].start, candles[200].start
    (shorter,) = until(histories, end + 59)
    assert shorter.file.candles[-1] == candles[199]  # the bar that begins at `end` is not over a second before its end
    (part,) = between(histories, begin, end)
    assert (part.file.candles[0], part.file.candles[-1]) == (candles[100], candles[199])
    assert list(part.earlier) == list(candles[:100])
    assert until(histories, candles[0].start) == ()


def test_a_warm_up_is_as_long_as_its_strategy_may_ask_for_and_not_longer(histories: tuple[History, ...]) -> None:
    long = [Candle("NSE:INFY", OPEN + 60 * n, 1, 1, 1, 1) for n in range(12_000)]
    history = replace(histories[0], file=replace(histories[0].file, candles=long), earlier=())
    at = long[11_000].start
    assert len(between([history], at, at + 600)[0].earlier) == 2_000
    assert len(between([history], at, at + 600, Timeframe.M5)[0].earlier) == 10_000


# --- walk-forward ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def week(nifty_week: Path) -> tuple[History, ...]:
    return read_job(Job("ema_cross", (Source(str(nifty_week)),)))


@pytest.fixture(scope="module")
def walked(week: tuple[History, ...]) -> WalkForward:
    points = [{"fast": 5, "slow": 15}, {"fast": 10, "slow": 40}, {"fast": 30, "slow": 20}]  # the last is not a strategy
    return walk_forward(job("ema_cross"), week, points, train_days=2, test_days=2)


def test_each_window_trades_what_was_best_on_the_sessions_before_it(walked: WalkForward, week: tuple[History, ...]) -> None:
    assert [(w.train_first, w.train_last, w.test_first, w.test_last, w.test_sessions) for w in walked.windows] == [
        ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", 2),
        ("2024-01-03", "2024-01-04", "2024-01-05", "2024-01-05", 1),
    ]
    begin, middle, end = (OPEN - 33_300 + DAY * n for n in (-1, 1, 3))
    for window in walked.windows[:1]:
        scores = {}
        for point in ({"fast": 5, "slow": 15}, {"fast": 10, "slow": 40}):
            scores[point["fast"]] = play_job(job("ema_cross", params=point), between(week, begin, middle)).net
        assert window.tried == 2
        assert window.params["fast"] == max(scores, key=lambda fast: scores[fast])
        assert window.train_net == max(scores.values())
        tested = play_job(job("ema_cross", params=window.params), between(week, middle, end))
        assert (window.test_net, window.test_trades) == (tested.net, len(tested.accounts[0].trades))


def test_only_what_was_traded_afterwards_is_put_together(walked: WalkForward) -> None:
    assert [day for day, _ in walked.curve] == ["2024-01-03", "2024-01-04", "2024-01-05"]
    assert walked.curve[-1][1] == pytest.approx(1_000_000 + float(walked.net))
    assert walked.net == sum((window.test_net for window in walked.windows), D(0))
    assert walked.daily.sessions == 3


def test_training_may_always_begin_at_the_first_session_and_rank_by_what_should_be_low(week: tuple[History, ...]) -> None:
    points = [{"fast": 5, "slow": 15}, {"fast": 10, "slow": 40}]
    found = walk_forward(job("ema_cross"), week, points, train_days=3, test_days=1, rank="max_drawdown", anchored=True)
    assert {window.train_first for window in found.windows} == {"2024-01-01"}
    assert [window.train_sessions for window in found.windows] == [3, 4]
    assert all(window.score >= 0 for window in found.windows)


@pytest.mark.parametrize(
    ("points", "train", "test", "said"),
    [
        ([{"fast": 5}], 5, 1, "5 sessions are too few"),
        ([{"fast": 5}], 0, 1, "too few"),
        ([{"fast": 30, "slow": 20}], 2, 1, "none of the parameters"),
        ([], 2, 1, "none of the parameters"),
    ],
)
def test_what_cannot_be_walked_through_says_so(
    week: tuple[History, ...], points: list[dict[str, int]], train: int, test: int, said: str
) -> None:
    with pytest.raises(BadWindows, match=said):
        walk_forward(job("ema_cross"), week, points, train_days=train, test_days=test)


def test_a_report_tells_of_checks_and_of_windows(histories: tuple[History, ...], walked: WalkForward) -> None:
    asked = job("forgetful")
    played = play_job(asked, histories)
    lost = replace(walked, windows=tuple(replace(each, train_net=D(500), test_net=D(-100)) for each in walked.windows))
    report = report_on(played, checks=checks_of.check(asked, histories, played), walk_forward=lost)
    told = report.as_json()
    assert told["checks"]["look_ahead"]["passed"] is True
    assert told["checks"]["restart"]["passed"] is False
    assert told["walk_forward"]["net"] == "-200.00"
    assert lost.efficiency == pytest.approx((-200 / 3) / (1000 / 4))
    assert any("lost on those that followed" in said for said in report.warnings)
    html = report.as_html()
    assert "failed" in html
    assert "3 Jan 2024 – 4 Jan 2024" in html

"""The recorder: what was seen is on the disk, a crash costs at most half a line, and a full disk or a flood costs nobody else anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.core.model import Candle, Tick, Timeframe
from engines.market import recorder as module
from engines.market.files import read_market_file
from engines.market.recorder import FINISH_AGAIN, KIND, RETRY, Recorder
from tests.market.making import DAY, OPEN, HandClock

MIDNIGHT = DAY + 15 * 3600.0  # of 2 to 3 January 2024 in India


class Desk:
    """A recorder and what it told."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.troubles: list[str] = []
        self.cleared: list[str] = []
        self.over: list[tuple[str, str, str, str, str]] = []
        self.taken = True
        self.wanted = {"NSE:INFY"}
        settings: dict[str, Any] = {"ticks": True, "reserve": 0, **options}
        self.recorder = Recorder(
            folder,
            self.clock,
            wanted=lambda: self.wanted,
            day_over=self.day_over,
            on_trouble=lambda kind, severity, text: self.troubles.append(f"{kind} {severity} {text}"),
            on_clear=self.cleared.append,
            **settings,
        )

    def day_over(self, path: Path, day: str, kind: str, source: str) -> bool:
        self.over.append((path.name, day, kind, source, path.read_text()))
        return self.taken

    def minute(self, n: int = 0, *, live: bool = True, price: float = 10.0) -> None:
        self.recorder.on_candle(Timeframe.M1, Candle("NSE:INFY", OPEN + 60 * n, price, price, price, price, 5), live)

    def files(self) -> dict[str, int]:
        return {path.name: len(path.read_text().splitlines()) - 1 for path in sorted(self.folder.glob("*.csv"))}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def new(**options: Any) -> Desk:
        desks.append(Desk(tmp_path / "recording", **options))
        return desks[-1]

    yield new
    for desk in desks:
        desk.recorder.stop()


def test_minutes_and_wanted_ticks_are_kept_real_and_simulated_apart(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.recorder.step()
    desk.minute(0)
    desk.minute(1, live=False)
    desk.recorder.on_candle(Timeframe.M5, Candle("NSE:INFY", OPEN, 1, 1, 1, 1), True)
    desk.recorder.on_ticks([Tick("NSE:INFY", 10, 9.5, 10.5, OPEN + 0.25, 3), Tick("NSE:TCS", 1, 1, 1, OPEN)], True)
    desk.recorder.step()
    assert desk.files() == {"2024-01-02-live-candles.csv": 1, "2024-01-02-live-ticks.csv": 1, "2024-01-02-simulated-candles.csv": 1}
    assert read_market_file(desk.folder / "2024-01-02-live-ticks.csv").ticks == [Tick("NSE:INFY", 10, 9.5, 10.5, OPEN + 0.25, 3)]
    assert read_market_file(desk.folder / "2024-01-02-live-candles.csv").candles == [Candle("NSE:INFY", OPEN, 10, 10, 10, 10, 5)]
    status = desk.recorder.status()
    assert (status.day, status.candles, status.ticks, status.instruments, status.dropped) == ("2024-01-02", 2, 1, 1, 0)
    assert status.size == sum(path.stat().st_size for path in desk.folder.iterdir())


def test_without_ticks_only_minutes_are_kept(make: Callable[..., Desk]) -> None:
    desk = make(ticks=False)
    desk.recorder.step()
    desk.recorder.on_ticks([Tick("NSE:INFY", 10, 10, 10, OPEN)], True)
    desk.minute()
    desk.recorder.step()
    assert desk.files() == {"2024-01-02-live-candles.csv": 1}


def test_a_day_is_handed_over_once_it_is_over_and_tried_again_when_nobody_took_it(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.minute()
    desk.recorder.step()
    desk.clock.pass_(MIDNIGHT + 60 - desk.clock.wall)
    desk.recorder.on_candle(
        Timeframe.M1, Candle("NSE:INFY", MIDNIGHT - 60, 11, 11, 11, 11, 1), True
    )  # its last minute comes after midnight
    desk.taken = False
    desk.recorder.step()
    assert desk.over == []
    desk.clock.pass_(120)
    desk.recorder.step()
    desk.recorder.step()
    assert [(name, day, kind, source, len(text.splitlines())) for name, day, kind, source, text in desk.over] == [
        ("2024-01-02-live-candles.csv", "2024-01-02", "candles", "live", 3)
    ]
    desk.taken = True
    desk.clock.pass_(FINISH_AGAIN)
    desk.recorder.step()
    assert (len(desk.over), desk.files()) == (2, {})


def test_a_restart_goes_on_in_the_days_file_and_half_a_line_is_taken_off(make: Callable[..., Desk]) -> None:
    first = make()
    first.minute(0)
    first.recorder.start()
    first.recorder.stop()
    path = first.folder / "2024-01-02-live-candles.csv"
    path.write_bytes(path.read_bytes() + b"2024-01-02T09:16:00+05:30,NSE:INFY,1")
    (first.folder / "2024-01-01-live-ticks.csv").write_text("time,symbol\n")
    second = make()
    second.minute(2)
    second.recorder.step()
    assert [candle.start for candle in read_market_file(path).candles] == [OPEN, OPEN + 120]
    assert [name for name, *_ in second.over] == ["2024-01-01-live-ticks.csv"]  # what an earlier run left behind


def test_a_flood_is_cut_off_and_told_and_nobody_waits(make: Callable[..., Desk]) -> None:
    desk = make(most_waiting=3)
    for n in range(5):
        desk.minute(n)
    desk.recorder.step()
    assert (desk.files(), desk.recorder.status().dropped) == ({"2024-01-02-live-candles.csv": 3}, 2)
    assert desk.troubles == [f"{KIND} warning 2 rows came faster than they could be recorded and were left out."]
    desk.recorder.step()
    assert (desk.cleared, desk.recorder.status().trouble) == ([KIND], "")


def test_a_full_disk_is_told_costs_nothing_but_the_recording_and_is_tried_again(
    make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make()
    monkeypatch.setattr(module, "_opened", lambda path: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    desk.minute(0)
    desk.recorder.step()
    assert desk.troubles == [
        f"{KIND} warning Prices are not being recorded: No space left on device. Trading goes on; 1 rows were lost so far."
    ]
    monkeypatch.undo()
    desk.minute(1)
    desk.recorder.step()
    assert desk.files() == {}, "the next try is in a while"
    desk.clock.pass_(RETRY)
    desk.recorder.step()
    assert (desk.files(), desk.cleared) == ({"2024-01-02-live-candles.csv": 1}, [KIND])


def test_a_reserve_stays_free_for_the_books(make: Callable[..., Desk]) -> None:
    desk = make(reserve=1 << 60)
    desk.minute()
    desk.recorder.step()
    assert "is free on the disk" in desk.troubles[0]
    assert desk.files() == {}

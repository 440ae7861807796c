"""Who keeps the instrument lists fresh: when they are due, what is fetched, what a failure looks like, and that a stop is quick."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.data import Instruments
from app.data.instrument_file import ListAge
from app.launch import masters
from app.launch.masters import MasterRefresher, Renewal, health, is_stale, last_morning, source
from config import Endpoints
from engines.core.model import RunState
from engines.core.timetable import Job, JobKind
from tests.market import lists
from tests.market.making import HandClock

MONDAY = 1_786_937_400.0
"""2026-08-17 09:00 IST."""
DAY = 86_400.0


@pytest.mark.parametrize(
    ("taken", "now", "stale"),
    [
        (None, MONDAY, True),
        (MONDAY - 1, MONDAY - 1, False),
        (MONDAY - 1, MONDAY, True),
        (MONDAY, MONDAY, False),
        (MONDAY, MONDAY + DAY - 1, False),
        (MONDAY, MONDAY + DAY, True),
        (MONDAY - 5 * DAY, MONDAY - 3600, True),
    ],
)
def test_a_list_is_stale_from_the_next_morning_on(taken: float | None, now: float, stale: bool) -> None:
    assert is_stale(taken, last_morning(now)) is stale


def test_the_morning_is_0900_in_india() -> None:
    assert last_morning(MONDAY) == MONDAY
    assert last_morning(MONDAY - 1) == MONDAY - DAY


def test_where_the_lists_are() -> None:
    ends = Endpoints(
        kite_api_root="http://k", smartapi_instruments_url="http://a/x.json", binance_spot_root="http://s", binance_futures_root="http://f"
    )
    assert source("zerodha", ends)["headers"] == {"X-Kite-Version": "3"}
    assert source("zerodha", ends, "token a:b")["headers"]["Authorization"] == "token a:b"
    urls = [source(broker, ends)["url"] for broker in ("zerodha", "angelone", "binance_spot", "binance_usdm")]
    assert urls == ["http://k/instruments", "http://a/x.json", "http://s/api/v3/exchangeInfo", "http://f/fapi/v1/exchangeInfo"]
    with pytest.raises(ValueError, match="paper"):
        source("paper", ends)


class Desk:
    """A refresher on a folder of its own, a clock turned by hand and a server that hands out Kite's list."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock(MONDAY)
        self.wanted: set[str] = {"zerodha"}
        self.body = lists.kite()
        self.hang: threading.Event | None = None
        self.hits = 0
        self.open: dict[str, tuple[str, str]] = {}
        self.master = Instruments(folder)
        desk = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                desk.hits += 1
                if desk.hang is not None:
                    desk.hang.wait(60)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(desk.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.refresher = MasterRefresher(
            master=self.master,
            endpoints=Endpoints(kite_api_root=root, smartapi_instruments_url=f"{root}/angel"),
            clock=self.clock,
            wanted=lambda: self.wanted,
            on_trouble=lambda kind, severity, message: self.open.update({kind: (severity, message)}),
            on_clear=lambda kind: self.open.pop(kind, None) and None,
        )

    def close(self) -> None:
        self.refresher.stop()
        if self.hang is not None:
            self.hang.set()
        self.master.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    waiting = threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        waiting.wait(0.01)


def test_lists_come_at_the_start_and_again_the_next_morning_only(desk: Desk) -> None:
    desk.refresher.start()
    until(lambda: desk.master.loaded_at("zerodha") == MONDAY and not desk.refresher.status().running)
    assert desk.master.get("NSE:INFY")
    desk.refresher.turn()
    assert desk.hits == 1
    desk.clock.pass_(DAY)
    desk.refresher.turn()
    assert desk.hits == 1  # the timetable says when
    job = Job("instruments", JobKind.INSTRUMENTS, "2026-08-18", desk.clock.now())
    work = Renewal(desk.refresher).begin(job)
    until(lambda: work.step(desk.clock.now()))
    ended = work.step(desk.clock.now())
    assert ended is not None
    assert (ended.state, ended.detail.startswith("zerodha ")) == (RunState.DONE, True)
    assert (desk.hits, desk.master.loaded_at("zerodha")) == (2, MONDAY + DAY)
    assert desk.open == {}


def test_nothing_is_fetched_where_no_account_needs_it(desk: Desk) -> None:
    desk.wanted = set()
    desk.refresher.turn()
    assert (desk.hits, desk.refresher.refresh_now()) == (0, frozenset())


def test_a_failure_is_an_incident_until_a_list_comes_and_is_not_repeated_at_once(desk: Desk) -> None:
    good, desk.body = desk.body, b"<html>maintenance</html>"
    desk.refresher.turn()
    severity, message = desk.open["instruments"]
    assert severity == "critical"
    assert "zerodha: it does not begin with the columns of an instrument list" in message
    (state,) = desk.refresher.status().lists
    assert (state.broker, state.wanted, state.loaded_at, state.problem != "") == ("zerodha", True, None, True)
    desk.clock.pass_(59)
    desk.refresher.turn()
    assert desk.hits == 1
    desk.body = good
    desk.clock.pass_(1)
    desk.refresher.turn()
    assert (desk.hits, desk.open) == (2, {})
    assert desk.refresher.status().lists[0].problem == ""


def test_a_person_may_ask_at_any_time_and_yesterdays_list_stays_when_it_fails(desk: Desk) -> None:
    desk.refresher.turn()
    desk.body = b""
    assert desk.refresher.refresh_now() == {"zerodha"}
    assert desk.refresher.status().running
    desk.refresher.turn()
    assert desk.open["instruments"][0] == "warning"
    assert desk.master.get("NSE:INFY") is not None
    assert not desk.refresher.status().running


def test_a_stop_does_not_wait_for_a_list(desk: Desk) -> None:
    desk.hang = threading.Event()
    desk.refresher.start()
    until(lambda: desk.hits)
    desk.refresher.stop()
    assert desk.master.loaded_at("zerodha") is None, "the list would have come after a minute"
    assert desk.open == {}  # a stop is no trouble


def test_a_process_that_fails_or_hangs_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masters, "COMMAND", (masters.sys.executable, "-c", "raise SystemExit(3)"))
    desk.refresher.turn()
    assert "the building process failed (ended with" in desk.open["instruments"][1]
    monkeypatch.setattr(masters, "COMMAND", (masters.sys.executable, "-c", "import threading; threading.Event().wait()"))
    monkeypatch.setattr(masters, "LONGEST", 0.2)
    desk.clock.pass_(60)
    desk.refresher.turn()
    assert desk.refresher.status().lists[0].problem == "the building process failed (not done after 0 s)"


@pytest.mark.parametrize(
    ("wanted", "ages", "well", "words"),
    [
        ([], [], None, "no account"),
        (["zerodha"], [], None, "zerodha none yet"),
        (["zerodha"], [("zerodha", 3.0)], True, "zerodha 100, 3 h old"),
        (["zerodha"], [("zerodha", 60.0)], False, "60 h old"),
        (["zerodha"], [("zerodha", 1.0), ("angelone", 90.0)], True, "zerodha 100, 1 h old"),
    ],
)
def test_the_doctors_line(tmp_path: Path, wanted: list[str], ages: list[tuple[str, float]], well: bool | None, words: str) -> None:
    held = Instruments(tmp_path)
    held._lists = tuple(ListAge(broker, MONDAY - hours * 3600, 100, "x") for broker, hours in ages)
    found = health(held, wanted, MONDAY)
    assert found[0] is well
    assert words in found[1]

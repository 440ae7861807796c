"""Messages: 10,000 of them through Discord, Telegram and mail, and what telling costs the order path.

`messages` counts what came against what was told: nothing lost, nothing twice. `messages-fanout` sends the same signals to two systems in turn, one
whose owner is told of every order in three places while it trades, and one with nobody to tell.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.data import open_data
from app.newsroom import LiveBooks, Newsroom
from app.post import PostOffice
from config import Endpoints, Settings
from engines.core.messages import Event
from engines.ports import SystemClock
from tests.bench.fanout import DELAY_MS, PUSH_AFTER, WARM, _round
from tests.bench.figures import Figure, quantile
from tests.bench.rig import Rig, rig
from tests.bench.stub_broker import stub_broker
from tests.bench.stub_messengers import Messengers, stub_messengers
from tests.notify.house import Threads, counts, destination, tell

MESSAGES = 10_000
ROUNDS = 40
ACCOUNTS = 50
TOLERATED = 1.05  # of the time without telling


def measure(name: str, count: int = MESSAGES, rounds: int = ROUNDS) -> list[Figure]:
    return _delivered(count) if name == "messages" else _fan_out(rounds)


def _delivered(count: int) -> list[Figure]:
    with stub_messengers() as where, tempfile.TemporaryDirectory() as folder, open_data(Path(folder) / "data", exclusive=True) as data:
        places = [destination(data, channel, address) for channel, address in where.addresses.items()]
        began = time.perf_counter()
        tell(data, places, count)
        told = time.perf_counter() - began
        office = PostOffice(data, _settings(where), pace=0.0)
        began = time.perf_counter()
        with Threads(office.dispatcher):
            _until(lambda: counts(data) == {"sent": count * len(places)}, 900)
        seconds = time.perf_counter() - began
        office.close()
    lost = sum(count - came["different"] for came in where.taken.values())
    twice = sum(came["came"] - came["different"] for came in where.taken.values())
    notes = {"requests": {name: came["requests"] for name, came in where.taken.items()}, "told_s": round(told, 2)}
    about = f"{count} messages to Discord, Telegram and mail at once"
    return [
        Figure("messages-lost", f"{about}: deliveries that never came", float(lost), "", 0, notes=notes),
        Figure("messages-twice", f"{about}: deliveries that came twice", float(twice), "", 0),
        Figure("messages-rate", f"{about}: deliveries a second", count * len(where.taken) / seconds, "1/s", None, more_is_better=True),
    ]


def _fan_out(rounds: int) -> list[Figure]:
    """In turn, so that whatever else the machine does is done to both."""
    laps: dict[str, list[float]] = {"silent": [], "told": []}
    journaled: dict[str, list[float]] = {"silent": [], "told": []}
    with (
        stub_broker(DELAY_MS) as port,
        stub_messengers() as where,
        rig(port, accounts=ACCOUNTS, symbols=30, push_after=PUSH_AFTER) as silent,
        rig(port, accounts=ACCOUNTS, symbols=30, push_after=PUSH_AFTER) as told,
    ):
        for channel, address in where.addresses.items():
            destination(told.data, channel, address, user_id=told.user_id)
        events = "[" + ",".join(f'"{event}"' for event in Event) + "]"
        told.data.journal.run(lambda db: db.execute("UPDATE destinations SET events = ?", (events,)))
        with _told(told, where):
            for number in range(WARM + rounds):
                for name, made in (("silent", silent), ("told", told)):
                    planned, _, acknowledged = _round(made)
                    if number >= WARM:
                        laps[name].append(acknowledged)
                        journaled[name].append(planned)
            _until(lambda: not set(counts(told.data)) - {"sent", "merged"} and not told.data.outbox.new(1), 120)
        said = counts(told.data)
    p50, floor = quantile(laps["told"], 0.5), quantile(laps["silent"], 0.5)
    notes = {
        "journaled_ms_p50": round(quantile(journaled["told"], 0.5), 2),
        "journaled_silent_ms_p50": round(quantile(journaled["silent"], 0.5), 2),
        "deliveries": said,
        "faults": sum(came["faults"] for came in where.taken.values()),
        "rounds": rounds,
    }
    about = f"signal → last of {ACCOUNTS} accounts acknowledged, while every order is told in three places"
    p99, floor99 = quantile(laps["told"], 0.99), quantile(laps["silent"], 0.99)
    return [
        Figure("messages-fanout-p50", f"{about}, p50", p50, "ms", TOLERATED * floor, floor=floor, notes=notes),
        Figure("messages-fanout-p99", f"{about}, p99", p99, "ms", None, floor=floor99),
    ]


@contextmanager
def _told(made: Rig, where: Messengers) -> Iterator[None]:
    """The newsroom and the post office as `serve` starts them."""
    office = PostOffice(made.data, _settings(where))
    Newsroom(made.data, LiveBooks(made.system), made.system.clock, SystemClock()).start(made.system.supervisor)
    office.start(made.system.supervisor)
    try:
        yield
    finally:
        office.close()


def _settings(where: Messengers) -> Settings:
    return Settings(
        mail_server="127.0.0.1",
        mail_port=where.smtp_port,
        mail_use_tls=False,
        mail_default_sender="tandem@example.com",
        endpoints=Endpoints(discord_root=where.discord_root, telegram_root=where.telegram_root),
    )


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not everything was sent"
        time.sleep(0.05)

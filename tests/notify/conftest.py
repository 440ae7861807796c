"""The doubles and an office with a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.data import Data, open_data
from tests.notify.house import HandClock, Office
from tests.notify.mailbox import Mailbox, mailbox
from tests.notify.messengers import DiscordDouble, TelegramDouble, running


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Data, HandClock]]:
    """One database for a whole file: making one takes longer than most of these tests."""
    clock = HandClock()
    with open_data(tmp_path_factory.mktemp("notify") / "data", clock=clock) as made:
        yield made, clock


@pytest.fixture
def data(kept: tuple[Data, HandClock]) -> Iterator[Data]:
    """Without a message, a delivery or a destination in it, at the beginning of time."""
    made, clock = kept
    clock.passed = 0.0
    yield made
    made.journal.run(lambda db: [db.execute(f"DELETE FROM {table}") for table in ("deliveries", "messages", "destinations")])
    made.deliveries._looked.clear()
    made.outbox._listeners.clear()


@pytest.fixture
def clock(kept: tuple[Data, HandClock]) -> HandClock:
    return kept[1]


@pytest.fixture
def discord() -> Iterator[DiscordDouble]:
    with running(DiscordDouble()) as made:
        yield made


@pytest.fixture
def telegram() -> Iterator[TelegramDouble]:
    with running(TelegramDouble()) as made:
        yield made


@pytest.fixture
def post() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
def office(request: pytest.FixtureRequest, data: Data, clock: HandClock) -> Iterator[Office]:
    """With those doubles that the test itself asks for."""
    doubles = {name: request.getfixturevalue(name) for name in ("discord", "telegram") if name in request.fixturenames}
    mail = request.getfixturevalue("post") if "post" in request.fixturenames else None
    made = Office(data, clock, mail=mail, **doubles)
    yield made
    made.close()

"""The doubles and an office with a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.data import Data, open_data
from tests.notify.house import HandClock, Office
from tests.notify.mailbox import Mailbox, mailbox
from tests.notify.messengers import DiscordDouble, TelegramDouble, running


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def data(tmp_path: Path, clock: HandClock) -> Iterator[Data]:
    with open_data(tmp_path / "data", clock=clock) as made:
        yield made


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
def office(data: Data, clock: HandClock, discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox) -> Iterator[Office]:
    made = Office(data, clock, discord=discord, telegram=telegram, mail=post)
    yield made
    made.close()

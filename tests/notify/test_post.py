"""The post office as `serve` runs it: woken by what is written, watched like any other thread, gone quickly, and silent about secrets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.data import Data, open_data
from app.post import PostOffice
from config import Endpoints, Settings
from engines.execution.supervisor import Death, Supervisor
from engines.notify.telegram import Chat
from engines.ports import SystemClock
from tests.notify.house import PATIENCE, counts, destination, tell, until
from tests.notify.mailbox import Mailbox
from tests.notify.messengers import DiscordDouble, TelegramDouble


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with open_data(tmp_path / "data", exclusive=True) as made:
        yield made


@pytest.fixture
def deaths() -> list[Death]:
    return []


@pytest.fixture
def post_office(data: Data, discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox, deaths: list[Death]) -> Iterator[PostOffice]:
    endpoints = Endpoints(discord_root=discord.root, telegram_root=telegram.root)
    settings = Settings(
        mail_server="127.0.0.1", mail_port=post.port, mail_use_tls=False, mail_username="desk@example.com", endpoints=endpoints
    )
    assert settings.mail_ready
    assert settings.mail_sender == "desk@example.com"
    made = PostOffice(data, settings, gather=0.0, poll=600.0)  # whatever happens soon happens because somebody was woken
    supervisor = Supervisor(SystemClock(), deaths.append)
    made.start(supervisor)
    until(lambda: all(worker.age() < 1 for worker in supervisor.workers().values()))
    yield made
    supervisor.stop(PATIENCE)
    assert not any(worker.alive for worker in supervisor.workers().values())
    made.close()


def test_whoever_writes_a_mail_into_a_transaction_need_not_wait_for_an_import(data: Data, post_office: PostOffice) -> None:
    until(lambda: data.box.warm)


def test_whatever_is_written_is_sent_at_once(
    post_office: PostOffice, data: Data, discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox, deaths: list[Death]
) -> None:
    url = post_office.check_webhook(discord.webhook())
    places = [destination(data, "discord", {"url": url}), destination(data, "telegram", {"token": telegram.token, "chat": "4711"})]
    numbers = tell(data, places, 3)
    until(lambda: counts(data) == {"sent": 6})
    expires = time.time() + 60
    data.outbox.store.write(
        lambda db: data.outbox.mail(
            db, to="asha@example.com", kind="reset", fields={"link": "http://x/reset/1", "minutes": 60}, dedupe="r", expires_at=expires
        )
    )
    until(lambda: post.to == ["asha@example.com"])
    assert discord.taken == telegram.taken == numbers
    assert deaths == []


def test_a_page_asks_for_chats_and_waits_for_nobody(post_office: PostOffice, telegram: TelegramDouble) -> None:
    telegram.updates = [{"update_id": 1, "message": {"chat": {"id": 5, "type": "private", "first_name": "Asha"}}}]
    errand = post_office.find_chats(telegram.token)
    assert errand.wait(PATIENCE)
    assert (errand.result, errand.error) == ((Chat("5", "Asha", "private"),), None)

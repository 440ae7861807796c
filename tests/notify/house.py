"""A post office with a real database, a clock that is turned by hand, and the doubles' addresses: what the tests of this folder work with."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from app.data import Data, Send
from app.data.outbox import NewMessage
from engines.core.messages import Event, Line, Message, Tone
from engines.notify.discord import Discord
from engines.notify.dispatcher import SPARES, WORKERS, Dispatcher
from engines.notify.mail import Mailer, MailServer
from engines.notify.outbox import Channel
from engines.notify.telegram import Telegram
from engines.notify.wire import Wire
from engines.ports import Clock
from tests.notify.mailbox import Mailbox
from tests.notify.messengers import DiscordDouble, TelegramDouble

START = 1_800_000_000.0
FAR = 10 * 86_400.0
PATIENCE = 30.0
"""Seconds: for what happens at once unless the machine stands still, as a shared one does for moments."""


class HandClock:
    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return START + self.passed

    def monotonic(self) -> float:
        return self.passed


class GoingClock(HandClock):
    """The same time, and it goes by."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def now(self) -> float:
        return START + self.monotonic()

    def monotonic(self) -> float:
        return time.monotonic() - self._began


class Hand:
    """A worker that is walked by hand."""

    stopping = False

    def beat(self) -> None:
        return


class Office:
    """`clock`: the one that `data` was opened with."""

    def __init__(
        self,
        data: Data,
        clock: Clock,
        *,
        discord: DiscordDouble | None = None,
        telegram: TelegramDouble | None = None,
        mail: Mailbox | MailServer | None = None,
        read: float = PATIENCE,
        gather: float = 0.0,
        poll: float = 0.05,
        trouble: list[str] | None = None,
        trust: Any = None,
    ) -> None:
        self.data, self.clock = data, clock
        self.wire = Wire(clock, connect=PATIENCE, read=read)
        server = MailServer("127.0.0.1", mail.port, "tandem@example.com", tls=False) if isinstance(mail, Mailbox) else mail
        self.mailer = Mailer(server, clock, timeout=read, trust=trust)
        roots = (discord.root if discord else "http://127.0.0.1:9", telegram.root if telegram else "http://127.0.0.1:9")
        senders = {
            Channel.DISCORD: Discord(self.wire, roots[0]),
            Channel.TELEGRAM: Telegram(self.wire, roots[1], pace=0.0),
            Channel.EMAIL: self.mailer,
            Channel.MAIL: self.mailer,
        }
        told = trouble if trouble is not None else []
        self.dispatcher = Dispatcher(
            data.deliveries,
            senders,
            clock,
            lambda: 0.5,
            gather=gather,
            poll=poll,
            on_trouble=lambda kind, _severity, words: told.append(f"{kind}: {words}"),
            on_clear=lambda kind: told.append(f"{kind} is over"),
        )
        self.hand = Hand()
        data.outbox.on_due(self.dispatcher.wake)

    def walk(self, most: int = 1000) -> int:
        """Until nothing is due any more; how many batches that were."""
        self.dispatcher.wake()
        for steps in range(most):
            if not self.dispatcher.step(self.hand):
                return steps
        raise AssertionError("there is no end to it")

    def once(self) -> None:
        """One batch that is due; where time goes by itself, the next try may be due as soon as this one has failed."""
        self.dispatcher.wake()
        assert self.dispatcher.step(self.hand)

    def pass_(self, seconds: float) -> int:
        assert isinstance(self.clock, HandClock)
        self.clock.passed += seconds
        return self.walk()

    def close(self) -> None:
        self.dispatcher.close()


class Threads:
    """The dispatcher with real threads, until the block ends."""

    stopping = False

    def __init__(self, dispatcher: Dispatcher, count: int = WORKERS + SPARES) -> None:
        self._dispatcher = dispatcher
        self._threads = [threading.Thread(target=dispatcher.loop, args=(self,), daemon=True) for _ in range(count)]

    def beat(self) -> None:
        return

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping = True
        self._dispatcher.wake()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)


def person(data: Data, user_id: str = "U1") -> str:
    """A row that destinations can belong to; whoever signs in is another test's business."""

    row = (user_id, f"{user_id}@example.com", f"{user_id}@example.com".casefold(), user_id, "trader", "", 0)
    columns = "user_id, email, email_key, name, role, password_hash, created_at"
    data.journal.run(lambda db: db.execute(f"INSERT OR IGNORE INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row))
    return user_id


def destination(data: Data, channel: str, address: Mapping[str, str], destination_id: str = "", user_id: str = "U1") -> str:
    made = destination_id or channel.upper()
    person(data, user_id)
    row = (made, user_id, channel, channel, data.box.seal(address), "{}", "[]", 0, 0)
    columns = "destination_id, user_id, channel, name, sealed, shown, events, created_at, updated_at"
    data.journal.run(lambda db: db.execute(f"INSERT INTO destinations ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row))
    return made


def message(number: int, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "kind": "order",
        "event": Event.ORDERS,
        "at": START,
        "title": f"BUY INFY – FILLED ({number})",
        "tone": Tone.GOOD,
        "text": "",
        "lines": (Line("Account", "Zerodha main"), Line("Quantity", "10/10"), Line("Entry", "1,500.05")),
        "thread": f"S{number}",
        "mode": "paper",
    }
    return Message(number, **(values | changes))


def tell(
    data: Data,
    to: Sequence[str],
    count: int = 1,
    *,
    make: Callable[[int], Message] = message,
    kind: Callable[[Message], str] = lambda made: made.kind,
    not_before: float = 0.0,
    lasts: float = FAR,
) -> list[int]:
    """So many messages, each to all of these destinations; their numbers."""
    first = data.outbox.new(1)
    assert not first, "something else waits"
    now = data.outbox.store.clock.now()
    serial = time.monotonic_ns()

    def work(db: sqlite3.Connection) -> None:
        for at in range(count):
            data.outbox.tell(db, "order", dedupe=f"{serial}.{at}", user_id="U1", ref=f"O{at}")

    data.journal.run(work)
    new: list[NewMessage] = []
    while len(new) < count:
        new += data.outbox.new(after=new[-1].message_id if new else 0)
    sends = [Send(destination_id, max(not_before, now), now + lasts) for destination_id in to]
    made = [make(row.message_id) for row in new]
    for start in range(0, count, 500):
        data.outbox.told([(one, sends) for one in made[start : start + 500]])
    kinds = [(kind(one), one.message_id) for one in made]
    data.journal.run(lambda db: db.executemany("UPDATE messages SET kind = ? WHERE message_id = ?", kinds))
    return [row.message_id for row in new]


def states(data: Data, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(columns or ("status",))
    return [tuple(row) for row in data.outbox.store.readers.all(f"SELECT {names} FROM deliveries ORDER BY delivery_id")]


def counts(data: Data) -> dict[str, int]:
    rows = data.outbox.store.readers.all("SELECT status, count(*) FROM deliveries GROUP BY status")
    return {row[0]: row[1] for row in rows}


def target(data: Data, destination_id: str) -> dict[str, Any]:
    row = data.outbox.store.readers.one("SELECT * FROM destinations WHERE destination_id = ?", (destination_id,))
    assert row is not None
    return {**dict(row), "not_before": row["not_before"] / 1e6}


def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        threading.Event().wait(0.01)

"""The dispatcher with its threads: everything arrives, once and in order, whatever the messengers do; and it outlives being killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from app.data import Data, open_data
from config import ROOT
from engines.notify.answers import Answer, Fate
from engines.notify.dispatcher import HANGS, Dispatcher
from engines.notify.outbox import Batch, Channel, Due, Outcome, Verdict
from engines.ports import JournalDown
from tests.notify.house import PATIENCE, Hand, HandClock, Office, Threads, counts, destination, states, target, tell, until
from tests.notify.mailbox import Mailbox
from tests.notify.messengers import DiscordDouble, TelegramDouble
from tests.notify.test_mail import send
from tests.support.server import clean_environment


class Going:
    """Real time, as the data service has it by default."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def three(discord: DiscordDouble, telegram: TelegramDouble) -> dict[str, dict[str, str]]:
    return {
        "discord": {"url": discord.webhook()},
        "telegram": {"token": telegram.token, "chat": "4711"},
        "email": {"to": "ravi@example.com"},
    }


def test_a_thousand_messages_to_three_places_each_once_and_in_order(
    tmp_path: Path, three: dict[str, dict[str, str]], discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox
) -> None:
    discord.moods += ["ok", "limit 0.05", "error", "limit 0.02", "reset"]
    telegram.moods += ["ok", "error"]
    post.moods += ["ok", "not now", "ok", "later"]
    with open_data(tmp_path / "data") as data:
        clock = Going()
        office = Office(data, clock, discord=discord, telegram=telegram, mail=post)
        places = [destination(data, channel, address) for channel, address in three.items()]
        numbers = tell(data, places, 1000)
        office.dispatcher._chance = lambda: -2.4  # two seconds become none: the waits themselves are another test's business
        with Threads(office.dispatcher):
            until(lambda: counts(data) == {"sent": 3000}, 120)
        assert discord.taken == telegram.taken == post.numbers == numbers
        assert (discord.faults, telegram.faults, discord.most_at_once, telegram.most_at_once) == ([], [], 1, 1)
        office.close()


def test_a_place_that_hangs_holds_up_no_other(tmp_path: Path, discord: DiscordDouble, telegram: TelegramDouble) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going(), discord=discord, telegram=telegram)
        stuck = destination(data, "discord", {"url": discord.webhook()})
        well = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
        discord.moods.append("hang")
        first = tell(data, [stuck])
        with Threads(office.dispatcher):
            until(discord.hanging.is_set)
            numbers = tell(data, [stuck, well], 50)
            until(lambda: telegram.taken == numbers)
            assert discord.taken == []
            discord.released.set()
            until(lambda: target(data, stuck)["failures"] == 1)
        assert first
        office.close()


class Stuck:
    """A sender that takes everything, but never answers for the targets of `hangs` until its block ends."""

    most = 10

    def __init__(self, hangs: Sequence[str] = ()) -> None:
        self.hangs = hangs
        self.held: list[str] = []
        self.taken: list[str] = []
        self.released = threading.Event()

    def send(self, batch: Batch) -> Answer:
        if batch.target not in self.hangs:
            self.taken.append(batch.target)
            return Answer(Fate.ACCEPTED, len(batch.items))
        self.held.append(batch.target)
        self.released.wait()
        return Answer(Fate.FAILED, len(batch.items), "did not answer in time")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()

    def tidy(self) -> None:
        return

    def close(self) -> None:
        return


@pytest.mark.parametrize("hangs", ["discord", "telegram", "email"])
def test_a_provider_that_hangs_for_everybody_holds_up_no_other(tmp_path: Path, hangs: str) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going())
        places = {
            name: [destination(data, name, {"x": "y"}, f"{name} {at}") for at in range(12)] for name in ("discord", "telegram", "email")
        }
        sender = Stuck(places[hangs])
        office.dispatcher._senders = dict.fromkeys(Channel, sender)
        with Threads(office.dispatcher), sender:
            tell(data, places[hangs])
            until(lambda: len(sender.held) >= 2)
            well = [place for name, found in places.items() if name != hangs for place in found]
            tell(data, well)
            until(lambda: sorted(sender.taken) == sorted(well))
        office.close()


def test_two_that_hang_for_the_first_time_hold_up_nobody_of_the_same_provider(tmp_path: Path) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going())
        hang, well = (
            [destination(data, "discord", {"x": "y"}, f"{name} {at}") for at in range(many)] for name, many in (("hang", 2), ("well", 12))
        )
        sender = Stuck(hang)
        office.dispatcher._senders = {Channel.DISCORD: sender}
        with Threads(office.dispatcher), sender:
            tell(data, hang)
            until(lambda: len(sender.held) == 2)
            tell(data, well)
            until(lambda: sorted(sender.taken) == sorted(well))
        office.close()


def test_more_that_hang_for_the_first_time_hold_up_the_others_of_their_provider_for_a_few_seconds_only(
    data: Data, clock: HandClock
) -> None:
    office = Office(data, clock)
    hang, well = (
        [destination(data, "discord", {"x": "y"}, f"{name} {at}") for at in range(many)] for name, many in (("hang", 5), ("well", 12))
    )
    other = destination(data, "telegram", {"x": "y"}, "other")
    sender = Stuck(hang)
    office.dispatcher._senders = dict.fromkeys(Channel, sender)
    with Threads(office.dispatcher), sender:
        tell(data, hang)
        until(lambda: len(sender.held) == 3)
        tell(data, [*well, other])
        clock.passed += HANGS
        until(lambda: len(sender.held) == 5)
        until(lambda: sorted(sender.taken) == sorted([*well, other]))
    office.close()


def test_who_fails_again_and_again_holds_up_nobody_of_the_same_provider_who_is_well(tmp_path: Path) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going())
        failing, well = ([destination(data, "discord", {"x": "y"}, f"{name} {at}") for at in range(12)] for name in ("failing", "well"))
        data.journal.run(lambda db: db.execute("UPDATE destinations SET failures = 1 WHERE destination_id LIKE 'failing%'"))
        sender = Stuck(failing)
        office.dispatcher._senders = {Channel.DISCORD: sender}
        with Threads(office.dispatcher), sender:
            tell(data, failing)
            until(lambda: bool(sender.held))
            tell(data, well)
            until(lambda: sorted(sender.taken) == sorted(well))
            assert len(sender.held) == 1
        office.close()


def test_searches_that_hang_hold_up_no_message(tmp_path: Path) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going())
        sender = Stuck()
        office.dispatcher._senders = {Channel.DISCORD: sender}
        there = destination(data, "discord", {"x": "y"})
        with Threads(office.dispatcher), sender:
            errands = [office.dispatcher.ask(sender.released.wait) for _ in range(12)]
            tell(data, [there])
            until(lambda: sender.taken == [there])
            sender.released.set()
            assert all(errand.wait(PATIENCE) for errand in errands)
        office.close()


def test_stopping_does_not_wait_for_one_that_hangs_longer_than_it_was_given(tmp_path: Path, discord: DiscordDouble) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going(), discord=discord, read=0.5)
        there = destination(data, "discord", {"url": discord.webhook()})
        discord.moods.append("hang")
        tell(data, [there])
        with Threads(office.dispatcher):  # it ends although the hanging one is never let go
            until(discord.hanging.is_set)
        office.close()


def test_a_burst_is_gathered_and_a_code_is_not(data: Data, clock: HandClock, discord: DiscordDouble, post: Mailbox) -> None:
    office = Office(data, clock, discord=discord, mail=post, gather=1.0)
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there], 2)
    send(data, "111111")
    office.walk()
    assert (len(discord.requests), len(post.mails)) == (0, 1)
    clock.passed = 0.5
    tell(data, [there], 2)
    office.walk()
    assert discord.requests == []
    clock.passed = 1.0
    office.walk()
    assert [len(body["embeds"]) for body in discord.requests] == [4]
    office.close()


def test_quiet_hours_end_and_what_is_urgent_overtakes_them(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    (late,) = tell(data, [there], not_before=office.clock.now() + 100)
    (urgent,) = tell(data, [there])
    office.walk()
    assert discord.taken == [urgent]
    office.pass_(101)
    assert discord.taken == [urgent, late]


def test_whoever_has_much_waiting_lets_the_others_have_their_turn(office: Office, data: Data, discord: DiscordDouble) -> None:
    places = [destination(data, "discord", {"url": discord.webhook(at)}, f"D{at}") for at in (1, 2)]
    tell(data, places[:1], 40)
    tell(data, places[1:], 40)
    office.walk()
    turns = [path.split("/")[3] for path in discord.paths]
    assert sorted(turns[:2]) == sorted(turns[2:4]) == sorted(turns[4:6]) == ["10000001", "10000002"]


class Flaky:
    """An outbox whose database goes away for a while: the first `broken` calls of each kind fail."""

    def __init__(self, inner: Any, **broken: int) -> None:
        self._inner = inner
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            if self._broken.get(name, 0):
                self._broken[name] -= 1
                raise JournalDown("the disk is full")
            return getattr(self._inner, name)(*given)

        return call


@pytest.mark.parametrize("call", ["record", "claim", "recover", "agenda", "sweep"])
def test_while_the_database_is_away_nothing_is_lost_and_nothing_is_sent_twice(tmp_path: Path, discord: DiscordDouble, call: str) -> None:
    with open_data(tmp_path / "data") as data:
        office = Office(data, Going(), discord=discord)
        office.dispatcher._outbox = Flaky(data.deliveries, **{call: 2})
        numbers = tell(data, [destination(data, "discord", {"url": discord.webhook()})], 15)
        with Threads(office.dispatcher):
            until(lambda: counts(data) == {"sent": 15})
        assert discord.taken == numbers
        office.close()


def test_a_sender_with_a_fault_is_a_failure_like_any_other_and_tells_no_secret(
    office: Office, data: Data, discord: DiscordDouble, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        most = 10

        def send(self, batch: Batch) -> Answer:
            raise RuntimeError(f"no way to {batch.address}")

        def tidy(self) -> None:
            return

        def close(self) -> None:
            return

    office.dispatcher._senders = {Channel.DISCORD: Broken()}
    tell(data, [destination(data, "discord", {"url": discord.webhook()})])
    office.walk()
    assert states(data, "status", "error") == [("pending", "a fault of Tandem's own (RuntimeError)")]
    assert "dscTOKEN" not in caplog.text


def test_what_was_claimed_when_something_went_wrong_waits_again() -> None:
    """A claim may have been written although it was said not to be."""

    class Ledger:
        claims = 0
        recovered: list[Sequence[str] | None] = []  # noqa: RUF012

        def agenda(self) -> Sequence[Due]:
            return [Due("D", Channel.DISCORD, 0.0)] if self.claims < 2 else []

        def claim(self, _target: str, _most: int, _now: float) -> Batch | None:
            self.claims += 1
            if self.claims == 1:
                raise JournalDown("perhaps")
            return None

        def recover(self, targets: Sequence[str] | None = None) -> int:
            self.recovered.append(targets)
            return 0

        def sweep(self, _now: float) -> int:
            return 0

        def tidy(self, _now: float) -> int:
            return 0

        def record(self, batch: Batch, outcomes: Sequence[Outcome], verdict: Verdict, now: float) -> None:
            raise AssertionError("nothing was claimed")

    ledger = Ledger()
    clock = HandClock()
    dispatcher = Dispatcher(ledger, {}, clock, lambda: 0.5, gather=0.0, poll=0.1)
    with pytest.raises(JournalDown):
        dispatcher.step(Hand())
    clock.passed = 1.0
    assert dispatcher.step(Hand())
    assert ledger.recovered == [None, ["D"]]


def test_the_settings_say_nothing_of_how_to_send_a_channel(data: Data, clock: HandClock) -> None:
    dispatcher = Dispatcher(data.deliveries, {Channel.MAIL: _Accepting()}, clock, lambda: 0.5, gather=0.0)
    tell(data, [destination(data, "discord", {"url": "x"})])
    assert dispatcher.step(Hand())
    assert states(data, "error") == [("nothing is set up to send this with",)]


class _Accepting:
    most = 10

    def send(self, batch: Batch) -> Answer:
        return Answer(Fate.ACCEPTED, len(batch.items))

    def tidy(self) -> None:
        return

    def close(self) -> None:
        return


def run(folder: Path, discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.notify.child", str(folder), discord.root, telegram.root, str(post.port)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())


def run_to_the_end(folder: Path, discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox) -> None:
    with run(folder, discord, telegram, post) as child, open_data(folder) as data:
        until(lambda: set(counts(data)) == {"sent"}, 40)
        assert child.stdin is not None
        child.stdin.close()


def test_killed_before_a_request_was_taken_it_is_sent_once_killed_before_its_answer_twice(
    tmp_path: Path, three: dict[str, dict[str, str]], discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox
) -> None:
    folder = tmp_path / "data"
    with open_data(folder) as data:
        places = [destination(data, channel, three[channel]) for channel in ("discord", "telegram")]
        numbers = tell(data, places, 25)
    discord.moods += ["ok", "hang"]
    telegram.moods.append("hold")
    with run(folder, discord, telegram, post) as child:
        until(lambda: discord.hanging.is_set() and telegram.hanging.is_set())
        child.kill()
    run_to_the_end(folder, discord, telegram, post)
    assert discord.taken == numbers
    assert telegram.taken == numbers[:20] + numbers
    with open_data(folder) as data:
        assert states(data, "target", "attempts")[::2] == [("DISCORD", 2 if 10 <= at < 20 else 1) for at in range(25)]


def test_killed_again_and_again_it_loses_nothing_and_doubles_only_what_was_in_flight(
    tmp_path: Path, three: dict[str, dict[str, str]], discord: DiscordDouble, telegram: TelegramDouble, post: Mailbox
) -> None:
    folder, kills = tmp_path / "data", 2
    with open_data(folder) as data:
        places = [destination(data, channel, address) for channel, address in three.items()]
        numbers = tell(data, places, 300)
        send(data, *(f"{number:06d}" for number in range(20)))

    def taken() -> int:
        return len(discord.taken) + len(telegram.taken) + len(post.mails)

    for _ in range(kills):
        seen = taken()
        discord.moods.clear()
        discord.moods += ["ok", "ok", "hang"]  # so that it is never done before it is killed
        with run(folder, discord, telegram, post) as child:
            until(lambda seen=seen: taken() > seen + 40)  # type: ignore[misc]
            child.kill()
        with open_data(folder) as data:
            assert counts(data).keys() & {"pending", "sending"}, "it was done before it could be killed"
    discord.moods.clear()
    run_to_the_end(folder, discord, telegram, post)
    assert set(discord.taken) == set(telegram.taken) == set(post.numbers) == set(numbers)
    codes = [mail["To"] for mail in post.mails if mail["Subject"] == "Your code for Tandem"]
    assert 20 <= len(codes) <= 20 + kills
    for double, most in ((discord, 10), (telegram, 20), (post, 50)):
        assert len(double.twice()) <= kills * most

"""Discord's moods, one by one, against a double that is as strict as the real one: what becomes of the messages and of the destination."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from app.data import Data
from engines.core.messages import Line
from engines.notify.answers import Fate
from engines.notify.discord import ROOT, check_url, read
from engines.notify.wire import Reply, Wire
from tests.notify.house import START, GoingClock, HandClock, Office, counts, destination, message, states, target, tell
from tests.notify.messengers import DiscordDouble

TOKEN = "a" * 68


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        (f"https://discord.com/api/webhooks/123456/{TOKEN}", f"https://discord.com/api/webhooks/123456/{TOKEN}"),
        (f" https://discord.com/api/v10/webhooks/123456/{TOKEN}/ ", f"https://discord.com/api/webhooks/123456/{TOKEN}"),
        (f"https://canary.discord.com/api/webhooks/123456/{TOKEN}", f"https://canary.discord.com/api/webhooks/123456/{TOKEN}"),
        (
            f"https://DISCORDAPP.com:443/api/webhooks/123456/{TOKEN}?thread_id=99999",
            f"https://discordapp.com/api/webhooks/123456/{TOKEN}?thread_id=99999",
        ),
    ],
)
def test_an_address_has_one_form(url: str, canonical: str) -> None:
    assert check_url(url) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not an address",
        f"http://discord.com/api/webhooks/123456/{TOKEN}",
        f"https://discord.com.evil.example/api/webhooks/123456/{TOKEN}",
        f"https://evil.example/api/webhooks/123456/{TOKEN}",
        f"https://discord.com@169.254.169.254/api/webhooks/123456/{TOKEN}",
        f"https://me:secret@discord.com/api/webhooks/123456/{TOKEN}",
        f"https://discord.com:8443/api/webhooks/123456/{TOKEN}",
        f"https://discord.com:x/api/webhooks/123456/{TOKEN}",
        f"https://discord.com/api/webhooks/123456/{TOKEN}/../../users/@me",
        f"https://discord.com/api/webhooks/123456/{TOKEN}?url=http://127.0.0.1",
        f"https://discord.com/api/webhooks/123456/{TOKEN}\r\nHost: evil",
        "https://discord.com/api/webhooks/123456/short",
        "https://discord.com/api/users/@me",
        f"http://127.0.0.1:8080/api/webhooks/123456/{TOKEN}",
        f"file:///api/webhooks/123456/{TOKEN}",
    ],
)
def test_nothing_but_a_webhook_of_discord_is_ever_called(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address|does not belong"):
        check_url(url)


def test_with_another_root_everything_goes_there(office: Office, data: Data, discord: DiscordDouble) -> None:
    url = discord.webhook()
    assert check_url(url, discord.root) == url
    there = destination(data, "discord", {"url": url.replace(discord.root, ROOT)})
    tell(data, [there])
    office.walk()
    assert counts(data) == {"sent": 1}


def test_ten_messages_are_one_request_and_keep_their_order(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    numbers = tell(data, [there], 25)
    assert office.walk() == 3
    assert discord.taken == numbers
    assert [len(body["embeds"]) for body in discord.requests] == [10, 10, 5]
    assert discord.faults == []
    assert all(provider_id for (provider_id,) in states(data, "provider_id"))


def test_long_messages_are_as_many_requests_as_they_need(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    lines = tuple(Line(f"Account {at}", "not placed: " + "x" * 300, short=False) for at in range(12))
    numbers = tell(data, [there], 8, make=lambda number: message(number, lines=lines))
    office.walk()
    assert (discord.taken, discord.faults, counts(data)) == (numbers, [], {"sent": 8})


@pytest.mark.parametrize(
    ("mood", "status", "attempts", "state", "words"),
    [
        ("limit 40.5", "pending", 0, "ok", "Discord asks to wait 40 s"),
        ("error", "pending", 1, "ok", "Discord has trouble of its own (HTTP 500)"),
        ("reset", "pending", 1, "ok", "Discord broke the connection off"),
        ("away", "pending", 1, "ok", "Discord sent us elsewhere (HTTP 302), where we do not go"),
        ("gone", "pending", 1, "refused", "Discord knows no such webhook: it was deleted there; make a new one and enter its address"),
        ("forbidden", "pending", 1, "refused", "Discord refuses the webhook (HTTP 403): make a new one and enter its address"),
    ],
)
def test_each_mood_of_discord(
    office: Office, data: Data, discord: DiscordDouble, mood: str, status: str, attempts: int, state: str, words: str
) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there])
    discord.moods.append(mood)
    office.walk()
    assert states(data, "status", "attempts", "error") == [(status, attempts, words)]
    row = target(data, there)
    assert (row["state"], row["state_detail"]) == (state, words)
    assert len(discord.requests) == 1


def test_whoever_is_asked_to_wait_waits_and_loses_nothing(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    numbers = tell(data, [there], 12)
    discord.moods += ["ok", "limit 40.5"]
    office.walk()
    office.pass_(40)
    assert len(discord.taken) == 10
    office.pass_(1)
    assert discord.taken == numbers
    assert states(data, "attempts") == [(1,)] * 12


def test_a_limit_that_is_used_up_is_waited_for_before_it_is_broken(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there], 20)
    discord.remaining = "0 1.5"
    office.walk()
    assert len(discord.requests) == 1
    office.pass_(1.5)
    assert len(discord.requests) == 2


def test_a_global_limit_stops_every_webhook_of_this_machine(office: Office, data: Data, discord: DiscordDouble) -> None:
    places = [destination(data, "discord", {"url": discord.webhook(at)}, f"D{at}") for at in (1, 2)]
    tell(data, places)
    discord.moods.append("global 30")
    office.walk()
    assert len(discord.requests) == 1
    office.pass_(31)
    assert counts(data) == {"sent": 2}


def test_one_that_is_not_acceptable_does_not_take_the_others_down(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    numbers = tell(data, [there], 3)
    discord.moods += [
        "bad",
        "bad",
        "ok",
        "bad",
        "bad",
    ]  # all three; the first alone, then in plain words; the second alone, then in plain words
    office.walk()
    assert [status for (status,) in states(data)] == ["sent", "dead", "sent"]
    assert discord.taken == [numbers[0], numbers[2]]
    assert "embeds" not in discord.requests[2]
    assert target(data, there)["state"] == "ok"


def test_what_was_taken_without_an_answer_is_sent_again_under_the_same_number(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    numbers = tell(data, [there])
    discord.moods.append("die")
    office.walk()
    office.pass_(2)
    assert discord.taken == numbers * 2
    assert states(data, "status", "attempts") == [("sent", 2)]


@pytest.mark.parametrize("mood", ["hang", "slow"])
def test_whoever_does_not_answer_in_time_is_tried_again(data: Data, discord: DiscordDouble, mood: str) -> None:
    office = Office(data, GoingClock(), discord=discord, read=0.15)
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there])
    discord.moods.append(mood)
    office.once()
    assert states(data, "status", "attempts", "error") == [("pending", 1, "Discord did not answer in time")]
    office.close()


def test_nobody_there_is_told_without_the_address(data: Data, clock: HandClock) -> None:
    office = Office(data, clock)  # nobody listens where it looks for Discord
    there = destination(data, "discord", {"url": f"{ROOT}/api/webhooks/123456/{TOKEN}"})
    tell(data, [there])
    office.walk()
    assert states(data, "error") == [("Discord could not be reached",)]


def test_an_address_that_is_none_is_refused_without_a_request(data: Data, office: Office, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": "http://169.254.169.254/latest/meta-data"})
    tell(data, [there])
    office.walk()
    assert target(data, there)["state"] == "refused"
    assert discord.requests == []


def test_a_forum_without_a_post_to_write_in_is_told_to_its_owner_and_loses_nothing() -> None:
    reply = Reply(400, {}, {"message": "Webhooks posted to forum channels must have a thread_name or thread_id", "code": 220001})
    assert [read(reply, taken).fate for taken in (1, 3)] == [Fate.BAD_TARGET] * 2


def test_an_answer_with_broken_headers_tells_no_address(clock: HandClock, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns of it, with the address."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        caller, _ = server.accept()
        with caller, server:
            while b"{}" not in caller.recv(65536):
                pass
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nthis is no header\r\n\r\n{}")

    serving = threading.Thread(target=answer)
    serving.start()
    wire = Wire(clock)
    wire.post(f"http://127.0.0.1:{server.getsockname()[1]}/api/webhooks/123456/{TOKEN}", {})
    serving.join()
    wire.close()
    assert TOKEN not in caplog.text


def test_not_even_the_most_talkative_log_tells_an_address(
    office: Office, data: Data, discord: DiscordDouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there], 12)
    discord.moods += ["reset", "error"]
    for wait in (0, 2, 10, 30):
        office.pass_(wait)
    assert counts(data) == {"sent": 12}
    assert "dscTOKEN" not in caplog.text


def test_ten_failures_in_a_row_pause_and_a_success_ends_it(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there])
    discord.always = "error"
    office.walk()
    seen = [target(data, there)]
    for _ in range(9):
        office.pass_(target(data, there)["not_before"] - office.clock.now() + 0.01)
        seen.append(target(data, there))
    assert [row["state"] for row in seen] == ["ok"] * 9 + ["paused"]
    assert [row["failures"] for row in seen] == list(range(1, 11))
    assert seen[-1]["not_before"] - office.clock.now() == 600
    discord.always = "ok"
    office.pass_(600)
    row = target(data, there)
    assert (row["state"], row["failures"], row["state_detail"]) == ("ok", 0, "")
    assert states(data, "status", "attempts") == [("sent", 11)]


def test_what_a_person_repairs_is_sent(office: Office, data: Data, discord: DiscordDouble) -> None:
    there = destination(data, "discord", {"url": discord.webhook()})
    tell(data, [there], 3)
    discord.moods.append("gone")
    office.walk()
    office.pass_(3600)
    assert len(discord.requests) == 1
    sealed = data.box.seal({"url": discord.webhook(2)})
    new = "UPDATE destinations SET sealed = ?, state = 'ok', state_detail = '', failures = 0, not_before = 0, updated_at = ?"
    data.journal.run(lambda db: db.execute(new, (sealed, int(START * 1e6))))
    office.walk()
    assert counts(data) == {"sent": 3}

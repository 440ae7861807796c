"""Telegram's moods, one by one, against a double of the Bot API."""

from __future__ import annotations

import pytest

from app.data import Data
from engines.core.messages import Line
from engines.notify.answers import Fate
from engines.notify.telegram import Chat, NotFound, Telegram, check_chat, check_token, read
from engines.notify.wire import Reply
from tests.notify.house import GoingClock, Office, counts, destination, message, states, target, tell
from tests.notify.messengers import TelegramDouble


@pytest.mark.parametrize("token", ["", "123", "12345:short", "x:" + "a" * 35, "123456:" + "a" * 34 + "/", "123456:" + "a" * 30 + "/../x"])
def test_what_is_no_token_never_becomes_an_address(token: str) -> None:
    with pytest.raises(ValueError, match="is not the token of a bot"):
        check_token(token)


@pytest.mark.parametrize(
    ("chat", "good"), [("4711", True), ("-1001234567890", True), ("@desk_room", True), ("@x", False), ("my chat", False), ("", False)]
)
def test_what_is_a_chat(chat: str, good: bool) -> None:
    if good:
        assert check_chat(f" {chat} ") == chat
    else:
        with pytest.raises(ValueError, match="neither the number"):
            check_chat(chat)


def test_what_is_due_together_is_one_text_and_nothing_in_it_is_markup(office: Office, data: Data, telegram: TelegramDouble) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
    numbers = tell(data, [there], 30, make=lambda number: message(number, lines=(Line("Why", "price < 10 & <b>rising</b>"),)))
    assert office.walk() == 2
    assert telegram.taken == numbers
    body = telegram.requests[0]
    assert (body["chat_id"], body["parse_mode"], body["link_preview_options"]) == (4711, "HTML", {"is_disabled": True})
    assert "price &lt; 10 &amp; &lt;b&gt;rising" in body["text"]


def test_long_messages_are_as_many_texts_as_they_need(office: Office, data: Data, telegram: TelegramDouble) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711", "thread": "5"})
    numbers = tell(data, [there], 5, make=lambda number: message(number, text="x" * 1500))
    office.walk()
    assert telegram.taken == numbers
    assert {body["message_thread_id"] for body in telegram.requests} == {5}


@pytest.mark.parametrize(
    ("mood", "status", "attempts", "state", "words"),
    [
        ("limit 7", "pending", 0, "ok", "Telegram asks to wait 7 s"),
        ("error", "pending", 1, "ok", "Telegram has trouble of its own (HTTP 502)"),
        (
            "forbidden",
            "pending",
            1,
            "refused",
            "The bot may not write to this chat: start it there (/start) or add it again, then save this",
        ),
        ("gone", "pending", 1, "refused", "Telegram does not know the bot's token any more: enter a new one"),
        ("bad", "dead", 1, "ok", "Telegram does not accept the message (HTTP 400)"),
        ("reset", "pending", 1, "ok", "Telegram broke the connection off"),
    ],
)
def test_each_mood_of_telegram(
    office: Office, data: Data, telegram: TelegramDouble, mood: str, status: str, attempts: int, state: str, words: str
) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
    tell(data, [there])
    telegram.moods.append(mood)
    office.walk()
    assert states(data, "status", "attempts", "error") == [(status, attempts, words)]
    assert target(data, there)["state"] == state


def test_a_chat_that_is_not_there_refuses_the_destination(office: Office, data: Data, telegram: TelegramDouble) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "99"})
    tell(data, [there])
    office.walk()
    assert target(data, there)["state"] == "refused"
    office.pass_(60)
    (told,) = [row for row in data.outbox.new() if row.kind == "destination_refused"]
    assert (told.ref, told.fields["why"]) == (there, target(data, there)["state_detail"])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("not enough rights to send text messages to the chat", "may not write to this chat"),
        ("need administrator rights in the channel chat", "may not write to this chat"),
        ("CHAT_WRITE_FORBIDDEN", "may not write to this chat"),
        ("group chat was deactivated", "may not write to this chat"),
        ("message thread not found", "closed or gone"),
        ("TOPIC_CLOSED", "closed or gone"),
        ("TOPIC_DELETED", "closed or gone"),
    ],
)
def test_what_is_wrong_with_the_chat_or_its_topic_is_never_put_on_the_message(said: str, words: str) -> None:
    """Its owner is told, and what waits is kept."""
    for taken in (1, 3):
        answer = read(Reply(400, {}, {"ok": False, "error_code": 400, "description": f"Bad Request: {said}"}), taken, {})
        assert (answer.fate, words in answer.reason) == (Fate.BAD_TARGET, True)


def test_a_group_that_got_a_new_number_is_followed(office: Office, data: Data, telegram: TelegramDouble) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
    numbers = tell(data, [there], 2)
    telegram.moods.append("migrate -100")
    office.walk()
    assert (telegram.taken, telegram.requests[-1]["chat_id"]) == (numbers, -100)
    assert data.box.open(target(data, there)["sealed"]) == {"token": telegram.token, "chat": "-100"}
    assert states(data, "attempts") == [(1,), (1,)]


def test_one_that_is_not_acceptable_does_not_take_the_others_down(office: Office, data: Data, telegram: TelegramDouble) -> None:
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
    tell(data, [there], 3)
    telegram.moods += ["bad", "ok", "bad"]
    office.walk()
    assert [status for (status,) in states(data)] == ["sent", "dead", "sent"]
    assert counts(data) == {"sent": 2, "dead": 1}


def _update(chat: int, **more: object) -> dict[str, object]:
    return {"update_id": chat, "message": {"chat": {"id": chat, **more}}}


def test_whoever_has_written_to_the_bot_is_found(office: Office, telegram: TelegramDouble) -> None:
    telegram.updates = [
        _update(1, type="private", first_name="Asha", last_name="K"),
        {"update_id": 5},
        _update(-2, type="group", title="Desk"),
        _update(1, type="private", first_name="Asha", last_name="K"),
    ]
    bot = Telegram(office.wire, telegram.root)
    assert bot.find_chats(telegram.token) == (Chat("1", "Asha K", "private"), Chat("-2", "Desk", "group"))
    errand = office.dispatcher.ask(lambda: bot.find_chats(telegram.token))
    assert not errand.done
    office.walk()
    assert (len(errand.result), errand.error) == (2, None)


@pytest.mark.parametrize(
    ("mood", "words"),
    [("conflict", "webhook is set"), ("gone", "does not know this token"), ("error", "HTTP 502"), ("reset", "broke the connection off")],
)
def test_why_no_chat_is_found_is_told_without_the_token(office: Office, telegram: TelegramDouble, mood: str, words: str) -> None:
    telegram.moods.append(mood)
    errand = office.dispatcher.ask(lambda: Telegram(office.wire, telegram.root).find_chats(telegram.token))
    office.walk()
    assert isinstance(errand.error, NotFound)
    assert words in str(errand.error)
    assert telegram.token not in str(errand.error)


def test_a_bot_that_does_not_answer_is_tried_again(data: Data, telegram: TelegramDouble) -> None:
    office = Office(data, GoingClock(), telegram=telegram, read=0.15)
    there = destination(data, "telegram", {"token": telegram.token, "chat": "4711"})
    tell(data, [there])
    telegram.moods.append("hang")
    office.once()
    assert states(data, "status", "error") == [("pending", "Telegram did not answer in time")]
    office.close()

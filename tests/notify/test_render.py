"""Whatever a broker or a person wrote, what leaves keeps the providers' limits, mentions nobody and is no markup."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.core.messages import Line, Message, Tone
from engines.notify import render_discord, render_telegram
from engines.notify.mails import FIELDS, check, words
from engines.notify.outbox import Claimed, SecretMail
from engines.notify.render_mail import mail
from engines.notify.text import cut, one_line, size
from tests.notify.house import START, message
from tests.notify.mailbox import html_of, text_of
from tests.notify.messengers import NUMBER, _seen, _units, _wrong

FOREIGN = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["@everyone <@123>", "[x](http://evil)", "<b>&amp;</b>", "**_`~|>", "a\r\nBcc: x@y.z", "🟢" * 200, "", "  ", "\\" * 300, "x" * 5000]
)
LINES = st.lists(st.builds(Line, FOREIGN, FOREIGN, st.booleans()), max_size=30)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    title, text, lines = draw(FOREIGN), draw(FOREIGN), tuple(draw(LINES))
    tone, mode = draw(st.sampled_from(Tone)), draw(st.sampled_from(["", "paper", "live"]))
    return message(draw(st.integers(1, 10**6)), title=title, text=text, lines=lines, tone=tone, mode=mode, footer=draw(FOREIGN))


@settings(max_examples=40)
@given(st.lists(messages(), min_size=1, max_size=14))
def test_discord_takes_every_request_and_each_message_is_in_one(given_: list[Message]) -> None:
    left = given_
    while left:
        body, taken = render_discord.payload(left)
        assert list(_wrong(body)) == []
        assert taken >= 1
        numbers = [NUMBER.search(embed["footer"]["text"]) for embed in body["embeds"]]
        assert [int(match[1]) for match in numbers if match] == [one.message_id for one in left[:taken]]
        for embed in body["embeds"]:
            texts = [embed["title"], embed.get("description", ""), *(x for f in embed.get("fields", []) for x in (f["name"], f["value"]))]
            assert not any(re.search(r"@(everyone|here|[!&]?\d)", text) for text in texts)
            assert not any(re.search(r"(?<!\\)(?:\\\\)*[*_~|>`\[\]]", text) for text in texts)
        left = left[taken:]
    assert list(_wrong(render_discord.plain(given_[0]))) == []


@settings(max_examples=40)
@given(st.lists(messages(), min_size=1, max_size=14))
def test_telegram_takes_every_text_and_each_message_is_in_one(given_: list[Message]) -> None:
    left = given_
    while left:
        html, taken = render_telegram.text(left)
        seen = _seen(html, "HTML")
        assert seen is not None
        assert 1 <= _units(seen) <= render_telegram.LONGEST
        assert [line for line in seen.split("\n") if NUMBER.search(line)][-1].endswith(f"#{left[taken - 1].message_id}")
        left = left[taken:]


@settings(max_examples=40)
@given(st.lists(messages(), min_size=1, max_size=6))
def test_a_mail_has_each_message_once_and_no_header_that_was_not_meant(given_: list[Message]) -> None:
    items = [Claimed(at, 0, START + 60, one) for at, one in enumerate(given_, 1)]
    made = mail(items, "tandem@example.com", "you@example.com", START)
    back = message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(back, EmailMessage)
    assert set(back.keys()) <= {
        *("Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "References", "In-Reply-To"),
        *("MIME-Version", "Content-Type"),
    }
    assert back["To"] == "you@example.com"
    assert "\n" not in back["Subject"]
    for one in given_:
        assert f"#{one.message_id}" in text_of(back)
    assert "<script" not in html_of(back)


def test_a_discord_message_as_it_is_seen() -> None:
    body, _ = render_discord.payload([message(7, footer="signal S1", text="Filled at once", mode="live")])
    assert body == {
        "username": "Tandem",
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": "BUY INFY – FILLED (7)",
                "color": 5763719,
                "footer": {"text": "signal S1 · #7"},
                "timestamp": "2027-01-15T08:00:00.000+00:00",
                "author": {"name": "● LIVE"},
                "description": "Filled at once",
                "fields": [
                    {"name": "Account", "value": "Zerodha main", "inline": True},
                    {"name": "Quantity", "value": "10/10", "inline": True},
                    {"name": "Entry", "value": "1,500.05", "inline": True},
                ],
            }
        ],
    }


def test_a_telegram_message_as_it_is_seen() -> None:
    html, taken = render_telegram.text(
        [message(7, mode="live", lines=(Line("Account", "A & B"), Line("Entry", "<1>"), Line("Why", "x" * 40)))]
    )
    assert taken == 1
    assert html.split("\n") == [
        "🟢 <b>LIVE · BUY INFY – FILLED (7)</b>",
        "Account <b>A &amp; B</b> · Entry <b>&lt;1&gt;</b>",
        f"Why <b>{'x' * 40}</b>",
        "<i>#7</i>",
    ]


def test_many_lines_end_with_how_many_more_there_are() -> None:
    lines = tuple(Line(f"Account {number}", "rejected: margin", short=False) for number in range(60))
    embed = render_discord.payload([message(1, lines=lines)])[0]["embeds"][0]
    assert embed["fields"][-1]["value"] == f"and {60 - 24} more"


def test_ten_long_embeds_are_more_than_one_request() -> None:
    long = [message(number, lines=tuple(Line(f"N{at}", "v" * 80) for at in range(10))) for number in range(1, 11)]
    body, taken = render_discord.payload(long)
    weight = render_discord.weigh(body["embeds"][0])
    assert taken == len(body["embeds"]) == 6000 // weight < 10


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("🟢🟢", 3, "🟢…"), ("ab\\\\cd", 4, "ab…"), ("a\\*bcd", 3, "a…"), ("a b cde", 4, "a b…")],
)
def test_cutting_counts_as_messengers_do_and_leaves_no_half_escape(text: str, most: int, short: str) -> None:
    assert cut(text, most) == short
    assert size(short) <= most


def test_one_line_is_one_line() -> None:
    assert one_line("a\r\nBcc: b\x00\u2028c\u202e") == "a Bcc: b c"


FIELD_VALUES: dict[str, Any] = {
    "name": "Asha <b>",
    "code": "123456",
    "minutes": "10",
    "inviter": "Ravi",
    "role": "trader",
    "link": "https://desk.example/reset/abc?a=1&b=2",
    "hours": "72",
    "ip": "10.0.0.9",
    "agent": "Firefox on Linux",
    "at": "21 Nov 2026, 10:00",
}


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_each_secret_mail_says_what_it_is_for_and_holds_its_fields(kind: str) -> None:
    fields = {name: FIELD_VALUES[name] for name in FIELDS[kind]}
    made = mail([Claimed(5, 0, START + 600, SecretMail("you@example.com", kind, fields))], "Desk <tandem@example.com>", "", START)
    text, html = text_of(made), html_of(made)
    assert made["To"] == "you@example.com"
    assert "Tandem" in text + made["Subject"]
    for name in FIELDS[kind] - {"role"}:
        assert fields[name] in text
    assert "<b>" not in html
    if "link" in fields:
        assert 'href="https://desk.example/reset/abc?a=1&amp;b=2"' in html
    assert words(kind, fields).subject == made["Subject"]


def test_a_mail_of_an_unknown_kind_or_without_a_field_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="no mail of the kind 'spam'"):
        check("spam", {})
    with pytest.raises(ValueError, match="needs code"):
        check("sign_up", {"name": "x", "minutes": "10"})


def test_the_number_of_a_mail_is_the_same_for_the_same_deliveries_and_of_no_other() -> None:
    items = [Claimed(at, 0, START, message(at)) for at in (1, 2, 3)]
    ids = [mail(some, "t@example.com", "y@example.com", START)["Message-ID"] for some in (items, items, items[:2], items[1:])]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    same = [Claimed(at, 0, START, message(at, thread="S9")) for at in (1, 2)]
    assert (
        mail(same, "t@example.com", "y@example.com", START)["References"]
        == mail(same[:1], "t@example.com", "y@example.com", START)["References"]
    )

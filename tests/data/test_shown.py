"""What a name may hold: everything that is seen, and the joiner only inside an emoji."""

from __future__ import annotations

import pytest

from app.data.shown import is_shown


@pytest.mark.parametrize("text", ["Asha", "आशा राव", "Zoë ☕", "👩‍💻", "👩🏽‍💻 desk", "❤️‍🔥", "🏳️‍🌈", "👨‍👩‍👧‍👦 family", ""])
def test_what_is_seen_is_fine(text: str) -> None:
    assert is_shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "a\u200db",  # the joiner between letters
        "\u200d👩",
        "👩\u200d",
        "👩\u200d\u200d💻",
        "👩\u200dx",
        "1\ufe0f\u200d2",
        "Asha\u202egro.live",  # turns the line around
        "a\u2066b\u2069",
        "a\u200bb",
        "a\u200cb",
        "\ufeffa",
        "👩\u2060💻",
        "🏴\U000e0067\U000e007f",  # tags
        "a\nb",
        "\x1b[31m",
        "a\u00a0b",
    ],
)
def test_what_is_not_seen_is_refused(text: str) -> None:
    assert not is_shown(text)

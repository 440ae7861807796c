"""Text that others are to see: nothing in it steers a terminal, a mail or the direction of a line, and nothing is there unseen, so that no name can
pass for another. One invisible sign has a use: the joiner that makes one emoji of several, and only between emoji it may stand."""

from __future__ import annotations

from unicodedata import category

HIDDEN = "must not contain control characters or invisible ones"
_JOINER = "\u200d"
_DRESS = (
    "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # in colour, and the shades of skin: they follow the emoji that they dress
)


def is_shown(text: str) -> bool:
    return all(sign.isprintable() or (sign == _JOINER and _joins(text, at)) for at, sign in enumerate(text))


def _joins(text: str, at: int) -> bool:
    before, after = text[:at].rstrip(_DRESS)[-1:], text[at + 1 : at + 2]
    return _is_emoji(before) and _is_emoji(after)


def _is_emoji(sign: str) -> bool:
    return sign != "" and category(sign) == "So"  # pictures and symbols; never a letter, a digit or a mark

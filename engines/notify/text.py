"""Counting and cutting text as messengers do: in UTF-16 units, in which most characters are one and an emoji is two."""

from __future__ import annotations


def size(text: str) -> int:
    return len(text) + sum(ord(sign) > 0xFFFF for sign in text)


def cut(text: str, most: int) -> str:
    """No longer than `most`; what was cut ends with "…" and never in the middle of an escape."""
    if size(text) <= most:
        return text
    room, kept = most - 1, []
    for sign in text:
        room -= 2 if ord(sign) > 0xFFFF else 1
        if room < 0:
            break
        kept.append(sign)
    short = "".join(kept).rstrip()
    slashes = len(short) - len(short.rstrip("\\"))
    return (short[:-1] if slashes % 2 else short) + "…"


def one_line(text: str) -> str:
    """For a header or a title: no line breaks, no control characters, single spaces."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())

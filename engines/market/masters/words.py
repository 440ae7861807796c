"""What an instrument can be found by, and what a person means by what they type: `nifty 24500 ce`, `infy`, `banknifty fut`, `25 aug call`.

Both sides are cut into the same small words, so that a search is a lookup and never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engines.core.model import Instrument
from engines.market.masters.merge import index_names
from engines.market.masters.spelling import MONTHS

_LONG = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_INSIDE = "&-_."  # belong to a word: M&M, BAJAJ-AUTO, 172.5
_KINDS = {"CE": "ce call", "PE": "pe put", "FUT": "fut future futures", "INDEX": "index", "PERP": "perp perpetual", "SPOT": "spot"}
_PLURALS = {"calls": "call", "puts": "put", "options": "opt", "option": "opt", "stock": "eq", "share": "eq", "equity": "eq"}
_PIECES = re.compile(r"[&\-_.]+")
_GLUED = re.compile(
    r"(?P<name>[^\W\d_][^\d]*?)(?P<number>\d{3,}(?:\.\d+)?)(?P<kind>ce|pe|call|put)?|(?P<strike>\d+(?:\.\d+)?)(?P<side>ce|pe|call|put)"
)
MOST_WORDS = 8


def cut(text: str) -> list[str]:
    """Lower-case words of letters, digits and the signs that belong inside a name."""
    kept = "".join(sign if sign.isalnum() or sign in _INSIDE else " " for sign in text.lower())
    return [word for raw in kept.split() if (word := raw.strip(_INSIDE))]


def exchange_word(exchange: str) -> str:
    return f"ex.{exchange.lower()}"


def segment_word(segment: str) -> str:
    return f"sg.{segment.lower()}"


def words_of(instrument: Instrument, underlying: str) -> str:
    """Every word that finds this instrument, separated by blanks."""
    name = instrument.symbol.partition(":")[2]
    words = {exchange_word(instrument.exchange), segment_word(instrument.segment), instrument.exchange.lower(), "".join(cut(name))}
    for text in (name, underlying):
        for word in cut(text):
            words.add(word)
            words.update(piece for piece in _PIECES.split(word) if piece)
    if instrument.expiry is None:
        words.update(cut(instrument.name))
        words.add(instrument.segment.lower())
        words.update(name.lower() for name, index in index_names().items() if index == instrument.symbol)
    else:
        words.update(_when(instrument.expiry))
        words.add("fut" if instrument.strike is None else "opt")
    if instrument.strike is not None:
        strike = f"{instrument.strike:f}"
        words.update((strike, f"{strike}{(instrument.option_type or '').lower()}"))
    words.update(_KINDS.get(instrument.option_type or instrument.segment, "").split())
    return " ".join(sorted(words))


def _when(expiry: str) -> tuple[str, ...]:
    """2026-08-25 → 25, 25aug, aug, august, 2026, 2026-08-25."""
    year, month, day = expiry.split("-")
    short, long = MONTHS[int(month) - 1].lower(), _LONG[int(month) - 1]
    return str(int(day)), f"{int(day)}{short}", short, long, year, expiry


@dataclass(frozen=True, slots=True)
class Ask:
    """What was typed: an exchange, the very text, and the words to look for, then other ways to read them, the likeliest first."""

    exchange: str | None
    text: str
    ways: tuple[tuple[str, ...], ...]


def read_ask(q: str, exchange: str | None = None) -> Ask:
    """`nse:infy` names its exchange; `nifty24500ce` is taken apart, `bank nifty` put together, where nothing has the words as typed."""
    text = q.strip()
    venue, colon, rest = text.partition(":")
    if colon and venue.isalnum():
        text, exchange = rest.strip(), venue.upper()
    words = tuple(_PLURALS.get(word, word) for word in cut(text)[:MOST_WORDS])
    if not words:
        return Ask(exchange, text.upper(), ())
    apart = tuple(piece for word in words for piece in _apart(word))
    together = _together(words)
    return Ask(exchange, text.upper(), tuple(dict.fromkeys((words, apart, together, _together(apart)))))


def _apart(word: str) -> tuple[str, ...]:
    found = _GLUED.fullmatch(word)
    return tuple(piece for piece in found.groups() if piece) if found else (word,)


def _together(words: tuple[str, ...]) -> tuple[str, ...]:
    """The first two words as one, when both are of letters: bank nifty → banknifty."""
    if len(words) > 1 and words[0].isalpha() and words[1].isalpha():
        return (words[0] + words[1], *words[2:])
    return words

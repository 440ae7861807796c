"""The keyboard shortcuts, said once: the help page and the help dialog show them, `static/js/keys.js` does them (a test compares both)."""

from __future__ import annotations

from dataclasses import dataclass

Shortcut = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Keys:
    title: str
    entries: tuple[Shortcut, ...]


GO = {
    "o": "/",
    "p": "/positions",
    "r": "/orders",
    "s": "/signals",
    "l": "/pnl",
    "a": "/accounts",
    "t": "/strategies",
    "m": "/mappings",
    "h": "/health",
}

GROUPS = (
    Keys(
        "Act",
        (
            (("N",), "New order"),
            (("!",), "Emergency stop: opens the question, never stops by itself"),
            (("/",), "Filter the table, or find on the page"),
            (("Esc",), "Close what is open"),
            (("?",), "These shortcuts"),
        ),
    ),
    Keys(
        "Watching a replay",
        (
            (("Space",), "Play or pause"),
            (("→",), "On to the end of the candle"),
            (("1", "5"), "Speed, from real to as fast as it goes"),
        ),
    ),
    Keys(
        "Go to",
        (
            (("G", "O"), "Overview"),
            (("G", "P"), "Positions"),
            (("G", "R"), "Orders"),
            (("G", "S"), "Signals"),
            (("G", "L"), "P&L"),
            (("G", "A"), "Accounts"),
            (("G", "T"), "Strategies"),
            (("G", "M"), "Mappings"),
            (("G", "H"), "Health"),
        ),
    ),
)

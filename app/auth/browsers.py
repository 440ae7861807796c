"""What a browser says of itself, in words: "Chrome 141 on Windows". Pure; a guess for people to know their own devices by, never a reason to trust."""

from __future__ import annotations

import re

_BROWSERS = (  # the first that is named: most of them also name those that they descend from
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"(?:OPR|Opera)/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("ChromeOS", r"CrOS"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("Linux", r"Linux|X11"),
)
PHONES = frozenset({"iPhone", "Android"})


def in_words(agent: str) -> str:
    """Name, version and system; of what is no browser the name that it gives itself."""
    system = _system(agent)
    for name, pattern in _BROWSERS:
        if found := re.search(pattern, agent):
            return f"{name} {found[1]}" + (f" on {system}" if system else "")
    if system:
        return f"A browser on {system}"
    return re.split(r"[\s/;(]", agent.strip(), maxsplit=1)[0][:40] or "Unknown"


def is_phone(agent: str) -> bool:
    return _system(agent) in PHONES


def _system(agent: str) -> str | None:
    return next((name for name, pattern in _SYSTEMS if re.search(pattern, agent)), None)

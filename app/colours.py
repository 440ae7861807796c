"""Colours as numbers: how well one is read on another (WCAG 2.2), mixing, and the least change that makes one readable.

Pure arithmetic over `#rrggbb` texts; it knows no theme, no style sheet and no person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

WHITE, BLACK = "#ffffff", "#000000"
READABLE = 4.5
"""Least contrast of text with its ground (WCAG 2.2, 1.4.3)."""
VISIBLE = 3.0
"""Least contrast of an outline or a sign with what it stands on (WCAG 2.2, 1.4.11)."""
STEPS = 32

_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)


def is_colour(text: object) -> bool:
    """Six lower-case hexadecimal digits after a #, and nothing else."""
    return isinstance(text, str) and _COLOUR.fullmatch(text) is not None


def channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@lru_cache(4096)
def luminance(colour: str) -> float:
    """Relative luminance, 0 (black) to 1 (white)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in channels(colour)))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 (the same) to 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mix(one: str, other: str, share: float) -> str:
    """`one` with `share` (0 to 1) of `other` in it."""
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(channels(one), channels(other), strict=True))


def over(wash: str, ground: str) -> str:
    """What a translucent `#rrggbbaa` looks like on `ground`."""
    return mix(ground, wash[:7], int(wash[7:9], 16) / 255)


def ink(ground: str) -> str:
    """White where it can be read, else black, which then can: one of the two always reaches 4.5."""
    return WHITE if contrast(WHITE, ground) >= READABLE else BLACK


def worst(colour: str, grounds: Sequence[str]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def readable(
    colour: str, grounds: Callable[[str], Sequence[str]] | Sequence[str], pole: str, need: float = READABLE, most: float = 1.0
) -> tuple[str, float]:
    """`colour` with as little of `pole` (black or white) in it as reaches `need` on every ground, and what it reaches there.

    `grounds` may depend on the colour (its own wash). Where even a share of `most` does not do, the best of that is the answer.
    """
    made, reached = colour, 0.0
    for step in range(STEPS + 1):
        share = step / STEPS
        if share > most:
            break
        made = mix(colour, pole, share)
        reached = worst(made, grounds(made) if callable(grounds) else grounds)
        if reached >= need:
            break
    return made, reached


def apart(one: str, other: str) -> float:
    """How far two colours lie from each other to the eye, roughly: 0 to about 765 ("redmean" of Compuphase)."""
    (r1, g1, b1), (r2, g2, b2) = channels(one), channels(other)
    red = (r1 + r2) / 2
    return float(((2 + red / 256) * (r1 - r2) ** 2 + 4 * (g1 - g2) ** 2 + (2 + (255 - red) / 256) * (b1 - b2) ** 2) ** 0.5)

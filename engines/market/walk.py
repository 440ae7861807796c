"""A price path that has always existed: Brownian motion as a pure function of (seed, time).

The same seed gives the same price at the same moment, in any process and after any restart, so a simulated market has a past that charts and
warm-up can ask for and goes on where it was. It keeps no state but a cache, and it never asks for the time.

Source of the method: Lévy's construction (midpoint displacement). A day-wide lattice of independent values is joined by bridges that are halved,
level by level, down to a cell of about two thirds of a second, inside which the path is a straight line.
"""

from __future__ import annotations

import hashlib
from math import sqrt

DAY = 86_400.0
LEVELS = 17
CELL = DAY / 2**LEVELS

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_TRADING_SECONDS_A_YEAR = 252 * 6.25 * 3600


def key_of(*parts: object) -> int:
    """64 bits from the parts, the same in every process (Python's own hash of text is not)."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big")


def scramble(number: int) -> int:
    """64 well-mixed bits from a number (the finaliser of SplitMix64): the chance of the simulation, without a generator's state."""
    z = (number + 0x9E37_79B9_7F4A_7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return z ^ (z >> 31)


def gauss(number: int) -> float:
    """A nearly normal value with mean 0 and deviation 1, never beyond 3.47: the sum of four uniform 16-bit numbers."""
    bits = scramble(number)
    total = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48)
    return (total - 131_070.0) / 37_837.2


class Path:
    """The logarithm of a price relative to its anchor, as a function of time. Not for two threads at once: it caches the present cell."""

    __slots__ = ("_cell", "_day_deviation", "_deviations", "_key", "_left", "_lefts", "_rights", "_slope", "_start")

    def __init__(self, key: int, volatility_pct: float) -> None:
        a_second = volatility_pct / 100 / sqrt(_TRADING_SECONDS_A_YEAR)
        self._key = key
        self._day_deviation = a_second * sqrt(DAY / 2)
        self._deviations = [a_second * sqrt(DAY / 2**level / 2) for level in range(LEVELS + 1)]  # of a midpoint that makes cells of a level
        self._lefts = [0.0] * (LEVELS + 1)
        self._rights = [0.0] * (LEVELS + 1)
        self._cell: int | None = None
        self._left = self._slope = self._start = 0.0

    def at(self, moment: float) -> float:
        cell = int(moment // CELL)
        if cell != self._cell:
            self._enter(cell)
        return self._left + (moment - self._start) * self._slope

    def _enter(self, cell: int) -> None:
        """Walk down from the coarsest level whose cell has changed; the others still hold."""
        lefts, rights, key = self._lefts, self._rights, self._key
        changed = LEVELS + 1 if self._cell is None else (cell ^ self._cell).bit_length()
        if changed > LEVELS:
            day = cell >> LEVELS
            lefts[0] = gauss(key ^ (day << 6)) * self._day_deviation
            rights[0] = gauss(key ^ ((day + 1) << 6)) * self._day_deviation
            changed = LEVELS
        for level in range(LEVELS - changed + 1, LEVELS + 1):
            index = cell >> (LEVELS - level)
            left, right = lefts[level - 1], rights[level - 1]
            middle = (left + right) / 2 + gauss(key ^ ((index >> 1) << 6 | level)) * self._deviations[level]
            if index & 1:
                lefts[level], rights[level] = middle, right
            else:
                lefts[level], rights[level] = left, middle
        self._cell = cell
        self._start = cell * CELL
        self._left = lefts[LEVELS]
        self._slope = (rights[LEVELS] - self._left) / CELL

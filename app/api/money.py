"""Whose money is counted in what: rupees and dollars are shown side by side and never added.

By the kind of broker, so that it also holds for an account that is archived or that the engines do not know yet.
"""

from __future__ import annotations

from collections.abc import Iterable

HOME = "INR"
_OTHER = {"binance_spot": "USDT", "binance_usdm": "USDT"}


def currency_of(broker: str) -> str:
    return _OTHER.get(broker, HOME)


def home_of(currencies: Iterable[str]) -> str:
    """The currency of a person's main figure: rupees as soon as one account is in rupees."""
    found = sorted(set(currencies))
    return HOME if HOME in found or not found else found[0]

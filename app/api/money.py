"""Whose money is counted in what: rupees and dollars are shown side by side and never added."""

from __future__ import annotations

from collections.abc import Iterable

from engines.brokers.makers import HOME, currency_of

__all__ = ["HOME", "currency_of", "home_of"]


def home_of(currencies: Iterable[str]) -> str:
    """The currency of a person's main figure: rupees as soon as one account is in rupees."""
    found = sorted(set(currencies))
    return HOME if HOME in found or not found else found[0]

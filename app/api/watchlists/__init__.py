"""Watchlists: instruments that a person watches, with the day of each."""

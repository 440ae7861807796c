"""Replays: a day of a market file through the whole engine, on copies of the caller's accounts."""

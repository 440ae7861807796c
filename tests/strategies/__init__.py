"""Tests of the strategy room: the base, the built-in kinds and the runner."""

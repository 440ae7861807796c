"""The one error of the commands."""

from __future__ import annotations


class CannotRun(Exception):
    """Why a command cannot be carried out, in one line that says what to do; the command then exits with 2."""

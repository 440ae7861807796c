"""What the data service says when it cannot do what it was asked, named for what the caller must do.

The texts are fit to show to a person and never hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engines.ports import TandemError


class DataError(TandemError):
    """The data folder cannot be used as it is: one clear line for the person who started the program; nothing was touched."""


class NotFound(TandemError):
    """There is no such thing, or it is not this user's (the two are never told apart)."""


class Conflict(TandemError):
    """The request is well formed, but the present state forbids it."""


class Invalid(TandemError):
    """A field is wrong: `errors` has the messages for each field."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {', '.join(messages)}" for name, messages in errors.items()))
        self.errors = {name: list(messages) for name, messages in errors.items()}

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        return cls({name: [message]})

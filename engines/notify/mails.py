"""The words of the mails that carry a code or a link. What they say is made when they are sent; until then only their kind and fields are kept.

Pure: nothing here sends, and nothing of it is ever logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIELDS: Mapping[str, frozenset[str]] = {
    "sign_up": frozenset({"name", "code", "minutes"}),
    "invite": frozenset({"inviter", "role", "link", "hours"}),
    "reset": frozenset({"link", "minutes"}),
    "already": frozenset(),
    "password_changed": frozenset(),
    "new_sign_in": frozenset({"ip", "agent", "at"}),
    "second_factor_cleared": frozenset(),
    "confirm_address": frozenset({"code", "minutes"}),
}
"""Each kind of mail, and the fields that its words need; others may be given and are not used."""


@dataclass(frozen=True, slots=True)
class Words:
    """A mail as plain words: paragraphs, and what stands out between them (a code) or is to be followed (a link)."""

    subject: str
    before: tuple[str, ...]
    code: str = ""
    link: str = ""
    button: str = ""
    after: tuple[str, ...] = ()


def check(kind: str, fields: Mapping[str, str]) -> None:
    """ValueError for a kind that nobody knows, or one without its fields: noticed where the mail is made, not when it is sent."""
    if kind not in FIELDS:
        raise ValueError(f"there is no mail of the kind {kind!r}")
    if missing := FIELDS[kind] - fields.keys():
        raise ValueError(f"a mail of the kind {kind!r} needs {', '.join(sorted(missing))}")

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


def words(kind: str, fields: Mapping[str, str]) -> Words:
    """What the mail says. ValueError as `check`."""
    check(kind, fields)
    get = fields.get
    link = get("link", "")
    before: tuple[str, ...]
    after: tuple[str, ...]
    aside = "If that was not you, change your password now and end your other sign-ins."
    match kind:
        case "sign_up":
            before = (_hello(get("name", "")), "This is the code with which you finish your sign-up:")
            after = (f"It is good for {get('minutes')} minutes and for you alone: nobody will ever ask you for it.", _IGNORE)
            return Words("Your code for Tandem", before, code=fields["code"], after=after)
        case "invite":
            before = (f"{get('inviter')} invites you to a Tandem workspace as {_ROLES.get(fields['role'], fields['role'])}.",)
            after = (f"The link is good for {get('hours')} hours and can be used once.", _IGNORE)
            return Words("You are invited to Tandem", before, link=link, button="Accept the invitation", after=after)
        case "reset":
            before = ("Somebody, most likely you, asked for a new password of your Tandem account.",)
            after = (
                f"The link is good for {get('minutes')} minutes and can be used once. Until then your password stays as it is.",
                _IGNORE,
            )
            return Words("A new password for Tandem", before, link=link, button="Choose a new password", after=after)
        case "already":
            before = (
                "Somebody tried to sign up at Tandem with this address, which has an account already.",
                "If that was you: sign in as always, or ask for a new password if you have forgotten it.",
            )
            return Words("You have a Tandem account already", before, link=link, button="Forgot the password?", after=(_IGNORE,))
        case "password_changed":
            before = ("The password of your Tandem account was changed, and every other sign-in was ended.",)
            after = ("If that was not you, ask for a new password at once and tell the owner of your workspace.",)
            return Words("Your password was changed", before, link=link, button="Ask for a new password", after=after)
        case "new_sign_in":
            before = (
                "Your Tandem account was signed in to from an address that it was never used from before.",
                f"When: {get('at')}",
                f"Address: {get('ip')}",
                f"Browser: {get('agent')}",
            )
            return Words("A new sign-in to your account", before, link=link, button="See your sign-ins", after=(aside,))
        case "second_factor_cleared":
            before = (
                "The second factor of your Tandem account was taken off by the owner of your workspace.",
                "Until you set up a new one, your password alone signs you in.",
            )
            return Words("Your second factor was taken off", before, link=link, button="Set up a new one", after=(aside,))
        case _:
            before = ("This is the code with which you confirm that messages of Tandem may come to this address:",)
            after = (f"It is good for {get('minutes')} minutes.", _IGNORE)
            return Words("Confirm your address", before, code=fields["code"], after=after)


_IGNORE = "If this is none of your doing, you need not do anything."
_ROLES = {"owner": "an owner", "trader": "a trader", "viewer": "a viewer"}


def _hello(name: str) -> str:
    return f"Hello {name}," if name else "Hello,"

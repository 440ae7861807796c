"""Why an automated log-in did not happen, and what a person can do about it. Plain words, free of anything that was typed."""

from __future__ import annotations

from enum import StrEnum

from engines.ports import TandemError


class Reason(StrEnum):
    MISSING = "missing"
    NO_BROWSER = "no_browser"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    CAPTCHA = "captcha"
    CHANGED_PAGE = "changed_page"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a word for what went wrong
    WRONG_TOTP = "wrong_totp"
    BLOCKED = "blocked"
    CONSENT = "consent"
    WRONG_USER = "wrong_user"
    REFUSED = "refused"


WORDS = {
    Reason.MISSING: "User id, password and TOTP secret are needed for it. Add them to the account.",
    Reason.NO_BROWSER: "Chromium and its driver are not installed on this machine (Debian: apt-get install chromium chromium-driver).",
    Reason.UNREACHABLE: "The broker's log-in page could not be reached.",
    Reason.TIMEOUT: "The log-in page did not answer in time.",
    Reason.CRASHED: "The browser stopped before the log-in was done.",
    Reason.CAPTCHA: "The broker asks for a captcha, which only a person can solve. Log in by hand.",
    Reason.CHANGED_PAGE: "The broker's log-in page looks different from what is known. Log in by hand until this program has been adapted.",
    Reason.WRONG_PASSWORD: "The broker did not accept user id and password. Check both before trying again: after a few wrong tries it locks the account.",
    Reason.WRONG_TOTP: "The broker did not accept the TOTP code. Check the TOTP secret and this machine's clock before trying again.",
    Reason.BLOCKED: "The broker says that the account is blocked or locked. Unblock it there first.",
    Reason.CONSENT: "The broker asks whether this app may use the account. Log in once by hand and allow it.",
    Reason.WRONG_USER: "Another person than this account's was signed in. Check the user id.",
    Reason.REFUSED: "The broker refused the log-in.",
}

PASSING = frozenset({Reason.UNREACHABLE, Reason.TIMEOUT, Reason.CRASHED, Reason.WRONG_TOTP})
"""May go away by itself (a code can be a moment too late): one more try, no more. Whatever else went wrong needs a person at once."""


class LoginFailed(TandemError):
    """`reason` says which; the text is fit for a page."""

    def __init__(self, reason: Reason, more: str = "") -> None:
        super().__init__(f"{WORDS[reason]} {more}".strip())
        self.reason = reason

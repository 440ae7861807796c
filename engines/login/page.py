"""What the broker's log-in page shows at a moment, and what follows from it. Pure: a browser tells the facts, nothing here clicks or types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

from engines.login.reasons import Reason

FACTS = """
const seen = (node) => Boolean(node && node.getClientRects().length && getComputedStyle(node).visibility !== "hidden");
const first = (selector) => [...document.querySelectorAll(selector)].find(seen);
const text = (node) => (node ? node.innerText.trim().slice(0, 300) : "");
const code = first("form.twofa-form input, input[type=number][maxlength='6'], input[minlength='6'][maxlength='6']");
const user = first("#userid:not([type=number]), input[placeholder='User ID']");
const errors = [...document.querySelectorAll(".error, .error-message, .su-message.error, [role=alert]")].filter(seen).map(text).filter(Boolean);
return {
  ready: document.readyState === "complete",
  address: location.href,
  user: Boolean(user && user !== code),
  password: Boolean(first("input[type=password]")),
  code: Boolean(code),
  typed: code ? code.value.length : 0,
  captcha: Boolean(first("iframe[src*='captcha' i], [class*='captcha' i], [id*='captcha' i], img[alt*='captcha' i], input[name*='captcha' i]")),
  consent: Boolean(first("form[action*='authorize' i], form[action*='authorise' i], button[value*='authori' i], .authorize, .authorise")),
  error: errors.join(" "),
};
"""
"""Run inside the page; the only place that knows how the page is built (as seen from 2023 to 2026)."""

USER = "#userid, input[placeholder='User ID']"
PASSWORD = "input[type=password]"  # noqa: S105 - where it is typed
CODE = "form.twofa-form input, input[type=number][maxlength='6'], input[minlength='6'][maxlength='6']"
SUBMIT = "button[type=submit]"


class Stage(Enum):
    OPENED = auto()
    PASSWORD_SENT = auto()
    CODE_SENT = auto()


class Act(Enum):
    TYPE_PASSWORD = auto()
    TYPE_CODE = auto()
    DONE = auto()
    WAIT = auto()


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `token`: the request token, when an address with one was asked for; `before`: the error that stood there when something was sent."""

    facts: Mapping[str, object]
    token: str = ""
    before: str = ""


def judge(stage: Stage, seen: Seen) -> Act | Reason:
    """What to do now, or why it cannot go on."""
    facts = seen.facts
    if seen.token:
        return Act.DONE
    if stage is not Stage.CODE_SENT and str(facts.get("address", "")).startswith("chrome-error:"):
        return Reason.UNREACHABLE
    if facts.get("captcha"):
        return Reason.CAPTCHA
    error = str(facts.get("error") or "")
    form = facts.get("user") and facts.get("password")
    if error and error != seen.before and (stage is not Stage.OPENED or (facts.get("ready") and not form)):
        return refusal(stage, error)
    if facts.get("consent") or "/connect/authorize" in str(facts.get("address")):
        return Reason.CONSENT
    if stage is Stage.OPENED and form:
        return Act.TYPE_PASSWORD
    if stage is Stage.PASSWORD_SENT and facts.get("code") and not facts.get("password"):
        return Act.TYPE_CODE
    return Act.WAIT


def refusal(stage: Stage, error: str) -> Reason:
    """The page's own words as a reason."""
    low = error.casefold()
    if "captcha" in low:
        return Reason.CAPTCHA
    if any(word in low for word in ("blocked", "locked", "disabled", "too many", "attempts exceeded", "suspended")):
        return Reason.BLOCKED
    if "not enabled" in low:
        return Reason.WRONG_USER
    if stage is Stage.CODE_SENT and any(word in low for word in ("totp", "code", "otp", "invalid", "incorrect")):
        return Reason.WRONG_TOTP
    if stage is Stage.PASSWORD_SENT and any(
        word in low for word in ("password", "user id", "user_id", "username", "credential", "invalid", "incorrect")
    ):
        return Reason.WRONG_PASSWORD
    return Reason.REFUSED


def given_up(stage: Stage, seen: Seen) -> Reason:
    """Time is up: a page that is there but not as it should be has changed."""
    facts = seen.facts
    if not facts or str(facts.get("address", "")).startswith(("data:", "about:")):
        return Reason.UNREACHABLE
    if facts.get("ready") and (
        (stage is Stage.OPENED and not (facts.get("user") and facts.get("password")))
        or (stage is Stage.PASSWORD_SENT and not facts.get("code"))
    ):
        return Reason.CHANGED_PAGE
    return Reason.TIMEOUT


def request_token(address: str) -> str:
    """Of the address that the broker leads back to; "" when this is not it."""
    query = parse_qs(urlsplit(address).query)
    if query.get("status", ["success"])[0] != "success":
        return ""
    return query.get("request_token", [""])[0]


def code_at(now: float, not_in_step: int | None) -> float:
    """How long to wait, in seconds, until a six-digit code may be typed: not in the last three seconds of its half minute, and never in a half
    minute whose code was used before."""
    step, left = int(now // 30), 30 - now % 30
    if left < 3 or (not_in_step is not None and step <= not_in_step):
        waits_until = max(step, step if not_in_step is None else not_in_step) + 1
        return waits_until * 30 - now + 0.2
    return 0.0

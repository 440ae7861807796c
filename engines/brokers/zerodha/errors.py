"""What an answer of Kite proves, as one table: the first row that fits says whether the caller is refused, must sign in, may try again or must look.

Pure. Whatever is not in the table proves nothing: a write is then unknown, a read may be tried again. Texts hold Zerodha's own words, never a
request, a header or a page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from engines.ports import NeedsLogin, Refused, Retry, TandemError, Unknown

Call = Literal["place", "cancel", "modify", "read", "login"]

WRITES = ("place", "cancel", "modify")
CHANGES = ("cancel", "modify")
ANY = (*WRITES, "read", "login")
LONGEST = 240
"""Characters of the broker's words that are shown."""

UNREADABLE = "unreadable"
"""The code of an answer that is no JSON of Kite's: a gateway's page, a broken body, a body without what was asked for."""
UNSENDABLE = "unsendable"
"""The code of a call that cannot be put on the wire: a key or token with a character that no header may have."""
_DOES = {
    "place": "refused the order",
    "cancel": "did not cancel the order",
    "modify": "did not change the order",
    "read": "did not answer",
    "login": "refused the log-in",
}


@dataclass(frozen=True, slots=True)
class Row:
    """All that is given must fit: `codes` are error types (space between), `status` is the lowest and highest HTTP status, `words` a pattern in the
    message. In `text`, {said} is the broker's message, {does} what it means for the call, {page} what came in place of an answer, {status} the HTTP
    status."""

    calls: tuple[str, ...]
    becomes: type[TandemError]
    text: str
    codes: str = ""
    status: tuple[int, int] | None = None
    words: str = ""
    after: float = 1.0

    def fits(self, call: str, status: int | None, code: str, message: str) -> bool:
        if call not in self.calls or (self.codes and code not in self.codes.split()):
            return False
        if self.status and not (status is not None and self.status[0] <= status <= self.status[1]):
            return False
        return not self.words or re.search(self.words, message, re.IGNORECASE) is not None


_SAID = "Zerodha {does}: {said}"
_DOUBT = "Zerodha could not say what became of it ({said})"

TABLE: tuple[Row, ...] = (
    # Pages of gateways and broken bodies come with any status and say nothing about the order.
    Row(WRITES, Unknown, "Zerodha sent {page}: only its order book can say what became of the order", UNREADABLE),
    Row(("read", "login"), Retry, "Zerodha asks for fewer requests", UNREADABLE, (429, 429)),
    Row(("read", "login"), Retry, "Zerodha sent {page}", UNREADABLE, after=2.0),
    # Keys that are none: whatever was pasted with them, or a masked value.
    Row(
        ("read", "login"),
        NeedsLogin,
        "a key or token of this account has a character that Zerodha's never have: enter the keys again",
        UNSENDABLE,
    ),
    # Who may call at all. An address is a matter of its own, whatever type it comes with.
    Row(
        ANY,
        Refused,
        "This machine's address{address} is not registered for this app at Zerodha: add it in the developer console",
        words=r"\bIPs?\b.*(not allowed|not registered|not whitelisted)|allowed IPs|no IPs configured",
    ),
    Row(("login",), NeedsLogin, "Zerodha did not accept the log-in: {said}", "TokenException"),
    Row(ANY, NeedsLogin, "the session at Zerodha is over: log in again", "TokenException"),
    Row(ANY, Refused, "Zerodha does not allow this app to do that: {said}", "PermissionException"),
    # Too many calls: turned away before the order system saw them.
    Row(("place",), Refused, "Zerodha takes no more orders from this account today: {said}", words=r"maximum allowed order requests"),
    Row(
        CHANGES,
        Refused,
        "Zerodha allows no further change of this order: cancel it and place another ({said})",
        words=r"order modifications exceeded",
    ),
    Row(ANY, Retry, "Zerodha asks for fewer requests", status=(429, 429)),
    Row(ANY, Retry, "Zerodha asks for fewer requests", words=r"^too many requests"),
    # A lack of money or shares also speaks of the order book, and is a refusal all the same.
    Row(("place", "modify"), Refused, _SAID, status=(400, 428), words=r"^insufficient "),
    # The order system has it, or may have it.
    Row(WRITES, Unknown, _DOUBT, words=r"timed out|time-?out|check the order ?book|confirm before placing"),
    Row(WRITES, Unknown, _DOUBT, status=(500, 599)),
    # An order that it has taken from us and does not find: no refusal of the change, but a reason to look what became of the order.
    Row(
        CHANGES,
        Unknown,
        "Zerodha does not find this order: its order book has to say what became of it ({said})",
        words=r"couldn'?t find .*order_id",
    ),
    Row(CHANGES, Retry, "Zerodha is still working on the order: {said}", words=r"being processed", after=0.5),
    # What people can do something about, in their words.
    Row(
        WRITES,
        Refused,
        "Zerodha wants a second factor: turn TOTP on in the account's profile and log in again ({said})",
        words=r"TOTP is mandatory",
    ),
    Row(("place",), Refused, "Zerodha {does}: the market is closed ({said})", words=r"after market order|\bAMO\b|markets? (is|are) closed"),
    Row(("login",), Refused, "Zerodha does not know this API key: {said}", words=r"api_key"),
    # A plain refusal: the order never reached the exchange and is not in the order book.
    Row(
        WRITES, Refused, _SAID, "InputException OrderException MarginException HoldingException UserException GeneralException", (400, 428)
    ),
    Row(("read",), Refused, _SAID, "InputException OrderException UserException GeneralException", (400, 428)),
    Row(("login",), Refused, _SAID, "InputException UserException GeneralException", (400, 428)),
    # Whatever else there is.
    Row(("read", "login"), Retry, "Zerodha cannot answer now ({status})", after=2.0),
    Row(WRITES, Unknown, _DOUBT),
)


def classify(call: Call, status: int | None, code: str | None, message: str, sent: bool = True) -> TandemError:
    """The error that this answer means for the caller. `code` is Kite's error type, or UNREADABLE; `sent` False: not a byte has left, so nothing of it
    can be in doubt."""
    kind = code or ""
    for row in TABLE:
        if row.fits(call, status, kind, message):
            text = row.text.format(
                said=_said(message, kind), does=_DOES[call], page=_page(status), status=_status(status), address=_address(message)
            )
            if row.becomes is Unknown and not sent:
                return Retry(_NOT_SENT if kind in (UNREADABLE, UNSENDABLE) else text, after=row.after)
            return Retry(text, after=row.after) if row.becomes is Retry else row.becomes(text)
    raise AssertionError("the table ends with rows that always fit")


_NOT_SENT = "the call to Zerodha could not be made: nothing was sent"


def _page(status: int | None) -> str:
    """What came where an answer should have come. It says nothing of its own that could be shown."""
    if status is None:
        return "nothing that can be read"
    if status < 300:
        return f"an answer that lacks what was asked for ({_status(status)})"
    if status >= 500:
        return f"an error page, as when its service is down or busy ({_status(status)})"
    return f"a page instead of an answer ({_status(status)})"


def _status(status: int | None) -> str:
    return "no answer came" if status is None else f"HTTP {status}"


def _said(message: str, code: str) -> str:
    """The broker's words on one line. What a page of a gateway says is not shown."""
    if code == UNREADABLE or not message or "<" in message:
        return "no reason given"
    words = " ".join(message.split()).rstrip(".")
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def _address(message: str) -> str:
    """The address that the broker saw, where it names it."""
    found = re.search(r"\(([0-9a-fA-F.:]{3,45})\)|\b(\d{1,3}(?:\.\d{1,3}){3})\b", message)
    return f" ({found[1] or found[2]})" if found else ""

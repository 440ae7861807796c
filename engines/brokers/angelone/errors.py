"""What an answer of Angel One proves, as one table: first row that fits says whether the caller may try again, sign in, give up or must look.

Pure. Whatever is not in the table proves nothing: a write is then unknown. Texts hold the broker's own words, never a request or a header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.ports import NeedsLogin, Refused, Retry, TandemError, Unknown

Call = Literal["place", "cancel", "modify", "read", "login"]

WRITES = ("place", "cancel", "modify")
CHANGES = ("cancel", "modify")
ANY = (*WRITES, "read", "login")
LONGEST = 200
"""Characters of the broker's words that are shown."""

OVER_LIMIT = "exceeding access rate"


@dataclass(frozen=True, slots=True)
class Row:
    """`codes`: error codes of the envelope, space between. `status`: lowest and highest HTTP status. `words`: part of the message. All that are given must fit."""

    calls: tuple[str, ...]
    becomes: type[TandemError]
    text: str
    codes: str = ""
    status: tuple[int, int] | None = None
    words: str = ""
    after: float = 1.0
    coded: bool = False  # only for answers that carry an error code

    def fits(self, call: str, status: int | None, code: str, message: str) -> bool:
        if call not in self.calls:
            return False
        if (self.codes and code not in self.codes.split()) or (self.coded and not code):
            return False
        if self.status and not (status is not None and self.status[0] <= status <= self.status[1]):
            return False
        return not self.words or self.words in message.lower()


_DETAILS = "AB1000 AB1001 AB1002 AB1005 AB1031 AB1032"
_FAULTS = "AB1004 AB2000 AB2001"

ADDRESS = "This machine's address is not registered for this API key at Angel One: add it in the SmartAPI developer portal"

TABLE: tuple[Row, ...] = (
    # What the gateway says before it looks at the request: nothing can have been booked.
    Row(("login",), Refused, "Angel One does not accept this API key: {said}", "AG8001 AG8002 AG8003"),
    Row(ANY, NeedsLogin, "the session at Angel One is over: sign in again ({said})", "AG8001 AG8002 AG8003 AB8050 AB8051"),
    Row(
        ANY,
        Refused,
        ADDRESS,
        "AG7002",
    ),
    # A server in trouble: its body may say anything.
    Row(WRITES, Unknown, "Angel One answered with a server error ({status})", status=(500, 599)),
    Row(("read", "login"), Retry, "Angel One answers with a server error ({status})", status=(500, 599), after=2.0),
    # Too many calls. The text comes far below the limit at times, and nobody has promised that such an order is not booked.
    Row(WRITES, Unknown, "Angel One says that there were too many calls", words=OVER_LIMIT),
    Row(WRITES, Unknown, "Angel One says that there were too many calls", "AB1021"),
    Row(WRITES, Unknown, "Angel One says that there were too many calls", status=(429, 429)),
    Row(("read", "login"), Retry, "Angel One asks for fewer calls", words=OVER_LIMIT, after=1.5),
    Row(("read", "login"), Retry, "Angel One asks for fewer calls", "AB1021", after=1.5),
    Row(("read", "login"), Retry, "Angel One asks for fewer calls", status=(429, 429), after=1.5),
    # The session behind the gateway.
    Row((*WRITES, "read"), NeedsLogin, "Angel One's back office has ended the session: sign in again ({said})", "AB1010 AB1011"),
    Row(("login",), Retry, "Angel One's back office is not ready: {said}", "AB1010 AB1011", after=5.0),
    # Log-in.
    Row(
        ("login",),
        NeedsLogin,
        "Angel One refused the one-time code: check the TOTP secret of this account and this machine's clock ({said})",
        "AB1050",
    ),
    Row(
        ("login",), NeedsLogin, "Angel One refused the one-time code: check the TOTP secret and this machine's clock ({said})", words="totp"
    ),
    Row(("login",), Refused, "Angel One refused the log-in: check the client code and the PIN ({said})", _DETAILS + " AB1007"),
    Row(ANY, Refused, "Angel One has blocked this client: {said}", "AB1006"),
    # Trouble behind the gateway: a write may have gone through.
    Row(WRITES, Unknown, "Angel One could not say what became of it: {said}", _FAULTS + " AB1007"),
    Row(("read", "login"), Retry, "Angel One has trouble: {said}", _FAULTS + " AB1007", after=2.0),
    # Refusals.
    Row(WRITES, Refused, "Angel One does not know this kind of order (variety): {said}", "AB1008"),
    Row(WRITES, Refused, "Angel One does not know the symbol: {said}", "AB1009"),
    Row(WRITES, Refused, "Angel One does not offer this product for it: {said}", "AB1012"),
    Row(CHANGES, Refused, "Angel One does not know this order (any more): {said}", "AB1013 AB3001"),
    Row(WRITES, Refused, "This account may not place orders of this kind at Angel One: {said}", "AB2002"),
    Row(WRITES, Refused, "Angel One refused the order's tag: {said}", "AB4008"),
    Row(
        WRITES,
        Refused,
        "The exchange watches this share (surveillance) and Angel One wants a person's consent: place this order in Angel One's own app ({said})",
        "AB4036",
    ),
    # Without a code.
    Row(ANY, NeedsLogin, "the session at Angel One is over: sign in again", status=(401, 401)),
    Row(("login",), NeedsLogin, "Angel One refused the log-in: {said}", coded=True),
    Row(("read",), Retry, "Angel One did not answer as documented ({status}): {said}", after=2.0),
    Row(("login",), Retry, "Angel One did not answer the log-in as documented ({status})", after=5.0),
    Row(WRITES, Unknown, "Angel One's answer proves nothing ({status}): {said}"),
)


def classify(call: Call, status: int | None, code: str | int | None, message: str, sent: bool) -> TandemError:
    """The error that an answer is, or the lack of one (`status` None). `sent` False: no byte of the request has left."""
    if not sent:
        return Retry("Angel One could not be reached", after=1.0)
    if status is None and call in WRITES:
        return Unknown("Angel One did not answer")
    found = str(code or "").strip().upper()
    for row in TABLE:
        if row.fits(call, status, found, message):
            said = _short(message) or found or "no reason given"
            text = row.text.format(said=said, status="no answer" if status is None else f"HTTP {status}")
            return Retry(text, row.after) if row.becomes is Retry else row.becomes(text)
    return Unknown("Angel One's answer is not understood")


def _short(message: str) -> str:
    words = " ".join(message.split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"

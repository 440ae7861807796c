"""Signing in at Angel One: PIN and one-time code, once for everybody who waits, never the same code twice, and never on and on.

A session is kept until midnight IST (or until its token says that it ends), encrypted by `Sessions`, so that a restart signs in again only when it must.
What Angel One refuses for good is not tried again by itself, nor after a restart: wrong details, tried often enough, lock an account.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import structlog

from engines.brokers.angelone import errors
from engines.brokers.angelone.client import SmartClient
from engines.brokers.transport import Unreached
from engines.core.model import Timestamp
from engines.core.sessions import DAY, day_start
from engines.ports import Clock, NeedsLogin, Refused, Retry, Session, Sessions, TandemError

log = structlog.get_logger(__name__)

STEP = 30
"""Seconds for which a one-time code stands."""
TOO_SOON = 60.0
"""A session that is over so soon after it began was ended by another sign-in: doing it again would only be a quarrel."""
REFUSED = "refused"
"""Among the tokens of what is stored: there is no session, and these details are not tried again. A person who wants a try clears it."""
SPARE = 30.0
"""Seconds of life that a stored session must have left to be worth trying."""

_used_codes: WeakKeyDictionary[Sessions, dict[str, int]] = WeakKeyDictionary()
"""Beside each store of sessions: client code → the step of the code that was sent last. An account's client may be made anew within one step."""
_codes_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Details:
    """What a person entered; repr shows none of it."""

    api_key: str
    client_code: str
    pin: str
    totp_secret: str

    def __repr__(self) -> str:
        return "Details(…)"

    def fingerprint(self) -> str:
        """The same for the same details, and of no use without them."""
        given = json.dumps([self.api_key, self.client_code, self.pin, self.totp_secret])
        return hashlib.sha256(given.encode()).hexdigest()

    @classmethod
    def of(cls, credentials: Mapping[str, str]) -> Details:
        given = {name: str(credentials.get(name) or "").strip() for name in ("api_key", "client_code", "pin", "totp_secret")}
        missing = [name.replace("_", " ") for name, value in given.items() if not value]
        if missing:
            raise Refused(f"this account has no {' and no '.join(missing)}: add it on its page")
        given["totp_secret"] = "".join(given["totp_secret"].split()).replace("-", "").upper()
        given["client_code"] = given["client_code"].upper()
        return cls(**given)


def next_midnight(now: Timestamp) -> Timestamp:
    """When every session of the day ends at Angel One."""
    return day_start(now, "NSE") + DAY


def expiry(jwt: str, now: Timestamp) -> Timestamp:
    """Midnight IST, or earlier when the token itself says so."""
    return min(next_midnight(now), _exp(jwt) or float("inf"))


def _exp(jwt: str) -> Timestamp | None:
    try:
        payload = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError, binascii.Error):
        return None


class SignIn:
    """The session of one account, shared by its lane and its update worker."""

    def __init__(self, account_id: str, credentials: Mapping[str, str], clock: Clock, sessions: Sessions) -> None:
        self._account_id = account_id
        self._credentials = credentials
        self._clock = clock
        self._sessions = sessions
        self._lock = threading.Lock()
        self._over: NeedsLogin | Refused | None = None  # why nothing is tried by itself any more
        self._trouble = ""  # why the newest try came to nothing
        self.current: Session | None = None
        self._ended_at: Timestamp | None = None

    @property
    def details(self) -> Details:
        return Details.of(self._credentials)

    def begin(self, client: SmartClient) -> tuple[Session, bool]:
        """The stored session while it lasts, else a new one; whether it is new. Earlier refusals are
        forgotten, but for those of these very details that are stored."""
        with self._lock:
            self._over = None
            found = self.current or self._sessions.load(self._account_id)
            if found is not None and self._lasts(found):
                self.current = found
                return found, False
            return self._sign_in(client), True

    def renew(self, client: SmartClient, dead: Session | None, *, asked: bool = False) -> Session:
        """A session in place of one that the broker has ended. Many may ask at once: one signs in, the others get what came of it.
        `asked`: a person wants it, however young the dead one is.

        Raises NeedsLogin (a person must act), Refused, or Retry (the next one-time code is not there yet, or Angel One did not answer)."""
        with self._lock:
            if self.current is not None and self.current is not dead:
                return self.current
            if self._over is not None:
                raise type(self._over)(str(self._over))
            self._forget()
            if not asked and dead is not None and (why := self._why_not_again(dead)):
                self._over = NeedsLogin(why)
                raise self._over
            return self._sign_in(client)

    def use(self, client: SmartClient) -> Session:
        """Let the client speak with the present session; one that was lost and not replaced at once is tried for again, with what `renew` raises."""
        session = self.current or self.renew(client, None)
        client.use(session.tokens["jwt"], tuple(session.tokens.values()))
        return session

    def _sign_in(self, client: SmartClient) -> Session:
        details = self.details
        self._heed_refusal(details)
        code = self._fresh_code(details)
        now = self._clock.now()
        try:
            data = client.login(details.client_code, details.pin, code)
        except (NeedsLogin, Refused) as error:
            self._over = error
            if str(error) != errors.ADDRESS:  # an address is put right elsewhere, and locks no account
                self._keep_refusal(details, error)
            raise
        except Unreached:
            with _codes_lock:
                _used_codes.setdefault(self._sessions, {}).pop(details.client_code, None)  # it has not left
            raise
        except Retry as error:
            self._trouble = f"{error}; "
            raise
        self._trouble = ""
        jwt = str(data["jwtToken"]).removeprefix("Bearer ").strip()
        tokens = {"jwt": jwt, "refresh": str(data.get("refreshToken") or ""), "feed": str(data.get("feedToken") or "")}
        session = Session(details.client_code, tokens, now, expiry(jwt, now))
        self.current = session
        self._keep(lambda: self._sessions.save(self._account_id, session))
        return session

    def _keep_refusal(self, details: Details, error: NeedsLogin | Refused) -> None:
        """A code may have been refused for a clock that was wrong: it is tried again on the next day. What else is refused stays so."""
        now = self._clock.now()
        until = str(next_midnight(now)) if isinstance(error, NeedsLogin) else ""
        kept = {REFUSED: details.fingerprint(), "why": str(error), "until": until}
        self._keep(lambda: self._sessions.save(self._account_id, Session(details.client_code, kept, now, now)))

    def _heed_refusal(self, details: Details) -> None:
        stored = self._sessions.load(self._account_id)
        if stored is None or stored.tokens.get(REFUSED) != details.fingerprint():
            return
        until, why = (
            stored.tokens.get("until"),
            f"{stored.tokens.get('why')}. Not tried again by itself: correct the details, or verify the account",
        )
        if not until:
            self._over = Refused(why)
        elif self._clock.now() < float(until):
            self._over = NeedsLogin(why)
        if self._over is not None:
            raise self._over

    def _why_not_again(self, dead: Session) -> str:
        """Why a session that the broker has ended is not replaced without a person or the morning asking for it."""
        now = self._clock.now()
        if dead.expires_at is not None and now >= dead.expires_at:
            return "the day's session at Angel One has ended: sign in again"
        if now - dead.started_at < TOO_SOON:
            return "Angel One ended the session just after it began: is another program signed in with the same client code? Then connect again"
        return ""

    def _keep(self, change: Callable[[], None]) -> None:
        """A store that cannot be written costs a sign-in after the next restart, and nothing now."""
        try:
            change()
        except TandemError as error:
            log.warning("the session could not be stored", account=self._account_id, error=type(error).__name__)

    def _fresh_code(self, details: Details) -> str:
        """A code that was not sent before; Retry until the next step begins."""
        import pyotp

        now = self._clock.now()
        step = int(now // STEP)
        try:
            code = pyotp.TOTP(details.totp_secret).at(int(now))
        except (binascii.Error, ValueError):
            raise Refused("the TOTP secret is not one: enter the text behind the QR code, not a six-digit code") from None
        with _codes_lock:
            used = _used_codes.setdefault(self._sessions, {})
            if used.get(details.client_code) == step:
                raise Retry(f"{self._trouble}waiting for the next one-time code", after=(step + 1) * STEP - now)
            used[details.client_code] = step
        return code

    def _lasts(self, session: Session) -> bool:
        ends = session.expires_at
        return (
            session.user_id == self.details.client_code
            and bool(session.tokens.get("jwt"))
            and ends is not None
            and ends - self._clock.now() > SPARE
        )

    def _forget(self) -> None:
        self.current = None
        self._ended_at = self._clock.now()
        self._keep(lambda: self._sessions.clear(self._account_id))

    def expires_at(self) -> Timestamp | None:
        """When the present session ends; when the last one did, once it has been given up. None while a new one is being tried for."""
        session = self.current
        if session is not None:
            return session.expires_at
        return self._ended_at if self._over is not None else None

    def forget(self) -> None:
        """The session is not this account's, or not wanted any more."""
        with self._lock:
            self._forget()

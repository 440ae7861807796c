"""Signing in to the emulated Kite: the log-in pages, the two web steps, the redirect with a request token and its exchange for an access token.

Passwords and codes are really checked; a code is good once; too many wrong ones block the user, as at the broker.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyotp

from engines.core.model import Timestamp
from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.http import Answer, Call
from tests.emulators.kite import shapes
from tests.emulators.kite.pages import consent_page, login_page, message_page
from tests.emulators.kite.words import BAD_CHECKSUM, BAD_SESSION, BAD_TOKEN, error, next_six, refuse, success

if TYPE_CHECKING:
    from tests.emulators.kite.emulator import KiteEmulator

HTML = "text/html; charset=utf-8"
TOKEN_LIVES = 300.0
WRONG_TRIES = 5
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(slots=True)
class WebLogin:
    """One visit of the log-in page."""

    api_key: str
    redirect_params: str


@dataclass(slots=True)
class LoginDesk:
    """Every sign-in that is under way or done."""

    emulator: KiteEmulator
    page: str = "normal"  # "normal" | "captcha" | "changed"
    consent: bool = False  # True: an app is authorised once before its first log-in
    visits: dict[str, WebLogin] = field(default_factory=dict)  # sess_id →
    first_steps: dict[str, str] = field(default_factory=dict)  # request_id → user
    web_sessions: dict[str, str] = field(default_factory=dict)  # enctoken → user
    request_tokens: dict[str, tuple[str, Timestamp]] = field(default_factory=dict)  # → (user, until)
    used_codes: set[tuple[str, str]] = field(default_factory=set)
    wrong: dict[str, int] = field(default_factory=dict)
    authorised: set[str] = field(default_factory=set)

    def routes(self) -> None:
        add = self.emulator.route
        add("GET", "/connect/login", "login_page", self.connect_login, quick=True)
        add("GET", "/connect/finish", "login_page", self.connect_finish, quick=True)
        add("POST", "/connect/authorize", "login_page", self.authorise, quick=True)
        add("POST", "/api/login", "login", self.first_step)
        add("POST", "/api/twofa", "twofa", self.second_step)
        add("POST", "/session/token", "session", self.exchange)
        add("DELETE", "/session/token", "logout", self.logout)

    # --- the web ---------------------------------------------------------------------------------------------------

    def connect_login(self, call: Call) -> Answer:
        account = self.emulator.by_key.get(call.fields.get("api_key", ""))
        if account is None:
            return Answer(message_page("Invalid `api_key`."), 400, HTML)
        visit = self.secret(32)
        self.visits[visit] = WebLogin(call.fields["api_key"], call.fields.get("redirect_params", ""))
        following = f"/connect/finish?{urlencode({'v': 3, 'api_key': call.fields['api_key'], 'sess_id': visit})}"
        if self._signed_in(call) is not None:
            return Answer("", 302, HTML, {"Location": following})
        return Answer(login_page(self.page, following), 200, HTML, cookies={"kf_session": visit})

    def first_step(self, call: Call) -> Answer:
        user, password = call.fields.get("user_id", ""), call.fields.get("password", "")
        account = self.emulator.exchange.accounts.get(user)
        if self.page == "captcha" and not call.fields.get("captcha"):
            return error("UserException", "Enter the captcha to continue.")
        if self.wrong.get(user, 0) >= WRONG_TRIES:
            return error("UserException", "Your account is blocked after too many failed attempts. Reset your password to continue.", 403)
        if account is None or account.credentials["password"] != password:
            self.wrong[user] = self.wrong.get(user, 0) + 1
            return error("UserException", "Invalid username or password.", 403)
        request = self.secret(64)
        self.first_steps[request] = user
        return success({"user_id": user, "request_id": request, "twofa_type": "totp", "twofa_types": ["totp"], "twofa_status": "active"})

    def second_step(self, call: Call) -> Answer:
        user, code = call.fields.get("user_id", ""), call.fields.get("twofa_value", "")
        if self.first_steps.get(call.fields.get("request_id", "")) != user or not user:
            return error("TwoFAException", "Invalid session. Please login again.")
        if self.wrong.get(user, 0) >= WRONG_TRIES:
            return error("TwoFAException", "Your account is blocked after too many failed attempts. Reset your password to continue.")
        account = self.emulator.exchange.accounts[user]
        now = self.emulator.clock.now()
        good = pyotp.TOTP(account.credentials["totp_secret"]).verify(code, for_time=int(now), valid_window=1)
        if not good or (user, code) in self.used_codes:
            self.wrong[user] = self.wrong.get(user, 0) + 1
            return error("TwoFAException", "Invalid TOTP. Please try again.")
        self.wrong.pop(user, None)
        self.used_codes.add((user, code))
        enctoken = self.secret(88)
        self.web_sessions[enctoken] = user
        account.secrets.append(enctoken)
        answer = success({"profile": {}})
        answer.cookies = {"enctoken": enctoken, "public_token": self.secret(32), "user_id": user}
        return answer

    def connect_finish(self, call: Call) -> Answer:
        visit = self.visits.get(call.fields.get("sess_id", ""))
        user = self._signed_in(call)
        if visit is None or user is None:
            return Answer(message_page("Your session has expired. Please login again."), 400, HTML)
        owner = self.emulator.by_key.get(visit.api_key)
        if owner is None or (owner.name != user and not self.emulator.any_user):
            return Answer(message_page("The user is not enabled for the app."), 400, HTML)
        if self.consent and visit.api_key not in self.authorised:
            return Answer(consent_page(call.request.raw_path, "The app"), 200, HTML)
        token = self.secret(32)
        self.request_tokens[token] = (user, self.emulator.clock.now() + TOKEN_LIVES)
        owner.secrets.append(token)
        given = {"action": "login", "type": "login", "status": "success", "request_token": token}
        return Answer("", 302, HTML, {"Location": _with_query(owner.extra["redirect"], given, visit.redirect_params)})

    def authorise(self, call: Call) -> Answer:
        following = call.fields.get("next", "")
        self.authorised.add(dict(parse_qsl(urlsplit(following).query)).get("api_key", ""))
        return Answer("", 302, HTML, {"Location": "/connect/finish?" + urlsplit(following).query})

    def _signed_in(self, call: Call) -> str | None:
        return self.web_sessions.get(call.request.cookies.get("enctoken", ""))

    # --- the API ---------------------------------------------------------------------------------------------------

    def exchange(self, call: Call) -> Answer:
        account = self.emulator.by_key.get(call.fields.get("api_key", ""))
        token = call.fields.get("request_token", "")
        if account is None or account.revoked:
            return error("TokenException", BAD_SESSION)
        expected = hashlib.sha256(f"{account.credentials['api_key']}{token}{account.credentials['api_secret']}".encode()).hexdigest()
        if call.fields.get("checksum") != expected:
            return error("TokenException", BAD_CHECKSUM)
        user, until = self.request_tokens.pop(token, ("", 0.0))
        if not user or until < self.emulator.clock.now():
            return error("TokenException", BAD_TOKEN)
        access = self.begin(account)
        account.extra["signed_in"] = user
        who = self.emulator.exchange.accounts[user]
        return success(
            {**shapes.session(account, access, self.emulator.clock.now()), "user_id": who.name, "user_name": f"Emulated {who.name}"}
        )

    def begin(self, account: EmulatedAccount) -> str:
        """A new access token; the one before is over."""
        now = self.emulator.clock.now()
        access = self.secret(32)
        account.extra["access_token"], account.extra["expires_at"] = access, next_six(now)
        account.extra["authorization"] = f"token {account.credentials['api_key']}:{access}"
        account.credentials["access_token"] = access
        account.secrets.append(access)
        self.emulator.session_began(account)
        return access

    def logout(self, call: Call) -> Answer:
        account = self.emulator.by_key.get(call.fields.get("api_key", ""))
        if account is None or account.extra["access_token"] != call.fields.get("access_token"):
            raise refuse("TokenException", BAD_SESSION)
        self.emulator.expire_session(account)
        return success(True)

    def secret(self, length: int) -> str:
        return "".join(self.emulator.rng.choices(_LETTERS, k=length))


def _with_query(url: str, given: dict[str, str], more: str) -> str:
    """The app's address with our fields and, decoded once, the app's own `redirect_params`."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True) + list(given.items()) + parse_qsl(more, keep_blank_values=True)
    return urlunsplit(parts._replace(query=urlencode(pairs)))

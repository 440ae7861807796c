"""Finds out who sent a request: a bearer token, or the browser's signed-in cookie (for writes together with the CSRF header).

Both are answered from memory, because this runs before every order. It raises, and leaves to its caller how that looks to the outside.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, g, request, session
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from wtforms import ValidationError

from app.auth.throttle import Throttle
from app.data import Actor, User
from app.problems import too_many
from app.workspace import workspace
from engines.ports import Clock

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

login_manager = LoginManager()
login_manager.login_view = "auth.login"
login_manager.login_message = ""
login_manager.session_protection = None  # the session epoch of the user signs out everywhere; addresses of phones change
csrf = CSRFProtect()


class NotSignedIn(Exception):
    """No token and no cookie, or one that is not (or no longer) worth anything."""


class NoCsrf(Exception):
    """A write with the cookie but without the header that only our own pages can know."""


class SignedIn:
    """The person behind a cookie, as flask-login and the templates want it."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, user: User) -> None:
        self.user = user
        self.user_id = user.user_id
        self.email = user.email
        self.name = user.name
        self.role = user.role.value

    def get_id(self) -> str:
        return f"{self.user.user_id}:{self.user.session_epoch}"


class Guards:
    """The throttles of one application. `pair`: an address guessing at one e-mail; `address`; `mail`: everywhere at once."""

    def __init__(self, clock: Clock) -> None:
        self.pair = Throttle(clock, most=5, window=60)
        self.address = Throttle(clock, most=20, window=60)
        self.mail = Throttle(clock, most=50, window=600)

    def wait(self, email: str, address: str) -> float:
        return max(self.pair.wait(f"{email}|{address}"), self.address.wait(address), self.mail.wait(email))

    def failed(self, email: str, address: str) -> None:
        self.pair.failed(f"{email}|{address}")
        self.address.failed(address)
        self.mail.failed(email)

    def succeeded(self, email: str, address: str) -> None:
        self.pair.succeeded(f"{email}|{address}")


def init_app(app: Flask, clock: Clock) -> None:
    """Sign-in, CSRF and the pages of both; wants the workspace in `app.extensions` first."""
    from app.auth.signin import blueprint

    login_manager.init_app(app)
    csrf.init_app(app)
    app.extensions["tandem_guards"] = Guards(clock)
    app.before_request(_protect_forms)
    app.register_blueprint(blueprint)


def _protect_forms() -> None:
    """Every form of every page; sign-in and set-up check their own token, to show the form again, and the API asks for the header."""
    if request.routing_exception is not None:
        return  # no such address, or not with this method: that is said first, and nothing is done
    if request.method not in SAFE and not request.path.startswith("/api/") and request.endpoint not in ("auth.sign_in", "auth.setup"):
        csrf.protect()


def guards() -> Guards:
    from flask import current_app

    found: Guards = current_app.extensions["tandem_guards"]
    return found


@login_manager.user_loader
def _from_cookie(signed: str) -> SignedIn | None:
    user_id, _, epoch = signed.rpartition(":")
    if not user_id or not epoch.isdecimal():
        return None
    user = workspace().data.users.session(user_id, int(epoch))
    return SignedIn(user) if user else None


def bearer() -> str | None:
    """The token of the request, None without one; raises NotSignedIn for an Authorization header of another kind."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    return token.strip()


def identify() -> tuple[User, Actor]:
    """The user and how the audit log names this request. Raises NotSignedIn or NoCsrf."""
    token = bearer()
    if token is not None:
        user = workspace().data.tokens.authenticate(token)
        if user is None:
            raise NotSignedIn
        g.token = token
        return user, Actor(user.user_id, "token", request.remote_addr)
    signed = current_user
    if not signed.is_authenticated:
        raise NotSignedIn
    if request.method not in SAFE:
        check_csrf()
    return signed.user, Actor(signed.user_id, "web", request.remote_addr)


def only_reads(user: User) -> bool:
    """Whether this request came with a token that may only look, whatever its holder may do."""
    token: str | None = g.get("token")
    if token is None:
        return False
    prefix = token.partition(".")[0]
    return any(row.prefix == prefix and row.scope != "full" for row in workspace().data.tokens.list(user.user_id))


def check_csrf() -> None:
    try:
        validate_csrf(request.headers.get("X-CSRFToken") or "")
    except (ValidationError, CSRFError) as error:
        raise NoCsrf from error


def still_welcome() -> Callable[[], bool]:
    """A question that a stream may ask again and again after its request has ended: may this person still listen?"""
    data = workspace().data
    token: str | None = g.get("token")
    if token is not None:
        return lambda: data.tokens.authenticate(token) is not None
    user: User = current_user.user
    return lambda: data.users.session(user.user_id, user.session_epoch) is not None


def person() -> User:
    """Whoever is signed in by cookie; only for pages behind `login_required`."""
    found: User = current_user.user
    return found


def actor() -> Actor:
    """How the audit log names the signed-in person of this page request."""
    return Actor(current_user.user_id, "web", request.remote_addr)


def guard_password(user: User, check: Callable[[], bool]) -> bool:
    """A password asked of someone who is signed in (lift, change of password): guessing is as slow as at sign-in. Raises a 429."""
    found, address = guards(), request.remote_addr or ""
    if (after := found.wait(user.email, address)) > 0:
        raise too_many("wrong passwords", after)
    if check():
        found.succeeded(user.email, address)
        return True
    found.failed(user.email, address)
    return False


def sign_out() -> None:
    session.clear()

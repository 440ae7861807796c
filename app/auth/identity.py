"""Finds out who sent a request: a bearer token, or the browser's signed-in cookie (for writes together with the CSRF header).

Both are answered from memory, because this runs before every order. It raises, and leaves to its caller how that looks to the outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Flask, current_app, g, request, session
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from wtforms import ValidationError

from app.auth.throttle import HASHING, Guards
from app.data import Actor, Data, NotFound, User
from app.problems import Problem, too_many
from app.workspace import workspace
from engines.ports import Clock, JournalDown

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
P = ParamSpec("P")
R = TypeVar("R")

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

    def __init__(self, user: User, sign_in_id: str) -> None:
        self.user = user
        self.sign_in_id = sign_in_id
        self.user_id = user.user_id
        self.email = user.email
        self.name = user.name
        self.role = user.role.value

    def get_id(self) -> str:
        return f"{self.user.user_id}:{self.user.session_epoch}:{self.sign_in_id}"


def init_app(app: Flask, clock: Clock) -> None:
    """Sign-in, CSRF and the pages of both; wants the workspace in `app.extensions` first."""
    from app.auth import passwords, second, sign_up, signin

    login_manager.init_app(app)
    csrf.init_app(app)
    app.extensions["tandem_guards"] = Guards(clock)
    app.before_request(_protect_forms)
    for blueprint in (signin.blueprint, sign_up.blueprint, passwords.blueprint):
        app.register_blueprint(blueprint)
    second.init_app(app, clock)


def checks_own_token(view: Callable[P, R]) -> Callable[P, R]:
    """A page whose form looks at its own token, so that it can be shown again with what was typed."""
    view.checks_own_token = True  # type: ignore[attr-defined]
    return view


def check_form() -> None:
    """For such a page before it answers anything else than its form: without the token a post is a forgery (400) and learns nothing."""
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError as error:
        raise CSRFError(str(error)) from error


def _protect_forms() -> None:
    """Every form of every page, but those that check their own token; the API asks for the header."""
    if request.routing_exception is not None:
        return  # no such address, or not with this method: that is said first, and nothing is done
    if request.method in SAFE or request.path.startswith("/api/"):
        return
    if not getattr(current_app.view_functions.get(request.endpoint or ""), "checks_own_token", False):
        csrf.protect()


def guards() -> Guards:
    found: Guards = current_app.extensions["tandem_guards"]
    return found


@login_manager.user_loader
def _from_cookie(signed: str) -> SignedIn | None:
    user_id, _, rest = signed.partition(":")
    epoch, _, sign_in_id = rest.partition(":")
    if not user_id or not (epoch.isascii() and epoch.isdecimal()):
        return None
    user = _welcome(workspace().data, user_id, int(epoch), sign_in_id)
    if user is None:
        return None
    workspace().data.sign_ins.seen(sign_in_id)
    return SignedIn(user, sign_in_id)


def _welcome(data: Data, user_id: str, epoch: int, sign_in_id: str) -> User | None:
    """Whose cookie this is: neither its epoch is over (a new password), nor this one sign-in, nor is its user switched off."""
    return data.users.session(user_id, epoch) if data.sign_ins.alive(user_id, sign_in_id) else None


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


def refuse_who_has_changed(user: User) -> None:
    """A request takes its time: a slow body, a password to be hashed. Raises a 403 when whoever sent it was signed out, switched off or given another role
    meanwhile."""
    if not still_welcome(user)():
        raise Problem(403, "You were signed out, switched off or given another role meanwhile: nothing was done.")


def check_csrf() -> None:
    try:
        validate_csrf(request.headers.get("X-CSRFToken") or "")
    except (ValidationError, CSRFError) as error:
        raise NoCsrf from error


def still_welcome(user: User) -> Callable[[], bool]:
    """A question that a stream may ask again and again after its request has ended: may this person still listen, and as what they were then?"""
    data = workspace().data
    token, sign_in_id = g.get("token"), this_sign_in()

    def welcome() -> bool:
        known = data.tokens.authenticate(token) if token else _welcome(data, user.user_id, user.session_epoch, sign_in_id or "")
        return known is not None and known.role is user.role

    return welcome


def person() -> User:
    """Whoever is signed in by cookie; only for pages behind `login_required`."""
    found: User = current_user.user
    return found


def this_sign_in() -> str | None:
    """Which of the person's sign-ins this request came with; None: it came with a token, or nobody is signed in."""
    return getattr(current_user, "sign_in_id", None) if g.get("token") is None else None


def remember(user: User, sign_in_id: str) -> None:
    """The cookie of this browser says that this person is signed in, as of now."""
    login_user(SignedIn(user, sign_in_id))
    session.permanent = True


def actor() -> Actor:
    """How the audit log names the signed-in person of this page request."""
    return Actor(current_user.user_id, "web", request.remote_addr)


def guard_password(user: User, check: Callable[[], bool]) -> bool:
    """A password asked of someone who is signed in (lift, change of password): guessing is as slow as at sign-in, and nobody at the door slows it. Raises a 429, and a 403 for whoever has
    changed while they waited."""
    found, address = guards(), request.remote_addr or ""
    if (after := found.book_own(user.user_id, address)) > 0:
        raise too_many("wrong passwords", after)
    with HASHING:
        right = check()
    if not right:
        found.own_failed(user.email, address)
        return False
    found.own_succeeded(user.user_id, address)
    refuse_who_has_changed(user)
    return True


def sign_out() -> None:
    """This browser only; its sign-in is over at once, also for whoever has copied its cookie."""
    sign_in_id = this_sign_in()
    if sign_in_id is not None:
        with contextlib.suppress(NotFound, JournalDown):  # over already; or it cannot be written, and the cookie goes in any case
            workspace().data.sign_ins.end(person().user_id, sign_in_id, by=actor())
    session.clear()

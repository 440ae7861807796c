"""The pages that let people in and out: set-up of the first owner, sign-in, sign-out. Templates are the pages' business, checks are here."""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from app.auth.browsers import in_words
from app.auth.identity import checks_own_token, guards, login_manager, remember, sign_out
from app.auth.throttle import HASHING
from app.data import Actor, Conflict, Invalid, User
from app.workspace import workspace

blueprint = Blueprint("auth", __name__)
LEAST = 10  # characters of a password
OPEN_SIGN_UP = "open_sign_up"
"""The workspace's setting; off until an owner switches it on."""
_SAID = {
    "ended": "You are signed out. Sign in to go on.",
    "password": "The new password holds. Every browser was signed out: sign in with it.",
}
"""What the sign-in page says to somebody who was sent here; only these words, whatever the address asks for."""


_REFUSED = "refused"
"""What is in the session from a refused post until its page is shown again: where, the status, and what was wrong."""


def at_most(count: int) -> Length:
    return Length(max=count, message=f"Must have at most {count} characters")


class SignInForm(FlaskForm):
    email = StringField("E-mail", [InputRequired("Type your e-mail."), at_most(254)])
    password = PasswordField("Password", [InputRequired("Type your password."), at_most(1000)])


class SetUpForm(FlaskForm):
    name = StringField("Name", [at_most(100)])
    email = StringField("E-mail", [InputRequired("Type your e-mail."), at_most(254)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(LEAST, 1000, f"At least {LEAST} characters.")])
    confirm = PasswordField("Password again", [EqualTo("password", "The two passwords differ.")])


@blueprint.get("/login")
def login() -> BaseResponse:
    if workspace().data.users.count() == 0:
        return redirect(url_for("auth.setup"))
    if current_user.is_authenticated:
        return redirect(safe(request.args.get("next")))
    return _login_page(SignInForm(), said=_SAID.get(request.args.get("said", ""), ""))


@blueprint.post("/login")
@checks_own_token
def sign_in() -> BaseResponse:
    form = SignInForm()
    if not form.validate_on_submit():
        return _login_page(form, 400 if "csrf_token" in form.errors else 422)
    users, guard = workspace().data.users, guards()
    email, address = form.email.data, request.remote_addr or ""
    if (after := guard.book(email, address)) > 0:
        seconds = max(1, math.ceil(after))
        form.form_errors.append(f"Too many tries to sign in. Wait {seconds} seconds and try again.")
        return _login_page(form, 429, retry_after=seconds)
    with HASHING:
        user = users.verify(email, form.password.data)
    if user is None:
        form.form_errors.append("E-mail and password do not fit together.")
        return _login_page(form, 401)
    guard.succeeded(email, address)
    return pass_on(user, request.args.get("next"))


@blueprint.post("/logout")
def logout() -> BaseResponse:
    sign_out()
    return redirect(url_for("auth.login"))


@blueprint.route("/setup", methods=["GET", "POST"])
@checks_own_token
def setup() -> BaseResponse:
    users = workspace().data.users
    if users.count() > 0:
        return redirect(url_for("auth.login"))
    form = SetUpForm()
    if not form.is_submitted():
        return page("auth/setup.html", form)
    if "confirm" not in request.form:
        del form.confirm
    if not form.validate():
        return page("auth/setup.html", form, 400 if "csrf_token" in form.errors else 422)
    try:
        with HASHING:
            owner = users.add_first_owner(form.email.data, form.password.data, name=form.name.data or "", by=visitor())
    except Conflict:
        return redirect(url_for("auth.login"))
    except Invalid as error:
        show(form, error)
        return page("auth/setup.html", form, 422)
    return let_in(owner)


@login_manager.unauthorized_handler
def _ask_to_sign_in() -> BaseResponse:
    if workspace().data.users.count() == 0:
        return redirect(url_for("auth.setup"))
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    ended = "ended" if "_user_id" in session else None  # a sign-in that was good once
    return redirect(url_for("auth.login", said=ended, next=wanted if wanted != "/" else None))


def pass_on(user: User, wanted: str | None = None) -> BaseResponse:
    """Somebody whose password was right: asked for the second factor where they have one, let in otherwise."""
    if workspace().data.second_factor.is_on(user.user_id):
        from app.auth import second

        return second.ask(user, safe(wanted))
    return let_in(user, wanted)


def let_in(user: User, wanted: str | None = None) -> BaseResponse:
    """Somebody who has shown all that is asked of them. Nothing that was planted in this browser before survives it, nor does the sign-in of
    whoever was here, and the new one is on disk before its cookie leaves. `wanted`: where they were going; only a path of our own is followed."""
    sign_out()
    shop = workspace()
    sign_in_id = shop.data.sign_ins.begin(
        user.user_id,
        request.remote_addr,
        request.headers.get("User-Agent"),
        called=in_words(request.headers.get("User-Agent", "")),
        mail=shop.settings.mail_ready,
    )
    remember(user, sign_in_id)
    shop.data.users.signed_in(user.user_id, Actor(user.user_id, "web", request.remote_addr))
    return redirect(safe(wanted))


def visitor() -> Actor:
    """How the audit log names somebody who is not signed in."""
    return Actor(None, "web", request.remote_addr)


def safe(wanted: str | None) -> str:
    """Where the person wanted to go, if that is a path of our own; else the first page."""
    wanted = wanted or ""
    fine = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if fine else "/"


def _login_page(form: FlaskForm, status: int = 200, **context: Any) -> Response:
    return page("auth/login.html", form, status, open_sign_up=workspace().data.settings.get(OPEN_SIGN_UP, False) is True, **context)


def show(form: Any, error: Invalid) -> None:
    """What the data service found wrong, beside its field."""
    for name, messages in error.errors.items():
        field = form._fields.get(name)
        said = [message[:1].upper() + message[1:] for message in messages]
        if field is None:
            form.form_errors.extend(said)
        else:
            field.errors = [*field.errors, *said]


def again(endpoint: str, form: FlaskForm | None, status: int = 200, *, retry_after: float = 0, said: str = "") -> BaseResponse:
    """Sends the browser to a page that it posted to, which then says what was wrong: going back and forth never offers to post once more."""
    errors = {} if form is None else {field.name: list(field.errors) for field in form if field.errors}
    general = [] if form is None else list(form.form_errors)
    session[_REFUSED] = {"at": endpoint, "status": status, "after": retry_after, "said": said, "errors": errors, "general": general}
    return redirect(url_for(endpoint), 303)


def refused(endpoint: str, form: FlaskForm) -> dict[str, Any]:
    """What `again` was told for this page, once: its errors stand at `form`, the rest is for `page`."""
    kept = session.get(_REFUSED)
    if not isinstance(kept, dict) or kept.get("at") != endpoint:
        return {}
    session.pop(_REFUSED)
    form.form_errors.extend(kept["general"])
    for field in form:
        field.errors = [*field.errors, *kept["errors"].get(field.name, ())]
    return {"status": kept["status"], "retry_after": kept["after"], "said": kept["said"]}


def page(template: str, form: FlaskForm | None = None, status: int = 200, *, retry_after: float = 0, **context: Any) -> Response:
    """Never kept by a browser or a proxy, and no address of it (it may hold a link's secret) is told to anybody."""
    answer = make_response(render_template(template, form=form, **context), status)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    if retry_after > 0:
        answer.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return answer

"""The pages that let people in and out: set-up of the first owner, sign-in, sign-out. Templates are the pages' business, checks are here."""

from __future__ import annotations

import math
import threading
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from app.auth.identity import SignedIn, guards, login_manager, sign_out
from app.data import Actor, Conflict, Invalid, User
from app.workspace import workspace

blueprint = Blueprint("auth", __name__)
_hashing = threading.BoundedSemaphore(2)
"""A password check takes 64 MiB and a fifth of a second of a core: a flood of them must not starve the order path."""


class SignInForm(FlaskForm):
    email = StringField("E-mail", [InputRequired("Type your e-mail."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Type your password."), Length(max=1000)])


class SetUpForm(FlaskForm):
    name = StringField("Name", [Length(max=100)])
    email = StringField("E-mail", [InputRequired("Type your e-mail."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(10, 1000, "At least 10 characters.")])
    confirm = PasswordField("Password again", [EqualTo("password", "The two passwords differ.")])


@blueprint.get("/login")
def login() -> BaseResponse:
    if workspace().data.users.count() == 0:
        return redirect(url_for("auth.setup"))
    if current_user.is_authenticated:
        return redirect(_next())
    return _page("auth/login.html", SignInForm())


@blueprint.post("/login")
def sign_in() -> BaseResponse:
    form = SignInForm()
    if not form.validate_on_submit():
        return _page("auth/login.html", form, 400 if "csrf_token" in form.errors else 422)
    users, guard = workspace().data.users, guards()
    email, address = form.email.data.strip().lower(), request.remote_addr or ""
    if (after := guard.wait(email, address)) > 0:
        seconds = max(1, math.ceil(after))
        form.form_errors.append(f"Too many tries to sign in. Wait {seconds} seconds and try again.")
        answer = _page("auth/login.html", form, 429)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    with _hashing:
        user = users.verify(email, form.password.data)
    if user is None:
        guard.failed(email, address)
        form.form_errors.append("E-mail and password do not fit together.")
        return _page("auth/login.html", form, 401)
    guard.succeeded(email, address)
    _let_in(user)
    return redirect(_next())


@blueprint.post("/logout")
def logout() -> BaseResponse:
    sign_out()
    return redirect(url_for("auth.login"))


@blueprint.route("/setup", methods=["GET", "POST"])
def setup() -> BaseResponse:
    users = workspace().data.users
    if users.count() > 0:
        return redirect(url_for("auth.login"))
    form = SetUpForm()
    if not form.is_submitted():
        return _page("auth/setup.html", form)
    if "confirm" not in request.form:
        del form.confirm
    if not form.validate():
        return _page("auth/setup.html", form, 400 if "csrf_token" in form.errors else 422)
    try:
        owner = users.add_first_owner(
            form.email.data, form.password.data, name=form.name.data or "", by=Actor(None, "web", request.remote_addr)
        )
    except Conflict:
        return redirect(url_for("auth.login"))
    except Invalid as error:
        _show(form, error)
        return _page("auth/setup.html", form, 422)
    _let_in(owner)
    return redirect("/")


@login_manager.unauthorized_handler
def _ask_to_sign_in() -> BaseResponse:
    if workspace().data.users.count() == 0:
        return redirect(url_for("auth.setup"))
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.login", next=wanted if wanted != "/" else None))


def _let_in(user: User) -> None:
    session.clear()  # nothing that was planted before the sign-in survives it
    login_user(SignedIn(user))
    session.permanent = True
    workspace().data.users.signed_in(user.user_id, Actor(user.user_id, "web", request.remote_addr))


def _next() -> str:
    """Where the person wanted to go: only a path of our own."""
    wanted = request.args.get("next", "")
    fine = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if fine else "/"


def _show(form: Any, error: Invalid) -> None:
    for name, messages in error.errors.items():
        field = form._fields.get(name)
        if field is None:
            form.form_errors.extend(messages)
        else:
            field.errors = [*field.errors, *messages]


def _page(template: str, form: FlaskForm, status: int = 200) -> Response:
    answer = make_response(render_template(template, form=form), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer

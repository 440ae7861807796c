"""Becoming one of the people here: signing up with a code that is sent by mail (where the owner allows it), or by the link of an invitation.

How often an address may ask is decided here; whether a code or link is good is the data service's answer. A known and an unknown e-mail see the same
pages to the last byte.
"""

from __future__ import annotations

import math

from flask import Blueprint, redirect, request, session, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from app.auth.identity import check_form, checks_own_token, guards
from app.auth.signin import LEAST, OPEN_SIGN_UP, again, at_most, let_in, page, refused, show, visitor
from app.auth.throttle import HASHING
from app.data import TRIES, Code, Invalid, Post, Purpose, TooSoon, Typed
from app.workspace import Workspace, workspace

blueprint = Blueprint("sign_up", __name__)
CODE = "sign_up.code"
AWAITED = "sign_up"
"""What is in the session while a code is awaited: its id and the address it went to."""


class SignUpForm(FlaskForm):
    name = StringField("Name", [at_most(100)])
    email = StringField("E-mail", [InputRequired("Type your e-mail."), at_most(254)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(LEAST, 1000, f"At least {LEAST} characters.")])
    confirm = PasswordField("Password again", [EqualTo("password", "The two passwords differ.")])


class CodeForm(FlaskForm):
    code = StringField("Code", [InputRequired("Type the code."), at_most(20)])


class JoinForm(FlaskForm):
    name = StringField("Name", [at_most(100)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(LEAST, 1000, f"At least {LEAST} characters.")])
    confirm = PasswordField("Password again", [EqualTo("password", "The two passwords differ.")])


def is_open(shop: Workspace) -> bool:
    return shop.data.settings.get(OPEN_SIGN_UP, False) is True


def post_of(shop: Workspace) -> Post:
    """Links begin with the address that the settings name: what a request calls us may be anybody's."""
    return Post(shop.settings.base_url, shop.settings.mail_ready)


@blueprint.get("/sign-up")
def begin() -> Response:
    if workspace().data.users.count() == 0:
        return redirect(url_for("auth.setup"))
    if current_user.is_authenticated:
        return redirect("/")
    return page("auth/sign_up.html", SignUpForm()) if is_open(workspace()) else page("auth/closed.html")


@blueprint.post("/sign-up")
@checks_own_token
def ask() -> Response:
    shop, form = workspace(), SignUpForm()
    if not is_open(shop):
        return _closed()
    if not form.validate_on_submit():
        return page("auth/sign_up.html", form, 400 if "csrf_token" in form.errors else 422)
    if (after := guards().ask("sign-up", request.remote_addr or "")) > 0:
        form.form_errors.append(f"Too many sign-ups from here. Wait {_spoken(after)} and try again.")
        return page("auth/sign_up.html", form, 429, retry_after=after)
    try:
        with HASHING:
            code_id = shop.data.sign_ups.begin(form.email.data, form.name.data or "", form.password.data, by=visitor(), post=post_of(shop))
    except Invalid as error:
        show(form, error)
        return page("auth/sign_up.html", form, 422)
    except TooSoon as error:
        form.form_errors.append(_too_soon(error))
        return page("auth/sign_up.html", form, 429, retry_after=error.after)
    session[AWAITED] = [code_id, form.email.data.strip()]
    return redirect(url_for("sign_up.code"))


@blueprint.get("/sign-up/code")
def code() -> Response:
    awaited = _awaited()
    if awaited is None or current_user.is_authenticated:
        return redirect(url_for("sign_up.begin"))
    form = CodeForm()
    return _code_page(form, awaited[1], **refused(CODE, form))


@blueprint.post("/sign-up/code")
@checks_own_token
def type_code() -> Response:
    awaited, shop, form = _awaited(), workspace(), CodeForm()
    if awaited is None:
        check_form()
        return redirect(url_for("sign_up.begin"))
    if not is_open(shop):
        return _closed()
    if not form.validate_on_submit():
        return _code_page(form, awaited[1], 400) if "csrf_token" in form.errors else again(CODE, form, 422)
    typed = "".join(form.code.data.split())
    match shop.data.sign_ups.finish(awaited[0], typed, by=visitor()):
        case Typed.WRONG:
            form.form_errors.append(f"This is not the code. After {TRIES} tries a new one has to be sent.")
            return again(CODE, form, 401)
        case Typed.OVER:
            form.form_errors.append("This code is over: used, too old, or tried too often. Have a new one sent.")
            return again(CODE, form, 410)
        case user:
            return let_in(user)


@blueprint.post("/sign-up/again")
@checks_own_token
def send_again() -> Response:
    awaited, shop, form = _awaited(), workspace(), FlaskForm()
    if awaited is None:
        check_form()
        return redirect(url_for("sign_up.begin"))
    if not is_open(shop):
        return _closed()
    shown = CodeForm(formdata=None)
    if not form.validate_on_submit():
        shown.form_errors.extend(form.errors.get("csrf_token", ()))
        return _code_page(shown, awaited[1], 400)
    try:
        if shop.data.sign_ups.send_again(awaited[0], post=post_of(shop)):
            return again(CODE, None, said="A new code is on its way; the one before is worth nothing now.")
    except TooSoon as error:
        shown.form_errors.append(_too_soon(error))
        return again(CODE, shown, 429, retry_after=error.after)
    session.pop(AWAITED, None)
    return redirect(url_for("sign_up.begin"))


@blueprint.get("/invite/<token>")
def invited(token: str) -> Response:
    invitation = look(Purpose.INVITE, token)
    if invitation is None:
        return over("invitation")
    return _join_page(JoinForm(data={"name": invitation.name}), invitation)


@blueprint.post("/invite/<token>")
@checks_own_token
def join(token: str) -> Response:
    invitation = look(Purpose.INVITE, token)
    if invitation is None:
        check_form()
        return over("invitation")
    form = JoinForm()
    if not form.validate_on_submit():
        return _join_page(form, invitation, 400 if "csrf_token" in form.errors else 422)
    try:
        with HASHING:
            user = workspace().data.invites.accept(token, form.name.data or "", form.password.data, by=visitor())
    except Invalid as error:
        show(form, error)
        return _join_page(form, invitation, 422)
    return over("invitation") if user is None else let_in(user)


# --- what both kinds of link need ----------------------------------------------------------------------------------------


def look(purpose: Purpose, token: str) -> Code | None:
    """What a link is for, while it is good. Its 256 random bits need no throttle."""
    return workspace().data.codes.look(purpose, token)


def over(what: str) -> Response:
    """The same for a link that was used, has expired, was withdrawn, or never was one."""
    return page("auth/over.html", status=404, what=what)


def _closed() -> Response:
    check_form()
    return page("auth/closed.html", status=403)


def _awaited() -> tuple[str, str] | None:
    match session.get(AWAITED):
        case [str(code_id), str(email)]:
            return code_id, email
    return None


def _code_page(form: FlaskForm, email: str, status: int = 200, *, retry_after: float = 0, said: str = "") -> Response:
    mailed = workspace().settings.mail_ready
    return page("auth/code.html", form, status, retry_after=retry_after, email=email, mailed=mailed, said=said)


def _join_page(form: FlaskForm, invitation: Code, status: int = 200) -> Response:
    inviter = workspace().data.users.get(invitation.by or "")
    return page("auth/invite.html", form, status, invitation=invitation, inviter=inviter.name or inviter.email)


def _too_soon(error: TooSoon) -> str:
    return f"A code was sent to this address already. Wait {_spoken(error.after)} before the next."


def _spoken(seconds: float) -> str:
    return f"{math.ceil(seconds)} seconds" if seconds <= 90 else f"{math.ceil(seconds / 60)} minutes"

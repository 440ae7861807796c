"""A forgotten password: a link that is sent by mail, good once and for an hour. Nobody learns here whether an address is known.

Looking at a link uses nothing up (mail programs do that); only the new password does. It signs nobody in: who has a second factor still needs it.
"""

from __future__ import annotations

import math

from flask import Blueprint, redirect, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from app.auth.identity import check_form, checks_own_token, guards, sign_out
from app.auth.sign_up import look, over, post_of
from app.auth.signin import LEAST, at_most, page, show, visitor
from app.auth.throttle import HASHING
from app.data import LASTS, Invalid, Purpose
from app.workspace import workspace

blueprint = Blueprint("passwords", __name__)


class ForgotForm(FlaskForm):
    email = StringField("E-mail", [InputRequired("Type your e-mail."), at_most(254)])


class ResetForm(FlaskForm):
    password = PasswordField("New password", [InputRequired("Choose a password."), Length(LEAST, 1000, f"At least {LEAST} characters.")])
    confirm = PasswordField("The password again", [EqualTo("password", "The two passwords differ.")])


@blueprint.get("/forgot")
def forgot() -> Response:
    return page("auth/forgot.html", ForgotForm())


@blueprint.post("/forgot")
@checks_own_token
def ask() -> Response:
    form, shop = ForgotForm(), workspace()
    if not form.validate_on_submit():
        return page("auth/forgot.html", form, 400 if "csrf_token" in form.errors else 422)
    if (after := guards().ask("forgot", request.remote_addr or "")) > 0:
        form.form_errors.append(f"Too many requests from here. Wait {math.ceil(after / 60)} minutes and try again.")
        return page("auth/forgot.html", form, 429, retry_after=after)
    shop.data.resets.ask(form.email.data, by=visitor(), post=post_of(shop))
    return page("auth/forgot_sent.html", mailed=shop.settings.mail_ready, minutes=round(LASTS[Purpose.RESET] / 60))


@blueprint.get("/reset/<token>")
def reset(token: str) -> Response:
    asked = look(Purpose.RESET, token)
    return over("link") if asked is None else page("auth/reset.html", ResetForm(), email=asked.email)


@blueprint.post("/reset/<token>")
@checks_own_token
def set_password(token: str) -> Response:
    asked = look(Purpose.RESET, token)
    if asked is None:
        check_form()
        return over("link")
    form, shop = ResetForm(), workspace()
    if not form.validate_on_submit():
        return page("auth/reset.html", form, 400 if "csrf_token" in form.errors else 422, email=asked.email)
    try:
        with HASHING:
            user = shop.data.resets.finish(token, form.password.data, by=visitor(), mail=shop.settings.mail_ready)
    except Invalid as error:
        show(form, error)
        return page("auth/reset.html", form, 422, email=asked.email)
    if user is None:
        return over("link")
    guards().forgiven(user.email, request.remote_addr or "")
    sign_out()  # whoever was signed in in this browser
    return redirect(url_for("auth.login", said="password"))

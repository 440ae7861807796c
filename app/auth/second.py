"""The second step of a sign-in: whoever gave the right password of a person with a second factor shows a code before they are let in.

Until then the cookie says only whose code is awaited; nothing else of the workspace answers it. Guessing is slowed down for each person, whatever
the address, because six digits are few. API tokens never come here.
"""

from __future__ import annotations

import math

from flask import Blueprint, Flask, current_app, redirect, request, session, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import InputRequired

from app.auth.identity import check_form, checks_own_token, sign_out
from app.auth.signin import at_most, let_in, page
from app.auth.throttle import Throttle
from app.data import Actor, User
from app.problems import too_many
from app.workspace import workspace
from engines.ports import Clock, JournalDown

blueprint = Blueprint("second", __name__)
AWAITED = "second"
"""What is in the session while a code is awaited: whose, of which epoch, since when, and where they wanted to go."""
PATIENCE = 300.0  # seconds from the password to the code
EXTENSION = "tandem_codes"
TEMPLATE = "security/code.html"


class CodeForm(FlaskForm):
    code = StringField("Code", [InputRequired("Type the code."), at_most(64)])


def init_app(app: Flask, clock: Clock) -> None:
    app.extensions[EXTENSION] = Throttle(clock, most=10, window=900)
    app.register_blueprint(blueprint)


def ask(user: User, wanted: str) -> Response:
    """After the right password: remembers who waits for their code, and sends the browser to the page that asks for it. Whoever was signed in there is out."""
    sign_out()
    session[AWAITED] = [user.user_id, user.session_epoch, workspace().clock.now(), wanted]
    return redirect(url_for("second.code"))


def check(user: User, given: str, by: Actor) -> bool:
    """Whether this is a good code of theirs, used up when it is. Raises a 429 after ten wrong ones in a quarter of an hour."""
    book(user)
    return _right(user, given, by)


def _right(user: User, given: str, by: Actor) -> bool:
    """Of a try that is booked."""
    try:
        right = workspace().data.second_factor.check(user.user_id, given, by=by)
    except JournalDown:  # nobody has looked at it
        give_back(user)
        raise
    if right:
        _throttle().succeeded(user.user_id)
    return right


def book(user: User) -> None:
    """Counts a code of theirs before it is looked at; raises the 429."""
    if (after := _throttle().book(user.user_id)) > 0:
        raise too_many("wrong codes", after)


def give_back(user: User) -> None:
    """What was booked was no wrong code."""
    _throttle().give_back(user.user_id)


@blueprint.get("/login/code")
def code() -> Response:
    if current_user.is_authenticated:
        return redirect("/")
    return page(TEMPLATE, CodeForm()) if _awaited() else redirect(url_for("auth.login"))


@blueprint.post("/login/code")
@checks_own_token
def show_code() -> Response:
    awaited = _awaited()
    if awaited is None:
        check_form()  # or a strange page could sign somebody out
        session.clear()
        return redirect(url_for("auth.login"))
    user, wanted = awaited
    form = CodeForm()
    if not form.validate_on_submit():
        return page(TEMPLATE, form, 400 if "csrf_token" in form.errors else 422)
    if (after := _throttle().book(user.user_id)) > 0:
        seconds = max(1, math.ceil(after))
        form.form_errors.append(f"Too many wrong codes. Wait {math.ceil(seconds / 60)} minutes and try again.")
        return page(TEMPLATE, form, 429, retry_after=seconds)
    if not _right(user, form.code.data, Actor(user.user_id, "web", request.remote_addr)):
        form.form_errors.append("This code is not right, or was used before. The app shows a new one every 30 seconds.")
        return page(TEMPLATE, form, 401)
    return let_in(user, wanted)


def _awaited() -> tuple[User, str] | None:
    """Whose code is awaited in this browser and where they want to go; None when nobody's, too late, or no longer theirs to give."""
    match session.get(AWAITED):
        case [str(user_id), int(epoch), float() | int() as since, str(wanted)]:
            user = workspace().data.users.session(user_id, epoch)
            waited = workspace().clock.now() - since
            return (user, wanted) if user is not None and 0 <= waited < PATIENCE else None
    return None


def _throttle() -> Throttle:
    found: Throttle = current_app.extensions[EXTENSION]
    return found

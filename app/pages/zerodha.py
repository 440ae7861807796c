"""The way to Zerodha's log-in page and back. Whatever goes wrong becomes a page that says what to do; no token is ever shown."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, session

from app.api.accounts import login
from app.auth import actor, person
from app.pages.room import form, page, room

routes: Blueprint = room("zerodha")
_OUTCOME = "login_outcome"  # in the sign-in cookie: status, title, text, account


@routes.get("/zerodha/login/<account_id>")
@form
def begin(account_id: str) -> Response:
    """To the broker's page, with a state of our own."""
    try:
        answer = redirect(login.begin(person(), account_id))
    except login.LoginProblem as problem:
        return _told(problem)
    answer.headers["Cache-Control"] = "no-store"  # a state is good once
    return answer  # type: ignore[return-value]


@routes.get("/zerodha/callback")
@form
def callback() -> Response:
    """What the broker's page leads back to. Always leads on: the address of this one holds a token."""
    try:
        done = login.finish(person(), request.args, actor())
    except login.LoginProblem as problem:
        session[_OUTCOME] = [problem.status, problem.title, problem.text, problem.account_id]
        return redirect("/zerodha/outcome")  # type: ignore[return-value]
    return redirect(f"/accounts/{done.account.account_id}?signed_in=1")  # type: ignore[return-value]


@routes.get("/zerodha/outcome")
@form
def outcome() -> Response:
    """Why the last log-in of this browser came to nothing."""
    if _OUTCOME not in session:
        return redirect("/accounts")  # type: ignore[return-value]
    return _told(login.LoginProblem(*session[_OUTCOME]))


def _told(problem: login.LoginProblem) -> Response:
    return page("accounts/login.html", http_status=problem.status, problem=problem)

"""What every room of the browser shares: the signed-in guard, the reads of this request, rendering inside the chrome, filters from the address.

Rooms are blueprints made by `room`; they answer GET only (writes go to the JSON API), so none of them needs more than this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, render_template, request
from flask_login import current_user

from app.pages import chrome, keys

if TYPE_CHECKING:
    from app.pages.reads import Reads

EXTENSION = "tandem_pages"


def room(name: str) -> Blueprint:
    routes = Blueprint(name, __name__)
    routes.before_request(signed_in)
    return routes


def signed_in() -> Any:
    if not current_user.is_authenticated:
        return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    return None


def reads() -> Reads:
    """This request's reads, for the person who asked."""
    if "reads" not in g:
        make: Callable[[Any], Reads] = current_app.extensions[EXTENSION]["reads"]
        g.reads = make(current_user)
    return g.reads


def accounts() -> list[Any]:
    """The accounts of this request, read once: the chrome and most pages need them."""
    if "accounts" not in g:
        g.accounts = sorted(reads().accounts(), key=lambda account: (account.broker != "paper", str(account.created_at or "")))
    return g.accounts


def names() -> dict[str, str]:
    return {account.id: account.name for account in accounts()}


def strategy_names() -> dict[str | None, str]:
    return {strategy.id: strategy.name for strategy in reads().strategies()}


def shell() -> dict[str, Any]:
    """What base.html needs around a signed-in page."""
    built = chrome.build(current_user, accounts(), reads().status(), reads().pnl())
    return {
        "chrome": built,
        "nav": chrome.navigation(request.path, built.role, built.open_positions),
        "shortcuts": keys.GROUPS,
        "now": time.time(),
    }


def page(template: str, http_status: int = 200, **context: Any) -> Response:
    return Response(render_template(template, **{**shell(), **context}), status=http_status, content_type="text/html; charset=utf-8")


def filters(*names: str) -> dict[str, str]:
    """The filters of the address that are set, with `cursor` and `limit`; blanks mean "any"."""
    known = {*names, "cursor", "limit"}
    return {name: value for name, value in request.args.items() if name in known and value.strip()}


def older(args: Mapping[str, str], cursor: str | None) -> str:
    """The address of the next page with the same filters."""
    return f"{request.path}?{urlencode({**args, 'cursor': cursor or ''})}"

"""What every room of the browser shares: the signed-in guard, the reads of this request, rendering inside the chrome, filters from the address.

Rooms are blueprints made by `room`; they answer GET only (writes go to the JSON API), so none of them needs more than this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, render_template, request
from flask_login import current_user

from app.pages import chrome, keys
from app.pages import format as fmt

if TYPE_CHECKING:
    from app.pages.reads import Reads

EXTENSION = "tandem_pages"
P = ParamSpec("P")


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
    """The accounts of this request by name, read once: the chrome and most pages need them."""
    if "accounts" not in g:
        g.accounts = sorted(reads().accounts(), key=lambda account: (account.name.casefold(), account.id))
    return g.accounts


def by_account(things: Iterable[Any]) -> list[Any]:
    """What belongs to accounts (rows, orders of one signal), in the one order that accounts have everywhere."""
    place = {account.id: n for n, account in enumerate(accounts())}
    return sorted(things, key=lambda thing: place.get(thing.account_id, len(place)))


def names() -> dict[str, str]:
    return {account.id: account.name for account in accounts()}


def strategy_names() -> dict[str | None, str]:
    return {strategy.id: strategy.name for strategy in reads().strategies()}


def past_strategy(strategy_id: str | None) -> str:
    """The name of a strategy that one has no more but whose orders and positions are still in one's books, with why; "" when none is known."""
    if not strategy_id:
        return ""
    if "past_strategies" not in g:
        g.past_strategies = reads().past_strategies()
    return str(g.past_strategies.get(strategy_id, ""))


def every_strategy() -> dict[str | None, str]:
    """For files: the names of what one has and of what one had."""
    found: dict[str | None, str] = {}
    found.update(reads().past_strategies())
    return found | strategy_names()


def shell() -> dict[str, Any]:
    """What base.html needs around a signed-in page."""
    built = chrome.build(current_user, accounts(), reads().status(), reads().pnl(), reads().unread())
    return {
        "chrome": built,
        "heard": reads().heard,
        "nav": chrome.navigation(request.path, built.role, built.open_positions, built.unread),
        "settings_tabs": chrome.SETTINGS,
        "shortcuts": keys.GROUPS,
        "now": time.time(),
        "by_account": by_account,
        "currency_of": currency_of,
    }


def by_place(positions: Iterable[Any]) -> list[Any]:
    """By instrument, and within it by account."""
    return sorted(by_account(positions), key=lambda position: position.symbol)


def by_strategy(rows: Iterable[Any]) -> dict[str | None, list[Any]]:
    """Strategy → its rows, one for each currency in which it trades."""
    found: dict[str | None, list[Any]] = {}
    for row in rows:
        found.setdefault(row.strategy_id, []).append(row)
    return found


def currency_of(account_id: str) -> str:
    """What an account's money is counted in."""
    return next((account.currency for account in accounts() if account.id == account_id), "INR")


def price_shape(symbol: str | None) -> str:
    """How the prices of an instrument are written: with the places of its tick, where it is known."""
    return fmt.price_shape(symbol, reads().tick(symbol) if symbol else None)


def price(value: Any, symbol: str | None) -> str:
    return fmt.priced(value, price_shape(symbol))


def signed_price(value: Any, symbol: str | None) -> str:
    """A change of a price."""
    return f"+{price(value, symbol)}" if fmt.tone(value) == "up" else price(value, symbol)


FILTERS = {"price_shape": price_shape, "price": price, "signed_price": signed_price}


def form(view: Callable[P, Response]) -> Callable[P, Response]:
    """For a page that is a form: a viewer is told so, instead of filling in what would be refused."""

    @wraps(view)
    def shown(*args: P.args, **kwargs: P.kwargs) -> Response:
        return for_viewers() if str(current_user.role) == "viewer" else view(*args, **kwargs)

    return shown


def way_out(view: Callable[P, Response]) -> Callable[P, Response]:
    """For a form that closes or stops what is one's own: a viewer who still has accounts gets it, too."""

    @wraps(view)
    def shown(*args: P.args, **kwargs: P.kwargs) -> Response:
        return view(*args, **kwargs) if str(current_user.role) != "viewer" or accounts() else for_viewers()

    return shown


def for_viewers() -> Response:
    text = (
        "As a viewer you see the strategies that are shared with you, and change what is your own: name, password, second factor, look."
        " A trader or the owner can do this for you."
    )
    return page("errors/error.html", http_status=403, code="", title="This form is for traders", text=text)


def page(template: str, http_status: int = 200, **context: Any) -> Response:
    return Response(render_template(template, **{**shell(), **context}), status=http_status, content_type="text/html; charset=utf-8")


def filters(*names: str) -> dict[str, str]:
    """The filters of the address that are set, with `cursor` and `limit`; blanks mean "any"."""
    known = {*names, "cursor", "limit"}
    return {name: value for name, value in request.args.items() if name in known and value.strip()}


def older(args: Mapping[str, str], cursor: str | None) -> str:
    """The address of the next page with the same filters."""
    return f"{request.path}?{urlencode({**args, 'cursor': cursor or ''})}"

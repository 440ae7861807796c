"""Every page, for nobody, for a viewer, for another trader and for the owner: what is another's is not there, and no page names it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from tests.api.rig import Person, Rig
from tests.safety.conftest import Belongings

AtBrowser = Callable[[Person | None], FlaskClient]

OPEN = {"/login", "/setup", "/sign-up", "/sign-up/code", "/forgot", "/login/code", "/healthz", "/favicon.ico"}
"""What is there for people who have not signed in, by design."""
LINKS = ("/reset/", "/invite/", "/static/", "/theme/")
PLACES = {
    "/limits/<rule_id>/edit": "limits",
    "/zerodha/login/<account_id>": "accounts",
    "/settings/messages/<destination_id>/edit": "destinations",
}
MACHINES = {"/halts/<halt_id>": "no-such-halt"}
NEEDS = {"/zerodha/callback", "/zerodha/outcome", "/backtests/compare", "/settings/messages/new", "/settings/security/qr.svg"}
"""Pages that are only there with a question in their address, or while something is under way."""


def pages(rig: Rig) -> list[Rule]:
    return [
        rule
        for rule in rig.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/api", *LINKS)) and rule.rule not in OPEN
    ]


def address(rule: Rule, belongings: Belongings) -> str:
    """Of this page about the thing of that person; pages without an id are their own address."""
    if not rule.arguments:
        return rule.rule
    assert len(rule.arguments) == 1, rule.rule
    name = next(iter(rule.arguments))
    target = MACHINES.get(rule.rule) or belongings.ids[PLACES.get(rule.rule, rule.rule.split("/")[1])]
    return rule.rule.replace(f"<{name}>", target)


def test_nobody_sees_a_page_without_signing_in(rig: Rig, belongings: Belongings, at_browser: AtBrowser) -> None:
    nobody = at_browser(None)
    for rule in pages(rig):
        answer = nobody.get(address(rule, belongings))
        wanted = (401, "") if rule.rule == "/metrics" else (302, "/login")
        assert (answer.status_code, answer.headers.get("Location", "").partition("?")[0]) == wanted, rule.rule
        assert belongings.names_in(answer.text.replace(address(rule, belongings), "")) == [], rule.rule


@pytest.mark.parametrize("who", ["other", "owner", "viewer"])
def test_what_is_anothers_has_no_page(rig: Rig, belongings: Belongings, at_browser: AtBrowser, who: str) -> None:
    client = at_browser(getattr(rig, who))
    for rule in pages(rig):
        if rule.arguments:
            answer = client.get(address(rule, belongings))
            forbidden = who == "viewer" and answer.status_code == 403  # a page to change things, whosoever they are
            assert answer.status_code == 404 or forbidden, rule.rule
            said = answer.text.replace(address(rule, belongings), "")  # the page repeats its own address, where it has a way back
            assert belongings.names_in(said) == [], rule.rule


@pytest.mark.parametrize("who", ["other", "owner", "viewer"])
def test_no_page_names_what_is_anothers(rig: Rig, belongings: Belongings, at_browser: AtBrowser, who: str) -> None:
    client = at_browser(getattr(rig, who))
    for rule in pages(rig):
        if not rule.arguments and rule.rule not in NEEDS:
            answer = client.get(rule.rule)
            assert answer.status_code in ((200,) if who == "owner" else (200, 403)), (rule.rule, answer.status_code)
            people = (
                {"quetzal", belongings.ids["users"]} if who == "owner" and rule.rule.startswith(("/people", "/settings/log")) else set()
            )
            assert set(belongings.names_in(answer.text)) <= people, rule.rule


def test_whose_it_is_sees_it(rig: Rig, belongings: Belongings, at_browser: AtBrowser) -> None:
    """Or the tests above would hold for pages that show nothing to anybody."""
    client = at_browser(belongings.person)
    shown = 0
    for rule in pages(rig):
        if rule.rule not in NEEDS and rule.rule not in {*MACHINES, "/people", "/zerodha/login/<account_id>"}:
            answer = client.get(address(rule, belongings))
            assert answer.status_code == (404 if rule.rule == "/orders/<order_id>/change" else 200), (
                rule.rule
            )  # a filled order has no terms
            shown += bool(belongings.names_in(answer.text))
    assert shown > 20

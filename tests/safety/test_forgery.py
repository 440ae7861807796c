"""Requests that a strange page makes a signed-in browser send: without the token of our own pages nothing is written, on no route at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.api.blueprint import operations
from tests.api.rig import Person, Rig

AtBrowser = Callable[[Person | None], FlaskClient]

WRITES = [(o.method, o.path) for o in operations() if o.method != "GET" and not o.public]
"""Web hooks are public: their secret is in the address, and no cookie helps there."""


def newest(rig: Rig) -> list[int]:
    """The last row of the audit log, once everything that was handed in is written."""
    rig.data.journal.run(lambda _: None)
    return [row.audit_id for row in rig.data.audit.list(None, limit=1).items]


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "forged"}], ids=["none", "forged"])
def test_a_cookie_alone_writes_nothing_on_any_route(rig: Rig, at_browser: AtBrowser, headers: dict[str, str]) -> None:
    client = at_browser(rig.owner)
    before = newest(rig)
    for method, path in WRITES:
        answer = client.open(path.replace("{id}", "x"), method=method, json={}, headers=headers)
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), (method, path)
    assert newest(rig) == before


def test_no_form_of_a_page_is_taken_without_its_token(rig: Rig, at_browser: AtBrowser) -> None:
    client, holding = at_browser(rig.owner), list(rig.data.latch.active())
    forms = [rule for rule in rig.app.url_map.iter_rules() if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api")]
    assert {rule.rule for rule in forms} >= {"/login", "/logout", "/emergency-stop"}
    for rule in forms:
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "x")
        answer = client.post(path, data={"email": "a@example.com", "password": "long enough it is", "reason": "forged"})
        gone = rule.rule == "/setup" and answer.status_code == 302  # there is an owner: it is no form any more
        closed = path.startswith("/sign-up") and answer.status_code in (302, 403)  # nobody may sign up here
        assert answer.status_code == 400 or gone or closed, (path, answer.status_code)
    assert list(rig.data.latch.active()) == holding
    assert client.get("/api/me").status_code == 200, "a forged sign-out signs nobody out"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_foreign_form_can_send_is_no_json(rig: Rig, kind: str) -> None:
    """A form of another site cannot send JSON; what it can send is refused before it is read, also with a token."""
    answer = rig.trader.call(
        "POST", "/api/accounts", data='{"name": "x", "broker": "paper", "capital": "1"}', headers={"Content-Type": kind}
    )
    assert answer.status_code == 415

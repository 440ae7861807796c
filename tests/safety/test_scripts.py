"""Words that are code elsewhere: whatever a person, a broker or an address says, pages show it as text, and the policy runs nothing inline."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.data import UserRole
from tests.api.rig import Person, Rig
from tests.safety.test_pages_are_ones_own import LINKS, NEEDS

AtBrowser = Callable[[Person | None], FlaskClient]
NAMES = ("q", "state", "symbol", "account_id", "next", "cursor", "tab", "kind", "action")
"""Of what pages look for in their address."""
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"


@pytest.fixture(scope="module")
def hostile(rig: Rig) -> Person:
    """Somebody who has given every thing a name that is code."""
    me = rig.person("hostile@example.com", UserRole.TRADER)
    me.patch("/api/me", {"name": HOSTILE})
    account = me.account(name=HOSTILE)["id"]
    strategy = me.strategy(name=HOSTILE)["id"]
    me.mapping(account, strategy)
    group = me.post("/api/groups", {"name": HOSTILE, "account_ids": [account]}).json["id"]
    for path, body in (
        ("/api/watchlists", {"name": HOSTILE}),
        ("/api/tokens", {"name": HOSTILE}),
        ("/api/webhooks", {"name": HOSTILE, "account_ids": [account]}),
        ("/api/combined", {"scope": "group", "scope_id": group, "stop": "1000"}),
        ("/api/consents", {"account_id": account, "holder": HOSTILE, "relation": "other", "note": HOSTILE}),
        ("/api/backtests", {"name": HOSTILE, "kind": "ema_cross", "sample": {"days": 2}}),
    ):
        assert me.post(path, body).status_code == 201, path
    me.bought(account)
    assert me.post(f"/api/accounts/{account}/kill-switch", {"on": True, "reason": HOSTILE}).status_code == 200
    return me


def test_stored_code_is_shown_as_text_on_every_page(rig: Rig, hostile: Person, at_browser: AtBrowser) -> None:
    client, shown = at_browser(hostile), 0
    for rule in rig.app.url_map.iter_rules():
        path = rule.rule
        if "GET" not in (rule.methods or ()) or rule.arguments or path.startswith(("/api", *LINKS)) or path in NEEDS:
            continue
        answer = client.get(path)
        if answer.mimetype != "text/html":
            continue
        text = answer.text
        assert "<script>alert(1)" not in text, path
        assert "<img src=x" not in text, path
        shown += "&lt;script&gt;alert(1)" in text
    assert shown >= 8, "the names are on the pages, as text"


def test_code_in_an_address_is_never_echoed(rig: Rig, at_browser: AtBrowser) -> None:
    client, drawn = at_browser(rig.trader), 0
    for rule in rig.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments and not rule.rule.startswith(("/api", *LINKS)):
            at_once = client.get(rule.rule, query_string=dict.fromkeys(NAMES, HOSTILE))
            answers = [at_once]
            if at_once.status_code == 200:
                drawn += 1
            else:  # refused for one of them before it looked at the others
                answers += [client.get(rule.rule, query_string={name: HOSTILE}) for name in NAMES]
            for answer in answers:
                assert "<script>alert(1)" not in answer.text, answer.request.url
                assert "<img src=x" not in answer.text, answer.request.url
    assert drawn > 25, "pages are drawn in spite of it"


def test_an_error_says_nothing_back(rig: Rig, at_browser: AtBrowser) -> None:
    for path in (f"/{HOSTILE}", f"/orders/{HOSTILE}", f"/api/{HOSTILE}", f"/api/orders/{HOSTILE}"):
        answer = at_browser(rig.trader).get(path)
        assert "<script>" not in answer.text.replace("<script src=", "")
        assert answer.mimetype in ("text/html", "application/problem+json")


def test_the_policy_of_every_page_runs_nothing_inline(rig: Rig, at_browser: AtBrowser) -> None:
    client, nobody = at_browser(rig.owner), at_browser(None)
    for rule in rig.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments and (not rule.rule.startswith("/api") or rule.rule == "/api/docs"):
            for visitor in (client, nobody):
                answer = visitor.get(rule.rule)
                if answer.mimetype != "text/html":
                    continue
                policy = answer.headers["Content-Security-Policy"]
                assert "unsafe" not in policy, rule.rule
                assert "default-src 'self'" in policy
                assert "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'" in policy
                assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=\"|<style|\sstyle=", answer.text), rule.rule


def test_names_in_files_for_spreadsheets_are_no_formulas(rig: Rig, at_browser: AtBrowser) -> None:
    """A cell that begins with = + - @ is run by spreadsheets when a file is opened."""
    me = rig.person("sheets@example.com", UserRole.TRADER)
    account = me.account(name="=HYPERLINK(1)")["id"]
    me.bought(account)
    for path in ("/orders.csv", "/trades.csv"):
        text = at_browser(me).get(path).text
        assert "HYPERLINK" in text, path
        assert not re.search(r"(^|,)\"?[=@]", text, re.MULTILINE), path

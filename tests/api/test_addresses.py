"""How addresses are put together: compiled when one is asked for, and the same as they are taken apart."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.routing import Rule

from app import Route
from tests.api.rig import Rig


def test_what_puts_an_address_together_is_compiled_once_and_not_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_it = Rule._compile_builder
    monkeypatch.setattr(Rule, "_compile_builder", lambda rule, more=True: compiled.append(rule.rule) or compile_it(rule, more))
    app = Flask("links", static_folder=None)
    app.url_rule_class = Route
    app.add_url_rule("/orders/<order_id>", "order", lambda order_id: order_id)
    app.add_url_rule("/orders", "orders", lambda: "")
    assert compiled == []
    addresses = app.url_map.bind("localhost")
    for order, written in (("7", "7"), ("a b?ü", "a%20b%3F%C3%BC")):
        assert addresses.build("order", {"order_id": order, "tab": "fills"}) == f"/orders/{written}?tab=fills"
    assert compiled == ["/orders/<order_id>"]


def test_every_address_leads_back_to_where_it_was_made_for(rig: Rig) -> None:
    rules = list(rig.app.url_map.iter_rules())
    assert len(rules) > 200
    for rule in rules:
        assert isinstance(rule, Route)
        assert rule.methods
        values = dict.fromkeys(rule.arguments, "7")
        method = min(rule.methods - {"HEAD", "OPTIONS"})
        addresses = rig.app.url_map.bind("localhost")
        assert addresses.match(addresses.build(rule.endpoint, values, method), method) == (rule.endpoint, values), rule

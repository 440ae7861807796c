"""A trader who becomes a viewer may still get out of what is theirs, and do nothing else; a viewer who has no accounts changes nothing at all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from app.data import UserRole
from tests.api.rig import MACHINE, Person, Rig

_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Looker:
    """Somebody who held something when they were made a viewer. `reader`: the same person with a token that may only look."""

    person: Person
    reader: Person
    ids: dict[str, str]


@pytest.fixture(scope="module")
def looker(rig: Rig) -> Looker:
    person = rig.person(f"looker{next(_names)}@example.com", UserRole.TRADER)
    assert person.user
    account = person.account()["id"]
    second = person.account()["id"]
    for each in (account, second):
        person.bought(each)
    position = person.get(f"/api/positions?account_id={account}").json["items"][0]["id"]
    above = str(round(person.price() * 1.03))  # an exit: an entry that waits is taken back when its person may only look
    resting = person.buy(account, side="SELL", quantity="1", order_type="LIMIT", price=above, wait_ms=30_000)["orders"][0]["order_id"]
    strategy = person.strategy()["id"]
    mapping = person.mapping(account, strategy)["id"]
    token = rig.data.tokens.create(person.user.user_id, "looks", scope="read", by=MACHINE)[1]
    assert rig.owner.patch(f"/api/users/{person.user.user_id}", {"role": "viewer"}).status_code == 200
    ids = {"account": account, "second": second, "position": position, "order": resting, "strategy": strategy, "mapping": mapping}
    return Looker(person, Person(rig, person.user, token), ids)


OUT: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/api/orders/{order}/cancel", None),
    ("PATCH", "/api/accounts/{account}", {"auto_trade": False}),
    ("POST", "/api/accounts/{account}/auto-trade", {"on": False}),
    ("POST", "/api/positions/{position}/close", {}),
    ("POST", "/api/positions/close-all", {"account_ids": ["{second}"]}),
    ("POST", "/api/accounts/{account}/square-off", None),
    ("POST", "/api/accounts/{account}/kill-switch", {"on": True, "reason": "enough"}),
    ("POST", "/api/system/emergency-stop", {"flatten": True}),
]
NOT: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "/api/accounts/{account}", {"auto_trade": True}),
    ("PATCH", "/api/accounts/{account}", {"auto_trade": False, "name": "Other"}),
    ("PATCH", "/api/accounts/{account}", {}),
    ("POST", "/api/accounts/{account}/auto-trade", {"on": True}),
    ("POST", "/api/accounts/{account}/kill-switch", {"on": False}),
    ("POST", "/api/accounts/{account}/verify", None),
    ("PATCH", "/api/orders/{order}", {"quantity": "2"}),
    ("PUT", "/api/positions/{position}/exit-plan", {}),
    ("PATCH", "/api/mappings/{mapping}", {"enabled": True}),
    ("PATCH", "/api/strategies/{strategy}", {"active": True}),
    ("POST", "/api/system/start", None),
    ("POST", "/api/system/emergency-stop", {"scope": "system"}),
]


def ask(person: Person, ids: dict[str, str], method: str, path: str, body: dict[str, Any] | None) -> Any:
    said = None if body is None else {k: [v[0].format(**ids)] if isinstance(v, list) else v for k, v in body.items()}
    return person.call(method, path.format(**ids), said)


@pytest.mark.parametrize(("method", "path", "body"), [*OUT, *NOT])
def test_nobody_gets_out_of_anything_with_a_token_that_only_looks_nor_without_accounts(
    rig: Rig, looker: Looker, method: str, path: str, body: dict[str, Any] | None
) -> None:
    for person in (looker.reader, rig.viewer):
        answer = ask(person, looker.ids, method, path, body)
        assert (answer.status_code, answer.json["detail"]) == (403, "Viewers can look but not change anything.")


@pytest.mark.parametrize(("method", "path", "body"), NOT)
def test_who_may_only_look_begins_and_changes_nothing(looker: Looker, method: str, path: str, body: dict[str, Any] | None) -> None:
    assert ask(looker.person, looker.ids, method, path, body).status_code == 403


def test_a_viewer_still_gets_out_of_what_is_theirs_by_every_way(rig: Rig, looker: Looker) -> None:
    assert looker.person.user
    person, ids = looker.person, looker.ids
    for method, path, body in OUT:
        answer = ask(person, ids, method, path, body)
        assert answer.status_code in (200, 202), (path, answer.text)
    assert person.get(f"/api/accounts/{ids['account']}").json["kill_switch"] is True
    held = [halt["scope"] for halt in person.get("/api/system/halts").json["items"]]
    assert held == ["user"], "of their own accounts, not of the system"
    assert rig.system.engines_on(None)
    foreign = rig.trader.account()["id"]
    for path in (f"/api/accounts/{foreign}/square-off", f"/api/accounts/{foreign}/kill-switch"):
        assert person.post(path, {"on": True} if path.endswith("switch") else None).status_code == 404

"""A request is let in at the door and written a moment later. Whoever was switched off or made a viewer in between lets nothing out any more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from werkzeug.test import TestResponse

from app.data import UserRole
from app.data.accounts import Accounts
from app.data.groups import Groups
from app.data.mappings import Mappings
from tests.api.rig import Person, Rig

_names = itertools.count(1)
DEEDS = {"a viewer by now": {"role": "viewer"}, "switched off by now": {"active": False}}


@dataclass(frozen=True, slots=True)
class Scene:
    """A trader with two accounts, the second one disabled, and a strategy of their own."""

    rig: Rig
    person: Person
    account: str
    disabled: str
    strategy: str
    mapping: str
    group: str

    def switches(self) -> dict[str, tuple[bool, ...]]:
        """Of each account: enabled, auto-trade, real; of each mapping: enabled."""
        assert self.person.user is not None
        rows = [row.account for row in self.rig.data.accounts.list(self.person.user.user_id)]
        mappings = [row.mapping for row in self.rig.data.mappings.list(self.person.user.user_id)]
        return {
            **{one.account_id: (one.enabled, one.auto_trade, not one.dry_run) for one in rows},
            **{one.mapping_id: (one.enabled,) for one in mappings},
        }


@pytest.fixture
def scene(rig: Rig) -> Scene:
    person = rig.person(f"late{next(_names)}@example.com", UserRole.TRADER)
    account, disabled = (person.account(auto_trade=False, dry_run=True)["id"] for _ in range(2))
    assert person.patch(f"/api/accounts/{disabled}", {"enabled": False}).status_code == 200
    strategy = person.strategy()["id"]
    mapping = person.mapping(account, strategy, enabled=False)["id"]
    group = person.post("/api/groups", {"name": "Family", "account_ids": [account]}).json["id"]
    return Scene(rig, person, account, disabled, strategy, mapping, group)


@pytest.fixture
def overtaken(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str, str], None]:
    """When the next request comes to be written with this method, the owner's deed has just been answered."""

    def by(repository: type, method: str, deed: str) -> None:
        real = getattr(repository, method)

        def late(*args: object, **named: object) -> object:
            assert scene.person.user is not None
            answer = scene.rig.owner.patch(f"/api/users/{scene.person.user.user_id}", DEEDS[deed])
            assert answer.status_code == 200, answer.text
            return real(*args, **named)

        monkeypatch.setattr(repository, method, late)

    return by


Ask = Callable[[Scene], TestResponse]
SIZING = {"mode": "fixed_quantity", "value": "5"}
ON: dict[str, tuple[type, str, Ask]] = {
    "auto-trade on": (Accounts, "change", lambda s: s.person.post(f"/api/accounts/{s.account}/auto-trade", {"on": True})),
    "the same with the account": (Accounts, "change", lambda s: s.person.patch(f"/api/accounts/{s.account}", {"auto_trade": True})),
    "account enabled": (Accounts, "change", lambda s: s.person.patch(f"/api/accounts/{s.disabled}", {"enabled": True})),
    "dry run over": (Accounts, "change", lambda s: s.person.patch(f"/api/accounts/{s.account}", {"dry_run": False})),
    "new account that trades": (
        Accounts,
        "add",
        lambda s: s.person.post("/api/accounts", {"name": "New", "broker": "paper", "capital": "1", "auto_trade": True}),
    ),
    "mapping on": (Mappings, "change", lambda s: s.person.patch(f"/api/mappings/{s.mapping}", {"enabled": True})),
    "new mapping": (
        Mappings,
        "add",
        lambda s: s.person.post(
            "/api/mappings", {"account_id": s.disabled, "strategy_id": s.strategy, "allocation_pct": "50", "sizing": SIZING}
        ),
    ),
    "group started": (Groups, "switch", lambda s: s.person.post(f"/api/groups/{s.group}/start", {})),
}
OFF: dict[str, tuple[type, str, Ask, str, int]] = {
    "auto-trade off": (Accounts, "change", lambda s: s.person.post(f"/api/accounts/{s.account}/auto-trade", {"on": False}), "account", 1),
    "account disabled": (Accounts, "change", lambda s: s.person.patch(f"/api/accounts/{s.account}", {"enabled": False}), "account", 0),
    "dry run": (Accounts, "change", lambda s: s.person.patch(f"/api/accounts/{s.account}", {"dry_run": True}), "account", 2),
    "mapping off": (Mappings, "change", lambda s: s.person.patch(f"/api/mappings/{s.mapping}", {"enabled": False}), "mapping", 0),
    "group paused": (Groups, "switch", lambda s: s.person.post(f"/api/groups/{s.group}/pause"), "account", 1),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("what", ON)
def test_nothing_goes_on_for_whoever_may_not_trade_any_more(
    scene: Scene, overtaken: Callable[[type, str, str], None], what: str, deed: str
) -> None:
    repository, method, ask = ON[what]
    before = scene.switches()
    overtaken(repository, method, deed)
    answer = ask(scene)
    assert (answer.status_code, scene.switches()) == (409, before), answer.text


@pytest.mark.parametrize("what", ON)
def test_the_same_goes_on_for_a_trader(scene: Scene, what: str) -> None:
    before = scene.switches()
    assert ON[what][2](scene).status_code in (200, 201)
    assert scene.switches() != before


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("what", OFF)
def test_whatever_goes_off_goes_off_for_everybody(scene: Scene, overtaken: Callable[[type, str, str], None], what: str, deed: str) -> None:
    for on in ("auto-trade on", "dry run over", "mapping on"):
        assert ON[on][2](scene).status_code == 200
    repository, method, ask, thing, place = OFF[what]
    assert scene.switches()[getattr(scene, thing)][place]
    overtaken(repository, method, deed)
    answer = ask(scene)
    assert answer.status_code == 200, answer.text
    assert not scene.switches()[getattr(scene, thing)][place]

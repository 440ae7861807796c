"""A request waits for a slow body or for a password to be hashed. Who was let in as an owner, and is none by then, does nothing as an owner any more; nor
does a trader who may only look by then lift or switch on anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.api import endpoint
from app.auth import identity
from app.data import Actor, Conflict, Post, UserRole
from app.data import users as users_module
from tests.api.rig import MACHINE, PASSWORD, Person, Rig

NEW = "a password of an intruder"
POST = Post("http://localhost", mail=False)
DEEDS: dict[str, Mapping[str, Any]] = {
    "a trader by now": {"role": "trader"},
    "a viewer by now": {"role": "viewer"},
    "switched off by now": {"active": False},
}
LOOKS = {name: deed for name, deed in DEEDS.items() if name != "a trader by now"}
_names = itertools.count(1)

Meanwhile = Callable[[object, str, Callable[[], None]], None]


@pytest.fixture
def second(rig: Rig) -> Person:
    return rig.person(f"second{next(_names)}@example.com", UserRole.OWNER)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """While the next request is in this function, something else is done first."""

    def during(place: object, name: str, deed: Callable[[], None]) -> None:
        real, done = getattr(place, name), []

        def slow(*args: Any, **named: Any) -> Any:
            if not done:
                done.append(True)
                deed()
            return real(*args, **named)

        monkeypatch.setattr(place, name, slow)

    return during


def changed(rig: Rig, person: Person, deed: Mapping[str, Any]) -> Callable[[], None]:
    def change() -> None:
        assert person.user is not None
        with ThreadPoolExecutor(1) as browser:  # a request of its own, as another browser sends it
            answer = browser.submit(rig.owner.patch, f"/api/users/{person.user.user_id}", deed).result()
        assert answer.status_code == 200, answer.text

    return change


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("what", ["a new owner", "another's password", "another's role"])
def test_nobody_does_to_people_what_they_may_not_do_by_the_time_it_is_written(
    rig: Rig, second: Person, meanwhile: Meanwhile, what: str, deed: str
) -> None:
    assert second.user is not None
    assert rig.owner.user is not None
    mole, victim = f"mole{next(_names)}@example.com", rig.person(f"victim{next(_names)}@example.com", UserRole.OWNER).user
    assert victim is not None
    asks: dict[str, Callable[[], TestResponse]] = {
        "a new owner": lambda: second.post("/api/users", {"email": mole, "password": NEW, "role": "owner"}),
        "another's password": lambda: second.patch(f"/api/users/{victim.user_id}", {"password": NEW}),
        "another's role": lambda: second.patch(f"/api/users/{victim.user_id}", {"password": NEW, "role": "viewer"}),
    }
    meanwhile(users_module, "hash_password", changed(rig, second, DEEDS[deed]))
    answer = asks[what]()
    users = rig.data.users
    assert users.find(mole) is None, answer.text
    assert users.verify(victim.email, PASSWORD) is not None
    assert users.get(victim.user_id).role is UserRole.OWNER
    assert answer.status_code == 409, answer.text


OWNERS: dict[str, Callable[[Rig, Actor], object]] = {
    "a new person": lambda rig, by: rig.data.users.add("intruder@example.com", NEW, role=UserRole.OWNER, by=by),
    "a role": lambda rig, by: rig.data.users.set_role(_id(rig.trader), UserRole.OWNER, by=by),
    "switched off": lambda rig, by: rig.data.users.set_active(_id(rig.trader), False, by=by),
    "one's own role": lambda rig, by: rig.data.users.set_role(by.user_id or "", UserRole.OWNER, by=by),
    "another's name": lambda rig, by: rig.data.users.set_name(_id(rig.trader), "Mallory", by=by),
    "another's second factor": lambda rig, by: rig.data.second_factor.clear(_id(rig.trader), by=by, mail=False),
    "a setting of the workspace": lambda rig, by: rig.data.settings.set("open_sign_up", True, by=by),
    "a day of the calendar": lambda rig, by: rig.data.calendar.remove("2026-01-26", "NSE", by=by),
    "days of the calendar": lambda rig, by: rig.data.calendar.put([], by=by),
    "an invitation": lambda rig, by: rig.data.invites.send(
        "friend@example.com", UserRole.OWNER, inviter=rig.data.users.get(by.user_id or ""), by=by, post=POST
    ),
    "an invitation again": lambda rig, by: rig.data.invites.send_again(
        _invited(rig), inviter=rig.data.users.get(by.user_id or ""), by=by, post=POST
    ),
    "an invitation withdrawn": lambda rig, by: rig.data.invites.withdraw(_invited(rig), by=by),
}


def _id(person: Person) -> str:
    assert person.user is not None
    return person.user.user_id


def _invited(rig: Rig) -> str:
    assert rig.owner.user is not None
    email = f"invited{next(_names)}@example.com"
    return rig.data.invites.send(email, UserRole.TRADER, inviter=rig.owner.user, by=MACHINE, post=POST).code_id


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("what", OWNERS)
def test_what_is_an_owners_is_refused_inside_the_transaction(rig: Rig, second: Person, what: str, deed: str) -> None:
    changed(rig, second, DEEDS[deed])()
    with pytest.raises(Conflict, match="only an owner may do that"):
        OWNERS[what](rig, Actor(_id(second), "web"))


@pytest.mark.parametrize("deed", LOOKS)
def test_nobody_shares_a_strategy_that_they_can_no_longer_stop(rig: Rig, second: Person, deed: str) -> None:
    strategy = second.strategy()["id"]
    changed(rig, second, LOOKS[deed])()
    with pytest.raises(Conflict):
        rig.data.shares.add(_id(second), strategy, "trader@example.com", by=Actor(_id(second), "web"))
    assert rig.data.shares.of(strategy) == ()


def test_a_password_that_an_owner_sets_is_not_overwritten_by_whoever_knew_the_old_one(
    rig: Rig, second: Person, meanwhile: Meanwhile
) -> None:
    """The right present password was shown before the owner's new one was there."""
    assert second.user is not None
    meanwhile(identity, "refuse_who_has_changed", lambda: None)
    meanwhile(users_module, "hash_password", changed(rig, second, {"password": "set by the owner now"}))
    answer = second.post("/api/me/password", {"current": PASSWORD, "new": NEW})
    assert answer.status_code == 409, answer.text
    assert rig.data.users.verify(second.user.email, "set by the owner now") is not None


# --- what no transaction of the database decides: stops, engines, kill switches ------------------------------------------


@pytest.mark.parametrize("deed", DEEDS)
def test_the_stop_of_all_is_not_lifted_by_who_is_no_owner_by_now(fresh: Rig, meanwhile: Meanwhile, deed: str) -> None:
    second = fresh.person("second@example.com", UserRole.OWNER)
    halt = fresh.owner.post("/api/system/emergency-stop", {"flatten": False}).json["halt_id"]
    meanwhile(users_module.Users, "check_password", changed(fresh, second, DEEDS[deed]))
    answer = second.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD})
    assert (answer.status_code, [each.halt_id for each in fresh.system.halts()]) == (403, [halt]), answer.text


@pytest.mark.parametrize("deed", LOOKS)
def test_their_own_stop_is_not_lifted_by_who_may_only_look_by_now(fresh: Rig, meanwhile: Meanwhile, deed: str) -> None:
    fresh.trader.account()
    halt = fresh.trader.post("/api/system/emergency-stop", {"flatten": False}).json["halt_id"]
    meanwhile(users_module.Users, "check_password", changed(fresh, fresh.trader, LOOKS[deed]))
    answer = fresh.trader.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD})
    assert (answer.status_code, [each.halt_id for each in fresh.system.halts()]) == (403, [halt]), answer.text


@pytest.mark.parametrize("deed", DEEDS)
def test_engines_are_not_started_by_who_is_no_owner_by_now(fresh: Rig, meanwhile: Meanwhile, deed: str) -> None:
    second = fresh.person("second@example.com", UserRole.OWNER)
    assert fresh.owner.post("/api/system/stop", {}).status_code == 200
    meanwhile(endpoint, "read_body", changed(fresh, second, DEEDS[deed]))
    assert second.post("/api/system/start", {}).status_code == 403
    assert not fresh.system.engines_on(_id(fresh.owner))


@pytest.mark.parametrize("deed", LOOKS)
@pytest.mark.parametrize(("on", "answered"), [(False, 403), (True, 200)])
def test_a_kill_switch_goes_on_for_whoever_was_let_in_but_not_off(
    fresh: Rig, meanwhile: Meanwhile, deed: str, on: bool, answered: int
) -> None:
    account = fresh.trader.account()["id"]
    assert fresh.trader.post(f"/api/accounts/{account}/kill-switch", {"on": not on}).status_code == 200
    meanwhile(endpoint, "read_body", changed(fresh, fresh.trader, LOOKS[deed]))
    answer = fresh.trader.post(f"/api/accounts/{account}/kill-switch", {"on": on})
    assert answer.status_code == answered, answer.text
    assert fresh.system.account(account).kill_switch


def test_nothing_is_asked_twice_of_who_has_not_changed(fresh: Rig, meanwhile: Meanwhile) -> None:
    second = fresh.person("second@example.com", UserRole.OWNER)
    halt = fresh.owner.post("/api/system/emergency-stop", {"flatten": False}).json["halt_id"]
    meanwhile(users_module.Users, "check_password", changed(fresh, fresh.trader, {"role": "viewer"}))
    assert second.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 200
    assert second.post("/api/system/start", {}).status_code == 200
    assert second.post("/api/users", {"email": "new@example.com", "password": NEW, "role": "owner"}).status_code == 201

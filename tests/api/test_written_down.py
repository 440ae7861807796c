"""Every write leaves a row in the audit log: all routes are walked over by somebody who may use them, on things of their own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pyotp
import pytest

from app.api.blueprint import operations
from app.data import UserRole
from tests.api.rig import PASSWORD, Person, Rig
from tests.api.test_who_may import BODIES, PUBLIC, Belongings, ask, everything_of

Asked = tuple[str, Any]
"""Address and body."""
Make = Callable[[Person, Belongings], Asked]
Route = tuple[str, str]

NO_WRITE = {
    ("POST", "/api/signals/preview"): "it works out what would happen, and changes nothing",
    ("POST", "/api/telegram/chats"): "it asks Telegram, and changes nothing",
    ("POST", "/api/me/messages/read"): "it remembers where somebody was reading: no act of theirs",
}
ELSEWHERE = {
    ("POST", "/api/accounts/{id}/auto-login"): "needs a broker's page: tests/login",
    ("POST", "/api/datasets/sample"): "kept as any import is; a process of its own makes it first: tests/api/test_replays.py",
    ("POST", "/api/replays"): "a process of its own plays it: tests/api/test_replays.py",
    ("POST", "/api/positions/{id}/closed-elsewhere"): "needs a broker that has less than our books: tests/execution",
    ("POST", "/api/system/instruments/refresh"): "needs a broker's list: tests/launch/test_masters.py",
    ("POST", "/api/destinations/{id}/confirm"): "needs a mail server: tests/api/test_destinations.py",
    ("POST", "/api/destinations/{id}/code"): "needs a mail server: tests/api/test_destinations.py",
    ("POST", "/api/deliveries/{id}/resend"): "needs a message that did not arrive: tests/api/test_messages.py",
    ("POST", "/api/invites/{id}/resend"): "needs a minute between two mails: tests/auth/test_invites.py",
    ("POST", "/api/timetable/{id}/run"): "needs a trading day: tests/api/test_day.py",
    ("POST", "/api/users/{id}/clear-second-factor"): "needs somebody with a phone: tests/auth/test_second_factor.py",
}


def _made(person: Person, path: str, body: Any) -> str:
    answer = person.post(path, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def _bought(person: Person) -> str:
    account = person.account()["id"]
    person.bought(account)
    return str(person.get(f"/api/positions?account_id={account}").json["items"][0]["id"])


def _resting(person: Person) -> str:
    order = person.buy(person.account()["id"], order_type="LIMIT", price=f"{person.price() * 0.97:.1f}", wait_ms=30_000)["orders"][0]
    assert order["state"] == "open", order
    return str(order["order_id"])


def _halted(person: Person) -> str:
    return str(person.post("/api/system/emergency-stop", {"reason": "x", "flatten": False}).json["halt_id"])


def _mapping(person: Person) -> str:
    return str(person.mapping(person.account()["id"], person.strategy()["id"])["id"])


def _signed_in(person: Person) -> str:
    assert person.user is not None
    return person.rig.data.sign_ins.begin(person.user.user_id, "127.0.0.1", "another browser")


def _shared(person: Person, things: Belongings) -> str:
    other = person.rig.other.user
    assert other is not None
    person.post(f"/api/strategies/{things.ids['strategies']}/shares", {"email": other.email})
    return f"/api/strategies/{things.ids['strategies']}/shares/{other.user_id}"


class Phone:
    """Codes of an authenticator app, each a step later than the one before: none is good twice."""

    def __init__(self) -> None:
        self.secret = ""
        self.step = -30

    def code(self) -> str:
        shown = pyotp.TOTP(self.secret).at(int(time.time()) + self.step)
        self.step += 30
        return shown


def recipes(phone: Phone) -> dict[Route, Make]:
    """What the plain body of `test_who_may` is not enough for: a thing of its own, or a body that goes through."""
    body = {"sizing": {"mode": "percent", "value": "10"}}
    webhook = BODIES["POST", "/api/destinations"]["url"].replace("123456789012345678", "223456789012345678")

    def confirm(person: Person, _things: Belongings) -> Asked:
        phone.secret = person.post("/api/me/second-factor", {"password": PASSWORD}).json["secret"]
        return "/api/me/second-factor/confirm", {"code": phone.code()}

    return {
        ("POST", "/api/system/halts/{id}/lift"): lambda p, _: (f"/api/system/halts/{_halted(p)}/lift", {"password": PASSWORD}),
        ("POST", "/api/strategies/{id}/shares"): lambda p, t: (_shared(p, t).rpartition("/")[0], {"email": "viewer@example.com"}),
        ("DELETE", "/api/strategies/{id}/shares/{user_id}"): lambda p, t: (_shared(p, t), None),
        ("POST", "/api/mappings"): lambda p, _: (
            "/api/mappings",
            {**body, "account_id": p.account()["id"], "strategy_id": p.strategy()["id"]},
        ),
        ("POST", "/api/groups/{id}/start"): lambda p, t: (
            f"/api/groups/{_made(p, '/api/groups', {'name': 'Start', 'account_ids': [p.account()['id']]})}/start",
            {},
        ),
        ("POST", "/api/orders/{id}/cancel"): lambda p, _: (f"/api/orders/{_resting(p)}/cancel", None),
        ("PATCH", "/api/orders/{id}"): lambda p, _: (f"/api/orders/{_resting(p)}", {"quantity": "5"}),
        ("POST", "/api/positions/{id}/close"): lambda p, _: (f"/api/positions/{_bought(p)}/close", None),
        ("PUT", "/api/positions/{id}/exit-plan"): lambda p, _: (f"/api/positions/{_bought(p)}/exit-plan", {"stop_loss": {"pct": "1"}}),
        ("POST", "/api/datasets"): lambda p, _: (
            "/api/datasets?name=another",
            b"time,symbol,open,high,low,close\n2024-01-03 09:15,NSE:SBIN,1,1,1,1\n",
        ),
        ("PATCH", "/api/users/{id}"): lambda p, _: (f"/api/users/{p.rig.other.user.user_id}", {"name": "Otto"}),
        ("DELETE", "/api/invites/{id}"): lambda p, _: (f"/api/invites/{_made(p, '/api/invites', {'email': 'j@example.com'})}", None),
        ("POST", "/api/me/second-factor/confirm"): confirm,
        ("POST", "/api/me/recovery-codes"): lambda _p, _t: ("/api/me/recovery-codes", {"password": PASSWORD, "code": phone.code()}),
        ("POST", "/api/me/second-factor/off"): lambda _p, _t: ("/api/me/second-factor/off", {"password": PASSWORD, "code": phone.code()}),
        ("POST", "/api/me/password"): lambda _p, _t: ("/api/me/password", {"current": PASSWORD, "new": "an even longer one"}),
        ("POST", "/api/watchlists"): lambda _p, _t: ("/api/watchlists", {"name": "Another"}),
        ("PUT", "/api/calendar/{id}"): lambda _p, _t: ("/api/calendar/2031-03-04", {"hours": "closed"}),
        ("DELETE", "/api/calendar/{id}"): lambda _p, _t: ("/api/calendar/2031-03-04", None),
        ("POST", "/api/destinations"): lambda _p, _t: ("/api/destinations", {"channel": "discord", "url": webhook}),
        ("DELETE", "/api/mappings/{id}"): lambda p, _: (f"/api/mappings/{_mapping(p)}", None),
        ("DELETE", "/api/groups/{id}"): lambda p, _: (f"/api/groups/{_made(p, '/api/groups', {'name': 'Short', 'account_ids': []})}", None),
        ("DELETE", "/api/combined/{id}"): lambda p, _: (
            f"/api/combined/{_made(p, '/api/combined', {'scope': 'account', 'scope_id': p.account()['id'], 'stop': '1000'})}",
            None,
        ),
        ("DELETE", "/api/me/sign-ins/{id}"): lambda p, _: (f"/api/me/sign-ins/{_signed_in(p)}", None),
        ("DELETE", "/api/accounts/{id}"): lambda p, _: (f"/api/accounts/{p.account()['id']}", None),
        ("DELETE", "/api/strategies/{id}"): lambda p, _: (f"/api/strategies/{p.strategy()['id']}", None),
        ("DELETE", "/api/bot/multi-account/api-keys/{id}"): lambda p, _: (f"/api/bot/multi-account/api-keys/{p.account()['id']}", None),
    }


FIRST = ("/api/orders/{id}", "/api/positions/{id}", "/api/signals", "/api/me/second-factor")
LAST = (
    "/api/me/second-factor/off",
    "/api/me/sign-out-everywhere",
    "/api/system/emergency-stop",
    "/api/system/halts/{id}/lift",
    "/api/me/password",
)


def _turn(route: Route) -> tuple[int, bool, bool]:
    """Trading before what forbids it, making before deleting, the end of everything at the end."""
    method, path = route
    return LAST.index(path) + 1 if path in LAST else 0, method == "DELETE", not path.startswith(FIRST)


@pytest.mark.slow
def test_every_write_leaves_a_row_in_the_log(fresh: Rig) -> None:
    owner = fresh.owner
    assert fresh.other.user
    assert fresh.viewer.user
    things = everything_of(fresh, owner)
    own = recipes(Phone())
    routes: list[Route] = [(one.method, one.path) for one in operations() if one.method != "GET" and (one.method, one.path) not in PUBLIC]
    assert set(own) | set(NO_WRITE) | set(ELSEWHERE) <= set(routes), "a recipe for a route that is no more"
    refused, silent = [], []
    for route in sorted(routes, key=_turn):
        if route in NO_WRITE or route in ELSEWHERE:
            continue
        method, path = route
        if route in own:
            address, body = own[route](owner, things)
            sent = {"data": body, "headers": {"Content-Type": "text/csv"}} if isinstance(body, bytes) else {"body": body}
            before = _rows(fresh)
            answer = owner.call(method, address, **sent)
        else:
            before = _rows(fresh)
            answer = ask(owner, method, path, things.of(path) if "{" in path else "", things.ids["accounts"], things.ids["strategies"])
        if answer.status_code >= 400:
            refused.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        elif _rows(fresh) == before:
            silent.append(f"{method} {path}")
    assert (refused, silent) == ([], [])
    assert fresh.data.audit.check().whole


def _rows(rig: Rig) -> int:
    rig.data.journal.run(lambda _: None)
    return rig.data.audit.list(None, limit=1).items[0].audit_id


def test_an_alert_is_in_the_log_of_its_webhooks_owner(fresh: Rig) -> None:
    trader = fresh.trader
    hook = trader.post("/api/webhooks", {"name": "TradingView", "account_ids": [trader.account()["id"]]}).json
    alert = {"symbol": "NSE:INFY", "side": "BUY", "quantity": "1"}
    assert fresh.nobody.post(f"/api/webhooks/{hook['secret']}", alert).status_code == 202
    fresh.data.journal.run(lambda _: None)
    newest = trader.get("/api/audit?via=webhook").json["items"][0]
    assert (newest["action"], newest["object_kind"], newest["after"]["symbol"]) == ("signal.sent", "signal", "NSE:INFY")
    assert hook["secret"] not in str(newest)


STOPS = {
    "emergency_stop": lambda me, account, group: me.post("/api/system/emergency-stop", {"flatten": False}),
    "engines.stop": lambda me, account, group: me.post("/api/system/stop", {}),
    "account.kill_switch": lambda me, account, group: me.post(f"/api/accounts/{account}/kill-switch", {"on": True}),
    "group.stopped": lambda me, account, group: me.post(f"/api/groups/{group}/stop", {"flatten": False}),
}


@pytest.mark.parametrize("action", STOPS)
def test_who_stopped_is_on_disk_when_the_stop_is_answered(rig: Rig, action: str) -> None:
    """A machine that dies in the next moment has stopped, and says who asked for it."""
    me = rig.person(f"who.{action.replace('_', '.')}@example.com", UserRole.TRADER)
    assert me.user is not None
    account = me.account()["id"]
    group = _made(me, "/api/groups", {"name": "Desk", "account_ids": [account]})
    answer = STOPS[action](me, account, group)
    with closing(sqlite3.connect(rig.data.data_dir / "tandem.db")) as another:
        (rows,) = another.execute("SELECT count(*) FROM audit WHERE action = ? AND user_id = ?", (action, me.user.user_id)).fetchone()
    assert answer.status_code in (200, 202), answer.text
    assert rows == 1

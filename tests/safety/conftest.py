"""A workspace with somebody who has one of everything, under names and numbers that occur nowhere else, and with everybody who must not see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient

from app.data import UserRole
from app.newsroom import LiveBooks, Newsroom
from app.replays import Replay, Spec
from app.workspace import EXTENSION
from engines.ports import SystemClock
from tests.api.conftest import fresh
from tests.api.rig import PASSWORD, Person, Rig
from tests.auth.conftest import _front, front

__all__ = ["_front", "fresh", "front"]

NAME = "Quetzal"
CAPITAL = "9876543.21"
ROOM = f"https://discord.com/api/webhooks/123456789012345678/{NAME}-and-a-secret-of-some-length-0123456789"
CANDLE = b"time,symbol,open,high,low,close\n2024-01-02 09:15,NSE:INFY,1,1,1,1\n"


@pytest.fixture(scope="package")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("safety") / "data") as made:
        yield made


@dataclass(slots=True)
class Belongings:
    """One of everything of one person: `ids` by the first word of its address, `words` that nobody else may ever read."""

    person: Person
    ids: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def names_in(self, text: str) -> list[str]:
        return [word for word in (*self.words, *self.ids.values()) if word in text]


@pytest.fixture(scope="package")
def belongings(rig: Rig) -> Belongings:
    me = rig.person("quetzal@example.com", UserRole.TRADER)
    assert me.user is not None
    account = me.account(name=f"{NAME} account", capital=CAPITAL)["id"]
    strategy = me.strategy(name=f"{NAME} strategy")["id"]
    room = _made(me, "/api/destinations", {"channel": "discord", "name": f"{NAME} room", "url": ROOM})  # told of what happens from now on
    order = me.bought(account, quantity="7")["order_id"]
    group = _made(me, "/api/groups", {"name": f"{NAME} group", "account_ids": [account]})
    spec = Spec("nowhere", "2024-01-03", "2024-01-03", (), (), ())
    replay = Replay("the-replay-of-quetzal", me.user.user_id, f"{NAME} replay", "none", spec, 0.0)
    replay.end("stopped")
    rig.app.extensions[EXTENSION].replays._replays[replay.replay_id] = replay
    dataset = me.call("POST", f"/api/datasets?name={NAME}+data", data=CANDLE, headers={"Content-Type": "text/csv"}).json["id"]
    ids = {
        "accounts": account,
        "strategies": strategy,
        "mappings": me.mapping(account, strategy)["id"],
        "orders": order,
        "signals": me.get(f"/api/orders/{order}").json["signal"]["signal_id"],
        "positions": me.get(f"/api/positions?account_id={account}").json["items"][0]["id"],
        "groups": group,
        "limits": _made(me, "/api/combined", {"scope": "group", "scope_id": group, "stop": "1000000"}),
        "webhooks": _made(me, "/api/webhooks", {"name": f"{NAME} hook", "account_ids": [account]}),
        "tokens": _made(me, "/api/tokens", {"name": f"{NAME} token"}),
        "watchlists": _made(me, "/api/watchlists", {"name": f"{NAME} list"}),
        "backtests": _made(me, "/api/backtests", {"name": f"{NAME} study", "kind": "ema_cross", "sample": {"days": 2}}),
        "data": dataset,
        "replay": replay.replay_id,
        "consents": _made(me, "/api/consents", {"account_id": account, "holder": f"{NAME} senior", "relation": "parent"}),
        "destinations": room,
        "users": me.user.user_id,
    }
    kin = rig.person("kin-of-hers@example.com", UserRole.TRADER)
    assert kin.user is not None
    assert me.post(f"/api/strategies/{strategy}/shares", {"email": kin.user.email}).status_code == 201
    assert kin.get(f"/api/strategies/{strategy}").status_code == 200
    Newsroom(rig.data, LiveBooks(rig.system), Later(), Later()).step()  # what happened is put into words, and on its way to her room
    return Belongings(me, ids, (NAME, "quetzal", CAPITAL, "98,76,543", "9,876,543"))


class Later(SystemClock):
    """A minute from now: everything that happened is ripe to be told."""

    def now(self) -> float:
        return super().now() + 60.0


def _made(me: Person, path: str, body: Mapping[str, object]) -> str:
    answer = me.post(path, dict(body))
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


@pytest.fixture(scope="package")
def at_browser(rig: Rig) -> Callable[[Person | None], FlaskClient]:
    """The browser of somebody who has signed in through the page with e-mail and password (None: of nobody)."""
    signed: dict[str | None, FlaskClient] = {}

    def sit_down(person: Person | None) -> FlaskClient:
        email = person.user.email if person is not None and person.user else None
        if email not in signed:
            client = signed[email] = rig.app.test_client()
            if email is not None:
                form = {"email": email, "password": PASSWORD, "csrf_token": csrf_of(client.get("/login").text)}
                assert client.post("/login", data=form).status_code == 302
        return signed[email]

    return sit_down


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"|name="csrf-token" content="([^"]+)"', page)
    assert found
    return found[1] or found[2]

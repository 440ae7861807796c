"""Whatever ends somebody's say over an account ends its entries at once, those that wait in their lane among them, while exits still go.

One strategy, shared with a person whose paper account takes its time for each order: a crowd of signals is on its way when the switch is turned.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from werkzeug.test import TestResponse

from app.data import UserRole
from engines.core.model import FINAL_STATES, Order, OrderState, Side, Signal, Source
from tests.api.rig import Person, Rig

CROWD = 10
LATENCY_MS = 40
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scene:
    rig: Rig
    giver: Person  # whose strategy it is
    taker: Person  # whose account it trades on
    strategy: str
    account: str
    ids: Mapping[str, str]

    def by_hand(self, side: Side, *, reduce_only: bool = False) -> Sequence[Order]:
        """The taker's own wish, let in at the door just before: it names the account and belongs to no strategy."""
        key = self.rig.system.ids.new()
        wish = Signal(key, key, self.ids["taker"], Source.MANUAL, "NSE:INFY", side, self.rig.system.clock.now())
        return self.rig.system.submit(replace(wish, quantity=Decimal(1), account_ids=(self.account,), reduce_only=reduce_only)).orders

    def signal(self, side: Side, *, reduce_only: bool = False) -> None:
        assert self.giver.user is not None
        key = self.rig.system.ids.new()
        self.rig.system.submit(
            Signal(
                key=key,
                signal_id=key,
                user_id=self.giver.user.user_id,
                source=Source.STRATEGY,
                symbol="NSE:INFY",
                side=side,
                created_at=self.rig.system.clock.now(),
                strategy_id=self.strategy,
                reduce_only=reduce_only,
            )
        )

    @contextmanager
    def crowd(self, entry: Callable[[Side], object] | None = None) -> Iterator[None]:
        """Entries always wait in the lane, however long the switch takes on a busy machine."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(0.005):
                if sum(order.state is OrderState.PLANNED for order in self.entries()) < CROWD:
                    (entry or self.signal)(Side.BUY)

        signals = threading.Thread(target=go_on, name="a crowd of signals")
        signals.start()
        try:
            yield
        finally:
            over.set()
            signals.join()

    def entries(self) -> list[Order]:
        desk = self.rig.system.roster.desk(self.account)
        assert desk is not None
        with desk.lock:
            return [order for order in desk.orders.values() if order.raises_exposure]

    def held(self) -> Decimal:
        desk = self.rig.system.roster.desk(self.account)
        assert desk is not None
        with desk.lock:
            return sum((position.quantity for position in desk.open_positions()), Decimal(0))


def until(true: Callable[[], object], patience: float = 40.0) -> None:
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.005)


@pytest.fixture
def scene(rig: Rig) -> Scene:
    name = next(_names)
    giver, taker = rig.person(f"giver{name}@example.com", UserRole.TRADER), rig.person(f"taker{name}@example.com", UserRole.TRADER)
    assert giver.user is not None
    assert taker.user is not None
    strategy = giver.strategy()["id"]
    assert giver.post(f"/api/strategies/{strategy}/shares", {"email": taker.user.email}).status_code == 201
    account = taker.account(paper={"latency_ms": LATENCY_MS})["id"]
    consent = {"account_id": account, "holder": "Meera", "relation": "spouse"}
    ids = {
        "taker": taker.user.user_id,
        "mapping": taker.mapping(account, strategy)["id"],
        "group": taker.post("/api/groups", {"name": "Family", "account_ids": [account]}).json["id"],
        "consent": taker.post("/api/consents", consent).json["id"],
    }
    taker.bought(account, quantity="1")  # prices are there
    return Scene(rig, giver, taker, strategy, account, ids)


Switch = Callable[[Scene], TestResponse]

SWITCHES: dict[str, Switch] = {
    "the share ends": lambda s: s.giver.delete(f"/api/strategies/{s.strategy}/shares/{s.ids['taker']}"),
    "the taker leaves": lambda s: s.taker.delete(f"/api/strategies/{s.strategy}/shares/{s.ids['taker']}"),
    "the strategy is deleted": lambda s: s.giver.delete(f"/api/strategies/{s.strategy}"),
    "the mapping is off": lambda s: s.taker.patch(f"/api/mappings/{s.ids['mapping']}", {"enabled": False}),
    "auto-trade is off": lambda s: s.taker.post(f"/api/accounts/{s.account}/auto-trade", {"on": False}),
    "a dry run": lambda s: s.taker.patch(f"/api/accounts/{s.account}", {"dry_run": True}),
    "the consent is revoked": lambda s: s.taker.post(f"/api/consents/{s.ids['consent']}/revoke", {}),
    "the group is paused": lambda s: s.taker.post(f"/api/groups/{s.ids['group']}/pause"),
    "a viewer from now on": lambda s: s.rig.owner.patch(f"/api/users/{s.ids['taker']}", {"role": "viewer"}),
    "the person is switched off": lambda s: s.rig.owner.patch(f"/api/users/{s.ids['taker']}", {"active": False}),
    "the giver is switched off": lambda s: s.rig.owner.patch(f"/api/users/{s.giver.user.user_id}", {"active": False}),  # type: ignore[union-attr]
    "an emergency stop": lambda s: s.taker.post("/api/system/emergency-stop", {"flatten": False}),
    "the kill switch": lambda s: s.taker.post(f"/api/accounts/{s.account}/kill-switch", {"on": True}),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_no_entry_leaves_after_the_answer_and_exits_still_go(scene: Scene, switch: str) -> None:
    with scene.crowd():
        until(lambda: scene.held() > 1)
        answer = SWITCHES[switch](scene)
        answered = scene.rig.system.clock.now()
    assert answer.status_code in (200, 202, 204), answer.text
    until(lambda: all(order.state in FINAL_STATES for order in scene.entries()))
    entries = scene.entries()
    assert [order.sent_at - answered for order in entries if order.sent_at is not None and order.sent_at > answered] == []
    kept = [order for order in entries if order.sent_at is None]
    assert kept, "some still waited, or this shows nothing"
    assert {order.state for order in kept} <= {OrderState.DENIED, OrderState.CANCELLED}
    before = len(entries)
    scene.signal(Side.BUY)
    assert [order.state for order in scene.entries()[before:]] in ([], [OrderState.DENIED])
    held = scene.held()
    scene.signal(Side.SELL, reduce_only=True)
    if switch == "the strategy is deleted":
        assert held > 1  # nobody is left to close it but its exit plans
    else:
        until(lambda: scene.held() == 1)  # what was bought by hand stays


@pytest.mark.parametrize("switch", ["a viewer from now on", "the person is switched off"])
def test_nor_does_an_entry_by_hand_of_somebody_who_may_not_trade_any_more(scene: Scene, switch: str) -> None:
    with scene.crowd(scene.by_hand):
        until(lambda: scene.held() > 1)
        answer = SWITCHES[switch](scene)
        answered = scene.rig.system.clock.now()
    assert answer.status_code == 200, answer.text
    until(lambda: all(order.state in FINAL_STATES for order in scene.entries()))
    assert [order for order in scene.entries() if order.sent_at is not None and order.sent_at > answered] == []
    assert [order for order in scene.entries() if order.sent_at is None], "some still waited, or this shows nothing"
    assert [(order.state, order.reason) for order in scene.by_hand(Side.BUY)] == [(OrderState.DENIED, "auto_trade_off")]
    held = scene.held()
    scene.by_hand(Side.SELL, reduce_only=True)
    until(lambda: scene.held() == held - 1)


@pytest.mark.parametrize("switch", ["a viewer from now on", "the person is switched off"])
def test_an_entry_by_hand_that_rests_at_the_broker_is_cancelled(scene: Scene, switch: str) -> None:
    price = f"{scene.taker.price() * 0.97:.0f}.00"
    (resting,) = scene.taker.buy(scene.account, order_type="LIMIT", price=price, wait_ms=0, status=202)["orders"]
    until(lambda: scene.rig.system.order(resting["order_id"], scene.account).state is OrderState.OPEN)
    assert SWITCHES[switch](scene).status_code == 200
    until(lambda: scene.rig.system.order(resting["order_id"], scene.account).state is OrderState.CANCELLED)


def test_who_may_only_look_is_told_that_nothing_is_entered_any_more(scene: Scene) -> None:
    assert scene.rig.owner.patch(f"/api/users/{scene.ids['taker']}", {"role": "viewer"}).status_code == 200
    assert scene.taker.get(f"/api/accounts/{scene.account}").json["auto_trade"] is False
    told = [row for row in scene.rig.data.outbox.new() if row.kind == "auto_trade_off"]
    assert [row.user_id for row in told][-1] == scene.ids["taker"]
    log = scene.taker.get(f"/api/audit?object_id={scene.account}").json["items"]
    assert (log[0]["action"], log[0]["via"]) == ("account.changed", "system")

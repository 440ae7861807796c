"""The real program, with nothing of ours in between, at four emulated brokers: lists, prices, orders, a stop that fires on a live price, the stop of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest

from engines.ports import SystemClock
from tests.contract.venues import VENUES, Venue
from tests.emulators.core.emulator import EmulatedAccount, Emulator
from tests.support.server import Server

PATIENCE = 60.0


class Whole:
    def __init__(self, server: Server, emulators: dict[str, Emulator]) -> None:
        self.server, self.emulators, self.api = server, emulators, server.api
        self.accounts: dict[str, tuple[str, EmulatedAccount]] = {}

    def until(self, what: str, true: object) -> None:
        deadline = SystemClock().monotonic() + PATIENCE
        while not true():  # type: ignore[operator]
            assert SystemClock().monotonic() < deadline, f"{what}: it did not come true"
            Event().wait(0.05)

    def add(self, venue: Venue) -> None:
        emulated = self.emulators[venue.emulated_by].add_account(**venue.options)
        body = {
            "name": f"My {venue.kind}",
            "broker": venue.kind,
            "credentials": emulated.credentials,
            "capital": "1000000",
            "dry_run": False,
        }
        answer = self.api.post("/api/accounts", body)
        assert answer.status == 201, answer.text
        self.accounts[venue.kind] = (answer.json["id"], emulated)

    def price(self, venue: Venue) -> Decimal | None:
        (row,) = self.api.get(f"/api/quotes?symbols={venue.symbol}").json["items"]
        return None if row["last_price"] is None else Decimal(row["last_price"])

    def held(self, venue: Venue) -> Decimal:
        account_id, _ = self.accounts[venue.kind]
        return sum((Decimal(row["quantity"]) for row in self.api.get(f"/api/positions?account_id={account_id}").json["items"]), Decimal(0))

    def truly_held(self, venue: Venue) -> Decimal:
        _, emulated = self.accounts[venue.kind]
        return self.emulators[venue.emulated_by].position(emulated, venue.symbol)


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    with ExitStack() as stack:
        emulators = {name: stack.enter_context(venue.emulator()) for name, venue in {v.emulated_by: v for v in VENUES}.items()}
        server = Server(tmp_path / "data", env={k: v for each in emulators.values() for k, v in each.endpoints().items()})
        server.make_owner()
        stack.enter_context(server)
        yield Whole(server, emulators)


@pytest.mark.slow
def test_a_day_at_four_brokers(whole: Whole) -> None:
    for venue in VENUES:
        whole.emulators[venue.emulated_by].price(venue.symbol, venue.price)
        whole.add(venue)
    states = lambda: {row["broker"]: (row["state"], row["currency"]) for row in whole.api.get("/api/accounts").json["items"]}  # noqa: E731
    ready = {"zerodha": "INR", "angelone": "INR", "binance_spot": "USDT", "binance_usdm": "USDT"}
    whole.until("all four are signed in", lambda: states() == {kind: ("ready", currency) for kind, currency in ready.items()})
    listed = lambda: {row["broker"] for row in whole.api.get("/api/system/instruments").json["lists"] if row["loaded_at"]}  # noqa: E731
    whole.until("the lists of all four", lambda: len(listed()) == len(VENUES))
    for venue in VENUES:
        whole.until(f"a real price of {venue.symbol}", lambda venue=venue: whole.price(venue) == venue.price)
        _, emulated = whole.accounts[venue.kind]
        body = {
            "account_ids": [whole.accounts[venue.kind][0]],
            "symbol": venue.symbol,
            "side": "BUY",
            "order_type": "MARKET",
            "quantity": str(venue.quantity),
            "stop_loss": str(venue.price * Decimal("0.98") // venue.tick * venue.tick),
            "wait_ms": 30_000,
        }
        answer = whole.api.post("/api/signals/manual", body)
        (order,) = answer.json["orders"]
        assert order["state"] in ("open", "partly_filled", "filled"), answer.text
        whole.until(f"{venue.kind} holds", lambda venue=venue: whole.held(venue) == whole.truly_held(venue) > 0)
        (booked,) = whole.emulators[venue.emulated_by].book(emulated)
        assert (booked.client_id, booked.filled) == (order["client_id"], venue.quantity)
    stopped, others = VENUES[0], VENUES[2:]
    for venue in VENUES[:2]:  # the same share at two brokers: each account's own stop sells its own
        whole.emulators[venue.emulated_by].price(stopped.symbol, stopped.price * Decimal("0.97") // stopped.tick * stopped.tick)
    for venue in VENUES[:2]:
        whole.until(f"the stop at {venue.kind}", lambda venue=venue: whole.held(venue) == 0 == whole.truly_held(venue))
    assert all(whole.truly_held(venue) > 0 for venue in others)
    halt = whole.api.post("/api/system/emergency-stop", {"reason": "the end of the day"}).json["halt_id"]
    whole.until("all flat", lambda: {row["state"] for row in whole.api.get(f"/api/system/halts/{halt}").json["accounts"]} == {"flat"})
    assert all(whole.truly_held(venue) < venue.lot for venue in VENUES)

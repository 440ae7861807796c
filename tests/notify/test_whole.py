"""The real program trades, tells of it, is killed in the middle of both, and starts again: every order is told, none is told twice for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.notify.house import until
from tests.notify.messengers import DiscordDouble
from tests.support.server import Server

ACCOUNTS = 4
SIGNALS = 6


def signal(server: Server, accounts: list[str], number: int) -> None:
    side = "BUY" if number % 2 == 0 else "SELL"
    order = {
        "signal_id": f"S{number}",
        "account_ids": accounts,
        "symbol": "NSE:INFY",
        "side": side,
        "order_type": "MARKET",
        "quantity": "1",
    }
    answer = server.api.post("/api/signals/manual", order | {"wait_ms": 30_000})
    assert [order["state"] for order in answer.json["orders"]] == ["filled"] * ACCOUNTS


def all_of(server: Server, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = server.api.get(f"{path}?limit=500").json["items"]
    return rows


@pytest.mark.slow
def test_killed_while_it_trades_and_tells_every_order_is_told(data_dir: Path, discord: DiscordDouble) -> None:
    server = Server(data_dir, env={"DISCORD_ROOT": discord.root, "TANDEM_RECORD": "off"})
    server.make_owner()
    with server:
        made = [
            server.api.post("/api/accounts", {"name": f"A{at}", "broker": "paper", "capital": "1000000", "credentials": {}})
            for at in range(ACCOUNTS)
        ]
        accounts = [answer.json["id"] for answer in made]
        place = server.api.post("/api/destinations", {"channel": "discord", "url": discord.webhook()})
        assert place.status == 201, place.text
        for number in range(SIGNALS // 2):
            signal(server, accounts, number)
        discord.moods.append("hold")  # what comes first is taken, and its answer is never seen
        until(discord.hanging.is_set)
        signal(server, accounts, SIGNALS // 2)
        server.kill()
        taken = len(discord.taken)
        server.start()
        for number in range(SIGNALS // 2 + 1, SIGNALS):
            signal(server, accounts, number)

        def told() -> list[dict[str, Any]]:
            return [row for row in all_of(server, "/api/messages") if row["kind"] in ("order", "signal")]

        def done() -> bool:
            rows = told()
            return len(rows) == SIGNALS * (ACCOUNTS + 1) and all([way["status"] for way in row["deliveries"]] == ["sent"] for row in rows)

        until(done)
        orders = {order["order_id"] for order in all_of(server, "/api/orders")}
        assert len(orders) == SIGNALS * ACCOUNTS
        rows = told()
        assert {order for order in orders if any(order in row["footer"] for row in rows if row["kind"] == "order")} == orders
        assert {int(row["id"]) for row in rows} <= set(discord.taken)
        assert len(discord.twice()) == taken
        assert discord.faults == []
        assert server.stop() == 0

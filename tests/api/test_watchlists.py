"""Watchlists: a person's own, in the person's order; and the day of an instrument with the levels of the person's strategies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engines.core.facts import CandleClosed, LevelsFixed
from engines.core.model import ChartLevel, Side
from engines.core.sessions import DAY, day_start, session_day
from tests.api.rig import Person, Rig


def made(person: Person, name: str, *symbols: str) -> dict[str, Any]:
    answer = person.post("/api/watchlists", {"name": name, "symbols": list(symbols)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_list_keeps_its_order_and_takes_and_gives_instruments(rig: Rig) -> None:
    mine = made(rig.trader, "Morning", "NSE:INFY", "NSE:SBIN")
    address = f"/api/watchlists/{mine['id']}"
    assert rig.trader.patch(address, {"add": ["NSE:TCS", "NSE:INFY"]}).json["symbols"] == ["NSE:INFY", "NSE:SBIN", "NSE:TCS"]
    assert rig.trader.patch(address, {"remove": ["NSE:INFY"]}).json["symbols"] == ["NSE:SBIN", "NSE:TCS"]
    assert rig.trader.patch(address, {"symbols": ["NSE:TCS", "NSE:SBIN"], "name": "Later"}).json["symbols"] == ["NSE:TCS", "NSE:SBIN"]
    assert rig.trader.get(address).json["name"] == "Later"
    assert rig.trader.delete(address).status_code == 204
    assert rig.trader.get(address).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "One"}, 409, None),
        ({"name": " "}, 422, "name"),
        ({"name": "x", "symbols": ["NSE:NOPE"]}, 422, "symbols"),
        ({"name": "x", "symbols": ["NSE:INFY", "NSE:INFY"]}, 422, "symbols"),
    ],
)
def test_what_cannot_be_a_list_is_told(rig: Rig, body: dict[str, Any], status: int, field: str | None) -> None:
    if not any(each["name"] == "One" for each in rig.trader.get("/api/watchlists").json["items"]):
        made(rig.trader, "One")
    answer = rig.trader.post("/api/watchlists", body)
    assert answer.status_code == status
    assert field is None or field in answer.json["errors"]


def test_the_whole_list_and_changes_of_it_do_not_go_together(rig: Rig) -> None:
    mine = made(rig.trader, "Both")
    assert rig.trader.patch(f"/api/watchlists/{mine['id']}", {"symbols": [], "add": ["NSE:INFY"]}).status_code == 422


def test_the_day_shows_range_change_and_the_levels_of_ones_own_strategies(rig: Rig) -> None:
    now = rig.system.clock.now()
    yesterday, today = day_start(now, "NSE") - DAY, session_day(now, "NSE")
    strategy = rig.trader.strategy(instruments=["NSE:ITC"], active=True)
    level = ChartLevel("B", 431.5, "entry", Side.BUY)
    rig.data.journal.append(
        CandleClosed("NSE:ITC", "1d", yesterday, 400.0, 420.0, 390.0, 400.0, 1.0),
        LevelsFixed(strategy["id"], "NSE:ITC", today, (level,), "ARMED", now),
    )
    rig.data.journal.commit(CandleClosed("NSE:ITC", "1d", yesterday - DAY, 1.0, 1.0, 1.0, 1.0, 1.0))
    row = rig.trader.get("/api/days?symbols=NSE:ITC").json["items"][0]
    last = Decimal(row["last_price"])
    assert Decimal(row["previous_close"]) == 400
    assert Decimal(row["change"]) == last - 400
    assert Decimal(row["change_pct"]) == ((last - 400) / 4).quantize(Decimal("0.01"))
    assert row["levels"] == [
        {"strategy_id": strategy["id"], "strategy": strategy["name"], "price": "431.50", "name": "B", "kind": "entry", "side": "BUY"}
    ]
    assert rig.other.get("/api/days?symbols=NSE:ITC").json["items"][0]["levels"] == []

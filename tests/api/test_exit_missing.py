"""A position whose exit has failed stays under "Needs you" of whoever it belongs to, and of nobody else, also after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.brokers.paper import PaperBroker
from engines.core.model import Side, Signal, Source
from engines.execution.incidents import EXIT_MISSING
from engines.ports import OrderRequest, Permit, Refused
from tests.api.rig import Person, Rig
from tests.api.test_groups import until


def close(rig: Rig, person: Person, account_id: str, source: Source) -> None:
    assert person.user
    ids, now = rig.system.ids, rig.system.clock.now()
    signal = Signal(
        ids.new(), ids.new(), person.user.user_id, source, "NSE:INFY", Side.SELL, now, account_ids=(account_id,), reduce_only=True
    )
    rig.system.submit(signal, 30.0)


def needs(person: Person) -> list[Any]:
    return [row["account_id"] for row in person.get(f"/api/incidents?open=true&kind={EXIT_MISSING}").json["items"]]


def test_it_needs_its_owner_and_nobody_else_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = PaperBroker.place

    def refuse(broker: PaperBroker, request: OrderRequest, permit: Permit) -> Any:
        if not request.reduce_only:
            return place(broker, request, permit)
        with permit():
            raise Refused("margin exceeds available funds")

    monkeypatch.setattr(PaperBroker, "place", refuse)
    with Rig(tmp_path / "data") as first:
        account = first.trader.account()["id"]
        first.trader.bought(account)
        close(first, first.trader, account, Source.WEBHOOK)
        until(lambda: needs(first.trader) == [account])
        assert (needs(first.owner), needs(first.other)) == ([], [])
    with Rig(tmp_path / "data") as rig:
        assert (needs(rig.trader), needs(rig.owner), needs(rig.other)) == ([account], [], [])
        monkeypatch.undo()
        close(rig, rig.trader, account, Source.MANUAL)
        until(lambda: needs(rig.trader) == [])

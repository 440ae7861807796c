"""The log in words: what people read of a row, never what the program writes for itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.api.audit.schemas import AuditOut
from app.pages.changes import Change, changes

AT = datetime(2026, 11, 20, 6, 9, tzinfo=UTC)
NAMES = {"A1": "Family paper", "S1": "EMA cross", "U2": "Ravi", "U1": "you"}
PLAN = {"targets": [{"share_pct": "50", "pct": "2"}, {"pct": "4", "share_pct": "50"}], "stop_pct": "1.50"}


def row(kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> AuditOut:
    return AuditOut(
        id="1", at=AT, actor="U1", actor_name="you", via="web", ip=None, action=f"{kind}.changed", object_kind=kind,
        object_id="X", object_name="", before=before, after=after, names=NAMES,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "before", "after", "lines"),
    [
        ("account", {"capital": "1000000", "auto_trade": False}, {"capital": "1250000.50", "auto_trade": True},
         [("capital", "₹10,00,000", "₹12,50,000.50"), ("auto-trade", "off", "on")]),
        ("account", {"limits": {"max_daily_loss": None, "max_daily_loss_pct": "3.0", "max_trades_per_day": 10}},
         {"limits": {"max_daily_loss": "5000", "max_daily_loss_pct": "2", "max_trades_per_day": 10}},
         [("limits › max daily loss", "–", "₹5,000"), ("limits › max daily loss", "3 %", "2 %")]),
        ("account", {"paper": {"latency_ms": 0, "partial_fills": False}}, {"paper": {"latency_ms": 800, "partial_fills": True}},
         [("simulated exchange › latency", "0 ms", "800 ms"), ("simulated exchange › partial fills", "no", "yes")]),
        ("account", None, {"names": ["api_key", "api_secret"]}, [("fields", None, "api key, api secret")]),
        ("mapping", {"sizing": {"mode": "percent", "value": "100"}}, {"sizing": {"mode": "fixed_quantity", "value": "10"}},
         [("sizing", "100 % a signal", "10 units")]),
        ("mapping", None, {"account_id": "A1", "strategy_id": "S1", "allocation_pct": "50", "enabled": True},
         [("account", None, "Family paper"), ("strategy", None, "EMA cross"), ("allocation", None, "50 %"), ("switched", None, "on")]),
        ("strategy", {"exit_plan": None}, {"exit_plan": PLAN},
         [("exit plan › targets", None, "at 2 %, share 50 %; at 4 %, share 50 %"), ("exit plan › stop", None, "1.5 %")]),
        ("strategy", None, {"user_id": "U2", "email": "ravi@example.com"}, [("email", None, "ravi@example.com")]),
        ("mapping", {"enabled": True}, {"enabled": False, "why": "Asha ended the share."},
         [("switched", "on", "off"), ("because", None, "Asha ended the share.")]),
        ("strategy", {"reentry": {"mode": "asap"}}, {"reentry": None},
         [("re-entries › mode", "asap", "–")]),
        ("group", {"account_ids": ["A1"]}, {"account_ids": ["A1", "0MWQVCQ4E856XWZJENAA9"]},
         [("accounts", "Family paper", "Family paper, 0MWQVCQ4E85…NAA9")]),
        ("combined_rule", {"stop": "2500"}, {"stop": "3000"}, [("stop", "₹2,500", "₹3,000")]),
        ("consent", None, {"holder": "api_key", "until": 1795293855.0, "user_id": "U1"},
         [("holder", None, "api_key"), ("until", None, "22 Nov 2026 02:14:15")]),
    ],
)  # fmt: skip
def test_a_change_reads_as_people_say_it(kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None, lines: list[Any]) -> None:
    found = changes(row(kind, before, after))
    assert not any(mark in str(part) for change in found for part in (change.before, change.after) for mark in "{}[]'")
    assert found == [Change(*line) for line in lines]

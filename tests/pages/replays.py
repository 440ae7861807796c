"""Replays of the sample book: one that is done and one that failed, with what the first one showed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.api.replays.schemas import ReplayFramesOut, ReplayOut

_OPENS = datetime.fromisoformat("2024-01-03T09:15:00+05:30").timestamp()
_STARTED = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)


def _replay(id: str, state: str, **changes: Any) -> ReplayOut:
    given: dict[str, Any] = {
        "name": "NIFTY, one minute, 2024-01-03",
        "dataset_id": "D2",
        "day": "2024-01-03",
        "last_day": "2024-01-03",
        "speed": 600.0,
        "failed": None,
        "progress": 1.0,
        "at": datetime(2024, 1, 3, 10, 0, tzinfo=UTC),
        "started_at": _STARTED,
        "strategy_ids": ["S1"],
        "account_ids": ["A1", "A2"],
        **changes,
    }
    return ReplayOut(id=id, state=state, **given)


REPLAYS = [
    _replay("RP2", "failed", failed="there is nothing to play between these days", progress=0.0, at=None, last_day="2024-01-05"),
    _replay("RP1", "done"),
]


def _order(number: int, account: str, minute: int, role: str, side: str, price: float, **changes: Any) -> dict[str, Any]:
    at = _OPENS + 60.0 * minute
    return {
        "order_id": f"O{number}",
        "account_id": account,
        "symbol": "NSE:SBIN",
        "side": side,
        "role": role,
        "state": "filled",
        "reason": None,
        "quantity": "100",
        "filled_quantity": "100",
        "average_price": f"{price:.2f}",
        "strategy_id": "S1",
        "created_at": at,
        "updated_at": at,
        **changes,
    }


def _account(account: str, net: str) -> dict[str, Any]:
    return {
        "account_id": account,
        "state": "ready" if account == "A1" else "halted",
        "state_detail": "" if account == "A1" else "daily_loss",
        "equity": "500000.00",
        "realised": net,
        "unrealised": "0.00",
        "charges": "41.20",
        "net": net,
        "trades": 1,
        "open_positions": 0,
    }


def _position(account: str) -> dict[str, Any]:
    return {
        "position_id": f"X{account}",
        "account_id": account,
        "symbol": "NSE:SBIN",
        "strategy_id": "S1",
        "quantity": "50",
        "average_price": "812.40",
        "last_price": "815.00",
        "realised": "130.00",
        "unrealised": "130.00",
        "charges": "20.60",
        "plan": {
            "stop": "812.40",
            "armed": True,
            "targets": [
                {"price": "815.00", "quantity": "50", "fired": True},
                {"price": "818.00", "quantity": "50", "fired": False},
            ],
        },
    }


def frames(replay_id: str) -> ReplayFramesOut:
    """Everything that the replay showed."""
    one = next(each for each in REPLAYS if each.id == replay_id)
    shown: dict[str, Any] = {name: [] for name in ("log", "candles", "orders", "positions", "accounts", "strategies", "incidents")}
    if one.state == "done":
        closes = [812.0 + 0.05 * minute for minute in range(90)]
        shown |= {
            "candles": [
                {
                    "symbol": "NSE:SBIN",
                    "timeframe": "5m",
                    "start": _OPENS + 300.0 * n,
                    "ohlc": [close - 0.5, close + 0.6, close - 0.9, close],
                    "volume": 1000.0,
                }
                for n, close in enumerate(closes)
            ],
            "orders": [
                _order(1, "A1", 60, "entry", "BUY", 812.4),
                _order(2, "A1", 90, "target", "SELL", 815.0),
                _order(3, "A2", 60, "entry", "BUY", 812.4, state="denied", reason="daily_loss", filled_quantity="0", average_price=None),
            ],
            "accounts": [_account("A1", "238.80"), _account("A2", "-41.20")],
            "positions": [_position("A1")],
            "strategies": [{"strategy_id": "S1", "quarantined": None, "stances": {"NSE:SBIN": 1}}],
            "incidents": [{"kind": "feed_silent", "message": "there was no price for 90 seconds"}],
            "log": [
                "2024-01-03 10:15  all  NSE:SBIN  signal BUY  S1-1704257100000000-B-0a1b2c3d4e5f",
                "2024-01-03 10:15  A1  NSE:SBIN  entry BUY 100 at 812.4",
                "2024-01-03 10:15  A2  NSE:SBIN  denied BUY daily_loss",
                "2024-01-03 10:45  A1  NSE:SBIN  target SELL 50 at 815",
            ],
        }
    return ReplayFramesOut(**one.model_dump(mode="python"), number=7, **shown)

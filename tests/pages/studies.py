"""Studies of the sample book: one small back-test and one sweep, really run once, and others in every state beside them."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.api.backtests.schemas import ComparedOut, PointOut, SourceOut, SourcesOut, StudyOut, StudyTradesOut, SweepResultsOut
from tests.pages.things import NOW, ago

_SAMPLE = {"symbols": ["NSE:INFY", "NSE:SBIN"], "timeframe": "15m", "days": 30, "seed": 3}
_SEATS = ("Family core", "Cautious")
_JOB = {
    "kind": "ema_cross",
    "params": {"fast": 3, "slow": 8, "direction": "both"},
    "seats": [
        {
            "account": {"account_id": f"A{n}", "user_id": "U1", "name": name, "broker": "zerodha", "capital": "500000"},
            "mapping": {"mapping_id": "", "account_id": f"A{n}", "strategy_id": "backtest", "allocation_pct": "20"},
        }
        for n, name in enumerate(_SEATS, start=1)
    ],
}
_GRID = {"fast": "3,5,9", "slow": "8,12,20", "direction": "long,both"}
ASKED: dict[str, Any] = {
    "kind": "ema_cross",
    "params": _JOB["params"],
    "sample": _SAMPLE,
    "accounts": [{"name": name, "capital": "500000"} for name in _SEATS],
    "hours": "carry",
    "walk_forward": {"grid": {"fast": "3,5"}, "train_days": 10, "test_days": 5},
}


@dataclass(frozen=True)
class Ran:
    report: dict[str, Any]
    trades: list[dict[str, Any]]
    summary: dict[str, Any]
    points: list[PointOut]
    sweep_summary: dict[str, Any]
    bars: dict[str, Any]


@cache
def ran() -> Ran:
    """Half a second, when a page first asks."""
    from engines.backtest import program
    from engines.backtest.sweep import best_first, read_results

    told = program.Told(lambda _: None)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spec = {"kind": "backtest", "job": _JOB, "sample": _SAMPLE, "checks": True, "walk_forward": ASKED["walk_forward"]}
        summary = program.run(spec, folder, told)
        report = json.loads((folder / program.REPORT).read_text())
        trades = [json.loads(line) for line in (folder / program.TRADES).read_text().splitlines()]
        swept = {"kind": "sweep", "job": _JOB, "sample": _SAMPLE, "sweep": {"grid": _GRID, "workers": 1}}
        sums = program.run(swept, folder, told)
        tried = read_results(folder / program.RESULTS)
        bars = {path.name: json.loads(path.read_text()) for path in (folder / "charts").iterdir()}
    order = best_first(tried, "net")
    points = [PointOut(params=dict(t.params), summary=dict(t.summary), wrong=t.wrong) for t in (*order, *(t for t in tried if t.wrong))]
    return Ran(report, trades, summary, points, sums, bars)


def _study(id: str, name: str, state: str, **more: Any) -> StudyOut:
    facts: dict[str, Any] = {
        "kind": "backtest",
        "progress": 1.0 if state == "done" else 0.0,
        "doing": "",
        "seconds_left": None,
        "error": "",
        "strategy_kind": "ema_cross",
        "about": "EMA cross on INFY, SBIN",
        "summary": {},
        "asked": ASKED,
        "points": None,
        "created_at": ago(3600),
        "started_at": ago(3590),
        "ended_at": ago(3580),
    }
    return StudyOut(id=id, name=name, state=state, **facts | more)


@cache
def studies() -> list[StudyOut]:
    swept = {**{name: ASKED[name] for name in ("kind", "params", "sample", "accounts")}, "sweep": {"grid": _GRID, "rank": "net"}}
    plan = {"stop_loss": {"pct": "1.5"}, "targets": [{"points": "4", "share_pct": "50"}]}
    other = {**ASKED, "params": {"fast": 5, "slow": 20}, "exit_plan": plan, "reentry": {"mode": "asap", "most": 2}}
    return [
        _study("B6", "Range week", "queued", started_at=None, ended_at=None, created_at=NOW),
        _study("B2", "EMA on all accounts", "running", progress=0.42, doing="playing", seconds_left=12.0, ended_at=None),
        _study("B1", "EMA 3/8", "done", summary=ran().summary),
        _study("B5", "EMA 5/20", "done", summary=ran().summary, asked=other),
        _study("B4", "EMA sweep", "done", kind="sweep", summary=ran().sweep_summary, asked=swept, points=18),
        _study("B7", "EMA sweep, wider", "running", kind="sweep", progress=0.5, asked=swept, points=18, ended_at=None),
        _study("B3", "Without data", "failed", error="march.csv holds nothing to replay: it has no rows"),
        _study("B8", "Ended early", "cancelled", progress=0.3),
    ]


def sources() -> SourcesOut:
    found = [
        SourceOut(id="D1", name="NSE 5 min, May 2026", kind="candles", seconds=300, symbols=["NSE:INFY", "NSE:SBIN", "NSE:TCS"], rows=4_950,
                  first_at=ago(9_000_000), last_at=ago(7_000_000), recorded=False),
        SourceOut(id="D2", name="NIFTY 2024", kind="candles", seconds=60, symbols=["NSE:NIFTY 50"], rows=58_500,
                  first_at=ago(90_000_000), last_at=ago(70_000_000), recorded=False),
    ]  # fmt: skip
    return SourcesOut(datasets=found, sample_symbols=["NSE:INFY", "NSE:RELIANCE", "NSE:HDFCBANK", "NSE:SBIN", "NSE:TCS"])


def trades(args: dict[str, Any]) -> StudyTradesOut:
    wanted = {name: args[name] for name in ("account_id", "symbol", "exit_reason") if name in args}
    found = [trade for trade in ran().trades if all(trade[name] == value for name, value in wanted.items())]
    start = int(args.get("offset", 0))
    return StudyTradesOut(items=found[start : start + int(args.get("limit", 200))], total=len(found))


def chart(symbol: str) -> dict[str, Any]:
    """Of the first account, as the API says it."""
    from engines.backtest.pictures import chart_name

    found = [trade for trade in ran().trades if trade["symbol"] == symbol and trade["account_id"] == "A1"]
    return {"symbol": symbol, **ran().bars[chart_name(symbol)], "trades": found}


def results() -> SweepResultsOut:
    return SweepResultsOut(rank="net", items=ran().points)


def compared(ids: list[str]) -> list[ComparedOut]:
    by_id = {study.id: study for study in studies()}
    curve = [[row["day"], round(n * 0.1, 2)] for n, row in enumerate(ran().report["equity_curve"])]
    return [ComparedOut(study=by_id[id], equity=curve) for id in ids]

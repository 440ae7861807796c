"""One replay: the whole engine on copies of somebody's accounts, living through a day of a market file in a process of its own.

`python -m app.launch.replay` reads what to play from its first line of input and commands from the lines after it, and says what happens as lines
of JSON. It works in a temporary folder, knows no credentials and has no connection to any broker: nothing that happens here leaves the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from app.data import Actor, Data, open_data
from app.replays import Spec, span
from engines.core.codec import from_plain
from engines.core.eventlog import EventLog, from_facts
from engines.core.facts import Fact, FillBooked, OrderChanged, SignalPlanned
from engines.core.model import (
    Account,
    AccountMapping,
    Candle,
    CombinedRule,
    ExitPlan,
    Group,
    Order,
    OrderState,
    PlanState,
    StrategyConfig,
    Timeframe,
    Timestamp,
)
from engines.core.sessions import CalendarDay
from engines.execution.views import PositionView
from engines.market.files import BadFile, MarketFile, read_market_file
from engines.market.replay import ReplayFeed
from engines.ports import Directory, Journal, RandomIds, Recovered, TandemError
from engines.system import EngineSettings, TradingSystem

TELL_EVERY = 0.25
NOBODY = Actor(None, "system")


class Copies:
    """A Directory of what the spec names: every account on paper, with automatic trading on."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def accounts(self) -> Sequence[Account]:
        return [as_paper(account) for account in self._spec.accounts]

    def strategies(self) -> Sequence[StrategyConfig]:
        return [replace(strategy, active=True) for strategy in self._spec.strategies]

    def mappings(self) -> Sequence[AccountMapping]:
        return self._spec.mappings

    def groups(self) -> Sequence[Group]:
        return self._spec.groups

    def combined_rules(self) -> Sequence[CombinedRule]:
        return self._spec.rules

    def calendar_days(self) -> Sequence[CalendarDay]:
        return self._spec.calendar_days

    def credentials(self, account_id: str) -> Mapping[str, str]:  # noqa: ARG002 - there are none
        return {}

    def candles(self, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]:  # noqa: ARG002
        return ()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Nothing here ever changes."""


def as_paper(account: Account) -> Account:
    """The same money, limits and rules on the paper exchange, without its delays: a replay decides the same every time. A live account keeps the
    market's hours, a paper account keeps them as it does on any day."""
    paper = replace(account.paper, latency_ms=0, session_hours=account.paper.session_hours or account.live)
    return replace(
        account, broker="paper", paper=paper, enabled=True, auto_trade=True, dry_run=False, source_address=None, auto_login=False
    )


class Overheard:
    """A journal that remembers what it was told since it was last asked."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._facts: list[Fact] = []

    def commit(self, *facts: Fact) -> None:
        self._journal.commit(*facts)
        self._hear(facts)

    def append(self, *facts: Fact, then: Callable[[], None] | None = None) -> None:
        self._hear(facts)
        self._journal.append(*facts, then=then)

    def load(self, since: Timestamp) -> Recovered:
        return self._journal.load(since)

    def find_signal(self, user_id: str, signal_id: str) -> tuple[str, Sequence[Order]] | None:
        return self._journal.find_signal(user_id, signal_id)

    @property
    def healthy(self) -> bool:
        return self._journal.healthy

    def stats(self) -> Mapping[str, float]:
        return self._journal.stats()

    def heard(self) -> list[Fact]:
        with self._lock:
            facts, self._facts = self._facts, []
        return facts

    def _hear(self, facts: Sequence[Fact]) -> None:
        with self._lock:
            self._facts.extend(facts)


class Silent:
    """Nobody listens to a replay's engines: what they did is read from their books."""

    def publish(self, kind: str, user_id: str | None, payload: Mapping[str, Any]) -> None:
        """Nothing."""


class Replay:
    """A system on a paused feed. `begin` lets it play; `tell` says what is new since the last time, as JSON-able frames."""

    def __init__(self, spec: Spec, data: Data, file: MarketFile | None = None) -> None:
        self.spec = spec
        path = Path(spec.file)
        start, end = span(spec)
        self.feed = ReplayFeed(
            path,
            spec.symbol,
            speed=spec.speed,
            start=start,
            end=end,
            instruments=spec.instruments,
            file=file or read_market_file(path, spec.symbol),
        )
        self.journal = Overheard(data.journal)
        directory: Directory = Copies(spec)
        clock = self.feed.clock
        self.system = TradingSystem(
            journal=self.journal,
            latch=data.latch,
            directory=directory,
            notifier=Silent(),
            clock=clock,
            ids=RandomIds(clock),
            feed=self.feed,
            settings=EngineSettings(lockstep=True, max_price_age=max(10.0, self.feed.base_seconds)),
        )
        self.feed.walk_through(self.system.levels, self.system.deadline)
        self._log = EventLog()
        self._account_ids = tuple(account.account_id for account in spec.accounts)
        self._pairs = sorted({(symbol, s.timeframe) for s in spec.strategies for symbol in s.instruments})
        self._candles: dict[tuple[str, Timeframe], Timestamp] = {}

    def begin(self) -> None:
        """Everything is ready before the first price: nothing depends on how quick the machine is."""
        self.feed.pace.pause()
        self.system.start()
        if not self.spec.paused:
            self.feed.pace.go_on()

    def close(self) -> None:
        self.system.stop()

    def command(self, said: Mapping[str, Any]) -> None:
        """ValueError for what is no command."""
        pace = self.feed.pace
        match said.get("do"):
            case "pause":
                pace.pause()
            case "go":
                pace.go_on()
            case "speed":
                pace.set_speed(float(said["speed"]))
            case "step":
                pace.step(self.feed.clock.now(), float(said.get("seconds", 60)))
            case other:
                raise ValueError(f"there is no command {other!r}")

    def tell(self) -> dict[str, Any]:
        facts = self.journal.heard()
        pace = self.feed.pace
        return {
            "state": "done" if self.feed.finished else "paused" if pace.paused else "playing",
            "at": self.feed.clock.now(),
            "progress": round(self.feed.progress, 4),
            "speed": pace.speed,
            "log": self._log.add(from_facts(facts)),
            "orders": _orders(facts),
            "candles": [row for pair in self._pairs for row in self._new_candles(pair)],
            "positions": [_position(view) for view in self.system.positions(self._account_ids, flat=True)],
            "accounts": [self._account(account_id) for account_id in self._account_ids],
            "strategies": self._strategies(),
            "incidents": [{"kind": each.kind, "message": each.message} for each in self.system.incidents()],
        }

    def _new_candles(self, pair: tuple[str, Timeframe]) -> Iterator[dict[str, Any]]:
        """Those that closed or moved since the last time; the newest one is told again, because it was still forming."""
        symbol, timeframe = pair
        rows = self.system.candles(symbol, timeframe.value, start=self._candles.get(pair, 0.0))
        for candle in rows:
            yield {
                "symbol": symbol,
                "timeframe": timeframe.value,
                "start": candle.start,
                "ohlc": list(candle[2:6]),
                "volume": candle.volume,
            }
        if rows:
            self._candles[pair] = rows[-1].start

    def _account(self, account_id: str) -> dict[str, Any]:
        view = self.system.account(account_id)
        return {
            "account_id": account_id,
            "state": view.state,
            "state_detail": view.state_detail,
            "equity": _money(view.equity),
            "realised": _money(view.realised),
            "unrealised": _money(view.unrealised),
            "charges": _money(view.charges),
            "net": _money(view.day_pnl),
            "trades": view.day_trades,
            "open_positions": view.open_positions,
        }

    def _strategies(self) -> list[dict[str, Any]]:
        runner = self.system.runtime.runner
        if runner is None:
            return []
        return [
            {"strategy_id": key, "quarantined": each.quarantined, "stances": dict(each.stances)} for key, each in runner.status().items()
        ]


def _orders(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """The newest state of every order that these facts tell of."""
    found: dict[str, Order] = {}
    for fact in facts:
        match fact:
            case SignalPlanned():
                found.update((order.order_id, order) for order in fact.orders)
            case OrderChanged() | FillBooked():
                found[fact.order.order_id] = fact.order
            case _:
                pass
    return [_order(order) for order in found.values() if order.state is not OrderState.PLANNED]


def _order(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "account_id": order.account_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "role": order.role.value,
        "state": order.state.value,
        "reason": order.reason,
        "quantity": str(order.quantity),
        "filled_quantity": str(order.filled_quantity),
        "average_price": None if order.average_price is None else _money(order.average_price),
        "strategy_id": order.strategy_id,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
    }


def _position(view: PositionView) -> dict[str, Any]:
    position = view.position
    average = position.average_price
    return {
        "position_id": position.position_id,
        "account_id": position.key.account_id,
        "symbol": position.key.symbol,
        "strategy_id": position.key.strategy_id,
        "quantity": str(position.quantity),
        "average_price": None if average is None else _money(average),
        "last_price": None if view.last_price is None else str(view.last_price),
        "realised": _money(position.realised),
        "unrealised": None if view.unrealised is None else _money(view.unrealised),
        "charges": _money(position.charges),
        "plan": None if view.plan is None else _plan(view.plan),
    }


def _plan(plan: ExitPlan) -> dict[str, Any]:
    return {
        "stop": None if plan.stop is None else str(plan.stop),
        "armed": plan.state is PlanState.ARMED,
        "targets": [{"price": str(target.price), "quantity": str(target.quantity), "fired": target.fired} for target in plan.targets],
    }


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


# --- the process -----------------------------------------------------------------------------------------------------


def main(given: IO[str], told: IO[str]) -> int:
    """Exit code 0 when it was played or stopped; 1 after a line with `failed` that says in words why it could not be."""

    def say(frame: Mapping[str, Any]) -> None:
        told.write(json.dumps(frame) + "\n")
        told.flush()

    try:
        spec = from_plain(Spec, json.loads(given.readline()))
        with tempfile.TemporaryDirectory(prefix="replay-") as folder, open_data(Path(folder)) as data:
            return _play(Replay(spec, data), given, say)
    except (TandemError, BadFile, ValueError, OSError) as error:
        say({"state": "failed", "failed": str(error)})
        return 1


def _play(replay: Replay, given: IO[str], say: Callable[[Mapping[str, Any]], None]) -> int:
    commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(given, commands), daemon=True, name="commands").start()
    with contextlib.closing(replay):
        replay.begin()
        while True:
            done = replay.feed.finished  # asked first, so that the last frame holds everything
            say(replay.tell())
            if done:
                return 0
            with contextlib.suppress(queue.Empty):
                command = commands.get(timeout=TELL_EVERY)
                if command is None or command.get("do") == "stop":
                    return 0
                replay.command(command)


def _listen(given: IO[str], commands: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Whoever started us is gone when the input ends: then so are we."""
    for line in given:
        with contextlib.suppress(ValueError):
            commands.put(json.loads(line))
    commands.put(None)


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sys.setswitchinterval(0.0005)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    sys.exit(main(sys.stdin, sys.stdout))

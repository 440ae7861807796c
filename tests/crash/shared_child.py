"""The program that is killed while a strategy trades for two people: `act` sends one signal of it; `recover` starts on the same folder, settles, sends the
same signal again, and prints what each person has as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from decimal import Decimal
from pathlib import Path

from app.data import Actor, Data, UserRole, open_data
from engines.core.model import (
    UNSETTLED_STATES,
    Account,
    AccountMapping,
    Side,
    Signal,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.core.sessions import Calendar
from engines.ports import RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem
from tests.crash.child import LedgerBroker
from tests.execution.house import INFY, HandFeed, ListNotifier

BY = Actor(None, "tests")
PEOPLE = ("owner@example.com", "other@example.com")


def prepare(data: Data) -> None:
    people = [
        data.users.add(email, "correct horse battery", role=role, by=BY).user_id
        for email, role in zip(PEOPLE, (UserRole.OWNER, UserRole.TRADER), strict=True)
    ]
    data.strategies.add(StrategyConfig("S1", people[0], "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,)), by=BY)
    data.shares.add(people[0], "S1", PEOPLE[1], by=BY)
    for person in people:
        account = data.accounts.add(Account("", person, "wire", "zerodha", Decimal(1_000_000), auto_trade=True), {}, by=BY).account
        sizing = Sizing(SizingMode.FIXED_QUANTITY, Decimal(10))
        data.mappings.add(person, AccountMapping("", account.account_id, "S1", sizing=sizing), by=BY)


def start(data: Data, port: int) -> TradingSystem:
    system = TradingSystem(
        journal=data.journal,
        latch=data.latch,
        directory=data.directory,
        notifier=ListNotifier(),
        clock=SystemClock(),
        ids=RandomIds(),
        feed=HandFeed(INFY),
        brokers={"zerodha": lambda account, credentials: LedgerBroker(port)},
        settings=EngineSettings(max_price_age=60.0),
        calendar=Calendar(hours={}, holidays=frozenset(), special={}, years=frozenset()),
    )
    system.start()
    return system


def settled(system: TradingSystem) -> None:
    pause = threading.Event()
    for _ in range(6000):
        desks = system.roster.desks()
        if all(desk.ready for desk in desks) and not any(o.state in UNSETTLED_STATES for desk in desks for o in desk.session_orders()):
            return
        pause.wait(0.005)
    raise SystemExit("it did not come true in time")


def main(mode: str, folder: str, port: str) -> None:
    data = open_data(Path(folder), exclusive=True)
    if data.users.count() == 0:
        prepare(data)
    system = start(data, int(port))
    settled(system)
    owner = next(user for user in data.users.all() if user.role is UserRole.OWNER)
    signal = Signal(RandomIds().new(), "one", owner.user_id, Source.STRATEGY, INFY.symbol, Side.BUY, SystemClock().now(), strategy_id="S1")
    outcome = system.submit(signal, 30)
    settled(system)
    system.stop()  # what is settled in memory has come to be written
    data.journal.commit()
    orders = {user.email: [(o.order_id, o.state.value) for o in data.books.orders(user.user_id).items] for user in data.users.all()}
    data.close()
    print(json.dumps({"duplicate": outcome.duplicate, "orders": orders}))


if __name__ == "__main__":
    main(*sys.argv[1:])

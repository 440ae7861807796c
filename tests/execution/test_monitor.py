"""The day's limits: loss and profit are warned of each by itself, once, and a day that is closed says no more."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engines.core.model import ZERO, AccountDay, Limits, Warned
from engines.execution.monitor import Monitor
from tests.execution.house import account

D = Decimal
LOSS, PROFIT = "A1: 80 % of the day's loss limit is used at {}", "A1: 80 % of the day's profit limit is used at {}"
CLOSED = "A1: the day's {} limit is reached at {}; closed for the day"


@dataclass
class Desk:
    """An account whose P&L is set by hand."""

    day: AccountDay = field(default_factory=lambda: AccountDay("A1", "2026-01-05"))
    net: Decimal = ZERO
    account: Any = field(default_factory=lambda: account("A1", limits=Limits(max_daily_loss=D(1000), max_daily_profit=D(1000))))
    lock: Any = field(default_factory=threading.RLock)

    def pnl(self) -> Any:
        return SimpleNamespace(net=self.net)

    def set_day(self, day: AccountDay) -> None:
        self.day = day


@dataclass
class Told:
    messages: list[str] = field(default_factory=list)

    def raise_(self, kind: str, severity: str, message: str, account_id: str) -> None:
        self.messages.append(message)


def seen(desk: Desk, *nets: str) -> list[str]:
    told = Told()
    monitor = Monitor(cast(Any, None), cast(Any, None), cast(Any, told), list, lambda _: None)
    for net in nets:
        desk.net = D(net)
        monitor._limits(cast(Any, desk))
    return told.messages


@pytest.mark.parametrize(
    ("nets", "told"),
    [
        (("799", "-799", "NaN"), []),
        (("850", "100", "850"), [PROFIT.format("850.00")]),
        (("850", "-850", "-1000"), [PROFIT.format("850.00"), LOSS.format("-850.00"), CLOSED.format("loss", "-1000.00")]),
        (("-850", "850", "-900", "900"), [LOSS.format("-850.00"), PROFIT.format("850.00")]),
        (("1000", "-850"), [CLOSED.format("profit", "1000.00")]),
    ],
)
def test_each_side_is_warned_of_once_until_the_day_is_closed(nets: tuple[str, ...], told: list[str]) -> None:
    assert seen(Desk(), *nets) == told


def test_a_warning_whose_side_is_not_on_record_hides_neither() -> None:
    assert seen(Desk(AccountDay("A1", "2026-01-05", warned=Warned.SOME)), "850", "-850") == [
        PROFIT.format("850.00"),
        LOSS.format("-850.00"),
    ]

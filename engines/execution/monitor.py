"""The day's limits, the session's turn and the equity curve: looked after a few times a second, on realised and unrealised alike.

At 80 % of a limit the account's owner is warned, of loss and of profit once a day each; at 100 % the account is closed for the day (and flattened where
it is so configured). An account whose P&L cannot be computed is not closed here; its entries are denied where they are admitted (law 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from engines.core import risk as risk_rules
from engines.core.facts import EquityMarked
from engines.core.model import Timestamp, Warned
from engines.execution.desk import Desk
from engines.execution.incidents import IncidentLog
from engines.ports import Clock, Journal

EQUITY_EVERY = 60.0


@dataclass(slots=True)
class Monitor:
    journal: Journal
    clock: Clock
    incidents: IncidentLog
    desks: Callable[[], Sequence[Desk]]
    flatten: Callable[[Desk], None]
    _equity_at: dict[str, Timestamp] = field(default_factory=dict)

    def resume(self) -> None:
        """After a restart an account that was being closed for the day goes on being closed."""
        for desk in self.desks():
            if desk.day.locked is not None and desk.account.limits.flatten_on_limit:
                self.flatten(desk)

    def step(self) -> None:
        now = self.clock.now()
        for desk in self.desks():
            desk.say()
            if desk.open_day(now):
                self.incidents.resolve("limit_reached", desk.account.account_id)
            self._limits(desk)
            self._equity(desk, now)

    def _limits(self, desk: Desk) -> None:
        account = desk.account
        if not account.limits.watch_the_day:
            return  # valuing thousands of positions four times a second for nothing would delay the stops that guard them
        with desk.lock:
            pnl = desk.pnl().net
            use = risk_rules.limit_use(account.limits, account.capital, pnl)
            day = desk.day
            if day.locked is not None or not (use.warn or use.reached):
                return
            side = Warned.LOSS if pnl < 0 else Warned.PROFIT
            if use.reached:
                desk.set_day(replace(day, locked=use.reached.value))
            elif side not in day.warned:
                desk.set_day(replace(day, warned=day.warned | side))
            else:
                return
        what = "loss" if side is Warned.LOSS else "profit"
        if use.reached:
            self.incidents.raise_(
                "limit_reached",
                "critical",
                f"{account.name}: the day's {what} limit is reached at {pnl:.2f}; closed for the day",
                account.account_id,
            )
            if account.limits.flatten_on_limit:
                self.flatten(desk)
        else:
            self.incidents.raise_(
                "limit_warning", "warning", f"{account.name}: 80 % of the day's {what} limit is used at {pnl:.2f}", account.account_id
            )

    def _equity(self, desk: Desk, now: Timestamp) -> None:
        """A point of the curve each minute, while anything has ever been traded."""
        key = desk.account.account_id
        if abs(now - self._equity_at.get(key, 0.0)) < EQUITY_EVERY:
            return
        self._equity_at[key] = now
        with desk.lock:
            if not desk.books and not desk.cash:
                return
            pnl, equity = desk.pnl(), desk.equity()
        self.journal.append(EquityMarked(key, now, equity, pnl.realised, pnl.unrealised, pnl.charges))

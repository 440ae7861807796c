"""Watches the combined P&L of strategies, accounts and groups, leaves a scope whose rule says so, and denies its entries until the next session.

What a rule says is decided in `core.combined`; here scopes are valued from the desks, states are journaled, and leaving goes through the lanes: entries are
cancelled, positions exit at the market. A left scope is durable before its first exit is asked for, and a restart goes on with it. Where a scope has live
accounts, real money counts alone: paper profit never hides a real loss, and leaving still closes all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.core import combined as rules
from engines.core.facts import CombinedChanged
from engines.core.model import ZERO, Account, CombinedRule, CombinedScope, CombinedState, Denial, Group, Position, Timestamp
from engines.core.sessions import HOME_EXCHANGE, session_day
from engines.execution.desk import Desk
from engines.execution.incidents import IncidentLog
from engines.ports import Clock, Journal, JournalDown

TOLD_EVERY = 5.0
"""Seconds between two records of a best P&L that has moved no floor; one that has is recorded at once."""

WORDS = {
    rules.STOP: "The combined stop",
    rules.TARGET: "The combined target",
    rules.LOCK: "The combined lock",
    rules.TRAIL: "The combined trail",
}

Flattener = Callable[[Desk, str | None, Callable[[], bool]], None]
"""(desk, strategy id or None for all of it, whether it is still wanted): cancel the entries and close the positions."""


@dataclass(frozen=True, slots=True)
class CombinedView:
    """A rule as it stands: `pnl` of now (None: it cannot be valued, `why` says so), `lower` where it is left on the way down."""

    rule: CombinedRule
    state: CombinedState
    pnl: Decimal | None
    lower: Decimal | None
    why: str = ""
    live: int = 0  # accounts in the scope that trade real money
    paper: int = 0  # … and that do not: left out of `pnl` as soon as there is a live one


class CombinedWatch:
    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        incidents: IncidentLog,
        desks: Callable[[], Sequence[Desk]],
        currency: Callable[[Desk], str],
        flatten: Flattener,
        strategy_name: Callable[[str], str] = lambda strategy_id: strategy_id,
        trades: Callable[[str, str], bool] = lambda strategy_id, account_id: False,  # noqa: ARG005 - whether that account takes its entries
    ) -> None:
        self._journal, self._clock, self._incidents = journal, clock, incidents
        self._desks, self._currency, self._flatten, self._strategy_name = desks, currency, flatten, strategy_name
        self._trades = trades
        self._lock = threading.Lock()
        self._states: dict[str, CombinedState] = {}
        self._told: dict[str, Timestamp] = {}
        self._rules: tuple[CombinedRule, ...] = ()
        self._groups: Mapping[str, frozenset[str]] = {}
        self._group_names: Mapping[str, str] = {}

    # --- settings and recovery

    def configure(self, combined_rules: Iterable[CombinedRule], groups: Iterable[Group]) -> None:
        """These are all rules and groups now; a rule that was changed holds from the next step on, one that has left closes what joins its group."""
        with self._lock:
            before = self._groups
            self._rules = tuple(combined_rules)
            known_groups = tuple(groups)
            self._groups = {group.group_id: frozenset(group.account_ids) for group in known_groups}
            self._group_names = {group.group_id: group.name for group in known_groups}
            known = {rule.rule_id for rule in self._rules}
            self._states = {key: state for key, state in self._states.items() if key in known}
            joined = {group_id: members - before.get(group_id, frozenset()) for group_id, members in self._groups.items()}
        for rule in self._rules:
            if rule.scope is CombinedScope.GROUP and joined.get(rule.scope_id) and self.left_today(rule.rule_id):
                self._clear(rule, joined[rule.scope_id])

    def restore(self, states: Iterable[CombinedState]) -> None:
        """At the start of a run: how far the rules had come."""
        with self._lock:
            self._states.update({state.rule_id: state for state in states})

    def resume(self) -> None:
        """After a restart: what was being left is left for good."""
        today = self._today()
        for rule in self._rules:
            state = self._states.get(rule.rule_id)
            if state is not None and rules.denies(state, today) is not None:
                self._tell(rule, state, "critical" if self._holds(rule) else "info")  # what is over needs no second alarm
                self._clear(rule)

    # --- the watch

    def step(self) -> None:
        """Follow every rule once; a few times a second, on the thread that also begins the desks' sessions."""
        if not self._rules:
            return
        now, today = self._clock.now(), self._today()
        values = self._values(today)
        for rule in self._rules:
            before = self._states.get(rule.rule_id)
            value = values.of(rule)
            after, reason = rules.follow(rule, before, value.pnl, now, today, real=value.live > 0)
            if after is before:
                continue
            with self._lock:
                self._states[rule.rule_id] = after
            if before is not None and before.left is not None and after.left is None:
                self._incidents.resolve("combined_left", about=rule.rule_id)
            if reason is not None:
                self._leave(rule, after)
            elif before is None or after.floor != before.floor or now - self._told.get(rule.rule_id, 0.0) >= TOLD_EVERY:
                self._told[rule.rule_id] = now
                self._journal.append(CombinedChanged(after))

    def _leave(self, rule: CombinedRule, state: CombinedState) -> None:
        try:
            self._journal.commit(CombinedChanged(state))
        except JournalDown:
            self._journal.append(CombinedChanged(state))  # it waits in memory; leaving must not wait for a disk
        self._tell(rule, state)
        self._clear(rule)

    def _holds(self, rule: CombinedRule) -> bool:
        """Whether anything that the rule closes is still open."""
        strategy_id = rule.scope_id if rule.scope is CombinedScope.STRATEGY else None
        held = [position.key for desk in _desks_of(rule, self._desks(), self._groups) for position in desk.open_positions()]
        return any(strategy_id in (None, key.strategy_id) for key in held)

    def _tell(self, rule: CombinedRule, state: CombinedState, severity: str = "critical") -> None:
        message = f"{self._left(rule, state)}: its positions are being closed, and it takes no entries until the next session"
        self._incidents.raise_("combined_left", severity, message, user_id=rule.user_id, about=rule.rule_id)

    def _left(self, rule: CombinedRule, state: CombinedState) -> str:
        return f"{WORDS[state.left or rules.STOP]} of {self._name(rule)} is met at {state.pnl or ZERO:,.2f}"

    def _name(self, rule: CombinedRule) -> str:
        match rule.scope:
            case CombinedScope.STRATEGY:
                return self._strategy_name(rule.scope_id)
            case CombinedScope.ACCOUNT:
                return next((desk.account.name for desk in self._desks() if desk.account.account_id == rule.scope_id), rule.scope_id)
            case CombinedScope.GROUP:
                return self._group_names.get(rule.scope_id, rule.scope_id)

    def _clear(self, rule: CombinedRule, account_ids: frozenset[str] | None = None) -> None:
        """Cancel and close what the rule covers, or only that of these accounts."""
        strategy_id = rule.scope_id if rule.scope is CombinedScope.STRATEGY else None
        for desk in _desks_of(rule, self._desks(), self._groups):
            if account_ids is not None and desk.account.account_id not in account_ids:
                continue
            self._flatten(desk, strategy_id, lambda: rules.denies(self._states.get(rule.rule_id), self._today()) is not None)

    # --- what others ask

    def denial(self, account: Account, strategy_id: str | None) -> tuple[Denial, str] | None:
        """Why this account (for this strategy) takes no entries now, with the rule in words; None: no rule forbids it. Cheap: asked under every gate."""
        left = [rule for rule in self._rules if (state := self._states.get(rule.rule_id)) is not None and state.left is not None]
        if not left:
            return None
        today = self._today()
        for rule in left:
            state = self._states.get(rule.rule_id)
            denied = rules.denies(state, today)
            if denied is not None and state is not None and self._covers(rule, account, strategy_id):
                return denied, f"{self._left(rule, state)}: no entries until the next session"
        return None

    def forbids(self, account: Account, strategy_id: str | None) -> Denial | None:
        found = self.denial(account, strategy_id)
        return found[0] if found is not None else None

    def left_today(self, rule_id: str) -> bool:
        return rules.denies(self._states.get(rule_id), self._today()) is not None

    def views(self) -> list[CombinedView]:
        """Every rule as it stands now."""
        today = self._today()
        values = self._values(today)
        found = []
        for rule in self._rules:
            state = self._states.get(rule.rule_id)
            if state is None or state.day < today:
                state = rules.begin(rule, today)
            value = values.of(rule)
            found.append(CombinedView(rule, state, value.pnl, rules.lower_end(rule, state), value.why, value.live, value.paper))
        return found

    def _values(self, today: str) -> _Values:
        return _Values(self._desks(), self._groups, self._currency, self._trades, today)

    def _covers(self, rule: CombinedRule, account: Account, strategy_id: str | None) -> bool:
        match rule.scope:
            case CombinedScope.STRATEGY:
                return rule.scope_id == strategy_id and rule.user_id == account.user_id
            case CombinedScope.ACCOUNT:
                return rule.scope_id == account.account_id
            case CombinedScope.GROUP:
                return account.account_id in self._groups.get(rule.scope_id, ())

    def _today(self) -> str:
        return session_day(self._clock.now(), HOME_EXCHANGE)


@dataclass(frozen=True, slots=True)
class _Value:
    """The P&L of a scope, or None and why it is not known; how many accounts of either kind are in it."""

    pnl: Decimal | None
    why: str
    live: int = 0
    paper: int = 0


class _Values:
    """The P&L of scopes at one moment; each desk is valued once however many rules look at it."""

    def __init__(
        self,
        desks: Sequence[Desk],
        groups: Mapping[str, frozenset[str]],
        currency: Callable[[Desk], str],
        trades: Callable[[str, str], bool],
        today: str,
    ) -> None:
        self._desks, self._groups, self._currency, self._trades, self._today = desks, groups, currency, trades, today
        self._seen: dict[tuple[str, str | None], Decimal | None] = {}

    def of(self, rule: CombinedRule) -> _Value:
        """Realised + unrealised − charges of the session: of its live accounts where it has any, else of all."""
        strategy_id = rule.scope_id if rule.scope is CombinedScope.STRATEGY else None
        desks = _desks_of(rule, self._desks, self._groups)
        if strategy_id is not None:
            desks = [desk for desk in desks if self._takes_part(desk, strategy_id)]
            if not desks:
                return _Value(ZERO, "")
        real = [desk for desk in desks if desk.account.live]
        live, paper = len(real), len(desks) - len(real)
        if not desks:
            return _Value(None, "there is no account in it")
        if len({self._currency(desk) for desk in real or desks}) > 1:
            return _Value(None, "its accounts are in different currencies, which cannot be added up", live, paper)
        total = ZERO
        for desk in real or desks:
            value = self._value(desk, strategy_id)
            if value is None:
                return _Value(None, f"{desk.account.name} cannot be valued now: a price is missing", live, paper)
            total += value
        return _Value(total, "", live, paper)

    def _takes_part(self, desk: Desk, strategy_id: str) -> bool:
        """Whether the strategy's entries go there, or something of it was held or traded there in this session."""
        if self._trades(strategy_id, desk.account.account_id):
            return True
        return any(key.strategy_id == strategy_id and (book.position.quantity or book.fills) for key, book in list(desk.books.items()))

    def _value(self, desk: Desk, strategy_id: str | None) -> Decimal | None:
        key = (desk.account.account_id, strategy_id)
        if key not in self._seen:
            with desk.lock:
                self._seen[key] = _session_pnl(desk, strategy_id) if desk.day.day >= self._today else None
        return self._seen[key]


def _session_pnl(desk: Desk, strategy_id: str | None) -> Decimal | None:
    """Of one desk, whole or for one strategy; None when a price is missing. Hold the desk's lock."""
    if strategy_id is None:
        total = desk.realised - desk.charges
    else:
        mine = [book for key, book in desk.books.items() if key.strategy_id == strategy_id]
        total = sum((_booked(book.position) - _booked(book.opening) for book in mine), ZERO)
    for position in desk.open_positions():
        if strategy_id is None or position.key.strategy_id == strategy_id:
            mark = desk.tools.mark(position.key.symbol)
            if mark is None:
                return None
            total += position.unrealised(mark)
    return total


def _booked(position: Position) -> Decimal:
    return position.realised - position.charges


def _desks_of(rule: CombinedRule, desks: Sequence[Desk], groups: Mapping[str, frozenset[str]]) -> list[Desk]:
    own = [desk for desk in desks if desk.account.user_id == rule.user_id]
    match rule.scope:
        case CombinedScope.STRATEGY:
            return own
        case CombinedScope.ACCOUNT:
            return [desk for desk in own if desk.account.account_id == rule.scope_id]
        case CombinedScope.GROUP:
            return [desk for desk in own if desk.account.account_id in groups.get(rule.scope_id, ())]

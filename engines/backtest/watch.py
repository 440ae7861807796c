"""Looks after the P&L of a backtest's accounts: day limits that close an account for the session, and combined rules that leave a scope.

The rules are those of live (`core.risk`, `core.combined`) and so is the order of asking. A price at which nothing is near a limit costs a sum of floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from math import inf

from engines.backtest.book import Book
from engines.backtest.entries import Denied
from engines.backtest.records import Lock
from engines.backtest.track import Track
from engines.core import combined
from engines.core.model import ZERO, CombinedRule, CombinedScope, CombinedState, Group, Tick, Timestamp
from engines.core.risk import effective_limit, limit_use
from engines.core.sessions import HOME_EXCHANGE, session_day

_NEAR = 0.01
"""How near a P&L in floats must be to a bound before it is worked out exactly; its error is far below."""


@dataclass(slots=True)
class _Limited:
    """An account with day limits. Nothing is reached while its P&L lies between the two."""

    book: Book
    low: float
    high: float


@dataclass(slots=True)
class _Ruled:
    rule: CombinedRule
    books: Sequence[Book]
    state: CombinedState
    low: float = -inf
    high: float = inf

    def aim(self) -> None:
        """Between which values of the P&L nothing changes: what leaves below, and above what leaves or raises the floor."""
        rule, state = self.rule, self.state
        lower = combined.lower_end(rule, state)
        self.low = -inf if lower is None else float(lower) + _NEAR
        self.high = inf if rule.target is None else float(rule.target)
        starts = [float(start) for start in (rule.lock_at, rule.trail_start) if start is not None]
        if starts:
            self.high = min(self.high, max(min(starts), -inf if state.best is None else float(state.best)))
        self.high -= _NEAR


class Watch:
    def __init__(self, books: Sequence[Book], strategy_id: str, rules: Sequence[CombinedRule], groups: Sequence[Group]) -> None:
        self._limited = [_limited(book) for book in books if book.account.limits.watch_the_day]
        members = {group.group_id: frozenset(group.account_ids) for group in groups}
        self._ruled = [
            _Ruled(rule, scope, combined.begin(rule, ""))
            for rule in rules
            if rule.enabled and (scope := _scope(rule, books, strategy_id, members))
        ]
        self._books, self._day = books, ""
        self.wanted = bool(self._limited or self._ruled)
        for book in {id(book): book for ruled in self._ruled for book in ruled.books}.values():
            book.entries.left = partial(self._denied, book)

    def open_day(self, now: Timestamp) -> None:
        self._day = session_day(now, HOME_EXCHANGE)
        for book in self._books:
            book.entries.open_day()
            book.ledger.begin_session()
        for ruled in self._ruled:
            ruled.state = combined.begin(ruled.rule, self._day)
            ruled.aim()

    def look(self, now: Timestamp) -> set[Track]:
        """Follow everything once; the instruments in which something was closed."""
        changed: set[Track] = set()
        for limited in self._limited:
            book = limited.book
            if book.entries.locked is None and not limited.low < book.ledger.rough_pnl < limited.high:
                changed |= self._limit(book, now)
        for ruled in self._ruled:
            if ruled.state.left is None and not ruled.low < sum(book.ledger.rough_pnl for book in ruled.books) < ruled.high:
                changed |= self._follow(ruled, now)
        return changed

    def _limit(self, book: Book, now: Timestamp) -> set[Track]:
        account, pnl = book.account, book.ledger.session_pnl(now)
        reached = limit_use(account.limits, account.capital, pnl).reached
        if reached is None:
            return set()
        book.entries.locked = reached.value
        book.log.locks.append(Lock(now, self._day, reached.value, pnl, f"the day's limit at {pnl:.2f}"))
        return _clear(book, now, reached.value) if account.limits.flatten_on_limit else set()

    def _follow(self, ruled: _Ruled, now: Timestamp) -> set[Track]:
        pnl = sum((book.ledger.session_pnl(now) for book in ruled.books), ZERO)
        ruled.state, reason = combined.follow(ruled.rule, ruled.state, pnl, now, self._day)
        ruled.aim()
        changed: set[Track] = set()
        if reason is not None:
            for book in ruled.books:
                book.log.locks.append(Lock(now, self._day, f"combined_{reason}", pnl, self._words(ruled, pnl)))
                changed |= _clear(book, now, f"combined_{reason}")
        return changed

    def _denied(self, book: Book) -> Denied | None:
        """Why this account takes no entries now."""
        for ruled in self._ruled:
            if ruled.state.left is not None and book in ruled.books:
                denied = combined.denies(ruled.state, self._day)
                if denied is not None:
                    return denied, self._words(ruled, ruled.state.pnl or ZERO)
        return None

    def _words(self, ruled: _Ruled, pnl: Decimal) -> str:
        return f"the {ruled.rule.scope.value} was left at {pnl:.2f} by the {ruled.state.left} of rule {ruled.rule.rule_id}"


def _limited(book: Book) -> _Limited:
    account, limits = book.account, book.account.limits
    loss = effective_limit(limits.max_daily_loss, limits.max_daily_loss_pct, account.capital)
    profit = effective_limit(limits.max_daily_profit, limits.max_daily_profit_pct, account.capital)
    return _Limited(book, -inf if loss is None else _NEAR - float(loss), inf if profit is None else float(profit) - _NEAR)


def _scope(rule: CombinedRule, books: Sequence[Book], strategy_id: str, members: Mapping[str, frozenset[str]]) -> list[Book]:
    match rule.scope:
        case CombinedScope.STRATEGY:
            return list(books) if rule.scope_id == strategy_id else []
        case CombinedScope.ACCOUNT:
            return [book for book in books if book.account.account_id == rule.scope_id]
        case CombinedScope.GROUP:
            return [book for book in books if book.account.account_id in members.get(rule.scope_id, ())]


def _clear(book: Book, now: Timestamp, reason: str) -> set[Track]:
    """Close everything on an account at the newest prices."""
    changed = set()
    for slot in book.slots:
        if slot.position.quantity or slot.working:
            track = slot.track
            mark = track.mark(now)
            if mark is not None:
                book.clear(slot, track.tick or Tick(track.symbol, mark, mark, mark, now), now, reason)
                changed.add(track)
    return changed

"""Who trades what, in memory: desks and lanes of all accounts, strategies and mappings, refreshed when the data service says that they changed.

Signals are routed from here without a query: entries only to mappings that are on, of the strategy's owner or of somebody it is shared with. An account
that goes away keeps its desk until its lane has stopped; nothing here decides about orders.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.core.model import Account, AccountMapping, Signal, StrategyConfig
from engines.execution.connecting import Connect
from engines.execution.desk import Desk, DeskTools
from engines.execution.fanout import Route
from engines.execution.lane import Lane, LaneTools
from engines.execution.overtaken import under_way
from engines.execution.resting import resting_exits
from engines.execution.supervisor import Supervisor
from engines.execution.unconnected import Unconnected
from engines.ports import Broker, Directory

LANE = "lane "
"""What the name of a lane's thread begins with; the account's id follows."""
TRY_AGAIN, LONGEST_PAUSE = 2.0, 60.0
"""Seconds until the client of an account that could not be made for a moment is tried again, each time twice as many."""

BrokerFactory = Callable[[Account, Desk], Broker]


@dataclass(frozen=True, slots=True)
class _Audience:
    """Whom a strategy's signals reach, the largest account first: those it trades on, and those that only what they still hold may leave."""

    on: tuple[Route, ...] = ()
    off: tuple[Route, ...] = ()
    people: frozenset[str] = frozenset()  # with whom it is shared now and whose accounts they are


_NOBODY = _Audience()


class Roster:
    def __init__(
        self, directory: Directory, desk_tools: DeskTools, lane_tools: LaneTools, brokers: BrokerFactory, supervisor: Supervisor
    ) -> None:
        self._directory = directory
        self._desk_tools = desk_tools
        self._lane_tools = lane_tools
        self._brokers = brokers
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._changing = threading.Lock()  # which lane serves an account; taken inside `_lock`, and never while something is waited for
        self._desks: dict[str, Desk] = {}
        self._lanes: dict[str, Lane] = {}
        self._strategies: dict[str, StrategyConfig] = {}
        self._audiences: dict[str, _Audience] = {}
        self._by_pair: dict[tuple[str, str], AccountMapping] = {}
        self._rested: frozenset[str] = frozenset()  # strategies that were switched off since the start
        self._trading: frozenset[tuple[str, str]] = frozenset()  # (strategy id, account id) of every mapping that entries go to

    # --- reading: whole dictionaries are replaced, so no lock is needed

    def desk(self, account_id: str) -> Desk | None:
        return self._desks.get(account_id)

    def lane(self, account_id: str) -> Lane | None:
        return self._lanes.get(account_id)

    def desks(self) -> Sequence[Desk]:
        return list(self._desks.values())

    def lanes(self) -> Sequence[Lane]:
        return list(self._lanes.values())

    def strategy(self, strategy_id: str) -> StrategyConfig | None:
        return self._strategies.get(strategy_id)

    def strategies(self) -> Sequence[StrategyConfig]:
        return list(self._strategies.values())

    def owner_of(self, account_id: str) -> str | None:
        desk = self._desks.get(account_id)
        return desk.account.user_id if desk else None

    def people(self, strategy_id: str) -> frozenset[str]:
        """With whom it is shared now, of those who have mapped it to an account, on or off: whoever is to know of what becomes of it, apart from its
        owner. Whose share has ended still hears what closes, but nothing of the strategy itself."""
        return self._audiences.get(strategy_id, _NOBODY).people

    def trades(self, strategy_id: str, account_id: str) -> bool:
        """Whether entries of this strategy go to this account now. Cheap: asked under the gate of every entry."""
        return (strategy_id, account_id) in self._trading

    def runs(self, strategy_id: str) -> bool:
        """False once the strategy was switched off in this run, until it is on again."""
        return strategy_id not in self._rested

    def routes(self, signal: Signal) -> Sequence[Route]:
        """Where a signal goes: the accounts it names, no one else's among them (with their mapping, if they have one), else its strategy's mappings that
        are on, and what closes also to those that are off and still hold something."""
        if signal.account_ids:
            named = [self._desks[key] for key in dict.fromkeys(signal.account_ids) if key in self._desks]
            desks = [desk for desk in named if desk.account.user_id == signal.user_id]
            if signal.strategy_id is None:
                return [(desk, None) for desk in desks]
            return [(desk, self._by_pair.get((desk.account.account_id, signal.strategy_id))) for desk in desks]
        audience = self._audiences.get(signal.strategy_id or "", _NOBODY)
        if audience.off and signal.reduce_only:
            return audience.on + tuple(route for route in audience.off if _leaves(route[0], signal))
        return audience.on

    # --- changing

    def refresh(self, start_lanes: bool = True) -> list[Desk]:
        """Take over what the directory says now; the desks of accounts that are new."""
        with self._lock:
            # All is read before anything is taken over: where a read fails, the next refresh finds what is new as new.
            accounts = {account.account_id: account for account in self._directory.accounts()}
            strategies, mappings = self._directory.strategies(), self._directory.mappings()
            fresh = self._take_accounts(accounts)
            self._take_strategies(strategies)
            self._take_mappings(mappings)
        if start_lanes:
            for desk in fresh:
                self.start_lane(desk)
        return fresh

    def _take_accounts(self, accounts: dict[str, Account]) -> list[Desk]:
        fresh: list[Desk] = []
        desks = dict(self._desks)
        for key, account in accounts.items():
            desk = desks.get(key)
            if desk is None:
                desk = desks[key] = Desk(account, self._desk_tools)
                fresh.append(desk)
            elif desk.account != account:
                self._change(desk, account)
        gone = [key for key in desks if key not in accounts]
        for key in gone:
            del desks[key]
        self._desks = desks
        for key in gone:
            self.stop_lane(key)
        return fresh

    def _change(self, desk: Desk, account: Account) -> None:
        """New switches and limits hold from the next check on; another broker or another exchange behaviour needs a new connection."""
        rebuild = _connection(desk.account) != _connection(account)
        with desk.lock:
            desk.account = account
        if rebuild and account.account_id in self._lanes:
            self.restart_lane(desk)

    def _take_strategies(self, strategies: Sequence[StrategyConfig]) -> None:
        before = self._strategies
        off = [s.strategy_id for s in strategies if not s.active]
        self._rested = frozenset(key for key in off if key in self._rested or (key in before and before[key].active))
        self._strategies = {strategy.strategy_id: strategy for strategy in strategies}

    def _take_mappings(self, mappings: Sequence[AccountMapping]) -> None:
        """Whom each strategy reaches. It is replaced in one step, so that a signal never sees half of a change."""
        on: dict[str, list[Route]] = {}
        off: dict[str, list[Route]] = {}
        people: dict[str, set[str]] = {}
        known = [(self._desks[mapping.account_id], mapping) for mapping in mappings if mapping.account_id in self._desks]
        # The largest account first: it has the most to lose from being late.
        for desk, mapping in sorted(known, key=lambda route: -route[0].account.capital):
            key, strategy, whose = mapping.strategy_id, self._strategies.get(mapping.strategy_id), desk.account.user_id
            owned = strategy is not None and whose == strategy.user_id
            allowed = owned or (strategy is not None and whose in strategy.shared_with)
            (on if mapping.enabled and allowed else off).setdefault(key, []).append((desk, mapping))
            if allowed and not owned:
                people.setdefault(key, set()).add(whose)
        self._audiences = {
            key: _Audience(tuple(on.get(key, ())), tuple(off.get(key, ())), frozenset(people.get(key, ())))
            for key in on.keys() | off.keys()
        }
        self._by_pair = {(m.account_id, m.strategy_id): m for m in mappings}
        self._trading = frozenset((key, desk.account.account_id) for key, routes in on.items() for desk, _ in routes)

    def start_lane(self, desk: Desk) -> Lane | None:
        """None where the account is gone meanwhile. An account that cannot even be tried (a kind nobody knows, credentials that are none) has a lane
        too, in which what comes waits; the reason is in the desk's detail."""
        return self._put_in_place(desk, self._client(desk))

    def try_again(self) -> None:
        """Accounts whose client could not be made, and not for a reason that a person must see to; called a few times a second."""
        now = self._desk_tools.clock.monotonic()
        for lane in self.lanes():
            if isinstance(lane.broker, Unconnected) and lane.broker.again_at is not None and now >= lane.broker.again_at:
                self._put_in_place(lane.desk, self._client(lane.desk), lane)

    def _client(self, desk: Desk) -> Broker:
        try:
            return self._brokers(desk.account, desk)
        except (LookupError, ValueError) as error:
            return Unconnected(f"cannot be connected: {error}")
        except Exception as error:  # a read that failed, or an adapter's fault: told, and the account has a lane and its next try
            why = f"cannot be connected: {error}"
            self._lane_tools.on_trouble("cannot_connect", "critical", f"{desk.account.name} {why}", desk.account.account_id)
            before = self._lanes.get(desk.account.account_id)
            tries = before.broker.tries + 1 if before is not None and isinstance(before.broker, Unconnected) else 0
            pause = min(TRY_AGAIN * 2.0 ** min(tries, 10), LONGEST_PAUSE)
            return Unconnected(why, self._desk_tools.clock.monotonic() + pause, tries)

    def _put_in_place(self, desk: Desk, broker: Broker, instead_of: Lane | None = None) -> Lane | None:
        """`instead_of`: nothing is put in place where another lane serves the account by now."""
        key = desk.account.account_id
        lane = None
        with self._changing:
            before = self._lanes.get(key)
            if self._desks.get(key) is desk and instead_of in (None, before):
                lane = Lane(desk, broker, self._lane_tools, Connect(), before.box if before else None)
                self._lanes = self._lanes | {key: lane}
                if before is not None:
                    before.box.leave(before)  # from here on it says neither that the account is open nor that it needs a log-in
                _not_ready(desk, broker.why if isinstance(broker, Unconnected) else "reconnecting" if before else desk.state_detail)
                lane.serve(connect=not isinstance(broker, Unconnected))
                self._supervisor.add(f"{LANE}{key}", lane.loop, lane.depth, patience=20.0, wake=lane.wake)
        if lane is None:
            broker.close()
        elif before is not None:
            before.end()
        return lane

    def stop_lane(self, account_id: str) -> None:
        with self._changing:
            lane = self._lanes.get(account_id)
            self._lanes = {key: other for key, other in self._lanes.items() if key != account_id}
            self._supervisor.remove(f"{LANE}{account_id}")
        if lane is not None:
            lane.end()

    def restart_lane(self, desk: Desk) -> Lane | None:
        """Close the connection and begin again as after a start: reconcile first, then trade. Until the next lane is there the old one stays known:
        what is put into it waits, a stop finds the account, and its gate is that of the next."""
        _not_ready(desk, "reconnecting")
        before = self._lanes.get(desk.account.account_id)
        if before is not None:
            before.end()
        return self.start_lane(desk)


def _not_ready(desk: Desk, why: str) -> None:
    with desk.lock:
        desk.ready, desk.state_detail = False, why


def _connection(account: Account) -> tuple[object, ...]:
    """What an account's client at its broker is made from, credentials apart."""
    return account.broker, account.paper, account.leverage, account.source_address


def _leaves(desk: Desk, signal: Signal) -> bool:
    """Whether the account has something of the strategy that this signal takes out and that is not leaving already, or an entry on its way to it."""
    key = desk.key_of(signal)
    with desk.lock:
        stays = desk.free_to_exit(key) > 0 or resting_exits(desk, key)  # what rests at a price may never fill
        held = desk.position(key).quantity * signal.side.sign < 0 and bool(stays)
    return held or bool(under_way(desk, signal))

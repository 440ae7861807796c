"""One strategy, several people: whose orders its signals become, what each of them sees of it, and what is left when a share ends."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engines.core.facts import SignalPlanned
from engines.core.model import (
    AccountMapping,
    Denial,
    ExitSpec,
    HaltScope,
    OrderState,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.execution import fanout
from engines.ports import JournalDown
from tests.execution.house import INFY, USER, House, account, books_balance

ASHA, BEN = "U2", "U3"
"""Two people with whom the owner (U1) shares."""
SHARED = StrategyConfig("S1", USER, "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,), shared_with=(ASHA, BEN))
THREE = Sizing(SizingMode.FIXED_QUANTITY, Decimal(3))


def mapping(account_id: str, **changes: Any) -> AccountMapping:
    return AccountMapping(f"M-{account_id}", account_id, "S1", Decimal(50), THREE, **changes)


def people(*accounts: Any, strategy: StrategyConfig = SHARED, **more: Any) -> House:
    """O1 of the owner, A1 and A2 of Asha, B1 of Ben, each mapped with three units."""
    rows = accounts or (account("O1"), account("A1", user_id=ASHA), account("A2", user_id=ASHA), account("B1", user_id=BEN))
    return House(*rows, strategies=[strategy], mappings=[mapping(row.account_id) for row in rows], **more)


def asked(house: House, side: str = "BUY", **changes: Any) -> Any:
    return house.signal(side, None, **({"strategy_id": "S1", "account_ids": ()} | changes))


def planned(house: House) -> dict[str, list[SignalPlanned]]:
    """Who has which signals, in the order in which they were recorded."""
    found: dict[str, list[SignalPlanned]] = {}
    for fact in house.journal.facts:
        if isinstance(fact, SignalPlanned):
            found.setdefault(fact.signal.user_id, []).append(fact)
    return found


def held(house: House) -> dict[str, int]:
    return {row.account_id: int(house.held(row.account_id)) for row in house.directory.rows}


def change(house: House, *mappings: AccountMapping, **strategy: Any) -> None:
    house.directory.mapping_rows = list(mappings) or house.directory.mapping_rows
    house.directory.strategy_rows = [replace(house.directory.strategy_rows[0], **strategy)]
    house.system.runtime.refresh_now()


def test_each_person_gets_a_signal_of_their_own_and_all_of_them_are_durable_at_once():
    commits: list[tuple[Any, ...]] = []
    with people() as house:
        house.journal.on_commit = commits.append
        outcome = house.system.submit(asked(house, source=Source.STRATEGY, note="crossed", exits=ExitSpec(stop_pct=Decimal(5))), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 3, "A2": 3, "B1": 3})
        facts = [fact for fact in commits[0] if isinstance(fact, SignalPlanned)]
        assert len(facts) == 3, "one transaction"
        assert [(f.signal.user_id, sorted(o.account_id for o in f.orders)) for f in facts] == [
            (USER, ["O1"]),
            (ASHA, ["A1", "A2"]),
            (BEN, ["B1"]),
        ]
        assert [order.account_id for order in outcome.orders] == ["O1"], "the owner sees their own"
        assert all(order.user_id == fact.signal.user_id and order.signal_key == fact.signal.key for fact in facts for order in fact.orders)
        assert [fact.signal.signal_id == fact.signal.key for fact in facts] == [False, True, True]
        assert {(fact.signal.source, fact.signal.note, fact.signal.strategy_id) for fact in facts} == {(Source.STRATEGY, "crossed", "S1")}
        assert all(len(desk.plans) == 1 for desk in house.system.roster.desks()), "every account has the stop"
        keys = {fact.signal.user_id: fact.signal.key for fact in facts}
        told = [(user, payload["signal"].key) for kind, user, payload in house.notifier.told if kind == "signal"]
        assert {key for _, key in told} == set(keys.values())
        assert all(keys[user] == key for user, key in told), "each is told of their own"
        books_balance(house)


def test_a_repeated_signal_is_dropped_for_everybody_also_after_a_restart():
    with people() as house:
        first = house.system.submit(asked(house, name="once"), 5)
        again = house.system.submit(asked(house, name="once"), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 3, "A2": 3, "B1": 3})
        with house.restart() as later:
            third = later.system.submit(asked(later, name="once"), 5)
            assert [(o.duplicate, o.key, [x.account_id for x in o.orders]) for o in (again, third)] == [(True, first.key, ["O1"])] * 2
            assert held(later) == {"O1": 3, "A1": 3, "A2": 3, "B1": 3}
            assert {user: len(facts) for user, facts in planned(later).items()} == {USER: 1, ASHA: 1, BEN: 1}
            assert len(later.system.outcomes._by_key) == 0, "what was never durable is forgotten for all"


def test_what_cannot_be_recorded_is_sent_for_nobody():
    rows = (account("O1", broker="wire"), account("A1", user_id=ASHA, broker="wire"))
    with people(*rows) as house:
        house.journal.down = True
        with pytest.raises(JournalDown):
            house.system.submit(asked(house, name="s"), 1)
        assert [book.placed for book in house.books.values()] == [[], []]
        assert [desk.live_orders() for desk in house.system.roster.desks()] == [[], []], "nothing stays reserved"
        house.journal.mend()
        house.until(lambda: not house.system.board.journal_down)
        house.system.submit(asked(house, name="s"), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 3})


def test_by_hand_of_the_owner_is_not_by_hand_of_the_others():
    rows = (account("O1", auto_trade=False), account("A1", user_id=ASHA, auto_trade=False), account("B1", user_id=BEN))
    with people(*rows) as house:
        outcome = house.system.submit(asked(house, note="my own words"), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 0, "B1": 3})
        assert [order.state for order in outcome.orders] == [OrderState.FILLED]
        (asha,), (ben,) = planned(house)[ASHA], planned(house)[BEN]
        assert [order.reason for order in asha.orders] == [Denial.AUTO_TRADE_OFF.value]
        assert {(fact.signal.source, fact.signal.note) for fact in (asha, ben)} == {(Source.COPY, "")}


def test_a_preview_shows_the_owners_accounts_alone():
    with people() as house:
        assert [order.account_id for order in house.system.preview(asked(house))] == ["O1"]


def test_a_signal_that_names_accounts_reaches_nobody_elses():
    """Whoever sends it has been asked whose they are; the engine holds it all the same."""
    with people(strategy=replace(SHARED, shared_with=())) as house:
        outcome = house.system.submit(house.signal(), 5)
        assert [order.account_id for order in outcome.orders] == ["O1"]
        assert set(planned(house)) == {USER}
        assert held(house) == {"O1": 10, "A1": 0, "A2": 0, "B1": 0}


def test_an_owner_without_a_mapping_of_their_own_still_serves_the_others():
    with people(account("A1", user_id=ASHA)) as house:
        outcome = house.system.submit(asked(house, source=Source.STRATEGY), 5)
        house.until(lambda: held(house) == {"A1": 3})
        assert (outcome.orders, outcome.settled) == ((), True)


def _the_mapping_is_off(house: House) -> set[str]:
    change(house, mapping("O1"), mapping("A1", enabled=False), mapping("A2"), mapping("B1"))
    return {"A1"}


def _the_share_has_ended_whatever_the_mappings_say(house: House) -> set[str]:
    change(house, shared_with=(BEN,))
    return {"A1", "A2"}


@pytest.mark.parametrize("ends", [_the_mapping_is_off, _the_share_has_ended_whatever_the_mappings_say])
def test_what_is_off_takes_no_entries_but_leaves_with_what_closes(ends: Any):
    """The one rule for a mapping that is off and a share that has ended (docs/sharing.md)."""
    with people() as house:
        house.system.submit(asked(house, exits=ExitSpec(stop_pct=Decimal(5))), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 3, "A2": 3, "B1": 3})
        off = ends(house)
        house.system.submit(asked(house), 5)
        house.until(lambda: held(house) == {name: 3 if name in off else 6 for name in ("O1", "A1", "A2", "B1")})
        assert all(house.system.roster.desk(name).plans for name in off), "its stop goes on guarding"
        house.system.submit(asked(house, "SELL", source=Source.STRATEGY, reduce_only=True), 5)
        house.until(lambda: not any(held(house).values()))
        before = len(house.journal.orders())
        house.system.submit(asked(house, "SELL", source=Source.STRATEGY, reduce_only=True), 5)
        told = list(house.journal.orders().values())[before:]
        assert {order.account_id for order in told} == {"O1", "A1", "A2", "B1"} - off, "flat: it is reached by nothing more"
        books_balance(house)


def test_a_stop_of_the_strategy_stops_it_for_everybody_and_the_owners_own_stop_only_the_owner():
    with people() as house:
        user_halt, _ = house.system.emergency_stop(HaltScope.USER, USER, "enough", USER)
        house.system.submit(asked(house, source=Source.STRATEGY), 5)
        house.until(lambda: held(house) == {"O1": 0, "A1": 3, "A2": 3, "B1": 3})
        house.system.lift(user_halt.halt_id, USER)
        house.system.set_engines(True, USER, USER)
        house.system.emergency_stop(HaltScope.STRATEGY, "S1", "it misbehaves", USER)
        house.until(lambda: not any(held(house).values()))
        house.system.submit(asked(house, source=Source.STRATEGY), 5)
        house.until(lambda: all(len(facts) >= 2 for facts in planned(house).values()))
        last = [facts[-1] for facts in planned(house).values() if facts[-1].signal.source is Source.STRATEGY]
        assert {order.reason for fact in last for order in fact.orders} == {Denial.HALTED.value}
        assert not any(held(house).values())


def test_the_strategy_is_flat_only_once_nobody_holds_any_of_it():
    told: list[str] = []
    with people() as house:
        house.system.aftermath = replace(house.system.aftermath, tell_flat=lambda strategy, *_: told.append(strategy))
        house.system.submit(asked(house, source=Source.STRATEGY), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 3, "A2": 3, "B1": 3})
        house.system.close_all(["O1", "A1", "A2"])
        house.until(lambda: held(house) == {"O1": 0, "A1": 0, "A2": 0, "B1": 3})
        assert told == []
        house.system.close_all(["B1"])
        house.until(lambda: told == ["S1"])


def test_an_account_that_cannot_be_planned_keeps_the_signal_from_nobody_else(monkeypatch: pytest.MonkeyPatch):
    real = fanout.plan

    def broken(desk: Any, *rest: Any, **more: Any) -> Any:
        if desk.account.account_id == "A1":
            raise ArithmeticError("no such number")
        return real(desk, *rest)

    monkeypatch.setattr(fanout, "plan", broken)
    with people() as house:
        house.system.submit(asked(house, source=Source.STRATEGY), 5)
        house.until(lambda: held(house) == {"O1": 3, "A1": 0, "A2": 3, "B1": 3})
        told = [(user, payload["incident"].kind) for kind, user, payload in house.notifier.told if kind == "incident"]
        assert told == [(ASHA, "signal_failed")]


def test_whoever_trades_a_strategy_is_told_when_it_fails_and_when_it_is_back():
    strategy = replace(SHARED, instruments=("NSE:NOBODY",), active=True)
    with people(account("O1"), account("A1", user_id=ASHA), strategy=strategy) as house:

        def told(over: bool) -> set[str | None]:
            incidents = [(user, payload["incident"]) for kind, user, payload in house.notifier.told if kind == "incident"]
            return {user for user, one in incidents if one.kind == "strategy_quarantined" and (one.until is not None) == over}

        house.until(lambda: told(over=False) == {USER, ASHA})
        change(house, mapping("O1"), active=False)
        house.until(lambda: told(over=True) == {USER, ASHA})
        ids = [payload["incident"].incident_id for kind, _, payload in house.notifier.told if kind == "incident"]
        assert len(set(ids)) == 2, "opened and closed under one id for each"


def troubles(house: House, user: str) -> list[tuple[str, bool]]:
    """What somebody was told of strategies that failed: the name by which it was called, and whether that was over."""
    told = [payload["incident"] for kind, whose, payload in house.notifier.told if (kind, whose) == ("incident", user)]
    return [(one.message.split(" ha")[0], one.until is not None) for one in told if one.kind == "strategy_quarantined"]


def test_whose_share_has_ended_hears_nothing_of_its_failures_whatever_is_still_mapped():
    with people(account("O1"), account("A1", user_id=ASHA), account("B1", user_id=BEN)) as house:
        change(house, shared_with=(BEN,))
        change(house, name="Secret", instruments=("NSE:NOBODY",), active=True)
        house.until(lambda: troubles(house, USER) == [("Secret", False)] == troubles(house, BEN))
        assert troubles(house, ASHA) == []
        assert house.system.roster.people("S1") == {BEN}


def test_a_failure_that_one_was_told_of_is_over_with_the_share_and_nothing_later_is_told():
    strategy = replace(SHARED, instruments=("NSE:NOBODY",), active=True)
    with people(account("O1"), account("A1", user_id=ASHA), strategy=strategy) as house:
        house.until(lambda: troubles(house, ASHA) == [("Cross", False)])
        change(house, shared_with=(), name="Secret")
        house.until(lambda: troubles(house, ASHA) == [("Cross", False), ("Cross", True)])
        change(house, active=False)
        house.until(lambda: troubles(house, USER)[-1] == ("Secret", True))
        assert len(troubles(house, ASHA)) == 2

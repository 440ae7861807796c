"""What an exit that has failed leaves open needs a person until it has left or is guarded again: over a restart, and with one message for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engines.core.facts import IncidentChanged
from engines.core.model import ExitSpec, Incident, OrderState, OrderType, Role, Source, StrategyConfig, Timeframe
from engines.execution import refused
from engines.execution.incidents import EXIT_MISSING
from engines.execution.leaving import Exit
from engines.ports import Recovered
from tests.execution.house import INFY, USER, House, MemoryJournal, account
from tests.execution.test_targets import look

STRATEGY = StrategyConfig("S1", USER, "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,), active=True)
STOP = ExitSpec(stop_price=Decimal(95))


class KeepingJournal(MemoryJournal):
    """Tells after a restart what was open, as the books do."""

    def load(self, since: float) -> Recovered:
        told = {fact.incident.incident_id: fact.incident for fact in self.facts if isinstance(fact, IncidentChanged)}
        return replace(super().load(since), incidents=[one for one in told.values() if one.until is None and one.kind == EXIT_MISSING])


def wired(*accounts: Any) -> House:
    return House(*accounts or (account("A1", broker="wire"),), strategies=[STRATEGY], journal=KeepingJournal())


def closes(house: House, quantity: int | None = None, source: Source = Source.WEBHOOK, **terms: Any) -> None:
    house.send("SELL", quantity, reduce_only=True, strategy_id="S1", source=source, **terms)


def enters(house: House, **terms: Any) -> None:
    house.send("BUY", 10, strategy_id="S1", source=Source.WEBHOOK, **terms)


def refuses(house: House) -> None:
    house.script = lambda request: "refuse"


def fills(house: House) -> None:
    house.script = lambda request: "fill"


def missing(house: House) -> list[Incident]:
    look(house)
    return [incident for incident in house.system.incidents() if incident.kind == EXIT_MISSING]


def told(house: House) -> list[tuple[str | None, Incident]]:
    found = [(user, payload["incident"]) for kind, user, payload in house.notifier.told if kind == "incident"]
    return [(user, incident) for user, incident in found if incident.kind == EXIT_MISSING]


@pytest.fixture
def failed() -> Iterator[House]:
    """A strategy's exit was refused: nobody asks for it again."""
    with wired() as house:
        enters(house)
        refuses(house)
        closes(house)
        yield house


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is asked for again, but not in the time of a test."""
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 3600.0)
    monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 1e6)
    monkeypatch.setattr("engines.execution.aftermath.UNSURE_FOR", 1e6)


def test_it_is_raised_once_and_stays(failed: House) -> None:
    (incident,) = missing(failed)
    assert (incident.kind, incident.severity, incident.account_id, incident.until) == (EXIT_MISSING, "critical", "A1", None)
    assert incident.message == (
        "NSE:INFY: an exit ended as rejected: margin exceeds available funds; what it was to close is held, and nothing closes it"
    )
    failed.feed.price(INFY.symbol, 101.0)
    assert missing(failed) == [incident]
    closes(failed)
    assert missing(failed) == [incident]
    assert told(failed) == [(USER, incident)]


def test_it_is_over_when_the_position_is_closed(failed: House) -> None:
    assert missing(failed)
    fills(failed)
    closes(failed, source=Source.MANUAL)
    failed.until(lambda: failed.held() == 0)
    assert missing(failed) == []
    assert [incident.until is not None for _, incident in told(failed)] == [False, True]


def test_it_is_over_when_the_account_is_gone(failed: House) -> None:
    assert missing(failed)
    failed.directory.rows.clear()
    failed.system.roster.refresh()
    assert missing(failed) == []


def test_it_is_over_when_an_exit_plan_guards_it_again(failed: House) -> None:
    assert missing(failed)
    (view,) = failed.system.positions(["A1"])
    failed.system.set_exit_plan(view.position.position_id, STOP)
    assert missing(failed) == []
    failed.system.set_exit_plan(view.position.position_id, ExitSpec())
    assert missing(failed) == [], "a person has taken it away: no exit has failed since"


@pytest.mark.parametrize(("quantity", "over"), [(10, True), (4, False)])
def test_it_is_over_when_an_exit_rests_for_all_of_it(failed: House, quantity: int, over: bool) -> None:
    assert missing(failed)
    failed.script = lambda request: "open"
    closes(failed, quantity, order_type=OrderType.LIMIT, price=Decimal(110), wait=0.0)
    failed.until(lambda: any(order.state is OrderState.OPEN for order in failed.journal.orders().values()))
    assert (missing(failed) == []) is over


def test_of_a_part_it_is_over_when_as_much_has_left() -> None:
    with wired() as house:
        enters(house)
        refuses(house)
        closes(house, 4)
        assert missing(house)
        fills(house)
        closes(house, 3)
        assert missing(house), "one of it is still there"
        closes(house, 1)
        assert (missing(house), house.held()) == ([], 6)


def test_what_an_armed_plan_guards_needs_nobody() -> None:
    with wired() as house:
        enters(house, exits=STOP)
        refuses(house)
        closes(house)
        assert "exit_failed" in house.notifier.incidents()
        assert (missing(house), told(house)) == ([], [])


def test_a_persons_own_close_that_is_refused_needs_nobody_who_does_not_know() -> None:
    with wired() as house:
        enters(house)
        refuses(house)
        closes(house, source=Source.MANUAL)
        assert missing(house) == []


@pytest.mark.usefixtures("rarely")
def test_a_stop_that_is_refused_needs_a_person_until_it_has_left() -> None:
    with wired() as house:
        enters(house, exits=STOP)
        refuses(house)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: missing(house))
        (incident,) = missing(house)
        assert incident.message.endswith("; what it was to close is held until another leaves")
        fills(house)
        lane = house.system.roster.lane("A1")
        (again,) = [job for job in lane.box.waiting() if isinstance(job, Exit)]
        lane.box.forget(lambda job: job is again)
        lane.put(again)
        house.until(lambda: house.held() == 0)
        assert missing(house) == []
        assert [order.role for order in house.journal.orders().values()] == [Role.ENTRY, Role.STOP, Role.STOP]


def test_it_stays_over_a_restart_without_a_second_word_and_ends_as_before(failed: House) -> None:
    before = missing(failed)
    with failed.restart() as then:
        assert (missing(then), told(then)) == (before, [])
        with then.restart() as last:
            assert missing(last) == before
            fills(last)
            closes(last, source=Source.MANUAL)
            last.until(lambda: last.held() == 0)
            assert missing(last) == []
            assert [incident.incident_id for _, incident in told(last)] == [before[0].incident_id]
            with last.restart() as after:
                assert (missing(after), told(after)) == ([], [])


def test_it_is_its_owners_alone() -> None:
    with wired(account("A1", broker="wire"), account("B1", user_id="U2", broker="wire")) as house:
        for name, user in (("A1", USER), ("B1", "U2")):
            house.send("BUY", 10, account_ids=(name,), user_id=user, source=Source.WEBHOOK)
        refuses(house)
        house.send("SELL", None, account_ids=("B1",), user_id="U2", reduce_only=True, source=Source.WEBHOOK)
        assert [(incident.user_id, incident.account_id) for incident in missing(house)] == [("U2", "B1")]
        assert [user for user, _ in told(house)] == ["U2"]

"""The outbox in the database: written with the fact, claimed before it is sent, recorded after, and never twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.data import Actor, Conflict, Data, NotFound, Send
from app.data.deliveries import CROWD, DEAD_KEPT, KEPT
from engines.core.codec import dumps
from engines.core.messages import Event, Message, Quiet
from engines.notify.answers import Answer, Fate
from engines.notify.backoff import settle
from engines.notify.outbox import MAILS, Batch, Channel, Health, Outcome, SecretMail, Status, Verdict
from tests.notify.house import START, HandClock, counts, destination, message, person, states, target, tell

DISCORD = {"url": "https://discord.com/api/webhooks/1/x"}
BY = Actor("U1", "web", "10.0.0.1")


def sent(data: Data, batch: Batch, *, verdict: Verdict | None = None) -> None:
    outcomes = [Outcome(item.delivery_id, Status.SENT, 1, provider_id="9") for item in batch.items]
    data.deliveries.record(batch, outcomes, verdict or Verdict(), START)


def mail(data: Data, dedupe: str = "code:1", *, lasts: float = 600.0) -> bool:
    fields = {"name": "Asha", "code": "482913", "minutes": 10}
    expires = data.outbox.store.clock.now() + lasts
    return data.journal.run(
        lambda db: data.outbox.mail(db, to="asha@example.com", kind="sign_up", fields=fields, dedupe=dedupe, expires_at=expires)
    )


def test_a_message_is_told_once_however_often_its_fact_comes(data: Data) -> None:
    added = [
        data.journal.run(lambda db: data.outbox.tell(db, "share", dedupe="a", user_id="U1", ref="R", fields={"by": "Asha"})) for _ in "12"
    ]
    assert added == [True, False]
    (row,) = data.outbox.new()
    assert (row.kind, row.ref, row.fields, row.at) == ("share", "R", {"by": "Asha"}, START)


def test_a_message_goes_with_the_transaction_that_it_is_written_in(data: Data) -> None:
    def work(db: object) -> None:
        data.outbox.tell(db, "share", dedupe="a", user_id="U1", ref="R")  # type: ignore[arg-type]
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        data.journal.run(work)
    assert data.outbox.new() == ()


def test_moments_are_seconds(data: Data) -> None:
    with pytest.raises(ValueError, match="seconds"):
        data.journal.run(lambda db: data.outbox.tell(db, "x", dedupe="a", user_id="U1", ref="R", at=START * 1e6))


def test_telling_freezes_the_message_and_a_second_telling_changes_nothing(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    (number,) = tell(data, [there])
    assert data.outbox.told([(message(number, title="again"), [Send(there, 0, START + 60)])]) == 0
    (row,) = data.outbox.list("U1").items
    assert row.message is not None
    assert (row.state, row.message.title) == ("told", f"BUY INFY – FILLED ({number})")
    assert [(way.channel, way.status) for way in row.deliveries] == [("discord", "pending")]


def test_what_is_dropped_is_gone_from_every_list(data: Data) -> None:
    data.journal.run(lambda db: data.outbox.tell(db, "share", dedupe="a", user_id="U1", ref="R"))
    data.outbox.told([], dropped=[data.outbox.new()[0].message_id])
    assert (data.outbox.new(), data.outbox.list("U1").items) == ((), ())


@pytest.mark.parametrize("change", ["enabled = 0", "gone"])
def test_a_destination_that_is_off_or_gone_gets_nothing(data: Data, change: str) -> None:
    there = destination(data, "discord", DISCORD)
    sql = "DELETE FROM destinations" if change == "gone" else f"UPDATE destinations SET {change}"
    data.journal.run(lambda db: db.execute(sql))
    tell(data, [there])
    assert states(data) == []


def test_a_claim_takes_the_first_that_are_due_and_says_whether_there_are_more(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    numbers = tell(data, [there], 5)
    first = data.deliveries.claim(there, 3, START)
    assert first is not None
    assert ([item.what.message_id for item in first.items if isinstance(item.what, Message)], first.more) == (numbers[:3], True)
    assert dict(first.address) == DISCORD
    assert counts(data) == {"sending": 3, "pending": 2}
    second = data.deliveries.claim(there, 3, START)
    assert second is not None
    assert (len(second.items), second.more) == (2, False)
    assert data.deliveries.claim(there, 3, START) is None


def test_what_is_not_due_yet_and_what_is_too_late_is_not_claimed(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], not_before=START + 100)
    tell(data, [there], lasts=50)
    assert [due.at for due in data.deliveries.agenda()] == [START]
    clock.passed = 60
    assert data.deliveries.claim(there, 3, clock.now()) is None
    assert [due.at for due in data.deliveries.agenda()] == [START + 100]
    assert data.deliveries.sweep(clock.now()) == 1
    assert states(data, "status", "error") == [("pending", ""), ("dead", "not sent in time")]


def test_what_was_sent_is_recorded_with_the_provider_s_number(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there])
    batch = data.deliveries.claim(there, 3, START)
    assert batch is not None
    sent(data, batch)
    assert states(data, "status", "attempts", "provider_id") == [("sent", 1, "9")]
    assert target(data, there)["last_sent_at"] == START * 1e6


def test_a_verdict_about_an_address_that_was_changed_meanwhile_is_not_kept(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there])
    batch = data.deliveries.claim(there, 3, START)
    assert batch is not None
    data.journal.run(lambda db: db.execute("UPDATE destinations SET updated_at = 5"))
    sent(data, batch, verdict=Verdict(Health.REFUSED, "gone", 1))
    assert target(data, there)["state"] == "ok"


@pytest.mark.parametrize(
    ("change", "agenda"), [("state = 'refused'", 0), ("enabled = 0", 0), (f"not_before = {int((START + 9) * 1e6)}", 1)]
)
def test_a_destination_that_may_not_be_sent_to_keeps_its_messages(data: Data, change: str, agenda: int) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there])
    data.journal.run(lambda db: db.execute(f"UPDATE destinations SET {change}"))
    assert len(data.deliveries.agenda()) == agenda
    assert data.deliveries.claim(there, 3, START) is None
    assert counts(data) == {"pending": 1}


def test_whoever_may_no_longer_sign_in_is_told_nothing_more(data: Data) -> None:
    there = destination(data, "discord", DISCORD, user_id="LEFT")
    tell(data, [there])
    data.journal.run(lambda db: db.execute("UPDATE users SET active = 0 WHERE user_id = 'LEFT'"))
    assert data.deliveries.agenda() == ()
    assert data.deliveries.claim(there, 3, START) is None


def test_the_messages_of_a_destination_that_was_removed_are_given_up(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], 2)
    data.journal.run(lambda db: db.execute("DELETE FROM destinations"))
    (due,) = data.deliveries.agenda()
    assert data.deliveries.claim(due.target, 3, START) is None
    assert states(data, "status", "error") == [("dead", "the destination was removed")] * 2
    assert data.deliveries.agenda() == ()


def test_what_was_being_sent_when_the_program_ended_waits_again_and_the_try_counts(data: Data) -> None:
    there, other = destination(data, "discord", DISCORD), destination(data, "discord", DISCORD, "OTHER")
    tell(data, [there, other])
    mail(data)
    for name in (there, other, MAILS):
        assert data.deliveries.claim(name, 3, START) is not None
    assert data.deliveries.recover([other, MAILS]) == 2
    assert states(data, "status", "attempts") == [("sending", 0), ("pending", 1), ("pending", 1)]
    assert data.deliveries.recover() == 1
    assert counts(data) == {"pending": 3}


def test_a_mail_is_sealed_until_it_has_gone_and_then_wiped(data: Data) -> None:
    assert mail(data)
    assert not mail(data)
    ((sealed,),) = states(data, "sealed")
    assert b"482913" not in sealed
    assert b"asha" not in sealed
    batch = data.deliveries.claim(MAILS, 1, START)
    assert batch is not None
    (item,) = batch.items
    assert item.what == SecretMail("asha@example.com", "sign_up", {"name": "Asha", "code": "482913", "minutes": "10"})
    assert "482913" not in repr(batch)
    assert "asha" not in repr(batch)
    sent(data, batch)
    assert states(data, "status", "sealed") == [("sent", None)]


def test_nothing_is_left_of_a_mail_that_nobody_could_send_in_time(data: Data, clock: HandClock) -> None:
    mail(data, lasts=60)
    clock.passed = 61
    data.deliveries.sweep(clock.now())
    assert states(data, "status", "sealed") == [("dead", None)]


def test_a_mail_waits_again_with_its_secret(data: Data) -> None:
    mail(data)
    batch = data.deliveries.claim(MAILS, 1, START)
    assert batch is not None
    assert batch.channel is Channel.MAIL
    data.deliveries.record(batch, *settle(batch, Answer(Fate.FAILED, 1, "later"), START, lambda: 0.5), START)
    ((status, sealed),) = states(data, "status", "sealed")
    assert (status, sealed is not None) == ("pending", True)


def test_an_address_that_cannot_be_read_is_told_and_its_messages_wait(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there])
    data.journal.run(lambda db: db.execute("UPDATE destinations SET sealed = x'00'"))
    assert data.deliveries.claim(there, 3, START) is None
    row = target(data, there)
    assert (row["state"], row["state_detail"]) == ("refused", "its address was encrypted with another key: enter it again")
    assert counts(data) == {"pending": 1}


def test_a_message_that_cannot_be_read_is_given_up_and_holds_up_nothing(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    numbers = tell(data, [there], 2)
    data.journal.run(lambda db: db.execute("UPDATE messages SET body = '{}' WHERE message_id = ?", numbers[:1]))
    batch = data.deliveries.claim(there, 3, START)
    assert batch is not None
    assert len(batch.items) == 1
    assert states(data, "status", "error") == [("dead", "it cannot be read any more"), ("sending", "")]


def test_after_an_outage_orders_whose_summary_waits_too_are_not_told_one_by_one(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)

    def make(number: int) -> Message:
        kind = "signal" if number == CROWD + 10 else "order"
        return message(number, kind=kind, thread="S1" if number > 5 else "S0", covers=CROWD + 10)

    tell(data, [there], CROWD + 10, make=make)
    clock.passed = 31
    batch = data.deliveries.claim(there, 10, clock.now())
    assert batch is not None
    assert [item.what.message_id for item in batch.items if isinstance(item.what, Message)] == [1, 2, 3, 4, 5, CROWD + 10]
    assert counts(data) == {"merged": CROWD + 4, "sending": 6}


def test_no_order_is_merged_into_a_summary_that_is_held_back_longer_than_it(data: Data, clock: HandClock) -> None:
    """In quiet hours an urgent rejection does not wait for the summary of the morning."""
    there = destination(data, "discord", DISCORD)
    tell(data, [there], make=lambda number: message(number, kind="signal", thread="S1", covers=99), not_before=START + 3600)
    tell(data, [there], CROWD, make=lambda number: message(number, thread="S1"))
    tell(data, [there], make=lambda number: message(number, thread="S1"), not_before=START + 3600)
    clock.passed = 31
    data.deliveries.claim(there, 10, clock.now())
    assert counts(data) == {"sending": 10, "pending": CROWD - 9, "merged": 1}


def crowd(data: Data, clock: HandClock, *, order_lasts: float = 200.0) -> str:
    """A summary that is worth telling for 200 seconds, and a crowd that has waited beside it for 31."""
    there = destination(data, "discord", DISCORD)
    tell(data, [there], make=lambda number: message(number, kind="signal", thread="S1", covers=999_999), lasts=200.0)
    tell(data, [there], CROWD, make=lambda number: message(number, thread="S1"), lasts=order_lasts)
    tell(data, [there], make=lambda number: message(number, thread="S2"))
    clock.passed = 31
    return there


@pytest.mark.parametrize(("order_lasts", "merged"), [(100.0, CROWD), (200.0, CROWD), (201.0, 0)])
def test_no_order_is_merged_into_a_summary_that_is_worth_telling_less_long(
    data: Data, clock: HandClock, order_lasts: float, merged: int
) -> None:
    """A rejection is for three days, the summary beside it for one: after thirty hours nobody would hear of it."""
    there = crowd(data, clock, order_lasts=order_lasts)
    data.deliveries.claim(there, 1, clock.now())
    assert counts(data).get("merged", 0) == merged


@pytest.mark.parametrize("how", ["given up", "too old", "unreadable"])
def test_what_was_merged_into_a_summary_that_reaches_nobody_is_told_by_itself(data: Data, clock: HandClock, how: str) -> None:
    there = crowd(data, clock)
    if how == "unreadable":
        data.journal.run(lambda db: db.execute("UPDATE messages SET body = json_remove(body, '$.title') WHERE kind = 'signal'"))
    batch = data.deliveries.claim(there, 1, clock.now())
    if how == "unreadable":
        assert batch is None
    else:
        assert batch is not None
        assert counts(data) == {"sending": 1, "merged": CROWD, "pending": 1}
        answer = Answer(Fate.BAD_MESSAGE if how == "given up" else Fate.FAILED, 1, "no")
        data.deliveries.record(batch, *settle(batch, answer, clock.now(), lambda: 0.5), clock.now())
    if how == "too old":
        clock.passed = 201
        assert data.deliveries.sweep(clock.now()) == CROWD + 1
        assert counts(data) == {"dead": CROWD + 1, "pending": 1}  # to be seen, and sent again by hand
    else:
        assert counts(data) == {"dead": 1, "pending": CROWD + 1}
        again = data.deliveries.claim(there, 10, clock.now())
        assert again is not None
        assert (len(again.items), again.more) == (10, True)


@pytest.mark.parametrize(("count", "passed"), [(CROWD, 60), (CROWD + 30, 5)])
def test_few_that_wait_and_a_burst_are_each_told(data: Data, clock: HandClock, count: int, passed: float) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], count, make=lambda number: message(number, kind="signal" if number == 1 else "order", thread="S1", covers=count))
    clock.passed = passed
    data.deliveries.claim(there, 10, clock.now())
    assert counts(data) == {"sending": 10, "pending": count - 10}


def quiet(data: Data, *, strict: bool) -> None:
    """A person sets quiet hours from one hour after the start until nine hours after it."""
    hours = dumps(Quiet("09:00", "17:00", "UTC", strict=strict))
    data.journal.run(lambda db: db.execute("UPDATE destinations SET quiet = ?", (hours,)))


def of(*events: Event | None) -> Callable[[int], Message]:
    """The next message of each call is of the next event."""
    left = iter(events)
    return lambda number: message(number, event=next(left))


def titles(batch: Batch | None) -> list[int]:
    return [item.what.message_id for item in batch.items if isinstance(item.what, Message)] if batch else []


@pytest.mark.parametrize("strict", [False, True])
def test_what_failed_before_quiet_hours_began_waits_for_their_end(data: Data, clock: HandClock, strict: bool) -> None:
    there = destination(data, "discord", DISCORD)
    quiet(data, strict=strict)
    (number,) = tell(data, [there], lasts=6 * 3600)
    clock.passed = 3590
    batch = data.deliveries.claim(there, 10, clock.now())
    assert batch is not None
    data.deliveries.record(batch, *settle(batch, Answer(Fate.FAILED, 1, "no"), clock.now(), lambda: 0.5), clock.now())
    data.journal.run(lambda db: db.execute("UPDATE deliveries SET next_at = ?", (int((START + 3610) * 1e6),)))
    clock.passed = 3610
    assert data.deliveries.claim(there, 10, clock.now()) is None
    assert [due.at for due in data.deliveries.agenda()] == [START + 9 * 3600]
    clock.passed = 9 * 3600
    data.deliveries.sweep(clock.now())  # six hours after it was told: the eight of the night do not count
    assert titles(data.deliveries.claim(there, 10, clock.now())) == [number]


@pytest.mark.parametrize(("strict", "passes"), [(False, [1, 3]), (True, [3])])
def test_what_waited_when_quiet_hours_were_set_is_held_back_by_them(data: Data, clock: HandClock, strict: bool, passes: list[int]) -> None:
    """Not what is urgent, unless they are strict, and never a test."""
    there = destination(data, "discord", DISCORD)
    numbers = tell(data, [there], 5, make=of(Event.ORDERS, Event.REJECTIONS, Event.DAY, None, Event.PEOPLE))
    clock.passed = 2 * 3600
    quiet(data, strict=strict)
    assert titles(data.deliveries.claim(there, 10, clock.now())) == [numbers[at] for at in passes]
    assert data.deliveries.claim(there, 10, clock.now()) is None
    clock.passed = 9 * 3600
    assert titles(data.deliveries.claim(there, 10, clock.now())) == [number for at, number in enumerate(numbers) if at not in passes]


def test_what_is_urgent_is_not_behind_a_thousand_that_are_held_back(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], 1000)
    (urgent,) = tell(data, [there], make=of(Event.HALTS))
    clock.passed = 2 * 3600
    quiet(data, strict=False)
    assert titles(data.deliveries.claim(there, 10, clock.now())) == [urgent]


def test_what_was_given_up_is_sent_again_by_hand_and_by_nobody_else(data: Data) -> None:
    there = destination(data, "discord", DISCORD)
    person(data, "U2")
    tell(data, [there], lasts=1)
    with pytest.raises(Conflict):
        data.outbox.resend("U1", 1, by=BY)
    data.deliveries.sweep(START + 2)
    for user_id, delivery_id in (("U2", 1), ("U1", 99)):
        with pytest.raises(NotFound):
            data.outbox.resend(user_id, delivery_id, by=BY)
    data.outbox.resend("U1", 1, by=BY)
    assert states(data, "status", "attempts", "error") == [("pending", 0, "")]
    assert data.deliveries.claim(there, 1, START + 2) is not None


def test_what_is_sent_again_by_hand_in_quiet_hours_goes_at_once_also_when_it_is_tried_again(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    (given_up,) = tell(data, [there], lasts=1)
    tell(data, [there])
    clock.passed = 2 * 3600
    data.deliveries.sweep(clock.now())
    quiet(data, strict=True)
    data.outbox.resend("U1", 1, by=BY)
    for _ in range(2):
        batch = data.deliveries.claim(there, 10, clock.now())
        assert batch is not None
        assert titles(batch) == [given_up]
        data.deliveries.record(batch, *settle(batch, Answer(Fate.FAILED, 1, "no"), clock.now(), lambda: 0.5), clock.now())
        clock.passed += 100


def test_what_was_sent_again_is_held_back_by_quiet_hours_that_are_set_after_it(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], lasts=1)
    clock.passed = 2 * 3600
    data.deliveries.sweep(clock.now())
    data.outbox.resend("U1", 1, by=BY)
    clock.passed += 1
    data.destinations.change("U1", there, {"quiet": Quiet("09:00", "17:00", "UTC")}, by=BY)
    assert data.deliveries.claim(there, 10, clock.now()) is None


def test_everybody_sees_their_own_messages_and_what_is_meant_for_all(data: Data) -> None:
    mine, hers = destination(data, "discord", DISCORD), destination(data, "discord", DISCORD, "HERS", "U2")
    for at, user_id in enumerate(("U1", "U2", "", "@")):
        data.journal.run(lambda db, at=at, user_id=user_id: data.outbox.tell(db, f"k{at}", dedupe=str(at), user_id=user_id, ref=""))  # type: ignore[misc]
    told = [(message(row.message_id), [Send(mine, 0, START + 60), Send(hers, 0, START + 60)]) for row in data.outbox.new()]
    data.outbox.told(told)
    assert [row.kind for row in data.outbox.list("U1").items] == ["k2", "k0"]
    assert [row.kind for row in data.outbox.list("U1", audiences=("", "@")).items] == ["k3", "k2", "k0"]
    assert {way.destination_id for row in data.outbox.list("U1").items for way in row.deliveries} == {mine}
    page = data.outbox.list("U2", limit=1)
    assert [row.kind for row in data.outbox.list("U2", cursor=page.next).items] == ["k1"]
    assert data.outbox.list("U1", status="dead").items == ()


def test_what_is_old_is_deleted_and_nothing_else(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], 3)
    batch = data.deliveries.claim(there, 1, START)
    assert batch is not None
    sent(data, batch)
    data.journal.run(lambda db: db.execute("UPDATE deliveries SET status = 'dead' WHERE delivery_id = 2"))
    for passed, left, said in ((KEPT - 1, 3, 3), (KEPT + 1, 2, 3), (DEAD_KEPT + 1, 1, 1)):
        clock.passed = passed
        data.deliveries.tidy(clock.now())
        assert (len(states(data)), len(data.outbox.list("U1").items)) == (left, said)


def test_how_the_outbox_stands(data: Data, clock: HandClock) -> None:
    there = destination(data, "discord", DISCORD)
    tell(data, [there], 3)
    data.deliveries.claim(there, 1, START)
    data.journal.run(lambda db: data.outbox.tell(db, "share", dedupe="a", user_id="U1", ref="R"))
    clock.passed = 7
    stands = data.outbox.stats()
    assert (stands.new, stands.pending, stands.sending, stands.dead, stands.oldest_age) == (1, 2, 1, 0, 7.0)


def test_what_is_asked_all_the_time_reads_no_more_than_what_is_open(data: Data) -> None:
    from app.data import deliveries

    asked = [
        (deliveries._AGENDA, (0,)),
        (deliveries._CLAIM % ("d.target = ?", deliveries._FIRST_TOLD), ("D", 0, 0, 11)),
        ("SELECT * FROM messages WHERE state = 'new' AND message_id > ? ORDER BY message_id LIMIT ?", (0, 10)),
    ]
    for sql, params in asked:
        plan = [row["detail"] for row in data.outbox.store.readers.all(f"EXPLAIN QUERY PLAN {sql}", params)]
        assert any("deliveries_due" in step or "messages_new" in step for step in plan), plan
        assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plan), plan

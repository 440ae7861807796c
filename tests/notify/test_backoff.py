"""When something is tried again, and what each answer means for a delivery and its target: the tables of docs/messages.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.notify.answers import Answer, Fate
from engines.notify.backoff import BREAKS, DELAYS, MAIL_PAUSE, PAUSE, delay, settle
from engines.notify.outbox import MAILS, Batch, Channel, Claimed, Health, Status
from tests.notify.house import START, message

NOW = START


def half() -> float:
    return 0.5


def batch(count: int = 2, *, attempts: int = 0, failures: int = 0, target: str = "D", expires: float = NOW + 6 * 3600) -> Batch:
    items = tuple(Claimed(number, attempts, expires, message(number)) for number in range(1, count + 1))
    return Batch(target, Channel.MAIL if target == MAILS else Channel.DISCORD, {}, items, failures)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (2, 10), (3, 30), (4, 120), (5, 600), (6, 1800), (7, 3600), (50, 3600)])
def test_the_wait_after_each_failure(failures: int, seconds: float) -> None:
    assert delay(failures, half) == seconds
    assert delay(failures, lambda: 0.0) == pytest.approx(seconds * 0.8)
    assert delay(failures, lambda: 1.0) == pytest.approx(seconds * 1.2)


@pytest.mark.parametrize(
    ("answer", "statuses", "attempts", "waits", "health"),
    [
        (Answer(Fate.ACCEPTED, 2), "sent sent", (1, 1), None, Health.OK),
        (Answer(Fate.ACCEPTED, 1), "sent pending", (1, 0), 0, Health.OK),
        (Answer(Fate.LIMITED, 2, wait=40), "pending pending", (0, 0), 40, Health.OK),
        (Answer(Fate.FAILED, 2), "pending pending", (1, 1), 2, Health.OK),
        (Answer(Fate.FAILED, 1), "pending pending", (1, 0), 2, Health.OK),
        (Answer(Fate.FAILED, 2, wait=90), "pending pending", (1, 1), 90, Health.OK),
        (Answer(Fate.SPLIT, 2), "pending pending", (0, 0), 0, Health.OK),
        (Answer(Fate.MOVED, 2), "pending pending", (0, 0), 0, Health.OK),
        (Answer(Fate.BAD_MESSAGE, 1), "dead pending", (1, 0), 0, Health.OK),
        (Answer(Fate.BAD_TARGET, 2), "pending pending", (1, 1), 0, Health.REFUSED),
    ],
)
def test_what_an_answer_means(answer: Answer, statuses: str, attempts: tuple[int, int], waits: float | None, health: Health) -> None:
    outcomes, verdict = settle(batch(), answer, NOW, half)
    assert " ".join(outcome.status for outcome in outcomes) == statuses
    assert tuple(outcome.attempts for outcome in outcomes) == attempts
    assert verdict.health is health
    pending = [outcome.next_at - NOW for outcome in outcomes if outcome.status is Status.PENDING]
    assert pending == [waits] * len(pending)


def test_an_asking_to_wait_is_no_failure_and_a_success_forgets_all_of_them() -> None:
    assert settle(batch(failures=4), Answer(Fate.LIMITED, 2, wait=5), NOW, half)[1].failures == 4
    assert settle(batch(failures=4), Answer(Fate.ACCEPTED, 2), NOW, half)[1].failures == 0


def test_ten_failures_in_a_row_pause_a_target_for_ten_minutes() -> None:
    for failures in range(BREAKS + 5):
        _, verdict = settle(batch(failures=failures), Answer(Fate.FAILED, 2, "no"), NOW, half)
        assert verdict.failures == failures + 1
        assert verdict.health is (Health.PAUSED if failures + 1 >= BREAKS else Health.OK)
        assert verdict.not_before - NOW == min(DELAYS[min(failures, len(DELAYS) - 1)], PAUSE)


def test_what_would_come_too_late_is_given_up_at_once() -> None:
    outcomes, _ = settle(batch(expires=NOW + 25, failures=2), Answer(Fate.FAILED, 2, "no"), NOW, half)
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [
        (Status.DEAD, "not sent in time: no"),
        (Status.DEAD, "not sent in time"),
    ] or all(outcome.status is Status.DEAD for outcome in outcomes)


def test_a_mailbox_that_says_later_delays_its_own_mail_alone() -> None:
    outcomes, verdict = settle(batch(1, attempts=3, target=MAILS), Answer(Fate.FAILED, 1, "later"), NOW, half)
    assert (outcomes[0].next_at - NOW, verdict.not_before, verdict.failures) == (120, 0.0, 0)
    _, verdict = settle(batch(1, target=MAILS), Answer(Fate.FAILED, 1, "no server", wide=True), NOW, half)
    assert (verdict.not_before - NOW, verdict.failures) == (2, 1)
    _, verdict = settle(batch(1, target=MAILS, failures=20), Answer(Fate.FAILED, 1, "no server", wide=True), NOW, half)
    assert verdict.not_before - NOW == MAIL_PAUSE


@given(
    fate=st.sampled_from(Fate),
    count=st.integers(1, 12),
    taken=st.integers(1, 12),
    failures=st.integers(0, 40),
    attempts=st.integers(0, 40),
    wait=st.floats(0, 1000),
    left=st.floats(0.1, 90_000),
    chance=st.floats(0, 0.999),
)
def test_every_delivery_of_a_batch_has_one_outcome_and_nothing_waits_past_its_end(
    fate: Fate, count: int, taken: int, failures: int, attempts: int, wait: float, left: float, chance: float
) -> None:
    given_ = batch(count, attempts=attempts, failures=failures, expires=NOW + left)
    outcomes, verdict = settle(given_, Answer(fate, min(taken, count), wait=wait), NOW, lambda: chance)
    assert [outcome.delivery_id for outcome in outcomes] == [item.delivery_id for item in given_.items]
    for outcome in outcomes:
        assert outcome.attempts - attempts in (0, 1)
        if outcome.status is Status.PENDING:
            assert NOW <= outcome.next_at < NOW + left
    assert verdict.failures <= failures + 1

"""Guessing is slow, knowing is not; with a clock in hand."""

from __future__ import annotations

import pytest

from app.auth.throttle import MOST_KEYS, Guards, Throttle

SPELLINGS = ["\u017fam@x.example", "Sam@x.example", " sam@x.example", "sAM@X.EXAMPLE", "sam@x.example"]  # with an old long s, too


class Clock:
    at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def test_so_many_failures_then_wait_for_the_oldest_to_pass() -> None:
    clock = Clock()
    throttle = Throttle(clock, most=3, window=60)
    for at in (0, 10, 20):
        clock.at = at
        assert throttle.book("k") == 0
    assert throttle.book("k") == 40, "and this one does not count"
    assert throttle.wait("another") == 0
    clock.at = 60
    assert throttle.book("k") == 0
    assert throttle.wait("k") == 10


def test_success_forgives() -> None:
    throttle = Throttle(Clock(), most=1, window=60)
    throttle.book("k")
    throttle.succeeded("k")
    assert throttle.wait("k") == 0


def test_what_is_given_back_never_counted() -> None:
    throttle = Throttle(Clock(), most=2, window=60)
    assert [throttle.book("k") for _ in range(3)] == [0, 0, 60]
    throttle.give_back("k")
    assert [throttle.book("k") for _ in range(2)] == [0, 60]
    for _ in range(3):
        throttle.give_back("k")
    assert not throttle._failures, "it takes no room either"
    assert throttle.wait("k") == 0


def test_memory_is_bounded_under_attack() -> None:
    clock = Clock()
    throttle = Throttle(clock, most=2, window=60)
    for number in range(MOST_KEYS + 500):
        throttle.book(f"k{number}")
    assert len(throttle._failures) <= MOST_KEYS
    clock.at = 61
    throttle.book("new")
    assert throttle.wait("new") == 0


@pytest.mark.parametrize(
    ("guesses", "same", "waits"),
    [
        ([("a@x.example", "10.0.0.1")] * 5, ("a@x.example", "10.0.0.1"), True),
        ([("a@x.example", "10.0.0.1")] * 5, ("a@x.example", "10.0.0.2"), False),
        ([("a@x.example", "10.0.0.1")] * 5, ("b@x.example", "10.0.0.1"), False),
        ([(f"{n}@x.example", "10.0.0.1") for n in range(20)], ("new@x.example", "10.0.0.1"), True),
        ([("a@x.example", f"10.0.0.{n}") for n in range(50)], ("a@x.example", "10.0.1.1"), True),
        ([("a@x.example", "2001:db8::1")] * 5, ("a@x.example", "2001:db8::ffff:1"), True),
        ([("a@x.example", "2001:db8::1")] * 5, ("a@x.example", "2001:db8:0:1::1"), False),
        ([("a@x.example", "::ffff:10.0.0.1")] * 5, ("a@x.example", "10.0.0.1"), True),
        ([("a@x.example", "")] * 5, ("a@x.example", ""), True),
        ([(email, "10.0.0.1") for email in SPELLINGS], ("sam@x.example", "10.0.0.1"), True),
        ([("sam@x.example", f"10.0.0.{n}") for n in range(50)], (SPELLINGS[0], "10.0.1.1"), True),
    ],
)
def test_guesses_count_for_the_pair_the_address_and_the_e_mail(guesses: list[tuple[str, str]], same: tuple[str, str], waits: bool) -> None:
    guards = Guards(Clock())
    for email, address in guesses:
        assert guards.book(email, address) == 0
    assert (guards.book(*same) > 0) == waits


def test_a_right_password_counts_nowhere_and_one_that_has_to_wait_counts_nowhere_either() -> None:
    guards = Guards(Clock())
    for _ in range(60):
        assert guards.book("a@x.example", "10.0.0.1") == 0
        guards.succeeded("a@x.example", "10.0.0.1")
    assert [guards.book("a@x.example", "10.0.0.1") for _ in range(65)] == [0] * 5 + [60] * 60
    assert guards.book("b@x.example", "10.0.0.1") == 0, "five of the address"
    assert guards.book("a@x.example", "10.0.0.2") == 0, "and of the e-mail"


def test_one_address_that_guesses_all_day_keeps_nobody_else_from_signing_in() -> None:
    clock = Clock()
    guards = Guards(clock)
    looked_at = 0
    for second in range(2 * 3600):
        clock.at = second
        looked_at += guards.book("a@x.example", "203.0.113.7") == 0
        if second % 97 == 0:
            assert guards.book("a@x.example", "198.51.100.1") == 0
            guards.succeeded("a@x.example", "198.51.100.1")
    assert looked_at == 15 * 12


def test_strangers_at_the_door_and_whoever_is_signed_in_are_counted_apart() -> None:
    guards = Guards(Clock())
    for number in range(50):
        assert guards.book("a@x.example", f"10.0.0.{number // 5}") == 0
    assert guards.book("a@x.example", "10.0.0.1") > 0
    assert guards.book_own("U1", "10.0.0.1") == 0
    guards.own_succeeded("U1", "10.0.0.1")
    assert [guards.book_own("U1", "10.0.0.1") for _ in range(6)] == [0] * 5 + [60]
    assert guards.book_own("U1", "10.0.0.2") == 0


def test_somebody_who_is_signed_in_guesses_no_more_than_at_the_door() -> None:
    clock = Clock()
    guards = Guards(clock)
    looked_at = 0
    for second in range(600):
        clock.at = second
        looked_at += guards.book_own("U1", "10.0.0.1") == 0
    assert looked_at == 15
    everywhere = sum(guards.book_own("U1", f"10.1.{number}.1") == 0 for number in range(60))
    assert everywhere == 35


def test_whoever_shows_that_the_e_mail_is_theirs_no_longer_waits_for_others_guesses() -> None:
    guards = Guards(Clock())
    for number in range(50):
        guards.book("a@x.example", f"10.0.0.{number}")
    assert guards.book("a@x.example", "10.9.9.9") > 0
    guards.forgiven("A@x.example", "10.9.9.9")
    assert guards.book("a@x.example", "10.9.9.9") == 0


def test_an_address_asks_so_often_an_hour_for_each_thing() -> None:
    clock = Clock()
    guards = Guards(clock)
    assert [guards.ask("forgot", "10.0.0.1") for _ in range(10)] == [0.0] * 10
    clock.at = 600
    assert guards.ask("forgot", "10.0.0.1") == 3000
    assert guards.ask("sign-up", "10.0.0.1") == 0
    clock.at = 3600
    assert guards.ask("forgot", "10.0.0.1") == 0

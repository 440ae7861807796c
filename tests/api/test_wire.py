"""Shapes on the wire: put together when they are first needed, however many ask at once."""

from __future__ import annotations

import threading

import pytest

from app.api.wire import Body, Out, Page

ASKING = 8


def test_a_shape_is_made_ready_when_it_is_first_used() -> None:

    class Wanted(Body):
        quantity: int

    class Shown(Out):
        quantity: int

    assert not Wanted.__pydantic_complete__
    assert not Shown.__pydantic_complete__
    assert Wanted.model_validate({"quantity": "7"}).quantity == 7
    assert Page[Shown](items=[Shown(quantity=7)]).model_dump(mode="json") == {"items": [{"quantity": 7}], "next": None}
    assert Wanted.__pydantic_complete__
    assert Shown.__pydantic_complete__


@pytest.mark.parametrize("_again", range(5))
def test_many_may_be_the_first_at_once(_again: int) -> None:
    class Leg(Body):
        quantity: int

    class Wanted(Body):
        legs: list[Leg]

    together = threading.Barrier(ASKING)
    read: list[Wanted] = []

    def ask() -> None:
        together.wait()
        read.append(Wanted.model_validate({"legs": [{"quantity": 7}]}))

    threads = [threading.Thread(target=ask) for _ in range(ASKING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [Wanted(legs=[Leg(quantity=7)])] * ASKING

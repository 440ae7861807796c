"""The signals of one shared strategy reach the file all together or not at all, whichever of them cannot be written."""

from __future__ import annotations

import threading

import pytest

from engines.ports import DuplicateSignal, JournalDown
from tests.data.house import House, eventually
from tests.data.making import planned


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_signals_of_several_people_are_written_all_or_none(house: House, place: int) -> None:
    house.journal.commit(planned(signal_id="taken", user_id=f"U{place}"))
    parts = [planned(f"U{n}", accounts=2, signal_id="taken" if n == place else f"fresh-{n}") for n in range(3)]
    with pytest.raises(DuplicateSignal):
        house.journal.commit(*parts)
    assert (house.one("SELECT count(*) FROM signals"), house.one("SELECT count(*) FROM orders")) == (1, 1)
    house.journal.commit(*(planned(f"U{n}", accounts=2) for n in range(3)))
    assert (house.one("SELECT count(*) FROM signals"), house.one("SELECT count(*) FROM orders")) == (4, 7)


def test_what_nobody_was_told_of_is_taken_out_again_for_everybody(make_house: object) -> None:
    """Whoever asked has gone by the time it is written: nothing was sent, so nothing of it may stay in the books of the others either."""
    house: House = make_house(wait=0.05)  # type: ignore[operator]
    go = house.hold()
    parts = [planned(f"U{n}", accounts=2) for n in range(3)]
    refused = threading.Event()

    def ask() -> None:
        with pytest.raises(JournalDown):
            house.journal.commit(*parts)
        refused.set()

    threading.Thread(target=ask).start()
    assert refused.wait(30)
    go.set()
    house.written()
    assert eventually(lambda: house.one("SELECT count(*) FROM signals") + house.one("SELECT count(*) FROM orders") == 0)

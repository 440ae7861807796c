"""What became of each signal is kept within bounds."""

from __future__ import annotations

from engines.execution.outcomes import OutcomeBoard
from tests.execution.house import House


def test_a_signal_that_never_settles_keeps_no_other_from_being_forgotten() -> None:
    house, board = House(start=False), OutcomeBoard(keep=10)
    unsettled, _ = board.open(house.signal(), 0.0)
    for _ in range(100):
        tracker, _ = board.open(house.signal(), 0.0)
        tracker.attach(())
    assert board.get(unsettled.signal.key) is unsettled
    assert len(board._by_key) == len(board._by_id) == 10
    assert board.get(tracker.signal.key) is tracker

"""Seeded fault schedules over all brokers. The suite plays a few; `--schedules 2000` plays as many as asked, `--schedule-seed N` one again."""

from __future__ import annotations

import pytest

from tests.contract.schedules import play

AT_ONCE = 100


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_law_1_3_no_schedule_of_faults_leaves_a_double_a_lost_order_or_a_wrong_book(
    pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    one = pytestconfig.getoption("--schedule-seed")
    seeds = [one] if one is not None else list(range(pytestconfig.getoption("--schedules")))
    failures = []
    for start in range(0, len(seeds), AT_ONCE):
        failures += play(seeds[start : start + AT_ONCE])
    with capsys.disabled():
        print(f"\nfault schedules: seeds {seeds[0]} to {seeds[-1]}, {len(failures)} differences")
    assert not failures, "\n".join(f"seed {f.seed} ({f.account}): {f.what}" for f in failures)

"""Studies: put into the queue, taken out of it, begun one at a time and fairly, and what a crash leaves of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.data import Actor, Conflict, Data, Invalid, NotFound, StudyState, UserRole, open_data
from app.data.studies import MOST_WAITING

BY = Actor(None, "cli")
SPEC = {"asked": {}, "program": {"kind": "backtest"}}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with open_data(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def people(data: Data, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setattr("app.data.users.hash_password", lambda _: "nobody signs in here")
    first = data.users.add("a@example.com", "correct horse battery", role=UserRole.OWNER, by=BY)
    second = data.users.add("b@example.com", "correct horse battery", role=UserRole.TRADER, by=BY)
    return first.user_id, second.user_id


def test_a_study_from_asking_to_its_end(data: Data, people: tuple[str, str]) -> None:
    mine, other = people
    made = data.studies.add(mine, "first", "backtest", SPEC, by=BY)
    assert (made.state, made.spec, made.progress) == (StudyState.QUEUED, SPEC, 0.0)
    begun = data.studies.begin()
    assert begun is not None
    assert (begun.study_id, begun.state, begun.attempts) == (made.study_id, StudyState.RUNNING, 1)
    assert data.studies.begin() is None
    with pytest.raises(Conflict, match="cancel it first"):
        data.studies.delete(mine, made.study_id, by=BY)
    ended = data.studies.end(made.study_id, StudyState.DONE, summary={"net": "12.50"})
    assert ended is not None
    assert (ended.state, ended.progress, dict(ended.summary)) == (StudyState.DONE, 1.0, {"net": "12.50"})
    with pytest.raises(Conflict, match="over already: done"):
        data.studies.withdraw(mine, made.study_id, by=BY)
    assert data.studies.rename(mine, made.study_id, "better", by=BY).name == "better"
    for refused in (data.studies.get, lambda u, s: data.studies.delete(u, s, by=BY), lambda u, s: data.studies.withdraw(u, s, by=BY)):
        with pytest.raises(NotFound, match="no such study"):
            refused(other, made.study_id)
    data.studies.delete(mine, made.study_id, by=BY)
    assert data.studies.end(made.study_id, StudyState.DONE) is None
    actions = [row.action for row in data.audit.list(None, object_kind="study").items]
    assert actions == ["study.deleted", "study.renamed", "study.created"]


def test_nobody_waits_behind_all_of_another_s(data: Data, people: tuple[str, str]) -> None:
    mine, other = people
    names = {
        data.studies.add(who, name, "backtest", SPEC, by=BY).study_id: name
        for who, name in ((mine, "a1"), (mine, "a2"), (mine, "a3"), (other, "b1"))
    }
    order = []
    while (begun := data.studies.begin()) is not None:
        order.append(names[begun.study_id])
        data.studies.end(begun.study_id, StudyState.DONE)
    assert order == ["a1", "b1", "a2", "a3"]


def test_lists_are_one_s_own_newest_first_in_pieces(data: Data, people: tuple[str, str]) -> None:
    mine, other = people
    for number in range(5):
        data.studies.add(mine, f"s{number}", "sweep" if number % 2 else "backtest", SPEC, by=BY)
    data.studies.add(other, "theirs", "backtest", SPEC, by=BY)
    first = data.studies.list(mine, limit=3)
    rest = data.studies.list(mine, limit=3, cursor=first.next)
    assert [row.name for row in (*first.items, *rest.items)] == ["s4", "s3", "s2", "s1", "s0"]
    assert rest.next is None
    assert [row.name for row in data.studies.list(mine, kind="sweep").items] == ["s3", "s1"]
    assert data.studies.list(mine, state="done").items == ()
    with pytest.raises(Invalid):
        data.studies.list(mine, cursor="x")


def test_one_taken_out_of_the_queue_is_not_begun(data: Data, people: tuple[str, str]) -> None:
    made = data.studies.add(people[0], "x", "backtest", SPEC, by=BY)
    assert data.studies.withdraw(people[0], made.study_id, by=BY).state is StudyState.CANCELLED
    assert data.studies.begin() is None


def test_what_a_crash_cut_short_waits_again_but_not_for_ever(data: Data, people: tuple[str, str]) -> None:
    made = data.studies.add(people[0], "x", "backtest", SPEC, by=BY)
    data.studies.begin()
    assert data.studies.recover() == (1, 0)
    data.studies.begin()
    data.studies.put_back(made.study_id)  # an orderly stop counts against nobody
    assert data.studies.get(None, made.study_id).attempts == 1
    data.studies.begin()
    assert data.studies.recover() == (0, 1)
    row = data.studies.get(None, made.study_id)
    assert row.state is StudyState.FAILED
    assert "interrupted 2 times" in row.error


def test_the_queue_of_one_person_is_bounded(data: Data, people: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_WAITING == 100
    monkeypatch.setattr("app.data.studies.MOST_WAITING", 2)
    for name in "ab":
        data.studies.add(people[0], name, "backtest", SPEC, by=BY)
    with pytest.raises(Conflict, match="2 studies are waiting"):
        data.studies.add(people[0], "c", "backtest", SPEC, by=BY)

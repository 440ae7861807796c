"""Datasets in the data service: a row and a file or neither, each person's own, the archive everybody's to read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app.data import Conflict, Data, Dataset, Invalid, NewDataset, NotFound
from app.data.datasets import LEFT_BEHIND
from tests.data.making import CLI, NOON, cheap_user


def add(data: Data, user_id: str, name: str, **changes: str) -> Dataset:
    path = data.datasets.incoming()
    path.write_bytes(b"rows")
    made = NewDataset(path, "candles", 60, ("NSE:INFY",), 2, NOON, NOON + 60, {"warnings": []})
    return data.datasets.add(user_id, name, made, by=CLI, **changes)


def files(data: Data) -> set[str]:
    return {path.name for path in data.datasets.folder.iterdir()}


@pytest.fixture
def people(data: Data) -> tuple[str, str]:
    return cheap_user(data, "a@example.com"), cheap_user(data, "b@example.com")


def test_a_dataset_is_kept_renamed_and_deleted_with_its_file(data: Data, people: tuple[str, str]) -> None:
    mine, other = people
    made = add(data, mine, "  Infosys ")
    assert (made.name, made.symbols, made.rows, made.first_at, made.report) == ("Infosys", ("NSE:INFY",), 2, NOON, {"warnings": []})
    assert data.datasets.path(made).read_bytes() == b"rows"
    assert made.sha256.startswith("bc51e9")
    assert data.datasets.list(mine) == data.datasets.list(None) == (made,)
    assert data.datasets.rename(mine, made.dataset_id, "INFY", by=CLI).name == "INFY"
    for wrong in (lambda: data.datasets.get(other, made.dataset_id), lambda: data.datasets.delete(other, made.dataset_id, by=CLI)):
        with pytest.raises(NotFound):
            wrong()
    data.datasets.delete(mine, made.dataset_id, by=CLI)
    assert (data.datasets.list(None), files(data)) == ((), set())
    assert [row.action for row in data.audit.list(None, object_kind="dataset").items] == [
        "dataset.deleted",
        "dataset.renamed",
        "dataset.added",
    ]


def test_a_name_is_taken_once_and_a_refusal_leaves_the_file_with_its_maker(data: Data, people: tuple[str, str]) -> None:
    mine, other = people
    first = add(data, mine, "Infosys")
    with pytest.raises(Conflict, match="called Infosys already"):
        add(data, mine, "Infosys")
    assert {name.startswith(".incoming-") for name in files(data)} == {True, False}, "whoever made it takes it away"
    with pytest.raises(Invalid):
        data.datasets.rename(mine, first.dataset_id, " ", by=CLI)
    assert add(data, other, "Infosys").user_id == other


def test_what_was_recorded_is_everybodys_to_read_and_its_owners_to_change(data: Data, people: tuple[str, str]) -> None:
    owner, other = people
    recorded = add(data, owner, "2026-11-20 live candles", source="recorded")
    assert data.datasets.get(other, recorded.dataset_id) == recorded
    for change in (
        lambda: data.datasets.rename(other, recorded.dataset_id, "x", by=CLI),
        lambda: data.datasets.delete(other, recorded.dataset_id, by=CLI),
    ):
        with pytest.raises(Conflict, match="archive"):
            change()


def test_a_start_clears_what_a_crash_left_and_a_file_taken_away_by_hand_is_told(data: Data, people: tuple[str, str]) -> None:
    made = add(data, people[0], "Infosys")
    folder: Path = data.datasets.folder
    old, young = folder / "orphan.csv.gz", data.datasets.incoming()
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (time.time() - LEFT_BEHIND - 1,) * 2)
    data.datasets.sweep()
    assert files(data) == {made.file, young.name}, "the young one may be an import under way"
    (folder / made.file).unlink()
    with pytest.raises(Conflict, match="gone from the data folder"):
        data.datasets.path(made)

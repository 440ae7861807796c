"""Settings, the audit log, and the memory of idempotent requests."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from app.data import Actor, Conflict, Data, Invalid, StoredAnswer
from tests.data.making import CLI, NOON, HandClock, opened

ANSWER = StoredAnswer(202, '{"signal_id":"one"}', {"Location": "/api/signals/one"})
ROUTE = "POST /api/signals/manual"
HOUR = 3600.0


def begin(data: Data, body: bytes = b"{}", *, user_id: str = "U1", route: str = ROUTE, key: str = "K") -> StoredAnswer | None:
    return data.idempotency.begin(user_id, route, key, body)


# --- idempotent requests -------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(data: Data) -> None:
    assert begin(data) is None
    data.idempotency.finish("U1", ROUTE, "K", ANSWER)
    assert begin(data) == begin(data) == ANSWER


def test_while_the_first_is_at_work_its_repeat_is_a_conflict(data: Data) -> None:
    assert begin(data) is None
    with pytest.raises(Conflict, match="still at work"):
        begin(data)


def test_another_body_under_the_same_key_is_invalid_before_and_after_the_answer(data: Data) -> None:
    assert begin(data) is None
    for _ in range(2):
        with pytest.raises(Invalid) as told:
            begin(data, b"[]")
        assert list(told.value.errors) == ["Idempotency-Key"]
        data.idempotency.finish("U1", ROUTE, "K", ANSWER)


@pytest.mark.parametrize("other", [{"user_id": "U2"}, {"route": "POST /api/accounts"}, {"key": "K2"}])
def test_keys_belong_to_a_user_and_a_route(data: Data, other: dict[str, str]) -> None:
    assert begin(data) is None
    data.idempotency.finish("U1", ROUTE, "K", ANSWER)
    assert begin(data, b"another body", **other) is None


def test_work_that_failed_may_be_tried_again_and_work_that_was_answered_not(data: Data) -> None:
    assert begin(data) is None
    data.idempotency.abandon("U1", ROUTE, "K")
    assert begin(data, b"another body") is None
    data.idempotency.finish("U1", ROUTE, "K", ANSWER)
    data.idempotency.abandon("U1", ROUTE, "K")
    assert begin(data, b"another body") == ANSWER


@pytest.mark.parametrize(("later", "known"), [(24 * HOUR - 1, True), (24 * HOUR, False)])
def test_a_key_is_remembered_for_24_hours(folder: Path, later: float, known: bool) -> None:
    clock = HandClock()
    with opened(folder, clock=clock) as data:
        begin(data)
        data.idempotency.finish("U1", ROUTE, "K", ANSWER)
        clock.wall = NOON + later
        assert begin(data) == (ANSWER if known else None)


def test_of_many_at_once_exactly_one_does_the_work(data: Data) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(12)

    def call() -> None:
        barrier.wait()
        try:
            outcomes.append("work" if begin(data) is None else "answer")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 11 + ["work"]


def test_answers_survive_a_restart_and_work_cut_short_may_be_begun_again(folder: Path) -> None:
    with opened(folder, exclusive=True) as data:
        begin(data)
        data.idempotency.finish("U1", ROUTE, "K", ANSWER)
        begin(data, key="cut short")
    with opened(folder):  # somebody who does not serve frees nothing
        pass
    with opened(folder, exclusive=True) as data:
        assert begin(data) == ANSWER
        assert begin(data, key="cut short") is None


def test_somebody_who_opens_the_folder_beside_the_server_frees_no_work_of_it(folder: Path) -> None:
    with opened(folder, exclusive=True) as data:
        begin(data)
        with opened(folder), pytest.raises(Conflict):
            begin(data)


# --- the audit log -------------------------------------------------------------------------------------------------

PERSON = Actor("U1", "web", "127.0.0.1")


def log(data: Data) -> None:
    data.audit.add(PERSON, "order.cancelled", "order", "O1", before={"state": "open"}, after={"state": "cancelled"})
    data.audit.add(PERSON, "halt.lifted", "halt", "H1")
    data.audit.add(Actor("U2", "token"), "order.cancelled", "order", "O2")
    data.audit.add(CLI, "user.created", "user", "U2")
    data.journal.run(lambda _: None)


def test_a_row_says_who_did_what_when_and_from_where(folder: Path) -> None:
    with opened(folder, clock=HandClock()) as data:
        log(data)
        oldest = data.audit.list(None).items[-1]
    assert (oldest.at, oldest.user_id, oldest.via, oldest.ip) == (NOON, "U1", "web", "127.0.0.1")
    assert (oldest.action, oldest.object_kind, oldest.object_id) == ("order.cancelled", "order", "O1")
    assert (oldest.before, oldest.after) == ({"state": "open"}, {"state": "cancelled"})


@pytest.mark.parametrize(
    ("user_id", "wanted", "objects"),
    [
        (None, {}, ["U2", "O2", "H1", "O1"]),
        ("U1", {}, ["H1", "O1"]),
        ("U2", {}, ["O2"]),
        ("U3", {}, []),
        (None, {"action": "order.cancelled"}, ["O2", "O1"]),
        ("U1", {"action": "order.cancelled"}, ["O1"]),
        (None, {"object_kind": "order"}, ["O2", "O1"]),
        (None, {"object_kind": "order", "object_id": "O1"}, ["O1"]),
        (None, {"action": "x' OR '1'='1"}, []),
    ],
)
def test_the_log_is_read_newest_first_by_whose_and_what(
    data: Data, user_id: str | None, wanted: dict[str, str], objects: list[str]
) -> None:
    log(data)
    assert [row.object_id for row in data.audit.list(user_id, **wanted).items] == objects


def test_the_log_comes_in_pieces(data: Data) -> None:
    log(data)
    first = data.audit.list(None, limit=3)
    rest = data.audit.list(None, limit=3, cursor=first.next)
    assert [row.object_id for row in (*first.items, *rest.items)] == ["U2", "O2", "H1", "O1"]
    assert first.next is not None
    assert rest.next is None


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"cursor": ""}, {"cursor": "-1"}, {"cursor": "9" * 19}])
def test_a_wrong_limit_or_cursor_is_named(data: Data, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as told:
        data.audit.list(None, **wrong)
    assert list(told.value.errors) == list(wrong)


@pytest.mark.parametrize("sql", ["DELETE FROM audit", "UPDATE audit SET action = 'nothing'"])
def test_nobody_takes_back_what_the_log_says(data: Data, sql: str) -> None:
    log(data)
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        data.journal.run(lambda db: db.execute(sql))
    assert len(data.audit.list(None).items) == 4


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [1, "two"], {"a": {"b": None}}])
def test_a_setting_comes_back_as_it_was_given(data: Data, value: Any) -> None:
    data.settings.set("theme", value, by=CLI)
    assert data.settings.get("theme", "nothing") == value
    assert data.settings.all() == {"theme": value}


def test_each_user_has_settings_of_their_own_beside_the_systems(data: Data) -> None:
    data.settings.set("theme", "dark", by=CLI)
    data.settings.set("theme", "light", user_id="U1", by=CLI)
    data.settings.set("theme", "light again", user_id="U1", by=CLI)
    assert data.settings.get("theme") == "dark"
    assert data.settings.get("theme", user_id="U1") == "light again"
    assert data.settings.get("theme", "none yet", user_id="U2") == "none yet"
    assert data.settings.all(user_id="U2") == {}


def test_a_setting_that_is_no_json_is_refused(data: Data) -> None:
    for wrong in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            data.settings.set("theme", wrong, by=CLI)
    assert data.settings.all() == {}


def test_a_change_of_a_setting_is_in_the_log(data: Data) -> None:
    boss = Actor(data.users.add("boss@example.com", "correct horse battery", by=CLI).user_id, "web")
    data.settings.set("theme", "dark", by=boss)
    data.settings.set("theme", "light", by=boss)
    newest, first = data.audit.list(boss.user_id).items
    assert (first.action, first.object_id, first.before, first.after) == ("setting.changed", "theme", None, {"value": "dark"})
    assert (newest.before, newest.after) == ({"value": "dark"}, {"value": "light"})

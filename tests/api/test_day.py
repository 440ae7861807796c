"""The timetable, the calendar that the owner changes, an account's own day, and the books of past days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app.api.calendar.table import read_hours
from app.data import Invalid, UserRole
from engines.core.facts import JobChanged
from engines.core.model import JobRun, RunState
from engines.core.sessions import CalendarDay, session_day
from tests.api.rig import Person, Rig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(Path(tmp_path_factory.mktemp("day")) / "data") as made:
        yield made


@pytest.fixture(scope="module")
def trader(rig: Rig) -> Person:
    return rig.trader


@pytest.fixture(scope="module")
def owner(rig: Rig) -> Person:
    return rig.owner


def today() -> str:
    return session_day(datetime.now(UTC).timestamp(), "NSE")


def test_todays_timetable_has_the_machines_jobs_and_ones_own_square_offs(rig: Rig, owner: Person) -> None:
    owner.put(f"/api/calendar/{today()}", {"hours": "ordinary", "note": "a trading day, whatever the weekday"})
    asha, other = rig.person("asha@example.com", UserRole.TRADER), rig.person("ravi@example.com", UserRole.TRADER)
    mine = asha.account(day_rules={"keep": True, "first_entry": "09:20", "square_off_cash": "14:30"})["id"]
    other.account(day_rules={"keep": True})
    table = asha.get("/api/timetable").json
    assert (table["day"], table["today"], table["trading"]) == (today(), True, True)
    assert table["note"] == "a trading day, whatever the weekday"
    jobs = {job["job"]: job for job in table["jobs"]}
    assert jobs.keys() == {"day_start"} | {f"square_off:{mine}:{segment}" for segment in ("auction", "cash", "derivatives")}
    assert jobs["day_start"]["may_run_now"] is False
    (times,) = table["accounts"]
    assert (times["account_id"], times["keeps"], times["why"]) == (mine, True, "as set on the account")
    cash = next(row for row in times["segments"] if row["segment"] == "cash")
    assert cash["square_off"].endswith("T09:00:00.000000Z")  # 14:30 in India
    assert cash["first_entry"].endswith("T03:50:00.000000Z")


def test_another_day_shows_its_plan_or_what_is_on_record(trader: Person) -> None:
    ahead = (date.fromisoformat(today()) + timedelta(days=3)).isoformat()
    assert {job["state"] for job in trader.get(f"/api/timetable?day={ahead}").json["jobs"]} <= {"planned"}
    assert trader.get("/api/timetable?day=2024-01-02").json["jobs"] == []
    assert trader.get("/api/timetable?day=2024-02-31").status_code == 422


def test_how_many_accounts_there_are_is_told_to_owners_alone(rig: Rig, owner: Person, trader: Person) -> None:
    at, account = datetime(2024, 1, 9, 3, 45, tzinfo=UTC).timestamp(), trader.account()["id"]
    said = {"log_ins": "2 of 3 accounts signed in", f"square_off:{account}:cash": "1 position closed"}
    for job, detail in said.items():
        rig.data.journal.commit(JobChanged(JobRun("2024-01-09", job, RunState.DONE, at, at, detail)))
    told = {
        name: {job["job"]: job["detail"] for job in person.get("/api/timetable?day=2024-01-09").json["jobs"]}
        for name, person in {"owner": owner, "trader": trader, "viewer": rig.viewer}.items()
    }
    assert told == {"owner": {"log_ins": said["log_ins"]}, "trader": {**said, "log_ins": ""}, "viewer": {"log_ins": ""}}


def test_only_what_is_harmless_runs_now_and_only_for_the_owner(owner: Person, trader: Person) -> None:
    assert trader.post("/api/timetable/day_start/run").status_code == 403
    assert owner.post("/api/timetable/day_start/run").status_code == 409
    assert owner.post("/api/timetable/tea/run").status_code == 404


def test_the_calendar_shows_what_ships_and_takes_what_is_put_in(owner: Person, trader: Person) -> None:
    before = {row["day"]: row for row in trader.get("/api/calendar?year=2026").json["days"]}
    assert before["2026-11-24"] | {"note": ""} == {
        "day": "2026-11-24", "exchange": "*", "kind": "holiday", "windows": [], "hours": "closed", "note": "", "own": False, "instead_of": "",
    }  # fmt: skip
    assert before["2026-11-08"]["windows"] == [["18:00", "19:00"]]
    answer = owner.put("/api/calendar/2026-11-24", {"hours": "ordinary", "note": "moved to the 25th"})
    row = next(row for row in answer.json["days"] if row["day"] == "2026-11-24")
    assert (row["kind"], row["own"], row["instead_of"]) == ("ordinary", True, "Guru Nanak Jayanti (closed)")
    assert owner.put("/api/calendar/2026-11-25", {"exchange": "NSE", "hours": "09:15-10:00, 11:30-12:30"}).status_code == 200
    assert owner.delete("/api/calendar/2026-11-24").status_code == 204
    assert owner.delete("/api/calendar/2026-11-24").status_code == 404
    assert owner.delete("/api/calendar/2026-11-25?exchange=NSE").status_code == 204
    after = {row["day"]: row for row in trader.get("/api/calendar?year=2026").json["days"]}
    assert after["2026-11-24"] == before["2026-11-24"]
    assert "2026-11-25" not in after


@pytest.mark.parametrize(
    ("day", "body", "status"),
    [
        ("2027-13-01", {}, 404),
        ("2027-01-01", {"exchange": "NYSE"}, 422),
        ("2027-01-01", {"hours": "9-17"}, 422),
        ("2027-01-01", {"hours": "10:00-09:00"}, 422),
        ("2027-01-01", {"hours": "09:15-10:00 09:30-11:00"}, 422),
        ("2027-01-01", {"note": "x" * 301}, 422),
        ("2027-01-01", {"closed": True}, 422),
    ],
)
def test_what_is_no_day_is_not_put_in(owner: Person, day: str, body: dict[str, object], status: int) -> None:
    assert owner.put(f"/api/calendar/{day}", body).status_code == status
    assert not [row for row in owner.get("/api/calendar?year=2027").json["days"] if row["day"] == "2027-01-01"]


@pytest.mark.parametrize(
    ("text", "windows", "ordinary"),
    [
        ("closed", (), False),
        (" Ordinary ", (), True),
        ("09:15\N{EN DASH}15:30", (("09:15", "15:30"),), False),
        ("09:15-10:00,11:30-12:30", (("09:15", "10:00"), ("11:30", "12:30")), False),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, windows: tuple[tuple[str, str], ...], ordinary: bool) -> None:
    assert read_hours(text) == (windows, ordinary)


def test_a_table_goes_in_whole_or_not_at_all(rig: Rig, owner: Person) -> None:
    table = "day,exchange,hours,note\n2028-01-26,,,Republic Day\n2028-13-40,,,\n2028-02-01,NYSE,,\n2028-01-26,*,closed,again\n2028-03-01,,9 to 5,\n"
    answer = owner.post("/api/calendar/import", {"csv": table})
    assert answer.status_code == 422
    assert [message.partition(":")[0] for message in answer.json["errors"]["csv"]] == ["line 3", "line 4", "line 5", "line 6"]
    assert owner.get("/api/calendar?year=2028").json["days"] == []
    days = "\n".join(f"2028-{month:02d}-{day:02d},closed,x" for month in range(1, 7) for day in (10, 11))
    answer = owner.post("/api/calendar/import", {"csv": f"\ufeffDay,Hours,Note\n{days}\n2028-10-17,18:00-19:00,=Muhurat\n"})
    assert (answer.status_code, answer.json["rows"], answer.json["changed"]) == (200, 13, 13)
    calendar = owner.get("/api/calendar?year=2028").json
    assert (calendar["known"], len(calendar["days"])) == (True, 13)
    assert rig.system.hours.calendar.windows("2028-10-17", "NFO") == ((64_800, 68_400),)
    exported = owner.get("/api/calendar/export?year=2028").text
    assert "'=Muhurat" in exported  # no formula for a spreadsheet
    assert owner.post("/api/calendar/import", {"csv": exported}).json["changed"] == 0
    assert owner.post("/api/calendar/import", {"csv": "nothing here"}).status_code == 422


def test_a_day_that_is_put_in_holds_for_the_next_order(owner: Person, trader: Person) -> None:
    account = trader.account(day_rules={"keep": True}, paper={"session_hours": True})["id"]
    owner.put(f"/api/calendar/{today()}", {"hours": "closed", "note": "cyclone"})
    order = trader.buy(account)["orders"][0]
    assert (order["state"], order["reason"]) == ("denied", "market_closed")
    changed = trader.patch(f"/api/accounts/{account}", {"day_rules": {"keep": False}, "paper": {"session_hours": False}})
    assert changed.status_code == 200
    assert trader.buy(account)["orders"][0]["state"] == "filled"


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"first_entry": "9:20"}, "first_entry"),
        ({"first_entry": "15:00", "last_entry": "10:00"}, "last_entry"),
        ({"first_entry": "12:00", "last_entry": "12:00"}, "last_entry"),
        ({"first_entry": "09:14"}, "first_entry"),
        ({"last_entry": "15:41"}, "last_entry"),
        ({"square_off_derivatives": "18:00"}, "square_off_derivatives"),
        ({"last_entry": "15:20"}, "last_entry"),
        ({"first_entry": "15:15"}, "first_entry"),
        ({"square_off_cash": "25:00"}, "square_off_cash"),
        ({"square_off_cash": None}, "square_off_cash"),
        ({"keep": "yes"}, "keep"),
    ],
)
def test_an_accounts_day_that_makes_no_sense_is_refused(trader: Person, rules: dict[str, object], field: str) -> None:
    account = trader.account()["id"]
    answer = trader.patch(f"/api/accounts/{account}", {"day_rules": rules})
    assert answer.status_code == 422
    assert any(name.endswith(field) for name in answer.json["errors"])


def test_without_a_square_off_entries_may_come_until_the_close(trader: Person) -> None:
    rules = {"square_off": False, "first_entry": "09:15", "last_entry": "15:40"}
    assert trader.account(day_rules=rules)["day_rules"]["last_entry"] == "15:40"


def test_an_accounts_day_is_shown_with_whether_it_holds(trader: Person) -> None:
    shown = trader.account()["day_rules"]
    assert shown == {
        "keep": None, "holds": False, "first_entry": None, "last_entry": None, "square_off": True,
        "square_off_cash": "15:10", "square_off_derivatives": "15:15",
    }  # fmt: skip
    assert trader.account(paper={"session_hours": True})["day_rules"]["holds"] is True


def test_the_days_books_are_everybodys_own(rig: Rig, trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    rig.data.day_books.close(today())
    (book,) = trader.get(f"/api/day-books?account_id={account}").json["items"]
    assert (book["day"], book["trades"], book["fills"], book["open_positions"]) == (today(), 1, 1, 1)
    assert rig.other.get(f"/api/day-books?account_id={account}").json["items"] == []
    assert trader.get("/api/day-books?until=2024-01-01").json["items"] == []


def test_a_file_of_too_many_lines_is_refused() -> None:
    from app.api.calendar.table import MOST_LINES, from_csv

    with pytest.raises(Invalid, match="more than"):
        from_csv("day\n" + "2027-01-01\n" * (MOST_LINES + 1), ("*",))
    assert from_csv("day\n2027-01-01\n", ("*",)) == [CalendarDay("2027-01-01")]

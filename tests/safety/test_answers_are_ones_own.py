"""Every answer of the API that needs no id, for everybody else: neither a name, a number nor an id of what is another's is in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.rig import PASSWORD, Rig
from tests.api.test_who_may import LISTS, QUERIES
from tests.safety.conftest import NAME, Belongings

PEOPLE = {"/api/audit", "/api/codes", "/api/invites"}
"""What an owner is told of people; what these have is not among it."""


@pytest.mark.parametrize("who", ["other", "owner", "viewer"])
def test_law_12_no_answer_says_a_word_of_what_is_anothers(rig: Rig, belongings: Belongings, who: str) -> None:
    known = {"quetzal", belongings.ids["users"]} if who == "owner" else set()
    for path in LISTS:
        answer = getattr(rig, who).get(path + QUERIES.get(path, ""))
        found = set(belongings.names_in(answer.text))
        assert found <= (known if path in PEOPLE else set()), (path, found)


@pytest.fixture
def stopped(rig: Rig) -> Iterator[str]:
    """An owner has stopped everything; the owner's id."""
    owner = rig.owner
    assert owner.user
    halt = owner.post("/api/system/emergency-stop", {"reason": "drill", "flatten": False}).json["halt_id"]
    yield owner.user.user_id
    assert owner.post(f"/api/system/halts/{halt}/lift", {"password": PASSWORD}).status_code == 200
    assert owner.post("/api/system/start").status_code == 200


@pytest.mark.parametrize("who", ["other", "viewer"])
def test_who_stopped_everything_is_an_owner_and_no_more_to_everybody_else(rig: Rig, stopped: str, who: str) -> None:
    person = getattr(rig, who)
    (halt,) = person.get("/api/system/halts?holding=true").json["items"]
    assert halt["by"] == "owner"
    report = person.get(f"/api/system/halts/{halt['halt_id']}")
    assert report.json["by"] == "owner"
    for path in LISTS:
        assert stopped not in person.get(path + QUERIES.get(path, "")).text, path
    assert rig.owner.get("/api/system/halts?holding=true").json["items"][0]["by"] == stopped


def test_whose_it_is_gets_it(rig: Rig, belongings: Belongings) -> None:
    told = [path for path in LISTS if belongings.names_in(belongings.person.get(path + QUERIES.get(path, "")).text)]
    assert len(told) > 15, told
    messages = belongings.person.get("/api/messages").json["items"]
    assert any(NAME in str(message) and message["deliveries"] for message in messages), "her messages are in words and on their way"

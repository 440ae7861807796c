"""Every answer of the API that needs no id, for everybody else: neither a name, a number nor an id of what is another's is in it."""

from __future__ import annotations

import pytest

from tests.api.rig import Rig
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


def test_whose_it_is_gets_it(rig: Rig, belongings: Belongings) -> None:
    told = [path for path in LISTS if belongings.names_in(belongings.person.get(path + QUERIES.get(path, "")).text)]
    assert len(told) > 15, told
    messages = belongings.person.get("/api/messages").json["items"]
    assert any(NAME in str(message) and message["deliveries"] for message in messages), "her messages are in words and on their way"

"""The form of the emergency stop, with and without scripts: what it stops, and that the whole comes first."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from app.pages import EXTENSION
from tests.pages.preview import create_preview


def pressed(app: Flask, **form: str) -> list[tuple[Any, ...]]:
    """What the form asked for, as a browser without scripts sends it."""
    asked: list[tuple[Any, ...]] = []

    def stop(user: Any, *rest: Any) -> str:
        asked.append((user.role, *rest))
        return "H1"

    app.extensions[EXTENSION]["stop"] = stop
    client = app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/emergency-stop").text)
    assert token
    answer = client.post("/emergency-stop", data={"csrf_token": token.group(1), **form})
    assert (answer.status_code, answer.location) == (303, "/halts/H1")
    return asked


@pytest.mark.parametrize(
    ("form", "own"),
    [({}, False), ({"scope": "system"}, False), ({"scope": "user"}, True), ({"scope": "nonsense"}, False)],
)
def test_an_owner_chooses_whether_all_is_stopped_or_only_their_own(form: dict[str, str], own: bool) -> None:
    assert pressed(create_preview(), reason="fire", flatten="true", **form) == [("owner", "fire", True, own)]


@pytest.mark.parametrize(
    ("role", "book", "offered"),
    [("owner", "full", True), ("owner", "empty", False), ("trader", "full", False), ("viewer", "full", False)],
)
@pytest.mark.parametrize("address", ["/emergency-stop", "/"])
def test_who_has_both_is_offered_both_and_the_whole_is_chosen(role: str, book: str, offered: bool, address: str) -> None:
    text = create_preview(role, book).test_client().get(address).text
    form = text.partition("data-stop-form")[2].partition("</form>")[0]
    assert form
    chosen = re.findall(r'<input type="radio" name="scope" value="(\w+)" (checked)?', form)
    assert chosen == ([("system", "checked"), ("user", "")] if offered else [])
    assert ("Every account of the system" in form) == (role == "owner" and not offered)
    assert ("The whole system" in form) == offered
    assert ("All your accounts" in form) == (role != "owner")

"""One's own look over the API: kept for each person alone, whole or in part, refused with the number where something could not be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.rig import Person, Rig

USUAL = dict.fromkeys(("header", "navbar", "body", "targets", "stops"))


def test_a_look_is_kept_whole_or_in_part_and_is_each_person_s_own(rig: Rig) -> None:
    trader, other = rig.trader, rig.owner
    assert trader.get("/api/me/look").json == {"theme": "dark", "palette": "green", "dark": USUAL, "light": USUAL, "css": None}
    kept = trader.put("/api/me/look", {"theme": "system", "dark": {"header": "#10204A", "body": None}})
    assert kept.status_code == 200
    assert kept.json["dark"] == USUAL | {"header": "#10204a"}
    changed = trader.patch("/api/me/look", {"palette": "blue"}).json
    assert (changed["theme"], changed["palette"], changed["css"]) == ("system", "blue", kept.json["css"])
    assert trader.get("/api/me/look").json == changed
    assert other.get("/api/me/look").json["css"] is None
    assert trader.put("/api/me/look", {}).json["css"] is None, "{} is Tandem's own"


def test_a_viewer_has_a_look_too_and_a_change_is_in_the_log(rig: Rig) -> None:
    assert rig.viewer.patch("/api/me/look", {"theme": "light"}).json["theme"] == "light"
    [row] = rig.viewer.get("/api/audit?action=preference.changed&limit=1").json["items"]
    assert (row["object_id"], row["after"]) == ("look", {"value": {"theme": "light", "palette": "green"}})


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"dark": {"body": "#6b6b6b"}}, "dark.body", "4.5 : 1 is needed. Take it darker or lighter. The nearest colour that does: #"),
        ({"light": {"stops": "#ffff00"}}, "light.stops", "on the charts"),
        ({"dark": {"header": "red"}}, "dark.header", "must be a colour such as #1f6feb"),
        ({"dark": {"header": "#000000}"}}, "dark.header", "at most 7"),
        ({"dark": {"header": "#00000\n"}}, "dark.header", "must be a colour"),
        ({"dark": {"paper": "#000000"}}, "dark.paper", "is not a known field"),
        ({"theme": "neon"}, "theme", "must be one of dark, light, system"),
        ({"palette": None}, "palette", ""),
    ],
)
def test_what_cannot_be_a_look_is_refused_beside_its_field(trader: Person, body: dict[str, Any], field: str, said: str) -> None:
    for answer in (trader.put("/api/me/look", body), trader.patch("/api/me/look", body)):
        assert answer.status_code == 422
        assert said in answer.json["errors"][field][0]


def test_a_leg_that_looks_like_the_other_one_s_own_is_refused_in_the_palette_that_is_worn(trader: Person) -> None:
    stops = {"dark": {"stops": "#3fce92"}}  # the targets' own, in green and red
    assert "looks like that of the targets" in trader.put("/api/me/look", stops).json["errors"]["dark.stops"][0]
    assert trader.get("/api/me/look/preview?scheme=dark&stops=%233fce92").json["checks"][0]["refused"]
    assert trader.put("/api/me/look", {"palette": "blue", **stops}).status_code == 200
    assert trader.get("/api/me/look/preview?scheme=dark&stops=%233fce92").json["checks"][0]["refused"] == ""
    assert trader.patch("/api/me/look", {"palette": "green"}).status_code == 422
    assert trader.put("/api/me/look", {}).status_code == 200


def test_what_is_tried_says_its_contrast_and_is_not_kept(trader: Person) -> None:
    tried = trader.get("/api/me/look/preview?scheme=dark&header=%231d3a8a&body=%236b6b6b").json
    header, body = tried["checks"]
    assert (header["part"], header["ink"], header["refused"]) == ("header", "white", "")
    assert header["contrast"] > 4.5 > body["contrast"]
    assert body["nearest"]
    assert "#1d3a8a" in tried["css"]
    assert "#6b6b6b" not in tried["css"]
    assert trader.get("/api/me/look").json["css"] is None
    assert trader.get("/api/me/look/preview?scheme=dark&header=%23123;").status_code == 422

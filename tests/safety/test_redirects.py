"""After the sign-in a person lands on a page of ours, whatever the link that brought them says."""

from __future__ import annotations

import pytest

from tests.api.rig import PASSWORD, Rig
from tests.safety.conftest import csrf_of

STRANGE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "///evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "data:text/html,x",
    "http:evil.example",
    " https://evil.example",
    "/\tevil.example",
    "@evil.example",
]


@pytest.mark.parametrize("wanted", STRANGE)
def test_a_sign_in_leads_nowhere_else(rig: Rig, wanted: str) -> None:
    rig.owner  # noqa: B018 - or the sign-in page leads to set-up
    client = rig.app.test_client()
    page = client.get("/login", query_string={"next": wanted})
    form = {"email": "owner@example.com", "password": PASSWORD, "csrf_token": csrf_of(page.text), "next": wanted}
    answer = client.post("/login", data=form, query_string={"next": wanted})
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "evil.example" not in location or location.startswith("/%0d%0a"), "only as an odd path of our own"
    assert answer.headers.getlist("Set-Cookie")[0].startswith("tandem=")
    again = client.get("/login", query_string={"next": wanted})
    assert again.status_code == 302
    assert again.headers["Location"].startswith("/")
    assert not again.headers["Location"].startswith(("//", "/\\"))


def test_a_page_of_ours_is_gone_back_to(rig: Rig) -> None:
    rig.owner  # noqa: B018
    client = rig.app.test_client()
    asked = client.get("/orders?state=filled")
    assert asked.status_code == 302
    page = client.get(asked.headers["Location"])
    form = {"email": "owner@example.com", "password": PASSWORD, "csrf_token": csrf_of(page.text)}
    assert client.post(asked.headers["Location"], data=form).headers["Location"] == "/orders?state=filled"


def test_another_host_in_the_request_moves_no_link(rig: Rig) -> None:
    """Links in mails and answers come from the settings, never from a header that anybody can write."""
    answer = rig.trader.post(
        "/api/webhooks", {"name": "h", "account_ids": [rig.trader.account()["id"]]}, headers={"X-Forwarded-Host": "evil.example"}
    )
    assert answer.status_code == 201
    assert "evil.example" not in answer.text

"""Line breaks where headers are made: names of files, addresses to go to, who a mail is for. None of them ends a header."""

from __future__ import annotations

import pytest

from tests.api.rig import Rig

BREAK = "x\r\nSet-Cookie: stolen=1\r\n\r\n<b>"


@pytest.mark.parametrize("where", ["/orders.csv", "/api/datasets", "/login", "/zerodha/callback"])
def test_a_line_break_in_an_address_makes_no_header(rig: Rig, where: str) -> None:
    answer = rig.trader.call("GET", where, headers={})
    assert answer.status_code < 500
    for name in ("next", "state", "q", "symbol", "request_token", "status"):
        answer = rig.trader.client.get(where, query_string={name: BREAK}, headers={"Authorization": f"Bearer {rig.trader.token}"})
        assert answer.status_code < 500
        assert "stolen" not in str(answer.headers.getlist("Set-Cookie"))


def test_a_line_break_in_a_name_makes_no_header_of_a_file(rig: Rig) -> None:
    me = rig.trader
    data = b"time,symbol,open,high,low,close\n2024-01-02 09:15,NSE:INFY,1,1,1,1\n"
    made = me.client.post(
        "/api/datasets",
        query_string={"name": BREAK},
        data=data,
        headers={"Authorization": f"Bearer {me.token}", "Content-Type": "text/csv"},
    )
    if made.status_code == 422:
        return  # refused where it came in
    answer = me.get(f"/api/datasets/{made.json['id']}/export")
    assert answer.status_code < 500
    assert "\r" not in answer.headers.get("Content-Disposition", "")
    assert "stolen" not in str(answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize(
    "email", ["a@example.com\r\nBcc: b@example.com", "a@example.com\nSubject: x", "a@exa mple.com", "a,b@example.com\x00"]
)
def test_an_e_mail_address_with_a_header_in_it_is_none(rig: Rig, email: str) -> None:
    answer = rig.owner.post("/api/users", {"email": email, "password": "long enough it is"})
    assert answer.status_code == 422
    assert "email" in answer.json["errors"]

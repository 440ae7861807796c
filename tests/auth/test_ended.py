"""A sign-in that is over is told on the sign-in page; somebody who was never signed in is told nothing, and no words but ours are said there."""

from __future__ import annotations

from tests.auth.front import MACHINE, PASSWORD, Front

SAID = "You are signed out"


def test_whose_sign_in_is_over_reads_that_they_are_signed_out(front: Front) -> None:
    visitor, email = front.visitor(), front.person()
    assert visitor.sign_in(email).location == "/"
    user = front.data.users.verify(email, PASSWORD)
    assert user
    front.data.users.set_password(user.user_id, "another password of theirs", by=MACHINE)
    sent = visitor.get("/orders?symbol=NSE:INFY")
    assert sent.location == "/login?said=ended&next=/orders?symbol%3DNSE:INFY"
    assert SAID in visitor.get(sent.location).text


def test_who_was_never_here_reads_nothing_of_it(front: Front) -> None:
    visitor = front.visitor()
    assert visitor.get("/orders").location == "/login?next=/orders"
    assert SAID not in visitor.get("/login?said=Send+money").text
    assert "Send money" not in visitor.get("/login?said=Send+money").text

"""Who is here: nobody at the door learns it, whatever has become of the person behind an address."""

from __future__ import annotations

import pyotp
import pytest

from tests.api.rig import MACHINE
from tests.auth.front import Front, Visitor, new_email, seen

DOORS = {
    "sign-in": lambda visitor, email: [visitor.sign_in(email, "a guess of somebody's")],
    "sign-up": lambda visitor, email: [visitor.sign_up(email), visitor.get("/sign-up/code")],
    "forgotten": lambda visitor, email: [visitor.send("/forgot", {"email": email})],
}


@pytest.fixture(scope="module")
def people(_front: Front) -> dict[str, str]:
    """An address of each kind."""
    data, kinds = (
        _front.data,
        {"unknown": new_email(), "known": _front.person(), "switched off": _front.person(), "guarded": _front.person()},
    )
    ids = {kind: user.user_id for kind, email in kinds.items() if (user := data.users.find(email)) is not None}
    data.users.set_active(ids["switched off"], False, by=MACHINE)
    app = pyotp.TOTP(data.second_factor.begin(ids["guarded"], by=MACHINE).secret)
    data.second_factor.confirm(ids["guarded"], app.now(), by=MACHINE)
    owner = _front.rig.owner.user
    assert owner is not None
    return kinds


@pytest.mark.parametrize("door", DOORS)
def test_every_address_gets_the_same_answer_to_the_last_byte(front: Front, people: dict[str, str], door: str) -> None:
    answers: dict[str, object] = {}
    headers: dict[str, object] = {}
    for kind, email in people.items():
        visitor: Visitor = front.visitor()
        got = DOORS[door](visitor, email)
        answers[kind] = [(status, text.replace(email, "E-MAIL")) for status, text in map(seen, got)]
        headers[kind] = [sorted(name for name, _ in answer.headers) for answer in got]
    assert all(answer == answers["unknown"] for answer in answers.values())
    assert all(names == headers["unknown"] for names in headers.values())

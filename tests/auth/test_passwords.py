"""Forgotten passwords: a link that is good once and for an hour, and no word about who is here. Changed ones: every other browser is out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyotp
import pytest

from app.data import UserRole
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, Visitor, new_email, seen
from tests.support.canaries import watch

NEW = "an even longer password"


def asked(front: Front, email: str) -> str:
    """The path of the link that was mailed."""
    front.later(61)
    assert front.visitor().send("/forgot", {"email": email}).status_code == 200
    link = front.mails(email)[-1]["link"]
    assert link.startswith("http://127.0.0.1:5000/reset/")
    return link.removeprefix("http://127.0.0.1:5000")


def choose(visitor: Visitor, path: str, password: str = NEW, again: str | None = None):
    return visitor.send(path, {"password": password, "confirm": password if again is None else again})


def test_the_link_sets_a_new_password_and_every_browser_is_out(front: Front) -> None:
    email = front.person()
    browsers = [front.visitor(), front.visitor()]
    for browser in browsers:
        assert browser.sign_in(email).status_code == 302
    user = front.data.users.find(email)
    assert user is not None
    path = asked(front, email)
    done = choose(browsers[0], path)
    assert (done.status_code, done.location) == (302, "/login?said=password")
    assert "Every browser was signed out" in browsers[0].get(done.location).text
    assert [browser.me() for browser in browsers] == [None, None], "it lets nobody in by itself"
    assert front.data.sign_ins.list(user.user_id) == ()
    assert front.visitor().sign_in(email).status_code == 401
    assert front.visitor().sign_in(email, NEW).location == "/"
    assert [mail["kind"] for mail in front.mails(email)] == ["reset", "password_changed"]
    assert front.audited("user.password_reset")[0].object_id == user.user_id


def test_looking_at_a_link_uses_nothing_up_and_using_it_uses_up_all(front: Front) -> None:
    email = front.person()
    older, newer = asked(front, email), asked(front, email)
    for path in (older, newer, older):
        assert front.visitor().get(path).status_code == 200
    assert choose(front.visitor(), newer).status_code == 302
    for path in (older, newer):
        assert front.visitor().get(path).status_code == 404
    over = front.visitor().get(older)
    never = front.visitor().get("/reset/never-was-one")
    assert seen(over) == seen(never)


def by_themselves(front: Front, email: str) -> None:
    browser = front.visitor()
    browser.sign_in(email)
    assert browser.json("POST", "/api/me/password", {"current": PASSWORD, "new": NEW}).status_code == 200


def by_an_owner(front: Front, email: str) -> None:
    assert front.rig.owner.patch(f"/api/users/{front.data.users.find(email).user_id}", {"password": NEW}).status_code == 200


def on_the_machine(front: Front, email: str) -> None:
    front.data.users.set_password(front.data.users.find(email).user_id, NEW, by=MACHINE)


@pytest.mark.parametrize("change", [by_themselves, by_an_owner, on_the_machine])
def test_a_link_does_not_outlive_a_password_that_was_set_another_way(front: Front, change: Callable[[Front, str], None]) -> None:
    email, other = front.person(), front.person()
    path, others = asked(front, email), asked(front, other)
    change(front, email)
    assert choose(front.visitor(), others).status_code == 302, "what somebody else has asked for holds"
    assert front.visitor().get(path).status_code == 404
    assert front.visitor().sign_in(email, NEW).location == "/"


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("waited", "answer"), [(3590, 200), (3601, 404)])
def test_a_link_is_good_for_an_hour(front: Front, waited: float, answer: int) -> None:
    path = asked(front, front.person())
    front.later(waited)
    assert front.visitor().get(path).status_code == answer


def test_two_at_once_with_one_link_are_one(front: Front) -> None:
    email = front.person()
    path = asked(front, email)
    first, second = front.visitor(), front.visitor()
    form = {"password": NEW, "confirm": NEW}
    tokens = [re.search(r'name="csrf_token" value="([^"]+)"', each.get(path).text)[1] for each in (first, second)]
    answers = [each.client.post(path, data={**form, "csrf_token": token}) for each, token in zip((first, second), tokens, strict=True)]
    assert [answer.status_code for answer in answers] == [302, 404]


@pytest.mark.parametrize(
    ("password", "again", "says"), [("short", "short", "At least 10"), (NEW, "something else", "differ"), ("", "", "Choose a password")]
)
def test_a_password_that_will_not_do_leaves_the_link_as_it_was(front: Front, password: str, again: str, says: str) -> None:
    path = asked(front, front.person())
    visitor = front.visitor()
    answer = choose(visitor, path, password, again)
    assert (answer.status_code, says in answer.text) == (422, True)
    assert NEW not in answer.text
    assert choose(visitor, path).status_code == 302


def test_nobody_learns_whether_an_address_is_known(front: Front) -> None:
    known, unknown, off = front.person(), new_email(), front.person()
    person = front.data.users.find(off)
    assert person is not None
    front.data.users.set_active(person.user_id, False, by=MACHINE)
    for app in (front.mailing, front.silent):
        answers = [seen(front.visitor(app).send("/forgot", {"email": email})) for email in (known, unknown, off, "not an address")]
        assert answers[0] == answers[1] == answers[2] == answers[3]
        assert answers[0][0] == 200
        front.later(61)
    assert [len(front.mails(email)) for email in (known, unknown, off)] == [1, 0, 0]
    rows = front.data._store.readers.all("SELECT email FROM codes WHERE purpose = 'reset' AND email IN (?, ?)", (known, unknown))
    assert sorted(row["email"] for row in rows) == sorted([known, known, unknown, unknown]), "both leave the same behind"


@pytest.mark.usefixtures("still")
def test_an_address_is_sent_one_a_minute_and_five_an_hour_and_the_answer_stays(front: Front) -> None:
    email = front.person()
    first = seen(front.visitor().send("/forgot", {"email": email}))
    assert seen(front.visitor().send("/forgot", {"email": email.upper()})) == first
    assert len(front.mails(email)) == 1
    for _ in range(6):
        front.later(61)
        assert seen(front.visitor().send("/forgot", {"email": email})) == first
    assert len(front.mails(email)) == 5


def test_ten_requests_an_hour_from_one_address(front: Front) -> None:
    visitor = front.visitor()
    answers = [visitor.send("/forgot", {"email": new_email()}).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]


def test_without_mail_the_owner_sees_the_link(front: Front) -> None:
    email = front.person()
    front.later(61)
    assert "Ask the owner" in front.visitor(front.silent).send("/forgot", {"email": email}).text
    assert front.mails(email) == []
    mine = [code for code in front.rig.owner.get("/api/codes?purpose=reset&limit=500").json["items"] if code["email"] == email]
    path = "/" + mine[0]["secret"].split("/", 3)[3]
    assert choose(front.visitor(front.silent), path).status_code == 302
    assert front.visitor(front.silent).sign_in(email, NEW).location == "/"
    assert front.mails(email) == []


def test_the_link_does_not_begin_with_what_a_request_calls_us(front: Front) -> None:
    email, visitor = front.person(), front.visitor()
    token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.get("/forgot").text)[1]
    headers = {"Host": "127.0.0.2:9999", "X-Forwarded-Host": "evil.example"}
    front.later(61)
    visitor.client.post("/forgot", data={"email": email, "csrf_token": token}, headers=headers)
    assert all("evil" not in mail.get("link", "") and "9999" not in mail.get("link", "") for mail in front.mails(email))


def test_a_link_serves_its_own_purpose_only(front: Front) -> None:
    token = asked(front, front.person()).rpartition("/")[2]
    assert front.visitor().get(f"/invite/{token}").status_code == 404


@pytest.mark.parametrize("path", ["/forgot", "/reset/x", "/login", "/sign-up", "/invite/x"])
def test_pages_of_the_door_are_never_kept_and_tell_their_address_to_nobody(front: Front, path: str) -> None:
    headers = front.visitor().get(path).headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_a_new_password_over_the_page_leaves_this_browser_alone(front: Front) -> None:
    watch([NEW])
    email = front.person()
    here, there = front.visitor(), front.visitor()
    for browser in (here, there):
        browser.sign_in(email)
    assert here.json("POST", "/api/me/password", {"current": "not it", "new": NEW}).status_code == 403
    assert here.json("POST", "/api/me/password", {"current": PASSWORD, "new": NEW}).status_code == 200
    assert (here.me() is not None, there.me()) == (True, None)
    user = front.data.users.find(email)
    assert user is not None
    assert len(front.data.sign_ins.list(user.user_id)) == 1
    assert [mail["kind"] for mail in front.mails(email)] == ["password_changed"]


def test_signing_out_ends_the_sign_in_for_whoever_copied_the_cookie(front: Front) -> None:
    email, here, thief = front.person(UserRole.VIEWER), front.visitor(), front.visitor()
    here.sign_in(email)
    cookie = here.client.get_cookie("tandem")
    assert cookie is not None
    thief.client.set_cookie("tandem", cookie.value)
    assert thief.me() is not None
    assert here.send("/logout", page="/settings").location == "/login"
    assert (here.me(), thief.me()) == (None, None)


@pytest.mark.parametrize("second_factor", [False, True])
def test_somebody_else_s_sign_in_in_the_same_browser_ends_the_first_for_whoever_copied_the_cookie(
    front: Front, second_factor: bool
) -> None:
    first, then, here, thief = front.person(), front.person(), front.visitor(), front.visitor()
    here.sign_in(first)
    cookie = here.client.get_cookie("tandem")
    assert cookie is not None
    thief.client.set_cookie("tandem", cookie.value)
    assert thief.me() is not None
    if second_factor:
        user = front.data.users.find(then)
        assert user is not None
        app = pyotp.TOTP(front.data.second_factor.begin(user.user_id, by=MACHINE).secret)
        front.data.second_factor.confirm(user.user_id, app.now(), by=MACHINE)
    assert here.send("/login", {"email": then, "password": PASSWORD}, page="/settings").status_code == 302
    assert thief.me() is None
    assert (here.me() or {}).get("email") == (None if second_factor else then)


def test_an_owner_sets_another_s_password_but_not_their_own_without_the_present_one(front: Front) -> None:
    owner, email = front.rig.owner, front.person()
    user, me = front.data.users.find(email), owner.user
    assert user is not None
    assert me is not None
    browser = front.visitor()
    browser.sign_in(email)
    assert owner.patch(f"/api/users/{user.user_id}", {"password": NEW}).status_code == 200
    assert browser.me() is None
    own = owner.patch(f"/api/users/{me.user_id}", {"password": NEW})
    assert (own.status_code, list(own.json["errors"])) == (422, ["password"])

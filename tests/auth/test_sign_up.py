"""Signing up with a code that comes by mail: six digits, ten minutes, five tries, and no word about who is here already."""

from __future__ import annotations

import pytest

from app.data import TRIES
from app.data.sign_ups import greeting
from tests.auth.front import PASSWORD, Front, Visitor, csrf, new_email, seen
from tests.support.canaries import watch


def begun(front: Front, email: str | None = None, name: str = "") -> tuple[Visitor, str, str]:
    """A visitor who awaits a code, their e-mail, and the code."""
    visitor, email = front.visitor(), email or new_email()
    answer = visitor.sign_up(email, name=name)
    assert (answer.status_code, answer.location) == (302, "/sign-up/code")
    return visitor, email, front.mails(email)[-1]["code"]


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_with_the_code_of_the_mail_one_is_a_trader_and_signed_in(front: Front) -> None:
    visitor, email, code = begun(front, name="Asha")
    mail = front.mails(email)[-1]
    assert (mail["kind"], mail["name"], mail["minutes"], len(code)) == ("sign_up", "Asha", "10", 6)
    assert visitor.me() is None, "nobody is in before the code"
    done = visitor.send("/sign-up/code", {"code": f" {code[:3]} {code[3:]} "})
    assert (done.status_code, done.location) == (302, "/")
    me = visitor.me()
    assert me is not None
    assert (me["email"], me["name"], me["role"]) == (email, "Asha", "trader")
    assert front.visitor().sign_in(email).location == "/", "with the password that was chosen"
    assert front.audited("user.signed_up")[0].object_id == me["id"]


def test_the_code_is_nowhere_but_in_the_mail(front: Front) -> None:
    watch([PASSWORD])
    visitor, email, code = begun(front)
    assert code not in visitor.get("/sign-up/code").text
    row = front.data._store.readers.one("SELECT * FROM codes WHERE email = ?", (email,))
    assert row is not None
    plain = " ".join(str(value) for value in tuple(row))
    assert code not in plain.replace(row["code_id"], "")
    assert PASSWORD not in plain
    assert "$argon2id$" in row["body"]
    assert all(code not in str(row.after) for row in front.audited("user.sign_up_asked"))


def test_five_wrong_codes_and_the_right_one_is_over_too(front: Front) -> None:
    visitor, email, code = begun(front)
    answers = [visitor.send("/sign-up/code", {"code": another(code)}).status_code for _ in range(TRIES)]
    assert answers == [401] * (TRIES - 1) + [410]
    assert visitor.send("/sign-up/code", {"code": code}).status_code == 410
    assert visitor.me() is None
    front.later(61)
    assert "A new code is on its way" in visitor.send("/sign-up/again", page="/sign-up/code").text
    assert visitor.send("/sign-up/code", {"code": front.mails(email)[-1]["code"]}).location == "/"


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("waited", "answer"), [(590, 302), (601, 410)])
def test_a_code_is_good_for_ten_minutes(front: Front, waited: float, answer: int) -> None:
    visitor, _, code = begun(front)
    front.later(waited)
    assert visitor.send("/sign-up/code", {"code": code}).status_code == answer


def test_a_code_is_good_once_and_in_the_browser_that_asked(front: Front) -> None:
    visitor, email, code = begun(front)
    stranger, _, _ = begun(front)
    assert stranger.send("/sign-up/code", {"code": code}).status_code == 401
    cookie = visitor.client.get_cookie("tandem")
    assert cookie is not None
    assert visitor.send("/sign-up/code", {"code": code}).status_code == 302
    thief = front.visitor()
    thief.client.set_cookie("tandem", cookie.value)
    assert thief.send("/sign-up/code", {"code": code}).status_code == 410
    assert [user.email for user in front.data.users.all()].count(email) == 1


@pytest.mark.usefixtures("still")
def test_a_new_code_replaces_the_old_one_and_is_sent_once_a_minute_and_five_times_an_hour(front: Front) -> None:
    visitor, email, code = begun(front)
    soon = visitor.send("/sign-up/again", page="/sign-up/code")
    assert (soon.status_code, int(soon.headers["Retry-After"]) <= 60) == (429, True)
    for _ in range(4):
        front.later(61)
        assert visitor.send("/sign-up/again", page="/sign-up/code").status_code == 200
    codes = [mail["code"] for mail in front.mails(email)]
    assert len(codes) == 5
    front.later(61)
    assert visitor.send("/sign-up/again", page="/sign-up/code").status_code == 429
    assert front.visitor().sign_up(email).status_code == 429, "nor from another browser"
    if code != codes[-1]:
        assert visitor.send("/sign-up/code", {"code": code}).status_code == 401
    assert visitor.send("/sign-up/code", {"code": codes[-1]}).status_code == 302


@pytest.mark.usefixtures("still")
def test_a_known_address_sees_what_an_unknown_one_sees(front: Front) -> None:
    """Every page and every refusal on the way, to the last byte; only the mail differs."""
    known, unknown = front.person(), new_email()
    told = []
    for email in (known, unknown):
        visitor = front.visitor()
        answers = [visitor.sign_up(email), visitor.get("/sign-up/code")]
        answers += [visitor.send("/sign-up/again", page="/sign-up/code")]
        answers += [visitor.send("/sign-up/code", {"code": code}) for code in ("1234567", "abc", "000", "11", "222")]
        answers += [front.visitor().sign_up(email)]
        told.append([(status, text.replace(email, "E-MAIL")) for status, text in map(seen, answers)])
    assert told[0] == told[1]
    assert [status for status, _ in told[0]] == [302, 200, 429, 401, 401, 401, 401, 410, 429]
    assert [mail["kind"] for mail in front.mails(known)] == ["already"]
    assert [mail["kind"] for mail in front.mails(unknown)] == ["sign_up"]


def test_the_hash_of_a_password_is_computed_for_known_and_unknown_alike(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.data import sign_ups

    counted: list[str] = []
    plain = sign_ups.hash_password
    monkeypatch.setattr(sign_ups, "hash_password", lambda password: counted.append(password) or plain(password))
    for email in (front.person(), new_email()):
        front.visitor().sign_up(email)
    assert len(counted) == 2


def test_nobody_makes_themselves_an_owner(front: Front) -> None:
    visitor, email = front.visitor(), new_email()
    visitor.send("/sign-up", {"email": email, "password": PASSWORD, "confirm": PASSWORD, "role": "owner", "active": "1", "user_id": "me"})
    done = visitor.send("/sign-up/code", {"code": front.mails(email)[-1]["code"], "role": "owner"})
    assert done.status_code == 302
    me = visitor.me()
    assert me is not None
    assert me["role"] == "trader"
    assert visitor.json("PATCH", "/api/me", {"role": "owner"}).status_code == 422
    assert visitor.json("PATCH", f"/api/users/{me['id']}", {"role": "owner"}).status_code == 403


def test_whoever_joined_meanwhile_does_not_join_twice(front: Front) -> None:
    first, email, code = begun(front)
    front.later(61)
    second, _, newer = begun(front, email)
    assert first.send("/sign-up/code", {"code": code}).status_code == 302
    assert second.send("/sign-up/code", {"code": newer}).status_code == 410


def test_ten_sign_ups_an_hour_from_one_address(front: Front) -> None:
    visitor = front.visitor()
    answers = [visitor.sign_up(new_email()).status_code for _ in range(11)]
    assert answers == [302] * 10 + [429]
    assert front.visitor().sign_up(new_email()).status_code == 302


def test_sign_up_is_closed_until_an_owner_opens_it(front: Front) -> None:
    visitor, _, code = begun(front)
    again = {"email": new_email(), "password": PASSWORD, "csrf_token": csrf(visitor.get("/sign-up").text)}
    front.open(False)
    assert "Ask the owner" in front.visitor().get("/sign-up").text
    assert 'href="/sign-up"' not in front.visitor().get("/login").text
    closed = visitor.client.post("/sign-up", data=again, environ_base={"REMOTE_ADDR": visitor.address})
    assert closed.status_code == 403
    assert "Ask the owner" in closed.text
    assert visitor.send("/sign-up/code", {"code": code}).status_code == 403, "nor does a code from before let anybody in"
    assert visitor.me() is None
    front.open(True)
    assert 'href="/sign-up"' in front.visitor().get("/login").text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"email": ""}, "Type your e-mail"),
        ({"email": "no address"}, "is not an e-mail address"),
        ({"email": "a1<x@example.com>"}, "is not an e-mail address"),
        ({"email": "asha@xn--a.example"}, "has a domain behind the @ that cannot be one"),
        ({"email": "a@b.example\r\nBcc: x@y.example"}, "is not an e-mail address"),
        ({"password": "short"}, "At least 10"),
        ({"confirm": "another password"}, "The two passwords differ"),
        ({"name": "n" * 101}, "Must have at most 100 characters"),
        ({"name": "Asha\r\nBcc: x@y.example"}, "Must not contain control characters or invisible ones"),
        ({"name": "Asha\u202egro.live"}, "Must not contain control characters or invisible ones"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(front: Front, change: dict[str, str], says: str) -> None:
    answer = front.visitor().send("/sign-up", {"email": new_email(), "password": PASSWORD, "confirm": PASSWORD, "name": ""} | change)
    assert answer.status_code == 422
    assert says.casefold() in answer.text.casefold()
    assert PASSWORD not in answer.text


def test_what_is_refused_is_said_on_a_page_that_nobody_posted_to(front: Front) -> None:
    """Back and forth never asks whether to send the code once more."""
    visitor, _, code = begun(front)
    token = csrf(visitor.get("/sign-up/code").text)
    for path, form in (("/sign-up/code", {"code": another(code)}), ("/sign-up/code", {"code": ""}), ("/sign-up/again", {})):
        answer = visitor.client.post(path, data={**form, "csrf_token": token}, environ_base={"REMOTE_ADDR": visitor.address})
        assert (answer.status_code, answer.location) == (303, "/sign-up/code"), path
    assert "A code was sent to this address already" in visitor.get("/sign-up/code").text
    assert "A code was sent to this address already" not in visitor.get("/sign-up/code").text, "once"
    assert visitor.send("/sign-up/code", {"code": code}).location == "/"


@pytest.mark.parametrize("path", ["/sign-up", "/sign-up/code", "/sign-up/again"])
def test_a_form_from_elsewhere_is_refused(front: Front, path: str) -> None:
    visitor, email, _ = begun(front)
    forged = {"email": new_email(), "password": PASSWORD, "code": "123456"}
    assert visitor.client.post(path, data=forged, environ_base={"REMOTE_ADDR": visitor.address}).status_code == 400
    assert len(front.mails(email)) == 1


def test_without_mail_the_owner_has_the_code_and_nothing_is_queued(front: Front) -> None:
    visitor, email = front.visitor(front.silent), new_email()
    assert visitor.sign_up(email).status_code == 302
    assert "Ask its owner" in visitor.get("/sign-up/code").text
    assert front.mails(email) == []
    codes = [code for code in front.rig.owner.get("/api/codes?limit=500").json["items"] if code["email"] == email]
    assert [code["purpose"] for code in codes] == ["sign_up"]
    assert visitor.send("/sign-up/code", {"code": codes[0]["secret"]}).location == "/"
    assert email not in front.rig.owner.get("/api/codes?limit=500").text, "used up"


def test_without_mail_the_owner_is_told_of_somebody_who_is_here_already(front: Front) -> None:
    email = front.person()
    front.visitor(front.silent).sign_up(email)
    codes = [code for code in front.rig.owner.get("/api/codes?limit=500").json["items"] if code["email"] == email]
    assert [code["secret"] for code in codes] == [None]


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Asha Rao", "Asha Rao"),
        ("  Asha \n Rao ", "Asha Rao"),
        ("Win at casino.example", ""),
        ("http://evil", ""),
        ("<b>you</b>", ""),
        ("x" * 41, ""),
        ("J. R. Tata", "J. R. Tata"),
    ],
)
def test_a_stranger_s_name_is_no_room_for_an_advertisement(name: str, greeted: str) -> None:
    assert greeting(name) == greeted

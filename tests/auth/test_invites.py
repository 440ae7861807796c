"""Invitations: a link that an owner sends, good once and for three days, that brings its role with it."""

from __future__ import annotations

import pytest

from app.data import UserRole
from tests.api.rig import MACHINE, Person
from tests.auth.front import PASSWORD, Front, Visitor, new_email, seen


def invited(front: Front, role: str = "trader", email: str | None = None) -> tuple[str, str, str]:
    """The e-mail, the id of the invitation and the path of the mailed link."""
    email = email or new_email()
    answer = mailing_owner(front).post("/api/invites", {"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return email, answer.json["id"], path_of(front, email)


def path_of(front: Front, email: str) -> str:
    return "/" + front.mails(email)[-1]["link"].split("/", 3)[3]


def mailing_owner(front: Front) -> Person:
    """The owner at the application that sends mail."""
    person = Person(front.rig, front.rig.owner.user, front.rig.owner.token)
    person.client = front.mailing.test_client()
    return person


def join(visitor: Visitor, path: str, password: str = PASSWORD, name: str = ""):
    return visitor.send(path, {"name": name, "password": password, "confirm": password})


@pytest.mark.parametrize("role", ["trader", "viewer", "owner"])
def test_whoever_has_the_link_joins_with_its_role_and_is_signed_in(front: Front, role: str) -> None:
    email, _, path = invited(front, role)
    mail = front.mails(email)[-1]
    assert (mail["kind"], mail["inviter"], mail["role"], mail["hours"]) == ("invite", "owner@example.com", role, "72")
    visitor = front.visitor()
    assert email in visitor.get(path).text
    done = join(visitor, path, name="Meera")
    assert (done.status_code, done.location) == (302, "/")
    me = visitor.me()
    assert me is not None
    assert (me["email"], me["role"], me["name"]) == (email, role, "Meera")
    assert front.audited("user.joined")[0].after["role"] == role
    if role == "owner":
        front.data.users.set_role(me["id"], UserRole.VIEWER, by=MACHINE)


def test_the_link_is_good_once_and_looking_is_free(front: Front) -> None:
    _, _, path = invited(front)
    for _ in range(3):
        assert front.visitor().get(path).status_code == 200
    assert join(front.visitor(), path).status_code == 302
    again = front.visitor().get(path)
    assert again.status_code == 404
    assert seen(again) == seen(front.visitor().get("/invite/never-was-one"))


@pytest.mark.parametrize(("hours", "answer"), [(71.9, 200), (72.1, 404)])
def test_it_is_good_for_three_days(front: Front, hours: float, answer: int) -> None:
    _, invite_id, path = invited(front)
    front.later(hours * 3600)
    assert front.visitor().get(path).status_code == answer
    states = {row["id"]: row["state"] for row in front.rig.owner.get("/api/invites?limit=500").json["items"]}
    assert states[invite_id] == ("open" if answer == 200 else "over")


def test_withdrawn_it_is_worth_nothing(front: Front) -> None:
    _, invite_id, path = invited(front)
    assert front.rig.owner.delete(f"/api/invites/{invite_id}").status_code == 204
    assert front.visitor().get(path).status_code == 404
    assert front.rig.owner.delete(f"/api/invites/{invite_id}").status_code == 404
    assert front.audited("invite.withdrawn")[0].object_id == invite_id


@pytest.mark.usefixtures("still")
def test_sent_again_the_new_link_holds_and_the_old_one_does_not(front: Front) -> None:
    owner = mailing_owner(front)
    email, invite_id, path = invited(front)
    soon = owner.post(f"/api/invites/{invite_id}/resend")
    assert (soon.status_code, 0 < int(soon.headers["Retry-After"]) <= 60) == (429, True)
    front.later(73 * 3600)
    again = owner.post(f"/api/invites/{invite_id}/resend")
    assert (again.status_code, again.json["state"], again.json["sends"]) == (200, "open", 2)
    assert front.visitor().get(path).status_code == 404
    assert join(front.visitor(), path_of(front, email)).status_code == 302
    assert owner.post(f"/api/invites/{invite_id}/resend").status_code == 404, "it was accepted"


def test_who_is_here_or_invited_already_is_not_invited(front: Front) -> None:
    owner, (email, _, path) = front.rig.owner, invited(front)
    assert owner.post("/api/invites", {"email": email.upper()}).status_code == 409
    join(front.visitor(), path)
    assert owner.post("/api/invites", {"email": email}).status_code == 409


def test_an_invitation_that_is_over_makes_room_for_another(front: Front) -> None:
    email, old, path = invited(front)
    front.later(73 * 3600)
    _, new, newer = invited(front, email=email)
    assert old != new
    assert (front.visitor().get(path).status_code, front.visitor().get(newer).status_code) == (404, 200)


def test_with_the_inviter_gone_the_invitation_is_gone(front: Front) -> None:
    boss = front.data.users.add(new_email(), PASSWORD, role=UserRole.OWNER, by=MACHINE)
    _, token = front.data.tokens.create(boss.user_id, "tests", by=MACHINE)
    person, email = Person(front.rig, boss, token), new_email()
    person.client = front.mailing.test_client()
    assert person.post("/api/invites", {"email": email}).status_code == 201
    path = path_of(front, email)
    assert front.visitor().get(path).status_code == 200
    front.data.users.set_role(boss.user_id, UserRole.TRADER, by=MACHINE)
    assert front.visitor().get(path).status_code == 404
    assert join_anyway(front, path) == 404


def join_anyway(front: Front, path: str) -> int:
    visitor = front.visitor()
    form = {"password": PASSWORD, "confirm": PASSWORD, "name": ""}
    return visitor.send(path, form, page="/login").status_code


def test_only_owners_invite_and_see_codes(front: Front) -> None:
    for person in (front.rig.trader, front.rig.viewer):
        for method, path in (("GET", "/api/invites"), ("GET", "/api/codes"), ("POST", "/api/invites"), ("PATCH", "/api/workspace")):
            body = {"email": new_email()} if path == "/api/invites" and method == "POST" else {"open_sign_up": True}
            assert person.call(method, path, body if method != "GET" else None).status_code == 403
        assert person.get("/api/workspace").json == {"open_sign_up": True, "mail": False}


def test_the_owner_opens_and_closes_sign_up(front: Front) -> None:
    assert front.rig.owner.patch("/api/workspace", {"open_sign_up": False}).json["open_sign_up"] is False
    assert front.rig.owner.get("/api/workspace").json["open_sign_up"] is False
    assert front.rig.owner.patch("/api/workspace", {"open_sign_up": "yes"}).status_code == 422
    row = front.audited("setting.changed")[0]
    assert (row.object_id, row.after) == ("open_sign_up", {"value": False})


def test_a_new_workspace_is_closed(fresh) -> None:
    assert fresh.owner.get("/api/workspace").json == {"open_sign_up": False, "mail": False}


def test_with_mail_no_owner_sees_a_link_and_without_they_do(front: Front) -> None:
    email, _, path = invited(front)
    refused = mailing_owner(front).get("/api/codes")
    assert refused.status_code == 409
    assert path not in refused.text
    shown = front.rig.owner.get("/api/codes?purpose=invite&limit=500").json["items"]
    link = next(code["secret"] for code in shown if code["email"] == email)
    assert link.endswith(path)
    for listing in ("/api/invites?limit=500", "/api/audit?limit=500"):
        assert path.rpartition("/")[2] not in front.rig.owner.get(listing).text


def test_the_people_page_shows_what_is_to_be_passed_on_only_without_mail(front: Front) -> None:
    email, _, path = invited(front)
    front.data.users.set_password(front.rig.owner.user.user_id, PASSWORD, by=MACHINE)
    for app, shown in ((front.silent, True), (front.mailing, False)):
        owner = front.visitor(app)
        assert owner.sign_in("owner@example.com").status_code == 302
        text = owner.get("/people").text
        assert email in text
        assert (path in text, "To pass on" in text) == (shown, shown)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"password": "short", "confirm": "short"}, "At least 10"),
        ({"password": PASSWORD, "confirm": "other"}, "differ"),
        ({"password": "", "confirm": ""}, "Choose a password"),
    ],
)
def test_a_form_that_is_wrong_leaves_the_link_as_it_was(front: Front, form: dict[str, str], says: str) -> None:
    _, _, path = invited(front)
    visitor = front.visitor()
    answer = visitor.send(path, {"name": "", **form})
    assert (answer.status_code, says in answer.text) == (422, True)
    assert join(visitor, path).status_code == 302


@pytest.mark.parametrize(
    "body",
    [
        {"email": "x@y.example\r\nBcc: z@y.example"},
        {"email": "no address"},
        {"email": new_email(), "name": "A\nB"},
        {"email": new_email(), "role": "god"},
        {"email": new_email(), "state": "open"},
    ],
)
def test_what_no_invitation_can_hold_is_refused(front: Front, body: dict[str, str]) -> None:
    assert mailing_owner(front).post("/api/invites", body).status_code == 422
    assert front.mails(body["email"]) == []


def test_a_name_is_text_wherever_it_is_shown(front: Front) -> None:
    _, _, path = invited(front)
    visitor = front.visitor()
    assert join(visitor, path, name='<script>alert("x")</script>').status_code == 302
    assert "<script>alert" not in visitor.get("/settings").text

"""The second factor: codes of an app, recovery codes, and the step between the password and the door."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyotp
import pytest

from app.auth import second
from app.auth.throttle import Throttle
from app.data import Actor, Conflict, Data, Invalid, UserRole, open_data
from app.data.second_factor import BEGUN_LASTS, STEP, SecondFactor
from app.launch import people
from app.launch.errors import CannotRun
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, Visitor, new_email
from tests.support import canaries

NOW = 1_790_000_010.0  # ten seconds into a step
SECRETS: list[str] = []
canaries.watch(SECRETS)


class Hand:
    """Time by hand, of both kinds."""

    def __init__(self) -> None:
        self.at = NOW

    def step(self, seconds: float) -> None:
        self.at += seconds

    def now(self) -> float:
        return self.at

    monotonic = now


@dataclass
class House:
    """A data folder with one person in it, and time by hand."""

    data: Data
    clock: Hand
    user_id: str

    def by(self) -> Actor:
        return Actor(self.user_id, "web", "10.0.0.9")

    def begin(self) -> pyotp.TOTP:
        return pyotp.TOTP(self.data.second_factor.begin(self.user_id, by=self.by()).secret)

    def enrol(self) -> tuple[pyotp.TOTP, tuple[str, ...]]:
        app = self.begin()
        return app, self.data.second_factor.confirm(self.user_id, app.at(self.clock.now()), by=self.by())

    def check(self, code: str) -> bool:
        return self.data.second_factor.check(self.user_id, code, by=self.by())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = Hand()
    with open_data(tmp_path_factory.mktemp("house") / "data", clock=clock) as data:
        yield House(data, clock, "")


@pytest.fixture
def house(folder: House) -> House:
    """Somebody new in a folder that the others use, too."""
    folder.clock.at = NOW
    return replace(folder, user_id=folder.data.users.add(new_email(), PASSWORD, by=MACHINE).user_id)


@pytest.fixture
def clock(front: Front, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """Time by hand for codes and for how fast they may be guessed, in the workspace that is looked at from outside."""
    hand, made = Hand(), front.data.second_factor
    monkeypatch.setattr(front.data, "second_factor", SecondFactor(replace(made._store, clock=hand), made._box, made._outbox))
    monkeypatch.setitem(front.mailing.extensions, second.EXTENSION, Throttle(hand, most=10, window=900))
    return hand


def guarded(front: Front, clock: Hand, role: UserRole = UserRole.TRADER) -> tuple[str, pyotp.TOTP, tuple[str, ...]]:
    """Somebody with a second factor: their e-mail, their app, their recovery codes. The next step of the clock has begun."""
    email = front.person(role)
    user = front.data.users.find(email)
    assert user is not None
    app = pyotp.TOTP(front.data.second_factor.begin(user.user_id, by=MACHINE).secret)
    codes = front.data.second_factor.confirm(user.user_id, app.at(clock.now()), by=MACHINE)
    SECRETS.extend((app.secret, *codes))
    clock.step(STEP)
    return email, app, codes


def show(visitor: Visitor, code: str) -> int:
    return visitor.send("/login/code", {"code": code}).status_code


# --- codes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "good"),
    [(-2, False), (-1, True), (0, True), (1, True), (2, False)],
    ids=["old", "just over", "now", "phone ahead", "too early"],
)
def test_a_code_is_good_for_a_clock_that_is_half_a_minute_off(house: House, steps: int, good: bool) -> None:
    app, _ = house.enrol()
    house.clock.step(10 * STEP)
    assert house.check(app.at(house.clock.now() + steps * STEP)) is good


def test_no_code_is_taken_twice_nor_one_before_the_newest_that_was_used(house: House) -> None:
    app, _ = house.enrol()
    assert not house.check(app.at(NOW)), "the first code, which switched it on, is used up as well"
    house.clock.step(5 * STEP)
    now = house.clock.now()
    shown = app.at(now)
    assert house.check(f" {shown[:3]} {shown[3:]} "), "as apps show it"
    assert not house.check(app.at(now))
    assert not house.check(app.at(now - STEP))
    assert house.check(app.at(now + STEP))


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "000000000000000000", "\x00" * 6, "recovery"])
def test_what_is_no_code_is_wrong(house: House, code: str) -> None:
    house.enrol()
    assert not house.check(code)


def test_nothing_changes_until_a_first_code_is_right(house: House) -> None:
    factor = house.data.second_factor
    with pytest.raises(Conflict, match="begin with a new one"):
        factor.confirm(house.user_id, "123456", by=house.by())
    app = house.begin()
    assert not factor.is_on(house.user_id)
    assert not house.check(app.at(NOW)), "a key that nobody confirmed opens nothing"
    with pytest.raises(Invalid):
        factor.confirm(house.user_id, app.at(NOW + 9 * STEP), by=house.by())
    again = house.begin()
    with pytest.raises(Invalid):
        factor.confirm(house.user_id, app.at(NOW), by=house.by())
    house.clock.step(BEGUN_LASTS)
    assert factor.begun(house.user_id, None) is None
    with pytest.raises(Conflict, match="too long ago"):
        factor.confirm(house.user_id, again.at(house.clock.now()), by=house.by())
    house.enrol()
    assert factor.is_on(house.user_id)
    assert factor.begun(house.user_id, None) is None, "a key in use is never shown again"
    with pytest.raises(Conflict, match="on already"):
        house.begin()


def test_each_of_ten_recovery_codes_is_good_once_however_it_is_written(house: House) -> None:
    _, codes = house.enrol()
    assert len(set(codes)) == 10
    written = [codes[0].upper(), codes[1].replace("-", " "), codes[2].replace("0", "o").replace("1", "l"), *codes[3:]]
    assert [house.check(code) for code in written] == [True] * 10
    assert not any(house.check(code) for code in codes)
    assert house.data.second_factor.state(house.user_id).codes_left == 0
    fresh = house.data.second_factor.new_recovery_codes(house.user_id, by=house.by())
    house.data.second_factor.new_recovery_codes(house.user_id, by=house.by())
    assert not house.check(fresh[0]), "ten new ones, and those before are worth nothing"


def test_what_is_stored_and_logged_holds_neither_key_nor_code(house: House) -> None:
    app, codes = house.enrol()
    house.check(codes[0])
    house.data.journal.run(lambda _: None)
    stored = b"".join(file.read_bytes() for file in house.data.data_dir.iterdir())
    assert b"user.second_factor_on" in stored
    assert app.secret.encode() not in stored
    assert not any(code.encode() in stored or code.replace("-", "").encode() in stored for code in codes)
    actions = [row.action for row in house.data.audit.list(None).items]
    assert actions[:3] == ["user.recovery_code_used", "user.second_factor_on", "user.second_factor_begun"]


# --- the door ------------------------------------------------------------------------------------------------------


def test_the_password_alone_opens_nothing(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    visitor = front.visitor()
    asked = visitor.send("/login?next=/orders", {"email": email, "password": PASSWORD})
    assert asked.location == "/login/code"
    assert visitor.me() is None
    assert visitor.get("/orders").location.startswith("/login")
    assert visitor.get("/settings/security/qr.svg").location.startswith("/login")
    user = front.data.users.find(email)
    assert user is not None
    assert front.data.sign_ins.list(user.user_id) == (), "no sign-in has begun"
    page = visitor.get("/login/code")
    assert 'autocomplete="one-time-code"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert email not in page.text
    assert show(visitor, "000000") == 401
    assert visitor.me() is None
    done = visitor.send("/login/code", {"code": app.at(clock.now())})
    assert (done.status_code, done.location) == (302, "/orders")
    assert (visitor.me() or {})["email"] == email
    assert visitor.get("/login/code").location == "/"


def test_a_code_that_somebody_looked_at_lets_nobody_else_in(front: Front, clock: Hand) -> None:
    email, app, codes = guarded(front, clock)
    first, thief = front.visitor(), front.visitor()
    for visitor in (first, thief):
        visitor.sign_in(email)
    code = app.at(clock.now())
    assert show(first, code) == 302
    assert show(thief, code) == 401
    assert show(thief, codes[0]) == 302, "a recovery code opens the same door"
    other = front.visitor()
    other.sign_in(email)
    assert show(other, codes[0]) == 401


def test_the_code_is_awaited_for_five_minutes_of_whoever_gave_the_password(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    stranger = front.visitor()
    assert stranger.get("/login/code").location == "/login"
    assert stranger.send("/login/code", {"code": app.at(clock.now())}, page="/login").location == "/login"
    late, changed = front.visitor(), front.visitor()
    for visitor in (late, changed):
        visitor.sign_in(email)
    with late.client.session_transaction(environ_overrides={"REMOTE_ADDR": late.address}) as session:
        session[second.AWAITED] = [*session[second.AWAITED][:2], time.time() - second.PATIENCE, "/"]
    assert late.get("/login/code").location == "/login"
    user = front.data.users.find(email)
    assert user is not None
    front.data.users.set_password(user.user_id, "another password of one's own", by=MACHINE)
    assert changed.get("/login/code").location == "/login", "the password that they gave holds no more"


def test_guessing_codes_is_slowed_down_from_everywhere(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    for _ in range(2):
        visitor = front.visitor()
        visitor.sign_in(email)
        assert [show(visitor, f"00000{n}") for n in range(5)] == [401] * 5
    visitor = front.visitor()
    visitor.sign_in(email)
    slowed = visitor.send("/login/code", {"code": app.at(clock.now())})
    assert slowed.status_code == 429
    assert int(slowed.headers["Retry-After"]) > 800
    assert "Wait 15 minutes" in slowed.text
    clock.step(901)
    assert show(visitor, app.at(clock.now())) == 302


def test_the_form_of_the_code_wants_its_token_and_shows_what_is_missing(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    visitor = front.visitor()
    visitor.sign_in(email)
    bare = visitor.client.post("/login/code", data={"code": app.at(clock.now())}, environ_base={"REMOTE_ADDR": visitor.address})
    assert bare.status_code == 400
    assert visitor.send("/login/code", {"code": ""}).status_code == 422
    assert visitor.me() is None


def test_a_token_is_never_asked_for_a_code(front: Front, clock: Hand) -> None:
    email, _, _ = guarded(front, clock)
    user = front.data.users.find(email)
    assert user is not None
    _, token = front.data.tokens.create(user.user_id, "a program", by=MACHINE)
    answer = front.mailing.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json["email"] == email


# --- one's own safety over the API ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [UserRole.TRADER, UserRole.VIEWER])
def test_from_setting_it_up_to_turning_it_off(front: Front, clock: Hand, role: UserRole) -> None:
    email = front.person(role)
    visitor = front.visitor()
    visitor.sign_in(email)
    api = "/api/me/second-factor"
    assert visitor.json("GET", api).json == {"on": False, "begun": False, "recovery_codes_left": 0}
    assert visitor.get("/settings/security/qr.svg").status_code == 404
    assert visitor.json("POST", api, {"password": "not mine at all"}).status_code == 403
    made = visitor.json("POST", api, {"password": PASSWORD})
    assert made.status_code == 201
    app = pyotp.parse_uri(made.json["uri"])
    assert (app.secret, app.issuer, app.name) == (made.json["secret"], "Tandem", email)
    picture = visitor.get(made.json["qr"])
    assert (picture.mimetype, picture.headers["Cache-Control"]) == ("image/svg+xml", "no-store")
    assert b"<svg" in picture.data
    assert visitor.json("POST", f"{api}/confirm", {"code": "000000"}).json["errors"] == {"code": ["is not the code that the app shows now"]}
    codes = visitor.json("POST", f"{api}/confirm", {"code": app.at(clock.now())}).json["codes"]
    assert visitor.json("GET", api).json == {"on": True, "begun": False, "recovery_codes_left": 10}
    assert visitor.get(made.json["qr"]).status_code == 404
    assert made.json["secret"] not in visitor.get("/settings/security").text
    wrong = visitor.json("POST", "/api/me/recovery-codes", {"password": PASSWORD, "code": "000000"})
    assert (wrong.status_code, list(wrong.json["errors"])) == (403, ["code"])
    fresh = visitor.json("POST", "/api/me/recovery-codes", {"password": PASSWORD, "code": codes[0]}).json["codes"]
    assert not set(fresh) & set(codes)
    wrong = visitor.json("POST", f"{api}/off", {"password": "not mine at all", "code": fresh[0]})
    assert (wrong.status_code, list(wrong.json["errors"])) == (403, ["password"])
    assert visitor.json("POST", f"{api}/off", {"password": PASSWORD, "code": codes[1]}).status_code == 403, "one of the old ones"
    assert visitor.json("POST", f"{api}/off", {"password": PASSWORD, "code": fresh[0]}).json["on"] is False
    assert visitor.json("POST", f"{api}/off", {"password": PASSWORD, "code": fresh[1]}).status_code == 409
    again = front.visitor()
    assert again.sign_in(email).location == "/"


def test_a_key_that_waits_is_shown_to_the_browser_that_began_alone(front: Front, clock: Hand) -> None:
    email = front.person()
    mine, other = front.visitor(), front.visitor()
    for visitor in (mine, other):
        visitor.sign_in(email)
    api, qr = "/api/me/second-factor", "/settings/security/qr.svg"
    user = front.data.users.find(email)
    assert user is not None
    _, token = front.data.tokens.create(user.user_id, "a program", by=MACHINE)
    program, headers = front.mailing.test_client(), {"Authorization": f"Bearer {token}"}
    app = pyotp.TOTP(mine.json("POST", api, {"password": PASSWORD}).json["secret"])
    shown, hidden = mine.get("/settings/security").text, other.get("/settings/security").text
    assert (app.secret in shown, app.secret in hidden) == (True, False)
    assert (mine.get(qr).status_code, other.get(qr).status_code) == (200, 404)
    begun = [mine.json("GET", api).json["begun"], other.json("GET", api).json["begun"], program.get(api, headers=headers).json["begun"]]
    assert begun == [True, False, False]
    code = {"code": app.at(clock.now())}
    assert other.json("POST", f"{api}/confirm", code).status_code == 409
    assert program.post(f"{api}/confirm", json=code, headers=headers).status_code == 409
    assert mine.json("POST", f"{api}/confirm", code).status_code == 200


def test_what_is_shown_once_is_not_kept_for_a_repeat(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    user = front.data.users.find(email)
    assert user is not None
    _, token = front.data.tokens.create(user.user_id, "a program", by=MACHINE)
    client = front.mailing.test_client()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    body = {"password": PASSWORD, "code": app.at(clock.now())}
    first, again = [client.post("/api/me/recovery-codes", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 409)
    assert "shown once" in again.json["detail"]
    kept = "".join(row["answer"] or "" for row in front.data._store.readers.all("SELECT answer FROM idempotency"))
    assert not any(code in kept for code in first.json["codes"])


def test_an_owner_clears_a_lost_one_and_its_person_is_told(front: Front, clock: Hand) -> None:
    email, _, _ = guarded(front, clock)
    user = front.data.users.find(email)
    assert user is not None
    owner, trader = front.visitor(), front.visitor()
    owner.sign_in(front.person(UserRole.OWNER))
    trader.sign_in(front.person())
    path = f"/api/users/{user.user_id}/clear-second-factor"
    assert trader.json("POST", path, {"password": PASSWORD}).status_code == 403
    assert owner.json("POST", path, {"password": "not mine at all"}).status_code == 403
    assert front.data.second_factor.is_on(user.user_id)
    assert owner.json("POST", path, {"password": PASSWORD}).json["on"] is False
    assert owner.json("POST", path, {"password": PASSWORD}).status_code == 409
    assert front.visitor().sign_in(email).location == "/"
    assert [mail["kind"] for mail in front.mails(email)][:1] == ["second_factor_cleared"]
    told = front.data._store.readers.all("SELECT kind FROM messages WHERE user_id = ?", (user.user_id,))
    assert "second_factor_cleared" in [row["kind"] for row in told]
    cleared = [row for row in front.audited("user.second_factor_cleared") if row.object_id == user.user_id]
    assert [row.via for row in cleared] == ["web"]


def test_a_new_password_by_link_still_asks_for_the_code(front: Front, clock: Hand) -> None:
    email, app, _ = guarded(front, clock)
    visitor = front.visitor()
    visitor.send("/forgot", {"email": email})
    link = next(mail["link"] for mail in front.mails(email) if mail["kind"] == "reset")
    new = "a new password of one's own"
    path = "/" + link.split("/", 3)[3]
    assert visitor.send(path, {"password": new, "confirm": new}).status_code == 302
    assert visitor.sign_in(email, new).location == "/login/code"
    assert show(visitor, app.at(clock.now())) == 302


def test_whoever_runs_the_machine_clears_it_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    with open_data(folder) as data:
        user = data.users.add("asha@example.com", PASSWORD, by=MACHINE)
        app = pyotp.TOTP(data.second_factor.begin(user.user_id, by=MACHINE).secret)
        data.second_factor.confirm(user.user_id, app.now(), by=MACHINE)
    args = argparse.Namespace(command="user", action="reset-second-factor", email="Asha@example.com", data_dir=folder)
    assert people.run(args) == 0
    assert "with the password alone" in capsys.readouterr().out
    with open_data(folder) as data:
        assert not data.second_factor.is_on(user.user_id)
        assert data.audit.list(None).items[0].via == "cli"
        assert data.outbox.new(10)[0].kind == "second_factor_cleared"
    for email, said in (("asha@example.com", "has no second factor"), ("nobody@example.com", "there is no nobody")):
        with pytest.raises(CannotRun, match=said):
            people.run(argparse.Namespace(**vars(args) | {"email": email}))

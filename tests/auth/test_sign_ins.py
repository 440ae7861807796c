"""The browsers in which somebody is signed in: seen, told apart, ended one by one or all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.auth.browsers import in_words, is_phone
from app.data import Data, NotFound, UserRole, open_data
from app.data.sign_ins import LASTS
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, Visitor

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"


class Hand:
    def __init__(self, now: float) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    monotonic = now


@pytest.fixture
def clock() -> Hand:
    return Hand(1_790_000_000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def data(folder: Path, clock: Hand) -> Iterator[Data]:
    with open_data(folder, clock=clock) as made:
        yield made


def person(data: Data, email: str = "asha@example.com") -> str:
    return data.users.add(email, PASSWORD, by=MACHINE).user_id


def signed_in(front: Front, email: str, agent: str = CHROME) -> Visitor:
    visitor = front.visitor()
    visitor.client.environ_base["HTTP_USER_AGENT"] = agent
    assert visitor.sign_in(email).status_code == 302
    return visitor


def told(data: Data, user_id: str) -> list[str]:
    return [row["kind"] for row in data._store.readers.all("SELECT kind FROM messages WHERE user_id = ?", (user_id,))]


# --- what is kept --------------------------------------------------------------------------------------------------


def test_a_sign_in_lives_a_week_and_over_a_restart(folder: Path, clock: Hand) -> None:
    with open_data(folder, clock=clock) as data:
        user = person(data)
        made = data.sign_ins.begin(user, "10.0.0.1", CHROME)
    with open_data(folder, clock=clock) as data:
        assert data.sign_ins.alive(user, made)
        clock.at += LASTS - 1
        assert data.sign_ins.alive(user, made)
        clock.at += 1
        assert not data.sign_ins.alive(user, made), "also from a memory that was read before"
        assert data.sign_ins.list(user) == ()
        with pytest.raises(NotFound):
            data.sign_ins.end(user, made, by=MACHINE)


def test_a_sign_in_is_its_persons_alone(data: Data) -> None:
    asha, ravi = person(data), person(data, "ravi@example.com")
    hers = data.sign_ins.begin(asha, "10.0.0.1", CHROME)
    assert not data.sign_ins.alive(ravi, hers)
    assert not data.sign_ins.alive(asha, "")
    with pytest.raises(NotFound):
        data.sign_ins.end(ravi, hers, by=MACHINE)
    assert data.sign_ins.end_all(ravi, by=MACHINE) == 0
    assert data.sign_ins.alive(asha, hers)


def test_one_that_another_process_ended_is_over(data: Data, folder: Path, clock: Hand) -> None:
    user = person(data)
    first, second = (data.sign_ins.begin(user, "10.0.0.1", CHROME) for _ in range(2))
    assert data.sign_ins.alive(user, first)
    with open_data(folder, clock=clock) as other:
        other.sign_ins.end_all(user, except_for=second, by=MACHINE)
    data._store.changes.look()
    assert (data.sign_ins.alive(user, first), data.sign_ins.alive(user, second)) == (False, True)


def test_when_somebody_was_last_here_is_written_once_a_minute(data: Data, clock: Hand) -> None:
    user, begun = person(data), clock.at
    made = data.sign_ins.begin(user, "10.0.0.1", CHROME)
    seen = []
    for _ in range(4):
        clock.at += 40
        data.sign_ins.seen(made)
        data.journal.run(lambda _: None)
        seen.append(data.sign_ins.list(user)[0].seen_at - begun)
    assert seen == [40, 40, 120, 120]


def test_what_a_browser_says_of_itself_is_kept_short_and_in_one_line(data: Data) -> None:
    user = person(data)
    data.sign_ins.begin(user, None, "evil\r\nSet-Cookie: x\x00\u202e" + "x" * 5000)
    (kept,) = data.sign_ins.list(user)
    assert kept.agent.startswith("evil  Set-Cookie: x  xxx")
    assert (len(kept.agent), kept.ip) == (300, "")


def test_a_sign_in_from_somewhere_new_is_told_but_not_the_first(data: Data, clock: Hand) -> None:
    user = person(data)
    heard = []
    for ip in ("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1"):
        data.sign_ins.begin(user, ip, CHROME, called="Chrome 141 on Windows")
        heard.append(len(told(data, user)))
    assert heard == [0, 0, 1, 1, 1]
    (row,) = data._store.readers.all("SELECT body FROM messages WHERE user_id = ?", (user,))
    assert "Chrome 141 on Windows" in row["body"]
    assert "10.0.0.2" in row["body"]
    clock.at += 401 * 24 * 3600
    for _ in range(2):
        data.sign_ins.begin(user, "10.0.0.2", CHROME)
    assert len(told(data, user)) == 1, "who was away for longer than is remembered begins anew"


# --- as a person sees it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [UserRole.TRADER, UserRole.VIEWER])
def test_one_is_seen_and_signed_out_and_the_others_stay(front: Front, role: UserRole) -> None:
    email = front.person(role)
    desk, phone = signed_in(front, email), signed_in(front, email, IPHONE)
    shown = {row["browser"]: row for row in desk.json("GET", "/api/me/sign-ins").json["items"]}
    assert {name: (row["ip"], row["phone"], row["current"]) for name, row in shown.items()} == {
        "Chrome 141 on Windows": (desk.address, False, True),
        "Safari 18 on iPhone": (phone.address, True, False),
    }
    page = desk.get("/settings/security").text
    assert "Safari 18 on iPhone" in page
    assert "this one" in page
    gone = f"/api/me/sign-ins/{shown['Safari 18 on iPhone']['id']}"
    assert desk.json("DELETE", gone).status_code == 204
    assert (desk.me() is None, phone.me() is None) == (False, True)
    assert desk.json("DELETE", gone).status_code == 404
    user = front.data.users.find(email)
    assert user is not None
    mailed = front.data._store.readers.all("SELECT target FROM deliveries WHERE user_id = ?", (user.user_id,))
    assert [row["target"] for row in mailed] == ["mail:new_sign_in:" + gone.rpartition("/")[2]], "the phone's address was new"


def test_signing_out_everywhere_asks_for_the_password_and_may_spare_this_one(front: Front) -> None:
    email = front.person()
    here, there, elsewhere = (signed_in(front, email) for _ in range(3))
    path = "/api/me/sign-out-everywhere"
    assert here.json("POST", path, {"password": "not mine at all"}).status_code == 403
    assert there.me() is not None
    live = there.client.get("/api/stream", environ_base={"REMOTE_ADDR": there.address}, buffered=False)
    next(iter(live.response))
    assert here.json("POST", path, {"password": PASSWORD, "keep_this": True}).json == {"ended": 2}
    assert sum(1 for _ in live.response) < 50, "its live stream has ended, too"
    assert [visitor.me() is None for visitor in (here, there, elsewhere)] == [False, True, True]
    assert here.json("POST", path, {"password": PASSWORD}).json == {"ended": 1}
    assert here.me() is None


def test_a_program_with_a_token_is_no_browser_but_may_end_them(front: Front) -> None:
    email = front.person()
    visitor = signed_in(front, email)
    user = front.data.users.find(email)
    assert user is not None
    _, token = front.data.tokens.create(user.user_id, "a program", by=MACHINE)
    client, headers = front.mailing.test_client(), {"Authorization": f"Bearer {token}"}
    rows = client.get("/api/me/sign-ins", headers=headers).json["items"]
    assert [row["current"] for row in rows] == [False]
    body = {"password": PASSWORD, "keep_this": True}
    assert client.post("/api/me/sign-out-everywhere", json=body, headers=headers).json == {"ended": 1}
    assert visitor.me() is None
    assert client.get("/api/me", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chrome 141 on Windows"),
        (IPHONE, "Safari 18 on iPhone"),
        (CHROME + " Edg/141.0.0.0", "Edge 141 on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox 143 on Linux"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome 141 on Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 CriOS/140.0 Mobile/15E Safari/604",
            "Chrome 140 on iPhone",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML) Version/17.6 Safari/605.1.15", "Safari 17 on macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "A browser on Linux"),
        ("curl/8.9.1", "curl"),
        ("<script>alert(1)</script>", "<script>alert"),
        ("", "Unknown"),
    ],
)
def test_a_browser_in_words(agent: str, words: str) -> None:
    assert in_words(agent) == words
    assert is_phone(agent) == (("iPhone" in words) or ("Android" in words))

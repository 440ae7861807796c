"""To the broker's page and back: an account that is ready, or a page that says what to do and has kept nothing."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from app.data import UserRole
from engines.core.sessions import DAY, day_start, load_calendar, session_day
from engines.core.timetable import JobKind
from engines.login.browser import Task
from engines.login.program import Outcome
from engines.login.reasons import Reason
from engines.login.schedule import MorningLogIns
from tests.emulators.core.exchange import EmulatedAccount
from tests.login.rig import LoginRig, Someone


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginRig]:
    with LoginRig(tmp_path_factory.mktemp("login") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def asha(rig: LoginRig) -> Someone:
    return rig.person("asha")


@pytest.fixture
def customer(rig: LoginRig) -> EmulatedAccount:
    return rig.kite.add_account()


def state_of(address: str) -> str:
    params = parse_qs(urlsplit(address).query)["redirect_params"][0]
    return parse_qs(params)["state"][0]


def back(state: str, **more: str) -> str:
    return "/zerodha/callback?" + urlencode({"status": "success", "action": "login", "request_token": "abc", "state": state, **more})


def test_one_click_there_and_back_makes_the_account_ready(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer)
    assert asha.api("GET", f"/api/accounts/{account_id}").json["state"] == "needs_login"
    done = asha.log_in(account_id, customer)
    assert (done.status_code, done.request.full_path) == (200, f"/accounts/{account_id}?signed_in=1")
    shown = asha.api("GET", f"/api/accounts/{account_id}").json
    assert (shown["state"], shown["connected"]) == ("ready", True)
    assert shown["session_expires_at"] is not None
    assert shown["broker_user_id"] == f"{customer.name[0]}…{customer.name[-2:]}"
    session = rig.data.sessions.load(account_id)
    assert session is not None
    assert session.user_id == customer.name
    assert rig.data.directory.credentials(account_id)["user_id"] == customer.name
    page = done.get_data(as_text=True)
    assert "Signed in at Zerodha" in page
    assert not [secret for secret in customer.canaries() if secret in page]


def test_a_session_outlives_a_new_connection(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Stays")
    asha.log_in(account_id, customer)
    again = asha.api("POST", f"/api/accounts/{account_id}/login").json
    assert (again["state"], again["login_url"]) == ("ready", None)
    rig.kite.expire_session(customer)
    over = asha.api("POST", f"/api/accounts/{account_id}/login").json
    assert over["state"] is None
    assert over["login_url"].startswith(rig.kite.url)


def test_a_pasted_token_works_the_same(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Pasted")
    rig.kite.sign_in(customer)
    answer = asha.api("PATCH", f"/api/accounts/{account_id}", {"credentials": {"access_token": customer.credentials["access_token"]}})
    assert (answer.status_code, answer.json["state"]) == (200, "ready")
    assert customer.credentials["access_token"] not in answer.text
    wrong = asha.api("PATCH", f"/api/accounts/{account_id}", {"credentials": {"access_token": "not-a-token"}})
    assert wrong.json["state"] == "needs_login"


def test_another_user_at_the_broker_is_not_let_in(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Mine alone", user_id="ZZ9999")
    answer = asha.log_in(account_id, customer)
    assert answer.status_code == 403
    assert "Somebody else" in answer.get_data(as_text=True)
    assert rig.data.sessions.load(account_id) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"state": ""}, "did not begin here"),
        ({"state": "forged"}, "did not begin here"),
        ({"status": "failed"}, "did not say that the log-in went well"),
        ({"request_token": ""}, "did not say that the log-in went well"),
        ({"request_token": "unknown"}, "log in again"),
    ],
)
def test_what_comes_back_wrong_becomes_a_page_that_says_what_to_do(
    rig: LoginRig, asha: Someone, customer: EmulatedAccount, change: dict[str, str], says: str
) -> None:
    account_id = asha.account(customer, f"Wrong {sorted(change.items())}")
    state = state_of(asha.begin(account_id))
    answer = asha.come_back(back(**{"state": state, **change}))
    assert 400 <= answer.status_code < 500
    text = answer.get_data(as_text=True)
    assert says in text
    assert state not in text
    assert rig.data.sessions.load(account_id) is None


def test_a_state_is_good_once_for_a_quarter_of_an_hour_and_for_one_person(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Once")
    state = state_of(asha.begin(account_id))
    other = rig.person("other")
    assert "by somebody else" in other.come_back(back(state)).get_data(as_text=True)
    asha.come_back(back(state))
    assert "used already" in asha.come_back(back(state)).get_data(as_text=True)
    late = state_of(asha.begin(account_id))
    rig.clock.ahead = 15 * 60 + 5
    try:
        assert "quarter of an hour" in asha.come_back(back(late)).get_data(as_text=True)
    finally:
        rig.clock.ahead = 0.0


def test_who_is_not_signed_in_here_signs_in_first(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Elsewhere")
    state = state_of(asha.begin(account_id))
    answer = rig.app.test_client().get(back(state))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login?")
    assert asha.come_back(back(state, request_token="x")).status_code == 409  # the state was not used up


def test_what_is_not_ones_own_is_not_there(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Own")
    stranger = rig.person("stranger")
    assert stranger.page(f"/zerodha/login/{account_id}").status_code == 404
    assert stranger.api("POST", f"/api/accounts/{account_id}/auto-login").status_code == 404
    viewer = rig.person("viewer", UserRole.VIEWER)
    assert viewer.page(f"/zerodha/login/{account_id}").status_code == 403
    paper = asha.api("POST", "/api/accounts", {"name": "P", "broker": "paper", "capital": "1000"}).json["id"]
    assert "with its keys" in asha.page(f"/zerodha/login/{paper}").get_data(as_text=True)


def test_a_broker_that_cannot_be_asked_is_said(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    account_id = asha.account(customer, "Gone dark")
    address = asha.at_the_broker(asha.begin(account_id), customer)
    rig.kite.fault("server_error_html", on="session")
    answer = asha.come_back(address)
    assert answer.status_code in (409, 502)
    assert rig.data.sessions.load(account_id) is None


def test_the_automated_log_in_on_demand(rig: LoginRig, asha: Someone, customer: EmulatedAccount) -> None:
    """The browser is another test's: here it is a straw that goes through the pages."""
    secrets = {name: customer.credentials[name] for name in ("user_id", "password", "totp_secret")}
    account_id = asha.account(customer, "By itself", **secrets)
    path = f"/api/accounts/{account_id}"
    assert asha.api("PATCH", path, {"auto_login": True}).json["auto_login"] is True

    def through_the_pages(task: Task) -> Outcome:
        address = asha.at_the_broker(task.address, customer)
        return Outcome(1, None, parse_qs(urlsplit(address).query)["request_token"][0])

    automatic, before = rig.logins.automatic, rig.logins.automatic.run
    try:
        automatic.run = through_the_pages
        done = asha.api("POST", f"{path}/auto-login")
        assert (done.status_code, done.json["signed_in"], done.json["state"], done.json["failures"]) == (200, True, "ready", 0)
        automatic.run = lambda _: Outcome(None, Reason.CAPTCHA)
        failed = asha.api("POST", f"{path}/auto-login").json
        assert (failed["signed_in"], failed["reason"], failed["failures"]) == (False, "captcha", 2)
        assert "captcha" in asha.api("GET", path).json["auto_login_message"]
        told = [(i.kind, i.message) for i in rig.system.incidents() if i.account_id == account_id]
        assert [kind for kind, _ in told] == ["login_failed"], told
        stopped = asha.api("POST", f"{path}/auto-login")
        assert (stopped.status_code, "stopped" in stopped.json["detail"]) == (409, True)
        page = asha.page(f"/accounts/{account_id}").get_data(as_text=True)
        assert "It has stopped until you try again" in page
        automatic.run = lambda _: Outcome(None, Reason.TIMEOUT)
        assert asha.api("POST", f"{path}/auto-login", {"again": True}).json["failures"] == 1
    finally:
        automatic.run = before
    told = page + str(rig.data.audit.list(None))
    assert not [secret for secret in customer.canaries() if secret in told]
    asha.api("PATCH", path, {"auto_login": False})
    asha.log_in(account_id, customer)
    assert rig.data.auto_logins.get(account_id).failures == 0
    assert [i for i in rig.system.incidents() if i.account_id == account_id] == []


def test_the_morning_of_a_trading_day_signs_in_whoever_asked_for_it(rig: LoginRig, asha: Someone) -> None:
    asked, not_asked = rig.kite.add_account(), rig.kite.add_account()
    ids = {}
    for customer in (asked, not_asked):
        secrets = {name: customer.credentials[name] for name in ("user_id", "password", "totp_secret")}
        ids[customer.name] = asha.account(customer, f"Morning {customer.name}", **secrets)
    asha.api("PATCH", f"/api/accounts/{ids[asked.name]}", {"auto_login": True})
    tried: list[str] = []

    def through_the_pages(task: Task) -> Outcome:
        tried.append(task.user_id)
        address = asha.at_the_broker(task.address, asked)
        return Outcome(None, None, parse_qs(urlsplit(address).query)["request_token"][0])

    automatic, before = rig.logins.automatic, rig.logins.automatic.run
    rig.system.day.register(JobKind.LOG_INS, MorningLogIns(rig.logins.schedule))
    try:
        automatic.run = through_the_pages
        for hour, minute, sum_of_tries in ((8, 10, 0), (8, 20, 1), (9, 0, 1)):
            rig.clock.ahead = 0.0
            rig.clock.ahead = _next_trading_day(rig.clock.now()) + hour * 3600 + minute * 60 - rig.clock.now()
            rig.system.day.step()
            rig.logins.schedule.step()
            rig.logins.schedule.join(30)
            assert tried == [asked.name] * sum_of_tries
    finally:
        automatic.run, rig.clock.ahead = before, 0.0
    assert asha.api("GET", f"/api/accounts/{ids[asked.name]}").json["state"] == "ready"
    assert asha.api("GET", f"/api/accounts/{ids[not_asked.name]}").json["state"] == "needs_login"


def _next_trading_day(now: float) -> float:
    """Its midnight in India, after today."""
    calendar = load_calendar()
    days = (day_start(now, "NSE") + n * DAY for n in range(1, 15))
    return next(day for day in days if calendar.windows(session_day(day, "NSE"), "NSE"))

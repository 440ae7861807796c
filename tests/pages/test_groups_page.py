"""The room of groups: what can be done with one, what stands in the way, and who agreed; drawn from the sample book."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from app.pages.attention import days_left, needs
from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.test_parts import status
from tests.pages.things import ACCOUNTS, CONSENTS, GROUPS, NOW, consent, group, member


def drawn(role: str = "owner", address: str = "/groups") -> str:
    return unescape(create_preview(role=role).test_client().get(address).get_data(as_text=True))


def panel(text: str, group: str) -> str:
    found = re.search(rf'<section class="panel team" id="group-{group}".*?</section>', text, re.DOTALL)
    assert found
    return found.group(0)


def test_a_group_has_its_state_its_day_and_three_buttons() -> None:
    family = panel(drawn(), "G1")
    assert "2 of 3 running" in family
    assert all(f'data-value="{row.day_pnl}"' in family for row in GROUPS[0].pnl)
    for button in ("POST /api/groups/G1/start", "POST /api/groups/G1/pause", "/groups/G1/stop"):
        assert button in family
    assert "was revoked on 12 Nov 2026: record a new one" in family
    assert "on 2 of 3 accounts. 1 stay as they are" in family


@pytest.mark.parametrize(
    ("running", "of", "dry", "says"),
    [(2, 2, 0, "2 of 2 running"), (1, 1, 1, "dry run"), (1, 2, 1, "1 of 2 in dry run"), (3, 4, 1, "3 of 4 running, 1 in dry run")],
)
def test_dry_run_is_not_told_as_running(monkeypatch: pytest.MonkeyPatch, running: int, of: int, dry: int, says: str) -> None:
    members = [member(ACCOUNTS[2], "running" if i < running else "paused").model_copy(update={"dry_run": i < dry}) for i in range(of)]
    shown = group("G9", "Rehearses", 1, *members).model_copy(update={"dry_run": dry})
    monkeypatch.setattr(Sample, "groups", lambda _: [shown])
    text = panel(drawn(), "G9")
    badges = re.findall(r'<span class="badge \w* *">([^<]*)<', text)
    assert badges[0] == says
    assert badges[1 : of + 1] == ["dry run"] * dry + ["running"] * (running - dry) + ["paused"] * (of - running)


def test_real_money_is_started_by_typing_the_groups_name() -> None:
    text = drawn()
    assert "data-type-in" not in panel(text, "G1")
    assert 'data-type-in="Real money"' in panel(text, "G2")
    assert "With real money: Zerodha main, Zerodha HUF." in panel(text, "G2")
    assert ">2 LIVE<" in panel(text, "G2")


def test_nobody_in_it_nothing_to_press() -> None:
    assert "data-api" not in panel(drawn(), "G3")


def test_a_viewer_looks_and_presses_nothing() -> None:
    text = drawn("viewer")
    assert "2 of 3 running" in text
    assert 'data-api="POST /api/groups' not in text
    assert 'data-api="POST /api/consents' not in text


def test_only_a_consent_that_stands_can_be_revoked() -> None:
    rows = dict(re.findall(r'<tr id="c-(C\d)".*?>(.*?)</tr>', drawn(), re.DOTALL))
    assert {key: "/revoke" in row for key, row in rows.items()} == {"C4": True, "C1": True, "C2": False, "C3": False}
    assert "by Asha Rao on behalf of Meera Rao" in rows["C2"]
    assert "account is gone" in rows["C3"]


@pytest.mark.parametrize(("days", "left"), [(0.5, 0), (1.5, 1), (13.5, 13), (14.5, None), (None, None)])
def test_a_consent_that_ends_within_two_weeks_is_told_before(days: float | None, left: int | None) -> None:
    until = None if days is None else NOW + timedelta(days=days)
    ending = consent("C", ACCOUNTS[0], "Kiran", "child", "stands", until=until)
    assert days_left(ending, NOW) == left
    found = needs([ACCOUNTS[0]], [], [], status(), [], [ending], NOW)
    assert [need.href for need in found] == ([] if left is None else ["/groups"])


def test_a_renewed_one_and_the_holders_own_are_no_news() -> None:
    ending = consent("C", ACCOUNTS[0], "Kiran", "child", "stands", until=NOW + timedelta(days=2))
    renewed = consent("D", ACCOUNTS[0], "Kiran", "child", "stands")
    own = consent("E", ACCOUNTS[0], "I", "self", "stands", until=NOW + timedelta(days=2))
    for records in ([ending, renewed], [own], [CONSENTS[2]]):
        assert needs([ACCOUNTS[0]], [], [], status(), [], records, NOW) == []


def test_what_waits_says_for_what() -> None:
    assert member(ACCOUNTS[3], "waiting", "Sign in to trade today.").detail in panel(drawn(), "G2")

"""An account that is only on its way is told so, calmly: the API's "error" is kept for what somebody has to look at."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.accounts.service import STARTING
from app.pages import words
from app.pages.attention import needs
from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS


def in_state(detail: str) -> Any:
    return ACCOUNTS[0].model_copy(update={"state": "error", "state_detail": detail, "locked": None, "kill_switch": False})


def shown(monkeypatch: pytest.MonkeyPatch, address: str, account: Any) -> str:
    monkeypatch.setattr(Sample, "accounts", lambda self: [account])
    monkeypatch.setattr(Sample, "account", lambda self, _: account)
    return create_preview().test_client().get(address).text.partition("<main")[2]


@pytest.mark.parametrize(("detail", "said"), [(STARTING, "starting …"), ("reconnecting", "connecting …")])
@pytest.mark.parametrize("address", ["/accounts", "/accounts/A1", "/", "/limits"])
def test_an_account_on_its_way_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str, detail: str, said: str) -> None:
    page = shown(monkeypatch, address, in_state(detail))
    assert f'<span class="badge info">{said}</span>' in page
    assert ">error<" not in page
    assert "Sign in at the broker" not in page
    assert ("every 2s" in page) is (address != "/"), "it looks again by itself until the account is there"


@pytest.mark.parametrize("address", ["/accounts", "/accounts/A1", "/"])
def test_what_went_wrong_is_still_an_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    page = shown(monkeypatch, address, in_state("the broker cannot be reached"))
    assert '<span class="badge bad" title="the broker cannot be reached">error</span>' in page


def test_only_what_went_wrong_needs_somebody() -> None:
    status = Sample().status()
    assert [need.text for need in needs([in_state(STARTING)], [], [], status, []) if ACCOUNTS[0].name in need.text] == []
    assert any("cannot be reached" in need.text for need in needs([in_state("the broker cannot be reached")], [], [], status, []))
    assert set(words.CONNECTING) == {STARTING, "reconnecting"}

"""The search for secrets finds them where they are and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import canaries


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "_secrets", [])
    monkeypatch.setattr(canaries, "_seen", {})


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("Authorization: token kEy123456789:aCCess98765432", True),
        ("https://api/?access_token=aCCess98765432&x=1", True),
        (b"\x00\x01aCCess98765432\xff", True),
        ("aCCess9876…", False),
        ("nothing", False),
    ],
)
def test_a_secret_is_found_in_what_was_seen(text: str | bytes, there: bool, tmp_path: Path) -> None:
    canaries.watch(["aCCess98765432", "1234"])
    canaries.saw(text)
    assert bool(canaries.found([])) is there
    (tmp_path / "log").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert (str(tmp_path / "log") in canaries.found(tmp_path.iterdir())) is there


def test_a_secret_that_comes_later_is_one_too() -> None:
    secrets: list[str] = []
    canaries.watch(secrets)
    secrets.append("laterSecret0001")
    canaries.saw("told: laterSecret0001.")
    assert canaries.found([])


def test_it_is_told_where_without_the_secret() -> None:
    canaries.watch(["aCCess98765432", "other111111111"])
    canaries.saw("GET /a?token=other111111111&access=aCCess98765432&x=1", "a log")
    assert canaries.found([]) == ["a log, after 'GET /a?token='", "a log, after 'GET /a?token=...&access='"]


def test_every_file_is_looked_through_and_one_that_is_gone_is_gone(tmp_path: Path) -> None:
    canaries.watch(["aCCess98765432"])
    deep = tmp_path / "data" / "logs" / "tandem.log"
    deep.parent.mkdir(parents=True)
    deep.write_text("token aCCess98765432")
    assert canaries.found([tmp_path / "gone", *canaries.files_under(tmp_path)]) == [str(deep)]
    assert list(canaries.files_under(tmp_path / "gone")) == []

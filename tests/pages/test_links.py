"""The People page says where links open on this machine only."""

from __future__ import annotations

import pytest

from tests.pages.preview import create_preview
from tests.pages.sample import Sample

ONLY = "open on this machine only"


def test_whoever_invites_reads_that_links_open_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    client = create_preview().test_client()
    assert ONLY in client.get("/people").text
    monkeypatch.setattr(Sample, "only_here", lambda _: "")
    assert ONLY not in client.get("/people").text

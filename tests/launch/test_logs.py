"""Law 12, the part of it that is about logs: secrets reach no log."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from app.launch.logs import _File, _Terminal, redact, redact_event


@pytest.mark.parametrize(
    ("written", "logged"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer …"),
        ("GET /session?api_key=kkk&request_id=7", "GET /session?api_key=…&request_id=7"),
        ('{"password": "hunter2", "user": "a"}', '{"password": "…", "user": "a"}'),
        ("{'pin': '1234'}", "{'pin': '…'}"),
        ("totp_secret=JBSWY3DP next", "totp_secret=… next"),
        ("access_token:xyz", "access_token:…"),
        ("bearer ABC", "bearer …"),
        ("order 12 of account A was filled at 1520.05", "order 12 of account A was filled at 1520.05"),
        ("url=https://api.telegram.org/bot7654321:AAE-x_y/sendMessage is late", "url=https://api.telegram.org/bot…/sendMessage is late"),
        ("https://discord.com/api/webhooks/123456/Tok-en_1?wait=true", "https://discord.com/api/webhooks/…?wait=true"),
        ("spinning=fast keystone=1", "spinning=fast keystone=1"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_the_text(written: str, logged: str) -> None:
    assert redact(written) == logged


def test_a_member_whose_name_says_secret_is_taken_out_whatever_it_holds() -> None:
    event = redact_event(None, "info", {"event": "signed in", "api_secret": "xyz", "Password": 12, "account": "A1"})
    assert event == {"event": "signed in", "api_secret": "…", "Password": "…", "account": "A1"}


def test_a_line_that_cannot_be_written_tells_nothing_of_the_error_it_was_about(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gone = io.StringIO()
    gone.close()
    for handler, kind in ((_Terminal(gone), "ValueError"), (_File(tmp_path / "no" / "such.log", delay=True), "FileNotFoundError")):
        try:
            raise RuntimeError("no way to canary-of-a-webhook")
        except RuntimeError:
            handler.handle(logging.makeLogRecord({"msg": "a sender failed"}))
        handler.close()
        assert capsys.readouterr().err == f"tandem: a log line could not be written: {kind}\n"

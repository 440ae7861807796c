"""People and tokens from the command line, with their exact answers to what goes wrong."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import run_strategy_system as launcher
from app.data import open_data
from app.launch.errors import CannotRun
from app.launch.people import run
from engines.ports import TandemError
from tests.support.server import Server, clean_environment, run_command

PASSWORD = "correct horse battery"


def add(data_dir: Path, email: str, *more: str, password: str = PASSWORD) -> tuple[int, str, str]:
    done = run_command("user", "add", email, "--password-stdin", *more, data_dir=data_dir, stdin=password)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting of this machine, as `run_command` has it."""
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def add_here(clean: pytest.MonkeyPatch, data_dir: Path, email: str, *more: str, password: str = PASSWORD) -> int:
    """The same in this process, up to the error that the launcher makes one line and exit 2 of."""
    clean.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(password.encode())))
    return run(launcher.parse(["user", "add", email, "--password-stdin", *more, "--data-dir", str(data_dir)]))


def test_the_first_person_is_the_owner_and_the_next_are_traders(
    data_dir: Path, clean: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert add(data_dir, "a@example.com") == (0, "added a@example.com (owner)\n", "")
    assert (add_here(clean, data_dir, "b@example.com"), *capfd.readouterr()) == (0, "added b@example.com (trader)\n", "")
    assert add_here(clean, data_dir, "c@example.com", "--role", "viewer") == 0
    assert capfd.readouterr() == ("added c@example.com (viewer)\n", "")


def test_a_new_password_is_set_where_nobody_can_sign_in_any_more(
    data_dir: Path, clean: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_here(clean, data_dir, "a@example.com")
    capfd.readouterr()
    with open_data(data_dir) as data:
        user = data.users.find("a@example.com")
        assert user is not None
        sign_in = data.sign_ins.begin(user.user_id, "127.0.0.1", "a browser")
    clean.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"an even longer password\n")))
    words = ["user", "password", "a@example.com", "--password-stdin", "--data-dir", str(data_dir)]
    assert run(launcher.parse(words)) == 0
    assert capfd.readouterr().out == "a@example.com has a new password; every browser is signed out\n"
    with open_data(data_dir) as data:
        assert data.users.verify("a@example.com", "an even longer password") is not None
        assert not data.sign_ins.alive(user.user_id, sign_in)
        assert data.users.session(user.user_id, user.session_epoch) is None


def test_only_the_newline_at_its_end_is_not_part_of_the_password(data_dir: Path) -> None:
    add(data_dir, "a@example.com", password=f" {PASSWORD} \n")
    with open_data(data_dir) as data:
        assert data.users.verify("a@example.com", f" {PASSWORD} ") is not None
        assert data.users.verify("a@example.com", PASSWORD) is None


def test_a_token_is_printed_once_alone(data_dir: Path) -> None:
    Server(data_dir, owner=("a@example.com", PASSWORD)).make_owner()
    done = run_command("token", "add", "a@example.com", "--name", "laptop", data_dir=data_dir)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    with open_data(data_dir) as data:
        user = data.tokens.authenticate(done.stdout.strip())
        assert user is not None
        assert user.email == "a@example.com"


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("a@example.com", PASSWORD, "taken"),
        ("not an address", PASSWORD, "email"),
        ("b@example.com", "short", "10 characters"),
        ("b@example.com", "", "10 characters"),
    ],
)
def test_who_cannot_be_added_is_told_why(
    data_dir: Path, email: str, password: str, words: str, clean: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Server(data_dir, owner=("a@example.com", PASSWORD)).make_owner()
    with pytest.raises((CannotRun, TandemError)) as told:
        add_here(clean, data_dir, email, password=password)
    assert words in str(told.value)
    assert not password or password not in str(told.value)
    assert capfd.readouterr() == ("", "")


def test_who_cannot_be_added_is_one_line_and_exit_2(data_dir: Path) -> None:
    Server(data_dir, owner=("a@example.com", PASSWORD)).make_owner()
    code, out, err = add(data_dir, "b@example.com", password="short")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "10 characters" in err
    assert "short" not in err


def test_a_token_for_nobody_is_one_line_and_exit_2(data_dir: Path) -> None:
    done = run_command("token", "add", "nobody@example.com", "--name", "x", data_dir=data_dir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "nobody@example.com" in done.stderr

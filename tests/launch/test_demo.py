"""The demo: five paper accounts that already trade, one sign-in that is printed, and hands off other people's folders."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from app.data import open_data
from app.launch.demo import ACCOUNTS, EMAIL, MAPPINGS, STRATEGIES
from tests.support.server import CLI, PATIENCE, Server, run_command


def sign_in(server: Server) -> tuple[str, str]:
    found = re.search(r"sign in as (\S+) with the password (\S+)", "\n".join(server.lines))
    assert found, server.lines
    return found[1], found[2]


@pytest.fixture
def demo(data_dir: Path) -> Iterator[Server]:
    """Running, with a token of its owner."""
    with Server(data_dir, command="demo") as made:
        with open_data(data_dir) as data:
            user = data.users.find(EMAIL)
            assert user is not None
            made.token = data.tokens.create(user.user_id, "tests", by=CLI)[1]
        yield made


def test_it_is_already_trading_on_five_different_accounts(demo: Server) -> None:
    accounts = demo.api.get("/api/accounts").json["items"]
    assert {account["name"] for account in accounts} == set(ACCOUNTS)
    assert {account["broker"] for account in accounts} == {"paper"}
    assert len({account["capital"] for account in accounts}) == 5
    assert all(account["state"] == "ready" and account["auto_trade"] for account in accounts)
    assert len(demo.api.get("/api/strategies").json["items"]) == len(STRATEGIES) == 4
    assert len(demo.api.get("/api/mappings").json["items"]) == len(MAPPINGS)
    assert len(demo.api.get("/api/combined").json["items"]) == 2
    assert [each["name"] for each in demo.api.get("/api/watchlists").json["items"]] == ["Morning"]

    until = time.monotonic() + PATIENCE
    while {position["account_id"] for position in demo.api.get("/api/positions").json["items"]} != {account["id"] for account in accounts}:
        assert time.monotonic() < until, "some account never traded"
    positions = demo.api.get("/api/positions").json["items"]
    assert all(position["exit_plan"] for position in positions)
    assert len({Decimal(position["quantity"]) for position in positions}) > 3, "sizes should differ between accounts"


def test_the_printed_sign_in_works_and_stays_the_same_after_a_restart(demo: Server) -> None:
    first = sign_in(demo)
    with open_data(demo.data_dir) as data:
        assert data.users.verify(*first) is not None
        assert data.users.count() == 1
    assert stat.S_IMODE((demo.data_dir / "demo-sign-in.txt").stat().st_mode) == 0o600
    before = len(demo.api.get("/api/signals?source=manual").json["items"])
    demo.lines.clear()
    assert demo.stop() == 0
    demo.restart()
    assert sign_in(demo) == first
    assert len(demo.api.get("/api/signals?source=manual").json["items"]) == before, "the first positions are opened once"


def test_a_folder_that_holds_a_workspace_is_left_alone(data_dir: Path) -> None:
    Server(data_dir).make_owner()
    done = run_command("demo", "--port", "0", "--no-browser", data_dir=data_dir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "not the demo" in done.stderr
    with open_data(data_dir) as data:
        assert data.accounts.list(None) == ()


def test_no_account_of_the_demo_has_more_than_all_of_itself_given_away() -> None:
    given = {name: sum(row[2] for row in MAPPINGS if row[0] == name) for name in ACCOUNTS}
    assert {name for name, total in given.items() if not 0 < total <= 100} == set()

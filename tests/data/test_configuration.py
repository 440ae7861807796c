"""Accounts, strategies and mappings: each person's own, never more given out than there is, nothing deleted that trades."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.data import Actor, Conflict, Data, DataError, Invalid, NotFound, open_data
from engines.core.model import (
    Account,
    AccountMapping,
    ExitSpec,
    Limits,
    OrderState,
    PaperSettings,
    Sizing,
    SizingMode,
    StrategyConfig,
    Timeframe,
    TrailingSpec,
)
from tests.data.making import CLI, NOON, D, Ledger, account, changed, cheap_user, order, planned, signal

FULL = {
    "limits": Limits(D("2500.50"), D("2.5"), D(9000), None, 0, 3, D(50_000), D(50), None, D(80), True),
    "paper": PaperSettings(20, D("0.5"), True, D(1), True, 7),
    "leverage": D("2.5"),
    "capital": D("100000.25"),
    "auto_trade": True,
    "dry_run": True,
}


@pytest.fixture
def owner(data: Data) -> str:
    return cheap_user(data)


@pytest.fixture
def other(data: Data) -> str:
    return cheap_user(data, "other@example.com")


def strategy(user_id: str, **fields: Any) -> StrategyConfig:
    made = StrategyConfig("", user_id, "EMA", "ema_cross", Timeframe.M5, ("NSE:INFY", "NSE:SBIN"), {"fast": 10, "slow": 30.5})
    return replace(made, **fields)


def test_an_account_comes_back_as_it_was_given(data: Data, owner: str) -> None:
    made = data.accounts.add(account(owner, **FULL), {}, by=CLI)
    assert replace(made.account, account_id="") == account(owner, **FULL)
    assert data.accounts.get(owner, made.account.account_id) == made
    assert data.accounts.list(owner) == (made,)
    assert data.directory.accounts() == [made.account]


def test_what_is_another_users_is_not_there(data: Data, owner: str, other: str) -> None:
    mine = data.accounts.add(account(owner), {}, by=CLI).account.account_id
    rule = data.strategies.add(strategy(owner), by=CLI).strategy.strategy_id
    pair = data.mappings.add(owner, AccountMapping("", mine, rule), by=CLI).mapping.mapping_id
    foreign: list[Callable[[], object]] = [
        lambda: data.accounts.get(other, mine),
        lambda: data.accounts.change(other, mine, lambda a: a, by=CLI),
        lambda: data.accounts.delete(other, mine, by=CLI),
        lambda: data.strategies.get(other, rule),
        lambda: data.strategies.change(other, rule, lambda s: s, by=CLI),
        lambda: data.strategies.delete(other, rule, by=CLI),
        lambda: data.mappings.get(other, pair),
        lambda: data.mappings.change(other, pair, lambda m: m, by=CLI),
        lambda: data.mappings.delete(other, pair, by=CLI),
        lambda: data.mappings.add(other, AccountMapping("", mine, rule), by=CLI),
        lambda: data.accounts.add(account("nobody"), {}, by=CLI),
        lambda: data.strategies.add(strategy("nobody"), by=CLI),
    ]
    for attempt in foreign:
        with pytest.raises(NotFound):
            attempt()
    assert data.accounts.list(other) == data.strategies.list(other) == data.mappings.list(other) == ()
    assert data.accounts.get(None, mine).account.user_id == owner


def test_credentials_leave_only_for_the_engines_and_are_shown_masked(data: Data, owner: str) -> None:
    secret = {"api_key": "abcdefghijklxyz", "api_secret": "short", "password": "a long password", "totp_secret": "JBSWY3DPEHPK3PXP"}
    made = data.accounts.add(account(owner, broker="zerodha"), secret, by=CLI)
    assert made.credentials == {"api_key": "abc…xyz", "api_secret": "•••", "password": "•••", "totp_secret": "•••"}
    assert data.directory.credentials(made.account.account_id) == secret
    later = data.accounts.change(
        owner, made.account.account_id, lambda a: a, credentials={"access_token": "tok-1234567890", "password": None}, by=CLI
    )
    assert later.credentials["access_token"] == "•••"
    assert data.directory.credentials(made.account.account_id) == {
        "api_key": "abcdefghijklxyz",
        "api_secret": "short",
        "totp_secret": "JBSWY3DPEHPK3PXP",
        "access_token": "tok-1234567890",
    }
    told = str(data.audit.list(None))
    assert "abcdefghijklxyz" not in told
    assert "tok-1234567890" not in told


def test_a_live_account_shares_its_name_with_no_other_of_its_user(data: Data, owner: str, other: str) -> None:
    first = data.accounts.add(account(owner, name="Main", broker="zerodha"), {}, by=CLI).account
    second = data.accounts.add(account(owner, name="Second"), {}, by=CLI).account
    for name in ("Main", "main ", "MAIN"):
        with pytest.raises(Invalid) as refused:
            data.accounts.add(account(owner, name=name), {}, by=CLI)
        assert list(refused.value.errors) == ["name"]
        with pytest.raises(Invalid):
            data.accounts.change(owner, second.account_id, lambda a, name=name: replace(a, name=name), by=CLI)  # type: ignore[misc]
    assert [row.account.name for row in data.accounts.list(owner)] == ["Main", "Second"]
    assert data.accounts.change(owner, first.account_id, lambda a: replace(a, name="MAIN"), by=CLI).account.name == "MAIN"
    assert data.accounts.add(account(other, name="Main"), {}, by=CLI).account.name == "Main"
    data.accounts.delete(owner, first.account_id, by=CLI)
    assert data.accounts.add(account(owner, name="Main"), {}, by=CLI).account.name == "Main"


def test_two_people_changing_one_account_do_not_overwrite_each_other(data: Data, owner: str) -> None:
    mine = data.accounts.add(account(owner, capital=D(0)), {}, by=CLI).account.account_id

    def deposit() -> None:
        for _ in range(10):
            data.accounts.change(owner, mine, lambda a: replace(a, capital=a.capital + 1), by=CLI)

    threads = [threading.Thread(target=deposit) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert data.accounts.get(owner, mine).account.capital == 50


def test_owner_broker_and_id_stay(data: Data, owner: str, other: str) -> None:
    mine = data.accounts.add(account(owner), {}, by=CLI).account
    edited = replace(mine, user_id=other, broker="zerodha", account_id="X", name="New name")
    assert data.accounts.change(owner, mine.account_id, lambda _: edited, by=CLI).account == replace(mine, name="New name")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": " "}, "name"),
        ({"broker": "robinhood"}, "broker"),
        ({"capital": D(-1)}, "capital"),
        ({"capital": D("NaN")}, "capital"),
        ({"leverage": D(0)}, "leverage"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(data: Data, owner: str, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        data.accounts.add(account(owner, **fields), {}, by=CLI)
    assert list(refused.value.errors) == [wrong]
    assert data.accounts.list(owner) == ()


def test_a_strategy_comes_back_as_it_was_given(data: Data, owner: str) -> None:
    given = strategy(owner, active=True, exit_plan=ExitSpec(stop_pct=D("1.5"), trailing=TrailingSpec("step", D(2), D(5))))
    made = data.strategies.add(given, by=CLI)
    assert replace(made.strategy, strategy_id="") == given
    later = data.strategies.change(owner, made.strategy.strategy_id, lambda s: replace(s, active=False, params={"fast": 5}), by=CLI)
    assert (later.strategy.active, later.strategy.params, later.strategy.exit_plan) == (False, {"fast": 5}, given.exit_plan)
    assert data.directory.strategies() == [later.strategy]
    for wrong in (strategy(owner, name=""), strategy(owner, instruments=())):
        with pytest.raises(Invalid):
            data.strategies.add(wrong, by=CLI)


@pytest.fixture
def pairing(data: Data, owner: str) -> Callable[[str], AccountMapping]:
    """Makes a strategy and the mapping of it to the one account, for this share of it."""
    mine = data.accounts.add(account(owner), {}, by=CLI).account.account_id

    def make(pct: str) -> AccountMapping:
        rule = data.strategies.add(strategy(owner), by=CLI).strategy.strategy_id
        return AccountMapping("", mine, rule, D(pct), Sizing(SizingMode.KELLY, D("0.5"), kelly_min_trades=5), D("2.5"), D("1.5"))

    return make


def test_a_mapping_comes_back_as_it_was_given(data: Data, owner: str, pairing: Callable[[str], AccountMapping]) -> None:
    given = pairing("33.3")
    made = data.mappings.add(owner, given, by=CLI)
    assert replace(made.mapping, mapping_id="") == given
    assert data.mappings.list(owner, account_id=given.account_id, strategy_id=given.strategy_id) == (made,)
    assert data.mappings.list(owner, account_id="other") == ()
    assert data.directory.mappings() == [made.mapping]
    with pytest.raises(Conflict):
        data.mappings.add(owner, replace(given, allocation_pct=D(1)), by=CLI)
    data.mappings.delete(owner, made.mapping.mapping_id, by=CLI)
    assert data.mappings.list(owner) == ()


def test_an_account_gives_out_a_hundred_percent_and_not_a_hundredth_more(
    data: Data, owner: str, pairing: Callable[[str], AccountMapping]
) -> None:
    first = data.mappings.add(owner, pairing("60"), by=CLI).mapping
    data.mappings.add(owner, replace(pairing("40"), enabled=False), by=CLI)
    with pytest.raises(Invalid, match="0 % is left"):
        data.mappings.add(owner, pairing("0.01"), by=CLI)
    with pytest.raises(Invalid, match="60 % is left"):
        data.mappings.change(owner, first.mapping_id, lambda m: replace(m, allocation_pct=D("60.01")), by=CLI)
    data.mappings.change(owner, first.mapping_id, lambda m: replace(m, allocation_pct=D("59.99")), by=CLI)
    data.mappings.add(owner, pairing("0.01"), by=CLI)
    assert _given_out(data, first.account_id) == 100


def test_many_at_once_cannot_give_out_more_than_the_whole(data: Data, owner: str, pairing: Callable[[str], AccountMapping]) -> None:
    wanted = [pairing("15") for _ in range(10)]
    outcomes: list[Decimal] = []

    def add(mapping: AccountMapping) -> None:
        try:
            outcomes.append(data.mappings.add(owner, mapping, by=CLI).mapping.allocation_pct)
        except Invalid:
            outcomes.append(D(0))

    threads = [threading.Thread(target=add, args=(mapping,)) for mapping in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes) == _given_out(data, wanted[0].account_id) == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [("allocation_pct", "0"), ("allocation_pct", "-5"), ("allocation_pct", "100.01"), ("risk_per_trade_pct", "-1"), ("multiplier", "0")],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    data: Data, owner: str, pairing: Callable[[str], AccountMapping], name: str, value: str
) -> None:
    with pytest.raises(Invalid) as refused:
        data.mappings.add(owner, replace(pairing("10"), **{name: D(value)}), by=CLI)
    assert list(refused.value.errors) == [name]


class Trading:
    """One account and one strategy, mapped, with signals of theirs."""

    def __init__(self, data: Data, owner: str) -> None:
        self.data, self.owner = data, owner
        self.account = data.accounts.add(account(owner), {"api_key": "abcdefghijklxyz"}, by=CLI).account.account_id
        self.strategy = data.strategies.add(strategy(owner), by=CLI).strategy.strategy_id
        data.mappings.add(owner, AccountMapping("", self.account, self.strategy), by=CLI)
        data.webhooks.create(owner, "alerts", strategy_id=self.strategy, by=CLI)

    def deletions(self) -> list[Callable[[], bool]]:
        return [
            lambda: self.data.accounts.delete(self.owner, self.account, by=CLI),
            lambda: self.data.strategies.delete(self.owner, self.strategy, by=CLI),
        ]

    def order(self, state: OrderState) -> None:
        wish = signal(self.owner, strategy_id=self.strategy)
        self.data.journal.append(changed(order(wish, self.account), state))


@pytest.fixture
def trading(data: Data, owner: str) -> Trading:
    return Trading(data, owner)


def test_what_never_traded_is_deleted_with_its_mappings(data: Data, trading: Trading) -> None:
    assert [delete() for delete in trading.deletions()] == [True, True]
    assert data.accounts.list(trading.owner, archived=True) == ()
    assert data.strategies.list(trading.owner, archived=True) == ()
    assert data.mappings.list(trading.owner) == ()
    assert data.webhooks.list(trading.owner) == ()


@pytest.mark.parametrize("state", [state for state in OrderState if replace(planned().orders[0], state=state).live])
def test_with_a_live_order_nothing_is_deleted(trading: Trading, state: OrderState) -> None:
    trading.order(state)
    for delete in trading.deletions():
        with pytest.raises(Conflict, match="live orders"):
            delete()


def test_with_an_open_position_nothing_is_deleted(data: Data, trading: Trading) -> None:
    wish = signal(trading.owner, strategy_id=trading.strategy)
    data.journal.append(Ledger().fill(order(wish, trading.account), 10, 100))
    for delete in trading.deletions():
        with pytest.raises(Conflict, match="open positions"):
            delete()


def test_with_history_it_is_archived_without_its_credentials(data: Data, trading: Trading) -> None:
    trading.order(OrderState.CANCELLED)
    assert [delete() for delete in trading.deletions()] == [False, False]
    assert data.accounts.list(trading.owner) == data.strategies.list(trading.owner) == data.mappings.list(trading.owner) == ()
    assert data.directory.accounts() == data.directory.strategies() == data.directory.mappings() == []
    (archived,) = data.accounts.list(trading.owner, archived=True)
    assert archived.archived_at is not None
    assert archived.credentials == {}
    assert data.directory.credentials(trading.account) == {}
    with pytest.raises(Conflict):
        data.accounts.change(trading.owner, trading.account, lambda a: a, by=CLI)
    with pytest.raises(Conflict):
        data.strategies.change(trading.owner, trading.strategy, lambda s: s, by=CLI)
    with pytest.raises(NotFound):
        data.mappings.add(trading.owner, AccountMapping("", trading.account, trading.strategy), by=CLI)
    assert data.books.orders(trading.owner).items[0].account_id == trading.account


def test_listeners_know_of_each_change_before_the_writer_goes_on(data: Data, owner: str) -> None:
    seen: list[list[str]] = []
    data.directory.on_change(lambda: 1 // 0)
    data.directory.on_change(lambda: seen.append([one.name for one in data.directory.accounts()]))
    mine = data.accounts.add(account(owner, name="One"), {}, by=CLI).account.account_id
    assert seen[-1] == ["One"]
    data.accounts.change(owner, mine, lambda a: replace(a, name="Two"), by=CLI)
    assert seen[-1] == ["Two"]
    data.accounts.delete(owner, mine, by=CLI)
    assert seen[-1] == []


def test_every_change_is_in_the_audit_log_with_what_differed(data: Data, owner: str) -> None:
    by = Actor(owner, "web", "127.0.0.1")
    mine = data.accounts.add(account(owner), {}, by=by).account.account_id
    data.accounts.change(owner, mine, lambda a: replace(a, name="Renamed", limits=Limits(max_daily_loss=D(500))), by=by)
    row, created = data.audit.list(owner).items
    assert (row.action, row.object_kind, row.object_id, row.user_id, row.via, row.ip) == (
        "account.changed",
        "account",
        mine,
        owner,
        "web",
        "127.0.0.1",
    )
    assert row.before is not None
    assert row.after is not None
    assert row.before["name"] == "Paper one"
    assert row.after["name"] == "Renamed"
    assert row.after["limits"]["max_daily_loss"] == "500"
    assert row.before.keys() == {"name", "limits"}
    assert created.before is None


def test_a_refused_change_leaves_no_trace(data: Data, owner: str) -> None:
    mine = data.accounts.add(account(owner), {}, by=CLI).account.account_id
    before = data.audit.list(None)

    def edit(_: Account) -> Account:
        raise Invalid.field("capital", "no")

    with pytest.raises(Invalid):
        data.accounts.change(owner, mine, edit, by=CLI)
    assert data.audit.list(None) == before


def test_credentials_under_another_key_are_an_error_not_rubbish(folder: Path) -> None:
    with open_data(folder) as data:
        mine = data.accounts.add(account(cheap_user(data)), {"api_key": "abcdefghijklxyz"}, by=CLI).account.account_id
        data.journal.run(lambda db: db.execute("UPDATE accounts SET credentials = ?", (b"gAAAAA-not-ours",)))
        with pytest.raises(DataError, match="another key"):
            data.directory.credentials(mine)


def test_a_moment_of_creation_and_of_change_is_kept(data: Data, owner: str) -> None:
    made = data.accounts.add(account(owner), {}, by=CLI)
    later = data.accounts.change(owner, made.account.account_id, lambda a: a, by=CLI)
    assert NOON < made.created_at == made.updated_at == later.created_at <= later.updated_at


def _given_out(data: Data, account_id: str) -> Decimal:
    return sum((row.mapping.allocation_pct for row in data.mappings.list(None, account_id=account_id)), D(0))

"""The credentials of an account, as a person deals with them: shown once after the password, and tried thing by thing at the broker.

A value leaves only through `reveal`, and not before the log says that it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.api.accounts.schemas import CheckedOut, RevealIn, RevealOut, VerifiedOut
from app.api.accounts.service import verify, view_of
from app.auth import guard_password
from app.data import Actor, Conflict, DataError, User
from app.logins import is_our_address
from app.problems import Problem
from app.workspace import ListState, workspace
from engines import system
from engines.core.model import Account
from engines.execution.views import AccountView, BrokerAnswers
from engines.ports import TandemError

INDIAN = ("zerodha", "angelone")
NO_ADDRESSES = "works from any address"
NOT_CHECKED = "cannot be checked"


def reveal(user: User, account_id: str, body: RevealIn, by: Actor) -> RevealOut:
    """The clear values, for the person's own eyes; throttled as a sign-in is, and in the audit log before they are told."""
    shop = workspace()
    account = shop.owners.account(user, account_id)
    if not guard_password(user, lambda: shop.data.users.check_password(user.user_id, body.password)):
        raise Problem(403, "That is not your password.", errors={"password": ["is wrong"]})
    try:
        shown = shop.data.directory.credentials(account_id)
    except DataError:
        raise Problem(409, "They were encrypted with a key that is gone: enter them again.") from None
    shop.data.audit.add_now(by, "account.credentials_shown", "account", account.account_id, after={"names": sorted(shown)})
    return RevealOut(credentials=dict(shown))


def verified(user: User, account_id: str, by: Actor) -> VerifiedOut:
    """Connects again, asks for each thing that a trading day needs, and says what works and what to do where it does not."""
    shop = workspace()
    account = shop.owners.account(user, account_id)
    shown = verify(user, account_id)
    view = view_of(account_id)
    answers = BrokerAnswers()
    if view is not None and view.connected:
        try:
            answers = shop.system.inspect(account_id)
        except (Conflict, system.Conflict, TandemError) as error:
            answers.errors = dict.fromkeys(("balance", "orders", "positions", "profile"), str(error))
    status = shop.lists.status().lists if shop.lists is not None else ()
    asked = _Asked(account, view, answers, next((each for each in status if each.broker == account.broker), None))
    shop.data.audit.add(by, "account.verified", "account", account_id, after={"state": shown.state})
    return VerifiedOut(**dict(shown), checks=list(_checks(asked)))


@dataclass(frozen=True, slots=True)
class _Asked:
    account: Account
    view: AccountView | None
    answers: BrokerAnswers
    instruments: ListState | None
    paper: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "paper", self.account.broker == "paper")

    @property
    def connected(self) -> bool:
        return self.view is not None and self.view.connected

    @property
    def warnings(self) -> str:
        return " ".join(self.answers.profile.warnings) if self.answers.profile else ""


def _checks(asked: _Asked) -> Iterator[CheckedOut]:
    yield _signed_in(asked)
    yield _balance(asked)
    yield _order_book(asked)
    yield _market_data(asked)
    yield _may_trade(asked)
    if not asked.paper:
        yield _withdrawals(asked)
        yield _address(asked)
        yield _instruments(asked)


def _line(name: str, ok: bool | None, says: str, remedy: str = "") -> CheckedOut:
    return CheckedOut(name=name, ok=ok, says=says, remedy=remedy)


def _unasked(name: str) -> CheckedOut:
    return _line(name, None, "not asked: the account is not signed in")


def _failed(name: str, asked: _Asked, *needed: str) -> CheckedOut | None:
    errors = asked.answers.errors
    said = next((errors[one] for one in needed if one in errors), None)
    return None if said is None else _line(name, False, said, "Verify again in a minute; if it stays, look at the broker's status page.")


def _signed_in(asked: _Asked) -> CheckedOut:
    account, view = asked.account, asked.view
    if asked.connected:
        who = asked.answers.profile.user_id if asked.answers.profile else ""
        return _line("signed_in", True, "the paper exchange is open" if asked.paper else f"signed in{f' as {_ends(who)}' if who else ''}")
    says = view.state_detail if view is not None else "not connected"
    if not account.enabled:
        return _line("signed_in", False, "the account is switched off", "Switch it on, then verify again.")
    if view is not None and view.state == "needs_login" and account.broker == "zerodha":
        return _line("signed_in", False, says, "Press Log in. If that fails: check API key, API secret and user id.")
    return _line("signed_in", False, says, _to_get_in(view.state if view is not None else "", says))


def _to_get_in(state: str, says: str) -> str:
    """What a person does about a sign-in that does not come about."""
    if state == "needs_login":
        return "Put that right at the broker, or enter the keys again; then verify again."
    if state == "error" and not says.startswith("cannot be connected"):
        return (
            "Tandem tries again by itself, at least twice a minute. If it stays: see that this machine is on the internet,"
            " and look at the broker's status page."
        )
    return "Enter the keys again, then verify again."


def _ends(who: str) -> str:
    return f"{who[:1]}…{who[-2:]}" if len(who) > 3 else "…"


def _balance(asked: _Asked) -> CheckedOut:
    if not asked.connected:
        return _unasked("balance")
    found = asked.answers.balance
    if found is None:
        return _failed("balance", asked, "balance") or _line("balance", None, "not asked")
    note = "" if found.available > 0 else "There is no money to trade with: add funds."
    return _line("balance", True, f"{found.available:,.2f} {found.currency} free of {found.equity:,.2f}", note)


def _order_book(asked: _Asked) -> CheckedOut:
    if not asked.connected:
        return _unasked("order_book")
    orders, positions = asked.answers.orders, asked.answers.positions
    if orders is None or positions is None:
        return _failed("order_book", asked, "orders", "positions") or _line("order_book", None, "not asked")
    return _line("order_book", True, f"{_count(len(orders), 'order')} of today, {_count(len(positions), 'position')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _market_data(asked: _Asked) -> CheckedOut:
    if asked.paper:
        return _line("market_data", True, "the workspace's prices")
    if not asked.connected:
        return _unasked("market_data")
    if asked.account.broker not in INDIAN:
        return _line("market_data", True, "public: needs no key")
    if asked.answers.streams:
        return _line("market_data", True, "through this account's own sign-in")
    return _line("market_data", False, "there is no key for the price stream", "Log in again; at Zerodha the app needs the Connect plan.")


def _may_trade(asked: _Asked) -> CheckedOut:
    if not asked.connected:
        return _unasked("may_trade")
    account, profile = asked.account, asked.answers.profile
    if profile is None and not asked.paper:
        return _failed("may_trade", asked, "profile") or _line("may_trade", None, "not asked")
    where = ", ".join((*profile.exchanges, *profile.products)) if profile else ""
    says = where or "the key may trade"
    if account.dry_run:
        return _line("may_trade", True, says, "Dry-run is on: every check runs, nothing is sent.")
    return _line("may_trade", True, says)


def _withdrawals(asked: _Asked) -> CheckedOut:
    if asked.account.broker in INDIAN:
        return _line("withdrawals", True, "this broker's interface cannot move money away")
    if NOT_CHECKED in asked.warnings:
        return _line("withdrawals", None, "a test account: what its key may do cannot be checked")
    if asked.connected:
        return _line("withdrawals", True, "the key can neither withdraw nor transfer")
    refused = asked.view.state_detail if asked.view is not None else ""
    if "withdraw" in refused or "transfer" in refused:
        return _line("withdrawals", False, refused, "Switch it off at the broker, then verify again.")
    return _unasked("withdrawals")


def _address(asked: _Asked) -> CheckedOut:
    source = asked.account.source_address
    if source is not None and not is_our_address(source):
        return _line("address", False, f"{source} is not an address of this machine: no call can leave", "Correct the source address.")
    leaves = f"calls leave from {source}" if source else "calls leave from whatever address this machine chooses"
    if asked.account.broker in INDIAN:
        place = "developer console" if asked.account.broker == "zerodha" else "SmartAPI profile"
        return _line(
            "address", None, f"{leaves}; the broker tells only when an order comes", f"See that it is the one registered in the {place}."
        )
    if not asked.connected:
        return _unasked("address")
    if NO_ADDRESSES in asked.warnings:
        return _line(
            "address", False, f"the key works from any address; {leaves}", "Limit the key to this machine's address at the broker."
        )
    if NOT_CHECKED in asked.warnings:
        return _line("address", None, f"a test account; {leaves}")
    return _line("address", True, f"the key is limited to listed addresses; {leaves}")


def _instruments(asked: _Asked) -> CheckedOut:
    found = asked.instruments
    if found is None or not (found.listed or found.problem):
        return _line("instruments", None, "the list has not been fetched yet", "Look at Health in a minute.")
    if found.problem and not found.listed:
        return _line("instruments", False, found.problem, "Try again on the Health page.")
    if found.stale:
        return _line("instruments", None, f"{found.listed:,} instruments, but not of today", "Renew the list on the Health page.")
    return _line("instruments", True, f"{found.listed:,} instruments, of today")

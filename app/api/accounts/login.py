"""Log-in at the broker as people and programs ask for it: where to go, what came back, the automated one, and what to say when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.api.accounts.schemas import AutoLoginIn, AutoLoginOut, LoginOut
from app.api.accounts.service import get_account, verify
from app.data import Actor, Conflict, NotFound, User
from app.logins import BadState
from app.workspace import workspace
from engines.core.model import Account
from engines.login.automatic import Busy
from engines.login.memory import MOST_FAILURES
from engines.login.reasons import LoginFailed, Reason
from engines.ports import JournalDown, NeedsLogin, Refused, TandemError

ZERODHA = "zerodha"


class LoginProblem(Exception):
    """A log-in that did not come to its end: what to tell, and the account to go back to where it is known."""

    def __init__(self, status: int, title: str, text: str, account_id: str | None = None) -> None:
        super().__init__(text)
        self.status, self.title, self.text, self.account_id = status, title, text, account_id


@dataclass(frozen=True, slots=True)
class SignedIn:
    account: Account
    broker_user_id: str


def login(user: User, account_id: str, by: Actor) -> LoginOut:
    """Tries what is stored (keys, a session, a pasted token); where that is not enough, the page where a person signs in."""
    shop = workspace()
    account = shop.owners.account(user, account_id)
    shop.data.audit.add(by, "account.login_asked", "account", account_id)
    if account.broker == ZERODHA and not _something_to_try(account_id):
        return LoginOut(login_url=shop.logins.begin(user.user_id, account_id))
    shown = verify(user, account_id)
    if account.broker == ZERODHA and shown.state == "needs_login":
        return LoginOut(login_url=shop.logins.begin(user.user_id, account_id))
    return LoginOut(state=shown.state, state_detail=shown.state_detail)


def _something_to_try(account_id: str) -> bool:
    data = workspace().data
    return bool(data.directory.credentials(account_id).get("access_token")) or data.sessions.load(account_id) is not None


def begin(user: User, account_id: str) -> str:
    """Where a person signs in at Zerodha. Raises LoginProblem."""
    shop = workspace()
    account = shop.owners.account(user, account_id)
    if account.broker != ZERODHA:
        raise LoginProblem(409, "Nothing to do in a browser", "This account signs in with its keys. Press Verify on its page.", account_id)
    if not account.enabled:
        raise LoginProblem(409, "The account is switched off", "Switch it on first.", account_id)
    return shop.logins.begin(user.user_id, account_id)


def finish(user: User, args: Mapping[str, str], by: Actor) -> SignedIn:
    """What the broker's page led back with. Raises LoginProblem; then nothing was kept."""
    shop = workspace()
    state = args.get("state", "")
    if not state:
        raise LoginProblem(400, "This log-in did not begin here", "Open the account and press Log in: it has to begin on this machine.")
    try:
        account_id = shop.logins.check(user.user_id, state)
        account = shop.owners.account(user, account_id)
    except BadState as error:
        raise LoginProblem(400, "This log-in cannot be used", f"{error} Open the account and press Log in again.") from None
    except NotFound:
        raise LoginProblem(404, "The account is gone", "It was deleted while the log-in was under way. Nothing was kept.") from None
    if args.get("status") != "success" or not args.get("request_token"):
        text = (
            "Zerodha did not say that the log-in went well: it was cancelled, or the app is not allowed for this user. Nothing was changed."
        )
        raise LoginProblem(400, "The log-in was not completed", text, account_id)
    try:
        session = shop.logins.finish(account_id, args["request_token"])
    except JournalDown:
        raise LoginProblem(
            503, "The session could not be stored", "The database cannot be written now. Log in again later.", account_id
        ) from None
    except TandemError as error:
        raise _why(account, error) from None
    shop.data.audit.add(by, "account.signed_in", "account", account_id)
    return SignedIn(account, session.user_id)


def _why(account: Account, error: TandemError) -> LoginProblem:
    key = account.account_id
    match error:
        case LoginFailed() if error.reason is Reason.WRONG_USER:
            text = (
                "Somebody else than this account's user signed in at Zerodha. Log out at kite.zerodha.com, then log in again as the account's own"
                " user, or correct the user id of the account. Nothing was kept."
            )
            return LoginProblem(403, "Another user was signed in", text, key)
        case NeedsLogin() | Refused():
            text = f"{error}. A log-in is good once and for a few minutes: log in again. If it fails again, check the API key and secret of the account."
            return LoginProblem(409, "Zerodha did not accept the log-in", text.replace("..", "."), key)
        case _:
            return LoginProblem(502, "Zerodha could not be asked", f"{error}. Nothing was kept: log in again.".replace("..", "."), key)


def auto_login(user: User, account_id: str, body: AutoLoginIn, by: Actor) -> AutoLoginOut:
    """The automated log-in, now; a failure is told in the answer. After two failures only `again` goes on: somebody has looked."""
    shop = workspace()
    account = shop.owners.account(user, account_id)
    if account.broker != ZERODHA:
        raise Conflict("Only Zerodha accounts log in through a browser; this one signs in with its keys.")
    if not account.auto_login:
        raise Conflict("The automated log-in is off for this account. Switch it on first.")
    told = shop.data.auto_logins.get(account_id)
    if told.stopped:
        if not body.again:
            raise Conflict(f"It has stopped after {told.failures} failures. {told.message} Then try again, saying so.")
        shop.data.auto_logins.forgive(account_id)
    shop.data.audit.add(by, "account.auto_login_asked", "account", account_id)
    try:
        done = shop.logins.attempt(account_id)
    except Busy as error:
        raise Conflict(str(error)) from None
    shown = get_account(user, account_id)
    said = done.message or "Signed in."
    return AutoLoginOut(
        signed_in=not done.failures,
        reason=done.reason or None,
        message=said,
        failures=min(done.failures, MOST_FAILURES),
        state=shown.state,
        state_detail=shown.state_detail,
    )

"""What people are told about each broker: the fields of its form, how long a session lasts, and what has to be true before real money moves.

Only words and their order; whether something may be done is decided by the services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.pages import format as fmt

SOON = 1800.0

FIELDS: Mapping[str, tuple[str, str]] = {
    "api_key": ("API key", ""),
    "api_secret": ("API secret", ""),
    "user_id": ("User id", "whose log-in is accepted; without it, whoever logs in first"),
    "password": ("Password", "only for the automated log-in"),
    "totp_secret": ("TOTP secret", "the text behind the QR code, not a six-digit code"),
    "access_token": ("Access token", "of today, if you have one: it skips the log-in"),
    "client_code": ("Client code", ""),
    "pin": ("PIN", ""),
}

SMALL_PRINT = {
    "paper": "simulated, no broker needed",
    "zerodha": "Kite Connect, a log-in each day",
    "angelone": "SmartAPI, signs in by itself",
    "binance_spot": "API key, or testnet",
    "binance_usdm": "API key, or testnet",
}

FORM_HELP = {
    "zerodha": "Make an app at developers.kite.trade (Connect plan) and register {base}/zerodha/callback as its redirect address. One app serves one client.",
    "angelone": "Make an app at smartapi.angelone.in and turn on TOTP there. The API key, your client code, its PIN and the TOTP secret sign in each morning.",
    "binance_spot": "Make a key with reading and spot trading allowed, withdrawals off, and this machine's address on its list. A key that can withdraw is refused."
    " Capital and limits of this account are in USDT.",
    "binance_usdm": "Make a key with reading and futures allowed, withdrawals off, and this machine's address on its list. A key that can withdraw is refused."
    " Capital and limits of this account are in USDT.",
}

SOURCE_HELP = {
    "zerodha": "The address that you registered in the developer console. Empty: this machine's own choice.",
    "angelone": "The address that you registered for the SmartAPI app. Empty: this machine's own choice.",
    "binance_spot": "The address on the key's list. Empty: this machine's own choice.",
    "binance_usdm": "The address on the key's list. Empty: this machine's own choice.",
}

AUTO_LOGIN_RISK = (
    "A browser on this machine will type your password and a TOTP code into the broker's page at 08:15 on trading days. Indian rules ask for a log-in"
    " by a person each day, and the broker does not recommend automating it; the page may change or ask for a captcha. Both factors then lie on this"
    " machine, encrypted: whoever owns it owns the account. It stops after two failures."
)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the going-live list. `done` None: nobody can check it here, a person has to know it."""

    done: bool | None
    title: str
    text: str


def session_words(account: Any, now: float) -> tuple[str, str]:
    """(words, tone) of the broker's session; both empty when there is none to speak of."""
    ends = fmt.moment(account.session_expires_at)
    if ends is None:
        return "", ""
    left = ends.timestamp() - now
    if left <= 0:
        return "session has ended", "bad"
    hours, minutes = divmod(int(left // 60), 60)
    return f"session ends in {f'{hours} h {minutes} min' if hours else f'{minutes} min'}", "warn" if left < SOON else ""


def going_live(account: Any) -> list[Step]:
    """What stands between this account and real orders, in the order in which one does it."""
    signed = f"Signed in{f' as {account.broker_user_id}' if account.broker_user_id else ''}."
    return [
        Step(
            account.state not in ("needs_login", "error", "disabled"),
            "The broker knows the keys",
            signed if account.connected else account.state_detail,
        ),
        *_duties(account),
        Step(not account.dry_run, "Dry-run is off", "While it is on, every check runs and each order is recorded, but nothing is sent."),
    ]


def _duties(account: Any) -> list[Step]:
    leaves = (
        f"Orders of this account leave from {account.source_address}."
        if account.source_address
        else ("Orders of this account leave from whatever address this machine chooses; set a source address if it has several.")
    )
    if account.broker in ("zerodha", "angelone"):
        place = "developer console" if account.broker == "zerodha" else "SmartAPI profile"
        return [
            Step(
                None,
                "This machine's address is registered",
                f"{leaves} The broker takes orders only from the static address in its {place}; it can be changed once a week.",
            ),
            Step(
                None,
                "Only family shares the address",
                "One registered address may serve yourself, your spouse, dependent children and dependent parents. Anybody else needs a machine of their own.",
            ),
            _daily(account),
        ]
    return [
        Step(
            None,
            "The key is tied to this machine",
            f"{leaves} A key without an address list stops working after a while, and works for whoever finds it.",
        ),
        Step(None, "The key cannot withdraw", "A key that can withdraw is refused when the account connects."),
    ]


def _daily(account: Any) -> Step:
    if account.broker == "angelone":
        return Step(None, "A log-in each day", "Sessions end at midnight. The account signs in again by itself with PIN and TOTP.")
    if account.auto_login:
        return Step(
            True, "A log-in each day", "Sessions end at 06:00. The automated log-in is on; when it fails you are told and log in by hand."
        )
    return Step(
        None, "A log-in each day", "Sessions end at 06:00. Press Log in before the market opens; without it nothing is traded that day."
    )

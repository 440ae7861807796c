"""What needs a person, worst first: the answer to the fourth question of the first screen.

Pure: it reads what the services said and gives lines with a link to where the matter is settled. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pages import words
from app.pages.chrome import FEED_SILENT_MS

WARN_PCT = Decimal(80)
CONSENT_DAYS = 14  # before it runs out a consent should be renewed
LANE = "lane "  # what the name of a lane's engine begins with; the account's id follows
BROKEN = ("needs_login", "error")
SIGN_IN = ("needs_login", "login_failed")
_WHERE = {"combined_left": "/limits"}
_ORDER = {"bad": 0, "warn": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Need:
    tone: str  # bad | warn | info
    icon: str
    text: str
    href: str
    label: str
    since: Any = None


def needs(
    accounts: Sequence[Any],
    strategies: Sequence[Any],
    mappings: Sequence[Any],
    status: Any,
    incidents: Sequence[Any],
    consents: Sequence[Any] = (),
    now: datetime | None = None,
    destinations: Sequence[Any] = (),
) -> list[Need]:
    """`consents` are looked at when `now` is said."""
    found = [
        *_machine(status, accounts),
        *_accounts(accounts, strategies, mappings, incidents),
        *_strategies(strategies, mappings),
        *_incidents(incidents, accounts),
        *_destinations(destinations),
        *(_consents(consents, accounts, now) if now is not None else ()),
    ]
    return sorted(found, key=lambda need: _ORDER[need.tone])


def _machine(status: Any, accounts: Sequence[Any]) -> list[Need]:
    names = {account.id: account.name for account in accounts}
    told = {account.id for account in accounts if account.state in BROKEN}  # each is a line of its own below
    found = [
        Need("bad", "octagon-fill", f"Halted{f': {halt.reason}' if halt.reason else ''}", f"/halts/{halt.halt_id}", "Report", halt.since)
        for halt in status.halts
        if halt.lifted_at is None
    ]
    if not status.on and not found:
        found.append(Need("warn", "pause-circle", "The engines are off: no entries are sent", "/health", "Start"))
    if status.feed.last_tick_age_ms is None or status.feed.last_tick_age_ms > FEED_SILENT_MS:
        found.append(Need("bad", "wifi-off", "The market feed is silent: entries are denied until prices are fresh", "/health", "Health"))
    for name, engine in status.engines.items():
        if engine.state == "dead" or (engine.state == "restarting" and name.removeprefix(LANE) not in told):
            lane = names.get(name.removeprefix(LANE), "") if name.startswith(LANE) else ""
            what = f"The lane of {lane}" if lane else f"“{words.engine(name)}”"
            found.append(Need("bad", "heartbreak", f"{what} is {engine.state}", "/health", "Health"))
    return found


def _accounts(accounts: Sequence[Any], strategies: Sequence[Any], mappings: Sequence[Any], incidents: Sequence[Any]) -> list[Need]:
    failed = {incident.account_id: incident.message for incident in incidents if incident.until is None and incident.kind == "login_failed"}
    active = {strategy.id for strategy in strategies if strategy.active}
    trading = {mapping.account_id for mapping in mappings if mapping.enabled and mapping.strategy_id in active}
    found = []
    for account in accounts:
        href = f"/accounts/{account.id}"
        if account.state == "needs_login":
            text = f"{account.name} needs a sign-in at {words.broker(account.broker)}"
            if account.id in failed:
                text += f": {_without(account.name, failed[account.id])}"
            found.append(Need("warn", "key", text, href, "Sign in"))
        elif account.state == "error" and not words.connecting(account):
            found.append(Need("bad", "exclamation-triangle", _named(account.name, account.state_detail or "error"), href, "Look"))
        if account.kill_switch:
            found.append(
                Need(
                    "warn",
                    "power",
                    f"Kill switch of {account.name} is on{f': {account.kill_reason}' if account.kill_reason else ''}",
                    href,
                    "Look",
                )
            )
        if account.locked:
            found.append(
                Need(
                    "bad",
                    "lock",
                    f"{account.name} is closed for the day: {words.REASONS.get(account.locked, words.reason(account.locked))}",
                    href,
                    "Look",
                )
            )
        elif account.day_loss_used_pct is not None and account.day_loss_used_pct >= WARN_PCT:
            found.append(
                Need("warn", "speedometer2", f"{account.name} has used {account.day_loss_used_pct:.0f} % of its loss limit", href, "Look")
            )
        if account.id in trading and account.enabled and not account.auto_trade:
            found.append(
                Need("info", "toggle-off", f"Auto-trade is off on {account.name}: its strategies do not trade there", href, "Switch on")
            )
    return found


def _strategies(strategies: Sequence[Any], mappings: Sequence[Any]) -> list[Need]:
    mapped = {mapping.strategy_id for mapping in mappings if mapping.enabled}
    found = []
    for strategy in strategies:
        href = f"/strategies/{strategy.id}"
        if not strategy.owned and strategy.id not in mapped:
            continue  # another's, to look at
        if strategy.state == "quarantined":
            found.append(Need("bad", "bug", f"{strategy.name} was stopped: {strategy.state_detail}", href, "Look"))
        elif strategy.active and strategy.id not in mapped and not strategy.shares:
            found.append(
                Need(
                    "info", "diagram-3", f"{strategy.name} runs but no account is mapped to it", f"/mappings?strategy={strategy.id}", "Map"
                )
            )
    return found


def _incidents(incidents: Sequence[Any], accounts: Sequence[Any]) -> list[Need]:
    names = {account.id: account.name for account in accounts}
    tones = {"critical": "bad", "warning": "warn"}
    own = {"limit_warning", "limit_reached", "feed_silent", "thread_died", "thread_stuck", *SIGN_IN}  # said above from the present state
    return [
        Need(
            tones.get(incident.severity, "info"),
            "exclamation-circle",
            _named(names[incident.account_id], incident.message) if incident.account_id else incident.message,
            f"/accounts/{incident.account_id}" if incident.account_id else _WHERE.get(incident.kind, "/health"),
            "Look",
            incident.since,
        )
        for incident in incidents
        if incident.until is None and incident.kind not in own and (not incident.account_id or incident.account_id in names)
    ]


def _destinations(destinations: Sequence[Any]) -> list[Need]:
    """Where somebody wants to be told and is not."""
    return [
        Need("warn", "bell", f"{place.name} takes no messages: {place.detail}", "/settings/messages", "Look")
        for place in destinations
        if place.enabled and place.state == "refused"
    ]


def days_left(consent: Any, now: datetime) -> int | None:
    """Whole days until a consent that stands runs out, when that is soon."""
    if consent.state != "stands" or consent.until is None:
        return None
    days = max((consent.until - now).days, 0)
    return days if days < CONSENT_DAYS else None


def _consents(consents: Sequence[Any], accounts: Sequence[Any], now: datetime) -> list[Need]:
    """Accounts that strategies would have to leave soon, because no other record stands longer."""
    found = []
    for account in accounts:
        own = [each for each in consents if each.account_id == account.id]
        standing = [each for each in own if each.state == "stands"]
        if (
            not account.auto_trade
            or not standing
            or all(each.relation == "self" for each in own)
            or any(days_left(each, now) is None for each in standing)
        ):
            continue
        last = max(standing, key=lambda each: each.until)
        days = days_left(last, now) or 0
        when = "today" if not days else f"in {days} day{'' if days == 1 else 's'}"
        text = f"The consent of {last.holder} for {account.name} ends {when}: auto-trade will go off there"
        found.append(Need("warn", "journal-text", text, "/groups", "Renew"))
    return found


def _named(name: str, text: str) -> str:
    """With the account's name in front, once."""
    return text if name in text else f"{name}: {text}"


def _without(name: str, text: str) -> str:
    return text.removeprefix(f"{name}: ")

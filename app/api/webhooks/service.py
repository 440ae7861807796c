"""Webhooks: addresses whose secret is the right to send signals for one strategy or for fixed accounts, and what arrives at them.

An alert counts once: late ones and repeats are refused, so that a charting service that sends again never trades again.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import request
from pydantic import model_validator

from app.api.pages import keep, page_of
from app.api.signals.schemas import SignalAnswer, WaitMs, Wish
from app.api.signals.service import answer, log_signal, owned_accounts, send
from app.api.webhooks import alerts
from app.api.webhooks.schemas import CreatedWebhook, WebhookIn, WebhookOut, WebhookQuery
from app.api.wire import Flag, Page, When, moment, moment_or_none
from app.data import Actor, Conflict, NotFound, User, UserRole, Webhook
from app.problems import Problem, field_problem, wrong
from app.workspace import workspace
from engines.core.model import OrderType, Source

MOST_AGE = 60.0
_ALL = WebhookQuery()


def list_webhooks(user: User, query: WebhookQuery = _ALL) -> Page[WebhookOut]:
    shown = [webhook_out(row) for row in workspace().data.webhooks.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda w: (w.created_at, w.id))


def create_webhook(user: User, body: WebhookIn, by: Actor) -> CreatedWebhook:
    shop = workspace()
    if body.strategy_id is not None:
        shop.owners.strategy(user, body.strategy_id)
    accounts = owned_accounts(user, body.account_ids)
    row, secret = shop.data.webhooks.create(user.user_id, body.name, strategy_id=body.strategy_id, account_ids=accounts, by=by)
    root = shop.settings.public_url or request.host_url.rstrip("/")
    return CreatedWebhook(**dict(webhook_out(row)), url=f"{root}/api/webhooks/{secret}", secret=secret)


def delete_webhook(user: User, webhook_id: str, by: Actor) -> None:
    workspace().data.webhooks.delete(user.user_id, webhook_id, by=by)


# --- alerts --------------------------------------------------------------------------------------------------------


class Alert(Wish):
    """What an alert may say. Where it goes is settled by the webhook; it may name the same strategy, or some of the same accounts."""

    order_type: OrderType = OrderType.MARKET
    wait_ms: WaitMs = 0
    time: When | None = None
    reduce_only: Flag = False

    @model_validator(mode="after")
    def one_audience(self) -> Alert:
        if self.strategy_id is not None and self.account_ids is not None:
            raise wrong("account_ids", "give either strategy_id or account_ids")
        return self


def receive(secret: str, data: bytes, mimetype: str) -> tuple[SignalAnswer, int]:
    """202 or 200 as for a signal by hand. Problems: 404 unknown secret, 403 a viewer's, 409 repeated, 422 late or not understood."""
    shop = workspace()
    hook = shop.data.webhooks.find(secret)
    if hook is None:
        raise NotFound("There is no such webhook.")
    user = shop.data.users.get(hook.user_id)
    if not user.active:
        raise NotFound("There is no such webhook.")
    if user.role is UserRole.VIEWER:
        raise Problem(403, "Viewers can look but not change anything.")
    fields = alerts.read(data, mimetype)
    alert = Alert.model_validate(fields)
    _check_time(alert.time)
    strategy_id, accounts = _audience(hook, user, alert)
    signal_id = alert.signal_id or _name(hook, user, alert, fields)
    outcome = send(
        user, alert, Source.WEBHOOK, strategy_id, accounts, signal_id, alert.wait_ms, note=hook.name, reduce_only=alert.reduce_only
    )
    if outcome.duplicate:
        raise Conflict("This alert was received before; nothing was sent.")
    log_signal(alert, outcome, Actor(user.user_id, "webhook", request.remote_addr))
    return answer(outcome), 200 if alert.wait_ms > 0 and outcome.settled else 202


def _check_time(at: float | None) -> None:
    if at is None:
        return
    age = workspace().clock.now() - at
    if age > MOST_AGE:
        raise field_problem("time", f"the alert is {age:.0f} s old; more than {MOST_AGE:.0f} s is too late to trade on")
    if age < -MOST_AGE:
        raise field_problem("time", "is in the future: check the clocks")


def _audience(hook: Webhook, user: User, alert: Alert) -> tuple[str | None, tuple[str, ...]]:
    if alert.strategy_id is not None and alert.strategy_id != hook.strategy_id:
        raise NotFound("The webhook is not for this strategy.")
    named = tuple(dict.fromkeys(alert.account_ids or ()))
    if any(account_id not in hook.account_ids for account_id in named):
        raise NotFound("The webhook is not for all of these accounts.")
    if hook.strategy_id is not None:
        workspace().owners.strategy(user, hook.strategy_id)
        return hook.strategy_id, ()
    return None, owned_accounts(user, named or hook.account_ids)


def _name(hook: Webhook, user: User, alert: Alert, fields: dict[str, Any]) -> str:
    """A signal id made of what the alert says. With a time of its own an alert counts once for ever, without one once in one to two minutes:
    the same words may well be meant again tomorrow."""
    words = f"{hook.webhook_id}\n{alerts.fingerprint(fields)}"
    if alert.time is not None:
        return _digest(words)
    slot = int(workspace().clock.now() // MOST_AGE)
    try:
        workspace().data.books.signal(user.user_id, _digest(f"{words}\n{slot - 1}"))
    except NotFound:
        return _digest(f"{words}\n{slot}")
    raise Conflict("This alert was received before; nothing was sent.")


def _digest(text: str) -> str:
    return f"wh-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def webhook_out(row: Webhook) -> WebhookOut:
    return WebhookOut(
        id=row.webhook_id,
        name=row.name,
        strategy_id=row.strategy_id,
        account_ids=list(row.account_ids),
        created_at=moment(row.created_at),
        last_used_at=moment_or_none(row.last_used_at),
    )

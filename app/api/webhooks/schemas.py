"""Webhooks on the wire: addresses that turn alerts into signals. The secret is shown once, when it is made."""

from __future__ import annotations

from pydantic import model_validator

from app.api.signals.schemas import AccountIds
from app.api.wire import Body, Id, Moment, Name, Out, PageQuery
from app.problems import wrong


class WebhookIn(Body):
    name: Name
    strategy_id: Id | None = None
    account_ids: AccountIds | None = None

    @model_validator(mode="after")
    def one_audience(self) -> WebhookIn:
        if (self.strategy_id is None) == (self.account_ids is None):
            raise wrong("account_ids", "give either strategy_id or account_ids")
        return self


class WebhookQuery(PageQuery):
    id: str | None = None
    name: str | None = None
    strategy_id: str | None = None


class WebhookOut(Out):
    id: str
    name: str
    strategy_id: str | None
    account_ids: list[str]
    created_at: Moment
    last_used_at: Moment | None


class CreatedWebhook(WebhookOut):
    url: str
    secret: str

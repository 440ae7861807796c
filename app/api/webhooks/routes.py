"""Routes of webhooks, and the address where alerts arrive."""

from __future__ import annotations

from flask import Response, request

from app.api.endpoint import MOST_BYTES, Call, Operation, Routes, write
from app.api.signals.schemas import SignalAnswer
from app.api.webhooks import service
from app.api.webhooks.schemas import CreatedWebhook, WebhookIn, WebhookOut, WebhookQuery
from app.api.wire import Page
from app.problems import Problem

routes = Routes("webhooks")


@routes.get("/api/webhooks", query=WebhookQuery, out=Page[WebhookOut])
def index(call: Call) -> Page[WebhookOut]:
    """The caller's webhooks, without their secrets."""
    return service.list_webhooks(call.user, call.query)


@routes.post("/api/webhooks", body=WebhookIn, out=CreatedWebhook, status=201, sealed=True)
def create(call: Call) -> CreatedWebhook:
    """A new address for alerts; its secret is shown this once."""
    return service.create_webhook(call.user, call.body, call.by)


@routes.delete("/api/webhooks/{secret}")
def delete(call: Call, secret: str) -> None:
    """Takes a webhook away; here the last part of the address is the webhook's id."""
    service.delete_webhook(call.user, secret, call.by)


@routes.post("/api/webhooks/{secret}", body=service.Alert, out=SignalAnswer, status=202, also=(200,), public=True, errors=(403, 404, 409))
def alert(secret: str) -> Response:
    """An alert: the body of a signal, or TradingView's JSON or text.
    The secret is all the authority it needs. Alerts that are late (more than 60 s by their own time) or repeated are refused."""
    if (request.content_length or 0) > MOST_BYTES:
        raise Problem(413, "The request is larger than 1 MiB.")
    return write(_ALERT, service.receive(secret, request.get_data(cache=False), request.mimetype))


_ALERT: Operation = routes.operations[-1]

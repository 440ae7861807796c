"""Puts the resources together under /api: their routes, the OpenAPI document made from them, and the page that shows it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, render_template

from app.api import idempotency
from app.api.accounts.routes import routes as accounts
from app.api.audit.routes import routes as audit
from app.api.backtests.routes import routes as backtests
from app.api.calendar.routes import routes as calendar
from app.api.combined.routes import routes as combined
from app.api.consents.routes import routes as consents
from app.api.datasets.routes import routes as datasets
from app.api.destinations.routes import routes as destinations
from app.api.endpoint import JSON, Operation, Routes
from app.api.export.routes import routes as export
from app.api.groups.routes import routes as groups
from app.api.invites.routes import routes as invites
from app.api.look.routes import routes as look
from app.api.mappings.routes import routes as mappings
from app.api.market.routes import routes as market
from app.api.messages.routes import routes as messages
from app.api.messages.service import announce
from app.api.multi_account.routes import routes as multi_account
from app.api.openapi import document
from app.api.orders.routes import routes as orders
from app.api.people.routes import routes as people
from app.api.pnl.routes import routes as pnl
from app.api.positions.routes import routes as positions
from app.api.replays.routes import routes as replays
from app.api.security.routes import routes as security
from app.api.signals.routes import routes as signals
from app.api.strategies.routes import routes as strategies
from app.api.stream.present import present
from app.api.stream.pulse import Pulse
from app.api.stream.routes import PULSE
from app.api.stream.routes import routes as stream
from app.api.system.routes import routes as system
from app.api.timetable.routes import routes as timetable
from app.api.watchlists.routes import routes as watchlists
from app.api.webhooks.routes import routes as webhooks
from app.api.workspace.routes import routes as workspace
from app.workspace import Workspace
from config import VERSION

about = Routes("about")
RESOURCES = (
    system,
    accounts,
    strategies,
    mappings,
    groups,
    consents,
    combined,
    signals,
    webhooks,
    orders,
    positions,
    pnl,
    market,
    datasets,
    stream,
    people,
    invites,
    workspace,
    look,
    security,
    audit,
    export,
    replays,
    watchlists,
    backtests,
    calendar,
    timetable,
    multi_account,
    destinations,
    messages,
    about,
)


@about.get("/api/openapi.json", public=True)
def openapi() -> Response:
    """This document."""
    return Response(json.dumps(the_document()), mimetype=JSON)


@about.get("/api/docs", public=True, media="text/html")
def docs() -> Response:
    """This document, as a page."""
    return Response(render_template("api/docs.html", document=the_document()), mimetype="text/html")


def operations() -> list[Operation]:
    return [operation for resource in RESOURCES for operation in resource.operations]


_made: list[dict[str, Any]] = []


def the_document() -> dict[str, Any]:
    """Made when it is first asked for: most runs never need it."""
    if not _made:
        _made.append(document(operations(), VERSION))
    return _made[0]


def init_app(app: Flask, shop: Workspace) -> None:
    blueprint = Blueprint("api", __name__)
    for resource in RESOURCES:
        resource.register(blueprint)
    app.register_blueprint(blueprint)
    idempotency.init_app(app)
    app.extensions[PULSE] = Pulse(shop)
    shop.live.present = partial(present, shop)
    shop.data.outbox.on_told(partial(announce, shop.live))

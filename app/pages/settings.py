"""Settings (own name, API tokens, webhooks, the log of what was changed)."""

from __future__ import annotations

from flask import Response

from app.pages.room import accounts, filters, names, older, page, reads, room, strategy_names

routes = room("settings")


@routes.get("/settings")
def index() -> Response:
    return page("settings.html")


@routes.get("/settings/tokens")
def tokens() -> Response:
    read = reads()
    return page(
        "tokens.html",
        tokens=read.tokens(),
        webhooks=read.webhooks(),
        strategies=read.own_strategies(),
        accounts=accounts(),
        names=names(),
        strategy_names=strategy_names(),
    )


@routes.get("/settings/log")
def log() -> Response:
    args = filters("action", "object_kind", "object_id")
    found = reads().audit(args)
    return page("log.html", rows=found, args=args, next_url=older(args, found.next))

"""Settings: own name, API tokens, webhooks."""

from __future__ import annotations

from flask import Response

from app.pages.room import accounts, names, page, reads, room, strategy_names

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

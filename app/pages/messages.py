"""Messages: what a person was told, where, and what came of it; and, in the settings, where they want to be told, of what, and when not."""

from __future__ import annotations

from flask import Response, abort, request
from flask_login import current_user

from app.pages.room import filters, form, older, page, reads, room

routes = room("messages")

KINDS = (("order", "Orders"), ("signal", "Signals"), ("day", "Days"), ("halt", "Stops"), ("test", "Tests"))
STATUSES = (("dead", "Not delivered"), ("pending", "On their way"), ("sent", "Delivered"), ("merged", "In a summary"))
CHANNELS = {"discord": "Discord", "telegram": "Telegram", "email": "E-mail"}
EVENTS = (
    ("summaries", "Signals", "what became of each signal on all accounts"),
    ("orders", "Orders", "each order that filled, was cancelled or expired"),
    ("rejections", "Rejections", "refused by the broker, or unknown"),
    ("day", "The day", "the result of the day, once, at its end"),
    ("limits", "Limits", "80 % and 100 % of a day limit, combined rules"),
    ("halts", "Stops", "stops, kill switches, lifts"),
    ("logins", "Log-ins", "an account has to be signed in again"),
    ("feed", "Prices", "no prices, and prices again"),
    ("differences", "Differences", "our books and the broker's differ"),
    ("trouble", "Trouble", "a strategy or a part of the machine failed"),
    ("people", "People", "shares, consents, sign-ins from somewhere new"),
)
URGENT = frozenset({"halts", "logins", "feed", "differences", "trouble", "rejections"})
ZONES = (
    "Asia/Kolkata",
    "Asia/Dubai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "UTC",
)
TONES = {"good": "ok", "bad": "bad", "warn": "warn", "info": "info", "muted": ""}
STATES = {"ok": ("ok", "ok"), "paused": ("paused", "warn"), "refused": ("refused", "bad"), "unconfirmed": ("to be confirmed", "warn")}


@routes.get("/messages")
def index() -> Response:
    read = reads()
    args = filters("kind", "status")
    found = read.messages(args)
    places = read.destinations()
    failed = read.messages({"status": "dead", "limit": "5"}).items if not args else []
    return page(
        "messages/list.html",
        messages=found,
        failed=failed,
        args=args,
        next_url=older(args, found.next),
        places=places,
        held={place.id for place in places if place.state == "refused" or not place.enabled},
        kinds=KINDS,
        statuses=STATUSES,
        tones=TONES,
        states=STATES,
    )


@routes.get("/settings/messages")
def places() -> Response:
    read = reads()
    return page(
        "messages/places.html",
        places=read.destinations(),
        channels=CHANNELS,
        events={code: name for code, name, _ in EVENTS},
        all_events=EVENTS,
        states=STATES,
        mail=read.workspace().mail,
    )


@routes.get("/settings/messages/new")
@form
def new() -> Response:
    channel = request.args.get("channel", "")
    if channel not in CHANNELS:
        abort(404)
    usual = [code for code, _, _ in EVENTS if channel != "email" or code != "orders"]
    return _form(None, channel, usual)


@routes.get("/settings/messages/<destination_id>/edit")
@form
def edit(destination_id: str) -> Response:
    place = reads().destination(destination_id)
    return _form(place, place.channel, place.events)


def _form(place: object, channel: str, wanted: list[str]) -> Response:
    return page(
        "messages/form.html",
        place=place,
        channel=channel,
        title=CHANNELS[channel],
        wanted=wanted,
        all_events=EVENTS,
        urgent=URGENT,
        zones=ZONES,
        own_address=current_user.email,
    )

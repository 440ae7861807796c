"""The glossary, the shortcuts and what each state and reason means."""

from __future__ import annotations

from flask import Response

from app.pages import words
from app.pages.room import page, room

routes = room("help")

GLOSSARY = (
    ("account", "One trading account at one broker, owned by one person, with its own credentials, capital, limits and switches."),
    ("strategy", "Rules with parameters. It reads candles and ticks and emits signals; it knows nothing of accounts."),
    ("mapping", "“This strategy trades on this account”: allocation, sizing, risk per trade, multiplier, on or off."),
    ("signal", "A wish to trade: instrument, side, kind of order, stop, targets. From a strategy, a person or a webhook."),
    ("intent", "One order that one account should send for one signal. It has its client id before it has anything else."),
    ("order", "An intent with its life at the broker. Denied means refused by Tandem, rejected means refused by the broker."),
    (
        "unknown",
        "Nobody can say yet whether the order exists at the broker. It is never sent again; the broker is asked until there is evidence.",
    ),
    ("fill", "A part of an order that traded: trade id, quantity, price, charges."),
    ("position", "What the fills of one account, instrument, product and strategy add up to. Never edited by hand."),
    ("exit plan", "The stop, targets and trailing that guard a position."),
    ("lane", "The one worker of an account. Every call to its broker goes through it, in order, exits first."),
    ("halt", "A latch that forbids orders that raise exposure. It stays, through restarts too, until a person lifts it."),
    ("session", "The trading day of a market. (What a person opens with a password is a sign-in.)"),
    ("paper", "A simulated exchange with bid and ask, charges, margin and rejects. A property of an account, never of the whole program."),
    ("dry-run", "All checks run and the order is recorded as denied; nothing is sent."),
    ("auto-trade", "Off: strategies and webhooks do not enter on this account; manual signals and every exit still go through."),
    ("kill switch", "Forbids entries on one account until it is switched off."),
)

STATES = (
    ("planned", "Checked and durable, waiting for its lane."),
    ("denied", "Refused by Tandem before anything was sent; the reason says why."),
    ("sending", "On its way to the broker."),
    ("unknown", "Sent, and the answer got lost: found out by evidence, never sent again."),
    ("open", "Working at the broker."),
    ("partly_filled", "A part has traded, the rest works on."),
    ("filled", "All of it has traded."),
    ("cancelled", "Taken back; what had traded before stays."),
    ("rejected", "Refused by the broker, in the broker's words."),
    ("expired", "Its day or validity ended."),
    ("not_placed", "It was unknown, and two complete readings of the broker's book show that it never arrived."),
)


@routes.get("/help")
def index() -> Response:
    return page("help.html", glossary=GLOSSARY, states=STATES, reasons=words.REASONS)

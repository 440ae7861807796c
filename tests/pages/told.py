"""Messages and destinations of the sample book: each channel and each thing that can become of a message."""

from __future__ import annotations

from typing import Any

from app.api.destinations.schemas import DestinationOut, QuietOut
from app.api.messages.schemas import DeliveryOut, MessageLineOut, MessageOut
from tests.pages.things import ago


def place(id: str, channel: str, name: str, address: dict[str, str], **more: Any) -> DestinationOut:
    fields: dict[str, Any] = {
        "events": ["summaries", "rejections", "halts"],
        "quiet": None,
        "enabled": True,
        "state": "ok",
        "detail": "",
        "not_before": None,
        "last_sent_at": ago(90),
        "created_at": ago(86_400),
        "updated_at": ago(3_600),
    }
    return DestinationOut(id=id, channel=channel, name=name, address=address, **(fields | more))


DESTINATIONS = [
    place("D1", "discord", "Desk <b>channel</b>", {"webhook": "discord.com #117/•••"}),
    place(
        "D2", "telegram", "My phone", {"bot": "123456789:•••", "chat": "-1001234567890"},
        quiet=QuietOut(start="22:00", end="07:00", zone="Asia/Kolkata", strict=False), events=["halts"],
        state="paused", detail="Telegram did not answer in time", not_before=ago(-300), last_sent_at=None,
    ),
    place("D3", "email", "Mail", {"to": "priya@example.com"}, state="refused", detail="The mailbox does not exist", events=[]),
    place("D4", "email", "Father", {"to": "father@example.com"}, state="unconfirmed", enabled=False, last_sent_at=None),
    place("D5", "discord", "Old", {"webhook": "discord.com #118/•••"}, enabled=False),
]  # fmt: skip


def way(id: str, place_id: str, status: str, **more: Any) -> DeliveryOut:
    at = next((each for each in DESTINATIONS if each.id == place_id), None)
    fields: dict[str, Any] = {"attempts": 1, "next_at": None, "error": "", "sent_at": ago(55) if status == "sent" else None}
    return DeliveryOut(
        id=id,
        destination_id=place_id,
        channel=at.channel if at else "",
        destination=at.name if at else "",
        status=status,
        **(fields | more),
    )


def told(id: str, title: str, tone: str, text: str = "", *ways: DeliveryOut, **more: Any) -> MessageOut:
    fields: dict[str, Any] = {
        "kind": "order", "event": "orders", "state": "told", "at": ago(60), "account_id": "A1", "footer": "order O1 · signal sig-1",
        "mode": "paper",
        "lines": [
            MessageLineOut(name="Account", value="Paper one (paper)", short=True),
            MessageLineOut(name="Quantity", value="50 of 50", short=True),
            MessageLineOut(name="Entry price", value="1,520.05", short=True),
            MessageLineOut(name="Reason", value="RMS: <i>margin</i> exceeds", short=False),
        ],
    }  # fmt: skip
    return MessageOut(id=id, title=title, tone=tone, text=text, deliveries=list(ways), **(fields | more))


MESSAGES = [
    told("9", "", "info", state="new", lines=[], footer="", mode=""),
    told("8", "BUY INFY · filled", "good", "", way("21", "D1", "sent"), way("22", "D2", "pending", next_at=ago(-300), error="no answer in time")),
    told("7", "INFY BUY · 5/7 filled", "warn", "5 filled, 1 rejected, 1 unknown", way("20", "D1", "sent"), kind="signal", event="summaries"),
    told("6", "BUY INFY · rejected", "bad", "The broker refused it.", way("19", "D3", "dead", error="The mailbox does not exist"), mode="live"),
    told("5", "BUY INFY · filled", "good", "", way("18", "D1", "merged"), way("17", "D9", "dead", error="the destination was removed")),
    told("4", "Stopped: the whole system", "bad", "No order that opens leaves.", way("16", "D1", "sending"), kind="halt", event="halts", mode=""),
]  # fmt: skip

"""`/healthz` and `/metrics`: is it alive, and the numbers that a Prometheus server collects.

No metric names a person or an account; counts of accounts and lanes are of the whole machine only for its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import Blueprint, Response

from app.api.endpoint import JSON
from app.api.system.scope import LANE, scoped, streams
from app.auth import NotSignedIn, identify
from app.data import UserRole, Waiting
from app.problems import Problem
from app.workspace import workspace
from engines.execution.views import SystemStatus

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return Response('{"status":"ok"}', mimetype=JSON)


@blueprint.get("/metrics")
def metrics() -> Response:
    try:
        user, _ = identify()
    except NotSignedIn:
        raise Problem(401, "Send a valid API token, or sign in.") from None
    shop = workspace()
    lines = list(_lines(scoped(shop, user, shop.system.status()), streams(shop, user)))
    if user.role is UserRole.OWNER:  # the outbox is the whole machine's
        lines += _messages(shop.data.outbox.stats())
    return Response("\n".join([*lines, ""]), content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines(now: SystemStatus, streams: int) -> Iterator[str]:
    lanes = [thread for name, thread in now.engines.items() if name.startswith(LANE)]
    threads = {name: thread for name, thread in now.engines.items() if not name.startswith(LANE)}
    yield from _family("tandem_up_seconds", "counter", "Seconds since the start", {"": now.uptime_s})
    yield from _family("tandem_engines_on", "gauge", "1 while the engines of the whole system are on", {"": int(now.on)})
    yield from _family("tandem_halts", "gauge", "Stops that hold", {"": len(now.halts)})
    yield from _family(
        "tandem_accounts",
        "gauge",
        "Accounts by state",
        {'{state="total"}': now.accounts_total, '{state="connected"}': now.accounts_connected, '{state="halted"}': now.accounts_halted},
    )
    yield from _family("tandem_feed_age_seconds", "gauge", "Since the newest tick", {"": (now.last_tick_age_ms or 0) / 1000})
    yield from _family(
        "tandem_thread_up", "gauge", "1 while the thread runs", {_label("thread", k): int(t.state == "running") for k, t in threads.items()}
    )
    yield from _family(
        "tandem_thread_heartbeat_seconds",
        "gauge",
        "Since the thread's last beat",
        {_label("thread", k): (t.heartbeat_age_ms or 0) / 1000 for k, t in threads.items()},
    )
    yield from _family(
        "tandem_queue_depth", "gauge", "Waiting in a thread's queue", {_label("thread", k): t.queue_depth for k, t in threads.items()}
    )
    yield from _family(
        "tandem_lanes",
        "gauge",
        "Lanes of accounts",
        {'{state="running"}': sum(t.state == "running" for t in lanes), '{state="all"}': len(lanes)},
    )
    yield from _family("tandem_lane_queue_depth", "gauge", "Waiting in all lanes together", {"": sum(t.queue_depth for t in lanes)})
    yield from _family("tandem_latency_ms", "gauge", "From the signal on", {_label("step", k): v for k, v in now.latency_ms.items()})
    yield from _family(
        "tandem_journal", "gauge", "The single writer of trading facts", {_label("name", k): v for k, v in now.journal.items()}
    )
    yield from _family(
        "tandem_events_total", "counter", "Things counted since the start", {_label("name", k): v for k, v in now.counters.items()}
    )
    yield from _family("tandem_streams", "gauge", "Open live streams", {"": streams})


def _messages(now: Waiting) -> Iterator[str]:
    counts = {"new": now.new, "pending": now.pending, "sending": now.sending, "dead": now.dead}
    yield from _family("tandem_messages", "gauge", "Messages and deliveries by state", {_label("state", k): v for k, v in counts.items()})
    yield from _family("tandem_messages_oldest_seconds", "gauge", "Since the oldest that waits was due", {"": now.oldest_age})


def _family(name: str, kind: str, about: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {about}."
    yield f"# TYPE {name} {kind}"
    for label, value in samples.items():
        yield f"{name}{label} {float(value):g}"


def _label(name: str, value: str) -> str:
    clean = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'{{{name}="{clean}"}}'

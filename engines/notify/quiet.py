"""When a message may be sent: quiet hours, and how long it is worth sending at all. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from engines.core.messages import URGENT, Event, Quiet
from engines.core.model import Timestamp

_HOUR = 3600.0
_LIVES = {Event.ORDERS: 6 * _HOUR, Event.SUMMARIES: 24 * _HOUR, Event.DAY: 24 * _HOUR}
_ALERT = 72 * _HOUR
_TEST = 0.25 * _HOUR


def not_before(event: Event | None, quiet: Quiet | None, now: Timestamp) -> Timestamp:
    """Now, or the end of the quiet hours that hold now. A test never waits, what is urgent only for `strict` ones."""
    if event is None or quiet is None or (event in URGENT and not quiet.strict):
        return now
    hours = quiet_now(quiet, now)
    return now if hours is None else hours[1]


def quiet_now(quiet: Quiet, now: Timestamp) -> tuple[Timestamp, Timestamp] | None:
    """Beginning and end of the quiet hours that hold now; None: none do."""
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(quiet.zone))
    for day in (-1, 0):  # those of yesterday may last into today
        date = local.date() + timedelta(days=day)
        # over midnight by the clock alone: in the hour that summer time skips the moments lie the other way round
        last = date + timedelta(days=quiet.end <= quiet.start)
        start, end = _moment(date.isoformat(), quiet.start, quiet.zone), _moment(last.isoformat(), quiet.end, quiet.zone)
        if start <= now < end:
            return start, end
    return None


def expires_at(event: Event | None, sent_from: Timestamp) -> Timestamp:
    """An order is worth telling for six hours, a summary for a day, an alert for three."""
    return sent_from + (_TEST if event is None else _LIVES.get(event, _ALERT))


def _moment(day: str, clock: str, zone: str) -> Timestamp:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)).timestamp()

"""The calendar as it is now, for whoever asks whether a market trades or an account may enter. Changes of it hold from the next question on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engines.core.model import Account, DayRules, Instrument, Timestamp
from engines.core.sessions import Calendar, CalendarDay, is_open, session_day, with_days
from engines.core.timetable import Segment, binds, entry_window, hours_of, keeps_hours, outside, segment_of

_Window = tuple[Timestamp, Timestamp] | None
_MOST = 4096


class TradingHours:
    """`own_hours`: kinds of broker that keep hours of their own (emulators). Any thread may ask."""

    def __init__(self, calendar: Calendar, own_hours: Collection[str] = ()) -> None:
        self._shipped = calendar
        self.calendar = calendar
        self.own_hours = frozenset(own_hours)
        self._windows: dict[tuple[DayRules, Segment | None, str, str], _Window] = {}

    def take(self, days: Sequence[CalendarDay]) -> bool:
        """What people have put over the calendar that ships; whether that changes anything."""
        changed = with_days(self._shipped, days)
        if changed == self.calendar:
            return False
        self.calendar, self._windows = changed, {}
        return True

    def is_open(self, instrument: Instrument, now: Timestamp) -> bool:
        return is_open(now, hours_of(instrument), self.calendar)

    def open_for(self, account: Account, instrument: Instrument, now: Timestamp) -> bool:
        """Whether an order of this account can trade: its market is open, or it keeps no hours."""
        return not keeps_hours(account, self.own_hours) or self.is_open(instrument, now)

    def binds(self, account: Account) -> bool:
        return binds(account, self.own_hours)

    def no_entry(self, account: Account, instrument: Instrument, now: Timestamp) -> str:
        """Why the account's own day allows no intraday entry at this moment; empty: it does. The same as `timetable.why_no_entry`, remembered by day."""
        if not self.binds(account):
            return ""
        segment = segment_of(instrument)
        if segment is None:
            return ""
        day = session_day(now, instrument.exchange)
        windows = self._windows
        key = (account.day_rules, segment, hours_of(instrument), day)
        if key not in windows:
            if len(windows) > _MOST:
                windows.clear()
            windows[key] = entry_window(account.day_rules, instrument, day, self.calendar)
        return outside(windows[key], instrument.exchange, now)

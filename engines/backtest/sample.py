"""A sample of market data for whoever has none yet: candles of the built-in simulated market, on the trading days of the exchange.

The same symbols, days and seed give the same file, byte for byte. It is a market to learn and test in; nothing about a real one follows from it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from engines.core.model import Instrument, Timeframe
from engines.core.sessions import DAY, IST, exchange_of, load_calendar
from engines.market.names import known_names
from engines.market.simulated import SimulatedMarket
from engines.ports import TandemError

MOST_CANDLES = 250_000
A_SESSION = 375 * 60
"""Seconds of an ordinary session."""
SYMBOLS = ("NSE:INFY", "NSE:RELIANCE", "NSE:HDFCBANK", "NSE:SBIN")
ENDS = date(2026, 6, 30)
"""The last day of a sample: fixed, so that a sample does not change from one day to the next."""


class BadSample(TandemError):
    """There is no such sample; the text says why."""


def instruments(symbols: Sequence[str]) -> tuple[Instrument, ...]:
    """What the sample's names are; BadSample for one that the simulated market does not have."""
    known = {name.instrument.symbol: name.instrument for name in known_names()}
    lacking = [symbol for symbol in symbols if symbol not in known]
    if lacking:
        raise BadSample(f"the simulated market has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    return tuple(known[symbol] for symbol in symbols)


def check(symbols: Sequence[str], timeframe: Timeframe, days: int) -> tuple[Instrument, ...]:
    """What the names are, when such a sample can be made; BadSample says why it cannot."""
    wanted = instruments(symbols)
    candles = (A_SESSION // timeframe.seconds or 1) * days * len(wanted)
    if candles > MOST_CANDLES:
        raise BadSample(
            f"{candles:,} candles are more than a sample may have ({MOST_CANDLES:,}): take fewer days or names, or longer candles"
        )
    return wanted


def trading_days(count: int, last: date = ENDS, exchange: str = "NSE") -> list[str]:
    """The `count` newest trading days up to `last`, oldest first, as ISO dates."""
    calendar, found, day = load_calendar(), list[str](), last
    while len(found) < count:
        if calendar.windows(day.isoformat(), exchange):
            found.append(day.isoformat())
        day -= timedelta(days=1)
    return found[::-1]


def make_sample(
    path: Path,
    *,
    symbols: Sequence[str] = SYMBOLS,
    timeframe: Timeframe = Timeframe.M5,
    days: int = 60,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> int:
    """Write the file (gzipped CSV) and return how many candles it holds. `progress`: from 0 to 1, may raise to end it; then nothing is left."""
    wanted = check(symbols, timeframe, days)
    sessions = trading_days(days)
    market = SimulatedMarket(seed, [name for name in known_names() if name.instrument in wanted])
    names = [instrument.symbol for instrument in wanted]
    rows, text = 0, io.StringIO()
    text.write("datetime,symbol,open,high,low,close,volume\n")
    for number, day in enumerate(sessions):
        progress(number / len(sessions))
        for at in _starts(day, timeframe):
            shown = (datetime.fromtimestamp(at, UTC) + timedelta(seconds=IST)).strftime("%Y-%m-%d %H:%M:%S")
            for bar in market.candles(names, at, timeframe.seconds):
                text.write(f"{shown},{bar.symbol},{bar.open!r},{bar.high!r},{bar.low!r},{bar.close!r},{bar.volume:.0f}\n")
                rows += 1
    made = path.with_name(f".{path.name}.part")
    try:
        made.write_bytes(gzip.compress(text.getvalue().encode(), 5, mtime=0))
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    return rows


def _starts(day: str, timeframe: Timeframe) -> list[int]:
    midnight = (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY - IST
    if timeframe is Timeframe.D1:
        return [midnight]
    return [
        midnight + second
        for start, end in load_calendar().windows(day, exchange_of("NSE:"))
        for second in range(start, end - min(timeframe.seconds, end - start) + 1, timeframe.seconds)
    ]

"""The instruments that every emulated Indian broker lists: shares, indices, futures and a strip of NIFTY options of the next two expiries.

Numbers of shares and indices are the exchange's real ones; those of derivatives are made up the way the exchange makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from engines.core.model import Instrument, Timestamp
from engines.core.sessions import IST

SHARES = (  # name, exchange token, company, price
    ("INFY", 1594, "INFOSYS", "1500.00"),
    ("SBIN", 3045, "STATE BANK OF INDIA", "820.50"),
    ("RELIANCE", 2885, "RELIANCE INDUSTRIES", "1395.20"),
    ("TCS", 11536, "TATA CONSULTANCY SERV LT", "3100.40"),
    ("HDFCBANK", 1333, "HDFC BANK", "950.10"),
    ("ICICIBANK", 4963, "ICICI BANK", "1402.00"),
    ("AXISBANK", 5900, "AXIS BANK", "1180.75"),
    ("ITC", 1660, "ITC", "412.30"),
    ("LT", 11483, "LARSEN & TOUBRO", "3610.00"),
    ("WIPRO", 3787, "WIPRO", "245.60"),
)
INDICES = (("NIFTY 50", 1001, "24400.00"), ("NIFTY BANK", 1002, "57500.00"))
FUTURES = (("NIFTY", "24400.00", 65, 1800, "0.1"), ("BANKNIFTY", "57500.00", 30, 600, "0.2"))
STRIKES = range(23900, 24901, 50)
TUESDAY = 1
TICK = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Listed:
    """One instrument, the exchange's number of it and where its price begins."""

    instrument: Instrument
    token: int
    company: str
    price: Decimal


def indian_market(now: Timestamp) -> list[Listed]:
    today = datetime.fromtimestamp(now + IST, UTC).date()
    rows = [Listed(_share(name), token, company, Decimal(price)) for name, token, company, price in SHARES]
    rows += [Listed(_index(name), token, name, Decimal(price)) for name, token, price in INDICES]
    token = 40_000
    for name, price, lot, freeze, tick in FUTURES:
        for months in (0, 1):
            expiry = monthly_expiry(today, months)
            rows.append(Listed(_future(name, expiry, lot, freeze, Decimal(tick)), token, name, Decimal(price) + 40 * (months + 1)))
            token += 1
    for expiry in option_expiries(today):
        for strike in STRIKES:
            for right in ("CE", "PE"):
                rows.append(Listed(_option(expiry, strike, right), token, "NIFTY", _premium(strike, right, (expiry - today).days)))
                token += 1
    return rows


def option_expiries(today: date) -> tuple[date, date]:
    """The next two Tuesdays, today's included."""
    first = today + timedelta(days=(TUESDAY - today.weekday()) % 7)
    return first, first + timedelta(days=7)


def monthly_expiry(today: date, months: int) -> date:
    """The last Tuesday of this month (of the next, once it has passed), or of a later one."""
    for ahead in range(14):
        first = date(today.year + (today.month - 1 + ahead) // 12, (today.month - 1 + ahead) % 12 + 1, 1)
        last = _last_tuesday(first)
        if last >= today:
            if months == 0:
                return last
            months -= 1
    raise AssertionError("more months asked for than a year has")


def _last_tuesday(day: date) -> date:
    end = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return end - timedelta(days=(end.weekday() - TUESDAY) % 7)


def derivative_name(name: str, expiry: date, rest: str) -> str:
    """Kite's spelling: NIFTY26AUG24350CE on a month's last expiry, NIFTY2690124350CE in other weeks."""
    if expiry == _last_tuesday(expiry):
        return f"{name}{expiry:%y}{expiry:%b}".upper() + rest
    return f"{name}{expiry:%y}{'0123456789OND'[expiry.month]}{expiry:%d}{rest}"


def _share(name: str) -> Instrument:
    return Instrument(f"NSE:{name}", name, "NSE", TICK)


def _index(name: str) -> Instrument:
    return Instrument(f"NSE:{name}", name, "NSE", TICK, segment="INDEX")


def _future(name: str, expiry: date, lot: int, freeze: int, tick: Decimal) -> Instrument:
    symbol = f"NFO:{name}{expiry:%y}{expiry:%b}FUT".upper()
    return Instrument(symbol, name, "NFO", tick, lot, freeze, "FUT", expiry.isoformat())


def _option(expiry: date, strike: int, right: str) -> Instrument:
    symbol = f"NFO:{derivative_name('NIFTY', expiry, f'{strike}{right}')}"
    # An option's price band is wide: a premium may double before lunch.
    return Instrument(symbol, "NIFTY", "NFO", TICK, 65, 1800, "OPT", expiry.isoformat(), Decimal(strike), right, band_pct=Decimal(100))


def _premium(strike: int, right: str, days: int) -> Decimal:
    away = 24400 - strike
    intrinsic = max(away if right == "CE" else -away, 0)
    waiting = max(150 + 8 * days - abs(away) // 4, 5)
    return Decimal(intrinsic + waiting)

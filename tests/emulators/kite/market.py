"""Kite's market data over REST: the instrument list as a compressed CSV, quotes, and candles that are made up but always the same."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from engines.core.sessions import IST
from tests.emulators.core.http import Answer, Call
from tests.emulators.core.listing import Listed
from tests.emulators.kite.shapes import ltp_row, number, ohlc_row, quote_row
from tests.emulators.kite.words import refuse, success, token_of

if TYPE_CHECKING:
    from tests.emulators.kite.emulator import KiteEmulator

HEADER = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange"
SPANS = {  # interval → (minutes, days allowed)
    "minute": (1, 60),
    "3minute": (3, 100),
    "5minute": (5, 100),
    "10minute": (10, 100),
    "15minute": (15, 200),
    "30minute": (30, 200),
    "60minute": (60, 400),
    "day": (1440, 2000),
}
SESSION_MINUTES = 375


class MarketDesk:
    def __init__(self, emulator: KiteEmulator, file: Path | None) -> None:
        self.emulator = emulator
        self.file = file
        self._lists: dict[str | None, bytes] = {}

    def routes(self) -> None:
        add = self.emulator.route
        add("GET", "/instruments", "instruments", self.instruments, quick=True)
        add("GET", "/instruments/{exchange}", "instruments", self.instruments, quick=True)
        add("GET", "/quote", "quote", self.quote)
        add("GET", "/quote/ohlc", "quote", self.quote)
        add("GET", "/quote/ltp", "quote", self.quote)
        add("GET", "/instruments/trigger_range/{side}", "quote", self.trigger_range)
        add("GET", "/instruments/historical/{token}/{interval}", "historical", self.historical)

    def instruments(self, call: Call) -> Answer:
        exchange = call.params.get("exchange")
        packed = self._lists.get(exchange)
        if packed is None:
            packed = self._lists[exchange] = gzip.compress(self._csv(exchange).encode(), 6, mtime=0)
        return Answer(packed, 200, "text/csv", {"Content-Encoding": "gzip"})

    def _csv(self, exchange: str | None) -> str:
        if self.file is not None:
            raw = self.file.read_bytes()
            text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
            if exchange is None:
                return text
            head, *lines = text.splitlines()
            return "\n".join([head, *(x for x in lines if x.endswith(f",{exchange}"))]) + "\n"
        out = io.StringIO()
        out.write(HEADER + "\n")
        write = csv.writer(out, lineterminator="\n").writerow
        for quote in self.emulator.exchange.quotes.values():
            if exchange is None or quote.instrument.exchange == exchange:
                write(_csv_row(quote.listed))
        return out.getvalue()

    def quote(self, call: Call) -> Answer:
        self.emulator.authorise(call)
        asked = [value for name, value in call.pairs if name == "i"]
        row, most = {"/quote": (quote_row, 500), "/quote/ohlc": (ohlc_row, 1000), "/quote/ltp": (ltp_row, 1000)}[call.path.rstrip("/")]
        if not asked or len(asked) > most:
            raise refuse("InputException", "Invalid `i`.")
        quotes, found = self.emulator.exchange.quotes, {}
        for key in asked:
            symbol = self.emulator.symbols.get(int(key), "") if key.isdecimal() else key
            if symbol in quotes:
                found[key] = row(quotes[symbol])
        return success(found)

    def trigger_range(self, call: Call) -> Answer:
        self.emulator.authorise(call)
        quotes, found = self.emulator.exchange.quotes, {}
        for name, key in call.pairs:
            if name == "i" and key in quotes:
                last = float(quotes[key].last)
                found[key] = {
                    "instrument_token": token_of(quotes[key].listed),
                    "lower": round(last * 0.97, 2),
                    "upper": round(last * 1.03, 2),
                }
        return success(found)

    def historical(self, call: Call) -> Answer:
        self.emulator.authorise(call)
        interval = call.params["interval"]
        symbol = self.emulator.symbols.get(int(call.params["token"])) if call.params["token"].isdecimal() else None
        if interval not in SPANS or symbol is None:
            raise refuse("InputException", "Invalid `interval`." if symbol else "Invalid `instrument_token`.")
        minutes, days = SPANS[interval]
        start, end = _moment(call.fields.get("from", "")), _moment(call.fields.get("to", ""))
        if end - start > timedelta(days=days):
            raise refuse("InputException", f"interval exceeds max limit: {days} days")
        oi = call.fields.get("oi") in ("1", "True", "true")
        return success({"candles": self._candles(symbol, start, end, minutes, oi)})

    def _candles(self, symbol: str, start: datetime, end: datetime, minutes: int, oi: bool) -> list[list[object]]:
        rows: list[list[object]] = []
        base = float(self.emulator.exchange.quotes[symbol].close)
        now = datetime.fromtimestamp(self.emulator.clock.now() + IST, UTC).replace(tzinfo=None)
        day = start.replace(hour=0, minute=0, second=0)
        while day <= min(end, now):
            if day.weekday() < 5:
                moments = [day] if minutes == 1440 else [day + timedelta(minutes=555 + x) for x in range(0, SESSION_MINUTES, minutes)]
                for at in moments:
                    if start <= at <= min(end, now) or (minutes == 1440 and at >= start.replace(hour=0, minute=0, second=0)):
                        rows.append(_candle(symbol, at, minutes, base, oi))
            day += timedelta(days=1)
        return rows


def _candle(symbol: str, at: datetime, minutes: int, base: float, oi: bool) -> list[object]:
    rng = Random(f"{symbol} {at} {minutes}")
    opened = base * (1 + rng.uniform(-0.01, 0.01))
    close = opened * (1 + rng.uniform(-0.002, 0.002))
    high, low = max(opened, close) * (1 + rng.uniform(0, 0.001)), min(opened, close) * (1 - rng.uniform(0, 0.001))
    row: list[object] = [
        at.strftime("%Y-%m-%dT%H:%M:%S+0530"),
        *(round(x * 20) / 20 for x in (opened, high, low, close)),
        rng.randint(100, 5000),
    ]
    return [*row, 0] if oi else row


def _moment(text: str) -> datetime:
    for shape in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, shape)  # noqa: DTZ007 naive IST, as Kite writes it
        except ValueError:
            continue
    raise refuse("InputException", "invalid from date")


def _csv_row(listed: Listed) -> list[object]:
    item = listed.instrument
    kind = {"FUT": "FUT", "OPT": item.option_type}.get(item.segment, "EQ")
    segment = {"INDEX": "INDICES", "FUT": f"{item.exchange}-FUT", "OPT": f"{item.exchange}-OPT"}.get(item.segment, item.exchange)
    tick = 0 if item.segment == "INDEX" else number(item.tick_size)
    lot = 0 if item.segment == "INDEX" else item.lot_size
    name = item.symbol.partition(":")[2]
    strike = float(item.strike or 0)
    return [token_of(listed), listed.token, name, listed.company, 0.0, item.expiry or "", strike, tick, lot, kind, segment, item.exchange]

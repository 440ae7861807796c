"""What all accounts of this process share at one Binance host: the symbols' rules, the clock's offset, known prices, and the weight that one address may use.

Shared because Binance counts by address and because a rule read once is true for everybody. It sends nothing itself, and keeps nothing of any account.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from weakref import WeakValueDictionary

from engines.brokers.binance.filters import Rules, rules_of
from engines.brokers.binance.rows import Market
from engines.ports import Clock, Retry

PAUSE_AT, LANE_PAUSE_AT = 0.8, 0.95
"""Shares of the published weight that the update worker's reads and the lane's may use up; orders and cancels go on until Binance itself says stop."""
WEIGHT_PER_MINUTE = {"spot": 6000, "usdm": 2400, "sapi": 12000}
BAN = 120.0
RULES_LAST = 3 * 3600.0
CLOCK_LASTS = 1200.0
PRICES_LAST = 300.0
_BEHIND_MS = 200
"""Our stamps lie a little in the past: Binance forgives lateness by seconds, and being early by only one."""


class Budget:
    """Request weight of one host family from one address. Thread-safe; it never waits, it says how long to."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._minute = 0
        self._used = 0
        self._banned_until = 0.0
        self._stops = 0

    @property
    def used(self) -> int:
        return self._used

    def ask(self, weight: int, now: float, *, urgent: bool, share: float = PAUSE_AT) -> None:
        """Raises Retry when this address must wait. `now` is wall time: Binance's minutes are the clock's. `urgent`: an order, a change or a cancel;
        everything else may use up `share` of the limit."""
        with self._lock:
            if now < self._banned_until:
                raise Retry(f"Binance has asked this address to wait another {self._banned_until - now:.0f} s", self._banned_until - now)
            self._turn(now)
            if not urgent and self._used + weight > self._limit * share:
                raise Retry("Binance's request limit for this address is nearly used up; reads wait for the next minute", 60 - now % 60)
            if not urgent:  # orders and cancels that succeed weigh nothing
                self._used += weight

    def allow(self, weight: int) -> None:
        """What Binance publishes as the limit, from exchangeInfo."""
        if weight > 0:
            self._limit = weight

    def told(self, used: int, now: float) -> None:
        """What Binance counts, from the answer's headers."""
        with self._lock:
            self._turn(now)
            self._used = max(self._used, used)

    def stop(self, seconds: float | None, banned: bool, now: float) -> float:
        """Binance has said so: nobody goes for that long. Where it named no time, a second and then twice as long each time; two minutes for a ban."""
        with self._lock:
            self._stops = self._stops + 1 if now - self._banned_until < 60 else 0
            pause = seconds or (BAN if banned else min(2.0**self._stops, 60.0))
            self._banned_until = max(self._banned_until, now + pause)
            return pause

    def _turn(self, now: float) -> None:
        if int(now // 60) != self._minute:
            self._minute, self._used = int(now // 60), 0


@dataclass(slots=True, weakref_slot=True)
class House:
    """One API root. Dictionaries are only ever added to or replaced entry by entry, so readers need no lock. `markets` holds ccxt's own description of a
    symbol under its unified name, `by_id` under Binance's: every account's ccxt looks into these two."""

    market: Market
    rules: dict[str, Rules] = field(default_factory=dict)
    markets: dict[str, Any] = field(default_factory=dict)
    by_id: dict[str, list[Any]] = field(default_factory=dict)
    read_at: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Lock = field(default_factory=threading.Lock)  # of the whole list
    _offset_ms: float = 0.0
    _offset_at: float | None = None
    _prices: dict[str, tuple[Decimal, float]] = field(default_factory=dict)

    # --- rules

    def stale(self, symbols: Iterable[str], now: float) -> list[str]:
        """Those whose rules were read too long ago, or never."""
        return [symbol for symbol in symbols if now - self.read_at.get(symbol, 0.0) >= RULES_LAST]

    def doubt(self, symbol: str) -> None:
        """Binance has refused what fitted these rules."""
        self.read_at.pop(symbol, None)

    def learn(self, rows: Iterable[Mapping[str, Any]], parse_market: Any, now: float) -> None:
        """Take over entries of exchangeInfo; `parse_market` is ccxt's. USD-M keeps perpetuals only."""
        for row in rows:
            if self.market == "usdm" and row.get("contractType") != "PERPETUAL":
                continue
            market = parse_market(row)
            with self.lock:
                self.markets[market["symbol"]] = market
                self.by_id[row["symbol"]] = [market]
                self.rules[row["symbol"]] = rules_of(row)
                self.read_at[row["symbol"]] = now

    # --- the clock

    def stamp_ms(self, clock: Clock) -> int:
        return int(clock.now() * 1000 + self._offset_ms) - _BEHIND_MS

    def clock_known(self, clock: Clock) -> bool:
        return self._offset_at is not None and 0 <= clock.monotonic() - self._offset_at < CLOCK_LASTS

    def set_clock(self, server_ms: int, sent: float, received: float, clock: Clock) -> None:
        """From one answer of /time and our wall time before and after it."""
        self._offset_ms = server_ms - (sent + received) / 2 * 1000
        self._offset_at = clock.monotonic()

    @property
    def offset_seconds(self) -> float:
        return self._offset_ms / 1000

    # --- prices, for fees and for what the coins are worth

    def price(self, symbol: str, now: float) -> Decimal | None:
        known = self._prices.get(symbol)
        return known[0] if known and now - known[1] < PRICES_LAST else None

    def learn_prices(self, prices: Mapping[str, Decimal], now: float) -> None:
        for symbol, price in prices.items():
            self._prices[symbol] = (price, now)


_lock = threading.Lock()
_houses: WeakValueDictionary[tuple[str, str], House] = WeakValueDictionary()
_budgets: WeakValueDictionary[tuple[str, str, str], Budget] = WeakValueDictionary()


def house_at(root: str, market: Market) -> House:
    with _lock:
        house = _houses.get((root, market))
        if house is None:
            house = _houses[root, market] = House(market)
        return house


def budget_at(root: str, family: str, source_address: str | None) -> Budget:
    """`family`: spot, usdm or sapi. Accounts that leave from different addresses have different budgets."""
    with _lock:
        key = (root, family, source_address or "")
        budget = _budgets.get(key)
        if budget is None:
            budget = _budgets[key] = Budget(WEIGHT_PER_MINUTE[family])
        return budget

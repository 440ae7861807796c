"""Binance's published limits: request weight by address (a minute, three host families) and new orders by account.

Going on after a 429 becomes a ban (418). The caller says the time; nothing here waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.emulators.binance.errors import Api, refusal

MINUTE = 60.0
WEIGHT_LIMITS = {"api": 6000, "fapi": 2400, "sapi": 12000}
ORDER_LIMITS = {
    "api": ((100, 10.0, "10 SECOND", "10S"), (200_000, 86_400.0, "1 DAY", "1D")),
    "fapi": ((300, 10.0, "10 SECOND", "10S"), (1200, 60.0, "1 MINUTE", "1M")),
}
PATIENCE = 5  # requests after a 429 until the address is banned
BAN = 120.0

# weight of one call; pairs: (with symbol, without)
WEIGHTS: dict[str, int | tuple[int, int]] = {
    "GET /api/v3/exchangeInfo": 20,
    "GET /api/v3/account": 20,
    "GET /api/v3/order": 4,
    "GET /api/v3/openOrders": (6, 80),
    "GET /api/v3/allOrders": 20,
    "GET /api/v3/myTrades": 20,
    "GET /api/v3/ticker/price": (2, 4),
    "GET /api/v3/ticker/bookTicker": (2, 4),
    "GET /api/v3/avgPrice": 2,
    "GET /api/v3/account/commission": 20,
    "GET /api/v3/rateLimit/order": 40,
    "GET /api/v3/klines": 2,
    "GET /fapi/v1/openOrders": (1, 40),
    "GET /fapi/v1/openAlgoOrders": (1, 40),
    "GET /fapi/v1/allOrders": 5,
    "GET /fapi/v1/allAlgoOrders": 5,
    "GET /fapi/v1/userTrades": 5,
    "GET /fapi/v2/balance": 5,
    "GET /fapi/v2/account": 5,
    "GET /fapi/v2/positionRisk": 5,
    "GET /fapi/v3/balance": 5,
    "GET /fapi/v3/account": 5,
    "GET /fapi/v3/positionRisk": 5,
    "GET /fapi/v1/accountConfig": 5,
    "GET /fapi/v1/symbolConfig": 5,
    "GET /fapi/v1/positionSide/dual": 30,
    "GET /fapi/v1/multiAssetsMargin": 30,
    "GET /fapi/v1/commissionRate": 20,
    "GET /fapi/v1/klines": 5,
    "GET /fapi/v1/ticker/price": (1, 2),
    "GET /fapi/v1/ticker/bookTicker": (2, 5),
    "POST /fapi/v1/order": 0,
    "POST /fapi/v1/algoOrder": 0,
    "POST /fapi/v1/batchOrders": 5,
}
FREE_WHEN_DONE = frozenset({"POST /api/v3/order", "DELETE /api/v3/order", "DELETE /api/v3/openOrders"})
"""Spot order calls weigh nothing when they succeed, and keep their weight when they fail."""


def family(path: str) -> str:
    return path.split("/", 2)[1]


def weight_of(method: str, path: str, *, with_symbol: bool) -> int:
    weight = WEIGHTS.get(f"{method} {path}", 1)
    if isinstance(weight, tuple):
        return weight[0] if with_symbol else weight[1]
    return weight


@dataclass(slots=True)
class Weights:
    """Counters of one server. `enforced` False: they count and are told in the headers, but refuse nobody."""

    enforced: bool
    _minutes: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _orders: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _warned: dict[str, int] = field(default_factory=dict)
    _banned: dict[str, float] = field(default_factory=dict)

    def used(self, address: str, group: str, now: float) -> int:
        minute, used = self._minutes.get((address, group), (0, 0))
        return used if minute == int(now // MINUTE) else 0

    def spend(self, address: str, group: str, weight: int, now: float) -> None:
        """Raises 429, or 418 for an address that went on regardless."""
        if self.enforced and now < self._banned.get(address, 0.0):
            raise self._ban(address)
        used = self.used(address, group, now) + weight
        self._minutes[(address, group)] = (int(now // MINUTE), used)
        limit = WEIGHT_LIMITS.get(group, 6000)
        if not self.enforced or used <= limit:
            return
        self._warned[address] = self._warned.get(address, 0) + 1
        if self._warned[address] > PATIENCE:
            self._warned[address] = 0
            self._banned[address] = now + BAN
            raise self._ban(address)
        refused = refusal(-1003, limit=limit)
        refused.headers["Retry-After"] = str(int(MINUTE - now % MINUTE) + 1)
        raise refused

    def give_back(self, address: str, group: str, weight: int, now: float) -> None:
        minute, used = self._minutes.get((address, group), (0, 0))
        if minute == int(now // MINUTE):
            self._minutes[(address, group)] = (minute, max(0, used - weight))

    def order(self, account: str, group: str, now: float) -> None:
        """Counts a new order; raises -1015 when the account has placed too many."""
        placed = self._orders.setdefault((account, group), deque())
        while placed and placed[0] <= now - 86_400.0:
            placed.popleft()
        if self.enforced:
            for limit, seconds, interval, _ in ORDER_LIMITS[group]:
                if sum(1 for at in placed if at > now - seconds) >= limit:
                    raise refusal(-1015, limit=limit, interval=interval)
        placed.append(now)

    def filled(self, account: str, group: str) -> None:
        """An order that traded no longer counts (spot)."""
        placed = self._orders.get((account, group))
        if placed:
            placed.pop()

    def headers(self, address: str, group: str, account: str | None, now: float) -> dict[str, str]:
        told = {"X-MBX-USED-WEIGHT-1M": str(self.used(address, group, now))}
        if account is not None and group in ORDER_LIMITS:
            placed = self._orders.get((account, group), ())
            for _, seconds, _, suffix in ORDER_LIMITS[group]:
                told[f"X-MBX-ORDER-COUNT-{suffix}"] = str(sum(1 for at in placed if at > now - seconds))
        return told

    def _ban(self, address: str) -> Api:
        until = self._banned[address]
        text = (
            f"Way too much request weight used; IP banned until {int(until * 1000)}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        refused = refusal(-1003, text, status=418)
        refused.headers["Retry-After"] = str(int(BAN))
        return refused

"""What every broker adapter is made with: the clock, stored sessions, the instruments master, where its broker lives and how long it waits.

Plain data and ports only; an adapter keeps no other way to the outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engines.core.model import Order
from engines.ports import Clock, Master, Sessions


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `connect` and `read` are for one call; `poll` between order-book reads while pushes are down and orders are open; `safety_poll`
    while pushes work; `silent_after`: a socket that says nothing for so long is replaced."""

    connect: float = 3.0
    read: float = 7.0
    poll: float = 1.2
    safety_poll: float = 20.0
    silent_after: float = 5.0


@dataclass(frozen=True, slots=True)
class BrokerTools:
    clock: Clock
    sessions: Sessions
    master: Master
    rng: random.Random = field(default_factory=random.Random)
    timing: Timing = Timing()
    paced: bool = True
    """Whether the brokers' published limits on reads are kept; off only where a test asks an emulator faster than any person would."""
    orders: Callable[[str], Sequence[Order]] = lambda _account_id: ()
    """An account's live orders as we have them. A broker whose order book is asked order by order (Binance) learns from it, after a restart, whom to ask
    for; may be called from any thread."""


@dataclass(frozen=True, slots=True)
class KiteEndpoints:
    api_root: str = "https://api.kite.trade"
    login_root: str = "https://kite.zerodha.com"
    ws_root: str = "wss://ws.kite.trade"


@dataclass(frozen=True, slots=True)
class SmartApiEndpoints:
    root: str = "https://apiconnect.angelone.in"
    ws_root: str = "wss://smartapisocket.angelone.in/smart-stream"
    order_ws_root: str = "wss://tns.angelone.in/smart-order-update"


@dataclass(frozen=True, slots=True)
class BinanceEndpoints:
    """`spot_ws_root` carries the market streams; user data of spot accounts comes over the WS API (`spot_ws_api_root`)."""

    spot_root: str = "https://api.binance.com"
    futures_root: str = "https://fapi.binance.com"
    spot_ws_root: str = "wss://stream.binance.com:9443"
    futures_ws_root: str = "wss://fstream.binance.com"
    spot_ws_api_root: str = "wss://ws-api.binance.com:443/ws-api/v3"

"""One venue for each kind of live account: its emulator, an instrument, and what an order of ordinary size is there.

A venue makes real adapters over the real SDKs; only the broker behind the loopback wire is ours.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib import import_module
from typing import Any

from engines.brokers.makers import BrokerEndpoints, makers
from engines.brokers.tools import BinanceEndpoints, BrokerTools, KiteEndpoints, SmartApiEndpoints, Timing
from engines.core.model import Account, Instrument, OrderState, OrderType, Product, Side
from engines.ports import Broker, Listing, OrderReport, OrderRequest, RandomIds, Retry, Session, SystemClock, Unknown
from tests.emulators.core.emulator import EmulatedAccount, Emulator
from tests.emulators.core.listing import Listed

PATIENCE = 30.0
"""Seconds: for what comes true at once unless the machine stands still, as a shared one does for moments."""
EMULATORS = {"kite": "Kite", "smartapi": "SmartApi", "binance": "Binance"}
TIMING = Timing(connect=PATIENCE, read=PATIENCE, poll=0.05, safety_poll=0.25, silent_after=PATIENCE)
HASTY = replace(TIMING, read=0.8)
"""For a broker that never answers. Every other answer may then come too late as well."""
IDS = RandomIds()


class MemorySessions:
    """Broker sessions for one test."""

    def __init__(self) -> None:
        self.kept: dict[str, Session] = {}

    def load(self, account_id: str) -> Session | None:
        return self.kept.get(account_id)

    def save(self, account_id: str, session: Session) -> None:
        self.kept[account_id] = session

    def clear(self, account_id: str) -> None:
        self.kept.pop(account_id, None)


class EmulatorMaster:
    """The instruments that the emulators list, as the day's master would have them."""

    def __init__(self, *emulators: Emulator) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.listings: dict[tuple[str, str], Listing] = {}
        for emulator in emulators:
            for quote in emulator.exchange.quotes.values():
                listing = listing_at(emulator, quote.listed)
                self.instruments[listing.symbol] = quote.instrument
                self.listings[(listing.broker, listing.symbol)] = listing

    def get(self, symbol: str) -> Instrument | None:
        return self.instruments.get(symbol)

    def search(self, q: str, exchange: str | None = None, limit: int = 20) -> Sequence[Instrument]:
        return [
            instrument
            for instrument in self.instruments.values()
            if q.upper() in instrument.symbol and exchange in (None, instrument.exchange)
        ][:limit]

    def listing(self, broker: str, symbol: str) -> Listing | None:
        return self.listings.get((broker, symbol))

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return self._first(broker, lambda row: (row.exchange, row.token) == (exchange, token))

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return self._first(broker, lambda row: (row.exchange, row.trading_symbol) == (exchange, trading_symbol))

    def _first(self, broker: str, fits: Callable[[Listing], bool]) -> Listing | None:
        return next((row for (kind, _), row in self.listings.items() if kind == broker and fits(row)), None)

    def loaded_at(self, broker: str) -> float | None:
        return 1.0 if any(kind == broker for kind, _ in self.listings) else None

    def on_change(self, callback: Callable[[], None]) -> None:
        return None


def listing_at(emulator: Emulator, listed: Listed) -> Listing:
    """How the emulated broker lists one of its instruments."""
    instrument = listed.instrument
    symbol, (exchange, _, name) = instrument.symbol, instrument.symbol.partition(":")
    if emulator.kind == "binance":
        kind = "binance_usdm" if instrument.segment == "PERP" else "binance_spot"
        return Listing(symbol, kind, name.removesuffix(".P"), "BINANCE", name.removesuffix(".P"))
    if emulator.kind == "kite":
        segment = 9 if instrument.segment == "INDEX" else {"NSE": 1, "NFO": 2}[exchange]
        return Listing(symbol, "zerodha", str(listed.token * 256 + segment), exchange, name)
    from tests.emulators.smartapi.listing import Scrips

    scrip = Scrips([listed]).of(symbol)
    return Listing(symbol, "angelone", scrip.token, scrip.exchange, scrip.symbol)


def endpoints_of(*emulators: Emulator) -> BrokerEndpoints:
    """Where each broker lives in this test; a broker without an emulator lives nowhere."""
    return endpoints_at({name: address for emulator in emulators for name, address in emulator.endpoints().items()})


def endpoints_at(env: Mapping[str, str]) -> BrokerEndpoints:
    """From the names of settings to addresses."""
    nowhere, nowhere_ws = "http://127.0.0.1:9", "ws://127.0.0.1:9"
    return BrokerEndpoints(
        KiteEndpoints(env.get("KITE_API_ROOT", nowhere), env.get("KITE_LOGIN_ROOT", nowhere), env.get("KITE_WS_ROOT", nowhere_ws)),
        SmartApiEndpoints(
            env.get("SMARTAPI_ROOT", nowhere), env.get("SMARTAPI_WS_ROOT", nowhere_ws), env.get("SMARTAPI_ORDER_WS_ROOT", nowhere_ws)
        ),
        BinanceEndpoints(
            env.get("BINANCE_SPOT_ROOT", nowhere),
            env.get("BINANCE_FUTURES_ROOT", nowhere),
            env.get("BINANCE_SPOT_WS_ROOT", nowhere_ws),
            env.get("BINANCE_FUTURES_WS_ROOT", nowhere_ws),
            env.get("BINANCE_SPOT_WS_ROOT", nowhere_ws) + "/ws-api/v3",
        ),
    )


@dataclass(frozen=True, slots=True)
class Venue:
    """Where a kind of account trades, and an order of ordinary size there."""

    kind: str
    emulated_by: str  # kite | smartapi | binance
    symbol: str
    quantity: Decimal
    price: Decimal
    lot: Decimal
    tick: Decimal
    options: Mapping[str, Any] = field(default_factory=dict)  # of add_account

    def emulator(self, **options: Any) -> Emulator:
        made: Emulator = getattr(import_module(f"tests.emulators.{self.emulated_by}.emulator"), f"{EMULATORS[self.emulated_by]}Emulator")(
            **options
        )
        return made


ZERODHA = Venue("zerodha", "kite", "NSE:INFY", Decimal(10), Decimal(1500), Decimal(1), Decimal("0.1"))
ANGELONE = Venue("angelone", "smartapi", "NSE:INFY", Decimal(10), Decimal(1500), Decimal(1), Decimal("0.1"))
SPOT = Venue(
    "binance_spot",
    "binance",
    "BINANCE:BTCUSDT",
    Decimal("0.01"),
    Decimal(60000),
    Decimal("0.00001"),
    Decimal("0.01"),
    {"market": "spot"},
)
USDM = Venue(
    "binance_usdm",
    "binance",
    "BINANCE:BTCUSDT.P",
    Decimal("0.01"),
    Decimal(60000),
    Decimal("0.001"),
    Decimal("0.1"),
    {"market": "usdm"},
)
VENUES = (ZERODHA, ANGELONE, SPOT, USDM)


def account_for(kind: str, name: str = "A1", **changes: Any) -> Account:
    given: dict[str, Any] = {
        "account_id": name,
        "user_id": "U1",
        "name": name,
        "broker": kind,
        "capital": Decimal(10_000_000),
        "auto_trade": True,
    }
    return Account(**(given | changes))


class Station:
    """One adapter at one venue, with everything it tells."""

    def __init__(
        self, venue: Venue, emulator: Emulator, *, credentials: Mapping[str, str] | None = None, timing: Timing = TIMING, **account: Any
    ) -> None:
        self.venue, self.emulator = venue, emulator
        self.emulated: EmulatedAccount = emulator.add_account(**venue.options)
        self.sessions = MemorySessions()
        self.master = EmulatorMaster(emulator)
        tools = BrokerTools(SystemClock(), self.sessions, self.master, random.Random(7), timing, paced=False)
        make = makers(tools, endpoints_of(emulator))[venue.kind]
        self.account = account_for(venue.kind, account.pop("account_id", "A1"), **account)
        self.broker: Broker = make(self.account, self.emulated.credentials if credentials is None else credentials)
        self.reports: list[OrderReport] = []
        self._told = threading.Condition()
        self.permits = 0

    def connect(self) -> Station:
        """A first answer that comes too late, or is lost, uses up a one-time code, and the next is half a minute away."""
        deadline = SystemClock().monotonic() + PATIENCE
        while True:
            try:
                self.broker.connect(self.take)
                return self
            except (Retry, Unknown) as error:
                if not self.emulator.endpoints() or SystemClock().monotonic() > deadline:
                    raise
                threading.Event().wait(getattr(error, "after", 0.0))

    def take(self, report: OrderReport) -> None:
        with self._told:
            self.reports.append(report)
            self._told.notify_all()

    @contextmanager
    def permit(self) -> Iterator[None]:
        self.permits += 1
        yield

    def request(self, side: Side = Side.BUY, quantity: Decimal | None = None, **changes: Any) -> OrderRequest:
        instrument = self.master.get(changes.pop("symbol", self.venue.symbol))
        assert instrument is not None
        given: dict[str, Any] = {
            "client_id": IDS.new(),
            "instrument": instrument,
            "side": side,
            "quantity": self.venue.quantity if quantity is None else quantity,
            "order_type": OrderType.MARKET,
            "product": Product.MIS,
            "quote": self.venue.price,
        }
        return OrderRequest(**(given | changes))

    def limit(self, price: Decimal, side: Side = Side.BUY, **changes: Any) -> OrderRequest:
        return self.request(side, order_type=OrderType.LIMIT, price=price, **changes)

    @property
    def below(self) -> Decimal:
        """A price a little under the market, on the tick: a buy there rests."""
        return (self.venue.price * Decimal("0.99")) // self.venue.tick * self.venue.tick

    def place(self, request: OrderRequest) -> OrderReport:
        report = self.broker.place(request, self.permit)
        self.take(report)
        return report

    def placed(self) -> int:
        """How many orders the broker was asked for."""
        return len(self.emulator.requests(self.emulated, "place"))

    def wait(self, true: Callable[[], object], patience: float = PATIENCE) -> None:
        """Until something is true of what was told; fails when it does not come true."""
        deadline = SystemClock().monotonic() + patience
        with self._told:
            while not true():
                assert SystemClock().monotonic() < deadline, f"it did not come true; told: {self.reports[-5:]}"
                self._told.wait(0.01)

    def told(self, broker_order_id: str, state: OrderState) -> bool:
        return any(r.broker_order_id == broker_order_id and r.state is state for r in self.reports)

    def fills(self, broker_order_id: str) -> dict[str, tuple[Decimal, Decimal]]:
        """Every fill that was told of an order, by its trade id: a repeat is the same fill."""
        return {f.trade_id: (f.quantity, f.price) for r in self.reports if r.broker_order_id == broker_order_id for f in r.fills}

    def truth(self, broker_order_id: str) -> dict[str, tuple[Decimal, Decimal]]:
        return {f.trade_id: (f.quantity, f.price) for f in self.emulator.fills(self.emulated) if f.broker_order_id == broker_order_id}

    def look(self, client_id: str) -> OrderReport | None:
        """What the broker's order book says of one of our names."""
        return next((report for report in self.broker.order_book() if report.client_id == client_id), None)

    def close(self) -> None:
        self.broker.abort()
        self.broker.close()


def without(credentials: Mapping[str, str], **wrong: str) -> dict[str, str]:
    return {**credentials, **wrong}


__all__ = [
    "ANGELONE",
    "SPOT",
    "USDM",
    "VENUES",
    "ZERODHA",
    "EmulatorMaster",
    "MemorySessions",
    "Station",
    "Venue",
    "account_for",
    "endpoints_of",
    "replace",
]

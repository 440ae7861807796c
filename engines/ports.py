"""What the engines need from outside, as short Protocols; the docstring of each is its contract.

`app.data` implements Journal, Latch and Directory, `app.live` the Notifier, `engines.brokers` the Broker and `engines.market` the Feed. One
contract test runs for every implementation. The real clock and ids at the end are the only code that may ask the machine for time or chance.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from engines.core.facts import Fact
from engines.core.model import (
    ZERO,
    Account,
    AccountDay,
    AccountMapping,
    Candle,
    CombinedRule,
    CombinedState,
    ExitPlan,
    Fill,
    Group,
    Halt,
    Incident,
    Instrument,
    JobRun,
    Order,
    OrderState,
    OrderType,
    Position,
    Product,
    Side,
    Signal,
    StrategyConfig,
    Tick,
    Timestamp,
)
from engines.core.sessions import CalendarDay

# --- errors, named for what the caller must do ---------------------------------------------------------------------


class TandemError(Exception):
    """The root of our own errors; its text is fit to show to a person and holds no secret."""


class Refused(TandemError):
    """The broker has proved that the order does not exist: it ends as rejected, with these words."""


class Unknown(TandemError):
    """Nobody can say whether the order exists: never resend, ask the broker until there is evidence."""


class Retry(TandemError):
    """Nothing was sent or booked, and the same call may go through later (throttled, not yet connected). `after` in seconds."""

    def __init__(self, message: str, after: float = 0.5) -> None:
        super().__init__(message)
        self.after = after


class NeedsLogin(TandemError):
    """The session is over; nothing was booked. The account's gate closes until a person or job signs in."""


class Halted(TandemError):
    """The gate closed before the first byte was written: the order was not sent."""


class JournalDown(TandemError):
    """The write is not durable (disk full, database locked). Whoever asked must not send."""


class DuplicateSignal(TandemError):
    """The user has used this signal id before; nothing was written."""


# --- time, ids -----------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Where time comes from. `now` is wall time (UTC epoch seconds) and may jump; `monotonic` never goes back: use it for ages and waits."""

    def now(self) -> Timestamp: ...

    def monotonic(self) -> float: ...


class Ids(Protocol):
    """Names that are never used twice, across accounts, days and restarts: at most 20 characters of A-Z and 0-9 (fits every broker's tag)."""

    def new(self) -> str: ...


# --- what app.data gives -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recovered:
    """Everything the engines need to go on after a stop of any kind."""

    live_orders: Sequence[Order] = ()
    signals: Sequence[Signal] = ()  # those of live_orders: their exit specs are still needed
    opening: Sequence[Position] = ()
    """Positions as folded from every fill before `since`; those that were open then or have traded since."""
    fills: Sequence[Fill] = ()
    """Every fill since `since`, oldest first; opening + fills = the positions of now."""
    booked: Sequence[tuple[str, str]] = ()
    """(order_id, trade_id) of every fill of `live_orders`, whenever it was: brokers tell an order with all its trades again."""
    settled_cash: Mapping[str, Decimal] = field(default_factory=dict)
    """account_id → cash flow − charges of every fill before `since` (all positions, also those long flat)."""
    plans: Sequence[ExitPlan] = ()  # those that have fired and were never seen to end, then armed ones; each the oldest first
    overtaken: Sequence[tuple[Order, Signal]] = ()
    """Entries that may still come, each with the first signal the other way of its strategy and instrument that came after it."""
    days: Sequence[AccountDay] = ()  # the newest of each account
    halts: Sequence[Halt] = ()  # that hold
    kill_switches: Mapping[str, str] = field(default_factory=dict)  # account_id → reason, only those that are on
    engines_off: Mapping[str | None, str] = field(default_factory=dict)  # user_id (None: system) → by; only those that are off
    strategy_states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    closed_trades: Mapping[tuple[str, str], Sequence[Decimal]] = field(default_factory=dict)
    """(account_id, strategy_id) → net P&L of the newest 200 round trips, oldest first (for Kelly)."""
    job_runs: Sequence[JobRun] = ()  # of the newest days
    combined: Sequence[CombinedState] = ()  # the newest of each rule
    real_prices: Sequence[str] = ()  # instruments that had real prices when the program ended: paper holds them at those
    incidents: Sequence[Incident] = ()  # open ones of the kinds that last over a restart


class Journal(Protocol):
    """The single writer of trading facts.

    `commit` returns when all its facts are durable in one transaction, or raises JournalDown (nothing of it was written) or DuplicateSignal.
    `append` returns at once and keeps the order of calls (also relative to commit); facts appended are never dropped: while the database cannot be
    written they wait in memory, `healthy` is False and the system closes its gates. `then` runs on the writer's thread after they are durable.
    """

    def commit(self, *facts: Fact) -> None: ...

    def append(self, *facts: Fact, then: Callable[[], None] | None = None) -> None: ...

    def load(self, since: Timestamp) -> Recovered:
        """Everything needed to go on; `since` is the start of the present session day."""
        ...

    def find_signal(self, user_id: str, signal_id: str) -> tuple[str, Sequence[Order]] | None:
        """The key and orders of a signal already used, or None. Only asked after DuplicateSignal."""
        ...

    @property
    def healthy(self) -> bool: ...

    def stats(self) -> Mapping[str, float]:
        """queue_depth, flush_ms_p50, flush_ms_p99, commits, facts."""
        ...


class Latch(Protocol):
    """Halts that hold even when the database cannot be written: a small file beside it, flushed to disk before `set` returns.

    `set` never raises for a full disk; it returns False when the halt is only in memory."""

    def active(self) -> Sequence[Halt]: ...

    def set(self, halt: Halt) -> bool: ...

    def lift(self, halt_id: str) -> bool: ...


class Directory(Protocol):
    """Who trades what: read at start and again whenever `on_change` callbacks say that something changed. Never on the order path."""

    def accounts(self) -> Sequence[Account]: ...

    def strategies(self) -> Sequence[StrategyConfig]: ...

    def mappings(self) -> Sequence[AccountMapping]: ...

    def credentials(self, account_id: str) -> Mapping[str, str]:
        """Decrypted; kept only inside the broker client that it builds."""
        ...

    def candles(self, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]:
        """The newest stored candles, oldest first (warm-up after a restart): those of real prices (`live`) or the others, never mixed."""
        ...

    def groups(self) -> Sequence[Group]: ...

    def combined_rules(self) -> Sequence[CombinedRule]: ...

    def calendar_days(self) -> Sequence[CalendarDay]:
        """What people have added to or changed in the calendar that ships with the program."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None: ...


class Notifier(Protocol):
    """Where the engines tell people: `kind` is an event of the stream (pnl, order, position, signal, engine, halt, incident), `user_id` whose it is
    (None: only the owner, the machine's own health). Must return at once and never raise."""

    def publish(self, kind: str, user_id: str | None, payload: Mapping[str, Any]) -> None: ...


# --- brokers -------------------------------------------------------------------------------------------------------

Permit = Callable[[], AbstractContextManager[None]]
"""Asked by a broker's transport at the last moment: `with permit(): write the bytes`. Entering raises Halted when the gate is closed; while it is held
no stop is acknowledged. Nothing slow (connect, TLS, waiting for the answer) happens inside it."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What an adapter needs to place one order."""

    client_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool = False
    quote: Decimal | None = None
    """The opposite quote when the request was made (BUY: ask, SELL: bid), for brokers that take no plain market orders; None: not known."""


@dataclass(frozen=True, slots=True)
class BrokerFill:
    """A trade as the broker reports it; charges None: we compute an estimate from the dated tables.

    `fee_quantity`: units of the instrument itself that the broker kept as its fee (a spot buy on Binance): the position grows by that much less."""

    trade_id: str
    quantity: Decimal
    price: Decimal
    traded_at: Timestamp
    charges: Decimal | None = None
    fee_quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the broker says of one order, from an answer, a push or its order book. `fills` may repeat what was told before.

    `state` is one of open, partly_filled, filled, cancelled, rejected, expired. `filled_quantity` is cumulative."""

    broker_order_id: str
    state: OrderState
    client_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    message: str = ""
    at: Timestamp = 0.0
    fills: tuple[BrokerFill, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    symbol: str
    product: Product
    quantity: Decimal
    average_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Delivered shares or coins that the account owns, today's trades apart."""

    symbol: str
    quantity: Decimal
    average_price: Decimal | None = None
    last_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BrokerTrade:
    """One fill with the order it belongs to, from the broker's trade book."""

    broker_order_id: str
    symbol: str
    side: Side
    fill: BrokerFill


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the broker says has signed in. `warnings`: what a person should know and may accept (no address list on the key, …)."""

    user_id: str
    name: str = ""
    exchanges: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    cash: Decimal
    used_margin: Decimal
    available: Decimal
    equity: Decimal
    currency: str = "INR"


@dataclass(frozen=True, slots=True)
class BrokerTraits:
    """What differs between brokers, as data. Rates are requests a second; None: no limit (paper).
    `absent_after` is how many seconds after the send an order missing from two healthy order books proves that it was not placed.
    `windows`: further published limits on order calls, each (calls, seconds). `daily_book`: the order book begins anew with each session day."""

    orders_per_second: float | None = None
    burst: int = 1
    absent_after: float = 10.0
    windows: tuple[tuple[int, float], ...] = ()
    daily_book: bool = False


@dataclass(frozen=True, slots=True)
class StreamKey:
    """What a market-data socket of a broker signs in with, lent by an account that is signed in. Values are secret: never shown, never logged."""

    account_id: str
    values: Mapping[str, str] = field(repr=False)
    source_address: str | None = None


class Broker(Protocol):
    """One account at one broker. Every call is made by the account's lane, one at a time; `on_report` may be called from any thread.

    `place` returns a report (usually OPEN) or raises Refused, Unknown, Retry, NeedsLogin or Halted; whatever else escapes is treated as Unknown.
    It must call `permit` around the write of the request and nowhere else. `cancel` and `modify` raise the same errors and never change an order by themselves:
    the truth comes as a report. `order_book` and `trades` are complete or raise: an empty answer that may be a failure must raise.
    """

    traits: BrokerTraits

    @property
    def session_expires_at(self) -> Timestamp | None:
        """When the broker ends the session that `connect` began or found; None: it does not end by itself, or there is none."""
        ...

    def stream_key(self) -> StreamKey | None:
        """What the broker's market-data stream signs in with; None: it needs nothing, or the account has no right to data."""
        ...

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        """Sign in with what is stored and start order updates; raises NeedsLogin or Refused with a reason a person can act on
        (bad key, address not registered, session over, clock skew, a key that can withdraw). May be called again after any failure."""
        ...

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport: ...

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None: ...

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None: ...

    def order_book(self) -> Sequence[OrderReport]: ...

    def positions(self) -> Sequence[BrokerPosition]: ...

    def balance(self) -> Balance: ...

    def profile(self) -> Profile: ...

    def holdings(self) -> Sequence[Holding]: ...

    def trades(self) -> Sequence[BrokerTrade]: ...

    def keep_alive(self) -> None:
        """A cheap call every ~25 s so that the connection is warm when it counts."""
        ...

    def abort(self) -> None:
        """Cut the connection now, from any thread: a pending write or read fails as Unknown."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in at a broker. `tokens` are secret."""

    user_id: str
    tokens: Mapping[str, str] = field(repr=False)
    started_at: Timestamp = 0.0
    expires_at: Timestamp | None = None


class Sessions(Protocol):
    """Broker sessions, kept encrypted so that a restart need not sign in again. Calls may come from any thread; `save` and `clear` return when durable."""

    def load(self, account_id: str) -> Session | None: ...

    def save(self, account_id: str, session: Session) -> None: ...

    def clear(self, account_id: str) -> None: ...


# --- market --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument as one broker lists it. `exchange` and `trading_symbol` are spelled the broker's way, `token` is its number for data."""

    symbol: str  # ours: EXCHANGE:NAME
    broker: str
    token: str
    exchange: str
    trading_symbol: str


class Master(Protocol):
    """The day's instruments of every broker in one table with one key. Reads are quick (a point read in well under a millisecond), from any thread,
    and always see one whole list: a new day's list replaces the old in a single step."""

    def get(self, symbol: str) -> Instrument | None: ...

    def search(self, q: str, exchange: str | None = None, limit: int = 20, segment: str | None = None) -> Sequence[Instrument]:
        """Best first; `q` as people type it (`nifty 24500 ce`, `infy`, `banknifty fut`)."""
        ...

    def listing(self, broker: str, symbol: str) -> Listing | None:
        """How this broker lists one of our symbols; None: it cannot be traded there."""
        ...

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None: ...

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None: ...

    def loaded_at(self, broker: str) -> Timestamp | None:
        """When this broker's list was taken; None: there is none yet."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None: ...


class Feed(Protocol):
    """A source of ticks. After `start`, `on_ticks` gets batches in time order from the feed's own thread; it must return quickly.

    `prime` returns a first tick for each instrument, so that prices exist before the first batch. `finished` is True when a replay has played to its end."""

    source: str

    def instruments(self) -> Sequence[Instrument]: ...

    def prime(self) -> Sequence[Tick]: ...

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None: ...

    def stop(self) -> None: ...

    @property
    def finished(self) -> bool: ...


# --- the real clock and ids ----------------------------------------------------------------------------------------


class SystemClock:
    """The machine's clock."""

    def now(self) -> Timestamp:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHANCE_BITS = 46


class RandomIds:
    """18 characters: milliseconds since the epoch (9, base 36, so that ids sort by age) and 46 random bits (9 more)."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        with self._lock:
            self._last = max(self._last + 1, int(self._clock.now() * 1000))
            head = self._last
        return _base36(head, 9) + _base36(secrets.randbits(_CHANCE_BITS), 9)


def _base36(number: int, width: int) -> str:
    out = ""
    while number:
        number, digit = divmod(number, 36)
        out = _ALPHABET[digit] + out
    return out.rjust(width, "0")

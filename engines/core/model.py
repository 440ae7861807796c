"""The vocabulary: the words of the glossary as immutable values.

Every other module speaks in these types. Prices on orders, quantities and money are `Decimal`; market data are
floats; a moment is a `Timestamp`. Nothing here has behaviour beyond reading its own fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import Any, NamedTuple

Timestamp = float
"""Seconds since the Unix epoch, UTC. Stored as integer microseconds, shown in the market's zone."""

ZERO = Decimal(0)
ONE = Decimal(1)


# --- words ---------------------------------------------------------------------------------------------------------


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"  # stop-limit: rests until trigger_price trades, then a LIMIT at price
    SL_M = "SL-M"  # stop-market: rests until trigger_price trades, then a MARKET


class Product(StrEnum):
    MIS = "MIS"  # intraday, leveraged, may be sold short
    NRML = "NRML"  # overnight derivatives
    CNC = "CNC"  # delivery, never short


class Role(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    SQUARE_OFF = "square_off"


class Source(StrEnum):
    MANUAL = "manual"
    STRATEGY = "strategy"
    WEBHOOK = "webhook"
    COPY = "copy"
    SYSTEM = "system"  # closes, square-offs, stops and targets


class OrderState(StrEnum):
    PLANNED = "planned"
    DENIED = "denied"
    SENDING = "sending"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_PLACED = "not_placed"


FINAL_STATES = frozenset(
    {
        OrderState.DENIED,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.NOT_PLACED,
    }
)
UNSETTLED_STATES = frozenset({OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN})
"""States in which nobody can yet say what became of the order; `wait_ms` waits until no order is in one of them."""
LIVE_STATES = frozenset(OrderState) - FINAL_STATES


class Denial(StrEnum):
    """Why Tandem itself refused an order. The values are part of the fixed contract."""

    HALTED = "halted"
    KILL_SWITCH = "kill_switch"
    AUTO_TRADE_OFF = "auto_trade_off"
    DRY_RUN = "dry_run"
    DAILY_LOSS = "daily_loss"
    DAILY_PROFIT = "daily_profit"
    MAX_TRADES = "max_trades"
    MAX_POSITIONS = "max_positions"
    ORDER_VALUE = "order_value"
    POSITION_VALUE = "position_value"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ZERO_QUANTITY = "zero_quantity"
    STALE_PRICE = "stale_price"
    MARKET_CLOSED = "market_closed"
    UNKNOWN_ORDER_PENDING = "unknown_order_pending"
    LOT_SIZE = "lot_size"
    FREEZE_QUANTITY = "freeze_quantity"
    PRICE_BAND = "price_band"
    DUPLICATE = "duplicate"
    NOT_CONNECTED = "not_connected"
    NOT_TRADABLE = "not_tradable"  # this account's broker does not list the instrument


class Timeframe(StrEnum):
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    D1 = "1d"

    @property
    def seconds(self) -> int:
        return {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}[self.value]


class SizingMode(StrEnum):
    FIXED_QUANTITY = "fixed_quantity"
    FIXED_AMOUNT = "fixed_amount"
    PERCENT = "percent"
    RISK = "risk"
    KELLY = "kelly"


# --- market --------------------------------------------------------------------------------------------------------


class Tick(NamedTuple):
    """The newest prices of an instrument. A named tuple, because millions are made and a frozen dataclass costs thrice."""

    symbol: str
    last_price: float
    bid: float
    ask: float
    at: Timestamp
    volume: float = 0.0  # traded since the previous tick


class Candle(NamedTuple):
    """A closed bar; `start` is its first moment (09:15 covers 09:15:00 to 09:15:59)."""

    symbol: str
    start: Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing. `symbol` is EXCHANGE:NAME and is the key everywhere."""

    symbol: str
    name: str
    exchange: str
    tick_size: Decimal
    lot_size: int = 1  # units; for crypto the step is `quantity_step`
    freeze_quantity: int | None = None
    segment: str = "EQ"  # EQ | INDEX | FUT | OPT | SPOT | PERP
    expiry: str | None = None  # ISO date
    strike: Decimal | None = None
    option_type: str | None = None  # CE | PE
    quantity_step: Decimal = ONE
    band_pct: Decimal = Decimal(20)  # a limit price further than this from the last price is refused
    auction: bool = False  # its continuous trading ends with the closing auction (shares with futures, since August 2026)

    @property
    def lot(self) -> Decimal:
        """The smallest quantity that may be ordered; every quantity is a multiple of it."""
        return self.lot_size * self.quantity_step

    @property
    def tradable(self) -> bool:
        return self.segment != "INDEX"


# --- who trades with what ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """None = no limit, 0 = nothing allowed. Where an absolute and a percent form (of capital) exist, the tighter holds."""

    max_daily_loss: Decimal | None = None
    max_daily_loss_pct: Decimal | None = None
    max_daily_profit: Decimal | None = None
    max_daily_profit_pct: Decimal | None = None
    max_trades_per_day: int | None = None
    max_open_positions: int | None = None
    max_order_value: Decimal | None = None
    max_order_value_pct: Decimal | None = None
    max_position_value: Decimal | None = None
    max_position_value_pct: Decimal | None = None
    flatten_on_limit: bool = False

    @property
    def watch_the_day(self) -> bool:
        """Whether any limit depends on the day's profit or loss."""
        day = (self.max_daily_loss, self.max_daily_loss_pct, self.max_daily_profit, self.max_daily_profit_pct)
        return any(limit is not None for limit in day)


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """How an account's simulated exchange behaves; the defaults are a quiet, deep, immediate market."""

    latency_ms: int = 0
    slippage_ticks: Decimal = ZERO  # beyond the spread
    partial_fills: bool = False
    reject_pct: Decimal = ZERO  # share of orders rejected at random (seeded)
    session_hours: bool = False  # True: only inside the exchange's session
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DayRules:
    """An account's own clock for intraday (MIS) positions; times are HH:MM in the market's zone, on an ordinary day.

    `keep` None: as the account keeps the market's hours (live accounts and paper accounts with `session_hours` do). No entry before `first_entry`, none
    from `last_entry` on (None: from the square-off on). On a day with hours of its own the times move with its close (`core.timetable`)."""

    keep: bool | None = None
    first_entry: str | None = None
    last_entry: str | None = None
    square_off: bool = True
    square_off_cash: str = "15:10"
    square_off_derivatives: str = "15:15"


@dataclass(frozen=True, slots=True)
class Account:
    """One trading account as the engines see it: switches, capital and limits; credentials never come in here."""

    account_id: str
    user_id: str
    name: str
    broker: str  # "paper" | "zerodha" | "angelone" | "binance_spot" | "binance_usdm"
    capital: Decimal
    limits: Limits = Limits()
    leverage: Decimal = Decimal(5)  # intraday (MIS) buying power = equity x leverage; other products use 1
    dry_run: bool = False
    auto_trade: bool = False
    enabled: bool = True
    paper: PaperSettings = PaperSettings()
    source_address: str | None = None  # the local address its broker calls leave from; None: the machine's own choice
    auto_login: bool = False  # a browser may sign in by itself each morning (Zerodha); off unless a person asks for it
    day_rules: DayRules = DayRules()
    may_enter: bool = (
        True  # whose it is may trade here; else (switched off, a viewer) nothing is entered, by hand neither, and exits still leave
    )

    @property
    def live(self) -> bool:
        """Real money, or what an emulator takes for it."""
        return self.broker != "paper"


@dataclass(frozen=True, slots=True)
class Sizing:
    """How much one signal is worth on a mapping. `value`: units, money or percent, as the mode says.

    Kelly: `value` is the fraction of full Kelly (0.5 = half), capped at `kelly_cap_pct` of the allocated capital, used once the
    mapping has `kelly_min_trades` closed trades; before that `kelly_fallback_pct` of the allocated capital.
    """

    mode: SizingMode = SizingMode.PERCENT
    value: Decimal = Decimal(100)
    kelly_cap_pct: Decimal = Decimal(25)
    kelly_min_trades: int = 20
    kelly_fallback_pct: Decimal = Decimal(2)


@dataclass(frozen=True, slots=True)
class AccountMapping:
    """This strategy trades on this account."""

    mapping_id: str
    account_id: str
    strategy_id: str
    allocation_pct: Decimal = Decimal(100)
    sizing: Sizing = Sizing()
    risk_per_trade_pct: Decimal = Decimal(1)  # of the allocated capital
    multiplier: Decimal = ONE
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """One target: at an absolute `price`, or `pct`/`points` away from the entry on the winning side; `share_pct` of the entry quantity.

    `then_*`: where the stop goes once this target is reached, if that is tighter: at a price, or percent/points from the entry, on the winning side when
    above zero, on the losing side when below, 0 at cost. A share that comes to no whole lot leaves nothing there, but the stop moves all the same."""

    share_pct: Decimal
    price: Decimal | None = None
    pct: Decimal | None = None
    points: Decimal | None = None
    then_price: Decimal | None = None
    then_pct: Decimal | None = None
    then_points: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TrailingSpec:
    """How the stop follows. `percent`: stop stays `value` % behind the best price. `step`: for each `step` points of progress from
    entry the stop moves `value` points. `start`: points of progress before it begins (None: at once)."""

    mode: str  # "percent" | "step"
    value: Decimal
    step: Decimal | None = None
    start: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExitSpec:
    """What a person or strategy asks for: the recipe from which an exit plan is made at the first fill.

    The stop is an absolute price, a percent or points away from entry. `cost_after_target`: after this many targets (1-based) the stop
    moves to the average entry price. `booking`: how lots that do not divide go to the targets: "remainder" to the largest remainders first, "even" as soon
    as the shares so far make a whole lot (so one lot leaves at the last target). Everything left goes at the market at `exit_at` (HH:MM in the market's zone,
    of the day of the entry or, when that has passed, of the next) or `max_minutes` after the first fill, whichever is first.
    """

    stop_price: Decimal | None = None
    stop_pct: Decimal | None = None
    stop_points: Decimal | None = None
    targets: tuple[TargetSpec, ...] = ()
    trailing: TrailingSpec | None = None
    cost_after_target: int | None = None
    booking: str = "remainder"  # "remainder" | "even"
    exit_at: str | None = None
    max_minutes: int | None = None

    @property
    def empty(self) -> bool:
        return not (self.targets or self.trailing or self.has_stop or self.exit_at or self.max_minutes)

    @property
    def has_stop(self) -> bool:
        return any(x is not None for x in (self.stop_price, self.stop_pct, self.stop_points))


@dataclass(frozen=True, slots=True)
class ReentrySpec:
    """What follows when an exit plan has taken a strategy's whole position out. Decided at the close of the strategy's candles, like everything it decides.

    `mode`: "asap" at the next close; "cost" once a close is back at the entry price or better; "momentum" once a close is `move_pct` percent beyond the exit
    price in the direction of the new entry. `after`: "stop", "target" or "any". At most `most` times a day for each instrument, not before
    `cool_down_minutes` have passed, never from `until` (HH:MM, market's zone) on. `reverse`: into the other direction."""

    mode: str = "asap"
    most: int = 1
    after: str = "stop"
    cool_down_minutes: int = 0
    until: str | None = None
    reverse: bool = False
    move_pct: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    strategy_id: str
    user_id: str
    name: str
    kind: str
    timeframe: Timeframe
    instruments: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    active: bool = False
    exit_plan: ExitSpec | None = None
    reentry: ReentrySpec | None = None
    shared_with: tuple[str, ...] = field(default=(), compare=False)
    """User ids of those who may map it to accounts of their own. No part of what it does: who joins or leaves must not begin a running one anew."""


# --- from a wish to a position -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signal:
    """A wish to trade. `signal_id` is the caller's own and unique for its user; `key` is ours and unique for ever.

    With `strategy_id` and no `account_ids` it goes to the strategy's enabled mappings, else to `account_ids`.
    `reduce_only` wishes (a strategy's exit, a close) never open anything.
    """

    key: str
    signal_id: str
    user_id: str
    source: Source
    symbol: str
    side: Side
    created_at: Timestamp
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    product: Product = Product.MIS
    quantity: Decimal | None = None
    strategy_id: str | None = None
    account_ids: tuple[str, ...] = ()
    exits: ExitSpec = ExitSpec()
    reduce_only: bool = False
    role: Role | None = None  # set by the system's own exits (stop, target, square_off)
    note: str = ""


class PositionKey(NamedTuple):
    account_id: str
    symbol: str
    product: Product
    strategy_id: str | None


class Check(NamedTuple):
    """One question asked before an order may leave, with the numbers it was answered from. A named tuple: every order has a dozen and a half."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An intent and its life. `order_id` is also its client id: the only name it has at the broker before it has a broker id."""

    order_id: str
    account_id: str
    user_id: str
    signal_key: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    role: Role
    created_at: Timestamp
    updated_at: Timestamp
    strategy_id: str | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    state: OrderState = OrderState.PLANNED
    reason: str | None = None  # a Denial value, or the broker's own words
    broker_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    plan_id: str | None = None  # the exit plan that asked for it
    sent_at: Timestamp | None = None
    acknowledged_at: Timestamp | None = None
    checks: tuple[Check, ...] = ()

    @property
    def client_id(self) -> str:
        return self.order_id

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.account_id, self.symbol, self.product, self.strategy_id)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def live(self) -> bool:
        return self.state not in FINAL_STATES

    @property
    def raises_exposure(self) -> bool:
        return self.role is Role.ENTRY


@dataclass(frozen=True, slots=True)
class Fill:
    """A part of an order that traded. (order_id, trade_id) is unique: a repeat changes nothing."""

    trade_id: str
    order_id: str
    account_id: str
    symbol: str
    side: Side
    product: Product
    quantity: Decimal
    price: Decimal
    charges: Decimal
    traded_at: Timestamp
    strategy_id: str | None = None
    broker_order_id: str | None = None
    fee_quantity: Decimal = ZERO  # units that the broker kept as its fee: the position grows by that much less

    @property
    def moved(self) -> Decimal:
        """By how much the position changes, signed."""
        return self.side.sign * self.quantity - self.fee_quantity

    @property
    def position_key(self) -> PositionKey:
        return PositionKey(self.account_id, self.symbol, self.product, self.strategy_id)


@dataclass(frozen=True, slots=True)
class Position:
    """The fold of fills for its key. realised + unrealised(mark) = cash_flow + quantity x mark, to the paisa."""

    key: PositionKey
    position_id: str
    quantity: Decimal = ZERO  # signed
    cash_flow: Decimal = ZERO  # sum of -side x quantity x price, before charges
    open_cost: Decimal = ZERO  # signed cost of what is still open (quantity x average price)
    realised: Decimal = ZERO  # before charges
    charges: Decimal = ZERO
    opened_at: Timestamp | None = None
    updated_at: Timestamp = 0.0

    @property
    def average_price(self) -> Decimal | None:
        return self.open_cost / self.quantity if self.quantity else None

    def unrealised(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.open_cost


# --- stops and halts -----------------------------------------------------------------------------------------------


class HaltScope(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ACCOUNT = "account"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True)
class Halt:
    """A latch that forbids exposure-raising orders until a person lifts it. `scope_id` is the user, account or strategy id."""

    halt_id: str
    scope: HaltScope
    scope_id: str | None
    reason: str
    since: Timestamp
    by: str  # user id
    flatten: bool = True
    lifted_at: Timestamp | None = None
    lifted_by: str | None = None


@dataclass(frozen=True, slots=True)
class PlanTarget:
    """A target of an armed plan: at `price`, `quantity` units leave; `fired` once its exit was asked for."""

    price: Decimal
    quantity: Decimal
    fired: bool = False


class PlanState(StrEnum):
    ARMED = "armed"
    STOPPED = "stopped"  # its stop has fired, or its time has come: nothing of it fires again
    DONE = "done"  # the position is flat or a person took the plan away


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """The stop, targets and trailing ladder that guard one position. Changed only by the functions of `core.exits`."""

    plan_id: str
    key: PositionKey
    user_id: str
    side: Side  # of the position: BUY guards a long
    entry_price: Decimal
    quantity: Decimal  # guarded when it was armed, unsigned
    spec: ExitSpec
    stop: Decimal | None
    targets: tuple[PlanTarget, ...]
    best_price: Decimal  # the most favourable price seen since armed
    state: PlanState
    updated_at: Timestamp
    signal_key: str = ""
    tick_size: Decimal = Decimal("0.05")  # of the instrument: levels worked out from percents lie on it
    lot: Decimal = ONE  # targets leave in whole lots
    trail_from: Decimal | None = None  # steps of a trail count from here; None: from the entry price
    deadline: Timestamp | None = None  # when what is left goes at the market; from the spec's `exit_at` and `max_minutes`


class Warned(IntFlag):
    """Of which day limit it was told that 80 % is used."""

    NONE = 0
    SOME = 1  # stored before the two sides were told apart: it hides neither
    LOSS = 2
    PROFIT = 4


@dataclass(frozen=True, slots=True)
class AccountDay:
    """What an account has used up of its limits in one session, and whether it is closed for the rest of it."""

    account_id: str
    day: str  # ISO date of the session
    trades: int = 0  # entries that were sent
    locked: str | None = None  # the Denial that closed the account for the day
    warned: Warned = Warned.NONE


class RunState(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # its time had passed for good when it could have run


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job of one day's timetable and what became of it. A job that is on record is never begun again on that day."""

    day: str  # ISO date of the session
    job: str  # "instruments", "log_ins", "square_off:ACCOUNT:cash", "end_of_day", ...
    state: RunState
    planned_at: Timestamp
    at: Timestamp  # of this state
    detail: str = ""


class CombinedScope(StrEnum):
    STRATEGY = "strategy"  # a strategy's positions on all of its owner's accounts
    ACCOUNT = "account"
    GROUP = "group"  # a group of accounts


@dataclass(frozen=True, slots=True)
class CombinedRule:
    """Stop, target, lock and trail of the combined P&L (realised + unrealised − charges of the session) of a scope. Money, above zero unless said.

    `stop`: leave at −stop. `target`: leave at it. `lock_at` and `lock`: once P&L was at `lock_at`, leave when it falls to `lock` (may be zero or below);
    then for each further `step` of the best P&L the floor rises by `rise`. `trail_start` and `trail_by`: once P&L was at the start, leave when it falls
    `trail_by` below its best. The highest floor holds and never falls. Having left, the scope takes no entries until the next session."""

    rule_id: str
    user_id: str
    scope: CombinedScope
    scope_id: str
    stop: Decimal | None = None
    target: Decimal | None = None
    lock_at: Decimal | None = None
    lock: Decimal | None = None
    step: Decimal | None = None
    rise: Decimal | None = None
    trail_start: Decimal | None = None
    trail_by: Decimal | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class CombinedState:
    """How far a rule has come in one session: survives a restart."""

    rule_id: str
    day: str
    best: Decimal | None = None  # the running maximum of the P&L
    floor: Decimal | None = None
    left: str | None = None  # "stop" | "target" | "lock" | "trail": why the scope was left
    left_at: Timestamp | None = None
    pnl: Decimal | None = None  # when it was left
    real: bool = False  # counted on live accounts alone


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of one user's accounts (a family, a desk)."""

    group_id: str
    user_id: str
    name: str
    account_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartLevel:
    """A price that a strategy has worked out for a day, to be drawn: `kind` is "entry", "target" or "stop", `side` that of the position."""

    name: str  # "B", "T1", "Y1", ...
    price: float
    kind: str
    side: Side


@dataclass(frozen=True, slots=True)
class DayBook:
    """What one account did in one session, written at its end. Money in the account's currency."""

    account_id: str
    day: str
    realised: Decimal = ZERO
    charges: Decimal = ZERO
    unrealised: Decimal = ZERO
    equity: Decimal | None = None
    trades: int = 0  # entries that were sent
    fills: int = 0
    turnover: Decimal = ZERO
    wins: int = 0  # closed round trips after charges
    losses: int = 0
    best: Decimal | None = None
    worst: Decimal | None = None
    denied: int = 0
    rejected: int = 0
    open_positions: int = 0
    at: Timestamp = 0.0


@dataclass(frozen=True, slots=True)
class Incident:
    """Something a person must know about: what, since when, how bad, whose. `user_id` None: the owner's (the machine itself)."""

    incident_id: str
    kind: str  # "feed_silent" | "thread_died" | "journal_down" | "unknown_order" | "limit_warning" | "limit_reached" | ...
    message: str
    severity: str  # "info" | "warning" | "critical"
    since: Timestamp
    user_id: str | None = None
    account_id: str | None = None
    until: Timestamp | None = None  # set when it is over


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One line of an order's story: what happened, when, and the words or numbers that came with it."""

    order_id: str
    kind: str
    at: Timestamp
    detail: Mapping[str, Any] = field(default_factory=dict)

"""From one signal and one account to orders: what part is an exit, what part an entry, how much, and whether it may leave.

Runs under the desk's lock, so that what is admitted is reserved before anybody else is asked (law 6). It sends nothing and writes nothing:
its orders become real when the journal has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from engines.core import exits as exit_rules
from engines.core import positions as position_rules
from engines.core import risk as risk_rules
from engines.core import sizing as sizing_rules
from engines.core.model import (
    ZERO,
    Account,
    AccountMapping,
    Check,
    Denial,
    ExitSpec,
    Instrument,
    Order,
    OrderState,
    OrderType,
    PlanState,
    Position,
    Product,
    Role,
    Side,
    Signal,
    Source,
    Tick,
)
from engines.core.prices import exact, is_lot_multiple, is_tick_multiple
from engines.core.slicing import slices
from engines.execution.desk import Desk
from engines.execution.resting import held_back

CLOCK_SLACK = 1.0
"""Seconds a tick may lie ahead of our clock before its age counts as unknown."""


EXIT_PLAN = "exit_plan"
"""The check of what would guard the position: a plan that is there already goes on, and a stop that no price reaches is none."""


@dataclass(frozen=True, slots=True)
class Market:
    """What the plan is made against: the instrument, its newest tick and whether its exchange is open for this account."""

    instrument: Instrument
    tick: Tick | None
    age: float | None  # seconds
    max_age: float
    open: bool
    listed: bool = True  # this account's broker lists the instrument
    no_entry: str = ""  # why the account's own day allows no intraday entry now; empty: it does


@dataclass(frozen=True, slots=True)
class PlanTools:
    new_id: Callable[[], str]
    now: Callable[[], float]
    halt_denial: Callable[[Account, str | None], Denial | None]
    closed_trades: Callable[[str, str], Sequence[Decimal]]
    most_slices: int = 10
    combined_denial: Callable[[Account, str | None], tuple[Denial, str] | None] = lambda account, strategy_id: None  # noqa: ARG005
    settings_exits: Callable[[str], ExitSpec | None] = lambda strategy_id: None  # noqa: ARG005 - the exit plan of a strategy's settings


def reference_price(side: Side, order_type: OrderType, price: Decimal | None, trigger: Decimal | None, tick: Tick | None) -> Decimal | None:
    """What one unit is valued at: a limit at its price, a stop at its trigger, a MARKET order at the opposite quote."""
    if order_type in (OrderType.LIMIT, OrderType.SL) and price is not None:
        return price
    if order_type is OrderType.SL_M and trigger is not None:
        return trigger
    if tick is None:
        return None
    quote = tick.ask if side is Side.BUY else tick.bid
    try:
        return exact(quote if quote > 0 else tick.last_price)
    except ValueError:
        return None


def plan(
    desk: Desk,
    signal: Signal,
    mapping: AccountMapping | None,
    market: Market,
    tools: PlanTools,
    plan_id: str | None = None,
    *,
    goes_before: bool = False,
) -> tuple[Order, ...]:
    """The orders of this account for this signal, denied ones among them; those not denied are reserved when this returns. `plan_id`: the exit plan
    that asks for them. `goes_before`: units that exits which rest at a price have leave too, with orders that are `behind` these until they made way."""
    with desk.lock:
        planner = _Planner(desk, signal, mapping, market, tools, goes_before=goes_before)
        orders = planner.run()
        if plan_id is not None:
            orders = tuple(replace(order, plan_id=plan_id) for order in orders)
        for order in orders:
            if order.state is not OrderState.DENIED:
                desk.admit(order, planner.reference or ZERO)
        desk.behind.update(planner.behind)
        if any(order.raises_exposure for order in orders) and not signal.exits.empty:
            desk.specs[signal.key] = signal.exits
        return orders


def preview(desk: Desk, signal: Signal, mapping: AccountMapping | None, market: Market, tools: PlanTools) -> tuple[Order, ...]:
    """What `plan` would answer now, with nothing reserved."""
    with desk.lock:
        return _Planner(desk, signal, mapping, market, tools, goes_before=True).run()


NOT_ASKED_AGAIN = frozenset({Denial.MAX_TRADES.value, Denial.DRY_RUN.value})
"""Of an order that has been admitted and sent: it counts as a trade already."""
STOPS = frozenset({Denial.HALTED.value, Denial.KILL_SWITCH.value})


def only_smaller(order: Order, changed: Order) -> bool:
    """Whether nothing changes but that some of the quantity is taken back. Any other change may bring a fill about, also one that makes the order worth
    less: a limit to sell that goes down through the market."""
    return changed == replace(order, quantity=min(order.quantity, changed.quantity))


def check_change(desk: Desk, order: Order, changed: Order, market: Market, tools: PlanTools) -> Check | None:
    """The first check that an entry with new terms fails, asked as if it were planned anew in place of the old one; None: it may be changed.

    What it would then be worth is reserved before this returns. An order that becomes worth less passes every limit; a stop lets it become smaller only."""
    with desk.lock:
        if (
            desk.orders.get(order.order_id) is not order
        ):  # a fill or cancel came between: its news must not be undone by putting the old order back
            return Check("open", False, "the order has changed meanwhile")
        reserved = desk.references.get(order.order_id) or desk_reference(order, order.price)
        desk.forget([order])
        try:
            planner = _Planner(desk, _as_signal(changed), None, market, tools)
            before = order.remaining * desk_reference(order, planner.reference)
            value = (changed.quantity - order.filled_quantity) * (planner.reference or ZERO)
            checks: list[Check] = []
            sized = sizing_rules.Sized(changed.quantity, "as asked")
            planner.first_denial(changed.quantity - order.filled_quantity, sized, ZERO, checks)
        finally:
            desk.admit(order, reserved)
        failed = next((check for check in checks if not check.passed and check.name not in NOT_ASKED_AGAIN), None)
        stopped = failed is not None and failed.name in STOPS and not only_smaller(order, changed)
        if failed is not None and (stopped or value > before or failed.name == Denial.PRICE_BAND.value):
            return failed
        if order.remaining and value > before:
            desk.references[order.order_id] = value / order.remaining
        return None


def desk_reference(order: Order, fallback: Decimal | None) -> Decimal:
    """What one unit of a resting order is valued at: its own price, else the given one."""
    return order.price or order.trigger_price or fallback or ZERO


def _as_signal(order: Order) -> Signal:
    return Signal(
        key=order.signal_key,
        signal_id=order.order_id,
        user_id=order.user_id,
        source=Source.MANUAL,
        symbol=order.symbol,
        side=order.side,
        created_at=order.created_at,
        order_type=order.order_type,
        price=order.price,
        trigger_price=order.trigger_price,
        product=order.product,
        quantity=order.quantity,
        strategy_id=order.strategy_id,
        account_ids=(order.account_id,),
    )


class _Planner:
    """One use: the plan of one signal on one account."""

    def __init__(
        self,
        desk: Desk,
        signal: Signal,
        mapping: AccountMapping | None,
        market: Market,
        tools: PlanTools,
        *,
        goes_before: bool = False,
    ) -> None:
        self.goes_before, self.behind = goes_before, frozenset[str]()
        self.desk, self.signal, self.mapping, self.market, self.tools = desk, signal, mapping, market, tools
        self.account = desk.account
        self.instrument = market.instrument
        self.now = tools.now()
        self.reference = reference_price(signal.side, signal.order_type, signal.price, signal.trigger_price, market.tick)
        self.key = desk.key_of(signal)

    def run(self) -> tuple[Order, ...]:
        held = self.desk.position(self.key)
        opposite = held.quantity * self.signal.side.sign < 0
        sized = self._sized()
        if opposite:
            out, into = self._split(held, sized.quantity)
        else:
            out, into = ZERO, ZERO if self.signal.reduce_only else sized.quantity
        orders: list[Order] = []
        if out:
            orders += self._exits(out)
        if self.goes_before:
            orders += self._behind(sized.quantity, out)
        wants_entry = not self.signal.reduce_only and (into or not out)
        if wants_entry:
            orders += self._entries(into, sized, freed=out + (self._leaving() if opposite else ZERO))
        if not orders:
            orders.append(self._nothing_to_close())
        return tuple(orders)

    # --- how much

    def _sized(self) -> sizing_rules.Sized:
        if self.signal.reduce_only and self.signal.quantity is None:
            return sizing_rules.Sized(ZERO, "closes what is there")
        return sizing_rules.size(
            sizing_rules.SizingInput(
                capital=self.account.capital,
                mapping=self.mapping,
                instrument=self.instrument,
                price=self.reference,
                stop_price=self._stop_price(),
                quantity=self.signal.quantity,
                closed_trades=self._closed_trades(),
            )
        )

    def _stop_price(self) -> Decimal | None:
        if self.reference is None:
            return None
        return exit_rules.stop_for(self.signal.exits, self.signal.side, self.reference, self.instrument.tick_size)

    def _closed_trades(self) -> Sequence[Decimal]:
        if self.mapping is None or self.mapping.sizing.mode.value != "kelly":
            return ()
        return self.tools.closed_trades(self.mapping.account_id, self.mapping.strategy_id)

    def _split(self, held: Position, wanted: Decimal) -> tuple[Decimal, Decimal]:
        """Exit part and entry part. With a quantity the net change is that quantity; without one an opposite signal closes all and then
        enters its full size (stop and reverse), because sizes drift between two signals and a rest nobody wanted would stay."""
        free = self.desk.free_to_exit(self.key)
        if self.signal.reduce_only:
            return (min(free, wanted) if self.signal.quantity is not None else free), ZERO
        if self.signal.quantity is None:
            return free, wanted
        return position_rules.split(held.quantity, abs(held.quantity) - free, self.signal.side, wanted)

    def _leaving(self) -> Decimal:
        """Units of the opposite position that are on their way out at the market: who turns round in two signals needs its money only once."""
        return sum((o.remaining for o in self.desk.live_orders() if self._takes_out_now(o)), ZERO)

    def _takes_out_now(self, order: Order) -> bool:
        return (
            order.position_key == self.key
            and not order.raises_exposure
            and order.order_type is OrderType.MARKET
            and order.state is not OrderState.UNKNOWN
        )

    # --- exits: never asked about entry limits (law 7)

    def _exits(self, quantity: Decimal) -> list[Order]:
        role = self.signal.role or Role.EXIT
        if self.instrument.segment == "SPOT":  # what a fee in the coin itself left below a whole step cannot be sold
            quantity = quantity // self.instrument.lot * self.instrument.lot or quantity
        parts: tuple[Decimal, ...] = (quantity,)
        if is_lot_multiple(quantity, self.instrument.lot):
            parts = self._slices(quantity, most=1000)
        return [self._order(role, part) for part in parts]

    def _behind(self, wanted: Decimal, leaves: Decimal) -> list[Order]:
        """What is to leave as soon as the exits that rest have made way."""
        units = held_back(self.desk, self.signal, None if self.signal.quantity is None else wanted, leaves)
        orders = self._exits(units) if units else []
        self.behind = frozenset(order.order_id for order in orders)
        return orders

    # --- entries

    def _entries(self, quantity: Decimal, sized: sizing_rules.Sized, freed: Decimal) -> list[Order]:
        checks: list[Check] = []
        denial = self.first_denial(quantity, sized, freed, checks)
        if denial is not None:
            return [self._order(Role.ENTRY, quantity or self.signal.quantity or ZERO, tuple(checks), denial)]
        return [self._order(Role.ENTRY, part, tuple(checks)) for part in self._slices(quantity, most=self.tools.most_slices)]

    def _slices(self, quantity: Decimal, most: int) -> tuple[Decimal, ...]:
        return slices(quantity, self.instrument.lot, self.instrument.freeze_quantity, most)

    def first_denial(self, quantity: Decimal, sized: sizing_rules.Sized, freed: Decimal, checks: list[Check]) -> Denial | None:
        """Every check is asked and kept; the first that fails names the denial (order: API.md, "Order of reasons")."""
        found: Denial | None = None

        def ask(denial: Denial | None, name: str, detail: str) -> None:
            nonlocal found
            checks.append(Check(name, denial is None, detail))
            found = found or denial

        halted = self.tools.halt_denial(self.account, self.signal.strategy_id)
        ask(halted, halted.value if halted else Denial.HALTED.value, "a stop or switch forbids entries" if halted else "no stop holds")
        connected = self.desk.ready and self.account.enabled
        ask(None if connected else Denial.NOT_CONNECTED, Denial.NOT_CONNECTED.value, self.desk.state_detail)
        by_hand = self.signal.source is Source.MANUAL
        auto = self.account.may_enter and (self.account.auto_trade or by_hand)
        why = "by hand" if by_hand else "auto-trade is on" if auto else "auto-trade is off"
        why = why if self.account.may_enter else "whoever it belongs to may not trade (any more)"
        ask(None if auto else Denial.AUTO_TRADE_OFF, Denial.AUTO_TRADE_OFF.value, why)
        for denial, name, detail in self._market_questions():
            ask(denial, name, detail)
        exits = self._about_exits()
        if exits is not None:
            ask(exits[0], EXIT_PLAN, exits[1])
        forbidden, rule = self.tools.combined_denial(self.account, self.signal.strategy_id) or (None, "no combined P&L rule has been met")
        ask(forbidden, "combined_pnl", rule)
        denial, answers = risk_rules.check_entry(self._risk_input(quantity, freed))
        checks.extend(answers)
        found = found or denial
        ask(sized.denial, (sized.denial or Denial.ZERO_QUANTITY).value, sized.detail)
        if sized.denial is None:
            ask(*self._freeze_question(quantity))
        dry = Denial.DRY_RUN if self.account.dry_run else None
        ask(dry, Denial.DRY_RUN.value, "dry run: recorded, not sent" if dry else "live")
        return found

    def _about_exits(self) -> tuple[Denial | None, str] | None:
        """One plan guards one position: with more of it the stop and targets that somebody asks for are not used, and that is said. What would open a
        position that no stop can guard is denied. None: there is nothing to ask."""
        signal, plan = self.signal, self.desk.plans.get(self.key)
        if signal.exits.empty:
            return None
        if plan is None or plan.state is not PlanState.ARMED or plan.side is not signal.side:
            why = exit_rules.unreachable(signal.exits, signal.side, self.reference)
            return (Denial.PRICE_BAND, why) if why else None
        if signal.source not in (Source.MANUAL, Source.WEBHOOK):
            return None
        if signal.strategy_id is not None and signal.exits == self.tools.settings_exits(signal.strategy_id):
            return None
        stop = f" (stop {plan.stop})" if plan.stop is not None else ""
        return None, f"the position is guarded already{stop}: that plan grows; the stop and targets asked for here are not used"

    def _market_questions(self) -> list[tuple[Denial | None, str, str]]:
        why_closed = "" if self.market.open else "the market is closed"
        if not why_closed and self.signal.product is Product.MIS:
            why_closed = self.market.no_entry
        closed = Denial.MARKET_CLOSED if why_closed else None
        unknown = any(o.state is OrderState.UNKNOWN and o.symbol == self.signal.symbol for o in self.desk.live_orders())
        pending = Denial.UNKNOWN_ORDER_PENDING if unknown else None
        tick = self.market.tick
        last = tick.last_price if tick else None
        band: Denial | None = None
        if last is not None:
            band = risk_rules.check_price(
                self.instrument, self.signal.order_type, self.signal.price, self.signal.trigger_price, last, self.signal.side
            )
        listed = None if self.market.listed else Denial.NOT_TRADABLE
        return [
            (
                listed,
                Denial.NOT_TRADABLE.value,
                "listed" if self.market.listed else f"{self.signal.symbol} cannot be traded at this account's broker",
            ),
            (closed, Denial.MARKET_CLOSED.value, why_closed or "the market is open"),
            (pending, Denial.UNKNOWN_ORDER_PENDING.value, "an order here is unknown" if pending else "no unknown order here"),
            (band, Denial.PRICE_BAND.value, self._about_price(last)),
        ]

    def _about_price(self, last: float | None) -> str:
        asked = [price for price in (self.signal.price, self.signal.trigger_price) if price is not None]
        tick = self.instrument.tick_size
        odd = next((price for price in asked if not is_tick_multiple(price, tick)), None)
        if odd is not None:
            return f"{odd} is not a multiple of the tick size {tick}"
        return f"price {', '.join(map(str, asked)) or 'at market'}, last {last}, band {self.instrument.band_pct} %"

    def _freeze_question(self, quantity: Decimal) -> tuple[Denial | None, str, str]:
        try:
            count = len(self._slices(quantity, self.tools.most_slices)) if quantity else 0
        except ValueError as error:
            return Denial.FREEZE_QUANTITY, Denial.FREEZE_QUANTITY.value, str(error)
        return None, Denial.FREEZE_QUANTITY.value, f"{count} order(s)"

    def _risk_input(self, quantity: Decimal, freed: Decimal) -> risk_rules.RiskInput:
        desk, symbol = self.desk, self.signal.symbol
        price = self.reference
        value = quantity * price if price is not None else None
        pending = [o for o in desk.live_orders() if o.raises_exposure]
        positions = desk.open_positions()
        held = sum((abs(p.open_cost) for p in positions if p.key.symbol == symbol), ZERO)
        waiting = sum((o.remaining * desk.references.get(o.order_id, ZERO) for o in pending if o.symbol == symbol), ZERO)
        freed_value = freed * price if price is not None else ZERO
        product, leverage = self.signal.product, self.account.leverage
        side = self.signal.side
        margin = None
        if value is not None:
            margin = risk_rules.margin_required(self.instrument, product, side, value, leverage, quantity=quantity)
        released = risk_rules.margin_required(self.instrument, product, side.opposite, freed_value, leverage, quantity=freed)
        return risk_rules.RiskInput(
            limits=self.account.limits,
            capital=self.account.capital,
            day_pnl=desk.pnl().net,
            trades_today=desk.trades_today(),
            symbol=symbol,
            open_symbols={p.key.symbol for p in positions} | {o.symbol for o in pending},
            price=price,
            price_age=self._age(),
            order_value=value,
            position_value_after=None if value is None else max(ZERO, held - freed_value) + waiting + value,
            available_funds=desk.equity() - desk.used_margin() + released,
            required_margin=margin,
            max_price_age=self.market.max_age,
            locked=desk.day.locked,
        )

    def _age(self) -> float | None:
        age = self.market.age
        return max(0.0, age) if age is not None and age > -CLOCK_SLACK else age

    # --- shapes

    def _order(self, role: Role, quantity: Decimal, checks: tuple[Check, ...] = (), denial: Denial | None = None) -> Order:
        signal = self.signal
        return Order(
            order_id=self.tools.new_id(),
            account_id=self.account.account_id,
            user_id=self.account.user_id,
            signal_key=signal.key,
            symbol=signal.symbol,
            side=signal.side,
            quantity=quantity,
            order_type=signal.order_type,
            product=signal.product,
            role=role,
            created_at=self.now,
            updated_at=self.now,
            strategy_id=signal.strategy_id,
            price=signal.price,
            trigger_price=signal.trigger_price,
            state=OrderState.PLANNED if denial is None else OrderState.DENIED,
            reason=None if denial is None else denial.value,
            checks=checks,
        )

    def _nothing_to_close(self) -> Order:
        checks = (Check(Denial.ZERO_QUANTITY.value, False, "there is nothing to close"),)
        return self._order(self.signal.role or Role.EXIT, ZERO, checks, Denial.ZERO_QUANTITY)

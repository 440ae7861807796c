"""A paper account's whole life at random: orders, ticks, cancels, changes and restarts, against a ledger kept beside it."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from engines.core.matching import MatchingEngine, Outcome, OutcomeKind
from engines.core.model import ZERO, Instrument, OrderType, PaperSettings, Product, Side, Tick

INFY = Instrument("NSE:INFY", "Infosys", "NSE", Decimal("0.05"))
THIN = PaperSettings(partial_fills=True, slippage_ticks=Decimal(1))
MIDDLE = 30_000  # in ticks: 1500.00
levels = st.integers(MIDDLE - 40, MIDDLE + 40)
quantities = st.integers(1, 40).map(Decimal)


def price(level: int) -> Decimal:
    return level * INFY.tick_size


@dataclass(frozen=True)
class Asked:
    side: Side
    quantity: Decimal
    order_type: OrderType
    price: Decimal | None
    trigger_price: Decimal | None
    instrument: Instrument = INFY
    product: Product = Product.MIS
    reduce_only: bool = False


class PaperLife(RuleBasedStateMachine):
    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.engine = MatchingEngine(THIN)
        self.rng = Random(1)
        self.tick = self.quote(MIDDLE, 2)
        self.asked: dict[str, Asked] = {}
        self.filled: dict[str, Decimal] = {}
        self.open: set[str] = set()
        self.trades: set[str] = set()

    @staticmethod
    def quote(level: int, spread: int) -> Tick:
        bid, ask = float(price(level)), float(price(level + spread))
        return Tick("NSE:INFY", bid, bid, ask, 0.0)

    def book(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            name = outcome.broker_order_id
            assert name in self.open, "something happened to an order that was done"
            match outcome.kind:
                case OutcomeKind.FILL:
                    assert outcome.trade_id not in self.trades
                    assert outcome.quantity > 0
                    self.trades.add(outcome.trade_id)
                    self.filled[name] += outcome.quantity
                    if self.filled[name] == self.asked[name].quantity:
                        self.open.remove(name)
                case OutcomeKind.REJECTED | OutcomeKind.CANCELLED | OutcomeKind.EXPIRED:
                    self.open.remove(name)
                case OutcomeKind.ACCEPTED:
                    pass

    @rule(
        target=names,
        side=st.sampled_from(Side),
        kind=st.sampled_from(OrderType),
        quantity=quantities,
        level=levels,
        beyond=st.integers(0, 5),
    )
    def submit(self, side: Side, kind: OrderType, quantity: Decimal, level: int, beyond: int) -> object:
        name = f"B{len(self.asked)}"
        limit = price(level + side.sign * beyond) if kind in (OrderType.LIMIT, OrderType.SL) else None
        trigger = price(level) if kind in (OrderType.SL, OrderType.SL_M) else None
        self.asked[name] = Asked(side, quantity, kind, limit, trigger)
        self.filled[name] = ZERO
        self.open.add(name)
        self.book(list(self.engine.submit(self.asked[name], name, self.tick, 0.0, self.rng)))
        return name if name in self.open else multiple()

    @rule(level=levels, spread=st.integers(1, 6))
    def market_moves(self, level: int, spread: int) -> None:
        self.tick = self.quote(level, spread)
        self.book(list(self.engine.on_tick(self.tick, 0.0, self.rng)))

    @rule(name=names)
    def cancel(self, name: str) -> None:
        outcomes = list(self.engine.cancel(name, 0.0))
        assert bool(outcomes) is (name in self.open)
        self.book(outcomes)

    @rule(name=names, quantity=st.none() | quantities, level=st.none() | levels)
    def change(self, name: str, quantity: Decimal | None, level: int | None) -> None:
        order = self.asked[name]
        limit = None if level is None or order.price is None else price(level)
        try:
            outcomes = list(self.engine.modify(name, self.tick, 0.0, self.rng, quantity=quantity, price=limit))
        except ValueError:
            return
        self.asked[name] = replace(order, quantity=quantity or order.quantity, price=limit or order.price)
        self.book(outcomes)

    @rule()
    def restart(self) -> None:
        self.engine = MatchingEngine(THIN)
        for name in sorted(self.open):
            self.engine.restore(self.asked[name], name, self.filled[name])

    @rule()
    def the_day_ends(self) -> None:
        self.book(list(self.engine.expire(0.0)))
        assert not self.open

    @invariant()
    def what_is_open_there_is_open_here(self) -> None:
        assert {name for name in self.asked if self.engine.is_open(name)} == self.open
        assert self.engine.has_resting("NSE:INFY") is bool(self.open)

    @invariant()
    def nothing_traded_beyond_its_quantity(self) -> None:
        assert all(ZERO <= filled <= self.asked[name].quantity for name, filled in self.filled.items())


TestPaperLife = PaperLife.TestCase
TestPaperLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

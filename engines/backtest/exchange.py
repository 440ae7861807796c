"""The paper exchange's matching core, with a short way for what most of a backtest asks of it: a market order of a fair size on a known price.

Two thirds of a busy run would be spent on asking the long way. Nothing is decided otherwise here: a test holds both answers against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engines.core.exchange_rules import opposite_quote
from engines.core.matching import MatchingEngine
from engines.core.model import ONE, ZERO, ExitSpec, Instrument, OrderType, PaperSettings, Product, Role, Side, Tick
from engines.core.prices import exact, to_tick

_Asked = tuple[Tick | None, Side | None, Decimal]


@dataclass(slots=True)
class Order:
    """An order's terms, and what must be known of it when it fills. Not frozen, for that would cost thrice."""

    order_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None
    role: Role
    reason: str
    exits: ExitSpec | None
    reduce_only: bool
    note: str = ""
    trigger_price: Decimal | None = None


class Exchange(MatchingEngine):
    def __init__(self, slippage_ticks: Decimal, leverage: Decimal) -> None:
        super().__init__(PaperSettings(slippage_ticks=slippage_ticks), leverage)
        self._slippage = slippage_ticks
        self._valued: _Asked = (None, None, ZERO)  # asked twice when a position turns
        self._priced: _Asked = (None, None, ZERO)

    @property
    def working(self) -> bool:
        """Whether anything rests."""
        return bool(self._working)

    def value(self, side: Side, tick: Tick) -> Decimal:
        """What one unit is valued at when it is sized."""
        if tick is not self._valued[0] or side is not self._valued[1]:
            self._valued = tick, side, exact(opposite_quote(side, tick) or tick.last_price)
        return self._valued[2]

    def at_once(self, order: Order, tick: Tick) -> Decimal | None:
        """Where `submit` would fill this order whole and at once, money being no question; None: it takes `submit` to know."""
        instrument = order.instrument
        if order.order_type is not OrderType.MARKET or instrument.segment in ("SPOT", "INDEX") or order.product is Product.CNC:
            return None
        if instrument.quantity_step != ONE or order.quantity % instrument.lot_size:
            return None
        if instrument.freeze_quantity is not None and order.quantity > instrument.freeze_quantity:
            return None
        if tick is not self._priced[0] or order.side is not self._priced[1]:
            quote = opposite_quote(order.side, tick)
            if quote is None:
                return None
            size, sign = instrument.tick_size, order.side.sign
            price = to_tick(quote, size, "up" if sign > 0 else "down")
            if self._slippage:
                price = to_tick(price + sign * self._slippage * size, size, "up" if sign > 0 else "down")
            self._priced = tick, order.side, max(price, size)
        return self._priced[2]

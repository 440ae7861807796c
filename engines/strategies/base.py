"""What a strategy is: parameters, candles in, wishes out.

A strategy sees one instrument and says what it would like; it never sees an account, an order or a clock, so the same object runs live, on paper,
in a replay and in a backtest. A new one is one file in this folder: a subclass with `kind`, `Params` and `on_candle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

import pydantic
from pydantic_core import PydanticCustomError

from engines.core.model import Candle, ChartLevel, ExitSpec, Instrument, OrderType, Side, Tick, Timeframe
from engines.strategies.memory import recall, remember

__all__ = ["Parameters", "Preset", "Strategy", "Wish", "wrong"]


class Wish(NamedTuple):
    """What a strategy would like to happen. Prices are market data (floats); the runner puts them on the instrument's tick.

    `stop` and `targets` are prices; the targets share the entry equally. `exits` is the full recipe (trailing, percent, …) and wins over them.
    Without any of the three the exit plan of the strategy's own settings holds. `quantity` is for the rare strategy that insists; else each
    mapping sizes for its account.
    """

    side: Side
    reduce_only: bool = False
    stop: float | None = None
    targets: tuple[float, ...] = ()
    note: str = ""
    price: float | None = None  # a limit price; None: at the market
    exits: ExitSpec | None = None
    quantity: Decimal | None = None

    @property
    def order_type(self) -> OrderType:
        return OrderType.MARKET if self.price is None else OrderType.LIMIT


class Parameters(pydantic.BaseModel):
    """Base of every strategy's parameters: a field's title, description and bounds make the form, the JSON schema and the check."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def wrong(name: str, message: str) -> PydanticCustomError:
    """What a check of parameters raises when one is wrong because of another: `message` then stands at the field of `name`."""
    return PydanticCustomError("field", "{message}", {"message": message, "field": name})


class Preset(NamedTuple):
    """Named parameters of a kind that a person may begin with; what they leave out keeps its default."""

    name: str
    about: str
    params: Mapping[str, Any]


class Strategy:
    """One instance for each strategy and instrument.

    Fill in `kind`, `name`, `description` and `Params`; make indicators in `setup`; answer `self.buy()`, `self.sell()`, `self.close()` or None
    from `on_candle` (every closed candle) and, if it must be quicker than that, from `on_tick`.

    Every attribute survives a restart (numbers, text, lists, indicators…) unless its name begins with an underscore. `warmup` is how many past
    candles are played through `on_candle`, their wishes ignored, before the first that counts.

    `stance` is what the strategy last wished to be: 1 long, −1 short, 0 flat. It is not what any account holds: limits, stops and people decide that.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    Params: ClassVar[type[Parameters]] = Parameters
    presets: ClassVar[Mapping[str, Preset]] = {}
    candles: ClassVar[Timeframe] = Timeframe.M5  # what a form suggests
    own_exits: ClassVar[bool] = False  # says stop and targets with every entry, so that the exit plan of its settings is not asked

    def __init__(self, params: Any, symbol: str, timeframe: Timeframe, instrument: Instrument | None = None) -> None:
        """`instrument`: what `symbol` is, for a strategy that must know its segment; None where nobody knows."""
        self.params = params
        self.symbol = symbol
        self.timeframe = timeframe
        self.instrument = instrument
        self.stance = 0
        self.setup()

    # --- what a strategy fills in ---------------------------------------------------------------------------------

    @property
    def warmup(self) -> int:
        return 0

    @property
    def listens_to_ticks(self) -> bool:
        """Whether `on_tick` is to be called at all."""
        return type(self).on_tick is not Strategy.on_tick

    def setup(self) -> None:
        """Make indicators and other state from `self.params`."""

    def on_candle(self, candle: Candle) -> Wish | None:  # noqa: ARG002 - for subclasses
        """A candle has closed."""
        return None

    def on_tick(self, tick: Tick) -> Wish | None:  # noqa: ARG002 - for subclasses
        """The newest price; under load only the newest of several is seen."""
        return None

    def on_flat(self, price: float) -> None:
        """What it held is gone on every account although it did not say so: a stop, a target or a person. Its stance is flat already."""

    def levels(self) -> tuple[ChartLevel, ...]:
        """What it has worked out for the day, to be drawn. Asked after every candle: the very same tuple while nothing has changed."""
        return ()

    def says(self) -> str:
        """How it stands, in a few words for a person; empty when it has nothing to say. Asked after every candle."""
        return ""

    # --- what a strategy says -------------------------------------------------------------------------------------

    def buy(self, *, stop: float | None = None, targets: tuple[float, ...] = (), note: str = "", **more: Any) -> Wish:
        """Become long (from short: close first, then buy). More: `price` (limit), `exits`, `quantity`."""
        return Wish(Side.BUY, False, stop, targets, note, **more)

    def sell(self, *, stop: float | None = None, targets: tuple[float, ...] = (), note: str = "", **more: Any) -> Wish:
        """Become short (from long: close first, then sell). To leave a long without turning, `close`."""
        return Wish(Side.SELL, False, stop, targets, note, **more)

    def close(self, note: str = "") -> Wish | None:
        """Leave whatever it wished to be in; None when it is flat anyway."""
        if self.stance == 0:
            return None
        return Wish(Side.SELL if self.stance > 0 else Side.BUY, True, note=note)

    # --- what runners do with it ----------------------------------------------------------------------------------

    def accept(self, wish: Wish) -> tuple[Wish, ...]:
        """Take a wish as said: the stance follows, and a turn becomes two wishes, the close before the entry."""
        if wish.reduce_only:
            self.stance = 0
            return (wish,)
        before, self.stance = self.stance, wish.side.sign
        if before * self.stance < 0:
            return (Wish(wish.side, True, note=wish.note), wish)
        return (wish,)

    def state(self) -> dict[str, Any]:
        """What a restart needs, as plain JSON values: every attribute but the given ones and those that begin with an underscore."""
        return {name: remember(value, name) for name, value in vars(self).items() if name not in _GIVEN and name[0] != "_"}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state` gave; what it does not hold stays as `setup` made it."""
        for name, saved in state.items():
            if name not in _GIVEN:
                setattr(self, name, recall(getattr(self, name, None), saved))


_GIVEN = frozenset({"params", "symbol", "timeframe", "instrument"})

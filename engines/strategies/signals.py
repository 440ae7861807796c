"""From a strategy's wish to the signal that goes out: prices on the tick, and a name that is the same whenever it is said again.

Pure. The signal id follows from (strategy, instrument, moment, side), so a candle that is played twice asks for nothing twice (law 10).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from decimal import Decimal

from engines.core.model import ExitSpec, Instrument, Side, Signal, Source, StrategyConfig, TargetSpec, Timestamp
from engines.core.prices import to_tick
from engines.strategies.base import Wish

_HUNDRED = Decimal(100)
_UNFIT = re.compile(r"[^A-Za-z0-9_.]")


def signal_id(strategy_id: str, symbol: str, moment: Timestamp, wish: Wish) -> str:
    """At most 62 characters of letters, digits, `-_.`. `moment` is the start of the candle or the time of the tick that gave the wish."""
    code = ("X" if wish.reduce_only else "") + wish.side.value[0]
    at = round(moment * 1_000_000)
    digest = hashlib.sha256(f"{strategy_id}|{symbol}|{at}|{code}".encode()).hexdigest()
    return f"{_UNFIT.sub('_', strategy_id)[:24]}-{at}-{code}-{digest[:12]}"


def make_signal(wish: Wish, config: StrategyConfig, instrument: Instrument, moment: Timestamp, *, key: str, now: Timestamp) -> Signal:
    """The signal for a wish; ValueError when one of its prices is none (NaN, zero, negative)."""
    tick = instrument.tick_size
    return Signal(
        key=key,
        signal_id=signal_id(config.strategy_id, instrument.symbol, moment, wish),
        user_id=config.user_id,
        source=Source.STRATEGY,
        symbol=instrument.symbol,
        side=wish.side,
        created_at=now,
        order_type=wish.order_type,
        price=None if wish.price is None else _price(wish.price, tick, "price"),
        quantity=wish.quantity,
        strategy_id=config.strategy_id,
        exits=ExitSpec() if wish.reduce_only else _exits(wish, config, tick),
        reduce_only=wish.reduce_only,
        note=wish.note,
    )


def _exits(wish: Wish, config: StrategyConfig, tick: Decimal) -> ExitSpec:
    away = "down" if wish.side is Side.BUY else "up"  # a stop is rounded away from the price, never towards it
    if wish.exits is not None:
        return _on_tick(wish.exits, tick, away)
    if wish.stop is None and not wish.targets:
        return config.exit_plan or ExitSpec()
    return ExitSpec(
        stop_price=None if wish.stop is None else _price(wish.stop, tick, "stop", away),
        targets=tuple(
            TargetSpec(share_pct=share, price=_price(target, tick, "target"))
            for target, share in zip(wish.targets, _shares(len(wish.targets)), strict=True)
        ),
    )


def _on_tick(spec: ExitSpec, tick: Decimal, away: str) -> ExitSpec:
    """A strategy's own recipe with its prices on the tick; percents and points become prices with the fill."""
    return dataclasses.replace(
        spec,
        stop_price=None if spec.stop_price is None else _price(spec.stop_price, tick, "stop", away),
        targets=tuple(
            dataclasses.replace(
                target,
                price=None if target.price is None else _price(target.price, tick, f"target {n}"),
                then_price=None if target.then_price is None else _price(target.then_price, tick, f"stop after target {n}", away),
            )
            for n, target in enumerate(spec.targets, start=1)
        ),
    )


def _price(value: float | Decimal, tick: Decimal, what: str, mode: str = "nearest") -> Decimal:
    price = to_tick(value, tick, mode)  # type: ignore[arg-type]
    if price <= 0:
        raise ValueError(f"the {what} of a wish is not a price: {value}")
    return price


def _shares(count: int) -> list[Decimal]:
    """Equal percentages that add up to 100 exactly."""
    if not count:
        return []
    each = (_HUNDRED / count).quantize(Decimal("0.01"))
    return [*[each] * (count - 1), _HUNDRED - each * (count - 1)]

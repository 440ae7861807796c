"""The archive of what Tandem itself saw: hands the recorder what it needs, and makes a dataset of each day that is over.

The datasets are the workspace's: everybody reads them, the owner keeps them. Recording is never on the way of an order.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from app import market_work
from app.data import Actor, Data, Dataset, UserRole
from app.data.datasets import FOLDER, RECORDED
from engines.core.model import Candle, Timeframe
from engines.market.imports import Wish
from engines.market.recorder import Recorder
from engines.ports import Clock

if TYPE_CHECKING:
    from engines.system import TradingSystem

log = logging.getLogger("tandem.recording")

RECORDING = "recording"
_MACHINE = Actor(None)
_MOST_NAMES = 100


def recorder_for(what: str, system: TradingSystem, data: Data, clock: Clock) -> Recorder:
    """`what`: "candles" or "ticks". It listens from now on and writes once it is started."""
    store = system.candle_store
    recorder = Recorder(
        data.data_dir / FOLDER / RECORDING,
        clock,
        ticks=what == "ticks",
        wanted=lambda: {symbol for symbol, _ in store.pairs()},
        day_over=Archive(data).take,
        on_trouble=system.incident_log.raise_,
        on_clear=system.incident_log.resolve,
    )

    def on_candle(timeframe: Timeframe, candle: Candle) -> None:
        recorder.on_candle(timeframe, candle, store.is_live(candle.symbol))

    store.subscribe(on_candle)
    if what == "ticks":
        system.runtime.listeners.append(recorder.on_ticks)
    return recorder


class Archive:
    """Takes finished days over."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def take(self, path: Path, day: str, kind: str, source: str) -> bool:
        """Whether the file is taken care of. It stays, and is tried again, while there is no owner or the database cannot be written."""
        owner = next((user for user in self._data.users.all() if user.active and user.role is UserRole.OWNER), None)
        if owner is None:
            return False
        try:
            dataset = self._add(owner.user_id, path, f"{day} {source} {kind}")
        except market_work.CannotUse as error:
            if "has no rows" in str(error):
                return True
            log.warning("the recording %s cannot be read and is set aside: %s", path.name, error)
            path.replace(path.with_suffix(".unusable"))
            return True
        except Exception as error:  # a locked database, a full disk, a busy machine: the file is still there
            log.warning("the recording %s could not be taken over yet: %s", path.name, error)
            return False
        many = "" if len(dataset.symbols) == 1 else "s"
        log.info("recorded %s: %d rows of %d instrument%s", dataset.name, dataset.rows, len(dataset.symbols), many)
        return True

    def _add(self, owner_id: str, path: Path, name: str) -> Dataset:
        datasets = self._data.datasets
        taken = {dataset.name for dataset in datasets.list(owner_id)}
        free = next(each for each in (name, *(f"{name} ({n})" for n in range(2, _MOST_NAMES))) if each not in taken)
        wish = Wish(leave_out_bad=True)
        days = self._data.directory.calendar_days()
        return market_work.import_dataset(
            datasets, owner_id, path, wish, name=free, file_name=path.name, days=days, by=_MACHINE, kind=RECORDED
        )

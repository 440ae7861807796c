"""The feed of a workspace that wants real prices only: it names nothing and says nothing, the brokers' streams do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engines.core.model import Instrument, Tick


class QuietFeed:
    source = "live"
    finished = False

    def instruments(self) -> Sequence[Instrument]:
        return ()

    def prime(self) -> Sequence[Tick]:
        return ()

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:  # noqa: ARG002 - the port's
        return None

    def stop(self) -> None:
        return None

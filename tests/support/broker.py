"""What every double of a broker answers alike, so that each double shows only what it is there for."""

from __future__ import annotations

from collections.abc import Sequence

from engines.ports import BrokerPosition, BrokerTrade, Holding, Profile, Retry, StreamKey


class QuietBroker:
    """Signed in for good, owns nothing, has nothing to tell beyond its order book."""

    session_expires_at: float | None = None

    def stream_key(self) -> StreamKey | None:
        return None

    def positions(self) -> Sequence[BrokerPosition]:
        raise Retry("this double keeps no positions")  # none told is not none held

    def profile(self) -> Profile:
        return Profile("double")

    def holdings(self) -> Sequence[Holding]:
        return ()

    def trades(self) -> Sequence[BrokerTrade]:
        return ()

"""One broker's price stream: as many connections as its instruments need, signed in with one account's session at a time.

When that sign-in ends or is refused, the next account's takes its place; a price is stale until the new connection has told it. It tells what happened
through `tend`, so that no thread of a connection ever waits for ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from engines.brokers.socket import SocketState
from engines.market.streams.dialect import Dialect
from engines.market.streams.shard import OnTicks, Shard
from engines.ports import Clock, Listing, StreamKey

LONG_DOWN = 10.0
"""Seconds without a connection after which another account's sign-in, or another broker, is tried."""
TRY_AGAIN = 60.0
"""Seconds after which a refused sign-in is tried once more when there is no other."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`last_frame_age`: seconds since the quietest connection spoke; None: one is down, or there is none."""

    broker: str
    state: str
    sockets: int
    subscribed: int
    last_frame_age: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Event:
    """`trouble` None: it is over."""

    broker: str
    severity: str = "warning"
    trouble: str | None = None


class Stream:
    """Called under its market's lock, apart from `silence` and `status`."""

    def __init__(self, broker: str, dialect: Dialect, clock: Clock, rng: Random, on_ticks: OnTicks) -> None:
        self.broker = broker
        self.dialect = dialect
        self._clock, self._rng, self._on_ticks = clock, rng, on_ticks
        self._keys: dict[str, StreamKey | None] = {}
        self._refused: dict[str, float] = {}
        self._active: str | None = None
        self._shards: tuple[Shard, ...] = ()
        self._carrier: dict[str, Shard] = {}
        self._down_since: float | None = None  # with the present sign-in
        self._failing_since: float | None = None  # with any
        self._troubled = False
        self._detail = ""

    # --- whose sign-in -------------------------------------------------------------------------------------------------

    def offer(self, account_id: str, key: StreamKey | None) -> None:
        if not self.dialect.usable(key):
            self.withdraw(account_id)
            return
        renewed = account_id in self._keys and self._keys[account_id] != key
        self._keys[account_id] = key
        self._refused.pop(account_id, None)
        if self._active is None or (renewed and account_id == self._active) or self._active in self._refused:
            self._sign_in(account_id)

    def withdraw(self, account_id: str) -> None:
        self._keys.pop(account_id, None)
        self._refused.pop(account_id, None)
        if account_id == self._active:
            self._sign_in(self._next())

    def _next(self) -> str | None:
        """Another account than the present one, those not yet refused first."""
        others = [account_id for account_id in self._keys if account_id != self._active]
        return next((account_id for account_id in others if account_id not in self._refused), others[0] if others else None)

    def _sign_in(self, account_id: str | None) -> None:
        """Begin anew with this account's session; what was carried is carried on."""
        carried = {symbol: listing for shard in self._shards for symbol, listing in shard.wanted.items()}
        self._close()
        self._active = account_id
        self._down_since = None
        if account_id is not None:
            self.carry(carried)

    @property
    def signed_in(self) -> bool:
        return self._active is not None

    @property
    def healthy(self) -> bool:
        """Whether it is worth giving instruments to."""
        if self._active is None or self._active in self._refused:
            return False
        patience = LONG_DOWN if len(self._keys) == 1 else 2 * LONG_DOWN
        return self._failing_since is None or self._clock.monotonic() - self._failing_since < patience

    @property
    def room(self) -> int:
        manners = self.dialect.manners
        return manners.connections * manners.per_connection

    # --- what it carries -----------------------------------------------------------------------------------------------

    def carry(self, listings: Mapping[str, Listing]) -> None:
        """Exactly these, at most `room`. What is carried already stays on its connection; one that carries nothing is closed."""
        most = self.dialect.manners.per_connection
        shares = [{symbol: listings[symbol] for symbol in shard.wanted if symbol in listings} for shard in self._shards]
        placed = {symbol for share in shares for symbol in share}
        for symbol, listing in listings.items():
            if symbol in placed:
                continue
            share = next((share for share in shares if len(share) < most), None)
            if share is None:
                share = {}
                shares.append(share)
            share[symbol] = listing
        shards, carrier = [], {}
        for number, share in enumerate(shares):
            shard = self._shards[number] if number < len(self._shards) else None
            if not share:
                if shard is not None:
                    shard.close()
                continue
            shard = shard or self._open(number)
            shard.carry(share)
            shards.append(shard)
            carrier.update(dict.fromkeys(share, shard))
        self._shards, self._carrier = tuple(shards), carrier

    def _open(self, number: int) -> Shard:
        key = self._keys.get(self._active) if self._active is not None else None
        return Shard(f"{self.broker}-{number}", self.dialect, key, self._clock, self._rng, self._on_ticks)

    def _close(self, wait: float = 0.0) -> None:
        shards, self._shards, self._carrier = self._shards, (), {}
        for shard in shards:
            shard.close(wait)

    def stop(self) -> None:
        for shard in self._shards:
            shard.close()
        self._close(2.0)

    # --- how it fares --------------------------------------------------------------------------------------------------

    def tend(self) -> list[Event]:
        """A few times a second: replace what is mute, take another sign-in when this one fails, and say what has changed."""
        now = self._clock.monotonic()
        events = [event for number, shard in enumerate(self._shards) for event in self._look_at(shard, number)]
        down = bool(self._shards) and self._shards[0].state is not SocketState.OPEN
        self._down_since = (self._down_since or now) if down else None
        self._failing_since = (self._failing_since or now) if down else None
        if any(shard.state is SocketState.CLOSED for shard in self._shards):  # its thread has died; nobody here closed it
            events.append(self._trouble("has ended by itself and is begun anew"))
            self._sign_in(self._active)
        elif self._active in self._refused or (self._down_since is not None and now - self._down_since >= LONG_DOWN):
            self._fail_over(now)
        if events:
            self._troubled = True
        elif self._troubled and all(shard.state is SocketState.OPEN for shard in self._shards):
            self._troubled, self._detail = False, ""
            events.append(Event(self.broker))
        return events

    def _look_at(self, shard: Shard, number: int) -> list[Event]:
        events = []
        for state, reason in shard.reasons():
            if state is SocketState.REFUSED and number == 0:
                self._refused.setdefault(self._active or "", self._clock.monotonic())
                events.append(self._trouble(f"is not signed in ({reason}): its prices are stale until it is", "critical"))
            elif state is SocketState.REFUSED:
                shard.refused_at = self._clock.monotonic()
                events.append(
                    self._trouble(f"was refused connection {number + 1} ({reason}): the prices of what it should carry are stale")
                )
            else:
                events.append(self._trouble(f"broke off ({reason}): its prices are stale until it is back"))
        if shard.refused_at is not None and self._clock.monotonic() - shard.refused_at >= TRY_AGAIN:
            shard.refused_at = None
            shard.reconnect("tried once more")
        mute = shard.tend()
        if mute:
            events.append(self._trouble(f"is {mute}: its prices are stale until it is back"))
        notice, shard.book.notice = shard.book.notice, ""
        if notice:
            events.append(self._trouble(f"complains: {notice}"))
        return events

    def _trouble(self, what: str, severity: str = "warning") -> Event:
        self._detail = f"{self.dialect.name}'s price stream {what}"
        return Event(self.broker, severity, self._detail)

    def _fail_over(self, now: float) -> None:
        """Another account's sign-in; where there is none that may do, the refused one again after a while."""
        failed = self._active
        if failed is not None and failed in self._keys:
            self._keys[failed] = self._keys.pop(failed)  # to the end of the line
        other = self._next()
        since = self._refused.get(failed or "")
        if other is not None and other not in self._refused:
            self._sign_in(other)
        elif since is not None and now - since >= TRY_AGAIN:
            self._refused.clear()
            for shard in self._shards:
                shard.reconnect("tried once more")

    def silence(self, symbol: str) -> float | None:
        shard = self._carrier.get(symbol)
        return None if shard is None else shard.silence(symbol)

    def carries(self, symbol: str) -> bool:
        return symbol in self._carrier

    def status(self) -> StreamStatus:
        shards = self._shards
        ages = [shard.quiet() for shard in shards]
        order = (SocketState.REFUSED, SocketState.CLOSED, SocketState.WAITING, SocketState.CONNECTING, SocketState.OPEN)
        state = min((shard.state for shard in shards), key=order.index, default=None)
        return StreamStatus(
            broker=self.broker,
            state=state.value if state is not None else ("idle" if self.signed_in else "no account"),
            sockets=sum(line.client.state is SocketState.OPEN for shard in shards for line in shard.lines),
            subscribed=len(self._carrier),
            last_frame_age=None if None in ages else max((age for age in ages if age is not None), default=None),
            detail=self._detail,
        )

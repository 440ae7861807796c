"""What a back-test did as events of the event log, to be held against a replay's or a paper account's line by line (law 11)."""

from __future__ import annotations

from collections.abc import Iterator

from engines.backtest.played import Played
from engines.core.eventlog import Event, Moved, Refused, Said, Traded


def events_of(played: Played) -> Iterator[Event]:
    """Everything that was decided and done, account by account."""
    for decision in played.decisions:
        yield Said(decision.moment, decision.symbol, decision.signal_id, decision.side, decision.reduce_only)
    for seat in played.accounts:
        account_id = seat.account.account_id
        for fill in seat.fills:
            yield Traded(fill.at, account_id, fill.symbol, fill.side, fill.quantity, fill.price, fill.role)
        for move in seat.moves:
            yield Moved(move.at, account_id, move.symbol, move.kind, move.stop, move.target)
        for refusal in seat.refusals:
            if refusal.side is not None:
                yield Refused(refusal.at, account_id, refusal.symbol, refusal.side, refusal.reason)

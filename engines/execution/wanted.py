"""Whether an entry that was planned is still wanted when its turn comes: between the two a person may have switched something off.

Pure; asked under the gate of every entry, next to halts and limits. An exit is never asked.
"""

from __future__ import annotations

from collections.abc import Callable

from engines.core.model import Account, Denial, Order, Signal, Source


def withdrawn(
    account: Account, order: Order, signal: Signal | None, trades: Callable[[str, str], bool], runs: Callable[[str], bool]
) -> Denial | None:
    """Why the entry may no longer leave, by the account's switches of now and the mapping that brought it; None: it may.

    `signal`: what asked for it (None: of an earlier run, only the account's own switches are known to matter). `trades(strategy_id, account_id)`:
    whether the strategy's signals still reach the account; `runs(strategy_id)`: whether it has not been switched off meanwhile. Whoever names an account
    by hand needs neither switch nor mapping, but must be somebody who may trade."""
    if not account.enabled:
        return Denial.NOT_CONNECTED
    if account.dry_run:
        return Denial.DRY_RUN
    if not account.may_enter:
        return Denial.AUTO_TRADE_OFF
    if signal is None:
        return None
    if signal.source is not Source.MANUAL and not account.auto_trade:
        return Denial.AUTO_TRADE_OFF
    if signal.source is Source.STRATEGY and not runs(signal.strategy_id or ""):
        return Denial.AUTO_TRADE_OFF
    routed = signal.strategy_id is not None and not signal.account_ids
    if routed and not trades(signal.strategy_id or "", order.account_id):
        return Denial.AUTO_TRADE_OFF
    return None

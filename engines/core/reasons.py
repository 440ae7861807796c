"""Why Tandem refused an order, in a sentence for people; the same on pages and in messages."""

from __future__ import annotations

MARKET_CHANGED = "market_changed"
"""Of what ended on paper because the instrument's simulated prices gave way to real ones, or the other way round."""

REASONS = {
    "halted": "A halt holds, or the engines are off.",
    "kill_switch": "The kill switch of this account is on.",
    "auto_trade_off": "Auto-trade is off on this account: only manual signals and exits go through. Of somebody who may not trade (any more), exits alone.",
    "dry_run": "Dry-run: every check passed and the order is recorded, nothing was sent.",
    "daily_loss": "A loss limit of the day is used up: the account's own or a combined one.",
    "daily_profit": "A profit limit of the day is reached: the account's own or a combined one.",
    "max_trades": "The account has made all the trades it may make today.",
    "max_positions": "The account holds as many instruments as it may.",
    "order_value": "The order is worth more than one order of this account may be.",
    "position_value": "The position would be worth more than the account allows.",
    "insufficient_funds": "The free margin does not cover the order.",
    "zero_quantity": "Sizing gave less than one lot.",
    "stale_price": "There is no fresh price for the instrument.",
    "not_tradable": "The account's broker does not list the instrument.",
    "market_closed": "The market of the instrument is closed.",
    "unknown_order_pending": "An earlier order of this account in the instrument is still unknown.",
    "lot_size": "The quantity is not a whole number of lots.",
    "freeze_quantity": "The quantity needs more slices than one signal may have.",
    "price_band": "A price of the order is too far from the last price or not on a tick, or its stop or a target lies where no price goes.",
    "duplicate": "The same signal was here before.",
    "not_connected": "The account is not signed in at its broker.",
}
_ENDED = {
    MARKET_CHANGED: "Simulated prices gave way to real ones, or real ones to simulated: paper left at the last price of the market before.",
}
"""Of orders that were not refused: what else ended them."""


def reason(code: str | None) -> str:
    """A denial as a sentence; a broker's own words are passed on."""
    return REASONS.get(code or "") or _ENDED.get(code or "", code or "")

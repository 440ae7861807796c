"""The words and tones of states, reasons, brokers and roles, in one place so that every page says them alike.

Only text lives here; what a state means for trading is decided in the engines.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.pages import format as fmt
from engines.core import reasons

REASONS = reasons.REASONS

STATE_TONES = {
    # orders
    "planned": "info",
    "sending": "info",
    "accepted": "info",
    "lost": "warn",
    "open": "info",
    "partly_filled": "warn",
    "filled": "ok",
    "unknown": "warn",
    "denied": "warn",
    "rejected": "bad",
    "cancelled": "",
    "expired": "",
    "not_placed": "",
    # accounts
    "ready": "ok",
    "needs_login": "warn",
    "halted": "bad",
    "error": "bad",
    "disabled": "",
    # strategies, threads, halts, plans
    "running": "ok",
    "off": "",
    "quarantined": "bad",
    "stopped": "",
    "restarting": "warn",
    "dead": "bad",
    "flat": "ok",
    "working": "info",
    "stuck": "bad",
    "armed": "ok",
    "done": "",
    "lifted": "",
    # ladders
    "idle": "",
    "skipped": "",
    "blocked": "warn",
    "entry_sent": "info",
    "exit_sent": "warn",
    # incidents
    "info": "info",
    "warning": "warn",
    "critical": "bad",
}

CHECKS = {
    "halted": "No halt, engines on",
    "kill_switch": "Kill switch is off",
    "not_connected": "Signed in at the broker",
    "auto_trade_off": "May enter here",
    "dry_run": "Dry-run is off",
    "daily_loss": "Day's loss",
    "daily_profit": "Day's profit",
    "max_trades": "Entries of the day",
    "max_positions": "Open positions",
    "order_value": "Order value",
    "position_value": "Position value",
    "insufficient_funds": "Funds",
    "zero_quantity": "Size is one lot or more",
    "stale_price": "Price is fresh",
    "not_tradable": "Listed at this broker",
    "market_closed": "Market is open",
    "unknown_order_pending": "No order is unknown",
    "lot_size": "Whole lots",
    "freeze_quantity": "Number of slices",
    "price_band": "Price is in its band",
    "duplicate": "Not a repeat",
    "combined_pnl": "Combined P&L rules",
    "exit_plan": "Exit plan",
}

ENGINES = {
    "market": "Market prices",
    "strategy": "Strategies",
    "execution": "Orders and exits",
    "risk": "Limits of the day",
    "supervisor": "Watch over the others",
    "log-ins": "Automated log-ins",
}

BROKERS = {
    "paper": "Paper",
    "zerodha": "Zerodha",
    "angelone": "Angel One",
    "binance_spot": "Binance spot",
    "binance_usdm": "Binance USD-M futures",
}

SIZING = {
    "fixed_quantity": "Fixed quantity",
    "fixed_amount": "Fixed amount",
    "percent": "Percent of allocation",
    "risk": "Risk per trade",
    "kelly": "Kelly",
}

ROLES = {
    "owner": "Owner: runs the machine, people and engines; trades own accounts",
    "trader": "Trader: everything on accounts of their own",
    "viewer": "Viewer: sees, changes nothing",
}

TIMEFRAMES = (("1m", "1 minute"), ("5m", "5 minutes"), ("15m", "15 minutes"), ("1h", "1 hour"), ("1d", "1 day"))


def state_tone(state: Any) -> str:
    return STATE_TONES.get(str(state), "")


def reason(code: str | None) -> str:
    """What a denial means in a sentence; a broker's own words are passed on."""
    return reasons.reason(code)


TOLD_IN_FULL = frozenset({"market_closed", "daily_loss", "daily_profit"})
"""Reasons with more than one cause: what the check itself says tells which it is."""


def why(order: Any) -> str:
    """Why an order came to nothing: a denial in a sentence or, where that says too little, in the words of the check that failed."""
    if order.state != "denied":
        return order.reason or ""
    if order.reason in TOLD_IN_FULL and order.note:
        return f"{order.note[0].upper()}{order.note[1:]}."
    return reason(order.reason)


def check(name: str) -> str:
    """What was asked, not how it is called when it fails."""
    return CHECKS.get(name, fmt.words(name).capitalize())


def engine(name: str) -> str:
    return ENGINES.get(name, fmt.words(name).capitalize())


CONNECTING = {"starting": "starting …", "reconnecting": "connecting …"}
"""What the engines say of an account that has not been tried yet, and how that is called: the API counts it among the errors, because it cannot trade."""


def connecting(account: Any) -> str:
    """How an account that is only on its way is called; empty for every other."""
    return CONNECTING.get(account.state_detail, "") if account.state == "error" else ""


def strategy_state(state: str, held: str) -> tuple[str, str]:
    """(words, tone) of a strategy: one that runs while entries are held (`held`: "", "off" or "halted") only waits."""
    if state != "running" or not held:
        return fmt.words(state), state_tone(state)
    return ("halted", "bad") if held == "halted" else ("waiting: engines off", "warn")


def broker(code: str) -> str:
    return BROKERS.get(code, code)


def sizing(mapping: Any, currency: str = "INR") -> str:
    """What one signal is worth on a mapping, in a few words: `2 % risk`, `50 units × 2`."""
    mode, value = mapping.sizing.mode, mapping.sizing.value
    text = {
        "fixed_quantity": f"{fmt.quantity(value)} unit{'' if value == 1 else 's'}",
        "fixed_amount": f"{fmt.money(value, currency, 0)} a signal",
        "percent": f"{fmt.plain(value)} % a signal",
        "risk": f"{fmt.plain(mapping.risk_per_trade_pct)} % risk",
        "kelly": f"{fmt.plain(value)} of Kelly",
    }[mode]
    return text if fmt.decimal(mapping.multiplier) == 1 else f"{text} × {fmt.plain(mapping.multiplier)}"


def reentry(spec: Any) -> str:
    """A strategy's re-entries in a sentence."""
    when = {"asap": "at the next close", "cost": "when a close is back at the entry price"}.get(
        spec.mode, f"once a close is {fmt.plain(spec.move_pct)} % beyond the exit price"
    )
    after = {"stop": "a stop", "target": "the last target"}.get(spec.after, "a stop or the last target")
    parts = [
        f"Goes in again after {after}, {when}",
        "into the other direction" if spec.reverse else "",
        "once a day at most" if spec.most == 1 else f"at most {spec.most} times a day",
        f"not before {spec.cool_down_minutes} minutes have passed" if spec.cool_down_minutes else "",
        f"never from {spec.until} on" if spec.until else "",
    ]
    return ", ".join(filter(None, parts)) + "."


def meter_tone(pct: Any) -> str:
    number = fmt.decimal(pct)
    if number is None or number < 80:
        return ""
    return "bad" if number >= 100 else "warn"


def bounded(pct: Any) -> str:
    """A percentage as the value of a bar: 0 to 100."""
    number = fmt.decimal(pct) or Decimal(0)
    return fmt.plain(min(max(number, Decimal(0)), Decimal(100)).quantize(Decimal("0.1")))


PRICES = ("price", "coin", "rate")


def shaped(value: Any, shape: str, currency: str = "INR") -> str:
    """A number written in one of the shapes that `static/js/format.js` knows too."""
    if shape.startswith(PRICES):
        return fmt.priced(value, shape)
    match shape:
        case "money":
            return fmt.money(value, currency)
        case "signed":
            return fmt.money(value, currency, signed=True)
        case "money0":
            return fmt.money(value, currency, 0)
        case "signed0":
            return fmt.money(value, currency, 0, signed=True)
        case "quantity" | "count":
            return fmt.quantity(value)
        case "signed_quantity":
            return fmt.quantity(value, signed=True)
        case "percent":
            return fmt.percent(value)
        case "unread":
            return fmt.unread(value)
        case "age":
            return fmt.age(value)
        case "millis":
            return fmt.millis(value)
    raise ValueError(f"unknown shape {shape}")


FILTERS = {
    "state_tone": state_tone,
    "reason": reason,
    "why": why,
    "broker": broker,
    "engine": engine,
    "connecting": connecting,
    "strategy_state": strategy_state,
    "check": check,
    "sizing": sizing,
    "reentry": reentry,
    "meter_tone": meter_tone,
    "bounded": bounded,
    "shaped": shaped,
}

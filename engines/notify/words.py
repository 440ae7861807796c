"""What is said of an order and of a signal: facts in, one frozen `Message` out.

Pure: whoever calls has looked everything up. What is not known is left out, never guessed, and an order without the broker's last word is called unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.core import figures
from engines.core.messages import Event, Line, Message, Tone
from engines.core.model import ONE, ZERO, Order, OrderState, Role, Signal, Source, Timestamp
from engines.core.reasons import reason
from engines.core.risk import leverage_of

MOST_NAMES = 12
"""Accounts that one line of a summary names; the others are counted."""


@dataclass(frozen=True, slots=True)
class AccountNews:
    """What a message may say of an account. `balance`: its equity now, None when nobody knows."""

    name: str
    live: bool
    currency: str = "INR"
    leverage: Decimal | None = None
    balance: Decimal | None = None

    @property
    def mode(self) -> str:
        return "live" if self.live else "paper"


@dataclass(frozen=True, slots=True)
class OrderNews:
    """An order after its last word, or without one. `segment` and `tick`: of its instrument, empty and None when nobody knows it; `realised` and `charges`:
    of its own fills; `stop` and `targets`: of the plan that guards what it opened."""

    order: Order
    account: AccountNews
    strategy: str = ""
    signal_id: str = ""
    segment: str = ""
    charges: Decimal = ZERO
    realised: Decimal | None = None
    stop: Decimal | None = None
    targets: tuple[Decimal, ...] = ()
    tick: Decimal | None = None

    def price(self, value: Decimal) -> str:
        return _price(value, self.order.symbol, self.tick)


@dataclass(frozen=True, slots=True)
class SignalNews:
    """A signal and what became of it on every account of one person. `tick`: of its instrument, None when nobody knows it."""

    signal: Signal
    orders: tuple[Order, ...]
    accounts: Mapping[str, AccountNews]
    strategy: str = ""
    tick: Decimal | None = None

    def price(self, value: Decimal) -> str:
        return _price(value, self.signal.symbol, self.tick)


def _price(value: Decimal, symbol: str, tick: Decimal | None) -> str:
    """With the places of the instrument's tick, as on pages."""
    return figures.priced(value, figures.price_shape(symbol, tick))


# --- an order -------------------------------------------------------------------------------------------------------

_EVENTS = {OrderState.REJECTED: Event.REJECTIONS, OrderState.UNKNOWN: Event.REJECTIONS}
_LEGS = {Role.STOP: "Stop", Role.TARGET: "Target", Role.SQUARE_OFF: "Square-off", Role.EXIT: "Exit"}
_STATES = {
    OrderState.FILLED: "filled",
    OrderState.REJECTED: "rejected",
    OrderState.UNKNOWN: "unknown",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "expired",
    OrderState.NOT_PLACED: "not placed",
}
_TONES = {
    OrderState.FILLED: Tone.GOOD,
    OrderState.REJECTED: Tone.BAD,
    OrderState.UNKNOWN: Tone.WARN,
    OrderState.NOT_PLACED: Tone.WARN,
}
_PLAIN = {
    OrderState.REJECTED: "The broker refused it.",
    OrderState.UNKNOWN: (
        "No answer proves what became of it. The broker is being asked; nothing is sent again, and this account takes no new exposure in the"
        " instrument until there is evidence."
    ),
    OrderState.NOT_PLACED: "It never reached the broker's books: it is in neither of two complete reads of them.",
    OrderState.EXPIRED: "Its time was over before it traded in full.",
    OrderState.CANCELLED: "It was cancelled before it traded in full.",
}


def of_order(message_id: int, at: Timestamp, news: OrderNews) -> Message:
    """An order on one account: what traded, at what price, what guards it, what it cost, and why not where it did not."""
    order, account = news.order, news.account
    partly = bool(order.filled_quantity) and order.state is not OrderState.FILLED
    state = _STATES.get(order.state, order.state.value.replace("_", " "))
    leg = _LEGS.get(order.role)
    title = f"{leg + ': ' if leg else ''}{order.side.value} {figures.short_symbol(order.symbol)} · {'partly filled, then ' if partly else ''}{state}"
    return Message(
        message_id,
        "order",
        _EVENTS.get(order.state, Event.ORDERS),
        at,
        title,
        Tone.WARN if partly else _TONES.get(order.state, Tone.MUTED),
        _headline(news),
        tuple(_order_lines(news)),
        _ids(order, news.signal_id),
        order.signal_key,
        account.mode,
    )


def _headline(news: OrderNews) -> str:
    """Like this: 20 of 50 @ 1,520.05 on Main. It was cancelled before it traded in full."""
    order, account = news.order, news.account
    traded = order.filled_quantity and order.average_price is not None
    at = f" @ {news.price(order.average_price)}" if traded and order.average_price is not None else ""
    return (
        f"{_quantity(order) if traded else figures.quantity(order.quantity)}{at} on {account.name}. {_PLAIN.get(order.state, '')}".rstrip()
    )


def _order_lines(news: OrderNews) -> list[Line]:
    order, account, price = news.order, news.account, news.price
    traded = order.filled_quantity and order.average_price is not None
    entry = order.role is Role.ENTRY
    lines = [
        Line("Account", f"{account.name} ({account.mode})"),
        Line("Symbol", order.symbol),
        Line("Side", f"{order.side.value} · {order.product.value}"),
        Line("Quantity", _quantity(order)),
    ]
    if traded and order.average_price is not None:
        lines.append(Line("Entry price" if entry else "Price", price(order.average_price)))
        lines.append(Line("Value", figures.money(order.filled_quantity * order.average_price, account.currency)))
    elif order.price is not None:
        lines.append(Line("Limit price", price(order.price)))
    if entry and traded and news.segment and account.leverage is not None:
        leverage = leverage_of(news.segment, order.product, account.leverage)
        lines += [Line("Leverage", f"{figures.plain(leverage)}×")] if leverage > ONE else []
    if entry and news.stop is not None:
        lines.append(Line("Stop", price(news.stop)))
    if entry and news.targets:
        lines.append(Line("Targets" if len(news.targets) > 1 else "Target", " · ".join(map(price, news.targets))))
    if not entry and traded and news.realised is not None:
        lines.append(Line("Realised", figures.money(news.realised, account.currency, signed=True)))
    if traded:
        lines.append(Line("Charges", figures.money(news.charges, account.currency)))
    if account.balance is not None:
        lines.append(Line("Balance", figures.money(account.balance, account.currency)))
    if news.strategy:
        lines.append(Line("Strategy", news.strategy))
    if order.sent_at is not None and order.acknowledged_at is not None:
        lines.append(Line("Answered in", _millis(order.acknowledged_at - order.sent_at)))
    if order.reason and order.state is not OrderState.FILLED:
        lines.append(Line("Reason", _sentence(order), short=False))
    return lines


def _ids(order: Order, signal_id: str) -> str:
    parts = (("order", order.order_id), ("broker", order.broker_order_id), ("signal", signal_id))
    return " · ".join(f"{name} {value}" for name, value in parts if value)


def _quantity(order: Order) -> str:
    asked = figures.quantity(order.quantity)
    return asked if order.filled_quantity == order.quantity else f"{figures.quantity(order.filled_quantity)} of {asked}"


def _sentence(order: Order) -> str:
    """A denial in our words, a refusal in the broker's."""
    return reason(order.reason)


def _millis(seconds: float) -> str:
    ms = max(0.0, seconds * 1000)
    return f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.0f} s"


# --- a signal -------------------------------------------------------------------------------------------------------

_UNKNOWN, _PARTLY, _FILLED, _WORKING, _REJECTED, _NOT_PLACED, _EXPIRED, _CANCELLED, _DENIED = range(9)
_CLASS_OF = {
    OrderState.UNKNOWN: _UNKNOWN,
    OrderState.SENDING: _UNKNOWN,  # half a minute later that is the honest word
    OrderState.PLANNED: _WORKING,
    OrderState.OPEN: _WORKING,
    OrderState.PARTLY_FILLED: _PARTLY,
    OrderState.FILLED: _FILLED,
    OrderState.REJECTED: _REJECTED,
    OrderState.NOT_PLACED: _NOT_PLACED,
    OrderState.EXPIRED: _EXPIRED,
    OrderState.CANCELLED: _CANCELLED,
    OrderState.DENIED: _DENIED,
}
_NAMES = ("Unknown", "Partly filled", "Filled", "Waiting at the broker", "Rejected", "Not placed", "Expired", "Cancelled", "Not sent")
_TOLD = (_FILLED, _PARTLY, _UNKNOWN, _REJECTED, _NOT_PLACED, _EXPIRED, _CANCELLED, _DENIED, _WORKING)
_SOURCES = {Source.MANUAL: "by hand", Source.WEBHOOK: "webhook", Source.COPY: "copied", Source.SYSTEM: "by the system"}
_WITH_REASON = frozenset({_REJECTED, _DENIED, _NOT_PLACED, _EXPIRED, _CANCELLED, _UNKNOWN})


def of_signal(message_id: int, at: Timestamp, news: SignalNews) -> Message:
    """What became of a signal: how many of its accounts filled, who and at what price, who not and why. An account whose order nobody knows the end of is
    a class of its own, never one of the failed."""
    signal = news.signal
    by_account: dict[str, list[Order]] = {}
    for order in news.orders:
        by_account.setdefault(order.account_id, []).append(order)
    classes: dict[int, list[str]] = {}
    for account_id, orders in by_account.items():
        classes.setdefault(_class(orders), []).append(account_id)
    counts = {which: len(accounts) for which, accounts in classes.items()}
    total = len(by_account)
    head = f"{figures.short_symbol(signal.symbol)} {signal.side.value}{' (exit)' if signal.reduce_only else ''}"
    modes = {account.mode for key in by_account if (account := news.accounts.get(key))}
    return Message(
        message_id,
        "signal",
        Event.SUMMARIES,
        at,
        f"{head} · {counts.get(_FILLED, 0)}/{total} filled" if total else f"{head} · no account",
        _tone(counts, total),
        _story(counts, total),
        tuple(_signal_lines(news, by_account, classes, mixed=len(modes) > 1)),
        f"signal {signal.signal_id}",
        signal.key,
        modes.pop() if len(modes) == 1 else "",
    )


def _class(orders: Sequence[Order]) -> int:
    """Of all slices of an account together."""
    classes = {_CLASS_OF[order.state] for order in orders}
    if _UNKNOWN in classes:
        return _UNKNOWN
    if classes == {_FILLED}:
        return _FILLED
    if any(order.filled_quantity for order in orders):
        return _PARTLY
    return min(classes)


def _tone(counts: Mapping[int, int], total: int) -> Tone:
    filled = counts.get(_FILLED, 0)
    if total and filled == total:
        return Tone.GOOD
    if counts.get(_UNKNOWN) or counts.get(_PARTLY) or (filled and counts.get(_REJECTED)):
        return Tone.WARN
    if counts.get(_REJECTED) or counts.get(_NOT_PLACED):
        return Tone.BAD
    return Tone.INFO if filled or counts.get(_WORKING) else Tone.MUTED


def _story(counts: Mapping[int, int], total: int) -> str:
    """Like this: 5 filled, 1 rejected, 1 not sent."""
    if not total:
        return "No account was there to trade it."
    return ", ".join(f"{counts[which]} {_NAMES[which].lower()}" for which in _TOLD if which in counts)


def _signal_lines(
    news: SignalNews, by_account: Mapping[str, Sequence[Order]], classes: Mapping[int, Sequence[str]], *, mixed: bool
) -> list[Line]:
    signal = news.signal

    def name(account_id: str) -> str:
        account = news.accounts.get(account_id)
        if account is None:
            return "an account that is gone"
        return f"{account.name} ({account.mode})" if mixed else account.name

    lines = [Line("Symbol", signal.symbol), Line("From", news.strategy or _SOURCES.get(signal.source, "a strategy"))]
    lines += _totals(news, by_account)
    for which in _TOLD:
        accounts = sorted(classes.get(which, ()), key=name)
        if not accounts:
            continue
        if which in _WITH_REASON:
            value = "\n".join(f"{_names([name(key) for key in keys])}: {why}" for why, keys in _by_reason(accounts, by_account).items())
        else:
            value = _names([f"{name(key)} {_done(by_account[key], news.price)}".rstrip() for key in accounts])
        lines.append(Line(f"{_NAMES[which]} ({len(accounts)})", value, short=False))
    return lines


def _totals(news: SignalNews, by_account: Mapping[str, Sequence[Order]]) -> list[Line]:
    values: dict[str, Decimal] = {}
    slowest: tuple[float, str] | None = None
    for account_id, orders in by_account.items():
        account = news.accounts.get(account_id)
        for order in orders:
            if order.filled_quantity and order.average_price is not None:
                currency = account.currency if account else "INR"
                values[currency] = values.get(currency, ZERO) + order.filled_quantity * order.average_price
            if order.acknowledged_at is not None and account is not None:
                took = order.acknowledged_at - news.signal.created_at
                slowest = max(slowest, (took, account.name)) if slowest else (took, account.name)
    lines = [Line("Value", " + ".join(figures.money(value, currency) for currency, value in sorted(values.items())))] if values else []
    if slowest is not None:
        said = f"{_millis(slowest[0])} ({slowest[1]})" if len(by_account) > 1 else _millis(slowest[0])
        lines.append(Line("Slowest answer" if len(by_account) > 1 else "Answered in", said))
    return lines


def _done(orders: Sequence[Order], price: Callable[[Decimal], str]) -> str:
    """Like this: 50 @ 1,520.05, all slices together; where nothing has traded, what was asked for."""
    asked = sum((order.quantity for order in orders), ZERO)
    filled = sum((order.filled_quantity for order in orders), ZERO)
    if not filled:
        return figures.quantity(asked)
    cost = sum((order.filled_quantity * order.average_price for order in orders if order.average_price is not None), ZERO)
    part = "" if filled == asked else f" of {figures.quantity(asked)}"
    return f"{figures.quantity(filled)}{part} @ {price(cost / filled)}"


def _by_reason(accounts: Sequence[str], by_account: Mapping[str, Sequence[Order]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for account_id in accounts:
        order = min(by_account[account_id], key=lambda each: _CLASS_OF[each.state])
        found.setdefault(_sentence(order) or _PLAIN.get(order.state, "no reason was given"), []).append(account_id)
    return found


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:MOST_NAMES])} and {more} more"

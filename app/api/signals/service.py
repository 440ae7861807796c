"""Signals by hand: from a checked request to `TradingSystem.submit`, and what became of each. It sizes, admits and sends nothing itself.

`submit_manual` is on the way of every order: nothing on it reads the database, except to answer a question that only a mistake raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from app.api.exits import bad_spec
from app.api.idempotency import derived_name
from app.api.signals.schemas import (
    PreviewOrderOut,
    PreviewOut,
    SignalAnswer,
    SignalAnswers,
    SignalIn,
    SignalOrderOut,
    SignalOut,
    SignalQuery,
    TimingOut,
    Wish,
)
from app.api.terms import check_ticks
from app.api.wire import Page, moment
from app.data import Actor, NotFound, SignalRow, User
from app.problems import Problem, field_problem
from app.workspace import workspace
from engines.core.exit_specs import BadSpec, check_spec
from engines.core.facts import SignalTimed
from engines.core.model import Instrument, Order, OrderState, Signal, Source
from engines.execution.planning import EXIT_PLAN
from engines.execution.views import SignalOutcome

_ALL = SignalQuery()


def submit_manual(user: User, body: SignalIn, by: Actor) -> tuple[SignalAnswer, int]:
    """The answer and its status: 202, or 200 when it waited until all is settled, or when this signal id was used before."""
    accounts = owned_accounts(user, body.account_ids)
    if body.strategy_id is not None:
        workspace().owners.strategy(user, body.strategy_id)
    outcome = send(user, body, Source.MANUAL, body.strategy_id, accounts, body.signal_id or derived_name(), body.wait_ms)
    log_signal(body, outcome, by)
    done = outcome.duplicate or (body.wait_ms > 0 and outcome.settled)
    return answer(outcome), 200 if done else 202


def send(
    user: User,
    wish: Wish,
    source: Source,
    strategy_id: str | None,
    account_ids: tuple[str, ...],
    signal_id: str | None,
    wait_ms: int,
    *,
    note: str = "",
    reduce_only: bool = False,
) -> SignalOutcome:
    """Ids of accounts and strategy are the user's own: the caller has made sure."""
    shop = workspace()
    signal = make_signal(user, wish, source, strategy_id, account_ids, signal_id, note=note, reduce_only=reduce_only)
    try:
        check_order(wish, signal)
    except Problem:
        if signal_id is None or not _known(user, signal_id):  # the market may have moved since the first of this name was accepted
            raise
    return shop.system.submit(signal, wait_ms / 1000)


def log_signal(wish: Wish, outcome: SignalOutcome, by: Actor) -> None:
    """Into the audit log behind the orders, not before them: the signal itself is durable already, with each of its orders."""
    if not outcome.duplicate:
        after = {
            "symbol": wish.symbol,
            "side": wish.side,
            "order_type": wish.order_type,
            "quantity": wish.quantity,
            "orders": len(outcome.orders),
        }
        workspace().data.audit.add(by, "signal.sent", "signal", outcome.signal_id, after=after)


def preview(user: User, body: SignalIn) -> PreviewOut:
    """What the signal would do now on each account; nothing is recorded or sent."""
    accounts = owned_accounts(user, body.account_ids)
    if body.strategy_id is not None:
        workspace().owners.strategy(user, body.strategy_id)
    signal = make_signal(user, body, Source.MANUAL, body.strategy_id, accounts, body.signal_id)
    check_order(body, signal)
    return PreviewOut(orders=[_preview_out(order) for order in workspace().system.preview(signal)])


def list_signals(user: User, query: SignalQuery = _ALL) -> Page[SignalOut]:
    books = workspace().data.books
    if query.signal_id is not None:
        try:
            return Page(items=[get_signal(user, query.signal_id)])
        except NotFound:
            return Page(items=[])
    found = books.signals(
        user.user_id,
        source=query.source,
        symbol=query.symbol,
        side=query.side,
        strategy_id=query.strategy_id,
        account_id=query.account_id,
        since=query.from_,
        until=query.to,
        limit=query.limit,
        cursor=query.cursor,
    )
    return Page(items=[_as_it_is(row) for row in found.items], next=found.next)


def get_signal(user: User, signal_id: str) -> SignalOut:
    return _as_it_is(workspace().data.books.signal(user.user_id, signal_id))


def _as_it_is(row: SignalRow) -> SignalOut:
    return signal_out(replace(row, orders=tuple(map(as_it_is, row.orders))))


# --- checks --------------------------------------------------------------------------------------------------------


def owned_accounts(user: User, account_ids: Sequence[str] | None) -> tuple[str, ...]:
    """Each of them once; one that is unknown or another's refuses the whole request."""
    unique = tuple(dict.fromkeys(account_ids or ()))
    for account_id in unique:
        workspace().owners.account(user, account_id)
    return unique


def check_order(wish: Wish, signal: Signal) -> None:
    """What is wrong for every account alike is a bad field of the request, not a denial of each."""
    check_ticks(check_symbol(wish.symbol), wish.price, wish.trigger_price)
    check_exits(signal)


def check_symbol(symbol: str) -> Instrument:
    instrument = workspace().system.instruments.get(symbol)
    if instrument is None:
        raise field_problem("symbol", f"{symbol} is not a known instrument")
    if not instrument.tradable:
        raise field_problem("symbol", f"{symbol} is an index and cannot be traded")
    return instrument


def check_exits(signal: Signal) -> None:
    """A stop belongs on the losing side of the price, a target on the winning side, both where a price can go: anything else is a slip of the finger."""
    reference = signal.price or signal.trigger_price or _last_price(signal.symbol)
    try:
        check_spec(signal.exits, signal.side, reference)
    except BadSpec as error:
        raise bad_spec(error) from error


def _last_price(symbol: str) -> Decimal | None:
    return workspace().system.prices.mark(symbol)


def _known(user: User, signal_id: str) -> bool:
    try:
        workspace().data.books.signal(user.user_id, signal_id)
    except NotFound:
        return False
    return True


# --- shapes --------------------------------------------------------------------------------------------------------


def make_signal(
    user: User,
    wish: Wish,
    source: Source,
    strategy_id: str | None,
    account_ids: tuple[str, ...],
    signal_id: str | None,
    *,
    note: str = "",
    reduce_only: bool = False,
) -> Signal:
    shop = workspace()
    key = shop.ids.new()
    return Signal(
        key=key,
        signal_id=signal_id or key,
        user_id=user.user_id,
        source=source,
        symbol=wish.symbol,
        side=wish.side,
        created_at=shop.clock.now(),
        order_type=wish.order_type,
        price=wish.price,
        trigger_price=wish.trigger_price,
        product=wish.product,
        quantity=wish.quantity,
        strategy_id=strategy_id,
        account_ids=account_ids,
        exits=wish.spec(),
        note=note,
        reduce_only=reduce_only,
    )


def answer(outcome: SignalOutcome) -> SignalAnswer:
    return SignalAnswer(
        signal_id=outcome.signal_id,
        received_at=moment(outcome.received_at),
        duplicate=outcome.duplicate,
        orders=[order_brief(order) for order in outcome.orders],
        timing=timing_out(outcome.timing),
    )


def answers(outcomes: Sequence[SignalOutcome]) -> SignalAnswers:
    each = [answer(outcome) for outcome in outcomes]
    return SignalAnswers(signals=each, orders=[order for one in each for order in one.orders])


def as_it_is(order: Order) -> Order:
    """A row of the books, told as `sending` while its bytes are out: that is written down with what comes of them."""
    if order.state is not OrderState.PLANNED:
        return order
    now = workspace().system.order(order.order_id, order.account_id)
    return now if now is not None and now.state is OrderState.SENDING else order


def order_brief(order: Order) -> SignalOrderOut:
    return SignalOrderOut(
        order_id=order.order_id,
        client_id=order.client_id,
        account_id=order.account_id,
        state=order.state.value,
        reason=order.reason,
        quantity=order.quantity,
        broker_order_id=order.broker_order_id,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        note=note_of(order),
    )


def note_of(order: Order) -> str | None:
    """The first check that failed, in its own words, or that the stop and targets of this entry are not used; None: nothing to say."""
    failed = next((check for check in order.checks if not check.passed), None) if order.state is OrderState.DENIED else None
    told = failed or next((check for check in order.checks if check.name == EXIT_PLAN), None)
    return told.detail or None if told is not None else None


def timing_out(timing: SignalTimed | None) -> TimingOut:
    if timing is None:
        return TimingOut()
    return TimingOut(
        planned_ms=timing.planned_ms,
        journaled_ms=timing.journaled_ms,
        first_sent_ms=timing.first_sent_ms,
        last_sent_ms=timing.last_sent_ms,
        last_acknowledged_ms=timing.last_acknowledged_ms,
    )


def signal_out(row: SignalRow) -> SignalOut:
    signal = row.signal
    return SignalOut(
        signal_id=signal.signal_id,
        source=signal.source.value,
        symbol=signal.symbol,
        side=signal.side.value,
        order_type=signal.order_type.value,
        product=signal.product.value,
        quantity=signal.quantity,
        price=signal.price,
        trigger_price=signal.trigger_price,
        strategy_id=signal.strategy_id,
        note=signal.note,
        created_at=moment(signal.created_at),
        orders=[order_brief(order) for order in row.orders],
        timing=timing_out(row.timing),
    )


def _preview_out(order: Order) -> PreviewOrderOut:
    price = order.price or _last_price(order.symbol)
    return PreviewOrderOut(
        account_id=order.account_id,
        quantity=order.quantity,
        reason=order.reason,
        value=order.quantity * price if price is not None else None,
        detail="; ".join(check.detail for check in order.checks if check.detail),
        note=note_of(order),
    )

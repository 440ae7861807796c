"""Signals, orders, trades and the order ticket: what was wished, what became of it, and how to wish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Response, abort, request

from app.pages import export, words
from app.pages import format as fmt
from app.pages.room import accounts, by_account, every_strategy, filters, form, names, older, page, price_shape, reads, room, strategy_names

routes = room("trade")

ORDER_FILTERS = ("account_id", "strategy_id", "symbol", "side", "state", "role", "signal_id", "live", "from", "to")
SIGNAL_FILTERS = ("source", "symbol", "side", "strategy_id", "account_id", "from", "to")
TRADE_FILTERS = ("account_id", "strategy_id", "symbol", "side", "order_id", "from", "to")
STATES = ("planned", "denied", "sending", "unknown", "open", "partly_filled", "filled", "cancelled", "rejected", "expired", "not_placed")
ROLES = ("entry", "exit", "stop", "target", "square_off")
TOLD_BEFORE = ("planned", "sent")  # the story tells these as its checks and its request
SOURCES = ("manual", "strategy", "webhook", "copy", "system")


def spoken(codes: Iterable[str]) -> list[tuple[str, str]]:
    """Codes as the choices of a filter."""
    return [(code, fmt.words(code)) for code in codes]


# --- the ticket ----------------------------------------------------------------------------------------------------


@routes.get("/order")
@form
def ticket() -> Response:
    """One ticket for every account; the address may fill it in (?symbol=&side=&account=&strategy=)."""
    symbol = request.args.get("symbol", "")
    quote = next(iter(reads().quotes([symbol])), None) if symbol else None
    return page(
        "orders/ticket.html",
        accounts=accounts(),
        strategies=reads().own_strategies(),
        symbol=symbol,
        quote=quote,
        side=request.args.get("side", "BUY"),
        chosen=set(request.args.getlist("account")) or ({accounts()[0].id} if len(accounts()) == 1 else set()),
        reasons=words.REASONS,
        strategy_id=request.args.get("strategy", ""),
        quantity=request.args.get("quantity", ""),
    )


# --- signals -------------------------------------------------------------------------------------------------------


@routes.get("/signals")
def signals() -> Response:
    args = filters(*SIGNAL_FILTERS)
    found = reads().signals(args)
    return page(
        "signals/list.html",
        signals=found,
        args=args,
        sources=spoken(SOURCES),
        accounts=accounts(),
        names=names(),
        strategy_names=strategy_names(),
        next_url=older(args, found.next),
        pace=pace(found.items),
    )


def pace(signals: list[Any]) -> float:
    """The milliseconds that fill a bar: four times the usual, so that one slow signal does not make all others look alike."""
    known = sorted(signal.timing.last_acknowledged_ms for signal in signals if signal.timing.last_acknowledged_ms is not None)
    return min(known[-1], 4 * known[len(known) // 2]) or 1.0 if known else 1.0


@routes.get("/signals.csv")
def signals_csv() -> Response:
    held, known = names(), every_strategy()
    columns = (
        "created_at",
        "signal_id",
        "source",
        "symbol",
        "side",
        "order_type",
        "product",
        "strategy",
        "account",
        "state",
        "reason",
        "quantity",
        "filled",
    )
    rows = (
        [
            s.created_at,
            s.signal_id,
            s.source,
            s.symbol,
            s.side,
            s.order_type,
            s.product,
            known.get(s.strategy_id, ""),
            held.get(o.account_id, ""),
            o.state,
            o.reason,
            o.quantity,
            o.filled_quantity,
        ]
        for s in export.every(reads().signals, filters(*SIGNAL_FILTERS))
        for o in s.orders
    )
    return export.answer("signals", columns, rows)


@routes.get("/signals/<signal_id>")
def signal(signal_id: str) -> Response:
    found = reads().signal(signal_id)
    orders = reads().orders({"signal_id": signal_id, "limit": "500"}).items
    return page(
        "signals/show.html",
        signal=found,
        orders=by_account(orders),
        accounts={a.id: a for a in accounts()},
        names=names(),
        strategy_names=strategy_names(),
        lanes=timing_bars(found),
    )


def timing_bars(signal: Any) -> list[tuple[str, float | None, float]]:
    """The stages of a signal as (name, milliseconds, share of the whole in percent)."""
    timing = signal.timing
    stages = (
        ("Planned and checked", timing.planned_ms),
        ("Durable in the journal", timing.journaled_ms),
        ("First order sent", timing.first_sent_ms),
        ("Last order sent", timing.last_sent_ms),
        ("Last answer in", timing.last_acknowledged_ms),
    )
    whole = max((ms for _, ms in stages if ms is not None), default=0.0) or 1.0
    return [(name, ms, 0.0 if ms is None else round(100 * ms / whole, 1)) for name, ms in stages]


# --- orders and trades ---------------------------------------------------------------------------------------------


@routes.get("/orders")
def orders() -> Response:
    args = filters(*ORDER_FILTERS)
    found = reads().orders(args)
    return page(
        "orders/list.html",
        orders=found,
        args=args,
        names=names(),
        states=spoken(STATES),
        roles=spoken(ROLES),
        accounts=accounts(),
        by_id={account.id: account for account in accounts()},
        strategy_names=strategy_names(),
        next_url=older(args, found.next),
    )


@routes.get("/orders.csv")
def orders_csv() -> Response:
    held, known = names(), every_strategy()
    columns = (
        "created_at",
        "order_id",
        "account",
        "symbol",
        "side",
        "role",
        "order_type",
        "product",
        "quantity",
        "filled",
        "average_price",
        "price",
        "trigger_price",
        "state",
        "reason",
        "strategy",
        "broker_order_id",
        "updated_at",
    )
    rows = (
        [
            o.created_at,
            o.order_id,
            held.get(o.account_id, ""),
            o.symbol,
            o.side,
            o.role,
            o.order_type,
            o.product,
            o.quantity,
            o.filled_quantity,
            o.average_price,
            o.price,
            o.trigger_price,
            o.state,
            o.reason,
            known.get(o.strategy_id, ""),
            o.broker_order_id,
            o.updated_at,
        ]
        for o in export.every(reads().orders, filters(*ORDER_FILTERS))
    )
    return export.answer("orders", columns, rows)


@routes.get("/orders/<order_id>")
def order(order_id: str) -> Response:
    found = reads().order(order_id)
    account = next((account for account in accounts() if account.id == found.account_id), None)
    return page("orders/show.html", order=found, account=account, story=story(found), strategy_names=strategy_names())


@routes.get("/orders/<order_id>/change")
@form
def change(order_id: str) -> Response:
    found = reads().order(order_id)
    if found.state not in ("open", "partly_filled"):
        abort(404)
    return page("orders/change.html", order=found)


@routes.get("/trades")
def trades() -> Response:
    args = filters(*TRADE_FILTERS)
    found = reads().trades(args)
    return page(
        "orders/trades.html",
        trades=found,
        args=args,
        names=names(),
        accounts=accounts(),
        by_id={account.id: account for account in accounts()},
        strategy_names=strategy_names(),
        next_url=older(args, found.next),
    )


@routes.get("/trades.csv")
def trades_csv() -> Response:
    held, known = names(), every_strategy()
    columns = (
        "traded_at",
        "trade_id",
        "order_id",
        "account",
        "symbol",
        "side",
        "product",
        "quantity",
        "price",
        "charges",
        "realised",
        "strategy",
    )
    rows = (
        [
            t.traded_at,
            t.trade_id,
            t.order_id,
            held.get(t.account_id, ""),
            t.symbol,
            t.side,
            t.product,
            t.quantity,
            t.price,
            t.charges,
            t.realised,
            known.get(t.strategy_id, ""),
        ]
        for t in export.every(reads().trades, filters(*TRADE_FILTERS))
    )
    return export.answer("trades", columns, rows)


def story(order: Any) -> list[dict[str, Any]]:
    """What happened after the order was sent, each event with the milliseconds since the one before and its words in a line."""
    lines = []
    before = order.request.sent_at or order.created_at
    for event in sorted(order.events, key=lambda event: event.at):
        if event.kind.lower() in TOLD_BEFORE:
            continue
        gap = (event.at - before).total_seconds() * 1000
        lines.append({"kind": event.kind, "at": event.at, "gap_ms": max(gap, 0), "text": detail(event.detail, price_shape(order.symbol))})
        before = event.at
    return lines


def detail(values: dict[str, Any], shape: str = "price") -> str:
    """The words and numbers of an event in one line: `quantity 50 · price 1,520.05 · broker order id 2408…`."""
    parts = []
    for name, value in values.items():
        if value is None or value in ("", [], {}):
            continue
        number = fmt.decimal(value) if not isinstance(value, bool) and name.endswith(("price", "quantity", "charges")) else None
        parts.append(f"{name.replace('_', ' ')} {fmt.priced(number, shape) if number is not None and name.endswith('price') else value}")
    return " · ".join(parts)

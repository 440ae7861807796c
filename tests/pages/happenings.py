"""What happened in the sample book: orders in every state, the signals they came from, and trades; no engine made them."""

from __future__ import annotations

from app.api.orders.schemas import OrderOut, TradeOut
from app.api.signals.schemas import SignalOrderOut, SignalOut, TimingOut
from tests.pages.things import PRICES, D, ago

STATES = [
    ("filled", None),
    ("open", None),
    ("partly_filled", None),
    ("denied", "daily_loss"),
    ("rejected", "RMS: margin exceeds by 12,400"),
    ("unknown", None),
    ("cancelled", None),
    ("sending", None),
    ("planned", None),
    ("expired", None),
    ("not_placed", None),
    ("denied", "auto_trade_off"),
]


def order(number: int, account_id: str, state: str, reason: str | None, signal_id: str = "sbin-20261120-1115") -> OrderOut:
    symbol = ["NSE:SBIN", "NSE:INFY", "NSE:RELIANCE"][number % 3]
    filled = {"filled": D(150), "partly_filled": D(60)}.get(state, D(0))
    limit = number % 3 == 1
    return OrderOut(
        order_id=f"0MHXQ{number:02d}7K2PD9ZR4B",
        client_id=f"0MHXQ{number:02d}7K2PD9ZR4B",
        account_id=account_id,
        state=state,
        reason=reason,
        quantity=D(150),
        broker_order_id=None if state in ("denied", "planned", "sending", "unknown", "not_placed") else f"P-{88120 + number}",
        filled_quantity=filled,
        average_price=D(PRICES[symbol]) if filled else None,
        signal_id=signal_id,
        symbol=symbol,
        side="BUY" if number % 4 else "SELL",
        role=["entry", "entry", "stop", "target", "square_off"][number % 5],
        order_type="LIMIT" if limit else "SL-M" if number % 5 == 2 else "MARKET",
        price=D("1518.00") if limit else None,
        trigger_price=D("802.60") if number % 5 == 2 and not limit else None,
        product="MIS",
        strategy_id="S1" if number % 2 else None,
        created_at=ago(40 + 37 * number),
        updated_at=ago(39 + 37 * number),
    )


ORDERS = [order(n, f"A{n % 3 + 1}", *STATES[n % len(STATES)], "sbin-20261120-1115" if n < 5 else f"infy-{n % 9}") for n in range(26)]


def signal(
    id: str,
    symbol: str,
    side: str,
    source: str,
    strategy_id: str | None,
    seconds: float,
    states: list[tuple[str, str, str | None]],
    last: float,
) -> SignalOut:
    return SignalOut(
        signal_id=id,
        source=source,
        symbol=symbol,
        side=side,
        order_type="MARKET",
        product="MIS",
        quantity=None if strategy_id else D(50),
        price=None,
        trigger_price=None,
        strategy_id=strategy_id,
        note="fast 9 above slow 21" if strategy_id else "",
        created_at=ago(seconds),
        orders=[
            SignalOrderOut(
                order_id=f"0MHXQ{i:02d}7K2PD9ZR4B",
                client_id="C",
                account_id=account_id,
                state=state,
                reason=reason,
                quantity=D(150),
                broker_order_id=None,
                filled_quantity=D(150) if state == "filled" else D(0),
                average_price=D("812.40") if state == "filled" else None,
            )
            for i, (account_id, state, reason) in enumerate(states)
        ],
        timing=TimingOut(planned_ms=0.6, journaled_ms=2.1, first_sent_ms=2.4, last_sent_ms=last * 0.6, last_acknowledged_ms=last),
    )


ALL_FILLED = [
    ("A1", "filled", None),
    ("A2", "filled", None),
    ("A3", "denied", "dry_run"),
    ("A4", "denied", "not_connected"),
    ("A5", "denied", "kill_switch"),
]
SIGNALS = [
    signal("sbin-20261120-1115", "NSE:SBIN", "BUY", "strategy", "S1", 75, ALL_FILLED, 58.2),
    signal(
        "manual-7f31",
        "NSE:INFY",
        "SELL",
        "manual",
        None,
        210,
        [("A1", "filled", None), ("A2", "open", None), ("A3", "rejected", "RMS: margin exceeds by 12,400")],
        61.9,
    ),
    signal("tv-alert-991", "NSE:RELIANCE", "BUY", "webhook", None, 480, [("A1", "partly_filled", None), ("A2", "unknown", None)], 3012.4),
    *[
        signal(f"infy-{n}", "NSE:INFY", "BUY" if n % 2 else "SELL", "strategy", "S2", 900 + 300 * n, ALL_FILLED[:2], 11.0 + n)
        for n in range(9)
    ],
]

TRADES = [
    TradeOut(
        trade_id=f"T{n}",
        order_id="0MHXQ007K2PD9ZR4B",
        broker_order_id="P-88120",
        account_id=f"A{n % 3 + 1}",
        strategy_id="S1" if n % 2 else None,
        symbol="NSE:SBIN",
        side="SELL" if n % 3 == 0 else "BUY",
        product="MIS",
        quantity=D(75),
        price=D("812.40") - n,
        charges=D("31.2375"),
        realised=D("412.50") if n % 3 == 0 else None,
        traded_at=ago(60 + 200 * n),
    )
    for n in range(9)
]

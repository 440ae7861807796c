"""Every address of the pages, as the sample book fills it; what tests walk through."""

from __future__ import annotations

ORDER = "0MHXQ007K2PD9ZR4B"
OPEN_ORDER = "0MHXQ017K2PD9ZR4B"
DENIED_ORDER = "0MHXQ037K2PD9ZR4B"
UNKNOWN_ORDER = "0MHXQ057K2PD9ZR4B"

ROOMS = (
    "/",
    "/positions",
    "/positions?flat=true",
    "/orders",
    "/orders?live=true",
    "/trades",
    "/signals",
    "/signals?source=manual",
    "/pnl",
    "/pnl?by=account",
    "/pnl?by=strategy",
    "/accounts",
    "/strategies",
    "/mappings",
    "/health",
    "/halts",
    "/settings",
    "/settings/log",
    "/help",
    "/emergency-stop",
    "/order",
    "/order?symbol=NSE:INFY&side=SELL&account=A1",
    "/accounts/new",
    "/strategies/new",
    "/strategies/new?kind=threshold",
    "/mappings/new",
)
THINGS = (
    *(f"/accounts/A{n}" for n in range(1, 6)),
    "/accounts/A1/edit",
    "/accounts/A3/edit",
    *(f"/strategies/S{n}" for n in range(1, 5)),
    "/strategies/S1/edit",
    "/strategies/S2/edit",
    "/mappings/new?strategy=S1&account=A5",
    "/mappings/M1/edit",
    "/mappings/M5/edit",
    "/signals/sbin-20261120-1115",
    f"/orders/{ORDER}",
    f"/orders/{DENIED_ORDER}",
    f"/orders/{UNKNOWN_ORDER}",
    f"/orders/{OPEN_ORDER}/change",
    "/positions/P1/plan",
    "/positions/P2/plan",
    "/positions/P4/close",
    "/halts/H0",
)
FORMS = (
    "/emergency-stop",
    "/order",
    "/order?symbol=NSE:INFY&side=SELL&account=A1",
    "/accounts/new",
    "/accounts/A1/edit",
    "/accounts/A3/edit",
    "/strategies/new",
    "/strategies/new?kind=threshold",
    "/strategies/S1/edit",
    "/strategies/S2/edit",
    "/mappings/new",
    "/mappings/new?strategy=S1&account=A5",
    "/mappings/M1/edit",
    "/mappings/M5/edit",
    f"/orders/{OPEN_ORDER}/change",
    "/positions/P1/plan",
    "/positions/P2/plan",
    "/positions/P4/close",
)
"""Pages that are a form, and so nothing for a viewer."""
FILES = ("/orders.csv", "/trades.csv", "/signals.csv", "/pnl.csv")

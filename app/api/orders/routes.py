"""Routes of orders and trades."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.orders import service
from app.api.orders.schemas import OrderOut, OrderPatch, OrderQuery, OrderStoryOut, TradeOut, TradeQuery
from app.api.wire import Page

routes = Routes("orders")


@routes.get("/api/orders", query=OrderQuery, out=Page[OrderOut])
def index(call: Call) -> Page[OrderOut]:
    """The caller's orders."""
    return service.list_orders(call.user, call.query)


@routes.get("/api/orders/{id}", out=OrderStoryOut)
def show(call: Call, id: str) -> OrderStoryOut:  # noqa: A002 - the name of the path's parameter
    """The whole story of one order: signal, checks, request, answers, fills."""
    return service.get_order(call.user, id)


@routes.post("/api/orders/{id}/cancel", always=True, way_out=True, out=OrderOut, status=202, errors=(409,))
def cancel(call: Call, id: str) -> OrderOut:  # noqa: A002
    """Asks the broker to cancel; 409 when the order is final."""
    return service.cancel(call.user, id, call.by)


@routes.patch("/api/orders/{id}", body=OrderPatch, out=OrderOut, status=202, errors=(409,))
def modify(call: Call, id: str) -> OrderOut:  # noqa: A002
    """Asks the broker to change quantity or prices; 409 when the order is final."""
    return service.modify(call.user, id, call.body, call.by)


@routes.get("/api/trades", query=TradeQuery, out=Page[TradeOut])
def trades(call: Call) -> Page[TradeOut]:
    """The caller's trades."""
    return service.list_trades(call.user, call.query)

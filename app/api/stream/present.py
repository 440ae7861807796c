"""How what the engines publish looks on the stream: the same shapes as the JSON API has, so that a page needs to know only one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.api.orders.service import order_out, plain
from app.api.positions.service import position_out
from app.api.signals.service import signal_out
from app.api.system.service import halt_out, incident_out
from app.data import SignalRow
from app.workspace import Workspace
from engines.core.model import Halt, Incident, Order, Position, Signal
from engines.execution.views import PositionView, SignalOutcome


def present(shop: Workspace, kind: str, payload: Any) -> str:
    """One line of JSON. Engine values are shaped as in the API; anything else is written as it is."""
    shaped = _shape(shop, kind, payload)
    if isinstance(shaped, BaseModel):
        return shaped.model_dump_json()
    return json.dumps(plain(shaped))


def _shape(shop: Workspace, kind: str, payload: Any) -> Any:
    subject = payload.get(kind) if isinstance(payload, Mapping) else payload
    match subject:
        case Order():
            return order_out(subject, payload.get("signal_id") if isinstance(payload, Mapping) else None)
        case PositionView():
            return position_out(subject)
        case Position():
            return position_out(PositionView(subject, None, None, None))
        case Signal():
            outcome = payload.get("outcome") if isinstance(payload, Mapping) else None
            if isinstance(outcome, SignalOutcome):
                return signal_out(SignalRow(subject, outcome.orders, outcome.timing))
            return signal_out(SignalRow(subject, (), None))
        case Halt():
            only = shop.owners.owner_of_halt(subject)  # who hears of it; nobody alone of one of the whole system
            return halt_out(shop, shop.data.users.known(only) if only else None, subject)
        case Incident():
            return incident_out(subject)
    return payload

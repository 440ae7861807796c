"""Orders whose answer was lost, looked for in the order book where our name is missing.

Zerodha may show a protected market order without the tag that we gave it. Such a row is taken for ours only when exactly one row fits exactly one
lost order; everything else is left to the name, or to a person.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engines.brokers.updates import OrderMemory
from engines.brokers.zerodha import rows
from engines.core.model import OrderType, Timestamp
from engines.ports import Clock, OrderReport, OrderRequest

BEFORE, AFTER = 2.0, 120.0
"""Seconds around the send within which an order must have reached Zerodha to be the lost one: clocks differ, and orders have come late."""
_MAY_LOSE_ITS_TAG = frozenset({OrderType.MARKET, OrderType.SL_M})
_KEPT = 200


@dataclass(frozen=True, slots=True)
class _Sent:
    request: OrderRequest
    at: Timestamp


class Lost:
    """The lane adds; the lane and the update worker look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: dict[str, _Sent] = {}

    def add(self, request: OrderRequest) -> None:
        with self._lock:
            self._sent[request.client_id] = _Sent(request, self._clock.now())
            while len(self._sent) > _KEPT:
                del self._sent[next(iter(self._sent))]

    def find(self, book: Sequence[Mapping[str, Any]], memory: OrderMemory) -> list[OrderReport]:
        """The rows as reports; a nameless one that can only be a lost order of ours carries its name."""
        reports = [rows.order(row) for row in book]
        with self._lock:
            if not self._sent:
                return reports
            for report in reports:
                if report.client_id is not None:
                    self._sent.pop(report.client_id, None)
            lost = dict(self._sent)
        named = memory.named()
        free = [
            (report, row)
            for report, row in zip(reports, book, strict=True)
            if report.client_id is None and report.broker_order_id not in named and not rows.somebody_elses(row)
        ]
        fitting = {name: [report for report, row in free if _fits(sent, report, row)] for name, sent in lost.items()}
        adopted: dict[str, str] = {}
        for name, found in fitting.items():
            rivals = [other for other, theirs in fitting.items() if other != name and any(report in found for report in theirs)]
            if len(found) == 1 and not rivals:
                adopted[found[0].broker_order_id] = name
        with self._lock:
            for broker_order_id, name in adopted.items():
                memory.name(broker_order_id, name)
                self._sent.pop(name, None)
        return [replace(report, client_id=adopted.get(report.broker_order_id, report.client_id)) for report in reports]


def _fits(sent: _Sent, report: OrderReport, row: Mapping[str, Any]) -> bool:
    request = sent.request
    placed = rows.moment(row.get("order_timestamp"))
    return (
        request.order_type in _MAY_LOSE_ITS_TAG
        and (report.symbol, report.side, report.quantity) == (request.instrument.symbol, request.side, request.quantity)
        and row.get("product") == request.product.value
        and placed is not None
        and sent.at - BEFORE <= placed <= sent.at + AFTER
    )

"""How long things take: the newest thousand measurements of each kind, and their percentiles for the health page."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping


class LatencyBoard:
    def __init__(self, keep: int = 1000) -> None:
        self._lock = threading.Lock()
        self._keep = keep
        self._rings: dict[str, deque[float]] = {}

    def add(self, name: str, ms: float) -> None:
        with self._lock:
            ring = self._rings.get(name)
            if ring is None:
                ring = self._rings[name] = deque(maxlen=self._keep)
            ring.append(ms)

    def percentiles(self) -> Mapping[str, float]:
        """`NAME_p50` and `NAME_p99` in milliseconds for every kind that has been measured."""
        with self._lock:
            copies = {name: sorted(ring) for name, ring in self._rings.items()}
        out: dict[str, float] = {}
        for name, values in copies.items():
            out[f"{name}_p50"] = round(values[len(values) // 2], 3)
            out[f"{name}_p99"] = round(values[min(len(values) - 1, int(len(values) * 0.99))], 3)
        return out

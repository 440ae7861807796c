"""A broker that outlives the program: real HTTP on loopback, fills every order at once that is not to rest, and remembers each one it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Ledger:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.orders: list[dict[str, Any]] = []

    def book(self, order: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            booked = order | {"order_id": f"L{len(self.orders) + 1}"}
            self.orders.append(booked)
            return booked

    def cancel(self, order_id: str) -> dict[str, Any]:
        """Only what rests is ever asked for."""
        with self.lock:
            (order,) = [order for order in self.orders if order["order_id"] == order_id]
            order["rests"] = "cancelled"
            return order

    def names(self) -> list[str]:
        return [order["client_id"] for order in self.orders]

    def net(self) -> Decimal:
        return sum((Decimal(o["quantity"]) * (1 if o["side"] == "BUY" else -1) for o in self.orders if not o.get("rests")), Decimal(0))


@contextmanager
def serving(ledger: Ledger) -> Iterator[int]:
    """The port on which the ledger answers POST /orders (also to cancel one) and GET /orders."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(ledger.cancel(order["cancel"]) if "cancel" in order else ledger.book(order))

        def do_GET(self) -> None:
            with ledger.lock:
                self._answer(list(ledger.orders))

        def _answer(self, data: Any) -> None:
            body = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the program was killed before the answer

        def log_message(self, *_args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            return None  # a killed client is what this is for

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

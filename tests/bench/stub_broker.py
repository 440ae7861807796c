"""A broker made of nothing but delay: HTTP/1.1 on loopback, keep-alive, each order answered a fixed time after its last byte came in.

One selector and a queue of answers that are due, so that it costs little beside what is measured. It remembers every client id it was sent, so
that a benchmark can ask afterwards whether any order came twice or never. Run as a module it prints its port and serves until its input ends.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Connection:
    """One client's socket and the bytes of it that do not make a request yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def requests(self) -> Iterator[tuple[bytes, bytes]]:
        """Each complete (first line, body)."""
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            first, *lines = head.split(b"\r\n")
            length = next((int(line.partition(b":")[2]) for line in lines if line[:15].lower() == b"content-length:"), 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            yield first, rest[:length]


class StubBroker:
    """POST: booked at once, answered after `delay` seconds. GET: answered at once, `/orders` with how often each client id came."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.seen: Counter[str] = Counter()
        self.due: deque[tuple[float, Connection, bytes]] = deque()  # the delay is the same for all, so this stays sorted
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.port: int = self.listener.getsockname()[1]

    def run(self, until: socket.socket | int) -> None:
        """Serves until `until` becomes readable."""
        self.selector.register(until, selectors.EVENT_READ)
        while True:
            wait = max(0.0, self.due[0][0] - time.perf_counter()) if self.due else None
            for key, _ in self.selector.select(wait):
                if key.fileobj == until:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._read(key.data)
            while self.due and self.due[0][0] <= time.perf_counter():
                _, connection, answer = self.due.popleft()
                self._send(connection, answer)

    def _accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def _read(self, connection: Connection) -> None:
        try:
            chunk = connection.sock.recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.selector.unregister(connection.sock)
            connection.sock.close()
            return
        connection.buffer += chunk
        for first, body in connection.requests():
            if first.startswith(b"POST"):
                self.due.append((time.perf_counter() + self.delay, connection, self._book(body)))
            else:
                self._send(connection, _answer(dict(self.seen)))

    def _book(self, body: bytes) -> bytes:
        order = json.loads(body)
        self.seen[order["client_id"]] += 1
        return _answer({"order_id": f"B{self.seen.total():07d}", "price": order.get("price")})

    @staticmethod
    def _send(connection: Connection, answer: bytes) -> None:
        try:
            connection.sock.sendall(answer)
        except OSError:  # the client has gone, and so has whoever wanted to know
            connection.buffer = b""


def _answer(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextmanager
def stub_broker(delay_ms: float) -> Iterator[int]:
    """A stub broker in a process of its own; gives its port."""
    command = [sys.executable, "-m", "tests.bench.stub_broker", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--delay-ms", type=float, default=50.0)
    broker = StubBroker(options.parse_args().delay_ms / 1000)
    print(broker.port, flush=True)
    broker.run(sys.stdin.fileno())


if __name__ == "__main__":
    main()

"""The floor of a fan-out: the same requests to the same broker with raw sockets and one selector, no engine, no thread, no library.

Nothing in Python can be much faster, so a ratio to it says what the engine adds, whatever the machine.
"""

from __future__ import annotations

import json
import selectors
import socket
import time


def fan_out_ms(port: int, accounts: int, rounds: int) -> list[float]:
    """Milliseconds from the first write to the last answer, for each round; one warm connection an account."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(accounts)]
    laps = []
    try:
        with selectors.DefaultSelector() as ready:
            for sock in sockets:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(sock, selectors.EVENT_READ)
            for lap in range(rounds + 2):
                requests = [_request(lap, account) for account in range(accounts)]
                started = time.perf_counter()
                for sock, request in zip(sockets, requests, strict=True):
                    sock.sendall(request)
                waiting = accounts
                while waiting:
                    for key, _ in ready.select():
                        answer = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        assert answer.startswith(b"HTTP/1.1 200")
                        waiting -= 1
                laps.append((time.perf_counter() - started) * 1000)
    finally:
        for sock in sockets:
            sock.close()
    return laps[2:]  # the first two warm it up


def _request(lap: int, account: int) -> bytes:
    body = json.dumps(
        {
            "client_id": f"FLOOR{lap:05d}X{account:05d}",
            "symbol": "NSE:INFY",
            "side": "BUY",
            "quantity": "1",
            "order_type": "MARKET",
            "product": "MIS",
        }
    ).encode()
    return b"POST /orders HTTP/1.1\r\nHost: stub\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

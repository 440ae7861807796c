"""The web server in this process: a listening socket that is taken first, and a loop that ends when it is told to.

It knows nothing of trading. The socket listens before anything else is touched, so that a taken port costs nothing; whoever connects meanwhile
waits in the socket's queue until the workspace is ready.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from app.launch.errors import CannotRun

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer

BACKLOG = 1024
CONNECTIONS = 500  # select() on Windows ends at 512
BODY_LIMIT = 72 << 20  # a last wall; the application answers 413 from 1 MiB on, and from 64 MiB where files are sent


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the first address that `host` means. Raises CannotRun when the port is taken or not ours to take."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise CannotRun(f"cannot listen on {host}: no such address") from None
    family, kind, protocol, _, address = min(found, key=lambda row: row[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would share the port with whoever has it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotRun(f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}") from None
    sock.setblocking(False)
    return sock


class WebServer:
    """Serves `app` on `listener` until `stop` is called, from a signal handler or any thread."""

    def __init__(self, app: Any, listener: socket.socket, *, threads: int, proxy: str | None = None) -> None:
        """`proxy`: the address whose word is taken for where a request comes from (X-Forwarded-For); of anybody else it is not."""
        from waitress.server import create_server

        forwarded = {"trusted_proxy": proxy, "trusted_proxy_headers": {"x-forwarded-for"}, "trusted_proxy_count": 1} if proxy else {}
        self._stopping = threading.Event()
        self._server: BaseWSGIServer = create_server(
            app,
            sockets=[listener],
            threads=threads,
            backlog=BACKLOG,
            connection_limit=CONNECTIONS,
            channel_timeout=120,
            max_request_body_size=BODY_LIMIT,
            asyncore_use_poll=hasattr(select, "poll"),
            ident=None,  # what serves it is nobody's business
            **forwarded,
        )

    def run(self) -> None:
        """Blocks until `stop`."""
        server = self._server
        while not self._stopping.is_set():
            server.asyncore.loop(timeout=1.0, use_poll=server.adj.asyncore_use_poll, map=server._map, count=1)

    def stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._server.trigger.pull_trigger()

    def close(self, wait: float) -> None:
        """Answers under way get `wait` seconds to leave; then every connection is closed."""
        server, dispatcher = self._server, self._server.task_dispatcher
        until = time.monotonic() + wait
        while time.monotonic() < until and (dispatcher.active_count or dispatcher.queue or self._unsent()):
            server.asyncore.loop(timeout=0.02, use_poll=server.adj.asyncore_use_poll, map=server._map, count=1)
        dispatcher.shutdown(cancel_pending=True, timeout=0.5)
        server.asyncore.close_all(server._map, ignore_all=True)

    def _unsent(self) -> bool:
        return any(channel.total_outbufs_len for channel in list(self._server.active_channels.values()))

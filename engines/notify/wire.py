"""One HTTP request to a messenger: no redirect is followed, nothing is repeated, and no address (which holds the secret) is ever in an error."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.ports import Clock

if TYPE_CHECKING:
    from urllib3 import PoolManager

CONNECT = 5.0
READ = 10.0
_MOST = 256 * 1024  # bytes of an answer that are read


class Lost(Exception):
    """There is no answer; the text says why in plain words. Whether the request was taken is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`body`: the JSON object of the answer, or an empty one. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class Wire:
    """Warm connections to messengers, shared by all threads that send. Made when first used: the import is not free."""

    def __init__(self, clock: Clock, *, connect: float = CONNECT, read: float = READ) -> None:
        self._clock = clock
        self._connect, self._read = connect, read
        self._pool: PoolManager | None = None
        self._lock = threading.Lock()

    def post(self, url: str, body: Mapping[str, Any]) -> Reply:
        """Raises Lost."""
        import urllib3

        timeout = urllib3.Timeout(connect=self._connect, read=self._read)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "Tandem", "Accept": "application/json"}
        until = self._clock.monotonic() + self._read
        try:
            response = self._manager().request(
                "POST", url, body=text, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=False
            )
            try:
                raw = b""
                while len(raw) < _MOST and (piece := response.read1(_MOST)):
                    raw += piece
                    if self._clock.monotonic() > until:  # an answer in drops, each within its time
                        response.close()
                        raise Lost("did not answer in time")
                response.drain_conn() if len(raw) < _MOST else response.close()
            finally:
                response.release_conn()
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError):
            raise Lost("could not be reached") from None
        except urllib3.exceptions.TimeoutError:
            raise Lost("did not answer in time") from None
        except urllib3.exceptions.SSLError:
            raise Lost("its certificate cannot be trusted") from None
        except (urllib3.exceptions.HTTPError, OSError):
            raise Lost("broke the connection off") from None
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, _object(raw))

    def _manager(self) -> PoolManager:
        with self._lock:
            if self._pool is None:
                import urllib3

                _hush()
                self._pool = urllib3.PoolManager(num_pools=8, maxsize=4, retries=False)
            return self._pool

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.clear()
                _hush()
                self._pool = None


def _hush() -> None:
    """urllib3 tells of requests with their address, in which the secret is: of every one, and as a warning of one whose answer's headers are broken."""
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def seconds(*texts: object) -> float:
    """The longest of several ways to say how long to wait; 0 where none is a number."""
    found = 0.0
    for text in texts:
        try:
            value = float(str(text))
        except ValueError:
            continue
        if 0 < value < 86_400 * 7:
            found = max(found, value)
    return found


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}

"""Doubles of Discord and Telegram: real HTTP servers on loopback that know the providers' paths, limits and moods, and keep what they took.

A mood is asked for by name, one for each request to come: "ok", "limit 0.2" (429), "global 0.2" (429 for the whole address), "error" (500),
"gone" (404), "forbidden" (403), "bad" (400), "away" (302), "hang" (no answer), "slow" (an answer in drops), "reset" (cut before anything is
taken), "die" (taken, then cut without an answer), "hold" (taken, and then no answer), "migrate N" (Telegram: the group is N now).
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import canaries

NUMBER = re.compile(r"#(\d+)$")
WEBHOOK = re.compile(r"/api/webhooks/(\d+)/([A-Za-z0-9_-]+)")
BOT = re.compile(r"/bot([0-9]+:[A-Za-z0-9_-]+)/(sendMessage|getUpdates)")
LIMITS = {"title": 256, "description": 4096, "name": 256, "value": 1024, "footer": 2048, "author": 256}


class Double:
    """What both have in common: a server, moods, and a count of every message number that was taken."""

    def __init__(self) -> None:
        self.moods: deque[str] = deque()
        self.always = ""  # the mood of every request for which none was asked
        self.taken: list[int] = []  # message numbers, in the order of their arrival
        self.requests: list[dict[str, Any]] = []  # bodies of all requests
        self.paths: list[str] = []
        self.faults: list[str] = []  # what no client of the real one may do
        self.most_at_once = 0  # requests for one target at the same time
        self.released = threading.Event()  # ends every "hang"
        self.hanging = threading.Event()
        self.sockets: set[socket.socket] = set()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                outer.sockets.add(self.connection)

            def finish(self) -> None:
                outer.sockets.discard(self.connection)
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def do_POST(self) -> None:
                outer.handle(self)

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # so that closing waits for them
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                return  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        for kept in tuple(self.sockets):
            with contextlib.suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def twice(self) -> dict[int, int]:
        return {number: count for number, count in Counter(self.taken).items() if count > 1}

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        with self._lock:
            mood = self.moods.popleft() if self.moods else self.always or "ok"
            self.requests.append(body)
            self.paths.append(request.path)
            target = self.target(request.path, body)
            self._now[target] += 1
            self.most_at_once = max(self.most_at_once, self._now[target])
        try:
            self._answer(request, body, *mood.partition(" ")[::2])
        finally:
            with self._lock:
                self._now[target] -= 1

    def _answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any], mood: str, more: str) -> None:
        if mood == "hang":
            self.hanging.set()
            self.released.wait()
        if mood in ("hang", "reset"):
            return _cut(request)
        if request.headers["Content-Type"] != "application/json":
            self.faults.append("no JSON")
        if mood not in ("ok", "die", "slow", "hold"):
            status, answer, headers = self.refusal(mood, more)
            return _send(request, status, answer, headers)
        status, answer, headers = self.take(request.path, body)
        if mood == "hold":
            self.hanging.set()
            self.released.wait()
        if mood in ("die", "hold"):
            return _cut(request)
        return _send(request, status, answer, headers, drops=mood == "slow")

    def accept(self, numbers: list[int]) -> int:
        with self._lock:
            self.taken += numbers
            return len(self.taken)

    def target(self, path: str, body: dict[str, Any]) -> str:
        raise NotImplementedError

    def take(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        raise NotImplementedError

    def refusal(self, mood: str, more: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        raise NotImplementedError


class DiscordDouble(Double):
    """Knows the webhooks that were made with `webhook`, and refuses, as Discord does, what breaks a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.remaining = ""  # "0 1.5": what the limit headers of each answer say

    def webhook(self, number: int = 1) -> str:
        token = f"dscTOKENcanary{number:04d}" + "x" * 40
        canaries.watch([token])
        self.known[str(10_000_000 + number)] = token
        return f"{self.root}/api/webhooks/{10_000_000 + number}/{token}"

    def target(self, path: str, body: dict[str, Any]) -> str:
        return urlsplit(path).path

    def take(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        parts = urlsplit(path)
        match = WEBHOOK.fullmatch(parts.path)
        if match is None or self.known.get(match[1]) != match[2]:
            return 404, {"message": "Unknown Webhook", "code": 10015}, {}
        if parse_qs(parts.query).get("wait") != ["true"]:
            self.faults.append("not wait=true")
        if body.get("allowed_mentions") != {"parse": []}:
            self.faults.append("mentions are allowed")
        wrong = list(_wrong(body))
        if wrong:
            return 400, {"code": 50035, "message": "Invalid Form Body", "errors": {"embeds": wrong}}, {}
        texts = [embed["footer"]["text"] for embed in body.get("embeds", ())] or [body["content"]]
        count = self.accept([int(match[1]) for text in texts if (match := NUMBER.search(text))])
        headers = {}
        if self.remaining:
            left, after = self.remaining.split()
            headers = {"X-RateLimit-Remaining": left, "X-RateLimit-Reset-After": after}
        return 200, {"id": str(9_000_000 + count), "channel_id": "1"}, headers

    def refusal(self, mood: str, more: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        match mood:
            case "limit" | "global":
                whole = mood == "global"
                answer = {"message": "You are being rate limited.", "retry_after": float(more), "global": whole}
                return 429, answer, {"Retry-After": more, "X-RateLimit-Scope": "global" if whole else "user"}
            case "gone":
                return 404, {"message": "Unknown Webhook", "code": 10015}, {}
            case "forbidden":
                return 403, {"message": "Missing Access", "code": 50001}, {}
            case "bad":
                return 400, {"message": "Invalid Form Body", "code": 50035}, {}
            case "away":
                return 302, {}, {"Location": f"{self.root}/elsewhere"}
        return 500, {"message": "internal"}, {}


class TelegramDouble(Double):
    """Knows one bot and its chats."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "7654321:tgTOKENcanary" + "y" * 22
        canaries.watch([self.token])
        self.chats = {4711, -100}
        self.updates: list[dict[str, Any]] = []

    def target(self, path: str, body: dict[str, Any]) -> str:
        return str(body.get("chat_id", ""))

    def take(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        match = BOT.fullmatch(path)
        if match is None or match[1] != self.token:
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, {}
        if match[2] == "getUpdates":
            return 200, {"ok": True, "result": self.updates}, {}
        if body["chat_id"] not in self.chats:
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}, {}
        seen = _seen(body["text"], body.get("parse_mode", ""))
        if seen is None:
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: can't parse entities"}, {}
        if not 1 <= _units(seen) <= 4096:
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"}, {}
        count = self.accept([int(match[1]) for line in seen.split("\n") if (match := NUMBER.search(line))])
        return 200, {"ok": True, "result": {"message_id": count}}, {}

    def refusal(self, mood: str, more: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        match mood:
            case "limit":
                answer = {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": int(more)}}
                return 429, answer, {}
            case "forbidden":
                return 403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}, {}
            case "gone":
                return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, {}
            case "bad":
                return 400, {"ok": False, "error_code": 400, "description": "Bad Request: something"}, {}
            case "migrate":
                words = "Bad Request: group chat was upgraded to a supergroup chat"
                parameters = {"migrate_to_chat_id": int(more)}
                return 400, {"ok": False, "error_code": 400, "description": words, "parameters": parameters}, {}
            case "conflict":
                return 409, {"ok": False, "error_code": 409, "description": "Conflict: can't use getUpdates while a webhook is active"}, {}
        return 502, {"ok": False, "error_code": 502, "description": "Bad Gateway"}, {}


@contextlib.contextmanager
def running(double: Double) -> Iterator[Any]:
    try:
        yield double
    finally:
        double.close()


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _wrong(body: dict[str, Any]) -> Iterator[str]:
    """Each limit of an embed that is broken; counted after white space is cut off, as Discord counts."""
    embeds, content = body.get("embeds", []), body.get("content", "")
    if not embeds and not content.strip():
        yield "empty"
    if len(embeds) > 10 or _units(content) > 2000 or _units(body.get("username", "")) > 80:
        yield "too many embeds or too long"
    total = 0
    for embed in embeds:
        texts = [("title", embed.get("title", "")), ("description", embed.get("description", "")), ("footer", embed["footer"]["text"])]
        texts += [("author", embed.get("author", {}).get("name", ""))]
        fields = embed.get("fields", [])
        if len(fields) > 25:
            yield "too many fields"
        for field in fields:
            if not field["name"].strip() or not field["value"].strip():
                yield "an empty field"
            texts += [("name", field["name"]), ("value", field["value"])]
        for name, text in texts:
            total += _units(text.strip())
            if _units(text.strip()) > LIMITS[name]:
                yield f"{name} too long"
        if not isinstance(embed["color"], int):
            yield "color"
    if total > 6000:
        yield f"{total} characters"


_TAG = re.compile(r"<(/?)([a-z]+)>")


def _seen(text: str, mode: str) -> str | None:
    """What a reader sees; None where the markup is not well formed."""
    if mode != "HTML":
        return text
    open_: list[str] = []
    for end, name in _TAG.findall(text):
        if name not in ("b", "i", "code") or (end and (not open_ or open_.pop() != name)):
            return None
        if not end:
            open_.append(name)
    bare = _TAG.sub("", text)
    if open_ or "<" in bare or ">" in bare or re.search(r"&(?!amp;|lt;|gt;)", bare):
        return None
    return bare.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _send(request: BaseHTTPRequestHandler, status: int, answer: dict[str, Any], headers: dict[str, str], *, drops: bool = False) -> None:
    body = json.dumps(answer).encode()
    request.send_response(status)
    for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    with contextlib.suppress(OSError):
        if drops:
            for byte in body:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                threading.Event().wait(0.05)
        else:
            request.wfile.write(body)


def _cut(request: BaseHTTPRequestHandler) -> None:
    """As a crash of the other side: no answer, a reset."""
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()

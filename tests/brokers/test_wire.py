"""What the SDKs take for `requests`: the bytes that leave, the permit around the one write, and what no broker may make it do."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.tools import Timing
from engines.brokers.wire import Answer, RequestsLikeSession, Wire, _form
from engines.ports import Halted, Retry, Unknown
from tests.brokers.peers import OK, Peer, answering, peer

CANARY = "canary-7f3a"


def page(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def session(*answers: bytes, **options) -> Iterator[tuple[RequestsLikeSession, Peer, str]]:
    with peer(answering(*answers)) as server:
        root = f"http://127.0.0.1:{server.port}"
        made = RequestsLikeSession(Wire(root, **options))
        try:
            yield made, server, root
        finally:
            made.close()


class Permits:
    def __init__(self) -> None:
        self.entered = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.entered += 1
        yield


@contextmanager
def closed() -> Iterator[None]:
    raise Halted("halted")
    yield


# --- what leaves


@pytest.mark.parametrize(
    ("method", "options", "line", "body", "kind"),
    [
        ("GET", {}, "GET /a HTTP/1.1", "", None),
        ("get", {"params": {"i": ["NSE:INFY", "NSE:NIFTY 50"]}}, "GET /a?i=NSE%3AINFY&i=NSE%3ANIFTY+50 HTTP/1.1", "", None),
        ("GET", {"params": {"x": None}}, "GET /a HTTP/1.1", "", None),
        ("GET", {"params": "null"}, "GET /a?null HTTP/1.1", "", None),
        ("DELETE", {"params": {"parent_order_id": None, "k": 1}}, "DELETE /a?k=1 HTTP/1.1", "", None),
        ("POST", {"data": {"a": 1, "b": None, "c": "x y"}}, "POST /a HTTP/1.1", "a=1&c=x+y", "application/x-www-form-urlencoded"),
        ("PUT", {"data": '{"a":1}', "headers": {"Content-type": "application/json"}}, "PUT /a HTTP/1.1", '{"a":1}', "application/json"),
        ("POST", {"json": [{"a": 1}]}, "POST /a HTTP/1.1", '[{"a": 1}]', "application/json"),
        ("POST", {"data": b"raw"}, "POST /a HTTP/1.1", "raw", None),
    ],
)
def test_what_leaves_is_what_requests_would_send(method, options, line, body, kind):
    with session(OK) as (made, server, root):
        made.request(method, f"{root}/a", timeout=1, proxies={}, verify=True, allow_redirects=True, **options)
    head, _, sent = server.requests[0].decode().partition("\r\n\r\n")
    fields = {name.lower(): value for name, _, value in (row.partition(": ") for row in head.split("\r\n")[1:])}
    assert head.split("\r\n")[0] == line
    assert (sent, fields.get("content-type")) == (body, kind)
    assert fields.get("content-length", "0") == str(len(body))


def test_what_only_the_wire_may_say_is_not_taken_from_the_sdk():
    with session(OK) as (made, server, root):
        made.post(
            f"{root}/a", data=b"x", headers={"Host": "evil.example", "Content-Length": "9", "Transfer-Encoding": "chunked", "X-Ok": "1"}
        )
    assert server.requests[0].count(b"Content-Length") == 1
    assert b"evil.example" not in server.requests[0]
    assert b"chunked" not in server.requests[0]
    assert b"X-Ok: 1" in server.requests[0]


@pytest.mark.parametrize("url", ["http://evil.example/a", "http://127.0.0.1:1/a", "ftp://127.0.0.1/a", "http://u:p@127.0.0.1/a"])
def test_another_host_is_never_asked(url):
    with session(OK) as (made, server, _), pytest.raises(ValueError, match="broker"):
        made.get(url, headers={"Authorization": CANARY})
    assert server.requests == []


def test_a_redirect_is_an_answer_and_not_followed():
    with session(page(b"", "Location: http://127.0.0.1:1/", status="302 Found")) as (made, server, root):
        answer = made.post(f"{root}/a", data={"a": 1}, allow_redirects=True)
    assert (answer.status_code, len(server.requests)) == (302, 1)


def test_one_connection_serves_an_account_until_it_is_closed():
    with session(*[OK] * 4) as (made, server, root):
        assert [made.get(f"{root}/{n}").status_code for n in range(4)] == [200] * 4
    assert server.connections == 1


# --- the permit


def test_the_one_write_is_made_under_the_permit_and_reads_are_not():
    permits = Permits()
    with session(OK, OK, OK) as (made, _, root):
        with made.wire.permitted(permits) as writing:
            made.get(f"{root}/look")
            assert (permits.entered, writing.sent) == (0, False)
            made.post(f"{root}/orders", data={"a": 1})
            assert (permits.entered, writing.sent) == (1, True)
            with pytest.raises(RuntimeError, match="one write"):
                made.post(f"{root}/orders", data={"a": 1})
        made.post(f"{root}/other")
    assert permits.entered == 1


def test_a_closed_gate_lets_nothing_out():
    with session(OK) as (made, server, root):
        with made.wire.permitted(closed) as writing, pytest.raises(Halted):
            made.post(f"{root}/orders", data={"a": 1})
        assert (writing.sent, server.requests) == (False, [])


def test_whether_a_byte_left_is_known_after_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    wire = Wire(f"http://127.0.0.1:{port}")
    with wire.permitted(Permits()) as writing, pytest.raises(Retry):
        wire.request("POST", f"http://127.0.0.1:{port}/orders")
    assert not writing.sent
    with session(b"") as (made, _, root), made.wire.permitted(Permits()) as writing, pytest.raises(Unknown):
        made.post(f"{root}/orders", data={"a": 1})
    assert writing.sent


# --- what comes back


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda data: zlib.compress(data, wbits=-15)), ("identity", bytes)],
)
def test_packed_answers_are_unpacked(coding, pack):
    with session(page(pack(b'{"a": 1.10}'), f"Content-Encoding: {coding}")) as (made, _, root):
        assert made.get(f"{root}/a").json() == {"a": Decimal("1.10")}


@pytest.mark.parametrize("body", [gzip.compress(b"x" * 100, mtime=0)[:-9], b"\xff\xffnonsense"])
def test_a_packed_answer_that_is_broken_proves_nothing(body):
    with session(page(body, "Content-Encoding: gzip")) as (made, _, root), pytest.raises(Unknown):
        made.post(f"{root}/orders", data={"a": 1})


def test_an_answer_reads_as_requests_shows_it():
    with session(page('{"a": "é", "n": 0.1}'.encode(), "Content-Type: application/json; charset=utf-8", status="418 X")) as (made, _, root):
        answer = made.get(f"{root}/a?token={CANARY}")
    answer.encoding = "utf-8"
    assert (answer.status_code, answer.ok, answer.reason, answer.text) == (418, False, "I'm a Teapot", '{"a": "é", "n": 0.1}')
    assert "json" in answer.headers["content-type"]
    assert answer.headers["Content-Type"] == answer.headers.get("CONTENT-TYPE")
    assert ("Content-type" in answer.headers, answer.headers.get("X-None"), "x-none" in answer.headers) == (True, None, False)
    assert answer.json()["n"] == Decimal("0.1")
    assert CANARY not in answer.url
    with pytest.raises(Exception, match="418") as caught:
        answer.raise_for_status()
    assert type(caught.value).__name__ == "HTTPError"


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(), st.text(max_size=8), st.floats(), st.lists(st.text(max_size=3), max_size=2)
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_a_form_is_what_urlencode_makes_of_it(fields):
    kept = {name: value for name, value in fields.items() if value is not None}
    assert _form(fields) == urlencode(kept, doseq=True)


def test_headers_that_change_from_call_to_call_are_said_as_they_are_now():
    with session(OK, OK, OK) as (made, server, root):
        for token in ("one", "two", "one"):
            made.post(f"{root}/a", data={"n": token}, headers={"Authorization": token})
    assert [next(line for line in said.split(b"\r\n") if line.startswith(b"Auth")) for said in server.requests] == [
        b"Authorization: one",
        b"Authorization: two",
        b"Authorization: one",
    ]


@pytest.mark.parametrize("body", [b'{"n": 0.1}', '{"n": 0.1}'.encode("utf-16"), b'\xef\xbb\xbf{"n": 0.1}'])
def test_json_is_read_as_json_loads_reads_it(body):
    with session(page(body)) as (made, _, root):
        assert made.get(f"{root}/a").json() == {"n": Decimal("0.1")}


def test_an_answer_that_is_no_json_says_so_as_requests_does():
    with session(page(b"<html>")) as (made, _, root), pytest.raises(json.JSONDecodeError):
        made.get(f"{root}/a").json()


def test_every_answer_can_be_watched():
    seen: list[str] = []
    with session(page(b"", "X-Used: 7"), observe=lambda response: seen.append(response.headers["x-used"])) as (made, _, root):
        assert isinstance(made.get(f"{root}/a"), Answer)
    assert seen == ["7"]


def test_silence_ends_as_unknown_in_the_time_given():
    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        server.read(sock)
        sock.recv(1)

    with peer(behave) as server:
        root = f"http://127.0.0.1:{server.port}"
        wire = Wire(root, timing=Timing(read=0.05))
        with pytest.raises(Unknown):
            wire.request("POST", f"{root}/orders", body=b"a")
        wire.close()


def test_the_wire_leaves_from_the_address_of_its_account():
    with session(OK, source_address="127.0.0.9") as (made, server, root):
        made.get(f"{root}/a")
    assert server.callers == ["127.0.0.9"]

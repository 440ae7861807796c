"""The order transport on real sockets: what left and what did not decides between Retry, Unknown and an answer; nothing is ever sent again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engines.brokers import transport
from engines.brokers.transport import Connection
from engines.ports import Halted, Retry, Unknown
from tests.brokers.peers import OK, Peer, answering, peer, trusting


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Where a test is not about silence, an answer may take as long as a busy machine needs."""
    monkeypatch.setattr(
        Connection.__init__, "__kwdefaults__", Connection.__init__.__kwdefaults__ | {"connect_timeout": 30.0, "read_timeout": 30.0}
    )


def ask(connection: Connection, permit=None):
    return connection.request("POST", "/orders", headers={"X-Name": "T1"}, body=b"{}", permit=permit)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nnope", 400, b"nope"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
    ],
)
def test_an_answer_is_read_whatever_its_form(answer, status, body):
    with peer(answering(answer)) as server:
        connection = Connection("127.0.0.1", server.port)
        response = ask(connection)
        connection.close()
    assert (response.status, response.body) == (status, body)
    assert server.requests[0].startswith(b"POST /orders HTTP/1.1\r\nHost: 127.0.0.1:")


def test_one_warm_connection_serves_many_requests():
    with peer(answering(*[OK] * 5)) as server:
        connection = Connection("127.0.0.1", server.port)
        assert [ask(connection).status for _ in range(5)] == [200] * 5
        connection.close()
    assert (server.connections, len(server.requests)) == (1, 5)


def test_nobody_listening_is_retry_because_nothing_was_sent():
    with socket.socket() as deaf:  # bound, so that nobody else listens there, and not listening
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(Retry, match=r"^Zerodha cannot be reached: connection refused$"):
            ask(Connection("127.0.0.1", port, whose="Zerodha"))
        with pytest.raises(Retry, match="the broker cannot"):
            ask(Connection("127.0.0.1", port))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly a part",
        b"<html>not http</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_never_sent_again(answer):
    with peer(answering(answer)) as server:
        connection = Connection("127.0.0.1", server.port)
        with pytest.raises(Unknown):
            ask(connection)
        connection.close()
    assert len(server.requests) == 1


def test_silence_is_unknown():
    silent = threading.Event()

    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        server.read(sock)
        silent.wait(30)

    with peer(behave) as server:
        connection = Connection("127.0.0.1", server.port, read_timeout=0.05)
        with pytest.raises(Unknown):
            ask(connection)
        silent.set()


def test_a_connection_closed_while_idle_is_replaced_before_a_byte_leaves(monkeypatch):
    monkeypatch.setattr("engines.brokers.transport._SURELY_OPEN", 0.0)
    with peer(answering(OK)) as server:
        connection = Connection("127.0.0.1", server.port)
        assert ask(connection).status == 200  # the peer closes after one answer
        for _ in range(2000):
            try:
                assert ask(connection).status == 200
                break
            except Unknown:
                continue  # the close had not arrived yet
        connection.close()
    assert server.connections >= 2


def test_a_closed_gate_lets_no_byte_out():
    @contextmanager
    def closed() -> Iterator[None]:
        raise Halted("halted")
        yield

    with peer(answering(OK)) as server:
        connection = Connection("127.0.0.1", server.port)
        with pytest.raises(Halted):
            ask(connection, closed)
        assert ask(connection).status == 200
        connection.close()
    assert len(server.requests) == 1


def test_abort_from_another_thread_ends_a_wait_as_unknown():
    reading = threading.Event()

    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        server.read(sock)
        reading.set()
        sock.recv(1)  # until the other side is gone

    with peer(behave) as server:
        connection = Connection("127.0.0.1", server.port)

        def cut() -> None:
            reading.wait(30)
            connection.abort()

        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(Unknown):
            ask(connection)
        thread.join()
        connection.close()


def test_closing_from_another_thread_ends_a_wait_at_once():
    reading = threading.Event()

    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        server.read(sock)
        reading.set()
        sock.recv(1)  # until the other side is gone

    with peer(behave) as server:
        connection = Connection("127.0.0.1", server.port, read_timeout=600.0)  # whoever waits that long fails the suite
        thread = threading.Thread(target=lambda: (reading.wait(30), connection.close()))
        thread.start()
        with pytest.raises(Unknown):
            ask(connection)
        thread.join()


def test_a_cut_while_the_connection_is_made_lets_nothing_out_and_the_next_request_works(monkeypatch):
    real, cut = transport.connect_from, iter([True])

    def cut_meanwhile(*where):
        if next(cut, False):
            connection.abort()
        return real(*where)

    monkeypatch.setattr(transport, "connect_from", cut_meanwhile)
    with peer(answering(OK)) as server:
        connection = Connection("127.0.0.1", server.port)
        with pytest.raises(Retry, match="cut before anything left"):
            ask(connection)
        assert server.requests == []
        assert ask(connection).status == 200
        connection.close()
    assert len(server.requests) == 1


def test_a_cut_while_the_permit_is_waited_for_lets_nothing_out():
    @contextmanager
    def cut() -> Iterator[None]:
        connection.abort()
        yield

    with peer(answering(OK, OK)) as server:
        connection = Connection("127.0.0.1", server.port)
        with pytest.raises(Retry, match="cut before anything left"):
            ask(connection, cut)
        assert ask(connection).status == 200
        connection.close()
    assert len(server.requests) == 1


def test_a_cut_between_two_requests_ends_the_next_before_a_byte_leaves():
    with peer(answering(OK)) as server:
        connection = Connection("127.0.0.1", server.port)
        assert ask(connection).status == 200
        connection.abort()
        with pytest.raises(Retry, match="cut before anything left"):  # not unknown: an exit right after a stop may leave at once
            ask(connection)
        assert ask(connection).status == 200
        connection.close()
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_line_break_in_a_header_is_refused_before_anything_is_sent():
    with pytest.raises(ValueError, match="line break"):
        Connection("127.0.0.1", 9).request("GET", "/", headers={"X": "a\r\nEvil: 1"})


def test_silence_over_tls_is_unknown_too():
    silent = threading.Event()

    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        server.read(sock)
        silent.wait(30)

    with peer(behave, tls=True) as server:
        connection = Connection("127.0.0.1", server.port, tls=trusting(), read_timeout=0.1)
        with pytest.raises(Unknown):
            ask(connection)
        silent.set()


def test_tls_serves_and_can_be_cut():
    with peer(answering(OK, OK), tls=True) as server:
        connection = Connection("127.0.0.1", server.port, tls=trusting())
        assert [ask(connection).body for _ in range(2)] == [b"ok", b"ok"]
        connection.abort()
        with pytest.raises(Retry):
            ask(connection)
        connection.close()
    assert len(server.requests) == 2


def test_a_certificate_nobody_vouches_for_ends_before_a_byte_of_the_order():
    with peer(answering(OK), tls=True) as server, pytest.raises(Retry, match="certificate is not trusted"):
        ask(Connection("127.0.0.1", server.port, tls=True))
    assert server.requests == []


def test_the_connection_leaves_from_the_address_it_is_given():
    with peer(answering(OK)) as server:
        connection = Connection("127.0.0.1", server.port, source_address="127.0.0.7")
        assert ask(connection).status == 200
        connection.close()
    assert server.callers == ["127.0.0.7"]


def test_an_address_this_machine_does_not_have_is_retry():
    with pytest.raises(Retry, match="does not have the address"):
        ask(Connection("127.0.0.1", 9, source_address="192.0.2.1"))

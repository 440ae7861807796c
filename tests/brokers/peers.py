"""Servers of a few lines, which do to a connection exactly what a test says; plain or with TLS."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Behave = Callable[[socket.socket, int], None]


class Peer:
    """A server of a few lines: for each accepted connection `behave(socket, number)` says what happens."""

    def __init__(self, behave: Behave, *, tls: bool = False) -> None:
        self.behave = behave
        self._context = _serving() if tls else None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.callers: list[str] = []
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, caller = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.callers.append(caller[0])
            with sock:
                try:
                    if self._context is None:
                        self.behave(sock, self.connections)
                    else:
                        with self._context.wrap_socket(sock, server_side=True) as secure:
                            self.behave(secure, self.connections)
                except OSError:
                    continue

    def read(self, sock: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(65536)
            if not part:
                raise OSError("gone")
            data += part
        self.requests.append(data)
        return data

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join()


@contextmanager
def peer(behave: Callable[[Peer, socket.socket, int], None], *, tls: bool = False) -> Iterator[Peer]:
    made = Peer(lambda sock, number: behave(made, sock, number), tls=tls)
    try:
        yield made
    finally:
        made.close()


def answering(*answers: bytes) -> Callable[[Peer, socket.socket, int], None]:
    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        for answer in answers:
            server.read(sock)
            sock.sendall(answer)

    return behave


@functools.cache
def certificate() -> tuple[bytes, bytes]:
    """A certificate that signs itself and its key, as PEM; made once for the process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM), secret


def trusting() -> ssl.SSLContext:
    """A client's context that knows the certificate."""
    return ssl.create_default_context(cadata=certificate()[0].decode())


def _serving() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # the standard library loads certificates from files only
        file.write(b"".join(certificate()))
        file.flush()
        context.load_cert_chain(file.name)
    return context

"""A real SMTP server (aiosmtpd) on loopback that keeps every mail, with moods, and with STARTTLS and a sign-in when asked for.

Moods, one for each mail to come: "ok", "later" (451 to the recipient), "nobody" (550), "full" (552), "not now" (451 to the mail), "never" (554 to
the mail), "hang" (no answer to the mail), "die" (the mail is taken, the connection is cut without an answer).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import socket
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

NUMBER = re.compile(r"#(\d+)$", re.MULTILINE)

_RECIPIENT = {"later": "451 4.7.1 greylisted", "nobody": "550 5.1.1 no such mailbox", "full": "552 5.2.2 mailbox full"}


class _Listening(Controller):
    """On a socket that is bound already."""

    def __init__(self, bound: socket.socket, *given: Any, **options: Any) -> None:
        self._bound = bound
        super().__init__(*given, **options)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._bound, ssl=self.ssl_context)


class Mailbox:
    def __init__(self, *, login: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.moods: deque[str] = deque()
        self.mails: list[EmailMessage] = []
        self.to: list[str] = []
        self.tried: list[str] = []
        self.cuts: set[str] = set()  # addresses over which the connection is cut
        self.connections = 0
        self.released = asyncio.Event()
        self._login = login
        self._open: list[asyncio.Transport] = []
        bound = socket.create_server(("127.0.0.1", 0))  # and kept: a port that was only looked for may be another's a moment later
        self.port: int = bound.getsockname()[1]
        options: dict[str, Any] = (
            {"auth_required": True, "authenticator": self._check, "auth_require_tls": tls is not None} if login else {}
        )
        if tls is not None:
            options |= {"tls_context": tls, "require_starttls": True}
        self._controller = _Listening(bound, self, hostname="127.0.0.1", port=self.port, ready_timeout=30, **options)
        self._controller.start()

    def close(self) -> None:
        left = asyncio.run_coroutine_threadsafe(self._leave(), self._controller.loop)
        left.result(30)
        self._controller.stop()

    async def _leave(self) -> None:
        """Nobody is left waiting, and no connection open."""
        self.released.set()
        await asyncio.sleep(0)
        for transport in self._open:
            transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)  # for what closes them

    @property
    def numbers(self) -> list[int]:
        """The numbers of the messages in all mails, in the order of their arrival."""
        return [int(number) for mail in self.mails for number in NUMBER.findall(text_of(mail))]

    def twice(self) -> dict[int, int]:
        return {number: count for number, count in Counter(self.numbers).items() if count > 1}

    # --- aiosmtpd's hooks ---------------------------------------------------------------------------------------------------

    async def handle_EHLO(self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]) -> list[str]:  # noqa: N802
        self.connections += 1
        assert server.transport is not None
        self._open.append(server.transport)
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802
        self.tried.append(address)
        if address in self.cuts:
            assert server.transport is not None
            server.transport.abort()
        if self.moods and self.moods[0] in _RECIPIENT:
            return _RECIPIENT[self.moods.popleft()]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        mood = self.moods.popleft() if self.moods else "ok"
        if mood == "not now":
            return "451 4.3.0 try again later"
        if mood == "never":
            return "554 5.7.1 not wanted"
        if mood == "hang":
            await self.released.wait()
            return "421 closing"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.to += envelope.rcpt_tos
        if mood == "die":
            assert server.transport is not None
            server.transport.abort()
        return "250 OK"

    def _check(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        good = self._login == (said.login.decode(), said.password.decode())
        return AuthResult(success=good, handled=False)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@contextlib.contextmanager
def mailbox(**options: Any) -> Iterator[Mailbox]:
    box = Mailbox(**options)
    try:
        yield box
    finally:
        box.close()


def throw_away_certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For this test alone: the server's context, and that of a client which trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))

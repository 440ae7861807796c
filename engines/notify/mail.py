"""Sends mail through one SMTP server: a kept connection for a few mails, encryption to anything but this machine, every answer understood.

What the server says is told only as its number: its words may quote an address.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engines.notify.answers import Answer, Fate
from engines.notify.outbox import Batch, Channel, SecretMail
from engines.notify.render_mail import DIGEST, mail
from engines.ports import Clock

if TYPE_CHECKING:
    import smtplib
    import ssl
    from email.message import EmailMessage

TIMEOUT = 10.0
TOGETHER = 50  # mails over one connection
IDLE = 15.0  # seconds that a connection is kept for the next one
_NO_MAILBOX = frozenset({550, 551, 553})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `tls`: STARTTLS, or TLS from the first byte on port 465."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = True


class NotSafe(Exception):
    """The settings would send a password or messages in the clear."""


@dataclass(slots=True)
class _Kept:
    smtp: smtplib.SMTP
    mails: int
    used_at: float


class Mailer:
    """Implements engines.notify.answers.Sender for mails with a secret and for e-mail destinations ({"to": address}).
    `trust`: whose certificates are good; None: the system's authorities."""

    def __init__(self, server: MailServer | None, clock: Clock, *, timeout: float = TIMEOUT, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._clock = clock
        self._timeout = timeout
        self._trust = trust
        self._lock = threading.Lock()
        self._idle: list[_Kept] = []
        self._unanswered: set[str] = set()  # whose mails the server fell silent over since its last word; "": it was not to be had at all

    most = DIGEST

    def send(self, batch: Batch) -> Answer:
        taken = 1 if batch.channel is Channel.MAIL else len(batch.items)
        if self._server is None:
            return Answer(Fate.FAILED, taken, "no mail server is set (MAIL_SERVER)", wide=True)
        try:
            made = mail(batch.items[:taken], self._server.sender, batch.address.get("to", ""), self._clock.now())
        except (ValueError, KeyError):  # a line break in an address, a kind that is no more
            return _bad(taken, "it cannot be made into a mail")
        item = batch.items[0].what
        return self._hand_in(made, item.to if isinstance(item, SecretMail) else batch.address.get("to", ""), batch.channel, taken)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for kept in idle:
            _leave(kept.smtp)

    def _hand_in(self, made: EmailMessage, to: str, channel: Channel, taken: int) -> Answer:
        import smtplib
        import ssl

        assert self._server is not None
        try:
            kept = self._connected()
        except NotSafe as error:
            return Answer(Fate.FAILED, taken, str(error), wide=True)
        except smtplib.SMTPAuthenticationError as error:
            return Answer(Fate.FAILED, taken, f"the mail server refuses the sign-in ({error.smtp_code}): see MAIL_USERNAME", wide=True)
        except smtplib.SMTPNotSupportedError:
            return Answer(Fate.FAILED, taken, "the mail server does not offer what the settings ask for (STARTTLS or a sign-in)", wide=True)
        except ssl.SSLError:
            return Answer(Fate.FAILED, taken, "the mail server's certificate cannot be trusted", wide=True)
        except (smtplib.SMTPException, OSError) as error:
            self._silent("")
            return Answer(Fate.FAILED, taken, _lost(error, "could not be reached"), wide=True)
        done, silent = False, False
        try:
            _post(kept.smtp, made, self._envelope(), to)
            done = True
            return Answer(Fate.ACCEPTED, taken, provider_id=str(made["Message-ID"]))
        except smtplib.SMTPRecipientsRefused as error:
            code = min((code for code, _ in error.recipients.values()), default=550)
            return _recipient(code, channel, taken)
        except smtplib.SMTPSenderRefused as error:
            return Answer(Fate.FAILED, taken, f"the mail server refuses the sender ({error.smtp_code}): see MAIL_DEFAULT_SENDER", wide=True)
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                return _bad(taken, f"the mail server does not take the mail ({error.smtp_code})")
            return Answer(Fate.FAILED, taken, f"the mail server asks to come again later ({error.smtp_code})")
        except (UnicodeError, ValueError, smtplib.SMTPNotSupportedError):
            return _bad(taken, "the address is not one that the mail server takes")
        except (smtplib.SMTPException, OSError) as error:
            silent = True
            return Answer(Fate.FAILED, taken, _lost(error, "broke the connection off"), wide=self._silent(to))
        finally:
            if not silent:
                with self._lock:
                    self._unanswered.clear()
            self._put_back(kept, good=done)

    def _silent(self, to: str) -> bool:
        """Whether that is the server itself: over one mail it may fall silent because it asks, or waits for, the server of that address."""
        with self._lock:
            self._unanswered.add(to)
            return len(self._unanswered) > 1

    def _envelope(self) -> str:
        from email.utils import parseaddr

        assert self._server is not None
        return parseaddr(self._server.sender)[1] or self._server.sender

    def _connected(self) -> _Kept:
        """One that was kept and still answers, or a new one that is signed in."""
        import smtplib

        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is None:
                return _Kept(self._connect(), 0, self._clock.monotonic())
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._clock.monotonic() - kept.used_at < IDLE and kept.smtp.noop()[0] == 250:
                    return kept
            _leave(kept.smtp)

    def _connect(self) -> smtplib.SMTP:
        import smtplib
        import ssl

        server = self._server
        assert server is not None
        if not server.tls and server.host.lower() not in LOOPBACK and not server.host.startswith("127."):
            raise NotSafe("mail is sent without encryption (MAIL_USE_TLS) only to this machine")
        context = (self._trust or ssl.create_default_context()) if server.tls else None
        made: smtplib.SMTP
        if context is not None and server.port == 465:
            made = smtplib.SMTP_SSL(server.host, server.port, timeout=self._timeout, context=context)
        else:
            made = smtplib.SMTP(server.host, server.port, timeout=self._timeout)
        try:
            made.ehlo_or_helo_if_needed()
            if context is not None and server.port != 465:
                made.starttls(context=context)
            if server.username and server.password:
                made.login(server.username, server.password)
        except BaseException:
            made.close()
            raise
        return made

    def _put_back(self, kept: _Kept, *, good: bool) -> None:
        kept.mails += 1
        kept.used_at = self._clock.monotonic()
        if good and kept.mails < TOGETHER:
            with self._lock:
                self._idle.append(kept)
        else:
            _leave(kept.smtp)

    def tidy(self) -> None:
        """Leaves connections that nobody has used for a while."""
        now = self._clock.monotonic()
        with self._lock:
            old = [kept for kept in self._idle if now - kept.used_at >= IDLE]
            self._idle = [kept for kept in self._idle if now - kept.used_at < IDLE]
        for kept in old:
            _leave(kept.smtp)


def _post(smtp: smtplib.SMTP, made: EmailMessage, sender: str, to: str) -> None:
    """smtplib's own writes ">From" where a line of the text begins with that word, unless an address is international."""
    if sender.isascii() and to.isascii():
        smtp.sendmail(sender, [to], made.as_bytes())
    else:
        smtp.send_message(made, sender, [to])


def _lost(error: Exception, otherwise: str) -> str:
    """smtplib tells of a time-out as of a connection that was closed; what it was stands behind."""
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return f"the mail server {'did not answer in time' if late else otherwise}"


def _bad(taken: int, reason: str) -> Answer:
    """One of several that are not acceptable must not take the others down."""
    return Answer(Fate.SPLIT if taken > 1 else Fate.BAD_MESSAGE, taken, reason)


def _recipient(code: int, channel: Channel, taken: int) -> Answer:
    """What is said about the address. 4xx: later (greylisting); 5xx: not now (552: the mailbox is full), unless it says that there is none."""
    if code < 500:
        return Answer(Fate.FAILED, taken, f"the mail server asks to come again later ({code})")
    if code not in _NO_MAILBOX:
        return Answer(Fate.FAILED, taken, f"the mail server takes nothing for this address at the moment ({code})")
    fate = Fate.BAD_TARGET if channel is Channel.EMAIL else Fate.BAD_MESSAGE
    return Answer(fate, taken, f"the mail server says that there is no such mailbox ({code})")


def _leave(smtp: smtplib.SMTP) -> None:
    import smtplib

    with contextlib.suppress(smtplib.SMTPException, OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(1.0)
        smtp.quit()
    smtp.close()

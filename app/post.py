"""The post office of one workspace: the dispatcher with its senders, made from the settings, and what pages may ask of a messenger.

Made with the application, started by whoever serves; without that everything waits in the outbox, which is what a command line wants.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from app.data import Data
from config import Settings
from engines.execution.supervisor import Supervisor
from engines.notify.answers import Sender
from engines.notify.discord import Discord, check_url
from engines.notify.dispatcher import GATHER, POLL, SPARES, WORKERS, Dispatcher, Errand
from engines.notify.mail import Mailer, MailServer
from engines.notify.outbox import Channel
from engines.notify.telegram import PACE, Telegram, check_chat, check_token
from engines.notify.wire import Wire
from engines.ports import Clock, SystemClock

NAME = "messages"
PATIENCE = 60.0  # seconds that one request with all its time-outs may take before a worker counts as stuck


class PostOffice:
    def __init__(
        self,
        data: Data,
        settings: Settings,
        *,
        clock: Clock | None = None,
        gather: float = GATHER,
        poll: float = POLL,
        pace: float = PACE,
        on_trouble: Callable[[str, str, str], None] | None = None,
        on_clear: Callable[[str], None] | None = None,
    ) -> None:
        """`pace`: seconds between two messages to one Telegram chat. `on_trouble(kind, severity, words)`, `on_clear(kind)`: told when no mail can be sent at all."""
        self._data = data
        self._mails = settings.mail_ready
        self._root = settings.endpoints.discord_root
        the_clock = clock or SystemClock()
        wire = Wire(the_clock)
        self._telegram = Telegram(wire, settings.endpoints.telegram_root, pace=pace)
        mailer = Mailer(_server(settings), the_clock)
        senders: dict[Channel, Sender] = {
            Channel.DISCORD: Discord(wire, self._root),
            Channel.TELEGRAM: self._telegram,
            Channel.EMAIL: mailer,
            Channel.MAIL: mailer,
        }
        self.dispatcher = Dispatcher(
            data.deliveries, senders, the_clock, Random().random, gather=gather, poll=poll, on_trouble=on_trouble, on_clear=on_clear
        )

    def start(self, supervisor: Supervisor) -> None:
        dispatcher = self.dispatcher
        if self._mails:
            dispatcher.ask(self._data.box.warm_up)  # mails with secrets are sealed in the transaction of what they are about
        self._data.outbox.on_due(dispatcher.wake)
        self._data.on_change(dispatcher.wake)  # a mail is written with a change of people or codes
        for number in range(1, WORKERS + SPARES + 1):
            supervisor.add(f"{NAME} {number}", dispatcher.loop, depth=dispatcher.depth, patience=PATIENCE, wake=dispatcher.wake)

    def close(self) -> None:
        """Leaves the connections; what is under way ends by itself."""
        self.dispatcher.close()

    def find_chats(self, token: str) -> Errand:
        """Who has written to a Telegram bot lately: `result` is a tuple of engines.notify.telegram.Chat, `error` a NotFound with plain words."""
        return self.dispatcher.ask(lambda: self._telegram.find_chats(token))

    def check_webhook(self, url: str) -> str:
        """The address of a Discord webhook in its one form; ValueError, in words for a person."""
        return check_url(url, self._root)

    check_token = staticmethod(check_token)
    check_chat = staticmethod(check_chat)


def _server(settings: Settings) -> MailServer | None:
    if not settings.mail_server or not settings.mail_sender:
        return None
    return MailServer(
        settings.mail_server,
        settings.mail_port,
        settings.mail_sender,
        settings.mail_username,
        settings.mail_password,
        settings.mail_use_tls,
    )

"""The program that is killed while it sends: the real outbox and the real dispatcher, until it is told on its input to stop.

`python -m tests.notify.child FOLDER DISCORD TELEGRAM SMTP_PORT`
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from app.data import open_data
from engines.notify.discord import Discord
from engines.notify.dispatcher import Dispatcher
from engines.notify.mail import Mailer, MailServer
from engines.notify.outbox import Channel
from engines.notify.telegram import Telegram
from engines.notify.wire import Wire
from engines.ports import SystemClock
from tests.notify.house import Threads


def main(folder: str, discord: str, telegram: str, port: str) -> None:
    clock = SystemClock()
    wire = Wire(clock)
    mailer = Mailer(MailServer("127.0.0.1", int(port), "tandem@example.com", tls=False), clock)
    senders = {
        Channel.DISCORD: Discord(wire, discord),
        Channel.TELEGRAM: Telegram(wire, telegram, pace=0.0),
        Channel.EMAIL: mailer,
        Channel.MAIL: mailer,
    }
    with open_data(Path(folder), exclusive=True) as data:
        dispatcher = Dispatcher(data.deliveries, senders, clock, Random(1).random, gather=0.0, poll=0.1)
        with Threads(dispatcher):
            print("ready", flush=True)
            sys.stdin.readline()
        dispatcher.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The doubles of Discord, Telegram and a mail server in a process of their own, so that they cost the measured one nothing.

`python -m tests.bench.stub_messengers` prints where they are; once its input ends, what they took.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config import ROOT


class Messengers:
    """Where they are; `taken` is known once the block is left: per place how many message numbers came, how many of them differ, and faults."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.discord_root: str = where["discord_root"]
        self.telegram_root: str = where["telegram_root"]
        self.smtp_port: int = where["smtp_port"]
        self.addresses: dict[str, dict[str, str]] = where["addresses"]
        self.taken: dict[str, dict[str, Any]] = {}


@contextmanager
def stub_messengers() -> Iterator[Messengers]:
    command = [sys.executable, "-m", "tests.bench.stub_messengers"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        made = Messengers(json.loads(process.stdout.readline()))
        yield made
        process.stdin.close()
        made.taken = json.loads(process.stdout.readline())


def main() -> None:
    from tests.notify.mailbox import mailbox
    from tests.notify.messengers import DiscordDouble, TelegramDouble, running

    with running(DiscordDouble()) as discord, running(TelegramDouble()) as telegram, mailbox() as mails:
        addresses = {
            "discord": {"url": discord.webhook()},
            "telegram": {"token": telegram.token, "chat": "4711"},
            "email": {"to": "bench@example.com"},
        }
        where = {"discord_root": discord.root, "telegram_root": telegram.root, "smtp_port": mails.port, "addresses": addresses}
        print(json.dumps(where), flush=True)
        sys.stdin.read()
        numbers = {"discord": discord.taken, "telegram": telegram.taken, "email": mails.numbers}
        faults = {"discord": discord.faults, "telegram": telegram.faults, "email": []}
        requests = {"discord": len(discord.requests), "telegram": len(telegram.requests), "email": len(mails.mails)}
        told = {
            name: {"came": len(came), "different": len(set(came)), "requests": requests[name], "faults": len(faults[name])}
            for name, came in numbers.items()
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

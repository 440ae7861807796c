"""`keys rotate` and `keys new`: changes the key that credentials are encrypted with. It shows no key that is in use."""

from __future__ import annotations

import argparse

from app.data import open_data
from app.launch.common import CLI, settings_for
from app.launch.errors import CannotRun

WORDS = {
    "accounts": "accounts",
    "broker_sessions": "broker sessions",
    "users": "second factors",
    "codes": "one-time codes",
    "destinations": "destinations",
    "deliveries": "waiting mails",
}


def run(args: argparse.Namespace) -> int:
    return {"rotate": rotate, "new": new}[args.action](args)


def new(_args: argparse.Namespace) -> int:
    """A fresh key, alone on standard output, for whoever keeps keys in CREDENTIAL_KEYS."""
    from app.data.credentials import new_key

    print(new_key())
    return 0


def rotate(args: argparse.Namespace) -> int:
    settings = settings_for(args)
    if not settings.data_dir.is_dir():
        raise CannotRun(f"there is no data folder {settings.data_dir}")
    with open_data(
        settings.data_dir, database_url=settings.database_url, credential_keys=settings.credential_keys, alone=True
    ) as data:  # a server would go on sealing with the key that it knows
        done = data.rotate_keys(settings.credential_keys, by=CLI)
    counted = ", ".join(f"{count} {WORDS[table]}" for table, count in done.resealed.items() if count)
    print(
        f"{'went on where it was cut short; ' if done.resumed and not done.from_environment else ''}sealed anew: {counted or 'nothing was left'}"
    )
    for place in done.unreadable:
        print(f"no key opens this, enter it again: {place}")
    if done.from_environment:
        print("CREDENTIAL_KEYS may hold the first key alone from now on")
        if (settings.data_dir / "credentials.key").exists():
            print(f"{settings.data_dir / 'credentials.key'} is no longer used: delete it")
    else:
        print("the old key is gone from the key file")
    copies = sorted(path.name for path in settings.data_dir.glob("*.bak"))
    if copies:
        print(f"copies from before updates still hold what the old key opens: {', '.join(copies)}; delete them when they are not needed")
    print("Backups made before open only with the keys inside them: make a new one, and delete those that the old key endangers.")
    return 0

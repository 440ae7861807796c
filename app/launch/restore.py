"""`restore FILE`: a backup comes back into an empty data folder, or with --replace in place of what is there. Never over a running workspace."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.data import open_data
from app.data.restore import restore
from app.launch.backup import told
from app.launch.common import CLI, settings_for
from app.launch.errors import CannotRun
from engines.ports import SystemClock


def run(args: argparse.Namespace) -> int:
    archive: Path = args.file.expanduser().absolute()
    if not archive.is_file():
        raise CannotRun(f"there is no file {args.file}")
    settings = settings_for(args)
    done = restore(
        archive,
        settings.data_dir.absolute(),
        opener=lambda folder: open_data(folder, credential_keys=settings.credential_keys),
        database_url=settings.database_url,
        credential_keys=settings.credential_keys,
        replace=args.replace,
        clock=SystemClock(),
        by=CLI,
    )
    made = done.holds.get("made_at")
    print(f"restored into {settings.data_dir}{f', as it was at {made}' if made else ''}")
    for line in told(done.holds):
        print(f"  {line}")
    if done.upgraded_from:
        print(f"  brought from version {done.upgraded_from} to this program's")
    if done.put_aside is not None:
        print(f"  what was there before is in {done.put_aside}")
    if done.missing_files:
        print(f"  {done.missing_files} datasets have no file here: import them again, or copy them into {settings.data_dir / 'market'}")
    for place in done.unreadable:
        print(f"  cannot be read with these keys, enter it again: {place}")
    print(
        "Engines are off until you start them; everybody signs in again. Passwords and API tokens are those of then: revoke what should not be."
    )
    print("If the other machine still runs, stop it first: two would trade the same accounts.")
    return 0

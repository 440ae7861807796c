"""`backup FILE`: a consistent copy of the database and its keys in one file, taken while the workspace runs or rests."""

from __future__ import annotations

import argparse

from app.launch.common import opened, settings_for
from app.launch.errors import CannotRun


def run(args: argparse.Namespace) -> int:
    target = args.file.expanduser().absolute()
    if target.exists():
        raise CannotRun(f"{args.file} exists already; a backup never writes over a file")
    if not target.parent.is_dir():
        raise CannotRun(f"there is no folder {target.parent}")
    settings = settings_for(args)
    if not settings.data_dir.is_dir():
        raise CannotRun(f"there is no data folder {settings.data_dir}")
    with opened(settings) as data:
        try:
            data.backup(target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise CannotRun(f"cannot write {args.file}: {error.strerror or error}") from None
    print(f"{args.file} holds the database and the keys: keep it as safe as the accounts themselves")
    return 0

"""What every command does first: settings from the environment and the command line, and the data service opened for the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import config
from app.data import Actor, Data, open_data
from config import Settings

CLI = Actor(user_id=None, via="cli")


def settings_for(args: argparse.Namespace, *, default_dir: Path | None = None) -> Settings:
    """The run's settings; a folder given on the command line is meant from where it was typed. Raises ConfigError."""
    given = args.data_dir.expanduser().absolute() if args.data_dir else default_dir
    return config.load(data_dir=given, host=getattr(args, "host", None), port=getattr(args, "port", None))


@contextmanager
def opened(settings: Settings, *, exclusive: bool = False) -> Iterator[Data]:
    """The data service of this run. Raises DataError: folder not writable, wrong key, newer database, already in use."""
    data = open_data(settings.data_dir, database_url=settings.database_url, credential_keys=settings.credential_keys, exclusive=exclusive)
    try:
        yield data
    finally:
        data.close()

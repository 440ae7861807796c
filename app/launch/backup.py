"""`backup FILE`: a consistent copy of the database and its keys in one file, taken while the workspace runs or rests."""

from __future__ import annotations

import argparse

from app.launch.common import CLI, opened, settings_for
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
            holds = data.backup(target, large=args.with_data, keys="environment" if settings.credential_keys else "file")
        except OSError as error:
            target.unlink(missing_ok=True)
            raise CannotRun(f"cannot write {args.file}: {error.strerror or error}") from None
        data.audit.add_now(CLI, "backup.made", "backup", "", after={"with_data": args.with_data, "log": holds["log"]["head"][:12]})
    kept = "the database and the keys" if holds["keys"] == "file" else "the database (not the keys: they are in CREDENTIAL_KEYS)"
    print(f"{args.file} holds {kept}: keep it as safe as the accounts themselves")
    for line in told(holds):
        print(f"  {line}")
    return 0


def told(holds: dict) -> list[str]:
    """What a backup holds, in lines for a person; nothing of it is secret."""
    counts = holds.get("counts", {})
    lines = [
        ", ".join(f"{count} {name}" for name, count in counts.items() if count and name not in ("datasets", "studies")) or "nobody yet"
    ]
    if holds.get("log", {}).get("rows"):
        lines.append(f"audit log of {holds['log']['rows']} rows, ending in {holds['log']['head'][:16]}")
    files = counts.get("datasets", 0) + counts.get("studies", 0)
    if "market" in holds.get("large", ()):
        lines.append(f"the files of {counts.get('datasets', 0)} datasets and {counts.get('studies', 0)} studies")
    elif files:
        lines.append(
            f"not the files of {counts.get('datasets', 0)} datasets and {counts.get('studies', 0)} studies (--with-data takes them, too)"
        )
    return lines

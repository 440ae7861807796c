"""Secrets that must be seen nowhere: every key, token and password that an emulated broker ever gave out in this run, searched for at its end.

What is searched: all output and log lines that pytest caught, every exception text of a failed test, the body of every answer that the tests' clients
got, and every file that the suite wrote. A secret is told by its own letters, so only those long enough to mean nothing else are looked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_TOKEN = re.compile(rb"[A-Za-z0-9_\-]{12,}")
_PART = re.compile(rb"^[A-Za-z0-9_\-]+")
_BIGGEST = 64 * 1024 * 1024
_SAME_IN_ALL = frozenset({b"eyJhbGciOiJIUzUxMiJ9"})  # a JWT's header: it says how the rest is signed
_AROUND = 80
"""Bytes in front of a sighting that are told with it: without them nobody finds the line that said too much."""
_secrets: list[list[str]] = []
_seen: dict[bytes, str] = {}


def watch(secrets: list[str]) -> None:
    """These, and whatever is added to the list later, are secrets."""
    _secrets.append(secrets)


def saw(text: str | bytes, where: str = "an answer") -> None:
    """Something that went to a place where no secret belongs."""
    whole = text if isinstance(text, bytes) else text.encode(errors="replace")
    for found in _TOKEN.finditer(whole):
        if found[0] not in _seen:
            before = whole[: found.start()][-_AROUND:]
            if len(before) == _AROUND:
                before = _PART.sub(b"", before)
            _seen[found[0]] = f"{where}, after {before.decode(errors='replace')!r}"


def watched() -> set[bytes]:
    return {token for secrets in _secrets for secret in secrets for token in _TOKEN.findall(secret.encode())} - _SAME_IN_ALL


def files_under(folder: Path) -> Iterator[Path]:
    """Every file there is; what goes away meanwhile (a database's own, a program's that just ended) is gone."""
    for where, _, names in os.walk(folder):
        yield from (Path(where) / name for name in names)


def _without(secrets: set[bytes], words: str) -> str:
    return _TOKEN.sub(lambda token: b"..." if token[0] in secrets else token[0], words.encode()).decode()


def found(files: Iterable[Path]) -> list[str]:
    """Where a secret was seen, without the secret itself. Empty: nowhere."""
    secrets = watched()
    if not secrets:
        return []  # as in the process that only hands out the tests: each of the others looks through what it wrote
    places = sorted({_without(secrets, _seen[secret]) for secret in secrets & _seen.keys()})
    for path in files:
        try:
            known = path.is_file() and not path.is_symlink() and path.stat().st_size <= _BIGGEST
            text = path.read_bytes() if known else b""
        except FileNotFoundError:
            continue
        if not secrets.isdisjoint(_TOKEN.findall(text)):
            places.append(str(path))
    return places

"""Broker credentials at rest: encrypted with keys that live outside the database, shown only masked.

The first key encrypts, every key decrypts, so that a new key can be put in front. Nothing here logs or keeps what it decrypts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.data.errors import DataError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_CANARY = b"tandem"


class CredentialBox:
    """Encrypts and decrypts the credentials of accounts. `keys`: Fernet keys, newest first."""

    def __init__(self, keys: list[str], origin: str) -> None:
        self._keys = keys
        self._origin = origin
        self._made: MultiFernet | None = None

    @property
    def _fernet(self) -> MultiFernet:
        if self._made is None:  # the import costs 30 ms: only paid when something is really encrypted or decrypted
            from cryptography.fernet import Fernet, MultiFernet

            try:
                self._made = MultiFernet([Fernet(key) for key in self._keys])
            except ValueError as error:
                raise DataError(f"{self._origin} does not hold a usable key (32 bytes, url-safe base64)") from error
        return self._made

    def seal(self, credentials: Mapping[str, str]) -> bytes:
        return self._fernet.encrypt(json.dumps(dict(credentials)).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        opened: dict[str, str] = json.loads(self._decrypt(sealed))
        return opened

    def canary(self) -> str:
        """A token that only the holder of one of our keys can read: proves at the next start that the key is the right one."""
        return self._fernet.encrypt(_CANARY).decode()

    def check(self, canary: str) -> None:
        if self._decrypt(canary.encode()) != _CANARY:
            raise DataError(f"{self._origin} does not fit this database")

    def _decrypt(self, sealed: bytes) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise DataError(f"{self._origin} does not fit this database: it was encrypted with another key") from None


def open_box(key_file: Path, configured: str | None, *, database_is_new: bool) -> CredentialBox:
    """The keys from the environment, else from the key file, which is made (0600) only together with a new database."""
    if configured:
        return CredentialBox([key.strip() for key in configured.split(",") if key.strip()], "CREDENTIAL_KEYS")
    try:
        if not key_file.exists():
            if not database_is_new:
                raise DataError(f"the key file {key_file} is missing: the stored broker credentials cannot be read without it")
            write_private(key_file, _new_key() + "\n")
        keys = key_file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the key file {key_file} cannot be read: {error}") from error
    if not keys:
        raise DataError(f"the key file {key_file} is empty")
    return CredentialBox(keys, f"the key file {key_file}")


def write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, complete or not there at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def mask(credentials: Mapping[str, str]) -> dict[str, str]:
    """What may be shown: the ends of a long value, nothing of a short one or of a password."""
    hidden = ("password", "pin", "totp_secret")
    return {
        name: f"{value[:3]}…{value[-3:]}" if len(value) >= 12 and name not in hidden else "…"
        for name, value in credentials.items()
        if value
    }


def _new_key() -> str:
    import base64

    return base64.urlsafe_b64encode(os.urandom(32)).decode()

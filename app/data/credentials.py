"""Broker credentials at rest: encrypted with keys that live outside the database, shown only masked.

The first key encrypts, every key decrypts, so that a new key can be put in front. Nothing here logs or keeps what it decrypts.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.data.errors import DataError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class CredentialBox:
    """Encrypts and decrypts the credentials of accounts. `keys`: Fernet keys, newest first; `origin` says in messages where they come from."""

    def __init__(self, keys: Sequence[str], origin: str) -> None:
        self._keys = [_raw(key, origin) for key in keys]
        self._origin = origin
        self._made: MultiFernet | None = None

    @property
    def _fernet(self) -> MultiFernet:
        if self._made is None:  # the import costs 30 ms and 8 MB: only paid when something is really encrypted or decrypted
            from cryptography.fernet import Fernet, MultiFernet

            self._made = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self._keys])
        return self._made

    @property
    def warm(self) -> bool:
        return self._made is not None

    def warm_up(self) -> None:
        """Pays for the import now, on the caller's thread: whoever seals inside a transaction would let orders wait for it."""
        _ = self._fernet

    def seal(self, credentials: Mapping[str, str]) -> bytes:
        return self._fernet.encrypt(json.dumps(dict(credentials)).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        from cryptography.fernet import InvalidToken

        try:
            opened: dict[str, str] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise DataError(f"{self._origin}: these credentials were encrypted with another key") from None
        return opened

    def resealed(self, sealed: bytes) -> bytes | None:
        """The same under the newest key, None when it is already. DataError when no key opens it."""
        from cryptography.fernet import Fernet, InvalidToken

        newest = Fernet(base64.urlsafe_b64encode(self._keys[0]))
        try:
            newest.decrypt(sealed)
            return None
        except InvalidToken:
            pass
        try:
            return newest.encrypt(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise DataError(f"{self._origin}: this was encrypted with another key") from None

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys)

    def fingerprint(self) -> str:
        """Kept in the database: tells whether a key is the right one, and nothing else about it."""
        return _fingerprint(self._keys[0])

    def check(self, fingerprint: str) -> None:
        if not any(hmac.compare_digest(_fingerprint(key), fingerprint) for key in self._keys):
            raise DataError(f"{self._origin}: this is not the key that the credentials in this database are encrypted with")


def open_box(key_file: Path, configured: str | None, *, may_make: bool) -> CredentialBox:
    """The keys from the environment, else from the key file, which is made (0600) only together with a new database."""
    if configured:
        keys = [key.strip() for key in configured.split(",") if key.strip()]
        origin = "CREDENTIAL_KEYS"
    else:
        keys, origin = _from_file(key_file, may_make=may_make), f"the key file {key_file}"
    if not keys:
        raise DataError(f"{origin} holds no key")
    return CredentialBox(keys, origin)


def _from_file(key_file: Path, *, may_make: bool) -> list[str]:
    try:
        if not key_file.exists():
            if not may_make:
                raise DataError(f"the key file {key_file} is missing: the stored broker credentials cannot be read without it")
            write_private(key_file, new_key() + "\n")
        return key_file.read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        raise DataError(f"the key file {key_file} holds no usable key") from None
    except OSError as error:
        raise DataError(f"the key file {key_file} cannot be used: {error.strerror}") from error


def new_key() -> str:
    """A Fernet key: 32 random bytes in url-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _raw(key: str, origin: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key.encode())
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise DataError(f"{origin} holds no usable key (a key is 32 bytes in url-safe base64)")
    return raw


def _fingerprint(key: bytes) -> str:
    return hmac.new(key, b"tandem credentials", "sha256").hexdigest()


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
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """That a file has a new name is on disk, too."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


IDENTIFIERS = frozenset({"api_key", "client_code", "user_id"})
"""What says which key or person it is; everything else that is stored is a secret."""
SWITCHES = frozenset({"testnet"})
HIDDEN = "•••"
MASKED_WITH = frozenset("•…")
"""What stands for what is hidden. No real key, token or address has them: whoever sends one sends back what was shown."""


def is_masked(value: object) -> bool:
    return isinstance(value, str) and not MASKED_WITH.isdisjoint(value)


def unless_shown(given: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, Any]:
    """Without what is the same as what is shown of it: a program that reads and writes back has changed nothing."""
    return {name: value for name, value in given.items() if not (isinstance(value, str) and value == shown.get(name))}


def mask(credentials: Mapping[str, str]) -> dict[str, str]:
    """What may be shown: the ends of an identifier, so that a person knows it again; of anything else only that it is set. A switch is no secret."""
    return {
        name: value if name in SWITCHES else _ends(value) if name in IDENTIFIERS else HIDDEN for name, value in credentials.items() if value
    }


def _ends(value: str) -> str:
    if len(value) < 6:
        return HIDDEN
    shown = 3 if len(value) >= 12 else 1
    return f"{value[:shown]}…{value[-shown:]}"

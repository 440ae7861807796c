"""Tandem's settings: every name, its default and what it is for, in one table that is read once and then never changes.

Values come from the environment and from a `.env` file beside this one (the environment wins); the command line wins over both. Nothing
else in the project reads the environment, and no secret ever appears in a repr, a log line or an error.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent
VERSION = "1.0.0"


class ConfigError(Exception):
    """A setting that cannot be used. The text names the setting and the remedy, never the value of a secret."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where each broker and each messenger lives. All of them can be pointed at an emulator or a proxy."""

    kite_api_root: str = "https://api.kite.trade"
    kite_login_root: str = "https://kite.zerodha.com"
    kite_ws_root: str = "wss://ws.kite.trade"
    smartapi_root: str = "https://apiconnect.angelone.in"
    smartapi_ws_root: str = "wss://smartapisocket.angelone.in/smart-stream"
    smartapi_order_ws_root: str = "wss://tns.angelone.in/smart-order-update"
    smartapi_instruments_url: str = "https://margincalculator.angelone.in/OpenAPI_File/files/OpenAPIScripMaster.json"
    binance_spot_root: str = "https://api.binance.com"
    binance_futures_root: str = "https://fapi.binance.com"
    binance_spot_ws_root: str = "wss://stream.binance.com:9443"
    binance_futures_ws_root: str = "wss://fstream.binance.com"
    binance_spot_ws_api_root: str = "wss://ws-api.binance.com:443/ws-api/v3"
    discord_root: str = "https://discord.com"
    telegram_root: str = "https://api.telegram.org"


# --- how a text becomes a value --------------------------------------------------------------------------------------


def _text(raw: str) -> str:
    return raw


def _port(raw: str) -> int:
    value = int(raw) if raw.isdecimal() else -1
    if not 0 <= value <= 65535:
        raise ValueError("must be a port number, 0 to 65535")
    return value


def _switch(raw: str) -> bool:
    word = raw.lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("must be true or false")


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        value = int(raw) if raw.isdecimal() else -1
        if not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return parse


def _speed(raw: str) -> float:
    if raw == "max":
        return 0.0
    try:
        value = float(raw)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1_000_000:
        raise ValueError("must be a number above 0, or max")
    return value


def _record(raw: str) -> str:
    word = raw.lower()
    if word not in {"off", "candles", "ticks"}:
        raise ValueError("must be one of off, candles, ticks")
    return word


def _long_secret(raw: str) -> str:
    if len(raw) < 16:
        raise ValueError("must have at least 16 characters")
    return raw


def _fernet_keys(raw: str) -> str:
    for key in raw.split(","):
        try:
            size = len(base64.urlsafe_b64decode(key.strip()))
        except (binascii.Error, ValueError):
            size = 0
        if size != 32:
            raise ValueError("must be one or more Fernet keys (32 bytes, URL-safe base64), separated by commas, newest first")
    return raw


def _database_url(raw: str) -> str:
    if not raw.startswith("sqlite:///") or len(raw) <= len("sqlite:///"):
        raise ValueError("must be sqlite:///PATH")
    return raw


def _host(raw: str) -> str:
    if not raw or any(c.isspace() or c == "/" for c in raw):
        raise ValueError("must be a host name or an address to listen on")
    return raw


def _ip_address(raw: str) -> str:
    try:
        return str(ipaddress.ip_address(raw))
    except ValueError:
        raise ValueError("must be the address of one machine, such as 127.0.0.1") from None


def _web_address(raw: str) -> str:
    return _address(raw, ("http", "https"))


def _socket_address(raw: str) -> str:
    return _address(raw, ("ws", "wss"))


def _address(raw: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"must be an address that starts with {schemes[0]}:// or {schemes[1]}://")
    return raw.rstrip("/")


def _level(raw: str) -> str:
    word = raw.upper()
    if word not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("must be one of DEBUG, INFO, WARNING, ERROR")
    return word


def _folder(raw: str) -> Path:
    """A relative folder hangs on the project, not on wherever the command was typed: one workspace, one place."""
    path = Path(raw).expanduser()
    return path if path.is_absolute() else ROOT / path


def _setting(env: str, default: Any, about: str, parse: Callable[[str], Any] = _text, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"env": env, "about": about, "parse": parse, "secret": secret})


_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- "every address of this machine" → the machine itself

# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """What a whole run is made from. `None` means: not set, the program makes or does without it."""

    data_dir: Path = _setting("TANDEM_DATA_DIR", ROOT / "var", "Folder of the database, the keys and the halt latch.", _folder)
    database_url: str | None = _setting("DATABASE_URL", None, "Database elsewhere than in the data folder: sqlite:///PATH.", _database_url)
    host: str = _setting("HOST", "127.0.0.1", "Address to listen on. Anything but loopback belongs behind a TLS proxy.", _host)
    port: int = _setting("PORT", 5000, "Port to listen on; 0 takes any free one.", _port)
    public_url: str | None = _setting("TANDEM_PUBLIC_URL", None, "How browsers reach it, when that is not HOST and PORT.", _web_address)
    proxy: str | None = _setting(
        "TANDEM_PROXY",
        None,
        "Address of the TLS proxy in front, whose X-Forwarded-For is believed. Without it all who come through one count as one visitor.",
        _ip_address,
    )
    secret_key: str | None = _setting(
        "SECRET_KEY", None, "Signs the sign-in cookie. Default: made once and kept in the data folder.", _long_secret, secret=True
    )
    credential_keys: str | None = _setting(
        "CREDENTIAL_KEYS",
        None,
        "Fernet keys that encrypt broker credentials, newest first. Default: a key file in the data folder.",
        _fernet_keys,
        secret=True,
    )
    threads: int = _setting("TANDEM_THREADS", 80, "Web threads; each open browser holds one.", _count(32, 500))
    log_level: str = _setting("TANDEM_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.", _level)
    feed: str = _setting(
        "TANDEM_FEED",
        "simulated",
        "Prices: simulated (real ones take their place where a live account brings them), live (real ones only), or a CSV file to replay.",
    )
    feed_symbol: str | None = _setting(
        "TANDEM_FEED_SYMBOL", None, "What a replayed file is about (EXCHANGE:NAME), where it does not say so."
    )
    feed_speed: float = _setting(
        "TANDEM_FEED_SPEED", 1.0, "Replay speed: 1 is real time, 60 a minute a second, max as fast as it goes.", _speed
    )
    feed_seed: int = _setting("TANDEM_FEED_SEED", 7, "Seed of the simulated market.", _count(0, 2**31))
    record: str = _setting(
        "TANDEM_RECORD",
        "candles",
        "What is kept of the prices that Tandem watches: off, candles (minutes, a dataset each day) or ticks (the ticks, too).",
        _record,
    )
    mail_server: str | None = _setting("MAIL_SERVER", None, "Host that sends mail. Without it nothing is mailed.", _host)
    mail_port: int = _setting("MAIL_PORT", 587, "Its port; on 465 TLS from the first byte.", _port)
    mail_username: str | None = _setting("MAIL_USERNAME", None, "Its sign-in.")
    mail_password: str | None = _setting("MAIL_PASSWORD", None, "Its password.", secret=True)
    mail_use_tls: bool = _setting(
        "MAIL_USE_TLS", True, "STARTTLS when sending mail. Without it mail is handed in at this machine only.", _switch
    )
    mail_default_sender: str | None = _setting("MAIL_DEFAULT_SENDER", None, "From whom mail comes. Default: MAIL_USERNAME.")
    kite_api_key: str | None = _setting("API_KEY", None, "Kite app used where an account brings none of its own.")
    kite_api_secret: str | None = _setting("API_SECRET", None, "Its secret.", secret=True)
    endpoints: Endpoints = Endpoints()

    @property
    def mail_sender(self) -> str | None:
        return self.mail_default_sender or self.mail_username

    @property
    def mail_ready(self) -> bool:
        """Whether mail can be sent at all; without it nothing is queued, and the owner sees codes and links on a page."""
        return bool(self.mail_server and self.mail_sender)

    @property
    def max_streams(self) -> int:
        """How many event streams may be open: each pins a web thread, and requests need theirs too."""
        return self.threads - 24

    @property
    def base_url(self) -> str:
        """How links begin. "Every address of this machine" is for listening and opens nowhere else: a link names the machine itself."""
        host = _EVERY.get(self.host, self.host)
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def links_stay_here(self) -> bool:
        """Whether the links that people are sent open on this machine only: nothing says how another device reaches it."""
        return self.public_url is None and (self.host in ("localhost", "::1", *_EVERY) or self.host.startswith("127."))


@dataclass(frozen=True, slots=True)
class Explained:
    """One row of the settings table, for `doctor` and the docs."""

    env: str
    default: str
    about: str
    secret: bool


def explain() -> list[Explained]:
    rows = []
    for spec in fields(Settings):
        if spec.name != "endpoints":
            default = "" if spec.default in (None, MISSING) else str(spec.default).removeprefix(f"{ROOT}{os.sep}")
            rows.append(Explained(spec.metadata["env"], default, spec.metadata["about"], spec.metadata["secret"]))
    rows += [Explained(spec.name.upper(), str(spec.default), "Endpoint.", False) for spec in fields(Endpoints)]
    return rows


def load(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None, **given: Any) -> Settings:
    """Settings from `environ` (default: the machine's) over `env_file` (default: `.env` beside this file).

    `given` are values from the command line, already of their type; None means not given. Raises ConfigError for the first bad value.
    """
    found = {**_read_env_file(env_file or ROOT / ".env"), **(os.environ if environ is None else environ)}
    values: dict[str, Any] = {}
    for spec in fields(Settings):
        if spec.name != "endpoints":
            _take(values, spec.name, spec.metadata["env"], spec.metadata["parse"], found)
    endpoints: dict[str, Any] = {}
    for spec in fields(Endpoints):
        parse = _socket_address if "_ws_" in spec.name else _web_address
        _take(endpoints, spec.name, spec.name.upper(), parse, found)
    values |= {name: value for name, value in given.items() if value is not None}
    return Settings(**values, endpoints=Endpoints(**endpoints))


def _take(values: dict[str, Any], name: str, env: str, parse: Callable[[str], Any], found: Mapping[str, str]) -> None:
    raw = found.get(env, "").strip()
    if not raw:  # an empty variable is how shells and compose files say "not set"
        return
    try:
        values[name] = parse(raw)
    except ValueError as error:
        raise ConfigError(f"setting {env} {error}") from None


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # only when there is a file: the import is not free

    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path.name}: {error.__class__.__name__}") from None

"""The official SmartAPI SDK pointed at an emulator, for tests: its own classes unchanged, kept from asking strangers for our address.

A test that uses them calls `keep_quiet` first: constructing one makes a `logs` folder where the process stands, and a log file that nobody closes.
"""

from __future__ import annotations

import importlib
import ssl
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pyotp
import pytest
import requests

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.smartapi.emulator import SmartApiEmulator


def keep_quiet(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("logzero.logfile", lambda *_, **__: None)
    # Each client loads the machine's certificates into a context that it never uses: most of the time that a test takes.
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def module(name: str) -> ModuleType:
    """A module of the SDK; at its first import there is no network, as it would throw the answer away anyway."""
    get = requests.get

    def offline(*_: Any, **__: Any) -> Any:
        raise OSError("no network while importing")

    requests.get = offline
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("logzero").logger.disabled = True
            return importlib.import_module(f"SmartApi.{name}")
    finally:
        requests.get = get


def client(emulator: SmartApiEmulator, account: EmulatedAccount) -> Any:
    """A SmartConnect that has not signed in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return module("smartConnect").SmartConnect(api_key=account.credentials["api_key"], root=emulator.url)


def code(account: EmulatedAccount, at: float) -> str:
    return pyotp.TOTP(account.credentials["totp_secret"]).at(int(at))


def signed_in(emulator: SmartApiEmulator, account: EmulatedAccount) -> Any:
    made = client(emulator, account)
    said = made.generateSession(account.name, account.credentials["pin"], code(account, emulator.clock.now()))
    assert said["status"] is True, said
    return made

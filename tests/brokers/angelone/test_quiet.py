"""The SDK beneath the adapter: imported and built in silence, offline, without files; its own code still makes every request. Secrets stay where they are."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from engines.brokers.angelone import sdk
from engines.brokers.wire import Wire
from engines.ports import TandemError
from tests.brokers.angelone.rig import CANARY, KEY, PIN, SECRET, Rig, request
from tests.brokers.angelone.test_broker import HTML, OVER, RATE, Gate

ROOT = Path(__file__).parents[3]
CHILD = """
import socket, sys
def nothing(*args, **kwargs):
    raise SystemExit(f"the network was asked for: {args}")
socket.socket.connect = socket.getaddrinfo = socket.gethostbyname = socket.create_connection = nothing
import engines.brokers.angelone as package
assert not [name for name in sys.modules if name.split(".")[0] in ("SmartApi", "requests", "logzero", "pyotp", "websocket")], "too early"
from engines.brokers.angelone import sdk
from engines.brokers.wire import Wire
import requests
get = requests.get
made = sdk.smart_connect(sdk.Http(Wire("http://127.0.0.1:9")), "http://127.0.0.1:9", "key")
assert requests.get is get
assert made.root == "http://127.0.0.1:9"
"""


def test_import_and_construction_ask_no_network_and_leave_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_our_constructor_sets_what_the_sdks_own_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    official = sdk.quiet_module().SmartConnect(api_key="key")
    for handler in list(sdk.importlib.import_module("logzero").logger.handlers):
        if isinstance(handler, logging.FileHandler):
            handler.close()
            sdk.importlib.import_module("logzero").logger.removeHandler(handler)
    ours = sdk.smart_connect(sdk.Http(Wire("http://127.0.0.1:9")), "http://127.0.0.1:9", "key")
    assert set(vars(official)) <= set(dir(ours))
    assert ours.requestHeaders() == official.requestHeaders()
    assert ours._request.__code__ is official._request.__code__  # the SDK's own code makes the request


def test_two_accounts_share_no_transport() -> None:
    first, second = (sdk.Http(Wire("http://127.0.0.1:9")) for _ in range(2))
    a, b = (sdk.smart_connect(http, "http://127.0.0.1:9", key) for http, key in ((first, "a"), (second, "b")))
    assert type(a)._request.__globals__["requests"] is first
    assert type(b)._request.__globals__["requests"] is second


def test_no_secret_in_any_text(rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Every kind of bad answer, some of which say what was sent; what comes of it is searched for everything that was secret."""
    caplog.set_level(logging.DEBUG)
    broker = rig.connect()
    told = [repr(broker), repr(broker.stream_key()), repr(rig.kept.sessions), repr(broker._sign_in), repr(broker._client)]
    echo = f"you sent {rig.api.valid} {KEY} canary-refresh canary-feed {SECRET}"
    answers = [
        {"status": False, "message": echo, "errorcode": "AB1009", "data": None},
        {"status": False, "message": echo, "errorcode": "AB1004", "data": None},
        (403, echo),
        (200, echo),
        (500, f'{{"message": "{echo}"}}'),
        RATE,
        HTML,
        None,
    ]
    for answer in answers:
        rig.api.answers["place"] = rig.api.answers["rms"] = [answer]
        for ask in (lambda: broker.place(request(), Gate()), broker.balance):
            try:
                ask()
            except TandemError as error:
                told += [str(error), repr(error), "".join(traceback.format_exception(error))]
        rig.clock.moved += 1
    rig.next_code()
    rig.api.answers["rms"] = [OVER]
    rig.api.answers["login"] = [{"status": False, "message": f"{PIN} {SECRET} is wrong", "errorcode": "AB1000", "data": None}]
    with pytest.raises(TandemError) as refused:
        broker.balance()
    told += ["".join(traceback.format_exception(refused.value))]
    out = capfd.readouterr()
    everything = "\n".join([*told, caplog.text, out.out, out.err])
    assert len(told) > 20
    for secret in (CANARY, KEY, SECRET, f" {PIN} "):
        assert secret not in everything

"""`serve`: one process that trades and shows. Takes the port, opens the data folder, starts the engines, answers the web; ends on a signal.

The order is the safety: nothing is touched before the port is ours, no request is answered before the engines have prices and have reconciled,
and on the way out the engines stop before the web does, so that nobody is told of an order that was never sent.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from app.launch.interpreter import hand_over_soon, keep_what_is_there
from config import Settings

if TYPE_CHECKING:
    from app.data import Data
    from app.launch.compose import House
    from engines.system import TradingSystem

STOP_SECONDS = 4.5  # the contract is 5, and the process has to end, too
log = logging.getLogger("tandem")

Prepare = Callable[["Data"], None]
Begin = Callable[["TradingSystem", "Data", Settings], None]


def run(args: argparse.Namespace) -> int:
    from app.launch.common import settings_for

    return serve(settings_for(args), engines=not args.no_engines, browser=not args.no_browser)


def serve(settings: Settings, *, engines: bool, browser: bool, prepare: Prepare | None = None, begin: Begin | None = None) -> int:
    """Blocks until SIGTERM or SIGINT; returns 0. `prepare` may fill the data before the engines start, `begin` may act once they have."""
    hand_over_soon()
    stopping = threading.Event()
    for number in _signals():
        signal.signal(number, lambda *_: stopping.set())

    from app.launch.web import WebServer, listen

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listen(settings.host, settings.port)))
        settings = replace(settings, port=listener.getsockname()[1])

        from app import create_app
        from app.agreed import ConsentWatch
        from app.launch import compose, logs
        from app.launch.common import opened
        from app.newsroom import LiveBooks, Newsroom
        from app.workspace import EXTENSION
        from engines.ports import SystemClock

        data = stack.enter_context(opened(settings, exclusive=True))
        logs.to_file(settings.data_dir, settings.log_level)
        if settings.secret_key is None:
            settings = replace(settings, secret_key=data.secret_key().decode())
        if prepare is not None:
            prepare(data)
        house = compose.house(settings, data)
        system, live = house.system, house.hub
        stack.callback(house.stop)  # also when something below fails half-way; stopping twice is stopping once
        app = create_app(
            system, data, settings, live=live, clock=SystemClock(), lists=house.lists, recorder=house.recorder
        )  # a replay lives in the past, its visitors do not
        house.start()
        app.extensions[EXTENSION].logins.start()
        app.extensions[EXTENSION].studies.start(system.supervisor)
        app.extensions[EXTENSION].post.start(system.supervisor)
        Newsroom(data, LiveBooks(system), system.clock, SystemClock()).start(system.supervisor)
        ConsentWatch(data, system.runtime.refresh_now, system.cancel_entries).start(system.supervisor)
        stack.callback(app.extensions[EXTENSION].replays.close)
        stack.callback(app.extensions[EXTENSION].post.close)
        if not engines:
            system.board.switch_engines(on=False, user_id=None)  # for this run only: nothing is journaled
        web = WebServer(app, listener, threads=settings.threads, proxy=settings.proxy)
        if begin is not None:
            begin(system, data, settings)
        keep_what_is_there()
        with _closing(stopping, web, house):
            print(f"ready {settings.base_url}", flush=True)
            if browser:
                _open_browser(settings.base_url)
            web.run()
    return 0


@contextlib.contextmanager
def _closing(stopping: threading.Event, web, house: House) -> Iterator[None]:
    """While the web server runs in the main thread, another waits for the signal and takes the engines down in order."""

    def close() -> None:
        stopping.wait()
        last = threading.Timer(STOP_SECONDS, _give_up)
        last.daemon = True
        last.start()
        try:
            house.hub.close()
            house.stop()
        except Exception:
            log.exception("the engines did not stop cleanly; the next start reconciles")
        finally:
            web.stop()

    closer = threading.Thread(target=close, name="closer")
    closer.start()
    try:
        yield
    finally:
        stopping.set()
        closer.join()
        web.close(wait=0.5)


def _give_up() -> None:
    """Something hangs. All that was promised is on disk, and recovery asks the brokers about the rest: leave, as after a power cut."""
    print("tandem: warning: something did not stop in time; the next start reconciles", file=sys.stderr, flush=True)
    os._exit(0)


def _signals() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]


def _open_browser(url: str) -> None:
    """Only where a person sits in front of a screen: never from a service or a test."""
    screen = sys.platform in {"win32", "darwin"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.stdout.isatty() and screen:
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(url,), daemon=True, name="browser").start()

"""The real program as a child process: started through the launcher as a person would, with a data folder of its own.

It never shares a port or a folder with another test, and nothing of it is left running when the test is over.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import config
from app.data import Actor, UserRole, open_data
from tests.support.http import Client

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "run_strategy_system.py"
OWNER = ("owner@example.com", "correct horse battery")
PATIENCE = 120.0
"""Seconds for a process to start or end: a machine that is shared by many takes its time."""
PATIENT = """import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
from app.data import journal
journal.WAIT = 30.0
runpy.run_path(sys.argv[0], run_name="__main__")"""
"""The launcher, with the patience of the rest of the suite: two seconds without the disk are no fault on a machine that is shared."""
CLI = Actor(user_id=None, via="cli")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This machine's environment with every setting of ours empty, which also outdoes what a `.env` says."""
    return os.environ | {row.env: "" for row in config.explain()} | dict(extra or {})


def run_command(
    *words: str, data_dir: Path | None = None, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One launcher command to its end."""
    where = ["--data-dir", str(data_dir)] if data_dir else []
    command = [sys.executable, str(LAUNCHER), *words, *where]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment(env), check=False)


class Server:
    """One running workspace. `start` waits for the ready line; `stop` is a SIGTERM, `kill` a power cut."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: str = "serve",
        owner: tuple[str, str] = OWNER,
    ) -> None:
        self.data_dir, self.port, self.options, self.env, self.command = data_dir, port, list(options), env, command
        self.owner = owner
        self.token = ""
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self._clients: list[Client] = []
        self._readers: list[threading.Thread] = []

    # --- life

    def make_owner(self) -> None:
        """The owner and a token; works before the first start and while it runs."""
        self.token = self._add(*self.owner, "owner")

    def start(self) -> Server:
        ready: queue.Queue[str] = queue.Queue()
        words = [self.command, "--port", str(self.port), "--data-dir", str(self.data_dir), "--no-browser", *self.options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, str(LAUNCHER), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(self.env),
        )
        self._readers = [threading.Thread(target=self._read, args=(name, ready), daemon=True) for name in ("stdout", "stderr")]
        for reader in self._readers:
            reader.start()
        try:
            line = ready.get(timeout=PATIENCE)
        except queue.Empty:
            self.kill()
            raise AssertionError("no ready line:\n" + "\n".join(self.lines[-40:])) from None
        if not line:
            self.process.wait(timeout=PATIENCE)
            raise AssertionError(f"exited with {self.process.returncode}:\n" + "\n".join(self.lines[-40:]))
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def stop(self) -> int:
        """SIGTERM, then the exit code; the contract is 0 within 5 seconds."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """kill -9."""
        return self._end(signal.SIGKILL)

    def restart(self) -> Server:
        """On the same folder and port; `stop` or `kill` it first when how it ends matters."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        return self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    # --- use

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> Client:
        """The owner's client, for the test's own thread."""
        for client in self._clients:
            if client.token == self.token and client.port == self.port:
                return client
        return self.client()

    def client(self, token: str | None = None) -> Client:
        """A connection of its own (one for each thread): the owner's, or that of `token` ("": nobody's)."""
        made = Client(self.port, self.token if token is None else token)
        self._clients.append(made)
        return made

    # --- insides

    def _read(self, name: str, ready: queue.Queue[str]) -> None:
        assert self.process is not None
        for line in getattr(self.process, name):
            self.lines.append(line.rstrip())
            if name == "stdout" and line.startswith("ready http"):
                ready.put(line.strip())
        if name == "stdout":
            ready.put("")  # the end of the process is an answer too

    def _end(self, how: signal.Signals) -> int:
        for client in self._clients:
            client.close()
        self._clients = []
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self._readers:
            reader.join(timeout=PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def _add(self, email: str, password: str, role: str) -> str:
        """What `user add` and `token add` do, without the cost of two interpreters: beside the running server, from another process."""
        env = self.env or {}
        with open_data(self.data_dir, database_url=env.get("DATABASE_URL"), credential_keys=env.get("CREDENTIAL_KEYS")) as data:
            user = data.users.add(email, password, role=UserRole(role), by=CLI)
            return data.tokens.create(user.user_id, "tests", by=CLI)[1]

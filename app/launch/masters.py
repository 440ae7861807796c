"""Keeps the brokers' instrument lists fresh: at the start when they are of another day, when the timetable says so, and when a person asks.

Only lists of brokers that have an account here are fetched. The work is done by a process of its own; a list that cannot be had is an incident, and the
last good one stays in use.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.data import Instruments
from app.workspace import ListsStatus, ListState
from config import ROOT, Endpoints
from engines.core.model import RunState
from engines.core.sessions import DAY, IST
from engines.core.timetable import INSTRUMENTS_AT, Ended, Job
from engines.ports import Clock, Directory

KIND = "instruments"
"""Of the incident."""
LONGEST = 300.0
BETWEEN = 30.0
RETRIES = (60.0, 300.0, 900.0)
COMMAND = (sys.executable, "-m", "app.data.build_master")
log = logging.getLogger(__name__)


def last_morning(now: float) -> float:
    """The newest 09:00 IST (the timetable's hour) that is not after `now`."""
    return (now + IST - INSTRUMENTS_AT) // DAY * DAY - IST + INSTRUMENTS_AT


def is_stale(loaded_at: float | None, since: float) -> bool:
    """Whether a list is older than the newest moment at which lists were to be renewed."""
    return loaded_at is None or loaded_at < since


def brokers_in_use(directory: Directory) -> frozenset[str]:
    return frozenset(account.broker for account in directory.accounts() if account.enabled and account.live)


def source(broker: str, endpoints: Endpoints, kite_authorization: str | None = None) -> dict[str, Any]:
    """Where a broker's list is, as the building process wants it told."""
    match broker:
        case "zerodha":
            signed = {"Authorization": kite_authorization} if kite_authorization else {}
            return {"broker": broker, "url": f"{endpoints.kite_api_root}/instruments", "headers": {"X-Kite-Version": "3"} | signed}
        case "angelone":
            return {"broker": broker, "url": endpoints.smartapi_instruments_url}
        case "binance_spot":
            return {"broker": broker, "url": f"{endpoints.binance_spot_root}/api/v3/exchangeInfo"}
        case "binance_usdm":
            return {"broker": broker, "url": f"{endpoints.binance_futures_root}/fapi/v1/exchangeInfo"}
    raise ValueError(f"{broker} has no list")


@dataclass(slots=True)
class _Trying:
    """What went wrong with one broker's list since it was last good."""

    problem: str = ""
    failures: int = 0
    not_before: float = 0.0


class MasterRefresher:
    """Any thread may call `refresh_now`, `poke` and `status`. `wanted`: brokers that have an account; `kite_authorization`: the header value of a Kite
    session, if one is signed in; `on_trouble` (kind, severity, message) and `on_clear` (kind) keep the incident."""

    def __init__(
        self,
        *,
        master: Instruments,
        endpoints: Endpoints,
        clock: Clock,
        wanted: Callable[[], Collection[str]],
        on_trouble: Callable[[str, str, str], None],
        on_clear: Callable[[str], None],
        kite_authorization: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._master, self._endpoints, self._clock = master, endpoints, clock
        self._wanted, self._kite_authorization = wanted, kite_authorization
        self._on_trouble, self._on_clear = on_trouble, on_clear
        self._lock = threading.Lock()
        self._since = last_morning(clock.now())  # lists older than this are renewed
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._asked: tuple[frozenset[str], bool] | None = None
        self._tries: dict[str, _Trying] = {}
        self._known_wanted: frozenset[str] = frozenset()
        self._running = False
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    # --- what others call --------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="instruments", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        with self._lock:
            child = self._child
        if child is not None:
            child.kill()
        if self._thread is not None:
            self._thread.join(2)

    def poke(self) -> None:
        """Something may have changed (a new account): look again now."""
        self._wake.set()

    def renew(self) -> None:
        """From now on every list that was taken before this moment is stale: they are fetched again."""
        with self._lock:
            self._since = self._clock.now()
            self._tries.clear()
        self._wake.set()

    def refresh_now(self, force: bool = False) -> Collection[str]:
        """Fetch every wanted list now, fresh or not; returns at once with the brokers it is about, none when no account needs one.
        `force`: also take a list that has shrunk by half."""
        brokers = frozenset(self._wanted())
        if brokers:
            with self._lock:
                self._asked = (brokers, force)
            self._wake.set()
        return brokers

    def wanted(self) -> Collection[str]:
        """The brokers whose lists are needed now."""
        return self._wanted()

    def status(self) -> ListsStatus:
        now = self._clock.now()
        ages = {age.broker: age for age in self._master.lists()}
        with self._lock:
            running = self._running or self._asked is not None
            problems = {broker: trying.problem for broker, trying in self._tries.items()}
            wanted = self._known_wanted
        lists = tuple(
            ListState(
                broker=broker,
                wanted=broker in wanted,
                loaded_at=ages[broker].loaded_at if broker in ages else None,
                listed=ages[broker].listed if broker in ages else 0,
                stale=is_stale(ages[broker].loaded_at if broker in ages else None, self._since),
                problem=problems.get(broker, ""),
            )
            for broker in sorted(set(ages) | wanted)
        )
        return ListsStatus(running, last_morning(now) + DAY, lists)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.turn()
            except Exception:
                log.exception("the instrument lists could not be looked after; trying again")
                self._on_trouble(KIND, "warning", "The instrument lists could not be renewed: a fault of ours, it is in the log.")
            self._wake.wait(BETWEEN)
            self._wake.clear()

    def turn(self) -> None:
        """One look at what is due. Public for tests, which have a clock of their own."""
        now, wanted = self._clock.now(), frozenset(self._wanted())
        with self._lock:
            asked, self._asked = self._asked, None
            self._known_wanted = wanted
            due = asked[0] if asked else frozenset(broker for broker in wanted if self._due(broker, now))
            self._running = bool(due)
        if not due:
            return
        try:
            self._refresh(sorted(due), asked[1] if asked else False)
        finally:
            with self._lock:
                self._running = False
        if not self._stopping.is_set():
            self._tell(wanted)

    def _due(self, broker: str, now: float) -> bool:
        trying = self._tries.get(broker)
        return is_stale(self._master.loaded_at(broker), self._since) and (trying is None or now >= trying.not_before)

    def _refresh(self, brokers: list[str], force: bool) -> None:
        authorization = self._kite_authorization() if "zerodha" in brokers else None
        job = {
            "folder": str(self._master.path.parent),
            "now": self._clock.now(),
            "fetch": [source(broker, self._endpoints, authorization) for broker in brokers],
            "force": force,
        }
        outcome = self._build(job)
        problems = {each["broker"]: each["problem"] for each in outcome.get("fetched", ())}
        if outcome.get("built"):
            self._master.swap()
        failed = outcome.get("failed")
        with self._lock:
            for broker in brokers:
                self._note(broker, f"the building process failed ({failed})" if failed else problems.get(broker, ""))

    def _note(self, broker: str, problem: str) -> None:
        if not problem:
            self._tries.pop(broker, None)
            return
        trying = self._tries.setdefault(broker, _Trying())
        trying.not_before = self._clock.now() + RETRIES[min(trying.failures, len(RETRIES) - 1)]
        trying.problem, trying.failures = problem, trying.failures + 1

    def _build(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """What the process answers; `failed` when it does not."""
        child = subprocess.Popen(
            COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
        )
        with child:
            with self._lock:
                self._child = child
            if self._stopping.is_set():
                child.kill()
            try:
                said, _ = child.communicate(json.dumps(job), timeout=LONGEST)
                outcome: dict[str, Any] = json.loads(said)
                return outcome
            except subprocess.TimeoutExpired:
                child.kill()
                return {"failed": f"not done after {LONGEST:.0f} s"}
            except (OSError, ValueError):
                return {"failed": f"ended with {child.poll()}"}
            finally:
                with self._lock:
                    self._child = None

    def _tell(self, wanted: Collection[str]) -> None:
        with self._lock:
            problems = {broker: trying.problem for broker, trying in sorted(self._tries.items()) if broker in wanted}
        if not problems:
            self._on_clear(KIND)
            return
        missing = [broker for broker in problems if self._master.loaded_at(broker) is None]
        said = "; ".join(f"{broker}: {problem}" for broker, problem in problems.items())
        use = f"{', '.join(missing)} cannot trade until there is one" if missing else "the last good list stays in use"
        self._on_trouble(KIND, "critical" if missing else "warning", f"The list of instruments could not be renewed ({said}); {use}.")


@dataclass(frozen=True, slots=True)
class Renewal:
    """The job of the timetable that renews the lists. Later tries of what failed are the refresher's own."""

    lists: MasterRefresher
    stands: bool = False

    def begin(self, job: Job) -> Renewal:  # noqa: ARG002 - the same for every day
        self.lists.renew()
        return self

    def step(self, now: float) -> Ended | None:  # noqa: ARG002 - the lists live by the wall's clock
        wanted = [each for each in self.lists.status().lists if each.wanted]
        if not self.lists.wanted():
            return Ended(RunState.DONE, "no account at a broker needs a list")
        if not wanted or any(each.stale and not each.problem for each in wanted):
            return None
        said = "; ".join(f"{each.broker} {each.listed:,}" if not each.problem else f"{each.broker}: {each.problem}" for each in wanted)
        return Ended(RunState.FAILED if any(each.problem for each in wanted) else RunState.DONE, said)

    def missed(self, job: Job) -> str:  # noqa: ARG002
        return "the day was over"


def health(lists: Instruments, wanted: Collection[str], now: float) -> tuple[bool | None, str]:
    """For `doctor`: whether the lists that accounts need are there and of today. None: nothing to say against it."""
    if not wanted:
        return None, "no account at a broker needs a list"
    ages = {age.broker: age for age in lists.lists()}
    lacking = sorted(set(wanted) - set(ages))
    said = [f"{b} {ages[b].listed:,}, {(now - ages[b].loaded_at) / 3600:.0f} h old" for b in sorted(set(wanted) & set(ages))]
    if lacking:
        said.append(f"{', '.join(lacking)} none yet: fetched when Tandem serves")
    old = any(now - ages[broker].loaded_at > 2 * DAY for broker in set(wanted) & set(ages))
    return (False if old else None if lacking else True), "; ".join(said)

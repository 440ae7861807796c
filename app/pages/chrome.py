"""What stands around every page: navigation, the state of the machine, halts, whether real money may move.

Built once for a request; pages add to it and never repeat it. All but the count of unread messages comes from memory: it stands, with the way to a stop,
while the database does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.api.accounts.schemas import AccountOut
from app.api.pnl.schemas import RealtimeOut
from app.api.system.schemas import HaltOut, StatusOut
from app.pages.purses import Purse, purses_of

FEED_SLOW_MS = 3_000
FEED_SILENT_MS = 15_000


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    href: str
    icon: str
    current: bool = False
    count: int | None = None
    key: str = ""
    shape: str = "count"


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    entries: tuple[Entry, ...]
    spring: bool = False


ROOMS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("", (("Overview", "/", "grid-1x2"),)),
    (
        "Trade",
        (
            ("Positions", "/positions", "layers"),
            ("Orders", "/orders", "list-check"),
            ("Signals", "/signals", "broadcast"),
            ("Watchlists", "/watchlists", "eye"),
            ("P&L", "/pnl", "graph-up"),
        ),
    ),
    (
        "Set up",
        (
            ("Accounts", "/accounts", "wallet2"),
            ("Strategies", "/strategies", "cpu"),
            ("Mappings", "/mappings", "diagram-3"),
            ("Groups", "/groups", "collection"),
            ("Limits", "/limits", "speedometer2"),
        ),
    ),
    ("Research", (("Back-tests", "/backtests", "bullseye"), ("Replay", "/replay", "rewind"), ("Data", "/data", "database"))),
    (
        "Machine",
        (
            ("Messages", "/messages", "bell"),
            ("Timetable", "/timetable", "clock-history"),
            ("Health", "/health", "heart-pulse"),
            ("Halts", "/halts", "sign-stop"),
        ),
    ),
)
OWN = (("Settings", "/settings", "gear"), ("Help", "/help", "question-circle"))
OWNER_ONLY = ("People", "/people", "people")
SETTINGS: tuple[tuple[str, str], ...] = (
    ("You", "/settings"),
    ("Security", "/settings/security"),
    ("Look", "/settings/look"),
    ("Messages", "/settings/messages"),
    ("Tokens", "/settings/tokens"),
    ("Log", "/settings/log"),
)
"""The parts of Settings, as tabs on each of them (templates/parts/settings_tabs.html)."""


@dataclass(frozen=True, slots=True)
class HaltLine:
    halt_id: str
    scope_text: str
    since: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Chrome:
    user_id: str
    email: str
    name: str
    role: str
    initials: str
    can_write: bool
    may_leave: bool  # close, cancel and stop what is one's own: also a viewer who still has accounts
    mode: str  # "live" as soon as one account is not paper, else "paper"; "none" without accounts
    paper_count: int
    live_count: int
    engines_on: bool
    held: str  # "halted" while a stop of everything holds, "off" while the engines are, else ""
    feed_source: str
    feed_age_ms: int | None
    feed_tone: str
    feed_trouble: str
    currency: str
    day: tuple[Purse, ...]  # real money first; never empty
    open_positions: int
    unread: int
    halts: tuple[HaltLine, ...]
    halted_strategies: frozenset[str]
    version: str


def feed_tone(age_ms: int | None, trouble: str = "") -> str:
    if trouble or age_ms is None or age_ms > FEED_SILENT_MS:
        return "bad"
    return "warn" if age_ms > FEED_SLOW_MS else "ok"


def initials(name: str, email: str) -> str:
    words = name.split() or [email.partition("@")[0]]
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])).upper()


def halt_line(halt: HaltOut, accounts: Sequence[AccountOut]) -> HaltLine:
    names = {account.id: account.name for account in accounts}
    scope = {
        "system": "the whole system",
        "user": "all your accounts",
        "account": f"account {names.get(halt.scope_id or '', '')}".strip(),
        "strategy": "a strategy",
    }.get(halt.scope, halt.scope)
    return HaltLine(halt.halt_id, scope, halt.since, halt.reason)


def held(status: StatusOut) -> str:
    """Why no entry of this person leaves now, if none does; a halt of one account or strategy is said where it holds."""
    if any(halt.lifted_at is None and halt.scope in ("system", "user") for halt in status.halts):
        return "halted"
    return "" if status.on else "off"


def build(user: Any, accounts: Sequence[AccountOut], status: StatusOut, pnl: RealtimeOut, unread: int = 0) -> Chrome:
    """`user` has user_id, email, name and role."""
    paper = sum(account.broker == "paper" for account in accounts)
    live = len(accounts) - paper
    return Chrome(
        user_id=user.user_id,
        email=user.email,
        name=user.name,
        role=str(user.role),
        initials=initials(user.name, user.email),
        can_write=str(user.role) != "viewer",
        may_leave=str(user.role) != "viewer" or bool(accounts),
        mode="live" if live else "paper" if paper else "none",
        paper_count=paper,
        live_count=live,
        engines_on=status.on,
        held=held(status),
        feed_source=status.feed.source,
        feed_age_ms=status.feed.last_tick_age_ms,
        feed_tone=feed_tone(status.feed.last_tick_age_ms, status.feed.trouble),
        feed_trouble=status.feed.trouble,
        currency=pnl.currency,
        day=purses_of(pnl),
        open_positions=sum(row.open_positions or 0 for row in pnl.by_account),
        unread=unread,
        halts=tuple(halt_line(halt, accounts) for halt in status.halts if halt.lifted_at is None),
        halted_strategies=frozenset(h.scope_id or "" for h in status.halts if h.lifted_at is None and h.scope == "strategy"),
        version=status.version,
    )


def navigation(path: str, role: str, open_positions: int, unread: int = 0) -> list[Group]:
    """The rooms with the present one marked; the longest prefix wins, so `/orders/17` is in Orders."""
    counted = {"/positions": (open_positions, "open_positions", "count"), "/messages": (unread, "unread", "unread")}

    def entry(label: str, href: str, icon: str) -> Entry:
        here = path == href or (href != "/" and path.startswith(href + "/"))
        return Entry(label, href, icon, here, *counted.get(href, (None, "", "count")))

    groups = [Group(title, tuple(entry(*room) for room in rooms)) for title, rooms in ROOMS]
    groups[-1] = Group(groups[-1].title, groups[-1].entries, spring=True)
    own = (OWNER_ONLY, *OWN) if role == "owner" else OWN
    return [*groups, Group("", tuple(entry(*room) for room in own))]

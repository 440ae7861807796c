"""What is said of everything that is not an order: the day, limits, log-ins, the feed, stops, differences, trouble, people.

Pure, like `words`. A person is never named to those who only share the machine with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from engines.core import figures
from engines.core.messages import Event, Line, Message, Tone
from engines.core.model import ZERO, DayBook, Halt, HaltScope, Incident, Timestamp
from engines.notify.words import AccountNews

ZONE = ZoneInfo("Asia/Kolkata")
OVER = "_over"
"""Ends the kind of a message that tells that a lasting trouble is over."""


def clock(at: Timestamp) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(ZONE).strftime("%H:%M:%S")


# --- the day --------------------------------------------------------------------------------------------------------


def of_day(message_id: int, at: Timestamp, day: str, books: Sequence[tuple[AccountNews, DayBook]]) -> Message:
    """The day of one person on all accounts. Paper and live are never added up, nor are currencies."""
    sums: dict[tuple[str, str], list[tuple[AccountNews, DayBook]]] = {}
    for account, book in sorted(books, key=lambda each: (not each[0].live, each[0].currency, each[0].name)):
        sums.setdefault((account.mode, account.currency), []).append((account, book))
    several = len(sums) > 1
    modes = {mode for mode, _ in sums}
    main = max(sums, key=lambda key: (key[0] == "live", len(sums[key])))
    lines: list[Line] = []
    for (mode, currency), rows in sums.items():
        lines += _day_lines(currency, [book for _, book in rows], f"{mode.capitalize()}, {currency}: " if several else "")
    if len(books) > 1:
        said = [
            f"{account.name}{f' ({account.mode})' if several else ''}: {figures.money(_net(book), account.currency, signed=True)}"
            for rows in sums.values()
            for account, book in rows
        ]
        lines.append(Line("Accounts", "\n".join(said), short=False))
    net = sum((_net(book) for _, book in sums[main]), ZERO)
    on = date.fromisoformat(day)
    return Message(
        message_id,
        "day",
        Event.DAY,
        at,
        f"{on.day} {on:%b}: {figures.money(net, main[1], signed=True)} {main[0]}",
        Tone.GOOD if net > 0 else Tone.BAD if net < 0 else Tone.MUTED,
        f"The day's result after charges on {len(books)} account{'' if len(books) == 1 else 's'}, open positions at their last prices.",
        tuple(lines),
        f"day {day}",
        mode=modes.pop() if len(modes) == 1 else "",
    )


def _day_lines(currency: str, books: Sequence[DayBook], head: str) -> list[Line]:
    def total(name: str) -> Decimal:
        return sum((getattr(book, name) for book in books), ZERO)

    def money(value: Decimal, *, signed: bool = True) -> str:
        return figures.money(value, currency, signed=signed)

    best = [book.best for book in books if book.best is not None]
    worst = [book.worst for book in books if book.worst is not None]
    refused = [f"{count} {what}" for what in ("denied", "rejected") if (count := sum(getattr(book, what) for book in books))]
    lines = [
        Line("P&L", money(sum(map(_net, books), ZERO))),
        Line("Realised", money(total("realised"))),
        Line("Charges", money(total("charges"), signed=False)),
        Line("Entries sent", f"{total('trades')}"),
        Line("Round trips closed", f"{total('wins')} won, {total('losses')} lost"),
    ]
    if best:
        lines += [Line("Best", money(max(best))), Line("Worst", money(min(worst)))]
    if total("open_positions"):
        lines += [Line("Still open", f"{total('open_positions')} · {money(total('unrealised'))}")]
    if refused:
        lines.append(Line("Refused", ", ".join(refused)))
    return [Line(f"{head}{line.name}", line.value, line.short) for line in lines]


def _net(book: DayBook) -> Decimal:
    return book.realised + book.unrealised - book.charges


# --- stops ----------------------------------------------------------------------------------------------------------

_SCOPES = {
    HaltScope.SYSTEM: "the whole system",
    HaltScope.USER: "all your accounts",
    HaltScope.ACCOUNT: "account",
    HaltScope.STRATEGY: "strategy",
}


@dataclass(frozen=True, slots=True)
class Held:
    """What still keeps entries back when something is lifted or switched on, as far as it concerns the reader."""

    stops: frozenset[HaltScope] = frozenset()
    killed: bool = False
    engines: bool = False  # the reader's are off
    all_engines: bool = False  # those of the whole system are off
    everybody: bool = False  # told to all people: of their own stops nothing is known here

    def says(self, free: str) -> str:
        """`free`: what is true when nothing does."""
        holds = [f"the stop of {_STOPS[scope]} still holds" for scope in HaltScope if scope in self.stops]
        holds += ["the kill switch of the account is on"] if self.killed else []
        holds += ["the engines of the whole system are off until an owner presses Start"] if self.all_engines else []
        holds += ["your engines are off until you press Start"] if self.engines and not self.all_engines else []
        if holds:
            return f"No entry leaves yet: {', '.join(holds)}."
        return f"{free} Where a person's own stop holds, it still does." if self.everybody else free


_STOPS = {
    HaltScope.SYSTEM: "the whole system",
    HaltScope.USER: "all your accounts",
    HaltScope.ACCOUNT: "the account",
    HaltScope.STRATEGY: "the strategy",
}
_FREE = Held()


def of_halt(message_id: int, at: Timestamp, halt: Halt, *, lifted: bool, name: str = "", by: str = "", held: Held = _FREE) -> Message:
    """`name`: of the account or strategy; `by`: who did it, where the reader may know; `held`: what else stops them."""
    what = f"{_SCOPES[halt.scope]} {name}".strip()
    if lifted:
        text, tone = held.says("Entries are allowed again. What was switched off by hand stays off."), Tone.GOOD
    else:
        # no broker has said anything yet: what is told here is what is being tried
        does = "Open orders are being cancelled and positions closed" if halt.flatten else "Such orders are being cancelled, positions stay"
        text, tone = f"No order that opens or adds leaves until a person lifts it. {does}; each order tells what became of it.", Tone.BAD
    lines = [Line("Scope", what[0].upper() + what[1:])]
    lines += [Line("By", by)] if by else []
    lines.append(Line("Lifted" if lifted else "Since", clock(at)))
    lines += [Line("Reason", halt.reason, short=False)] if halt.reason else []
    title = f"{'Lifted' if lifted else 'Stopped'}: {what}"
    return Message(message_id, "lift" if lifted else "halt", Event.HALTS, at, title, tone, text, tuple(lines), f"halt {halt.halt_id}")


def of_kill(message_id: int, at: Timestamp, account: AccountNews, *, on: bool, reason: str, by: str = "", held: Held = _FREE) -> Message:
    off = held.says("The account takes entries again.")
    text = "This account takes no entries until it is switched off again. Exits go on." if on else off
    lines = [Line("Account", f"{account.name} ({account.mode})")]
    lines += [Line("By", by)] if by else []
    lines += [Line("Reason", reason, short=False)] if reason and on else []
    title = f"Kill switch {'on' if on else 'off'}: {account.name}"
    return Message(message_id, "kill", Event.HALTS, at, title, Tone.BAD if on else Tone.GOOD, text, tuple(lines), mode=account.mode)


def of_engines(message_id: int, at: Timestamp, *, on: bool, everybody: bool, by: str = "", held: Held = _FREE) -> Message:
    whose = "of the whole system" if everybody else "of your accounts"
    text = held.says("Strategies trade again.") if on else "Nothing is entered until they are on again. Stops and targets go on."
    lines = (Line("By", by),) if by else ()
    title = f"Engines {whose} are {'on' if on else 'off'}"
    return Message(message_id, "engines", Event.HALTS, at, title, Tone.GOOD if on else Tone.WARN, text, lines)


# --- what went wrong --------------------------------------------------------------------------------------------------

_TITLES: Mapping[str, tuple[Event, str, str]] = {
    "limit_warning": (Event.LIMITS, "80 % of a day limit is used", ""),
    "limit_reached": (Event.LIMITS, "A day limit is reached", ""),
    "combined_left": (Event.LIMITS, "A combined P&L rule was left", ""),
    "market_changed": (Event.FEED, "Prices of another market", ""),
    "needs_login": (Event.LOGINS, "Log-in needed", "Signed in again"),
    "login_failed": (Event.LOGINS, "The automated log-in failed", ""),
    "session_ends_soon": (Event.LOGINS, "The broker's session ends soon", ""),
    "feed_silent": (Event.FEED, "No prices", "Prices are back"),
    "prices_full": (Event.FEED, "Not every instrument has prices", "Every instrument has prices again"),
    "position_differs": (Event.DIFFERENCES, "Our books and the broker's differ", "The books agree again"),
    "position_elsewhere": (Event.DIFFERENCES, "A position that was made elsewhere", ""),
    "double_order": (Event.DIFFERENCES, "One order is at the broker more than once", ""),
    "overfill": (Event.DIFFERENCES, "More was filled than ordered", ""),
    "unguarded": (Event.TROUBLE, "A position is not guarded", ""),
    "exit_failed": (Event.TROUBLE, "An exit failed", ""),
    "exit_missing": (Event.TROUBLE, "A position is held without its exit", ""),
    "exit_waits": (Event.TROUBLE, "An exit waits for its broker", ""),
    "order_rests": (Event.TROUBLE, "An order does not fill", ""),
    "strategy_quarantined": (Event.TROUBLE, "A strategy was taken out", "A strategy runs again"),
    "journal_down": (Event.TROUBLE, "The database cannot be written", "The database can be written again"),
    "cannot_connect": (Event.TROUBLE, "An account cannot be connected", "The account can be connected again"),
    "changes_wait": (Event.TROUBLE, "What was changed does not hold yet", "What was changed holds"),
    "thread_died": (Event.TROUBLE, "A part of the engines has died", "It runs again"),
    "thread_stuck": (Event.TROUBLE, "A part of the engines is stuck", "It runs again"),
    "halt_not_durable": (Event.HALTS, "A stop could not be written to disk", ""),
    "calendar_unknown": (Event.TROUBLE, "The holidays of the year are not known", ""),
    "instruments": (Event.TROUBLE, "The instrument lists are old", "The instrument lists are fresh again"),
    "mail_down": (Event.TROUBLE, "No mail can be sent", "Mail can be sent again"),
    "square_off_missed": (Event.TROUBLE, "Positions were not squared off", ""),
    "job_failed": (Event.TROUBLE, "A job of the day failed", ""),
}
_BY_SEVERITY = {"info": Tone.INFO, "warning": Tone.WARN, "critical": Tone.BAD}


def says_when_over(kind: str) -> bool:
    """Whether people are told that it is over: not of what begins anew with every session by itself."""
    return bool(_titles(kind)[2])


def _titles(kind: str) -> tuple[Event, str, str]:
    if kind in _TITLES:
        return _TITLES[kind]
    if kind.startswith("prices_"):
        return Event.FEED, "A broker's prices have stopped", "A broker's prices are back"
    words = kind.replace("_", " ")
    return Event.TROUBLE, words[:1].upper() + words[1:], ""


def of_incident(message_id: int, at: Timestamp, incident: Incident, account: AccountNews | None, *, over: bool = False) -> Message:
    """Trouble that a person must know of, and the end of it."""
    event, title, ended = _titles(incident.kind)
    lines = [Line("Account", f"{account.name} ({account.mode})")] if account else []
    lines.append(Line("Since", clock(incident.since)))
    lines += [Line("Until", clock(incident.until))] if over and incident.until is not None else []
    return Message(
        message_id,
        f"{incident.kind}{OVER}" if over else incident.kind,
        event,
        at,
        (ended or f"{title}: over") if over else title,
        Tone.GOOD if over else _BY_SEVERITY.get(incident.severity, Tone.WARN),
        f"It was: {incident.message}" if over else incident.message,
        tuple(lines),
        f"incident {incident.incident_id}",
        incident.incident_id,
        account.mode if account else "",
    )


# --- people -----------------------------------------------------------------------------------------------------------

_PEOPLE: Mapping[str, tuple[str, str, Tone]] = {
    "strategy_shared": (
        "{name} is shared with {to|you}",
        "{by|Its owner} lets {to|you} map it to {to_their|your} own accounts.",
        Tone.INFO,
    ),
    "strategy_shared/viewer": (
        "{name} is shared with {to|you}",
        "{by|Its owner} lets {to|you} look at it: what it is set to, its chart and its levels.",
        Tone.INFO,
    ),
    "strategy_unshared": (
        "{name} is no longer shared with {to|you}",
        "Its mappings are off and it makes no entries there. Positions that it opened keep their exits. {why|}",
        Tone.WARN,
    ),
    "strategy_unshared/viewer": (
        "{name} is no longer shared with {to|you}",
        "It was there to look at; nothing else ends. {why|}",
        Tone.WARN,
    ),
    "consent_given": ("{holder|The holder} agreed", "{account|The account} may be traded. {why|}", Tone.INFO),
    "consent_revoked": (
        "The consent of {holder|the holder} was revoked",
        "{account|The account} enters by itself only while a consent holds. {why|}",
        Tone.WARN,
    ),
    "consent_over": ("The consent of {holder|the holder} has run out", "Auto-trade of {account|the account} is off. {why|}", Tone.WARN),
    "auto_trade_off": ("Auto-trade of your accounts is off", "Nothing is entered there by itself any more. {why|}", Tone.WARN),
    "new_sign_in": (
        "Signed in from a new address",
        "If this was not you: change your password, which ends every other sign-in, and sign out everywhere.",
        Tone.WARN,
    ),
    "second_factor_cleared": (
        "Your second factor was cleared",
        "{by|An owner} took it off your sign-in. Set up a new one on Settings › Security; if you did not ask for this, ask them why.",
        Tone.WARN,
    ),
    "destination_refused": (
        "{name} takes no messages any more",
        "It answered: {why|nothing that helps}. Nothing is told there until its address is entered again or a test gets through: Settings › Messages.",
        Tone.WARN,
    ),
    "password_changed": (
        "Your password was changed",
        "Every other sign-in has ended. If this was not you, ask the owner for help.",
        Tone.WARN,
    ),
}
"""What is said of a kind, and of a kind to or of somebody in a role (kind/role)."""
_TROUBLE = frozenset({"destination_refused"})
_SHOWN = {"ip": "Address", "agent": "Browser"}


def of_people(message_id: int, at: Timestamp, kind: str, fields: Mapping[str, str], ref: str = "") -> Message:
    """What concerns a person themselves: shares, consents, sign-ins. A kind without words of its own is told in those that came with it."""
    words_of = f"{kind}/{fields.get('role', '')}"
    if kind in _PEOPLE:
        title, text, tone = _PEOPLE.get(words_of, _PEOPLE[kind])
        title, text = _filled(title, fields), _filled(text, fields)
    else:
        words = kind.replace("_", " ")
        title, tone = fields.get("title") or words[:1].upper() + words[1:], Tone.INFO
        text = fields.get("text") or (ref if " " in ref else "")
    lines = tuple(Line(name, fields[key], short=key == "ip") for key, name in _SHOWN.items() if fields.get(key))
    event = Event.TROUBLE if kind in _TROUBLE else Event.PEOPLE
    return Message(message_id, kind, event, at, title[:1].upper() + title[1:], tone, text, lines)


def _filled(text: str, fields: Mapping[str, str]) -> str:
    """{name|otherwise}: the field, or what stands behind the bar."""
    out = []
    for part in text.split("{"):
        hole, bar, rest = part.partition("}")
        if not bar:
            out.append(part)
            continue
        key, _, otherwise = hole.partition("|")
        given = fields.get("to", "") and "their" if key == "to_their" else fields.get(key, "")
        out.append((given or otherwise) + rest)
    return "".join(out).strip()


def of_test(message_id: int, at: Timestamp, name: str) -> Message:
    """Sent whatever was chosen, because a person asked for it just now."""
    text = f"Messages of Tandem arrive here: {name}. Nothing was traded."
    lines = (Line("Asked for at", clock(at)),)
    return Message(message_id, "test", None, at, "It works", Tone.INFO, text, lines, "test")

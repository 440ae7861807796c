"""Limits: the combined P&L rules with where they stand, and the day's limits of each account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Response, abort, request

from app.pages import format as fmt
from app.pages.room import accounts, currency_of, form, page, reads, room

routes = room("limits")

SCOPES = (("strategy", "A strategy, on all its accounts"), ("account", "An account"), ("group", "A group of accounts"))
WAYS = {"stop": "stop", "target": "target", "lock": "lock", "trail": "trail"}
_WIDE = 1000


@dataclass(frozen=True, slots=True)
class Band:
    """Where a rule's P&L lies between the two ends at which its scope is left: places from 0 to 1000, None for what there is not."""

    zero: int
    now: int | None
    best: int | None
    lower: int | None
    target: int | None
    gates: tuple[int, ...]  # where lock and trail begin, as long as they have not

    @property
    def gain(self) -> tuple[int, int] | None:
        """(from, width) of the bar between nothing and now."""
        return None if self.now is None else (min(self.zero, self.now), max(2, abs(self.now - self.zero)))


@dataclass(frozen=True, slots=True)
class Shown:
    """A rule as the page tells it."""

    rule: Any
    name: str
    href: str
    currency: str
    words: tuple[str, ...]
    state: str
    tone: str
    band: Band
    to_lower: Decimal | None
    to_target: Decimal | None


@routes.get("/limits")
def index() -> Response:
    read = reads()
    groups = read.groups()
    names = _names(groups)
    return page(
        "limits/list.html",
        rules=sorted((_shown(rule, names, groups) for rule in read.combined_rules()), key=lambda s: (s.rule.scope, s.name.casefold())),
        accounts=accounts(),
    )


@routes.get("/limits/new")
@form
def new() -> Response:
    return _rule_form(None, request.args.get("scope", "account"), request.args.get("id", ""))


@routes.get("/limits/<rule_id>/edit")
@form
def edit(rule_id: str) -> Response:
    rule = next((one for one in reads().combined_rules() if one.id == rule_id), None) or abort(404)
    return _rule_form(rule, rule.scope, rule.scope_id)


def _rule_form(rule: Any, scope: str, scope_id: str) -> Response:
    read = reads()
    taken = {one.scope_id for one in read.combined_rules()}
    things = {
        "strategy": [(s.id, s.name) for s in read.own_strategies() if s.id not in taken],
        "account": [(a.id, a.name) for a in accounts() if a.id not in taken],
        "group": [(g.id, g.name) for g in read.groups() if g.id not in taken],
    }
    return page(
        "limits/rule.html",
        rule=rule,
        scopes=SCOPES,
        scope=scope if scope in things else "account",
        scope_id=scope_id,
        things=things,
        name=_names(read.groups()).get(scope_id, ""),
    )


# --- how a rule is told ----------------------------------------------------------------------------------------------


def _names(groups: list[Any]) -> dict[str, str]:
    return {thing.id: thing.name for thing in (*reads().strategies(), *accounts(), *groups)}


def _shown(rule: Any, names: Mapping[str, str], groups: list[Any]) -> Shown:
    currency = _currency(rule, groups)
    state, tone = _state(rule, currency)
    href = {"strategy": "/strategies/", "account": "/accounts/"}.get(rule.scope)
    return Shown(
        rule=rule,
        name=names.get(rule.scope_id, "something that is gone"),
        href=f"{href}{rule.scope_id}" if href else "",
        currency=currency,
        words=(*words_of(rule, currency), *_counted(rule)),
        state=state,
        tone=tone,
        band=band_of(rule),
        to_lower=None if rule.pnl is None or rule.leave_at is None else rule.pnl - rule.leave_at,
        to_target=None if rule.pnl is None or rule.target is None else rule.target - rule.pnl,
    )


def _currency(rule: Any, groups: list[Any]) -> str:
    """What the sum is counted in: that of the first account that is in it."""
    match rule.scope:
        case "account":
            inside = [rule.scope_id]
        case "group":
            inside = next((group.account_ids for group in groups if group.id == rule.scope_id), [])
        case _:
            inside = [mapping.account_id for mapping in reads().mappings() if mapping.strategy_id == rule.scope_id]
    return currency_of(inside[0]) if inside else "INR"


def _state(rule: Any, currency: str) -> tuple[str, str]:
    if rule.left:
        return (
            f"left at {fmt.clock(rule.left_at, seconds=False)}: {WAYS[rule.left]}, {fmt.money(rule.left_pnl, currency, 0, signed=True)}",
            "bad" if rule.left_pnl is not None and rule.left_pnl < 0 else "ok",
        )
    if not rule.enabled:
        return "off", ""
    if rule.pnl is None:
        return rule.why or "cannot be valued", "warn"
    if rule.floor is not None:
        return f"{fmt.money(rule.floor, currency, 0, signed=True)} is safe" if rule.floor > 0 else "floor is set", "info"
    return "watching", "ok"


def _counted(rule: Any) -> tuple[str, ...]:
    """Whose P&L it is, where real money alone counts although there is paper beside it."""
    if not rule.live or not rule.paper:
        return ()
    live = f"its {rule.live} live accounts" if rule.live > 1 else "its live account"
    return (f"P&L of {live}; {rule.paper} paper account{'s' if rule.paper > 1 else ''} not counted, closed with the rest",)


def words_of(rule: Any, currency: str) -> tuple[str, ...]:
    """The rule's parts in a few words each."""

    def said(amount: Decimal) -> str:
        return fmt.money(amount, currency, 0 if amount == amount.to_integral_value() else 2)

    parts = []
    if rule.stop is not None:
        parts.append(f"stop at {fmt.MINUS}{said(rule.stop)}")
    if rule.target is not None:
        parts.append(f"target {said(rule.target)}")
    if rule.lock_at is not None:
        more = f", {said(rule.rise)} more for each {said(rule.step)}" if rule.step is not None else ""
        parts.append(f"lock {said(rule.lock)} once at {said(rule.lock_at)}{more}")
    if rule.trail_start is not None:
        parts.append(f"trail {said(rule.trail_by)} behind the best, from {said(rule.trail_start)}")
    return tuple(parts)


def band_of(rule: Any) -> Band:
    gates = [gate for gate in (rule.lock_at, rule.trail_start) if gate is not None and (rule.best is None or rule.best < gate)]
    marks = [mark for mark in (Decimal(0), rule.pnl, rule.best, rule.leave_at, rule.target, *gates) if mark is not None]
    low, high = min(marks), max(marks)
    pad = (high - low) * Decimal("0.05") or Decimal(1)
    low, high = low - pad, high + pad

    def place(amount: Decimal | None) -> int | None:
        return None if amount is None else int((amount - low) / (high - low) * _WIDE)

    at_zero = place(Decimal(0)) or 0
    return Band(
        at_zero, place(rule.pnl), place(rule.best), place(rule.leave_at), place(rule.target), tuple(place(gate) or 0 for gate in gates)
    )

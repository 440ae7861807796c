"""The accounts file of `backtest` and `sweep`: who trades along, how much, with which exits, re-entries, groups and combined rules.

Its parts have the names and the checks of the API; ids are made up. What is wrong in it is one line that names the seat and the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, ValidationError

from app.api.accounts.schemas import Broker, DayRulesIn, Leverage, LimitFields, PaperIn
from app.api.combined.schemas import CombinedIn
from app.api.exits import ExitsIn
from app.api.mappings.schemas import SizingIn
from app.api.mappings.service import sizing_of
from app.api.strategies.reentry import ReentryIn
from app.api.wire import Body, Id, Name, Percent, Positive
from app.launch.errors import CannotRun
from app.problems import field_errors
from engines import backtest
from engines.backtest.settings import seat_of
from engines.core.combined import BadRule, check_rule
from engines.core.model import CombinedRule, CombinedScope, DayRules, Group, Limits, PaperSettings

_AMOUNTS = ("stop", "target", "lock_at", "lock", "step", "rise", "trail_start", "trail_by")


class SeatLimitsIn(LimitFields):
    """The limits in an object of their own, as `POST /api/backtests` has them."""


class SeatAccountIn(LimitFields):
    """An account of the API without credentials and switches; nothing is required."""

    account_id: Id | None = None
    name: Name | None = None
    broker: Broker | None = None
    capital: Positive | None = None
    leverage: Leverage | None = None
    limits: SeatLimitsIn | None = None
    paper: PaperIn | None = None
    day_rules: DayRulesIn | None = None


class SeatMappingIn(Body):
    allocation_pct: Percent | None = None
    sizing: SizingIn | None = None
    risk_per_trade_pct: Percent | None = None
    multiplier: Annotated[Positive, Field(le=1000)] | None = None


class SeatIn(Body):
    account: SeatAccountIn = SeatAccountIn()
    mapping: SeatMappingIn = SeatMappingIn()


class RuleIn(CombinedIn):
    scope_id: Id | None = None  # type: ignore[assignment]
    """Default: the strategy of the run, the only account, the only group."""


class GroupIn(Body):
    name: Name
    accounts: Annotated[list[Id], Field(min_length=1, max_length=200, validation_alias=AliasChoices("accounts", "account_ids"))]


class FileIn(Body):
    seats: Annotated[list[SeatIn], Field(min_length=1, max_length=1_000)]
    exit_plan: ExitsIn | None = Field(None, validation_alias=AliasChoices("exit_plan", "exits"))
    reentry: ReentryIn | None = None
    groups: Annotated[list[GroupIn], Field(max_length=200)] = Field(default_factory=list)
    rules: Annotated[list[RuleIn], Field(max_length=200)] = Field(default_factory=list)


def with_accounts(job: backtest.Job, path: Path) -> backtest.Job:
    """The job with what the file says: a list of seats, or an object with seats and more. CannotRun in one line for what it cannot mean."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        given = {"seats": given} if isinstance(given, list) else given
        if not isinstance(given, dict) or not given.get("seats"):
            raise ValueError("it names no seats")
        return _laid_over(job, FileIn.model_validate(given))
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror or error}") from None
    except RecursionError:
        raise CannotRun(f"{path.name}: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise CannotRun(f"{path.name} is not a text in UTF-8") from None
    except ValidationError as error:
        told = [f"{_place(name, given)}: {messages[0]}" for name, messages in field_errors(error).items()]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise CannotRun(f"{path.name}: {'; '.join(told[:3])}{more}") from None
    except ValueError as error:
        raise CannotRun(f"{path.name}: {error}") from None


def _laid_over(job: backtest.Job, said: FileIn) -> backtest.Job:
    seats = tuple(_seat(number, seat, job.strategy_id) for number, seat in enumerate(said.seats, start=1))
    ids = [seat.account.account_id for seat in seats]
    for number, name in enumerate(ids, start=1):
        if name in ids[: number - 1]:
            raise ValueError(f"seat {number}: the account {name} has two seats")
    named = {name: seat.account.account_id for seat in seats for name in (seat.account.name, seat.account.account_id)}
    groups = tuple(_group(group, named, seats[0].account.user_id) for group in said.groups)
    if len({group.group_id for group in groups}) < len(groups):
        raise ValueError("groups: each name once")
    plan = said.exit_plan.spec() if said.exit_plan else None
    return replace(
        job,
        seats=seats,
        groups=groups,
        rules=_rules(said.rules, job, named, groups),
        exits=job.exits if plan is None or plan.empty else plan,
        reentry=said.reentry.spec() if said.reentry else job.reentry,
    )


def _seat(number: int, said: SeatIn, strategy_id: str) -> backtest.Seat:
    """What is left out is as in a back-test of one account."""
    usual, asked = seat_of(backtest.Settings(), strategy_id), said.account
    name = asked.account_id or asked.name or f"account-{number}"
    limits = _given(asked.limits) | {field: value for field, value in _given(asked).items() if field in LimitFields.model_fields}
    given = {field: value for field in ("broker", "capital", "leverage") if (value := getattr(asked, field)) is not None}
    account = replace(
        usual.account,
        account_id=name,
        name=asked.name or name,
        limits=Limits(**limits),
        paper=PaperSettings(**_given(asked.paper)) if asked.paper else usual.account.paper,
        day_rules=DayRules(**_given(asked.day_rules)) if asked.day_rules else usual.account.day_rules,
        **given,
    )
    sized = {field: value for field in SeatMappingIn.model_fields if (value := getattr(said.mapping, field)) is not None}
    if said.mapping.sizing is not None:
        sized["sizing"] = sizing_of(said.mapping.sizing)
    return backtest.Seat(account, replace(usual.mapping, mapping_id=name, account_id=name, **sized))


def _given(body: Body | None) -> dict[str, Any]:
    """What was said, as the values that they are (a dump would make text of exact decimals)."""
    return {field: getattr(body, field) for field in body.model_fields_set} if body is not None else {}


def _group(said: GroupIn, named: Mapping[str, str], user_id: str) -> Group:
    stray = next((name for name in said.accounts if name not in named), None)
    if stray is not None:
        raise ValueError(f"group {said.name}: accounts: {stray} has no seat, only {', '.join(dict.fromkeys(named.values()))}")
    return Group(said.name, user_id, said.name, tuple(dict.fromkeys(named[name] for name in said.accounts)))


def _rules(said: Sequence[RuleIn], job: backtest.Job, named: Mapping[str, str], groups: Sequence[Group]) -> tuple[CombinedRule, ...]:
    known = {
        CombinedScope.STRATEGY: {job.strategy_id: job.strategy_id},
        CombinedScope.ACCOUNT: dict(named),
        CombinedScope.GROUP: {group.name: group.group_id for group in groups},
    }
    user_id = seat_of(backtest.Settings()).account.user_id
    found: dict[tuple[CombinedScope, str], CombinedRule] = {}
    for number, rule in enumerate(said, start=1):
        scope_id = _scope_of(number, rule, known[rule.scope])
        made = CombinedRule(
            f"rule-{number}", user_id, rule.scope, scope_id, **{name: getattr(rule, name) for name in _AMOUNTS}, enabled=rule.enabled
        )
        try:
            check_rule(made)
        except BadRule as error:
            raise ValueError(f"rule {number}: {error.field}: {error}") from None
        if (rule.scope, scope_id) in found:
            raise ValueError(f"rule {number}: the {rule.scope.value} {scope_id} has a rule already")
        found[rule.scope, scope_id] = made
    return tuple(found.values())


def _scope_of(number: int, rule: RuleIn, known: Mapping[str, str]) -> str:
    ids = list(dict.fromkeys(known.values()))
    if rule.scope_id is None and len(ids) == 1:
        return ids[0]
    if rule.scope_id is not None and rule.scope_id in known:
        return known[rule.scope_id]
    there = f"there {'are' if len(ids) > 1 else 'is'} {', '.join(ids) or 'none'}"
    said = "is required" if rule.scope_id is None else f"there is no {rule.scope.value} {rule.scope_id}"
    raise ValueError(f"rule {number}: scope_id: {said}; {there}")


def _place(field: str, given: Any) -> str:
    """`seats.0.account.capital` as `seat 1 (Asha): account.capital`."""
    part, _, rest = field.partition(".")
    number, _, rest = rest.partition(".")
    one = {"seats": "seat", "groups": "group", "rules": "rule"}.get(part)
    if one is None or not number.isdecimal():
        return field
    each = given[part][int(number)] if isinstance(given.get(part), list) and int(number) < len(given[part]) else None
    where = each.get("account") if part == "seats" and isinstance(each, dict) else each
    name = where.get("name") or where.get("account_id") if isinstance(where, dict) else None
    place = f"{one} {int(number) + 1}" + (f" ({name})" if isinstance(name, str) and name.isprintable() else "")
    return f"{place}: {rest}" if rest else place

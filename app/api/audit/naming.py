"""What the ids of the log are called, as far as whoever reads it may know: their own things, what is or was shared with them, people for an owner.

A name that one was never told is never taken from anywhere: the id stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.data import Data, User


def people(data: Data, *, owner: bool) -> dict[str, str]:
    """Everybody for an owner, else nobody: who reads it is "you" wherever they stand."""
    return {person.user_id: person.name or person.email for person in data.users.all()} if owner else {}


def things(user: User, data: Data) -> dict[str, str]:
    """Of the caller's own things, also of those that are archived. A mapping has no name: it is called by its two ends."""
    me = user.user_id
    accounts = {row.account.account_id: row.account.name for row in data.accounts.list(me, archived=True)}
    shared = {row.strategy.strategy_id: row.strategy.name for row in data.strategies.list_seen(me)}
    own = {row.strategy.strategy_id: row.strategy.name for row in data.strategies.list(me, archived=True)}
    strategies = data.shares.ended_for(me) | shared | own
    groups = {row.group.group_id: row.group.name for row in data.groups.list(me)}
    rules = {row.rule.rule_id: row.rule.scope_id for row in data.combined_rules.list(me)}
    ends = {row.mapping.mapping_id: (row.mapping.strategy_id, row.mapping.account_id) for row in data.mappings.list(me)}
    known = accounts | strategies | groups
    return (
        known
        | {
            key: f"{strategies[what]} on {accounts[where]}"
            for key, (what, where) in ends.items()
            if what in strategies and where in accounts
        }
        | {rule: known[scope] for rule, scope in rules.items() if scope in known}
        | {row.consent_id: row.holder for row in data.consents.list(me)}
        | {row.destination_id: row.name for row in data.destinations.list(me)}
        | {row.watchlist_id: row.name for row in data.watchlists.list(me)}
        | {row.webhook_id: row.name for row in data.webhooks.list(me)}
        | {row.token_id: row.name for row in data.tokens.list(me)}
    )


def named(values: Mapping[str, Any] | None, known: Mapping[str, str]) -> dict[str, str]:
    """Those of the ids inside of `values` that have a name."""
    return {text: known[text] for text in _texts(values or {}) if text in known}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)

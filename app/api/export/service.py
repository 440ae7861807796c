"""Gathers what a person has set up from the lists that the other resources show. What they mask stays masked; credentials are left out altogether."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.api.accounts import service as accounts
from app.api.accounts.schemas import AccountIn, AccountQuery
from app.api.combined import service as combined
from app.api.combined.schemas import CombinedQuery
from app.api.consents import service as consents
from app.api.consents.schemas import ConsentQuery
from app.api.destinations import service as destinations
from app.api.export.schemas import ExportOut, Things
from app.api.groups import service as groups
from app.api.groups.schemas import GroupQuery
from app.api.look import service as look
from app.api.mappings import service as mappings
from app.api.mappings.schemas import MappingQuery
from app.api.people import service as people
from app.api.strategies import service as strategies
from app.api.strategies.schemas import StrategyQuery
from app.api.watchlists import service as watchlists
from app.api.watchlists.schemas import WatchlistQuery
from app.api.webhooks import service as webhooks
from app.api.webhooks.schemas import WebhookQuery
from app.api.wire import Out, Page, PageQuery, moment
from app.data import User
from app.workspace import workspace
from config import VERSION

PIECE = 500
SET_UP = frozenset(AccountIn.model_fields) - {"credentials"} | {"id", "enabled", "auto_login", "created_at"}
"""Of an account: what a person sets, not how it stands at this moment."""


def export(user: User) -> ExportOut:
    return ExportOut(
        tandem=VERSION,
        made_at=moment(workspace().clock.now()),
        me=people.me(user).model_dump(mode="json"),
        look=look.get_look(user).model_dump(mode="json"),
        accounts=_all(accounts.list_accounts, user, AccountQuery, only=SET_UP),
        strategies=_own_strategies(user),
        mappings=_all(mappings.list_mappings, user, MappingQuery),
        groups=_all(groups.list_groups, user, GroupQuery, only={"id", "name", "account_ids", "created_at"}),
        consents=_all(consents.list_consents, user, ConsentQuery),
        combined_rules=_all(combined.list_rules, user, CombinedQuery),
        watchlists=_all(watchlists.list_watchlists, user, WatchlistQuery),
        webhooks=_all(webhooks.list_webhooks, user, WebhookQuery),
        destinations=_plain(destinations.list_destinations(user).items),
    )


def _own_strategies(user: User) -> Things:
    """Without those that others share, and without who one's own are shared with."""
    return [
        {name: value for name, value in each.items() if name not in ("owned", "shared_by", "shares")}
        for each in _all(strategies.list_strategies, user, StrategyQuery)
        if each["owned"]
    ]


def _all(read: Callable[[User, Any], Page[Any]], user: User, query: type[PageQuery], only: Iterable[str] | None = None) -> Things:
    """A whole list, piece by piece."""
    found: Things = []
    cursor: str | None = None
    while True:
        page = read(user, query(limit=PIECE, cursor=cursor))
        found += _plain(page.items, only)
        cursor = page.next
        if cursor is None:
            return found


def _plain(items: Iterable[Out], only: Iterable[str] | None = None) -> Things:
    return [item.model_dump(mode="json", include=None if only is None else set(only)) for item in items]

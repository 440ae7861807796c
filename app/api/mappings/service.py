"""Mappings: which strategy trades on which account, with how much. That allocations stay within 100 % is held by the data service."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.api.mappings.schemas import MappingIn, MappingOut, MappingPatch, MappingQuery, SizingIn, SizingOut
from app.api.pages import keep, page_of
from app.api.wire import Page, moment
from app.data import Actor, MappingRow, User
from app.workspace import workspace
from engines.core.model import AccountMapping, Sizing, SizingMode

_ALL = MappingQuery()
_HALF_KELLY = Decimal("0.5")


def list_mappings(user: User, query: MappingQuery = _ALL) -> Page[MappingOut]:
    shown = [mapping_out(row) for row in workspace().data.mappings.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda m: (m.created_at, m.id))


def get_mapping(user: User, mapping_id: str) -> MappingOut:
    return mapping_out(workspace().data.mappings.get(user.user_id, mapping_id))


def create_mapping(user: User, body: MappingIn, by: Actor) -> MappingOut:
    shop = workspace()
    shop.owners.account(user, body.account_id)
    shop.owners.strategy_seen(user, body.strategy_id)
    mapping = AccountMapping(
        mapping_id="",
        account_id=body.account_id,
        strategy_id=body.strategy_id,
        allocation_pct=body.allocation_pct,
        sizing=sizing_of(body.sizing),
        risk_per_trade_pct=body.risk_per_trade_pct,
        multiplier=body.multiplier,
        enabled=body.enabled,
    )
    row = shop.data.mappings.add(user.user_id, mapping, by=by)
    shop.taken_over()
    return mapping_out(row)


def change_mapping(user: User, mapping_id: str, body: MappingPatch, by: Actor) -> MappingOut:
    given = body.model_fields_set
    changes: dict[str, Any] = {name: getattr(body, name) for name in given if name != "sizing"}
    if body.sizing is not None:
        changes["sizing"] = sizing_of(body.sizing)
    row = workspace().data.mappings.change(user.user_id, mapping_id, lambda now: replace(now, **changes), by=by)
    workspace().taken_over()
    return mapping_out(row)


def delete_mapping(user: User, mapping_id: str, by: Actor) -> None:
    workspace().data.mappings.delete(user.user_id, mapping_id, by=by)
    workspace().taken_over()


def mapping_out(row: MappingRow) -> MappingOut:
    mapping = row.mapping
    sizing = mapping.sizing
    return MappingOut(
        id=mapping.mapping_id,
        account_id=mapping.account_id,
        strategy_id=mapping.strategy_id,
        allocation_pct=mapping.allocation_pct,
        sizing=SizingOut(
            mode=sizing.mode.value,
            value=sizing.value,
            kelly_cap_pct=sizing.kelly_cap_pct,
            kelly_min_trades=sizing.kelly_min_trades,
            kelly_fallback_pct=sizing.kelly_fallback_pct,
        ),
        risk_per_trade_pct=mapping.risk_per_trade_pct,
        multiplier=mapping.multiplier,
        enabled=mapping.enabled,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def sizing_of(body: SizingIn) -> Sizing:
    usual = _HALF_KELLY if body.mode is SizingMode.KELLY else Decimal(100)
    return Sizing(
        body.mode, body.value if body.value is not None else usual, body.kelly_cap_pct, body.kelly_min_trades, body.kelly_fallback_pct
    )

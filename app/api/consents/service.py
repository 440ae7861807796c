"""Consents, for the API and the pages. What a record allows is said by `app.data.objection`, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from app.api.consents.schemas import ConsentIn, ConsentOut, ConsentQuery, RevokeIn
from app.api.pages import keep, page_of
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, Consent, ConsentScope, Relation, User
from app.workspace import workspace
from engines.core.model import Account

_ALL = ConsentQuery()


def list_consents(user: User, query: ConsentQuery = _ALL) -> Page[ConsentOut]:
    accounts = _accounts(user)
    shown = [consent_out(consent, accounts) for consent in workspace().data.consents.list(user.user_id)]
    if query.group_id is not None:
        inside = next(
            (row.group.account_ids for row in workspace().data.groups.list(user.user_id) if row.group.group_id == query.group_id), ()
        )
        shown = [consent for consent in shown if consent.group_id == query.group_id or consent.account_id in inside]
    return page_of(keep(shown, query, "group_id"), query, lambda c: (c.given_at, c.id))


def record(user: User, body: ConsentIn, by: Actor) -> ConsentOut:
    shop = workspace()
    consent = Consent(
        consent_id="",
        user_id=user.user_id,
        account_id=body.account_id,
        holder=body.holder,
        relation=Relation(body.relation),
        scope=ConsentScope(body.scope),
        given_at=shop.clock.now() if body.given_at is None else body.given_at,
        until=body.until,
        group_id=body.group_id or "",
        note=body.note,
    )
    return consent_out(shop.data.consents.add(consent, by=by), _accounts(user))


def revoke(user: User, consent_id: str, body: RevokeIn, by: Actor) -> ConsentOut:
    """When this is answered no strategy enters on the account any more, and entries that still wait there are being taken back."""
    shop = workspace()
    revoked_by = _who_revokes(user, shop.data.consents.get(user.user_id, consent_id), body.by)
    revoked = shop.data.consents.revoke(user.user_id, consent_id, revoked_by, by=by)
    shop.taken_over()
    shop.system.cancel_entries(revoked.account_id)
    return consent_out(revoked, _accounts(user))


def _who_revokes(user: User, consent: Consent, said: str | None) -> str:
    """Who pressed it is on record as well as who took it back: a keeper's word for the holder's is never told as the holder's own."""
    keeper = user.name or user.email
    if consent.relation is Relation.SELF or said == keeper:
        return keeper
    return f"{keeper} on behalf of {said or consent.holder}"


def _accounts(user: User) -> Mapping[str, Account]:
    return {row.account.account_id: row.account for row in workspace().data.accounts.list(user.user_id)}


def consent_out(consent: Consent, accounts: Mapping[str, Account]) -> ConsentOut:
    account = accounts.get(consent.account_id)
    return ConsentOut(
        id=consent.consent_id,
        account_id=consent.account_id,
        account_name=account.name if account else None,
        group_id=consent.group_id or None,
        holder=consent.holder,
        relation=consent.relation.value,
        scope=consent.scope.value,
        note=consent.note,
        given_at=moment(consent.given_at),
        until=moment_or_none(consent.until),
        state=consent.state(workspace().clock.now()).value,
        revoked_at=moment_or_none(consent.revoked_at),
        revoked_by=consent.revoked_by,
        auto_trade=account is not None and account.auto_trade,
    )

"""Groups of accounts on the wire, and what was done with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StrictStr, model_validator

from app.api.wire import Amount, Body, Flag, Id, Moment, Name, Note, Out, PageQuery
from app.problems import wrong

Members = Annotated[list[Id], Field(max_length=200)]


def _once(account_ids: list[str] | None) -> None:
    if account_ids is not None and len(set(account_ids)) != len(account_ids):
        raise wrong("account_ids", "each one once")


class GroupIn(Body):
    name: Name
    account_ids: Members = Field(default_factory=list)

    @model_validator(mode="after")
    def check(self) -> GroupIn:
        _once(self.account_ids)
        return self


class GroupPatch(Body):
    """Only what is sent changes; `account_ids` are replaced as a whole."""

    name: Name | None = None
    account_ids: Members | None = None

    @model_validator(mode="after")
    def check(self) -> GroupPatch:
        _once(self.account_ids)
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class GroupQuery(PageQuery):
    id: str | None = None
    name: str | None = None
    account_id: str | None = None
    """Groups that this account belongs to."""


class GroupStartIn(Body):
    confirm: StrictStr | None = None
    """The group's name, typed; asked when one of its accounts is live."""


class GroupStopIn(Body):
    reason: Note = ""
    flatten: Flag = False
    """Also close what is open, at the market; else positions stay, with their stops."""


class MemberOut(Out):
    """One account of a group. `state`: running (strategies may enter), waiting (they may, but something else forbids it: log-in, a stop, a limit of the
    day), paused (auto-trade is off), stopped (its kill switch is on), disabled. `dry_run`: what it would send is recorded and never sent, also while it
    runs. `entries_waiting`: orders
    at the broker that would still raise exposure. `consent`: none | self | stands | over | revoked, of the holder;
    `objection`: why auto-trade may not be on, empty when it may."""

    account_id: str
    name: str
    live: bool
    state: str
    detail: str
    consent: str
    consent_until: Moment | None
    objection: str
    day_pnl: Amount | None
    open_positions: int | None
    entries_waiting: int
    currency: str
    dry_run: bool = False


class GroupPnlOut(Out):
    """The group's day in one currency, on its live or its paper accounts: neither currencies nor the two kinds are ever added."""

    currency: str
    live: bool
    day_pnl: Amount
    open_positions: int


class GroupOut(Out):
    """`state`: running | partly (some of it runs) | waiting | paused | stopped | empty; `running` accounts of `total`, of which `dry_run` send
    nothing."""

    id: str
    name: str
    account_ids: list[str]
    created_at: Moment
    state: str = "empty"
    running: int = 0
    total: int = 0
    dry_run: int = 0
    members: Sequence[MemberOut] = ()
    pnl: Sequence[GroupPnlOut] = ()


class DoneOut(Out):
    """What became of one account: `state` as it is now, or refused (left as it was, `detail` says why), or failed."""

    account_id: str
    name: str
    state: str
    detail: str


class GroupDoneOut(Out):
    """What was done with a group, account by account; `said` is all of it in one sentence, `ok` false when an account was left out."""

    id: str
    state: str
    ok: bool
    said: str
    accounts: list[DoneOut]

"""Groups of accounts on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from app.api.wire import Body, Id, Moment, Name, Out, PageQuery
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


class GroupOut(Out):
    id: str
    name: str
    account_ids: list[str]
    created_at: Moment

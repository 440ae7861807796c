"""Routes of consents. There is none that changes or deletes a record: what was agreed, and when it ended, stays on file."""

from __future__ import annotations

from app.api.consents import service
from app.api.consents.schemas import ConsentIn, ConsentOut, ConsentQuery, RevokeIn
from app.api.endpoint import Call, Routes
from app.api.wire import Page

routes = Routes("consents")


@routes.get("/api/consents", query=ConsentQuery, out=Page[ConsentOut])
def index(call: Call) -> Page[ConsentOut]:
    """The consents that the caller has on record, with what became of them."""
    return service.list_consents(call.user, call.query)


@routes.post("/api/consents", body=ConsentIn, out=ConsentOut, status=201, errors=(404,))
def create(call: Call) -> ConsentOut:
    """Record that the holder of an account agreed to its being traded.

    From the first record of somebody else on, auto-trade of that account may be on only while one stands."""
    return service.record(call.user, call.body, call.by)


@routes.post("/api/consents/{id}/revoke", body=RevokeIn, out=ConsentOut, errors=(409,))
def revoke(call: Call, id: str) -> ConsentOut:  # noqa: A002 - the name of the path's parameter
    """Take it back on the holder's behalf: auto-trade of the account goes off at once. 409 when it was revoked before."""
    return service.revoke(call.user, id, call.body, call.by)

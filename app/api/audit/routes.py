"""Routes of the audit log."""

from __future__ import annotations

from app.api.audit import service
from app.api.audit.schemas import AuditCheckOut, AuditOut, AuditQuery
from app.api.endpoint import Call, Routes
from app.api.wire import Page
from app.data import UserRole

routes = Routes("audit")


@routes.get("/api/audit", query=AuditQuery, out=Page[AuditOut])
def index(call: Call) -> Page[AuditOut]:
    """What the caller changed and what was changed about them; an owner also sees people, settings, the machine and its stops."""
    return service.list_audit(call.user, call.query)


@routes.get("/api/audit/verify", out=AuditCheckOut, role=UserRole.OWNER)
def verify(call: Call) -> AuditCheckOut:
    """Walks along the whole log: is every row there and as it was written? Owner only."""
    return service.check(call.user)

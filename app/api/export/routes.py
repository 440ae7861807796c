"""The route of the export."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.export import service
from app.api.export.schemas import ExportOut

routes = Routes("export")


@routes.get("/api/export", out=ExportOut)
def export(call: Call) -> ExportOut:
    """Everything that the caller has set up, as one document: accounts without their credentials, strategies, mappings, groups, rules, watchlists."""
    return service.export(call.user)

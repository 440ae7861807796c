"""Routes of the workspace's own settings."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.workspace import service
from app.api.workspace.schemas import WorkspaceOut, WorkspacePatch
from app.data import UserRole

routes = Routes("workspace")


@routes.get("/api/workspace", out=WorkspaceOut)
def get_workspace(call: Call) -> WorkspaceOut:
    """Whether strangers may sign up, and whether mail is sent."""
    return service.get_workspace(call.user)


@routes.patch("/api/workspace", body=WorkspacePatch, out=WorkspaceOut, role=UserRole.OWNER)
def change_workspace(call: Call) -> WorkspaceOut:
    """Open or close sign-up; owner only. Off in a new workspace."""
    return service.change_workspace(call.user, call.body, call.by)

"""Whether strangers may sign up, and whether mail is sent. Every change is an owner's, and in the audit log."""

from __future__ import annotations

from app.api.people.service import owner_only
from app.api.workspace.schemas import WorkspaceOut, WorkspacePatch
from app.auth.sign_up import is_open
from app.auth.signin import OPEN_SIGN_UP
from app.data import Actor, User
from app.workspace import workspace


def get_workspace(_user: User) -> WorkspaceOut:
    shop = workspace()
    return WorkspaceOut(open_sign_up=is_open(shop), mail=shop.settings.mail_ready)


def change_workspace(user: User, body: WorkspacePatch, by: Actor) -> WorkspaceOut:
    owner_only(user)
    workspace().data.settings.set(OPEN_SIGN_UP, body.open_sign_up, by=by)
    return get_workspace(user)

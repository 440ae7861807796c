"""What holds for everybody in the workspace, on the wire."""

from __future__ import annotations

from app.api.wire import Body, Flag, Out


class WorkspacePatch(Body):
    open_sign_up: Flag


class WorkspaceOut(Out):
    """`open_sign_up`: whoever has an e-mail may become a trader here. `mail`: codes and links are mailed (else the owner passes them on)."""

    open_sign_up: bool
    mail: bool

"""Sign-up with a code that is sent by mail, and invitations. What may be asked how often is decided here, never whether a code is right."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("sign_up", __name__)

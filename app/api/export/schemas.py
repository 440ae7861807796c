"""What a person takes along: the shapes are those of the lists themselves."""

from __future__ import annotations

from typing import Any

from app.api.wire import Moment, Out

Things = list[dict[str, Any]]


class ExportOut(Out):
    """Everything of the caller's own that was set up, newest first in each list. No credential, no secret, nothing of anybody else."""

    tandem: str
    made_at: Moment
    me: dict[str, Any]
    look: dict[str, Any]
    accounts: Things
    strategies: Things
    mappings: Things
    groups: Things
    consents: Things
    combined_rules: Things
    watchlists: Things
    webhooks: Things
    destinations: Things

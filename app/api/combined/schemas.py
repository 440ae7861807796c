"""Combined P&L rules on the wire: the stop, target, lock and trail of a strategy, an account or a group, and where they stand today."""

from __future__ import annotations

from pydantic import model_validator

from app.api.wire import Amount, AnyDecimal, Body, Flag, Id, Moment, Out, PageQuery, Positive
from app.problems import wrong
from engines.core.model import CombinedScope


class CombinedIn(Body):
    """`stop`: leave at −stop. `target`: leave at it. `lock_at`, `lock`: once the P&L was at `lock_at`, leave when it falls to `lock`; for each further
    `step` of the best P&L the floor rises by `rise`. `trail_start`, `trail_by`: once it was at the start, leave when it falls `trail_by` below its best."""

    scope: CombinedScope
    scope_id: Id
    stop: Positive | None = None
    target: Positive | None = None
    lock_at: Positive | None = None
    lock: AnyDecimal | None = None
    step: Positive | None = None
    rise: Positive | None = None
    trail_start: Positive | None = None
    trail_by: Positive | None = None
    enabled: Flag = True


class CombinedPatch(Body):
    """Only what is sent changes; null takes a part away. The scope of a rule never changes."""

    stop: Positive | None = None
    target: Positive | None = None
    lock_at: Positive | None = None
    lock: AnyDecimal | None = None
    step: Positive | None = None
    rise: Positive | None = None
    trail_start: Positive | None = None
    trail_by: Positive | None = None
    enabled: Flag | None = None

    @model_validator(mode="after")
    def check(self) -> CombinedPatch:
        if "enabled" in self.model_fields_set and self.enabled is None:
            raise wrong("enabled", "cannot be null")
        return self


class CombinedQuery(PageQuery):
    id: str | None = None
    scope: CombinedScope | None = None
    scope_id: str | None = None
    enabled: bool | None = None


class CombinedOut(Out):
    """`pnl` is realised + unrealised − charges of the scope's session, now; null when it cannot be told, and `why` says why. `best` is the highest it
    was today, `floor` what lock and trail have reached, `leave_at` where the scope is left on the way down. `left`: why it was left today (stop, target,
    lock, trail); from then on it takes no entries until the next session. `live` and `paper`: how many accounts of either kind are in the scope; where
    there are live ones `pnl` is theirs alone."""

    id: str
    scope: str
    scope_id: str
    stop: Amount | None
    target: Amount | None
    lock_at: Amount | None
    lock: Amount | None
    step: Amount | None
    rise: Amount | None
    trail_start: Amount | None
    trail_by: Amount | None
    enabled: bool
    day: str | None
    pnl: Amount | None
    live: int
    paper: int
    why: str
    best: Amount | None
    floor: Amount | None
    leave_at: Amount | None
    left: str | None
    left_at: Moment | None
    left_pnl: Amount | None
    created_at: Moment
    updated_at: Moment

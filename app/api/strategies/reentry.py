"""Re-entries on the wire: what follows when an exit plan has taken a strategy's whole position out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from app.api.wire import Amount, Body, Flag, Out, Percent
from app.problems import wrong
from engines.core.model import ReentrySpec
from engines.core.reentry import MOST, check_reentry

TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class ReentryIn(Body):
    """`asap`: at the next close. `cost`: once a close is back at the entry price. `momentum`: once a close is `move_pct` percent beyond the exit price.
    At most `most` a day for each instrument, after a `cool_down_minutes` and never from `until` (HH:MM, the market's zone) on."""

    mode: Literal["asap", "cost", "momentum"] = "asap"
    most: Annotated[int, Field(strict=True, ge=1, le=MOST)] = 1
    after: Literal["stop", "target", "any"] = "stop"
    cool_down_minutes: Annotated[int, Field(strict=True, ge=0, le=1440)] = 0
    until: TimeOfDay | None = None
    reverse: Flag = False
    move_pct: Annotated[Percent, Field(lt=100)] | None = None

    @model_validator(mode="after")
    def fits_mode(self) -> ReentryIn:
        if (self.mode == "momentum") != (self.move_pct is not None):
            raise wrong("move_pct", "is required for mode momentum" if self.mode == "momentum" else "is only used by mode momentum")
        check_reentry(self.spec())
        return self

    def spec(self) -> ReentrySpec:
        return ReentrySpec(self.mode, self.most, self.after, self.cool_down_minutes, self.until, self.reverse, self.move_pct)


class ReentryOut(Out):
    mode: str
    most: int
    after: str
    cool_down_minutes: int
    until: str | None
    reverse: bool
    move_pct: Amount | None


def reentry_out(spec: ReentrySpec) -> ReentryOut:
    return ReentryOut(
        mode=spec.mode,
        most=spec.most,
        after=spec.after,
        cool_down_minutes=spec.cool_down_minutes,
        until=spec.until,
        reverse=spec.reverse,
        move_pct=spec.move_pct,
    )

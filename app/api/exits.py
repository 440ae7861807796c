"""Exit plans on the wire: the recipe that a person or strategy sends, and the armed plan that guards a position.

Turns JSON into `ExitSpec` and back. The rules of stops and targets live in `engines.core.exits`; this only checks shapes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from app.api.wire import Amount, BadValue, Body, Moment, Out, Percent, Positive, moment
from app.problems import wrong
from engines.core.model import ExitPlan, ExitSpec, TargetSpec, TrailingSpec

MOST_TARGETS = 20
_SHARE_STEP = Decimal("0.00000001")


class StopIn(Body):
    """Where the stop is: an absolute price, or percent or points away from the entry."""

    price: Positive | None = None
    pct: Percent | None = None
    points: Positive | None = None

    @model_validator(mode="after")
    def one_form(self) -> StopIn:
        if sum(x is not None for x in (self.price, self.pct, self.points)) != 1:
            raise BadValue("give exactly one of price, pct and points")
        return self


class TargetIn(Body):
    """One target; without `share_pct` the targets share equally what the others leave."""

    price: Positive | None = None
    pct: Annotated[Positive, Field()] | None = None
    points: Positive | None = None
    share_pct: Percent | None = None

    @model_validator(mode="after")
    def one_form(self) -> TargetIn:
        if sum(x is not None for x in (self.price, self.pct, self.points)) != 1:
            raise BadValue("give exactly one of price, pct and points")
        return self


class TrailingIn(Body):
    """`percent`: the stop stays `value` % behind the best price. `step`: for each `step` points of progress it moves `value` points.
    `start`: points of progress before it begins."""

    mode: Literal["percent", "step"]
    value: Positive
    step: Positive | None = None
    start: Positive | None = None

    @model_validator(mode="after")
    def fits_mode(self) -> TrailingIn:
        if self.mode == "step" and self.step is None:
            raise wrong("step", "is required for mode step")
        if self.mode == "percent" and self.step is not None:
            raise wrong("step", "is not used by mode percent")
        if self.mode == "percent" and self.value >= 100:
            raise wrong("value", "must be below 100 %")
        return self


def _bare_price(value: Any) -> Any:
    return {"price": value} if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) else value


Stop = Annotated[StopIn, BeforeValidator(_bare_price, json_schema_input_type=StopIn | Positive)]
Target = Annotated[TargetIn, BeforeValidator(_bare_price, json_schema_input_type=TargetIn | Positive)]


def check_shares(targets: list[TargetIn] | None, cost_after_target: int | None) -> None:
    targets = targets or []
    given = sum((t.share_pct for t in targets if t.share_pct is not None), Decimal(0))
    unstated = any(t.share_pct is None for t in targets)
    if given > 100 or (unstated and given >= 100):
        raise wrong("targets", "their shares come to more than 100 %")
    if cost_after_target is not None and cost_after_target > len(targets):
        raise wrong("cost_after_target", "is above the number of targets")


class ExitsIn(Body):
    """The recipe; a bare number as stop or target is an absolute price. Empty: no plan."""

    stop_loss: Stop | None = None
    targets: Annotated[list[Target], Field(max_length=MOST_TARGETS)] | None = None
    trailing: TrailingIn | None = None
    cost_after_target: Annotated[int, Field(strict=True, ge=1, le=MOST_TARGETS)] | None = None

    @model_validator(mode="after")
    def shares_fit(self) -> ExitsIn:
        check_shares(self.targets, self.cost_after_target)
        return self

    def spec(self) -> ExitSpec:
        stop = self.stop_loss
        targets = self.targets or []
        given = sum((t.share_pct for t in targets if t.share_pct is not None), Decimal(0))
        unstated = sum(t.share_pct is None for t in targets)
        share = ((100 - given) / unstated).quantize(_SHARE_STEP, rounding="ROUND_DOWN") if unstated else Decimal(0)
        specs = [TargetSpec(t.share_pct if t.share_pct is not None else share, t.price, t.pct, t.points) for t in targets]
        if unstated and (rest := 100 - sum(s.share_pct for s in specs)):  # thirds leave a crumb: the last unstated one takes it
            last = max(i for i, t in enumerate(targets) if t.share_pct is None)
            specs[last] = TargetSpec(specs[last].share_pct + rest, specs[last].price, specs[last].pct, specs[last].points)
        trail = self.trailing
        return ExitSpec(
            stop_price=stop.price if stop else None,
            stop_pct=stop.pct if stop else None,
            stop_points=stop.points if stop else None,
            targets=tuple(specs),
            trailing=TrailingSpec(trail.mode, trail.value, trail.step, trail.start) if trail else None,
            cost_after_target=self.cost_after_target,
        )


# --- out -----------------------------------------------------------------------------------------------------------


class StopOut(Out):
    price: Amount | None
    pct: Amount | None
    points: Amount | None


class TargetOut(Out):
    price: Amount | None
    pct: Amount | None
    points: Amount | None
    share_pct: Amount


class TrailingOut(Out):
    mode: str
    value: Amount
    step: Amount | None
    start: Amount | None


class ExitsOut(Out):
    """The recipe as it can be sent again."""

    stop_loss: StopOut | None
    targets: list[TargetOut]
    trailing: TrailingOut | None
    cost_after_target: int | None


class PlanTargetOut(TargetOut):
    quantity: Amount
    fired: bool


class ExitPlanOut(Out):
    """An armed plan: the recipe (`stop_loss`, `targets`, `trailing`, `cost_after_target`) and where it stands now."""

    plan_id: str
    state: str
    quantity: Amount
    entry_price: Amount
    stop: Amount | None
    best_price: Amount
    updated_at: Moment
    stop_loss: StopOut | None
    targets: list[PlanTargetOut]
    trailing: TrailingOut | None
    cost_after_target: int | None


def exits_out(spec: ExitSpec) -> ExitsOut:
    return ExitsOut(
        stop_loss=_stop_out(spec),
        targets=[TargetOut(price=t.price, pct=t.pct, points=t.points, share_pct=t.share_pct) for t in spec.targets],
        trailing=_trailing_out(spec),
        cost_after_target=spec.cost_after_target,
    )


def plan_out(plan: ExitPlan) -> ExitPlanOut:
    asked = [*plan.spec.targets, *[None] * len(plan.targets)][: len(plan.targets)]
    return ExitPlanOut(
        plan_id=plan.plan_id,
        state=plan.state.value,
        quantity=plan.quantity,
        entry_price=plan.entry_price,
        stop=plan.stop,
        best_price=plan.best_price,
        updated_at=moment(plan.updated_at),
        stop_loss=_stop_out(plan.spec),
        targets=[
            PlanTargetOut(
                price=target.price,
                pct=wish.pct if wish else None,
                points=wish.points if wish else None,
                share_pct=wish.share_pct if wish else Decimal(0),
                quantity=target.quantity,
                fired=target.fired,
            )
            for target, wish in zip(plan.targets, asked, strict=True)
        ],
        trailing=_trailing_out(plan.spec),
        cost_after_target=plan.spec.cost_after_target,
    )


def _stop_out(spec: ExitSpec) -> StopOut | None:
    return StopOut(price=spec.stop_price, pct=spec.stop_pct, points=spec.stop_points) if spec.has_stop else None


def _trailing_out(spec: ExitSpec) -> TrailingOut | None:
    trail = spec.trailing
    return TrailingOut(mode=trail.mode, value=trail.value, step=trail.step, start=trail.start) if trail else None

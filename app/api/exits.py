"""Exit plans on the wire: the recipe that a person or strategy sends, and the armed plan that guards a position.

Turns JSON into `ExitSpec` and back. The rules of stops and targets live in `engines.core.exits`; this only checks shapes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from app.api.wire import Amount, AnyDecimal, BadValue, Body, Moment, Out, Percent, Positive, SharePercent, moment, moment_or_none
from app.problems import Problem, field_problem, wrong
from engines.core.exit_specs import LONGEST_MINUTES, BadSpec, stop_after
from engines.core.exits import version_of
from engines.core.model import ExitPlan, ExitSpec, TargetSpec, TrailingSpec

MOST_TARGETS = 20
_SHARE_STEP = Decimal("0.00000001")
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


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


class ThenStopIn(Body):
    """Where the stop goes once a target is reached, if that is tighter: a price, or percent or points from the entry, above zero on the winning side,
    below zero on the losing side, 0 at cost."""

    price: Positive | None = None
    pct: AnyDecimal | None = None
    points: AnyDecimal | None = None

    @model_validator(mode="after")
    def one_form(self) -> ThenStopIn:
        if sum(x is not None for x in (self.price, self.pct, self.points)) != 1:
            raise BadValue("give exactly one of price, pct and points")
        return self


def _bare_price(value: Any) -> Any:
    return {"price": value} if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) else value


Stop = Annotated[StopIn, BeforeValidator(_bare_price, json_schema_input_type=StopIn | Positive)]
ThenStop = Annotated[ThenStopIn, BeforeValidator(_bare_price, json_schema_input_type=ThenStopIn | Positive)]


class TargetIn(Body):
    """One target; without `share_pct` the targets share equally what the others leave. `then_stop`: where it moves the stop."""

    price: Positive | None = None
    pct: Annotated[Positive, Field()] | None = None
    points: Positive | None = None
    share_pct: SharePercent | None = None
    then_stop: ThenStop | None = None

    @model_validator(mode="after")
    def one_form(self) -> TargetIn:
        if sum(x is not None for x in (self.price, self.pct, self.points)) != 1:
            raise BadValue("give exactly one of price, pct and points")
        if self.share_pct == 0 and self.then_stop is None:
            raise wrong("share_pct", "must be above 0 for a target that does not move the stop")
        then = self.then_stop
        for asked, moved in ((self.pct, then.pct), (self.points, then.points)) if then is not None else ():
            if asked is not None and moved is not None and moved > asked:
                raise wrong("then_stop", "lies beyond its own target")
        return self

    def spec(self, share_pct: Decimal) -> TargetSpec:
        then = self.then_stop or ThenStopIn.model_construct()
        return TargetSpec(share_pct, self.price, self.pct, self.points, then.price, then.pct, then.points)


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


Target = Annotated[TargetIn, BeforeValidator(_bare_price, json_schema_input_type=TargetIn | Positive)]


def check_shares(targets: list[TargetIn] | None, cost_after_target: int | None) -> None:
    targets = targets or []
    given = sum((t.share_pct for t in targets if t.share_pct is not None), Decimal(0))
    unstated = any(t.share_pct is None for t in targets)
    if given > 100 or (unstated and given >= 100):
        raise wrong("targets", "their shares come to more than 100 %")
    if cost_after_target is not None and cost_after_target > len(targets):
        raise wrong("cost_after_target", "is above the number of targets")


class ExitFields(Body):
    """The parts of a recipe; a bare number as stop or target is an absolute price. `booking`: how lots that do not divide go to the targets, the largest
    remainders first or `even` as soon as the shares so far make a whole lot. Everything left goes at the market at `exit_at` (HH:MM in the market's zone)
    or `max_minutes` after the first fill, whichever is first."""

    stop_loss: Stop | None = None
    targets: Annotated[list[Target], Field(max_length=MOST_TARGETS)] | None = None
    trailing: TrailingIn | None = None
    cost_after_target: Annotated[int, Field(strict=True, ge=1, le=MOST_TARGETS)] | None = None
    booking: Literal["remainder", "even"] = "remainder"
    exit_at: ClockTime | None = None
    max_minutes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_MINUTES)] | None = None

    @model_validator(mode="after")
    def shares_fit(self) -> ExitFields:
        targets = self.targets or []
        given = sum((t.share_pct for t in targets if t.share_pct is not None), Decimal(0))
        unstated = any(t.share_pct is None for t in targets)
        if given > 100 or (unstated and given >= 100):
            raise wrong("targets", "their shares come to more than 100 %")
        if self.cost_after_target is not None and self.cost_after_target > len(targets):
            raise wrong("cost_after_target", "is above the number of targets")
        return self

    def spec(self) -> ExitSpec:
        stop, trail = self.stop_loss, self.trailing
        targets = self.targets or []
        return ExitSpec(
            stop_price=stop.price if stop else None,
            stop_pct=stop.pct if stop else None,
            stop_points=stop.points if stop else None,
            targets=tuple(target.spec(share) for target, share in zip(targets, _shares(targets), strict=True)),
            trailing=TrailingSpec(trail.mode, trail.value, trail.step, trail.start) if trail else None,
            cost_after_target=self.cost_after_target,
            booking=self.booking,
            exit_at=self.exit_at,
            max_minutes=self.max_minutes,
        )


def _shares(targets: list[TargetIn]) -> list[Decimal]:
    """What each says, and for those that say nothing an equal part of the rest; the last of these takes the crumb that thirds leave."""
    unstated = [n for n, target in enumerate(targets) if target.share_pct is None]
    given = sum((target.share_pct for target in targets if target.share_pct is not None), Decimal(0))
    equal = ((100 - given) / len(unstated)).quantize(_SHARE_STEP, rounding="ROUND_DOWN") if unstated else Decimal(0)
    shares = [equal if target.share_pct is None else target.share_pct for target in targets]
    if unstated:
        shares[unstated[-1]] += 100 - sum(shares, Decimal(0))
    return shares


class ExitsIn(ExitFields):
    """The recipe. Empty: no plan."""


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
    then_stop: StopOut | None


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
    booking: str
    exit_at: str | None
    max_minutes: int | None


class PlanTargetOut(TargetOut):
    quantity: Amount
    fired: bool


class ExitPlanOut(Out):
    """An armed plan: the recipe (`stop_loss`, `targets`, `trailing`, `cost_after_target`, `booking`, `exit_at`, `max_minutes`) and where it stands now.
    `version` changes with the recipe alone. Each target's `price` and `then_stop.price` are what they have come to."""

    plan_id: str
    version: str
    state: str
    quantity: Amount
    entry_price: Amount
    stop: Amount | None
    best_price: Amount
    deadline: Moment | None
    updated_at: Moment
    stop_loss: StopOut | None
    targets: list[PlanTargetOut]
    trailing: TrailingOut | None
    cost_after_target: int | None
    booking: str
    exit_at: str | None
    max_minutes: int | None


def exits_out(spec: ExitSpec) -> ExitsOut:
    return ExitsOut(
        stop_loss=_stop_out(spec),
        targets=[
            TargetOut(price=t.price, pct=t.pct, points=t.points, share_pct=t.share_pct, then_stop=_then_out(t, t.then_price))
            for t in spec.targets
        ],
        trailing=_trailing_out(spec),
        cost_after_target=spec.cost_after_target,
        booking=spec.booking,
        exit_at=spec.exit_at,
        max_minutes=spec.max_minutes,
    )


def plan_out(plan: ExitPlan) -> ExitPlanOut:
    return ExitPlanOut(
        plan_id=plan.plan_id,
        version=version_of(plan),
        state=plan.state.value,
        quantity=plan.quantity,
        entry_price=plan.entry_price,
        stop=plan.stop,
        best_price=plan.best_price,
        deadline=moment_or_none(plan.deadline),
        updated_at=moment(plan.updated_at),
        stop_loss=_stop_out(plan.spec),
        targets=[
            PlanTargetOut(
                price=target.price,
                pct=asked.pct,
                points=asked.points,
                share_pct=asked.share_pct,
                then_stop=_then_out(asked, stop_after(asked, plan.side, plan.entry_price, plan.tick_size)),
                quantity=target.quantity,
                fired=target.fired,
            )
            for target, asked in zip(plan.targets, plan.spec.targets, strict=True)
        ],
        trailing=_trailing_out(plan.spec),
        cost_after_target=plan.spec.cost_after_target,
        booking=plan.spec.booking,
        exit_at=plan.spec.exit_at,
        max_minutes=plan.spec.max_minutes,
    )


def bad_spec(error: BadSpec, within: str = "") -> Problem:
    """The core's word on a recipe, beside the field that it is about."""
    place = f"stop_loss{error.place[4:]}" if error.place.split(".")[0] == "stop" else error.place
    return field_problem(f"{within}{place}", str(error))


def _stop_out(spec: ExitSpec) -> StopOut | None:
    return StopOut(price=spec.stop_price, pct=spec.stop_pct, points=spec.stop_points) if spec.has_stop else None


def _then_out(target: TargetSpec, price: Decimal | None) -> StopOut | None:
    """`price`: what it comes to, where that is known."""
    if target.then_price is None and target.then_pct is None and target.then_points is None:
        return None
    return StopOut(price=price, pct=target.then_pct, points=target.then_points)


def _trailing_out(spec: ExitSpec) -> TrailingOut | None:
    trail = spec.trailing
    return TrailingOut(mode=trail.mode, value=trail.value, step=trail.step, start=trail.start) if trail else None

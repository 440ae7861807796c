"""Back-tests and sweeps, for the API and the pages: a request becomes a job that can run without us, and waits in the queue.

What a study trades is fixed when it is asked: accounts, mappings and parameters as they are at that moment. The running is `app.studies`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from app.api.backtests.schemas import BacktestIn, BacktestPatch, BacktestQuery, SeatIn, SourceOut, SourcesOut, StudyOut
from app.api.mappings.service import sizing_of
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, Conflict, Dataset, StudyRow, User
from app.problems import Problem, field_errors, field_problem
from app.workspace import workspace
from engines.core.codec import to_plain
from engines.core.model import Account, AccountMapping, DayRules, ExitSpec, Limits, PaperSettings, ReentrySpec, StrategyConfig, Timeframe
from engines.core.sessions import exchange_of, utc_offset

_ALL = BacktestQuery()
_KEEP = {"account": None, "keep": True, "carry": False}


def list_studies(user: User, query: BacktestQuery = _ALL) -> Page[StudyOut]:
    found = workspace().data.studies.list(user.user_id, kind=query.kind, state=query.state, limit=query.limit, cursor=query.cursor)
    return Page(items=[study_out(row) for row in found.items], next=found.next)


def get_study(user: User, study_id: str) -> StudyOut:
    return study_out(workspace().data.studies.get(user.user_id, study_id))


def sources(user: User) -> SourcesOut:
    from engines.market.names import known_names

    found = [
        SourceOut(
            id=each.dataset_id,
            name=each.name,
            kind=each.kind,
            seconds=each.seconds,
            symbols=list(each.symbols),
            rows=each.rows,
            first_at=moment(each.first_at),
            last_at=moment(each.last_at),
            recorded=each.source == "recorded",
        )
        for each in workspace().data.datasets.list(user.user_id)
    ]
    return SourcesOut(datasets=found, sample_symbols=[name.instrument.symbol for name in known_names()])


def create_study(user: User, body: BacktestIn, by: Actor) -> StudyOut:
    spec = _Maker(user, body).spec()
    name = body.name or str(spec["about"])[:100]
    row = workspace().data.studies.add(user.user_id, name, spec["program"]["kind"], spec, by=by)
    workspace().studies.poke()
    return study_out(row)


def repeat_study(user: User, study_id: str, by: Actor) -> StudyOut:
    row = workspace().data.studies.get(user.user_id, study_id)
    try:
        body = BacktestIn.model_validate({**row.spec["asked"], "name": row.name})
    except ValidationError as error:
        raise Conflict("it was asked in a way that is no longer understood: make a new one") from error
    made = create_study(user, body, by)
    workspace().studies.take_over(study_id, made.id)
    return made


def rename_study(user: User, study_id: str, body: BacktestPatch, by: Actor) -> StudyOut:
    return study_out(workspace().data.studies.rename(user.user_id, study_id, body.name, by=by))


def cancel_study(user: User, study_id: str, by: Actor) -> StudyOut:
    return study_out(workspace().studies.cancel(user.user_id, study_id, by))


def delete_study(user: User, study_id: str, by: Actor) -> None:
    workspace().studies.delete(user.user_id, study_id, by)


def study_out(row: StudyRow) -> StudyOut:
    now = workspace().studies.progress(row.study_id)
    return StudyOut(
        id=row.study_id,
        name=row.name,
        kind=row.kind,
        state=row.state.value,
        progress=now.part if now else row.progress,
        doing=now.doing if now else "",
        seconds_left=now.left if now else None,
        error=row.error,
        strategy_kind=str(row.spec["program"]["job"]["kind"]),
        about=str(row.spec["about"]),
        summary=dict(row.summary),
        asked=dict(row.spec["asked"]),
        points=row.spec.get("points"),
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        ended_at=moment_or_none(row.ended_at),
    )


# --- from a request to a job ---------------------------------------------------------------------------------------


class _Maker:
    """One request, on its way to a spec that `engines.backtest.program` carries out."""

    def __init__(self, user: User, body: BacktestIn) -> None:
        self.user, self.body, self.shop = user, body, workspace()
        self.strategy: StrategyConfig | None = self.shop.owners.strategy(user, body.strategy_id) if body.strategy_id else None

    def spec(self) -> dict[str, Any]:
        from engines.backtest.settings import Job, Seat, Settings, Source, Way

        body, strategy = self.body, self.strategy
        kind, params = self._rules()
        sources, symbols = self._data()
        seats = tuple(Seat(account, mapping) for account, mapping in self._seats())
        job = Job(
            kind=kind,
            sources=tuple(Source(*each) for each in sources),
            params=params,
            timeframe=body.timeframe or (strategy.timeframe if strategy else None),
            first=body.first,
            last=body.last,
            exits=self._exits(),
            reentry=self._reentry(),
            seats=seats,
            rules=self._combined(seats),
            groups=self._groups(seats),
            settings=Settings(way=None if body.way == "auto" else Way(body.way)),
            strategy_id=strategy.strategy_id if strategy else "backtest",
        )
        program: dict[str, Any] = {
            "kind": "sweep" if body.sweep else "backtest",
            "job": to_plain(job),
            "instruments": self._instruments(symbols),
        }
        program["calendar_days"] = to_plain(list(self.shop.data.directory.calendar_days()))
        points = None
        if body.sample is not None:
            program["sample"] = body.sample.model_dump(mode="json") | {"folder": str(self.shop.studies.folder / "samples")}
            self._check_sample(body.sample.symbols, body.sample.timeframe, body.sample.days)
        if body.sweep is not None:
            program["sweep"] = _plainly(body.sweep.model_dump(mode="python"))
            points = self._count("sweep", program["sweep"], params)
        else:
            program["checks"] = body.checks
            if body.walk_forward is not None:
                program["walk_forward"] = _plainly(body.walk_forward.model_dump(mode="python"))
                self._count("walk_forward", program["walk_forward"], params)
        asked = _plainly(body.model_dump(mode="json", exclude_unset=True))
        return {"asked": asked, "program": program, "about": self._about(kind, symbols), "points": points}

    # what is traded

    def _rules(self) -> tuple[str, dict[str, Any]]:
        from engines.strategies import registry

        body, strategy = self.body, self.strategy
        kind = strategy.kind if strategy else str(body.kind)
        params = {**(strategy.params if strategy else {}), **_plainly(body.params or {})}
        try:
            return kind, registry.check_params(kind, params)
        except registry.UnknownKind as error:
            known = ", ".join(each.kind for each in registry.kinds())
            raise field_problem("kind", f"must be one of {known}") from error
        except ValidationError as error:
            raise Problem(422, "The parameters do not fit the strategy.", errors=field_errors(error, "params")) from error

    def _exits(self) -> ExitSpec | None:
        body = self.body
        if body.exit_plan is not None:
            spec = body.exit_plan.spec()
            return None if spec.empty else spec
        kept = "exit_plan" in body.model_fields_set
        return None if kept or self.strategy is None else self.strategy.exit_plan

    def _reentry(self) -> ReentrySpec | None:
        if "reentry" in self.body.model_fields_set:
            return self.body.reentry.spec() if self.body.reentry else None
        return self.strategy.reentry if self.strategy else None

    # on what

    def _data(self) -> tuple[list[tuple[str, str | None, str]], list[str]]:
        found: list[tuple[str, str | None, str]] = []
        symbols: list[str] = []
        datasets = self.shop.data.datasets
        lengths = {} if self.body.sample is None else {"the sample market": self.body.sample.timeframe.seconds}
        for number, each in enumerate(self.body.data):
            dataset = datasets.get(self.user.user_id, each.dataset_id)
            if each.symbol is not None and each.symbol not in dataset.symbols:
                raise field_problem(f"data.{number}.symbol", f"{each.symbol} is not in {dataset.name}")
            self._check_days(dataset)
            lengths[dataset.name] = dataset.seconds
            found.append((str(datasets.path(dataset)), each.symbol, dataset.name))
            symbols += [each.symbol] if each.symbol else list(dataset.symbols)
        if self.body.sample is not None:
            symbols += self.body.sample.symbols
        twice = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
        if twice is not None:
            raise field_problem("data", f"{twice} is in two of them: choose one, or one instrument of each")
        self._check_candles(lengths)
        return found, symbols

    def _check_days(self, dataset: Dataset) -> None:
        """What lies wholly outside a data set's days would end at once."""
        offset = utc_offset(exchange_of(dataset.symbols[0]))
        begins, ends = (datetime.fromtimestamp(at + offset, UTC).date().isoformat() for at in (dataset.first_at, dataset.last_at))
        for name, outside in (
            ("first", self.body.first is not None and self.body.first > ends),
            ("last", (self.body.last or ends) < begins),
        ):
            if outside:
                raise field_problem(name, f"{dataset.name} has nothing then: it holds {begins} to {ends}")

    def _check_candles(self, lengths: Mapping[str, int]) -> None:
        """`lengths`: name → seconds of its candles, 0 for ticks."""
        timeframe = self.body.timeframe or (self.strategy.timeframe if self.strategy else None)
        for name, seconds in lengths.items():
            if timeframe is not None and seconds and timeframe.seconds % seconds:
                length = f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
                raise field_problem("timeframe", f"{timeframe.value} candles cannot be made of the {length} candles of {name}")
            if not seconds and self.body.way == "stop_first":
                raise field_problem("way", f"{name} holds ticks: they are played as they are, not as bars")

    def _instruments(self, symbols: Sequence[str]) -> list[Any]:
        table = self.shop.system.instruments
        return [to_plain(found) for symbol in symbols if (found := table.get(symbol)) is not None]

    def _check_sample(self, symbols: Sequence[str], timeframe: Timeframe, days: int) -> None:
        from engines.backtest import sample

        try:
            sample.check(symbols, timeframe, days)
        except sample.BadSample as error:
            raise field_problem("sample", str(error)) from error

    # by whom

    def _seats(self) -> list[tuple[Account, AccountMapping]]:
        asked = self.body.accounts or [SeatIn(name="Back-test", capital=Decimal(1_000_000))]
        return [self._seat(number, seat) for number, seat in enumerate(asked)]

    def _seat(self, number: int, seat: SeatIn) -> tuple[Account, AccountMapping]:
        own = self.shop.owners.account(self.user, seat.account_id) if seat.account_id else None
        base = own or Account(f"seat-{number + 1}", self.user.user_id, f"Account {number + 1}", "paper", Decimal(1_000_000))
        changes: dict[str, Any] = {
            name: value for name in ("name", "broker", "capital", "leverage") if (value := getattr(seat, name)) is not None
        }
        if seat.limits is not None:
            changes["limits"] = Limits(**seat.limits.model_dump())
        if seat.slippage_ticks is not None:
            changes["paper"] = replace(base.paper, slippage_ticks=seat.slippage_ticks)
        if base.paper.partial_fills or base.paper.reject_pct:
            changes["paper"] = PaperSettings(
                slippage_ticks=changes.get("paper", base.paper).slippage_ticks, session_hours=base.paper.session_hours
            )
        keep = _KEEP[self.body.hours]
        if keep is not None:
            changes["day_rules"] = replace(base.day_rules if own else DayRules(), keep=keep)
        account = replace(base, **changes)
        return account, self._mapping(account.account_id, seat, own)

    def _mapping(self, account_id: str, seat: SeatIn, own: Account | None) -> AccountMapping:
        strategy_id = self.strategy.strategy_id if self.strategy else "backtest"
        base = AccountMapping("", account_id, strategy_id)
        if own is not None and self.strategy is not None:
            mapped = self.shop.data.mappings.list(self.user.user_id, account_id=account_id, strategy_id=strategy_id)
            base = mapped[0].mapping if mapped else base
        changes: dict[str, Any] = {
            name: value for name in ("allocation_pct", "risk_per_trade_pct", "multiplier") if (value := getattr(seat, name)) is not None
        }
        if seat.sizing is not None:
            changes["sizing"] = sizing_of(seat.sizing)
        return replace(base, enabled=True, **changes)

    def _combined(self, seats: Sequence[Any]) -> tuple[Any, ...]:
        """The person's combined P&L rules that concern the strategy or accounts of this study."""
        own = {seat.account.account_id for seat in seats} | {group.group_id for group in self._groups(seats)}
        if self.strategy is not None:
            own.add(self.strategy.strategy_id)
        return tuple(
            rule for rule in self.shop.data.directory.combined_rules() if rule.user_id == self.user.user_id and rule.scope_id in own
        )

    def _groups(self, seats: Sequence[Any]) -> tuple[Any, ...]:
        here = {seat.account.account_id for seat in seats}
        return tuple(
            group
            for group in self.shop.data.directory.groups()
            if group.user_id == self.user.user_id and here.intersection(group.account_ids)
        )

    # how much, and what to call it

    def _count(self, field: str, asked: Mapping[str, Any], params: Mapping[str, Any]) -> int:
        from engines.backtest.grid import BadGrid, axes, count, points

        for name in asked["grid"]:
            if name not in params:
                raise field_problem(f"{field}.grid.{name}", "is not a parameter of this strategy")
        try:
            swept = axes(asked["grid"])
            whole, draws = count(swept), asked.get("random")
            return len(points(swept, draws=draws, seed=asked["seed"])) if draws is None or whole is None else min(whole, draws)
        except BadGrid as error:
            name, found, words = str(error).partition(": ")
            one = found and name in asked["grid"]
            raise field_problem(f"{field}.grid.{name}" if one else f"{field}.grid", words if one else str(error)) from error

    def _about(self, kind: str, symbols: Sequence[str]) -> str:
        from engines.strategies import registry

        named = self.strategy.name if self.strategy else registry.get(kind).name
        shown = [symbol.partition(":")[2] for symbol in symbols]
        where = shown[0] if len(shown) == 1 else f"{len(shown)} instruments" if len(shown) > 3 else ", ".join(shown)
        return f"{named} on {where}"


def _plainly(value: Any) -> Any:
    """Exact decimals become numbers: parameters are the strategy's own, not money."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and "." not in str(value) else float(value)
    if isinstance(value, Mapping):
        return {name: _plainly(item) for name, item in value.items()}
    return [_plainly(item) for item in value] if isinstance(value, list | tuple) else value

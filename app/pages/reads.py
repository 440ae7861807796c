"""What the pages read: the API's own service functions for one signed-in person, under short names.

A page sees exactly the objects that the JSON routes send. Nothing here writes, and nothing here knows a rule; tests put a sample book in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.api.accounts import service as accounts
from app.api.accounts.schemas import AccountOut, AccountQuery
from app.api.audit import service as audit
from app.api.audit.schemas import AuditCheckOut, AuditOut, AuditQuery
from app.api.backtests import results as study_results
from app.api.backtests import service as studies
from app.api.backtests.schemas import (
    BacktestQuery,
    ComparedOut,
    CompareQuery,
    SourcesOut,
    StudyOut,
    StudyTradesOut,
    SweepResultsOut,
)
from app.api.backtests.schemas import TradeQuery as StudyTradeQuery
from app.api.calendar import service as calendar
from app.api.calendar.schemas import CalendarOut, CalendarQuery
from app.api.combined import service as combined
from app.api.combined.schemas import CombinedOut, CombinedQuery
from app.api.consents import service as consents
from app.api.consents.schemas import ConsentOut, ConsentQuery
from app.api.datasets import service as datasets
from app.api.datasets.schemas import DatasetOut, DatasetQuery, DatasetStoryOut, GapQuery, GapsOut, RecordingOut
from app.api.destinations import service as destinations
from app.api.destinations.schemas import DestinationOut
from app.api.groups import service as groups
from app.api.groups.schemas import GroupOut, GroupQuery
from app.api.invites import service as invites
from app.api.invites.schemas import CodeOut, CodeQuery, InviteOut, InviteQuery
from app.api.look import service as look
from app.api.look.schemas import LookOut
from app.api.mappings import service as mappings
from app.api.mappings.schemas import MappingOut, MappingQuery
from app.api.market import service as market
from app.api.market.schemas import CandleOut, CandleQuery, InstrumentListsOut, InstrumentOut, InstrumentQuery, QuoteOut, QuoteQuery
from app.api.messages import service as messages
from app.api.messages.schemas import MessageOut, MessageQuery
from app.api.orders import service as orders
from app.api.orders.schemas import OrderOut, OrderQuery, OrderStoryOut, TradeOut, TradeQuery
from app.api.people import service as people
from app.api.people.schemas import TokenOut, TokenQuery, UserOut, UserQuery
from app.api.pnl import service as pnl
from app.api.pnl.schemas import DailyQuery, DayPnlOut, EquityPointOut, EquityQuery, RealtimeOut
from app.api.positions import service as positions
from app.api.positions.schemas import PositionOut, PositionQuery
from app.api.replays import service as replays
from app.api.replays.schemas import FramesQuery, ReplayFramesOut, ReplayOut, ReplayQuery
from app.api.security import service as security
from app.api.security.schemas import EnrolmentOut, SecondFactorOut, SignInOut, SignInQuery
from app.api.signals import service as signals
from app.api.signals.schemas import SignalOut, SignalQuery
from app.api.strategies import service as strategies
from app.api.strategies.schemas import LadderOut, LadderQuery, LevelsOut, LevelsQuery, StrategyKindOut, StrategyOut, StrategyQuery
from app.api.system import service as system
from app.api.system.schemas import HaltOut, HaltQuery, HaltReportOut, IncidentOut, IncidentQuery, StatusOut
from app.api.timetable import service as timetable
from app.api.timetable.schemas import DayBookOut, DayBookQuery, TimetableOut, TimetableQuery
from app.api.watchlists import service as watchlists
from app.api.watchlists.schemas import DayOut, DayQuery, WatchlistOut, WatchlistQuery
from app.api.webhooks import service as webhooks
from app.api.webhooks.schemas import WebhookOut, WebhookQuery
from app.api.wire import Page
from app.api.workspace import service as settings_of_all
from app.api.workspace.schemas import WorkspaceOut
from app.data import User
from app.workspace import workspace

ALL = 500  # the most that one read gives
NOTHING_NEW = 1_000_000_000  # a frame that no replay comes to


class Reads:
    """One person's view. Every method raises what the services raise (NotFound, Invalid, Problem)."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.heard = workspace().live.known()
        """The last event that the first read knows of: what came later the page has to be told."""

    # accounts, strategies, mappings
    def accounts(self) -> list[AccountOut]:
        return accounts.list_accounts(self.user, AccountQuery(limit=ALL)).items

    def account(self, account_id: str) -> AccountOut:
        return accounts.get_account(self.user, account_id)

    def kinds(self) -> list[StrategyKindOut]:
        return strategies.list_kinds(self.user).items

    def strategies(self) -> list[StrategyOut]:
        return sorted(strategies.list_strategies(self.user, StrategyQuery(limit=ALL)).items, key=lambda strategy: strategy.created_at)

    def own_strategies(self) -> list[StrategyOut]:
        """Without those that others share: what one may signal through, replay, back-test and guard."""
        return [strategy for strategy in self.strategies() if strategy.owned]

    def past_strategies(self) -> dict[str, str]:
        """What is archived or no longer shared, by the name that one knows it by."""
        return strategies.past_names(self.user)

    def strategy(self, strategy_id: str) -> StrategyOut:
        return strategies.get_strategy(self.user, strategy_id)

    def levels(self, strategy_id: str, symbol: str) -> LevelsOut | None:
        """Of the newest session."""
        return next(iter(strategies.levels(self.user, strategy_id, LevelsQuery(symbol=symbol)).items), None)

    def ladders(self, strategy_id: str, symbol: str) -> list[LadderOut]:
        return strategies.ladders(self.user, strategy_id, LadderQuery(symbol=symbol, limit=ALL)).items

    def mappings(self) -> list[MappingOut]:
        return mappings.list_mappings(self.user, MappingQuery(limit=ALL)).items

    def mapping(self, mapping_id: str) -> MappingOut:
        return mappings.get_mapping(self.user, mapping_id)

    # limits
    def groups(self) -> list[GroupOut]:
        return sorted(groups.list_groups(self.user, GroupQuery(limit=ALL)).items, key=lambda group: group.created_at)

    def consents(self) -> list[ConsentOut]:
        return consents.list_consents(self.user, ConsentQuery(limit=ALL)).items

    def combined_rules(self) -> list[CombinedOut]:
        return combined.list_rules(self.user, CombinedQuery(limit=ALL)).items

    # signals, orders, positions
    def signals(self, args: Mapping[str, Any]) -> Page[SignalOut]:
        return signals.list_signals(self.user, SignalQuery.model_validate(args))

    def signal(self, signal_id: str) -> SignalOut:
        return signals.get_signal(self.user, signal_id)

    def orders(self, args: Mapping[str, Any]) -> Page[OrderOut]:
        return orders.list_orders(self.user, OrderQuery.model_validate(args))

    def order(self, order_id: str) -> OrderStoryOut:
        return orders.get_order(self.user, order_id)

    def trades(self, args: Mapping[str, Any]) -> Page[TradeOut]:
        return orders.list_trades(self.user, TradeQuery.model_validate(args))

    def positions(self, **filters: Any) -> list[PositionOut]:
        return positions.list_positions(self.user, PositionQuery(limit=ALL, **filters)).items

    def position(self, position_id: str) -> PositionOut:
        return positions.get_position(self.user, position_id)

    # profit and loss, market
    def pnl(self) -> RealtimeOut:
        return pnl.realtime(self.user)

    def daily(self, args: Mapping[str, Any]) -> Page[DayPnlOut]:
        return pnl.daily(self.user, DailyQuery.model_validate(args))

    def equity(self, args: Mapping[str, Any]) -> list[EquityPointOut]:
        return pnl.equity(self.user, EquityQuery.model_validate(args)).items

    def instruments(self, args: Mapping[str, Any]) -> list[InstrumentOut]:
        return market.instruments(self.user, InstrumentQuery.model_validate(args)).items

    def instrument_lists(self) -> InstrumentListsOut:
        return market.instrument_lists(self.user)

    def tick(self, symbol: str) -> Decimal | None:
        """The smallest step of an instrument's price; None for one that is not listed (any more)."""
        return market.tick_of(symbol)

    def quotes(self, symbols: list[str]) -> list[QuoteOut]:
        return market.quotes(self.user, QuoteQuery(symbols=",".join(symbols))).items if symbols else []

    def candles(self, args: Mapping[str, Any]) -> list[CandleOut]:
        return market.candles(self.user, CandleQuery.model_validate(args)).items

    # market data
    def datasets(self, args: Mapping[str, Any]) -> Page[DatasetOut]:
        return datasets.list_datasets(self.user, DatasetQuery.model_validate(args))

    def dataset(self, dataset_id: str) -> DatasetStoryOut:
        return datasets.get_dataset(self.user, dataset_id)

    def dataset_gaps(self, dataset_id: str, symbol: str | None = None) -> GapsOut:
        return datasets.gaps(self.user, dataset_id, GapQuery(symbol=symbol))

    def recording(self) -> RecordingOut:
        return datasets.recording(self.user)

    # back-tests and sweeps
    def studies(self, args: Mapping[str, Any]) -> Page[StudyOut]:
        return studies.list_studies(self.user, BacktestQuery.model_validate(args))

    def study(self, study_id: str) -> StudyOut:
        return studies.get_study(self.user, study_id)

    def study_sources(self) -> SourcesOut:
        return studies.sources(self.user)

    def study_report(self, study_id: str) -> dict[str, Any]:
        return study_results.report(self.user, study_id).report

    def study_symbols(self, study_id: str) -> list[str]:
        return study_results.charted(self.user, study_id)

    def study_trades(self, study_id: str, args: Mapping[str, Any]) -> StudyTradesOut:
        return study_results.trades(self.user, study_id, StudyTradeQuery.model_validate(args))

    def sweep_results(self, study_id: str) -> SweepResultsOut:
        return study_results.sweep_results(self.user, study_id)

    def compared(self, ids: list[str]) -> list[ComparedOut]:
        return study_results.compare(self.user, CompareQuery(ids=",".join(ids))).items

    # replays
    def replays(self) -> list[ReplayOut]:
        return replays.list_replays(self.user, ReplayQuery(limit=ALL)).items

    def replay(self, replay_id: str) -> ReplayFramesOut:
        """How it stands; what it showed is read by its page."""
        return replays.frames(self.user, replay_id, FramesQuery(after=NOTHING_NEW))

    def watchlists(self) -> list[WatchlistOut]:
        return sorted(watchlists.list_watchlists(self.user, WatchlistQuery(limit=ALL)).items, key=lambda each: each.created_at)

    def days(self, symbols: list[str]) -> list[DayOut]:
        return watchlists.days(self.user, DayQuery(symbols=",".join(symbols))).items if symbols else []

    # the machine and its people
    def status(self) -> StatusOut:
        return system.status(self.user)

    def halts(self, **filters: Any) -> list[HaltOut]:
        return system.list_halts(self.user, HaltQuery(**filters)).items

    def halt(self, halt_id: str) -> HaltReportOut:
        return system.halt_report(self.user, halt_id)

    def timetable(self, day: str | None = None) -> TimetableOut:
        return timetable.get_timetable(self.user, TimetableQuery(day=day))

    def day_books(self, **filters: Any) -> list[DayBookOut]:
        return timetable.list_day_books(self.user, DayBookQuery(limit=ALL, **filters)).items

    def calendar(self, year: str | None = None) -> CalendarOut:
        return calendar.get_calendar(self.user, CalendarQuery(year=year))

    def incidents(self, **filters: Any) -> Page[IncidentOut]:
        return system.list_incidents(self.user, IncidentQuery(**filters))

    def webhooks(self) -> list[WebhookOut]:
        return webhooks.list_webhooks(self.user, WebhookQuery(limit=ALL)).items

    def look(self) -> LookOut:
        return look.get_look(self.user)

    def tokens(self) -> list[TokenOut]:
        return people.list_tokens(self.user, TokenQuery(limit=ALL)).items

    def workspace(self) -> WorkspaceOut:
        return settings_of_all.get_workspace(self.user)

    def only_here(self) -> str:
        """How links begin where they open on this machine only; "" where other devices can open them."""
        return invites.only_here(self.user)

    def invites(self) -> list[InviteOut]:
        return invites.list_invites(self.user, InviteQuery(limit=ALL)).items

    def codes(self) -> list[CodeOut]:
        """What the owner passes on; only where no mail is sent."""
        return invites.list_codes(self.user, CodeQuery(limit=ALL)).items

    # messages
    def messages(self, args: Mapping[str, Any]) -> Page[MessageOut]:
        return messages.list_messages(self.user, MessageQuery.model_validate(args))

    def unread(self) -> int:
        return messages.unread(self.user).unread

    def destinations(self) -> list[DestinationOut]:
        return destinations.list_destinations(self.user).items

    def destination(self, destination_id: str) -> DestinationOut:
        return destinations.get_destination(self.user, destination_id)

    def sign_ins(self) -> list[SignInOut]:
        return security.list_sign_ins(self.user, SignInQuery(limit=ALL)).items

    def second_factor(self) -> SecondFactorOut:
        return security.second_factor(self.user)

    def enrolment(self) -> EnrolmentOut | None:
        return security.begun(self.user)

    def enrolment_qr(self) -> bytes:
        return security.qr(self.user)

    def people(self) -> list[UserOut]:
        return people.list_people(self.user, UserQuery(limit=ALL)).items

    def audit(self, args: Mapping[str, Any]) -> Page[AuditOut]:
        return audit.list_audit(self.user, AuditQuery.model_validate(args))

    def audit_check(self) -> AuditCheckOut:
        return audit.check(self.user)

"""The sample book behind the methods of `app.pages.reads.Reads`; `Sample(empty=True)` is the workspace of somebody who has just signed in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app.api.audit.schemas import AuditCheckOut, AuditOut
from app.api.calendar.schemas import CalendarOut
from app.api.invites.schemas import CodeOut, InviteOut
from app.api.look.schemas import ColoursOut, LookOut
from app.api.market.schemas import CandleOut, InstrumentListOut, InstrumentListsOut, InstrumentOut, QuoteOut
from app.api.money import home_of
from app.api.orders.schemas import CheckOut, OrderEventOut, OrderStoryOut, RequestOut
from app.api.people.schemas import TokenOut, UserOut
from app.api.pnl.schemas import AccountPnlOut, DayPnlOut, EquityPointOut, PnlOut, RealtimeOut, StrategyPnlOut
from app.api.security.schemas import EnrolmentOut, SecondFactorOut, SignInOut
from app.api.security.service import picture
from app.api.system.schemas import (
    AccountCountsOut,
    AccountHaltOut,
    EngineOut,
    FeedOut,
    HaltReportOut,
    IncidentOut,
    StatusOut,
)
from app.api.timetable.schemas import TimetableOut
from app.api.webhooks.schemas import WebhookOut
from app.api.wire import Page
from app.api.workspace.schemas import WorkspaceOut
from app.data import NotFound
from app.look import named, read
from tests.pages import day_things, studies
from tests.pages.happenings import ORDERS, SIGNALS, TRADES
from tests.pages.market_data import DATASETS, RECORDING, gaps_of
from tests.pages.replays import REPLAYS, frames
from tests.pages.things import (
    ACCOUNTS,
    COMBINED,
    CONSENTS,
    GROUPS,
    HALT,
    KINDS,
    LADDERS,
    MAPPINGS,
    NOW,
    OLD_HALT,
    POSITIONS,
    PRICES,
    STRATEGIES,
    WATCHLISTS,
    D,
    ago,
    ladder,
    levels,
    watched_day,
)
from tests.pages.told import DESTINATIONS, MESSAGES

TICKS = dict.fromkeys(PRICES, D("0.05"))


class Sample:
    """`halted`: an emergency stop holds. `empty`: nothing is there yet."""

    heard = 0

    def __init__(self, user: Any = None, *, empty: bool = False, halted: bool = False, on: bool = True, look: Any = None) -> None:
        self.empty, self.halted, self.on = empty, halted, on
        self.chosen = look

    def _some(self, items: list[Any]) -> list[Any]:
        return [] if self.empty else list(items)

    def _one(self, items: list[Any], id: str, name: str = "id") -> Any:
        for item in self._some(items):
            if getattr(item, name) == id:
                return item
        raise NotFound("There is no such thing.")

    def unread(self) -> int:
        return 0 if self.empty else 3

    def destinations(self) -> list[Any]:
        return self._some(DESTINATIONS)

    def destination(self, destination_id: str) -> Any:
        return self._one(DESTINATIONS, destination_id)

    def messages(self, args: Mapping[str, Any]) -> Any:
        wanted, kind = args.get("status"), args.get("kind")
        some = [each for each in self._some(MESSAGES) if wanted is None or any(way.status == wanted for way in each.deliveries)]
        return Page(items=[each for each in some if kind in (None, each.kind)], next=None)

    def accounts(self) -> list[Any]:
        return self._some(ACCOUNTS)

    def account(self, account_id: str) -> Any:
        return self._one(ACCOUNTS, account_id)

    def kinds(self) -> list[Any]:
        return KINDS

    def strategies(self) -> list[Any]:
        return self._some(STRATEGIES)

    def own_strategies(self) -> list[Any]:
        return [strategy for strategy in self.strategies() if strategy.owned]

    def past_strategies(self) -> dict[str, str]:
        return {} if self.empty else {"S9": "Meera's pairs (no longer shared)"}

    def strategy(self, strategy_id: str) -> Any:
        return self._one(STRATEGIES, strategy_id)

    def levels(self, strategy_id: str, symbol: str) -> Any:
        return levels() if (strategy_id, symbol) == ("S5", "NSE:INFY") else None

    def ladders(self, strategy_id: str, symbol: str) -> list[Any]:
        if strategy_id != "S5":
            return []
        return LADDERS if symbol == "NSE:INFY" else [ladder(row.account_id, "idle") for row in LADDERS]

    def mappings(self) -> list[Any]:
        return self._some(MAPPINGS)

    def mapping(self, mapping_id: str) -> Any:
        return self._one(MAPPINGS, mapping_id)

    def groups(self) -> list[Any]:
        return self._some(GROUPS)

    def consents(self) -> list[Any]:
        return self._some(CONSENTS)

    def combined_rules(self) -> list[Any]:
        return self._some(COMBINED)

    def watchlists(self) -> list[Any]:
        return self._some(WATCHLISTS)

    def days(self, symbols: list[str]) -> list[Any]:
        return [watched_day(symbol) for symbol in symbols]

    def signals(self, args: Mapping[str, Any]) -> Page[Any]:
        found = [
            s for s in self._some(SIGNALS) if args.get("strategy_id") in (None, s.strategy_id) and args.get("source") in (None, s.source)
        ]
        return Page(items=found[: int(args.get("limit", 100))], next=None if self.empty or "cursor" in args else "older")

    def signal(self, signal_id: str) -> Any:
        return self._one(SIGNALS, signal_id, "signal_id")

    def orders(self, args: Mapping[str, Any]) -> Page[Any]:
        wanted = {name: args[name] for name in ("account_id", "state", "strategy_id", "signal_id") if name in args}
        found = [o for o in self._some(ORDERS) if all(getattr(o, name) == value for name, value in wanted.items())]
        return Page(items=found[: int(args.get("limit", 100))], next="older" if found and "cursor" not in args else None)

    def order(self, order_id: str) -> Any:
        one = self._one(ORDERS, order_id, "order_id")
        sent = one.state not in ("denied", "planned")
        checks = [
            CheckOut(name=n, passed=True, detail=d)
            for n, d in (("halted", "no halt holds"), ("daily_loss", "used 12,400 of 25,000"), ("order_value", "1,21,860 of 6,25,000"))
        ]
        if one.state == "denied":
            checks.append(CheckOut(name=one.reason or "", passed=False, detail="used 10,120 of 10,000"))
        events = [
            OrderEventOut(kind="PLANNED", at=one.created_at, detail={"quantity": "150"}),
            *([OrderEventOut(kind="SENT", at=one.created_at + timedelta(milliseconds=2.4), detail={})] if sent else []),
            *(
                [
                    OrderEventOut(
                        kind="ACCEPTED", at=one.created_at + timedelta(milliseconds=52), detail={"broker_order_id": one.broker_order_id}
                    )
                ]
                if one.broker_order_id
                else []
            ),
            *(
                [
                    OrderEventOut(
                        kind="FILLED",
                        at=one.created_at + timedelta(milliseconds=54),
                        detail={"quantity": "150", "price": "812.4", "trade_id": "T1"},
                    )
                ]
                if one.state == "filled"
                else []
            ),
        ]
        return OrderStoryOut(
            **one.model_dump(),
            signal=SIGNALS[0],
            checks=checks,
            request=RequestOut(
                client_id=one.client_id,
                symbol=one.symbol,
                side=one.side,
                quantity=one.quantity,
                order_type=one.order_type,
                product=one.product,
                price=one.price,
                trigger_price=one.trigger_price,
                sent_at=one.created_at + timedelta(milliseconds=2.4) if sent else None,
                acknowledged_at=None,
            ),
            answers=events[2:],
            events=events,
            fills=TRADES[:1] if one.state == "filled" else [],
        )

    def trades(self, args: Mapping[str, Any]) -> Page[Any]:
        return Page(items=self._some(TRADES))

    def positions(self, **filters: Any) -> list[Any]:
        flat = filters.pop("flat", False)
        found = [p for p in self._some(POSITIONS) if all(getattr(p, name) == value for name, value in filters.items())]
        return [p for p in found if flat or p.quantity]

    def position(self, position_id: str) -> Any:
        return self._one(POSITIONS, position_id)

    def pnl(self) -> RealtimeOut:
        zero = D(0)
        rows = [
            AccountPnlOut(
                account_id=a.id,
                currency=a.currency,
                live=a.broker != "paper",
                realised=a.realised or zero,
                unrealised=a.unrealised or zero,
                charges=a.charges or zero,
                net=a.day_pnl or zero,
                equity=a.equity,
                day_pnl=a.day_pnl,
                day_loss_used_pct=a.day_loss_used_pct,
                open_positions=a.open_positions,
            )
            for a in self.accounts()
        ]
        home = home_of(row.currency for row in rows)

        def added(some: list[AccountPnlOut], *currencies: str) -> dict[str, PnlOut]:
            names = ("realised", "unrealised", "charges", "net")
            return {
                currency: PnlOut(**{name: sum((getattr(row, name) for row in some if row.currency == currency), zero) for name in names})
                for currency in sorted({*currencies, *(row.currency for row in some)})
            }

        totals = added(rows, home)
        by = [
            StrategyPnlOut(
                strategy_id=s, currency="INR", live=live, realised=D(n), unrealised=D("1200.5"), charges=D(88), net=D(n) + D("1112.5")
            )
            for s, n, live in (("S1", "9120", True), ("S1", "412.6", False), ("S2", "-3120.4", False), (None, "640", True))
        ]
        return RealtimeOut(
            currency=home,
            live=added([row for row in rows if row.live]),
            paper=added([row for row in rows if not row.live]),
            total=totals[home],
            totals=totals,
            by_account=rows,
            by_strategy=self._some(by),
            as_of=NOW,
        )

    def daily(self, args: Mapping[str, Any]) -> Page[Any]:
        by = args.get("by", "day")
        rows = [
            DayPnlOut(
                day=f"2026-11-{20 - n:02d}",
                account_id=ACCOUNTS[n % 3].id if by in ("account", "all") else None,
                strategy_id=STRATEGIES[n % 2].id if by in ("strategy", "all") else None,
                realised=D(4200 - 900 * n),
                unrealised=None,
                charges=D("312.4375"),
                net=D(4200 - 900 * n) - D("312.4375"),
                fills=34 - n,
                turnover=D(1840000 + 12345 * n),
                currency="INR",
                live=n % 3 != 2,
            )
            for n in range(12)
        ]
        return Page(items=self._some(rows))

    def equity(self, args: Mapping[str, Any]) -> list[Any]:
        ids = [args["account_id"]] if "account_id" in args else ["A1", "A3"]
        points = [
            EquityPointOut(
                account_id=id,
                currency="INR",
                live=next((account.broker for account in ACCOUNTS if account.id == id), "") != "paper",
                at=ago(60 * (140 - n)),
                equity=D(500000) + D(round(900 * math.sin(n / 11) + 45 * n)),
                realised=D(round(30 * n)),
                charges=D(n),
                unrealised=D(round(900 * math.sin(n / 11))),
            )
            for n in range(140)
            for id in ids
        ]
        return self._some(points)

    def instruments(self, args: Mapping[str, Any]) -> list[Any]:
        q = str(args.get("q", "")).upper()
        return [
            InstrumentOut(
                symbol=s,
                name=s[4:].title() + " Limited",
                exchange="NSE",
                tick_size=D("0.05"),
                lot_size=1,
                freeze_quantity=None,
                expiry=None,
                strike=None,
                option_type=None,
                segment="EQ",
            )
            for s in PRICES
            if q in s
        ]

    def tick(self, symbol: str) -> Any:
        return TICKS.get(symbol)

    def quotes(self, symbols: list[str]) -> list[Any]:
        return [
            QuoteOut(symbol=s, last_price=D(PRICES[s]), bid=D(PRICES[s]) - D("0.05"), ask=D(PRICES[s]) + D("0.05"), as_of=NOW)
            for s in symbols
            if s in PRICES
        ]

    def candles(self, args: Mapping[str, Any]) -> list[Any]:
        base = float(PRICES.get(str(args.get("symbol")), "100"))
        found = []
        for n in range(160):
            level = base * (1 + 0.006 * math.sin(n / 9) + 0.00004 * n)
            close = level + base * 0.001 * math.sin(n * 1.7)
            found.append(
                CandleOut(
                    start=ago(300 * (160 - n)),
                    open=D(f"{level:.2f}"),
                    high=D(f"{max(level, close) * 1.0007:.2f}"),
                    low=D(f"{min(level, close) * 0.9993:.2f}"),
                    close=D(f"{close:.2f}"),
                    volume=D(1000),
                )
            )
        return found

    def datasets(self, args: Mapping[str, Any]) -> Page[Any]:
        found = [d for d in self._some(DATASETS) if args.get("source") in (None, d.source) and args.get("kind") in (None, d.kind)]
        return Page(items=found, next=None)

    def dataset(self, dataset_id: str) -> Any:
        return self._one(DATASETS, dataset_id)

    def dataset_gaps(self, dataset_id: str, symbol: str | None = None) -> Any:
        return gaps_of(self.dataset(dataset_id), symbol)

    def replays(self) -> list[Any]:
        return self._some(REPLAYS)

    def replay(self, replay_id: str) -> Any:
        self._one(REPLAYS, replay_id)
        return frames(replay_id)

    def recording(self) -> Any:
        return RECORDING

    def status(self) -> StatusOut:
        thread = EngineOut(state="running", heartbeat_age_ms=12, queue_depth=0, detail="")
        return StatusOut(
            engines={
                "market": thread,
                "strategy": thread,
                "execution": thread,
                "lane A4": thread.model_copy(update={"state": "dead", "detail": "no session"}),
                "supervisor": thread,
            },
            on=self.on and not self.halted,
            halts=[HALT] if self.halted else [],
            accounts=AccountCountsOut(total=len(self.accounts()), connected=len([a for a in self.accounts() if a.connected]), halted=1),
            feed=FeedOut(source="simulated", last_tick_age_ms=120),
            version="1.0.0",
            uptime_s=5025,
            latency_ms={
                "planned_p50": 0.7,
                "planned_p99": 1.9,
                "journaled_p50": 2.2,
                "journaled_p99": 5.1,
                "first_sent_p50": 2.6,
                "first_sent_p99": 9.4,
                "last_acknowledged_p50": 11.8,
                "last_acknowledged_p99": 61.2,
            },
            journal={"queue_depth": 0, "flush_ms_p50": 1.1, "flush_ms_p99": 4.2, "commits": 18231, "facts": 91120},
            counters={"illegal_events": 0, "late_ticks": 3, "ticks": 1820331},
            streams=2,
            extra={},
        )

    def timetable(self, day: str | None = None) -> TimetableOut:
        return day_things.timetable(day, empty=self.empty)

    def day_books(self, **filters: Any) -> list[Any]:
        return self._some(day_things.BOOKS)

    def calendar(self, year: str | None = None) -> CalendarOut:
        return day_things.calendar(year)

    def instrument_lists(self) -> InstrumentListsOut:
        rows = [
            InstrumentListOut(broker="angelone", wanted=True, loaded_at=ago(3_600), listed=78_112, stale=False, problem=""),
            InstrumentListOut(broker="binance_spot", wanted=False, loaded_at=ago(900_000), listed=1_412, stale=True, problem=""),
            InstrumentListOut(
                broker="zerodha",
                wanted=True,
                loaded_at=ago(90_000),
                listed=71_204,
                stale=True,
                problem="api.kite.trade broke off after 1048576 of 2411724 bytes",
            ),
        ]
        return InstrumentListsOut(running=False, next_at=NOW, lists=self._some(rows))

    # back-tests and sweeps
    def studies(self, args: Mapping[str, Any]) -> Page[Any]:
        found = [s for s in self._some(studies.studies()) if args.get("kind") in (None, s.kind) and args.get("state") in (None, s.state)]
        return Page(items=found, next=None)

    def study(self, study_id: str) -> Any:
        return self._one(studies.studies(), study_id)

    def study_sources(self) -> Any:
        told = studies.sources()
        return told.model_copy(update={"datasets": self._some(told.datasets)})

    def study_report(self, study_id: str) -> dict[str, Any]:
        self.study(study_id)
        return studies.ran().report

    def study_symbols(self, study_id: str) -> list[str]:
        return list(self.study_report(study_id)["data"]["symbols"])

    def study_chart(self, study_id: str, symbol: str) -> dict[str, Any]:
        self.study(study_id)
        return studies.chart(symbol)

    def study_trades(self, study_id: str, args: Mapping[str, Any]) -> Any:
        self.study(study_id)
        return studies.trades(dict(args))

    def sweep_results(self, study_id: str) -> Any:
        self.study(study_id)
        return studies.results()

    def compared(self, ids: list[str]) -> list[Any]:
        return studies.compared([self.study(id).id for id in ids])

    def halts(self, **filters: Any) -> list[Any]:
        return self._some([HALT, OLD_HALT] if self.halted else [OLD_HALT])

    def halt(self, halt_id: str) -> Any:
        one = self._one([HALT, OLD_HALT], halt_id, "halt_id")
        flat = halt_id == "H0"
        rows = [
            AccountHaltOut(account_id="A1", cancelled=2, flattened=2, open_orders=0, open_positions=0, state="flat", detail=""),
            AccountHaltOut(
                account_id="A2",
                cancelled=1,
                flattened=1,
                open_orders=0 if flat else 1,
                open_positions=0 if flat else 1,
                state="flat" if flat else "working",
                detail="RELIANCE: 20 of 20 sent",
            ),
            AccountHaltOut(
                account_id="A4",
                cancelled=0,
                flattened=0,
                open_orders=0,
                open_positions=0,
                state="flat" if flat else "stuck",
                detail="not signed in: positions cannot be read",
            ),
        ]
        return HaltReportOut(**one.model_dump(), state="lifted" if flat else "halted", accounts=rows, others=None)

    def incidents(self, **filters: Any) -> Page[Any]:
        rows = [
            IncidentOut(
                incident_id="I1",
                kind="unknown_order",
                message="An order in RELIANCE is unknown; the broker is being asked",
                severity="warning",
                since=ago(480),
                until=None,
                account_id="A2",
            ),
            IncidentOut(
                incident_id="I2",
                kind="feed_silent",
                message="No tick for 21 s",
                severity="critical",
                since=ago(7200),
                until=ago(7100),
                account_id=None,
            ),
        ]
        return Page(items=self._some(rows))

    def webhooks(self) -> list[Any]:
        return self._some(
            [WebhookOut(id="W1", name="Nifty alerts", strategy_id="S1", account_ids=[], created_at=ago(9000), last_used_at=ago(300))]
        )

    def look(self) -> LookOut:
        chosen = read(self.chosen)
        name = named(chosen)
        dark, light = (ColoursOut(**asdict(each)) for each in (chosen.dark, chosen.light))
        return LookOut(theme=chosen.theme, palette=chosen.palette, dark=dark, light=light, css=f"/theme/{name}.css" if name else None)

    def tokens(self) -> list[Any]:
        return self._some(
            [
                TokenOut(
                    id="K1", name="excel sheet", prefix="tnd_4f8a", scope="full", created_at=ago(90000), expires_at=None, last_used_at=None
                )
            ]
        )

    def workspace(self) -> WorkspaceOut:
        return WorkspaceOut(open_sign_up=not self.empty, mail=False)

    def only_here(self) -> str:
        return "http://127.0.0.1:5000"

    def invites(self) -> list[Any]:
        made = {"name": "", "invited_by": "Asha Rao", "created_at": ago(9000), "sent_at": ago(9000)}
        return self._some(
            [
                InviteOut(id="I1", email="meera@example.com", role="trader", state="open", sends=1, expires_at=ago(-240_000), **made),
                InviteOut(id="I2", email="late@example.com", role="viewer", state="over", sends=2, expires_at=ago(60), **made),
            ]
        )

    def codes(self) -> list[Any]:
        made = {"name": "", "created_at": ago(60), "expires_at": ago(-500)}
        link = "http://127.0.0.1:5000/{}/uR8yV1a0mJ0bT7cW9qLkXo2ZfEhDsNpG4iYx5rKtM3A"
        return self._some(
            [
                CodeOut(id="C1", purpose="sign_up", email="dev@example.com", secret="402913", **made),
                CodeOut(id="I1", purpose="invite", email="meera@example.com", secret=link.format("invite"), **made),
                CodeOut(id="C2", purpose="reset", email="ravi@example.com", secret=link.format("reset"), **made),
                CodeOut(id="C3", purpose="sign_up", email="ravi@example.com", secret=None, **made),
            ]
        )

    def sign_ins(self) -> list[Any]:
        here = SignInOut(
            id="N1", browser="Chrome 141 on Windows", phone=False, ip="192.168.1.20", created_at=ago(9000), seen_at=ago(20), current=True
        )
        there = {"id": "N2", "browser": "Safari 18 on iPhone", "phone": True, "ip": "49.36.112.8", "seen_at": ago(86000), "current": False}
        return [here, *self._some([here.model_copy(update=there)])]

    def second_factor(self) -> SecondFactorOut:
        """On in the full book, begun in the halted one, off in the empty one."""
        return SecondFactorOut(on=not self.empty and not self.halted, begun=self.halted, recovery_codes_left=0 if self.empty else 3)

    def enrolment(self) -> EnrolmentOut:
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        return EnrolmentOut(secret=secret, uri=f"otpauth://totp/Tandem:asha?secret={secret}&issuer=Tandem", qr="/settings/security/qr.svg")

    def enrolment_qr(self) -> bytes:
        return picture(self.enrolment().uri)

    def people(self) -> list[Any]:
        owner = UserOut(
            id="U1",
            email="asha@example.com",
            name="Asha Rao",
            role="owner",
            active=True,
            second_factor=True,
            has_accounts=False,
            created_at=ago(9e6),
            last_sign_in_at=ago(300),
        )
        return [
            owner,
            *self._some(
                [
                    owner.model_copy(
                        update={
                            "id": "U2",
                            "email": "ravi@example.com",
                            "name": "",
                            "role": "trader",
                            "active": False,
                            "second_factor": True,
                        }
                    ),
                    owner.model_copy(update={"id": "U3", "email": "kiran@example.com", "name": "", "role": "trader", "has_accounts": True}),
                ]
            ),
        ]

    def audit(self, args: Mapping[str, Any]) -> Page[Any]:
        row = AuditOut(
            id="5",
            at=ago(200),
            actor="U1",
            actor_name="you",
            via="web",
            ip="127.0.0.1",
            action="account.changed",
            object_kind="account",
            object_id="A1",
            object_name="Family paper",
            before={"name": "Paper", "auto_trade": False, "limits": {"max_daily_loss": None, "max_trades_per_day": 10}},
            after={"name": "Family paper", "auto_trade": True, "limits": {"max_daily_loss": "5000", "max_trades_per_day": 10}},
        )
        more = [
            {"id": "4", "action": "account.credentials_shown", "before": None, "after": {"names": ["api_key", "api_secret"]}},
            {"id": "3", "action": "signal.sent", "object_kind": "signal", "object_id": "sbin-20261120-1115", "object_name": "", "via": "webhook",
             "before": None, "after": {"symbol": "NSE:SBIN", "side": "BUY", "order_type": "MARKET", "quantity": "10", "orders": 7}},
            {"id": "2", "actor": "U2", "actor_name": "Ravi", "action": "user.signed_in", "object_kind": "user", "object_id": "U2",
             "object_name": "Ravi", "before": None, "after": None},
            {"id": "1", "actor": None, "actor_name": "command line", "via": "cli", "ip": None, "action": "backup.made", "object_kind": "backup",
             "object_id": "", "object_name": "", "before": None, "after": {"with_data": False, "log": "4f8a0c11d2e3"}},
        ]  # fmt: skip
        return Page(items=self._some([row, *(row.model_copy(update=each) for each in more)]), next=None)

    def audit_check(self) -> AuditCheckOut:
        return AuditCheckOut(whole=True, rows=12_345, head="4f8a0c11d2e39b7a" * 4, broken_at=None, what="")

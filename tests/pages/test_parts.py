"""The small rules behind pages: what needs a person, limits and their use, fields from a schema, curves, CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field

from app.api.wire import Page
from app.pages import curves, export
from app.pages.accounts import limit_rows, share, tighter
from app.pages.attention import needs
from app.pages.chrome import feed_tone, initials, navigation
from app.pages.forms import schema_fields
from app.pages.trade import detail, pace
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS, MAPPINGS, POSITIONS, STRATEGIES, account, strategy

D = Decimal


def status(**changes: Any) -> SimpleNamespace:
    base = {"on": True, "halts": [], "engines": {}, "feed": SimpleNamespace(last_tick_age_ms=100)}
    return SimpleNamespace(**{**base, **changes})


# --- what needs me --------------------------------------------------------------------------------------------------------


def test_nothing_needs_a_person_when_all_is_well() -> None:
    well = account("A", "Paper", "paper", "100000", "50")
    assert needs([well], [STRATEGIES[0]], [MAPPINGS[0]], status(), []) == []


@pytest.mark.parametrize(
    ("changes", "tone", "part"),
    [
        ({"state": "needs_login"}, "warn", "needs a sign-in"),
        ({"state": "error", "state_detail": "wrong PIN"}, "bad", "wrong PIN"),
        ({"kill_switch": True, "kill_reason": "by hand"}, "warn", "by hand"),
        ({"locked": "daily_loss"}, "bad", "closed for the day"),
        ({"day_loss_used_pct": D("80")}, "warn", "80 %"),
        ({"auto_trade": False}, "info", "Auto-trade is off"),
    ],
)
def test_an_account_in_trouble_is_told_with_a_link_to_it(changes: dict[str, Any], tone: str, part: str) -> None:
    troubled = account("A1", "Paper", "paper", "100000", "50", **changes)
    found = needs([troubled], [STRATEGIES[0]], [MAPPINGS[0]], status(), [])
    assert [(need.tone, need.href) for need in found] == [(tone, "/accounts/A1")]
    assert part in found[0].text


@pytest.mark.parametrize(
    ("changes", "tone"),
    [
        ({"on": False}, "warn"),
        ({"feed": SimpleNamespace(last_tick_age_ms=None)}, "bad"),
        ({"feed": SimpleNamespace(last_tick_age_ms=20_000)}, "bad"),
        ({"engines": {"market": SimpleNamespace(state="dead")}}, "bad"),
        ({"halts": [SimpleNamespace(halt_id="H", reason="", since=None, lifted_at=None)]}, "bad"),
    ],
)
def test_a_machine_in_trouble_is_told(changes: dict[str, Any], tone: str) -> None:
    assert [need.tone for need in needs([], [], [], status(**changes), [])] == [tone]


def test_the_worst_comes_first_and_what_is_over_is_left_out() -> None:
    sample = Sample()
    found = needs(ACCOUNTS, STRATEGIES, MAPPINGS, sample.status(), sample.incidents().items)
    tones = [need.tone for need in found]
    assert tones == sorted(tones, key=["bad", "warn", "info"].index)
    assert not any("No tick" in need.text for need in found)


def incident(kind: str, message: str, account_id: str | None = "A1") -> SimpleNamespace:
    return SimpleNamespace(kind=kind, message=message, account_id=account_id, severity="critical", since=None, until=None)


def test_an_account_is_one_line_that_names_it_once() -> None:
    broken = account("A1", "Kite", "zerodha", "1000", None, state="error", state_detail="Kite: cannot be reached", auto_trade=False)
    lane = status(engines={"lane A1": SimpleNamespace(state="restarting")})
    told = [incident("needs_login", "Kite: wrong PIN"), incident("thread_died", "The lane died")]
    assert [need.text for need in needs([broken], [], [], lane, told)] == ["Kite: cannot be reached"]
    out = account("A1", "Kite", "zerodha", "1000", None, state="needs_login")
    told = [incident("needs_login", "Kite: over"), incident("login_failed", "Kite: the automated log-in failed. A captcha")]
    assert [need.text for need in needs([out], [], [], lane, told)] == [
        "Kite needs a sign-in at Zerodha: the automated log-in failed. A captcha"
    ]


def test_incidents_name_their_account_once_and_those_of_what_is_over_or_gone_are_left_out() -> None:
    well = account("A1", "Kite", "zerodha", "1000", "5")
    told = [
        incident("session_ends_soon", "Kite: the broker's session ends in 5 min"),
        incident("position_differs", "The broker holds 5 more"),
        incident("needs_login", "Kite: over since an hour"),
        incident("position_differs", "Of an account that is archived", "gone"),
        incident("journal_down", "The disk is full", None),
        incident("combined_left", "The combined stop of Family is met at -500.00", None),
        incident("exit_missing", "NSE:INFY: an exit ended as rejected: no; what it was to close is held, and nothing closes it"),
    ]
    assert [(need.text, need.href) for need in needs([well], [], [], status(), told)] == [
        ("Kite: the broker's session ends in 5 min", "/accounts/A1"),
        ("Kite: The broker holds 5 more", "/accounts/A1"),
        ("The disk is full", "/health"),
        ("The combined stop of Family is met at -500.00", "/limits"),
        ("Kite: NSE:INFY: an exit ended as rejected: no; what it was to close is held, and nothing closes it", "/accounts/A1"),
    ]


def test_a_destination_that_is_refused_needs_somebody() -> None:
    places = [SimpleNamespace(name=name, enabled=on, state=state, detail="it is gone") for name, on, state in (
        ("Desk", True, "refused"), ("Old", False, "refused"), ("Mail", True, "paused"))]  # fmt: skip
    assert [(need.text, need.href) for need in needs([], [], [], status(), [], destinations=places)] == [
        ("Desk takes no messages: it is gone", "/settings/messages")
    ]


def test_a_strategy_that_reaches_nobody_is_told() -> None:
    lonely = strategy("S9", "Lonely", "ema_cross", ["NSE:INFY"])
    assert [need.href for need in needs([], [lonely], [], status(), [])] == ["/mappings?strategy=S9"]


# --- limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("absolute", "pct", "expected"),
    [(None, None, None), ("5000", None, "5000"), (None, "2", "2000"), ("5000", "2", "2000"), ("1500", "2", "1500")],
)
def test_the_tighter_form_of_a_limit_is_shown(absolute: str | None, pct: str | None, expected: str | None) -> None:
    given = SimpleNamespace(capital=D(100000), max_daily_loss=absolute and D(absolute), max_daily_loss_pct=pct and D(pct))
    assert tighter(given, "max_daily_loss") == (expected and D(expected))


@pytest.mark.parametrize(("used", "limit", "pct"), [("50", "200", "25"), ("0", "0", "100"), (None, "10", None), ("300", "200", "150")])
def test_the_use_of_a_limit(used: str | None, limit: str, pct: str | None) -> None:
    assert share(used and D(used), D(limit)) == (pct and D(pct))


def test_rows_only_for_limits_that_are_set() -> None:
    free = account("A", "Free", "paper", "1000", "0", max_daily_loss=None, max_trades_per_day=None, max_open_positions=None)
    free = free.model_copy(update={"max_order_value_pct": None, "max_position_value_pct": None})
    assert limit_rows(free, []) == []
    rows = {row.label: row for row in limit_rows(ACCOUNTS[0], POSITIONS[:2])}
    assert rows["Largest position"].used == "₹1,21,860"
    assert rows["Entries today"].pct == D(30)


# --- a form from a schema -------------------------------------------------------------------------------------------------


class Params(BaseModel):
    fast: int = Field(9, title="Fast average", description="candles", ge=1, le=500)
    pct: Decimal | None = Field(None, gt=0)
    sides: str = Field("long", json_schema_extra={"enum": ["long", "long_short"]})
    once: bool = True
    name: str
    ladder: list[float] = Field(default_factory=lambda: [1.0, 2.0])


def test_fields_follow_the_schema() -> None:
    fields = {field.name: field for field in schema_fields(Params.model_json_schema(), {"fast": 5, "name": "x"})}
    assert list(fields) == ["fast", "pct", "sides", "once", "name", "ladder"]
    assert (fields["fast"].kind, fields["fast"].value, fields["fast"].hint) == ("integer", 5, "candles · 1 to 500")
    assert (fields["pct"].kind, fields["pct"].required) == ("number", False)
    assert fields["sides"].options == (("long", "long"), ("long_short", "long short"))
    assert (fields["once"].kind, fields["once"].value) == ("flag", True)
    assert (fields["name"].required, fields["ladder"].kind) == (True, "json")


def test_every_built_in_strategy_gets_a_form_without_raw_json() -> None:
    from engines.strategies import registry

    for kind in registry.kinds():
        fields = schema_fields(kind.Params.model_json_schema(), {})
        assert fields, kind
        assert all(field.kind != "json" and field.label for field in fields), kind


# --- curves ---------------------------------------------------------------------------------------------------------------


def mark(account_id: str, minute: int, equity: str, realised: str = "0") -> SimpleNamespace:
    at = datetime(2026, 11, 20, 4, minute, tzinfo=UTC)
    return SimpleNamespace(account_id=account_id, at=at, equity=D(equity), realised=D(realised), unrealised=D(0), charges=D(0))


def test_accounts_add_up_to_one_curve() -> None:
    points = [mark("A", 0, "100"), mark("B", 1, "50"), mark("A", 2, "110"), mark("B", 2, "45")]
    assert [value for _, value in curves.total(points, "equity")] == [100, 150, 155]


@pytest.mark.parametrize(
    ("values", "path", "zero"),
    [
        ([], "", None),
        ([1], "", None),
        ([0, 10], "M0.0 34.0L300.0 0.0", 34.0),
        ([-5, 5], "M0.0 34.0L300.0 0.0", 17.0),
        ([2, 2], "M0.0 0.0L300.0 0.0", 34.0),
    ],
)
def test_a_curve_as_a_picture(values: list[float], path: str, zero: float | None) -> None:
    curve = [(float(60 * n), float(value)) for n, value in enumerate(values)]
    assert curves.path(curve) == path
    if len(values) > 1:
        assert curves.zero_line(curve) == zero


# --- CSV ------------------------------------------------------------------------------------------------------------------


def test_an_export_reads_every_page() -> None:
    asked: list[dict[str, str]] = []

    def read(args: dict[str, str]) -> Page[int]:
        asked.append(args)
        start = int(args.get("cursor", "0"))
        return Page(items=list(range(start, start + 3)), next=str(start + 3) if start < 6 else None)

    assert list(export.every(read, {"state": "open", "cursor": "4"})) == list(range(9))
    assert [args.get("cursor") for args in asked] == [None, "3", "6"]
    assert list(export.every(read, {}, most=4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("text", ["=1+1", "+91", "-x", "@SUM(A1)", "\tx"])
def test_text_that_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert export.cell(text) == f"'{text}"


def test_averages_are_cut_in_a_table_and_exact_values_are_not() -> None:
    assert [export.cell(value) for value in (Decimal(100) / 3, Decimal("0.12345678"))] == ["33.333333", "0.12345678"]


def test_numbers_and_moments_stay_exact() -> None:
    at = datetime(2026, 11, 20, 3, 45, tzinfo=UTC) + timedelta(microseconds=5)
    assert export.text(("a", "b", "c"), [[D("-1520.0500"), at, None]]) == "a,b,c\r\n-1520.0500,2026-11-20T03:45:00.000005Z,\r\n"


# --- the rest -------------------------------------------------------------------------------------------------------------


def test_one_slow_signal_does_not_hide_the_others() -> None:
    def timed(ms: float | None) -> SimpleNamespace:
        return SimpleNamespace(timing=SimpleNamespace(last_acknowledged_ms=ms))

    assert pace([timed(ms) for ms in (10, 12, 3000, None)]) == 48
    assert pace([]) == 1


def test_an_event_is_told_in_a_line() -> None:
    assert detail({"price": "1520.5", "quantity": "75", "note": "", "broker_order_id": None}) == "price 1,520.50 · quantity 75"


def test_silent_real_prices_show_however_fresh_the_others_are() -> None:
    assert feed_tone(100, "Zerodha prices silent") == "bad"


@pytest.mark.parametrize(("age", "tone"), [(0, "ok"), (3001, "warn"), (15001, "bad"), (None, "bad")])
def test_an_old_price_shows(age: int | None, tone: str) -> None:
    assert feed_tone(age) == tone


@pytest.mark.parametrize(("name", "email", "expected"), [("Asha Rao", "", "AR"), ("asha", "", "AS"), ("", "ravi@example.com", "RA")])
def test_initials(name: str, email: str, expected: str) -> None:
    assert initials(name, email) == expected


@pytest.mark.parametrize(("path", "label"), [("/", "Overview"), ("/orders/17", "Orders"), ("/accounts", "Accounts"), ("/order", None)])
def test_the_present_room_is_marked(path: str, label: str | None) -> None:
    current = [entry.label for group in navigation(path, "trader", 0) for entry in group.entries if entry.current]
    assert current == ([label] if label else [])

"""The books of a busy year: with 100,000 rows of everything each list enters an index at the right place, and does little work there.

Work is counted in steps of SQLite's machine, which are the same on every computer; 100,000 of them take about two milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from app.data import AuditFilter, Data, Invalid, Page, open_data
from tests.data.making import DAY, NOON, planned

ROWS = 100_000
STEPS = 1_000_000
"""About twenty milliseconds: what a list may cost that has to pass over many rows (a filter that hardly anything meets)."""
FEW = 60_000
"""What a list costs that goes straight to its rows."""

_NUMBERS = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
_USER = "CASE WHEN i % 10 = 0 THEN 'U2' ELSE 'U1' END"
_ACCOUNT = "CASE WHEN i % 10 = 0 THEN 'B' ELSE 'A' END || (i % 7)"
_SYMBOL = "'NSE:S' || (i % 40)"
_SIDE = "CASE WHEN i % 2 THEN 'BUY' ELSE 'SELL' END"
_STRATEGY = "CASE WHEN i % 3 = 0 THEN NULL ELSE 'S' || (i % 9) END"
_AT = f"{int(NOON)} * 1000000 + i * 60000000"
_STATE = f"CASE WHEN i > {ROWS - 50} THEN 'open' WHEN i % 5 = 0 THEN 'denied' ELSE 'filled' END"
_SIGNAL = (
    f"json_object('key', 'K' || i, 'signal_id', 's' || i, 'user_id', {_USER}, 'source', 'manual', 'symbol', {_SYMBOL}, 'side', {_SIDE},"
    f" 'created_at', {_AT} / 1000000.0)"
)

FILLING = {
    "signals": f"i, 'K' || i, {_USER}, 's' || i, 'manual', {_SYMBOL}, {_SIDE}, {_STRATEGY}, {_AT}, {_SIGNAL}, NULL",
    "orders": f"i, 'O' || i, {_ACCOUNT}, {_USER}, 'K' || i, {_SYMBOL}, {_SIDE}, '10', 'MARKET', 'MIS', CASE WHEN i % 50 THEN 'entry' ELSE 'stop' END,"
    f" {_AT}, {_AT}, {_STRATEGY}, NULL, NULL, {_STATE}, CASE WHEN i % 5 THEN NULL ELSE 'max_trades' END, 'B' || i, '10', '100.05', NULL, NULL, NULL, '[]'",
    "order_events": f"i, 'O' || i, 'filled', {_AT}, '{{}}'",
    "fills": f"i, 'O' || i, 'T' || i, {_USER}, {_ACCOUNT}, {_SYMBOL}, {_SIDE}, 'MIS', {_STRATEGY}, 'B' || i, '10', '100.05', '1.25', '0', {_AT}, '0'",
    "positions": f"i, 'P' || i, {_USER}, {_ACCOUNT}, {_SYMBOL}, 'MIS', {_STRATEGY}, i % 1000 = 0, '10', '-1000', '1000', '0', '1', {_AT}, {_AT}, '0'",
    "round_trips": f"i, 'P' || i, {_USER}, {_ACCOUNT}, {_STRATEGY}, {_SYMBOL}, {_AT}, '12.50'",
    "incidents": f"i, 'I' || i, 'limit_warning', 'words', 'warning', {_AT}, CASE WHEN i % 3 THEN {_USER} END, NULL, CASE WHEN i % 1000 THEN {_AT} END",
    "audit": f"i, {_AT}, {_USER}, 'web', NULL, 'order.cancelled', 'order', 'O' || i, NULL, NULL, ''",
    "equity": f"'A' || (i % 7), {_AT}, '100000', '0', '0', '0'",
    "candles": f"{_SYMBOL}, '1m', 0, {_AT}, 1.0, 2.0, 0.5, 1.5, 100.0",
}
TOTALS = (
    "INSERT INTO pnl_daily SELECT u.value, a.value, s.value, date('2000-01-01', i || ' days'), '10', '1', 2, '5000' FROM n,"
    ' json_each(\'["U1", "U2"]\') AS u, json_each(\'["A1", "A2", "*"]\') AS a, json_each(\'["S1", "S2", "", "*"]\') AS s WHERE i <= 4000'
)
PLANS = f"INSERT INTO plans SELECT 'P' || i, {_USER}, {_ACCOUNT}, CASE WHEN i % 5000 THEN 'done' ELSE 'armed' END, {_AT}, '{{}}' FROM n"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    folder = tmp_path_factory.mktemp("busy")
    open_data(folder).close()
    with closing(sqlite3.connect(folder / "tandem.db")) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -200000")
        for user_id in ("U1", "U2"):
            db.execute(
                "INSERT INTO users (user_id, email, email_key, name, role, password_hash, created_at) VALUES (?, ?, ?, '', 'trader', '-', 1)",
                (user_id,) * 3,
            )
        for n in range(7):
            values = (f"A{n}", "U1", "One", "paper", "1", "1", "{}", "{}", 0, 0, 1, b"", "{}", n, n, None, None, 0, None)
            db.execute(f"INSERT INTO accounts VALUES ({', '.join('?' * len(values))})", values)
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")  # made again when the rows are there: takes half the time
        for table, columns in FILLING.items():
            db.execute(f"INSERT INTO {table} {_NUMBERS} SELECT {columns} FROM n")
        db.execute(f"{_NUMBERS} {TOTALS}")
        db.execute(f"{_NUMBERS} {PLANS}")
        for _, sql in indexes:
            db.execute(sql)
        db.commit()
    with open_data(folder) as data:
        yield data


class Watch:
    """What the reader's connection is asked, and how many steps it takes."""

    def __init__(self, data: Data) -> None:
        self._readers = data.books.store.readers
        self.asked: list[str] = []
        self.steps = 0

    def _step(self) -> int:
        self.steps += 1000
        return 0

    def run(self, call: Callable[[], Any]) -> Any:
        with self._readers.use() as db:
            db.set_trace_callback(self.asked.append)
            db.set_progress_handler(self._step, 1000)
        try:
            return call()
        finally:
            with self._readers.use() as db:
                db.set_trace_callback(None)
                db.set_progress_handler(None, 0)

    def plans(self) -> list[str]:
        with self._readers.use() as db:
            return [row["detail"] for sql in self.asked if sql.startswith("SELECT") for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]


SPAN = {"since": NOON + 30 * DAY, "until": NOON + 31 * DAY}

STRAIGHT: dict[str, Callable[[Data], Any]] = {
    "signals": lambda d: d.books.signals("U1"),
    "signals of an instrument": lambda d: d.books.signals("U1", symbol="NSE:S7"),
    "signals of a side": lambda d: d.books.signals("U1", side="BUY"),
    "signals of a strategy": lambda d: d.books.signals("U1", strategy_id="S1"),
    "signals of a source": lambda d: d.books.signals("U1", source="manual"),
    "signals of no source": lambda d: d.books.signals("U1", source="copy"),
    "signals of a day": lambda d: d.books.signals("U1", **SPAN),
    "signals after a cursor": lambda d: d.books.signals("U1", cursor="50000"),
    "a signal": lambda d: d.books.signal("U1", "s77777"),
    "orders": lambda d: d.books.orders("U1"),
    "orders, 500 of them": lambda d: d.books.orders("U1", limit=500),
    "orders of an account": lambda d: d.books.orders("U1", account_id="A3"),
    "orders of an account that has none": lambda d: d.books.orders("U1", account_id="C1"),
    "orders of an instrument": lambda d: d.books.orders("U1", symbol="NSE:S7"),
    "orders of a strategy": lambda d: d.books.orders("U1", strategy_id="S1"),
    "orders of a role": lambda d: d.books.orders("U1", role="stop"),
    "orders in a state": lambda d: d.books.orders("U1", state="denied"),
    "orders in no state": lambda d: d.books.orders("U1", state="unknown"),
    "orders of a signal": lambda d: d.books.orders("U1", signal_id="s77777"),
    "orders that live": lambda d: d.books.orders("U1", live=True),
    "orders that ended": lambda d: d.books.orders("U1", live=False),
    "orders of a day": lambda d: d.books.orders("U1", **SPAN),
    "orders of a day in a state": lambda d: d.books.orders("U1", state="filled", **SPAN),
    "orders after a cursor": lambda d: d.books.orders("U1", cursor="50000"),
    "orders of everybody": lambda d: d.books.orders(None),
    "live orders of an account": lambda d: d.books.orders(None, account_id="A3", live=True),
    "an order": lambda d: d.books.order("U1", "O77777"),
    "trades": lambda d: d.books.trades("U1"),
    "trades of an account": lambda d: d.books.trades("U1", account_id="A3"),
    "trades of an instrument": lambda d: d.books.trades("U1", symbol="NSE:S7"),
    "trades of a strategy": lambda d: d.books.trades("U1", strategy_id="S1"),
    "trades of an order": lambda d: d.books.trades("U1", order_id="O77777"),
    "trades of a day": lambda d: d.books.trades("U1", **SPAN),
    "trades after a cursor": lambda d: d.books.trades("U1", cursor="50000"),
    "open positions": lambda d: d.books.positions("U1"),
    "open positions of an account": lambda d: d.books.positions("U1", account_id="A3"),
    "open positions of everybody": lambda d: d.books.positions(None),
    "positions, flat ones too": lambda d: d.books.positions("U1", flat=True),
    "a position": lambda d: d.books.position("U1", "P77777"),
    "results of a month by day": lambda d: d.books.pnl_daily("U1", since="2005-01-01", until="2005-01-31"),
    "results of a strategy": lambda d: d.books.pnl_daily("U1", since="2005-01-01", until="2005-01-31", strategy_id="S1"),
    "the curve of an account": lambda d: d.books.equity_curve("U1", account_id="A3"),
    "the curves of all": lambda d: d.books.equity_curve("U1", points=100),
    "round trips": lambda d: d.books.round_trips("U1"),
    "round trips of a strategy": lambda d: d.books.round_trips("U1", strategy_id="S1"),
    "round trips of a mapping": lambda d: d.books.round_trips("U1", account_id="A1", strategy_id="S1"),
    "candles": lambda d: d.books.candles("NSE:S7", "1m"),
    "candles of a day": lambda d: d.books.candles("NSE:S7", "1m", start=NOON + 30 * DAY, end=NOON + 31 * DAY),
    "candles to warm up with": lambda d: d.directory.candles("NSE:S7", "1m", 300),
    "incidents": lambda d: d.books.incidents("U1"),
    "incidents with the machine's": lambda d: d.books.incidents("U1", machine=True),
    "incidents that go on": lambda d: d.books.incidents("U1", open_only=True),
    "audit": lambda d: d.audit.list("U1"),
    "audit of everybody": lambda d: d.audit.list(None),
    "audit of an action": lambda d: d.audit.list(None, action="order.cancelled"),
    "audit that a person sees": lambda d: d.audit.seen_by("U1"),
    "audit that an owner sees": lambda d: d.audit.seen_by("U1", owner=True),
    "audit that an owner sees of an object": lambda d: d.audit.seen_by(
        "U1", AuditFilter(object_kind="order", object_id="O77777"), owner=True
    ),
    "audit of an object": lambda d: d.audit.list(None, object_kind="order", object_id="O77777"),
    "row counts": lambda d: d.books.counts(),
}

PASSING_OVER: dict[str, Callable[[Data], Any]] = {
    "signals of an account that has none": lambda d: d.books.signals("U1", account_id="C1"),
    "signals of an account": lambda d: d.books.signals("U1", account_id="A3"),
    "orders refused for a reason that never was": lambda d: d.books.orders("U1", reason="halted"),
    "orders of a type that never was": lambda d: d.books.orders("U1", order_type="LIMIT"),
    "trades of an instrument that never was, of an account": lambda d: d.books.trades("U1", account_id="A3", symbol="NSE:NONE"),
    "open positions of an instrument that never was": lambda d: d.books.positions("U1", symbol="NSE:NONE"),
    "round trips of an account": lambda d: d.books.round_trips("U1", account_id="A3"),
    "incidents of a kind that never was": lambda d: d.books.incidents("U1", kind="none"),
    "results of all days": lambda d: d.books.pnl_daily("U1"),
    "results of a month by account": lambda d: d.books.pnl_daily("U1", since="2005-01-01", until="2005-01-31", by="account"),
    "results of a month by strategy": lambda d: d.books.pnl_daily("U1", since="2005-01-01", until="2005-01-31", by="strategy"),
}

GROWING = "signals orders order_events fills positions round_trips incidents audit equity candles pnl_daily plans".split()


@pytest.mark.parametrize("name", STRAIGHT)
def test_a_list_goes_straight_to_its_rows(busy: Data, name: str) -> None:
    watch = Watch(busy)
    answer = watch.run(lambda: STRAIGHT[name](busy))
    assert answer or "none" in name or "no " in name
    assert watch.asked
    assert watch.steps <= FEW, watch.asked
    assert not [plan for plan in watch.plans() if plan.removeprefix("SCAN ") in GROWING] or "everybody" in name or "machine" in name, (
        watch.asked
    )


@pytest.mark.parametrize("name", PASSING_OVER)
def test_a_list_that_passes_over_many_rows_does_so_along_an_index(busy: Data, name: str) -> None:
    watch = Watch(busy)
    watch.run(lambda: PASSING_OVER[name](busy))
    assert watch.steps <= STEPS, watch.asked
    scans = [plan for plan in watch.plans() if plan.removeprefix("SCAN ") in GROWING]
    assert not scans, watch.asked


# --- in pieces, newest first ---------------------------------------------------------------------------------------

PAGES: dict[str, Callable[..., Page[Any]]] = {
    "signals": lambda d, **at: d.books.signals("U1", symbol="NSE:S7", **at),
    "orders": lambda d, **at: d.books.orders("U1", symbol="NSE:S7", **at),
    "trades": lambda d, **at: d.books.trades("U1", symbol="NSE:S7", **at),
    "positions": lambda d, **at: d.books.positions("U1", symbol="NSE:S7", flat=True, **at),
    "incidents": lambda d, **at: d.books.incidents("U1", open_only=True, **at),
    "audit": lambda d, **at: d.audit.list("U1", object_id="O77777", **at),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_pieces_of_a_list_make_up_the_whole_without_a_gap_or_a_repeat(busy: Data, name: str) -> None:
    pieces: list[Any] = []
    cursor: str | None = None
    while len(pieces) < 500:
        page = PAGES[name](busy, limit=37, cursor=cursor)
        pieces += page.items
        cursor = page.next
        if cursor is None:
            break
    assert pieces[:500] == list(PAGES[name](busy, limit=500).items)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 501}, {"limit": -1}, {"cursor": "abc"}, {"cursor": ""}, {"cursor": "1; DROP TABLE orders"}]
)
def test_a_wrong_limit_or_cursor_is_named(busy: Data, name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as told:
        PAGES[name](busy, **wrong)
    assert list(told.value.errors) == list(wrong)


def test_what_comes_in_meanwhile_shifts_nothing(data: Data) -> None:
    for n in range(6):
        data.journal.commit(planned(signal_id=f"s{n}"))
    first = data.books.signals("U1", limit=3)
    data.journal.commit(planned(signal_id="s6"))
    rest = data.books.signals("U1", limit=3, cursor=first.next)
    assert [row.signal.signal_id for row in (*first.items, *rest.items)] == ["s5", "s4", "s3", "s2", "s1", "s0"]
    assert rest.next is None


def test_lists_begin_with_the_newest(busy: Data) -> None:
    assert [row.signal.key for row in busy.books.signals("U1", limit=3).items] == ["K99999", "K99998", "K99997"]
    assert [order.order_id for order in busy.books.orders("U1", limit=3).items] == ["O99999", "O99998", "O99997"]
    assert [row.fill.trade_id for row in busy.books.trades("U1", limit=3).items] == ["T99999", "T99998", "T99997"]


def test_a_span_begins_with_its_first_moment_and_ends_before_its_last(busy: Data) -> None:
    first, beyond = NOON + 5000 * 60, NOON + 5003 * 60
    assert [order.order_id for order in busy.books.orders(None, since=first, until=beyond).items] == ["O5002", "O5001", "O5000"]
    assert [row.fill.trade_id for row in busy.books.trades(None, since=first, until=beyond).items] == ["T5002", "T5001", "T5000"]
    assert busy.books.orders(None, until=NOON).items == ()
    assert busy.books.orders(None, since=NOON + DAY * 366).items == ()


def test_a_curve_is_thinned_to_the_last_of_each_span_and_ends_with_the_newest(busy: Data) -> None:
    points = busy.books.equity_curve("U1", account_id="A3", points=50)
    assert 40 <= len(points) <= 50
    assert [point.at for point in points] == sorted(point.at for point in points)
    assert points[-1].at == NOON + 99_998 * 60
    assert busy.books.equity_curve("U2", account_id="A3") == ()


def test_candles_are_the_newest_oldest_first(busy: Data) -> None:
    candles = busy.books.candles("NSE:S7", "1m", limit=3)
    assert [candle.start for candle in candles] == [NOON + 60 * n for n in (99_887, 99_927, 99_967)]
    assert busy.directory.candles("NSE:S7", "1m", 3) == list(candles)
    between = busy.books.candles("NSE:S7", "1m", start=NOON + 60 * 47, end=NOON + 60 * 127)
    assert [candle.start for candle in between] == [NOON + 60 * n for n in (47, 87)]

"""The contract of `engines.ports.Broker`, told as one abstract class: a broker passes by naming its venue.

Every behaviour runs over the real SDK, real HTTP and real WebSockets on loopback; the emulator's own books are the truth that answers are held against.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest

from engines.brokers.tools import Timing
from engines.core.model import OrderState, OrderType, Side
from engines.ports import Halted, NeedsLogin, OrderRequest, Refused, Retry, SystemClock, TandemError, Unknown
from tests.contract.venues import HASTY, PATIENCE, TIMING, Station, Venue
from tests.emulators.core.emulator import Emulator
from tests.emulators.core.faults import Fault

CLOSED_PORT = "http://127.0.0.1:9"
LOSING = (
    Fault.LOST,
    Fault.BOOKED_NO_ANSWER,
    Fault.BOOKED_THEN_RESET,
    Fault.TIMED_OUT_BOOKED_LATER,
    Fault.SERVER_ERROR_HTML,
    Fault.SERVER_ERROR_BOOKED,
    Fault.MALFORMED_JSON,
)
"""After these nobody can say whether the order exists."""


class BrokerContract:
    """Subclass it as Test…, with `venue`."""

    venue: ClassVar[Venue]

    @pytest.fixture(scope="class")
    @classmethod
    def emulator(cls) -> Iterator[Emulator]:
        with cls.venue.emulator() as emulator:
            yield emulator

    @pytest.fixture
    def station(self, emulator: Emulator) -> Iterator[Station]:
        emulator.no_faults()
        emulator.price(self.venue.symbol, self.venue.price)
        station = Station(self.venue, emulator)
        yield station
        station.close()
        emulator.no_faults()

    @pytest.fixture
    def at_work(self, station: Station) -> Station:
        return station.connect()

    # --- signing in -------------------------------------------------------------------------------------------------

    def test_it_says_who_has_signed_in(self, at_work: Station) -> None:
        assert at_work.broker.profile().user_id

    def test_a_wrong_key_is_told_and_nothing_is_booked(self, emulator: Emulator) -> None:
        station = Station(self.venue, emulator, credentials=self.spoilt(emulator))
        with pytest.raises((NeedsLogin, Refused)) as caught:
            station.connect()
        assert len(str(caught.value)) > 10
        station.close()

    def test_a_broker_that_is_away_is_no_verdict_on_the_key(self, emulator: Emulator, station: Station) -> None:
        away = Station(self.venue, _Nowhere(emulator))
        with pytest.raises((Retry, Unknown)):
            away.connect()
        away.close()

    def test_it_connects_again_after_a_failure(self, emulator: Emulator, at_work: Station) -> None:
        at_work.broker.close()
        at_work.connect()
        assert at_work.place(at_work.limit(at_work.below)).state is OrderState.OPEN

    def test_a_session_that_ends_needs_a_log_in_and_books_nothing(self, emulator: Emulator, at_work: Station) -> None:
        emulator.revoke(at_work.emulated)
        with pytest.raises(NeedsLogin):
            at_work.place(at_work.request())
        assert not emulator.book(at_work.emulated)

    def test_it_lends_its_session_to_the_price_stream_without_showing_it(self, at_work: Station) -> None:
        key = at_work.broker.stream_key()
        assert key is None or not any(value in repr(key) for value in key.values.values())

    # --- what the account owns --------------------------------------------------------------------------------------

    def test_the_balance_is_the_brokers(self, at_work: Station) -> None:
        balance = at_work.broker.balance()
        assert balance.available > 0
        assert balance.equity >= balance.available

    def test_a_position_is_told_with_its_sign(self, emulator: Emulator, at_work: Station) -> None:
        self.filled(at_work, at_work.request())
        (held,) = [p for p in self.owned(at_work) if p[0] == self.venue.symbol]
        assert held[1] == emulator.position(at_work.emulated, self.venue.symbol) > 0

    def test_holdings_can_be_read(self, at_work: Station) -> None:
        assert all(holding.quantity >= 0 for holding in at_work.broker.holdings())

    # --- orders -----------------------------------------------------------------------------------------------------

    def test_a_market_order_fills_and_its_fills_are_the_brokers_trades(self, at_work: Station) -> None:
        broker_order_id = self.filled(at_work, at_work.request())
        assert at_work.fills(broker_order_id) == at_work.truth(broker_order_id)

    def test_the_answer_to_an_order_carries_both_names(self, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        report = at_work.place(request)
        assert (report.client_id, report.state, report.filled_quantity) == (request.client_id, OrderState.OPEN, 0)
        assert report.broker_order_id

    def test_a_limit_away_from_the_market_rests(self, emulator: Emulator, at_work: Station) -> None:
        report = at_work.place(at_work.limit(at_work.below))
        (booked,) = emulator.book(at_work.emulated)
        assert (booked.broker_order_id, booked.filled) == (report.broker_order_id, 0)

    def test_a_resting_limit_fills_when_the_market_comes_and_is_told_by_itself(self, emulator: Emulator, at_work: Station) -> None:
        report = at_work.place(at_work.limit(at_work.below))
        emulator.price(self.venue.symbol, at_work.below - self.venue.tick * 20)
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.FILLED))
        assert at_work.fills(report.broker_order_id) == at_work.truth(report.broker_order_id)

    def test_partial_fills_add_up_without_repeats(self, emulator: Emulator, at_work: Station) -> None:
        emulator.fault(Fault.PARTIAL_FILLS, account=at_work.emulated)
        report = at_work.place(at_work.limit(self.venue.price + self.venue.tick * 50))
        for step in range(200):
            if at_work.told(report.broker_order_id, OrderState.FILLED):
                break
            emulator.price(self.venue.symbol, self.venue.price + self.venue.tick * (step % 3))
            threading.Event().wait(0.01)
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.FILLED))
        assert at_work.fills(report.broker_order_id) == at_work.truth(report.broker_order_id)
        assert sum(q for q, _ in at_work.fills(report.broker_order_id).values()) == self.venue.quantity

    def test_a_resting_order_can_be_cancelled(self, emulator: Emulator, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        report = at_work.place(request)
        said = at_work.broker.cancel(report.broker_order_id, request)
        if said is not None:
            at_work.take(said)
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.CANCELLED))
        assert emulator.book(at_work.emulated)[0].status == "cancelled"

    def test_cancelling_what_has_filled_undoes_nothing(self, emulator: Emulator, at_work: Station) -> None:
        request = at_work.request()
        broker_order_id = self.filled(at_work, request)
        said = None
        with contextlib.suppress(Refused):
            said = at_work.broker.cancel(broker_order_id, request)
        assert said is None or said.state is OrderState.FILLED
        assert emulator.position(at_work.emulated, self.venue.symbol) > 0

    def test_a_resting_order_can_be_priced_anew(self, emulator: Emulator, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        report = at_work.place(request)
        said = at_work.broker.modify(
            report.broker_order_id, request, quantity=None, price=self.venue.price + self.venue.tick * 100, trigger_price=None
        )
        last = said.broker_order_id if said is not None else report.broker_order_id
        at_work.wait(lambda: at_work.told(last, OrderState.FILLED) or at_work.told(report.broker_order_id, OrderState.FILLED))
        assert sum(row.filled for row in emulator.book(at_work.emulated)) == self.venue.quantity

    def test_a_stop_waits_for_its_trigger(self, emulator: Emulator, at_work: Station) -> None:
        trigger = self.venue.price + self.venue.tick * 40
        request = at_work.request(order_type=OrderType.SL, price=trigger + self.venue.tick * 100, trigger_price=trigger)
        report = at_work.place(request)
        assert report.state is OrderState.OPEN
        assert emulator.position(at_work.emulated, self.venue.symbol) == 0
        emulator.price(self.venue.symbol, trigger + self.venue.tick)
        at_work.wait(lambda: emulator.position(at_work.emulated, self.venue.symbol) > 0)

    def test_what_was_bought_can_be_sold_again(self, emulator: Emulator, at_work: Station) -> None:
        self.filled(at_work, at_work.request())
        held = emulator.position(at_work.emulated, self.venue.symbol)
        whole = held // self.venue.lot * self.venue.lot
        self.filled(at_work, at_work.request(Side.SELL, whole, reduce_only=True))
        assert emulator.position(at_work.emulated, self.venue.symbol) < self.venue.lot

    def test_the_order_book_knows_our_name(self, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        placed = at_work.place(request)
        found = at_work.look(request.client_id)
        assert found is not None
        assert (found.broker_order_id, found.symbol, found.side, found.quantity) == (
            placed.broker_order_id,
            self.venue.symbol,
            Side.BUY,
            self.venue.quantity,
        )

    def test_the_order_book_tells_fills_by_their_trades(self, at_work: Station) -> None:
        request = at_work.request()
        broker_order_id = self.filled(at_work, request)
        found = at_work.look(request.client_id)
        assert found is not None
        assert {f.trade_id: (f.quantity, f.price) for f in found.fills} == at_work.truth(broker_order_id)

    def test_the_trade_book_is_the_brokers(self, at_work: Station) -> None:
        broker_order_id = self.filled(at_work, at_work.request())
        told = {t.fill.trade_id: (t.fill.quantity, t.fill.price) for t in at_work.broker.trades() if t.broker_order_id == broker_order_id}
        assert told == at_work.truth(broker_order_id)

    # --- refusals ---------------------------------------------------------------------------------------------------

    def test_too_little_money_is_a_refusal_never_a_doubt(self, emulator: Emulator, station: Station) -> None:
        poor = Station(self.venue, _Poor(emulator)).connect()
        request = poor.request()
        with contextlib.suppress(Refused):
            report = poor.place(request)
            poor.wait(lambda: poor.told(report.broker_order_id, OrderState.REJECTED))
        assert poor.emulator.position(poor.emulated, self.venue.symbol) == 0
        poor.close()

    def test_a_price_off_the_tick_is_refused(self, emulator: Emulator, at_work: Station) -> None:
        with contextlib.suppress(Refused):
            report = at_work.place(at_work.limit(at_work.below + self.venue.tick / 3))
            at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.REJECTED))
        assert not [row for row in emulator.book(at_work.emulated) if row.status not in ("rejected", "denied")]

    def test_an_instrument_of_another_market_is_refused_before_anything_is_sent(self, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        stranger = replace(request.instrument, symbol="MOON:CHEESE", exchange="MOON")
        with pytest.raises(Refused):
            at_work.place(replace(request, instrument=stranger))
        assert at_work.placed() == 0

    def test_an_order_rejected_later_is_told_with_the_brokers_words(self, emulator: Emulator, at_work: Station) -> None:
        emulator.fault(Fault.REJECTED_LATER, account=at_work.emulated, seconds=0.02)
        report = at_work.place(at_work.limit(at_work.below))
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.REJECTED))

    # --- the gate ---------------------------------------------------------------------------------------------------

    def test_the_permit_is_asked_once_for_each_order(self, at_work: Station) -> None:
        at_work.place(at_work.limit(at_work.below))
        assert (at_work.permits, at_work.placed()) == (1, 1)

    def test_law_4_a_closed_gate_lets_no_byte_out(self, at_work: Station) -> None:
        @contextmanager
        def closed() -> Iterator[None]:
            raise Halted("halted")
            yield

        with pytest.raises(Halted):
            at_work.broker.place(at_work.request(), closed)
        assert at_work.placed() == 0

    def test_reads_ask_no_permit(self, at_work: Station) -> None:
        at_work.broker.order_book()
        at_work.broker.balance()
        at_work.broker.keep_alive()
        assert at_work.permits == 0

    # --- the wire ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", LOSING)
    def test_law_1_a_lost_answer_is_unknown_and_never_sent_again(self, emulator: Emulator, fault: Fault) -> None:
        with self.another(emulator, HASTY if fault is Fault.BOOKED_NO_ANSWER else TIMING) as at_work:
            self.a_lost_answer_is_unknown(emulator, at_work, fault)

    def a_lost_answer_is_unknown(self, emulator: Emulator, at_work: Station, fault: Fault) -> None:
        request = at_work.limit(at_work.below)
        emulator.fault(fault, account=at_work.emulated, seconds=0.05 if fault is Fault.TIMED_OUT_BOOKED_LATER else 2.0)
        with pytest.raises(Unknown):
            at_work.place(request)
        at_work.wait(lambda: at_work.placed() == 1)
        if fault in (Fault.LOST, Fault.SERVER_ERROR_HTML):
            assert at_work.look(request.client_id) is None
        else:
            self.found(at_work, request)
        assert at_work.placed() == 1
        assert len(emulator.book(at_work.emulated)) <= 1

    def test_too_many_calls_book_nothing_and_may_be_tried_later(self, emulator: Emulator, at_work: Station) -> None:
        emulator.fault(Fault.RATE_LIMITED, account=at_work.emulated)
        with pytest.raises((Retry, Unknown, Refused)) as caught:
            at_work.place(at_work.limit(at_work.below))
        assert isinstance(caught.value, Retry) or self.venue.kind == "angelone"  # its text says nothing about what was booked
        assert not emulator.book(at_work.emulated)

    def test_a_slow_answer_is_an_answer(self, emulator: Emulator, at_work: Station) -> None:
        emulator.fault(Fault.SLOW, account=at_work.emulated, seconds=0.2)
        assert at_work.place(at_work.limit(at_work.below)).state is OrderState.OPEN

    def test_a_failed_order_book_is_never_an_empty_one(self, emulator: Emulator, at_work: Station) -> None:
        at_work.place(at_work.limit(at_work.below))
        for _ in range(4):  # the update worker reads it too
            emulator.fault(Fault.BOOK_FAILS, account=at_work.emulated, times=50)
        with pytest.raises((TandemError, OSError)):
            at_work.broker.order_book()

    def test_abort_frees_a_call_that_hangs(self, emulator: Emulator) -> None:
        with self.another(emulator, replace(TIMING, read=10 * PATIENCE)) as at_work:
            self.abort_frees(emulator, at_work)

    def abort_frees(self, emulator: Emulator, at_work: Station) -> None:
        emulator.fault(Fault.BOOKED_NO_ANSWER, account=at_work.emulated, seconds=10 * PATIENCE)
        ended: list[BaseException] = []

        def hang() -> None:
            try:
                at_work.broker.place(at_work.limit(at_work.below), at_work.permit)
            except TandemError as error:
                ended.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        at_work.wait(lambda: at_work.placed() == 1)
        at_work.broker.abort()
        thread.join(PATIENCE)
        assert isinstance(ended[0], Unknown)

    # --- order updates ----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fault", [Fault.REPEATED_UPDATES, Fault.LATE_UPDATES, Fault.SHUFFLED_UPDATES, Fault.NO_UPDATES, Fault.EARLY_UPDATES]
    )
    def test_law_3_whatever_becomes_of_the_updates_the_fills_are_the_trades(
        self, emulator: Emulator, at_work: Station, fault: Fault
    ) -> None:
        emulator.fault(fault, account=at_work.emulated, times=20, seconds=0.05)
        broker_order_id = self.filled(at_work, at_work.request())
        assert at_work.fills(broker_order_id) == at_work.truth(broker_order_id)

    def test_a_cut_socket_loses_no_news(self, emulator: Emulator, at_work: Station) -> None:
        report = at_work.place(at_work.limit(at_work.below))
        emulator.cut_sockets(at_work.emulated)
        emulator.price(self.venue.symbol, at_work.below - self.venue.tick * 20)
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.FILLED))

    def test_a_frozen_socket_loses_no_news(self, emulator: Emulator, at_work: Station) -> None:
        report = at_work.place(at_work.limit(at_work.below))
        emulator.freeze_sockets(True, at_work.emulated)
        emulator.price(self.venue.symbol, at_work.below - self.venue.tick * 20)
        at_work.wait(lambda: at_work.told(report.broker_order_id, OrderState.FILLED))

    def test_an_order_from_the_brokers_own_app_is_not_taken_for_ours(self, emulator: Emulator, at_work: Station) -> None:
        request = at_work.limit(at_work.below)
        at_work.place(request)
        theirs = emulator.by_hand(at_work.emulated, self.venue.symbol, Side.BUY, self.venue.quantity, at_work.below)
        rows = [row for row in at_work.broker.order_book() if row.broker_order_id == theirs]
        assert all(row.client_id != request.client_id for row in rows)
        assert len(rows) == 1

    def test_closing_ends_its_threads(self, emulator: Emulator, station: Station) -> None:
        before = set(threading.enumerate())
        station = Station(self.venue, emulator, account_id="CLOSING").connect()
        assert set(threading.enumerate()) - before, "it has no thread of its own"
        station.close()
        station.wait(lambda: not [t.name for t in set(threading.enumerate()) - before if t.is_alive()])

    # --- secrets ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", [Fault.MALFORMED_JSON, Fault.SERVER_ERROR_HTML, Fault.BOOKED_THEN_RESET, Fault.RATE_LIMITED])
    def test_law_12_no_secret_in_what_is_said(self, emulator: Emulator, at_work: Station, fault: Fault) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            emulator.fault(fault, account=at_work.emulated)
            with pytest.raises(TandemError) as caught:
                at_work.place(at_work.limit(at_work.below))
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        said = stream.getvalue() + str(caught.value) + repr(caught.value) + repr(at_work.broker) + repr(caught.value.__cause__)
        for secret in at_work.emulated.canaries():
            assert secret not in said

    # --- helpers ----------------------------------------------------------------------------------------------------

    def spoilt(self, emulator: Emulator) -> dict[str, str]:
        """Credentials that the broker does not accept."""
        given = dict(emulator.add_account(**self.venue.options).credentials)
        for name in ("access_token", "pin", "api_key"):
            if name in given:
                given[name] = "9999" if name == "pin" else "wrong" + given[name][5:]
                break
        return given

    def filled(self, station: Station, request: OrderRequest) -> str:
        """Place an order that fills at once; its id at the broker when the fill has been told."""
        report = station.place(request)
        station.wait(lambda: station.told(report.broker_order_id, OrderState.FILLED))
        return report.broker_order_id

    def found(self, station: Station, request: OrderRequest) -> None:
        """The broker's book shows the order under our name, sooner or later."""
        deadline = SystemClock().monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Retry, Unknown):  # whoever is in haste may have to look again
                if station.look(request.client_id) is not None:
                    return
            assert SystemClock().monotonic() < deadline, "the order was booked and never shows up"
            threading.Event().wait(0.05)

    @contextmanager
    def another(self, emulator: Emulator, timing: Timing) -> Iterator[Station]:
        """An account with other patience than `at_work` has."""
        emulator.no_faults()
        emulator.price(self.venue.symbol, self.venue.price)
        station = Station(self.venue, emulator, timing=timing)
        try:
            yield station.connect()
        finally:
            station.close()
            emulator.no_faults()

    def owned(self, station: Station) -> list[tuple[str, Decimal]]:
        """Open positions, and for a spot account what it holds of the coin."""
        return [(p.symbol, p.quantity) for p in station.broker.positions() if p.quantity]


class _Nowhere:
    """An emulator whose accounts are real and whose address nobody answers at."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def __getattr__(self, name: str) -> object:
        return getattr(self._emulator, name)

    def endpoints(self) -> dict[str, str]:
        return {}


class _Poor:
    """An emulator whose next account has next to nothing."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def __getattr__(self, name: str) -> object:
        return getattr(self._emulator, name)

    def add_account(self, **options: object) -> object:
        return self._emulator.add_account(cash=Decimal(1), **options)  # type: ignore[arg-type]

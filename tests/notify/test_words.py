"""What is said: one row of the table of messages (docs/messages.md) after the other, as facts in and words out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engines.core.messages import Event, Message, Quiet, Tone
from engines.core.model import (
    DayBook,
    Halt,
    HaltScope,
    Incident,
    Order,
    OrderState,
    OrderType,
    Product,
    Role,
    Side,
    Signal,
    Source,
)
from engines.notify import notices, words
from engines.notify.quiet import expires_at, not_before
from engines.notify.words import AccountNews, OrderNews, SignalNews

D = Decimal
NOON = 1_800_000_000.0  # 15 January 2027, 13:30 in India
MAIN = AccountNews("Main", live=True, leverage=D(5), balance=D("1012345.5"))
DAD = AccountNews("Dad's", live=True)
PLAY = AccountNews("Play", live=False)
SIGNAL = Signal("K1", "sig-1", "U1", Source.STRATEGY, "NSE:INFY", Side.BUY, NOON, strategy_id="S1")


def order(state: OrderState, filled: str = "0", *, account: str = "A1", **fields: Any) -> Order:
    made = Order(
        f"O-{account}", account, "U1", "K1", "NSE:INFY", Side.BUY, D(50), OrderType.MARKET, Product.MIS, Role.ENTRY, NOON, NOON + 0.08
    )  # fmt: skip
    price = D("1520.05") if D(filled) else None
    sent = {"sent_at": NOON + 0.01, "acknowledged_at": NOON + 0.063}
    return replace(
        made, **{"state": state, "filled_quantity": D(filled), "average_price": price, "broker_order_id": "B7", **sent, **fields}
    )


def lines(message: Message) -> dict[str, str]:
    return {line.name: line.value for line in message.lines}


def said(state: OrderState, filled: str = "0", *, account: AccountNews = MAIN, **fields: Any) -> Message:
    return words.of_order(7, NOON, OrderNews(order(state, filled, **fields), account, "EMA Cross", "sig-1", "EQ", charges=D("12.34")))


# --- an order on one account -------------------------------------------------------------------------------------------


def test_a_filled_order_tells_everything_about_it() -> None:
    news = OrderNews(
        order(OrderState.FILLED, "50"), MAIN, "EMA Cross", "sig-1", "EQ", D("12.34"), stop=D("1505.00"), targets=(D("1540"), D("1560.5"))
    )
    message = words.of_order(7, NOON, news)
    assert (message.message_id, message.kind, message.event, message.tone) == (7, "order", Event.ORDERS, Tone.GOOD)
    assert (message.title, message.mode, message.thread) == ("BUY INFY · filled", "live", "K1")
    assert lines(message) == {
        "Account": "Main (live)",
        "Symbol": "NSE:INFY",
        "Side": "BUY · MIS",
        "Quantity": "50",
        "Entry price": "1,520.05",
        "Value": "₹76,002.50",
        "Leverage": "5×",
        "Stop": "1,505.00",
        "Targets": "1,540.00 · 1,560.50",
        "Charges": "₹12.34",
        "Balance": "₹10,12,345.50",
        "Strategy": "EMA Cross",
        "Answered in": "53.0 ms",
    }
    assert message.footer == "order O-A1 · broker B7 · signal sig-1"


@pytest.mark.parametrize(
    ("state", "filled", "title", "event", "tone", "plain"),
    [
        ("filled", "50", "BUY INFY · filled", Event.ORDERS, Tone.GOOD, ""),
        ("cancelled", "0", "BUY INFY · cancelled", Event.ORDERS, Tone.MUTED, "It was cancelled before"),
        ("cancelled", "20", "BUY INFY · partly filled, then cancelled", Event.ORDERS, Tone.WARN, "It was cancelled before"),
        ("expired", "0", "BUY INFY · expired", Event.ORDERS, Tone.MUTED, "Its time was over"),
        ("expired", "20", "BUY INFY · partly filled, then expired", Event.ORDERS, Tone.WARN, "Its time was over"),
        ("not_placed", "0", "BUY INFY · not placed", Event.ORDERS, Tone.WARN, "It never reached the broker"),
        ("rejected", "0", "BUY INFY · rejected", Event.REJECTIONS, Tone.BAD, "The broker refused it."),
        ("unknown", "0", "BUY INFY · unknown", Event.REJECTIONS, Tone.WARN, "No answer proves what became of it."),
    ],
)
def test_each_last_word_has_its_own(state: str, filled: str, title: str, event: Event, tone: Tone, plain: str) -> None:
    message = said(OrderState(state), filled)
    assert (message.title, message.event, message.tone) == (title, event, tone)
    assert plain in message.text
    assert message.text.startswith(f"{'50' if filled in ('0', '50') else '20 of 50'}{'' if filled == '0' else ' @ 1,520.05'} on Main.")
    assert lines(message)["Quantity"] == ("50" if filled == "50" else f"{filled} of 50")


@pytest.mark.parametrize(
    ("role", "title"),
    [
        (Role.STOP, "Stop: SELL INFY · filled"),
        (Role.TARGET, "Target: SELL INFY · filled"),
        (Role.EXIT, "Exit: SELL INFY · filled"),
        (Role.SQUARE_OFF, "Square-off: SELL INFY · filled"),
    ],
)
def test_an_exit_says_which_and_what_it_realised(role: Role, title: str) -> None:
    news = OrderNews(order(OrderState.FILLED, "50", role=role, side=Side.SELL), PLAY, realised=D("-752.5"), stop=D(1))
    message = words.of_order(7, NOON, news)
    assert (message.title, message.mode) == (title, "paper")
    assert lines(message)["Realised"] == "\u2212₹752.50"
    assert not {"Entry price", "Stop", "Leverage"} & lines(message).keys()


def test_a_refusal_carries_the_brokers_own_words_and_a_limit_its_price() -> None:
    message = said(OrderState.REJECTED, reason="RMS: margin exceeds", price=D("1500"), order_type=OrderType.LIMIT)
    assert (lines(message)["Reason"], lines(message)["Limit price"]) == ("RMS: margin exceeds", "1,500.00")
    assert not {"Value", "Charges", "Entry price"} & lines(message).keys()


@pytest.mark.parametrize(
    ("segment", "product", "told"),
    [
        ("EQ", Product.MIS, "5×"),
        ("FUT", Product.MIS, "5×"),
        ("PERP", Product.MIS, "5×"),
        ("PERP", Product.NRML, "5×"),  # Binance knows no products
        ("FUT", Product.NRML, None),
        ("EQ", Product.CNC, None),
        ("OPT", Product.MIS, None),
        ("SPOT", Product.MIS, None),
        ("", Product.MIS, None),  # nobody knows the instrument
    ],
)
def test_leverage_is_told_where_the_order_has_any(segment: str, product: Product, told: str | None) -> None:
    news = OrderNews(order(OrderState.FILLED, "50", product=product), MAIN, segment=segment)
    assert lines(words.of_order(7, NOON, news)).get("Leverage") == told
    even = replace(news, account=replace(MAIN, leverage=D(1)))
    assert "Leverage" not in lines(words.of_order(7, NOON, even))


def test_a_coin_has_its_places() -> None:
    coin = replace(order(OrderState.FILLED, "50", product=Product.CNC), symbol="BINANCE:DOGEUSDT", average_price=D("0.08123"))
    told = lines(words.of_order(7, NOON, OrderNews(coin, AccountNews("Coins", live=True, currency="USDT", leverage=D(10)))))
    assert (told["Entry price"], told["Value"]) == ("0.08123", "4.06 USDT")


@pytest.mark.parametrize("exchange", ["CDS", "BCD"])
def test_a_currency_is_told_to_the_tick(exchange: str) -> None:
    future = replace(order(OrderState.FILLED, "50"), symbol=f"{exchange}:USDINR26JANFUT", average_price=D("83.2575"))
    message = words.of_order(7, NOON, OrderNews(future, MAIN, stop=D("83.2525"), targets=(D("83.2675"), D("83.5"))))
    told = lines(message)
    assert (told["Entry price"], told["Stop"], told["Targets"]) == ("83.2575", "83.2525", "83.2675 · 83.50")
    assert "50 @ 83.2575 on Main" in message.text


@pytest.mark.parametrize(
    ("symbol", "tick", "told"),
    [
        ("NSE:IDEA", "0.01", ("7.25", "7.20", "7.30 · 7.50")),
        ("CDS:USDINR26JANFUT", "0.0025", ("7.2500", "7.2000", "7.3000 · 7.5000")),
        ("BINANCE:DOGEUSDT", "0.00001", ("7.25000", "7.20000", "7.30000 · 7.50000")),
        ("MCX:GOLDM26FEBFUT", "1", ("7.25", "7.20", "7.30 · 7.50")),
    ],
)
def test_prices_have_the_places_of_the_instruments_tick_as_on_pages(symbol: str, tick: str, told: tuple[str, str, str]) -> None:
    filled = replace(order(OrderState.FILLED, "50"), symbol=symbol, average_price=D("7.25"))
    news = OrderNews(filled, MAIN, stop=D("7.2"), targets=(D("7.3"), D("7.5")), tick=D(tick))
    message = words.of_order(7, NOON, news)
    assert tuple(lines(message)[name] for name in ("Entry price", "Stop", "Targets")) == told
    assert f"50 @ {told[0]} on Main" in message.text
    limit = replace(order(OrderState.CANCELLED), symbol=symbol, order_type=OrderType.LIMIT, price=D("7.25"))
    assert lines(words.of_order(7, NOON, OrderNews(limit, MAIN, tick=D(tick))))["Limit price"] == told[0]
    whole = words.of_signal(8, NOON, SignalNews(replace(SIGNAL, symbol=symbol), (filled,), {"A1": MAIN}, tick=D(tick)))
    assert lines(whole)["Filled (1)"] == f"Main 50 @ {told[0]}"


# --- a signal ------------------------------------------------------------------------------------------------------------


def summary(*orders: Order, **accounts: AccountNews) -> Message:
    known = {"A1": MAIN, "A2": DAD, "A3": replace(MAIN, name="Mum's"), "A4": replace(MAIN, name="Desk"), **accounts}
    return words.of_signal(8, NOON, SignalNews(SIGNAL, orders, known, "EMA Cross"))


def test_the_summary_of_a_signal_says_how_many_who_and_why_not() -> None:
    message = summary(
        order(OrderState.FILLED, "50"),
        order(OrderState.FILLED, "50", account="A2", acknowledged_at=NOON + 0.2),
        order(OrderState.REJECTED, account="A3", reason="RMS: margin exceeds"),
        order(OrderState.DENIED, account="A4", reason="daily_loss"),
        order(OrderState.DENIED, account="A5", reason="daily_loss"),
        order(OrderState.UNKNOWN, account="A6", reason="the broker did not answer"),
        order(OrderState.CANCELLED, "20", account="A7"),
        A5=replace(MAIN, name="Pool"),
        A6=replace(MAIN, name="Uncle"),
        A7=replace(MAIN, name="Vault"),
    )
    assert (message.kind, message.event, message.title) == ("signal", Event.SUMMARIES, "INFY BUY · 2/7 filled")
    assert message.text == "2 filled, 1 partly filled, 1 unknown, 1 rejected, 2 not sent"
    assert (message.tone, message.thread, message.mode, message.footer) == (Tone.WARN, "K1", "live", "signal sig-1")
    told = lines(message)
    assert told["Filled (2)"] == "Dad's 50 @ 1,520.05, Main 50 @ 1,520.05"
    assert told["Partly filled (1)"] == "Vault 20 of 50 @ 1,520.05"
    assert told["Unknown (1)"] == "Uncle: the broker did not answer"
    assert told["Rejected (1)"] == "Mum's: RMS: margin exceeds"
    assert told["Not sent (2)"] == "Desk, Pool: A loss limit of the day is used up: the account's own or a combined one."
    assert told["Value"] == "₹1,82,406.00"
    assert told["Slowest answer"] == "200 ms (Dad's)"
    assert told["From"] == "EMA Cross"


@pytest.mark.parametrize(
    ("states", "title", "tone"),
    [
        (["filled", "filled"], "INFY BUY · 2/2 filled", Tone.GOOD),
        (["filled", "denied"], "INFY BUY · 1/2 filled", Tone.INFO),
        (["filled", "rejected"], "INFY BUY · 1/2 filled", Tone.WARN),
        (["filled", "unknown"], "INFY BUY · 1/2 filled", Tone.WARN),
        (["rejected", "denied"], "INFY BUY · 0/2 filled", Tone.BAD),
        (["denied", "denied"], "INFY BUY · 0/2 filled", Tone.MUTED),
        (["open", "open"], "INFY BUY · 0/2 filled", Tone.INFO),
        ([], "INFY BUY · no account", Tone.MUTED),
    ],
)
def test_the_colour_of_a_summary(states: list[str], title: str, tone: Tone) -> None:
    orders = [order(OrderState(state), "50" if state == "filled" else "0", account=f"A{n + 1}") for n, state in enumerate(states)]
    message = summary(*orders)
    assert (message.title, message.tone) == (title, tone)


def test_slices_of_one_account_count_as_one_and_many_names_are_cut() -> None:
    slices = [order(OrderState.FILLED, "50", account="A1"), replace(order(OrderState.FILLED, "50"), order_id="O2")]
    assert lines(summary(*slices))["Filled (1)"] == "Main 100 @ 1,520.05"
    assert summary(slices[0], replace(slices[1], state=OrderState.UNKNOWN)).title == "INFY BUY · 0/1 filled"
    many = [order(OrderState.DENIED, account=f"X{n}", reason="kill_switch") for n in range(20)]
    names = {f"X{n}": replace(MAIN, name=f"N{n:02}") for n in range(20)}
    assert lines(summary(*many, **names))["Not sent (20)"].startswith("N00, N01")
    assert "N11 and 8 more: The kill switch of this account is on." in lines(summary(*many, **names))["Not sent (20)"]


def test_paper_and_live_stay_apart_in_a_summary() -> None:
    message = summary(order(OrderState.FILLED, "50"), order(OrderState.FILLED, "50", account="A2"), A2=PLAY)
    assert (message.mode, lines(message)["Filled (2)"]) == ("", "Main (live) 50 @ 1,520.05, Play (paper) 50 @ 1,520.05")


# --- the day, stops, trouble, people --------------------------------------------------------------------------------------


def test_the_day_of_a_person_keeps_paper_and_live_apart() -> None:
    live = DayBook(
        "A1", "2027-01-15", D(1500), D(100), D(-50), trades=3, wins=2, losses=1, best=D(900), worst=D(-200), rejected=1, open_positions=1
    )
    paper = DayBook("A2", "2027-01-15", D(-800), D(20), trades=2, losses=2, best=D(-300), worst=D(-500), denied=4)
    message = notices.of_day(9, NOON, "2027-01-15", [(PLAY, paper), (MAIN, live)])
    assert (message.kind, message.event, message.title, message.tone, message.mode) == (
        "day",
        Event.DAY,
        "15 Jan: +₹1,350.00 live",
        Tone.GOOD,
        "",
    )
    told = lines(message)
    assert (told["Live, INR: P&L"], told["Paper, INR: P&L"]) == ("+₹1,350.00", "\u2212₹820.00")
    assert (told["Live, INR: Entries sent"], told["Live, INR: Round trips closed"]) == ("3", "2 won, 1 lost")
    assert (told["Live, INR: Best"], told["Live, INR: Worst"]) == (
        "+₹900.00",
        "\u2212₹200.00",
    )
    assert (told["Live, INR: Still open"], told["Paper, INR: Refused"]) == ("1 · \u2212₹50.00", "4 denied")
    assert told["Accounts"] == "Main (live): +₹1,350.00\nPlay (paper): \u2212₹820.00"
    assert lines(notices.of_day(9, NOON, "2027-01-15", [(PLAY, paper)]))["P&L"] == "\u2212₹820.00"


HALT = Halt("H1", HaltScope.SYSTEM, None, "something is wrong", NOON, "U1")


@pytest.mark.parametrize("scope", HaltScope)
@pytest.mark.parametrize(
    ("flatten", "does"),
    [(True, "Open orders are being cancelled and positions closed"), (False, "Such orders are being cancelled, positions stay")],
)
def test_a_stop_says_what_is_being_done_not_what_no_broker_has_said(scope: HaltScope, flatten: bool, does: str) -> None:
    text = notices.of_halt(1, NOON, replace(HALT, scope=scope, flatten=flatten), lifted=False).text
    assert text == f"No order that opens or adds leaves until a person lifts it. {does}; each order tells what became of it."


INCIDENT = Incident("I1", "needs_login", "Main: the session is over", "critical", NOON, "U1", "A1")


@pytest.mark.parametrize(
    ("message", "kind", "event", "title", "tone"),
    [
        (notices.of_halt(1, NOON, HALT, lifted=False), "halt", Event.HALTS, "Stopped: the whole system", Tone.BAD),
        (notices.of_halt(1, NOON, replace(HALT, scope=HaltScope.ACCOUNT), lifted=True, name="Main"), "lift", Event.HALTS, "Lifted: account Main", Tone.GOOD),
        (notices.of_halt(1, NOON, HALT, lifted=True, held=notices.Held(everybody=True)), "lift", Event.HALTS, "Lifted: the whole system", Tone.GOOD),
        (notices.of_kill(1, NOON, MAIN, on=True, reason="enough"), "kill", Event.HALTS, "Kill switch on: Main", Tone.BAD),
        (notices.of_kill(1, NOON, MAIN, on=False, reason=""), "kill", Event.HALTS, "Kill switch off: Main", Tone.GOOD),
        (notices.of_engines(1, NOON, on=False, everybody=True), "engines", Event.HALTS, "Engines of the whole system are off", Tone.WARN),
        (notices.of_incident(1, NOON, INCIDENT, MAIN), "needs_login", Event.LOGINS, "Log-in needed", Tone.BAD),
        (notices.of_incident(1, NOON, INCIDENT, MAIN, over=True), "needs_login_over", Event.LOGINS, "Signed in again", Tone.GOOD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="limit_warning", severity="warning"), MAIN), "limit_warning", Event.LIMITS, "80 % of a day limit is used", Tone.WARN),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="limit_reached"), MAIN), "limit_reached", Event.LIMITS, "A day limit is reached", Tone.BAD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="combined_left"), None), "combined_left", Event.LIMITS, "A combined P&L rule was left", Tone.BAD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="feed_silent"), None), "feed_silent", Event.FEED, "No prices", Tone.BAD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="prices_zerodha"), None, over=True), "prices_zerodha_over", Event.FEED, "A broker's prices are back", Tone.GOOD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="position_differs"), MAIN), "position_differs", Event.DIFFERENCES, "Our books and the broker's differ", Tone.BAD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="strategy_quarantined"), None), "strategy_quarantined", Event.TROUBLE, "A strategy was taken out", Tone.BAD),
        (notices.of_incident(1, NOON, replace(INCIDENT, kind="brand_new"), None), "brand_new", Event.TROUBLE, "Brand new", Tone.BAD),
        (notices.of_people(1, NOON, "strategy_shared", {"name": "EMA", "by": "Priya"}), "strategy_shared", Event.PEOPLE, "EMA is shared with you", Tone.INFO),
        (notices.of_people(1, NOON, "auto_trade_off", {"why": "You may only look."}), "auto_trade_off", Event.PEOPLE, "Auto-trade of your accounts is off", Tone.WARN),
        (notices.of_people(1, NOON, "consent_over", {"holder": "Meera"}), "consent_over", Event.PEOPLE, "The consent of Meera has run out", Tone.WARN),
        (notices.of_people(1, NOON, "new_sign_in", {"ip": "10.0.0.9"}), "new_sign_in", Event.PEOPLE, "Signed in from a new address", Tone.WARN),
        (notices.of_people(1, NOON, "something_else", {"text": "As it is."}), "something_else", Event.PEOPLE, "Something else", Tone.INFO),
        (notices.of_test(1, NOON, "Desk channel"), "test", None, "It works", Tone.INFO),
    ],
)  # fmt: skip
def test_everything_else_has_its_words(message: Message, kind: str, event: Event | None, title: str, tone: Tone) -> None:
    assert (message.kind, message.event, message.title, message.tone) == (kind, event, title, tone)
    assert "{" not in message.title + message.text + message.footer


def test_what_a_share_says_to_each_side() -> None:
    mine = notices.of_people(1, NOON, "strategy_shared", {"name": "EMA", "by": "Priya"})
    hers = notices.of_people(1, NOON, "strategy_shared", {"name": "EMA", "to": "Ravi"})
    assert mine.text == "Priya lets you map it to your own accounts."
    assert (hers.title, hers.text) == ("EMA is shared with Ravi", "Its owner lets Ravi map it to their own accounts.")
    looks = [
        notices.of_people(1, NOON, kind, {"name": "EMA", "by": "Priya", "role": "viewer"})
        for kind in ("strategy_shared", "strategy_unshared")
    ]
    assert [each.kind for each in looks] == ["strategy_shared", "strategy_unshared"]
    assert "lets you look at it" in looks[0].text
    assert not any(word in each.text for each in looks for word in ("map", "accounts", "Positions")), "whoever looks on has none"


# --- when --------------------------------------------------------------------------------------------------------------

NIGHT = Quiet("22:00", "07:00")
HOUR = 3600.0


@pytest.mark.parametrize(
    ("clock", "quiet", "event", "waits"),
    [
        ("13:30", NIGHT, Event.ORDERS, 0),
        ("22:00", NIGHT, Event.ORDERS, 9),
        ("23:30", NIGHT, Event.ORDERS, 7.5),
        ("03:00", NIGHT, Event.ORDERS, 4),
        ("07:00", NIGHT, Event.ORDERS, 0),
        ("03:00", NIGHT, Event.HALTS, 0),
        ("03:00", replace(NIGHT, strict=True), Event.HALTS, 4),
        ("03:00", NIGHT, None, 0),
        ("13:30", Quiet("13:00", "14:00"), Event.DAY, 0.5),
        ("13:30", Quiet("13:00", "14:00", "Europe/London"), Event.DAY, 0),
        ("13:30", None, Event.DAY, 0),
    ],
)
def test_quiet_hours(clock: str, quiet: Quiet | None, event: Event | None, waits: float) -> None:
    hours, minutes = map(int, clock.split(":"))
    now = NOON + (hours - 13) * HOUR + (minutes - 30) * 60
    assert not_before(event, quiet, now) - now == waits * HOUR


def test_how_long_a_message_is_worth_sending() -> None:
    lives = {event: expires_at(event, NOON) - NOON for event in (Event.ORDERS, Event.SUMMARIES, Event.DAY, Event.HALTS)}
    assert lives == {Event.ORDERS: 6 * HOUR, Event.SUMMARIES: 24 * HOUR, Event.DAY: 24 * HOUR, Event.HALTS: 72 * HOUR}


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (notices.Held(), "Free."),
        (notices.Held(everybody=True), "Free. Where a person's own stop holds, it still does."),
        (notices.Held(engines=True), "No entry leaves yet: your engines are off until you press Start."),
        (notices.Held(all_engines=True, everybody=True), "No entry leaves yet: the engines of the whole system are off until an owner presses Start."),
        (
            notices.Held(frozenset({HaltScope.USER, HaltScope.SYSTEM}), killed=True),
            "No entry leaves yet: the stop of the whole system still holds, the stop of all your accounts still holds, the kill switch of the account is on.",
        ),
    ],
)  # fmt: skip
def test_what_still_holds_is_said_when_something_is_lifted(held: notices.Held, says: str) -> None:
    assert held.says("Free.") == says

"""What the emulated SmartAPI answers to reads that are not the order book: money, positions, holdings, prices, candles, search.

Functions of the emulator and one request; none of them changes anything.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from tests.emulators.core.exchange import EmulatedAccount, Quote
from tests.emulators.core.http import Answer, Call
from tests.emulators.smartapi import answers, rows
from tests.emulators.smartapi.answers import number
from tests.emulators.smartapi.listing import Scrip

if TYPE_CHECKING:
    from tests.emulators.smartapi.emulator import SmartApiEmulator

IST = timezone(timedelta(seconds=answers.IST_SECONDS))
MOST_TOKENS = 50
MINUTES = {
    "ONE_MINUTE": 1,
    "THREE_MINUTE": 3,
    "FIVE_MINUTE": 5,
    "TEN_MINUTE": 10,
    "FIFTEEN_MINUTE": 15,
    "THIRTY_MINUTE": 30,
    "ONE_HOUR": 60,
    "ONE_DAY": 1440,
}
MOST_CANDLES = 8000


def funds(emulator: SmartApiEmulator, call: Call) -> Answer:
    account, exchange = call.account, emulator.exchange
    used = exchange.used_margin(account) + exchange.blocked(account)
    return _ok(answers.funds(account.cash - account.fees, used, exchange.unrealised(account), exchange.realised(account)))


def positions(emulator: SmartApiEmulator, call: Call) -> Answer:
    made = [
        rows.position(book, emulator.scrips.of(symbol), emulator.exchange.quotes[symbol].last)
        for (symbol, _), book in call.account.positions.items()
    ]
    return _ok(made or None)


def holdings(emulator: SmartApiEmulator, call: Call) -> Answer:
    return _ok(_held(emulator, call.account))


def all_holdings(emulator: SmartApiEmulator, call: Call) -> Answer:
    made = _held(emulator, call.account)
    worth = sum(x["ltp"] * x["quantity"] for x in made)
    spent = sum(x["averageprice"] * x["quantity"] for x in made)
    total = {
        "totalholdingvalue": round(worth),
        "totalinvvalue": round(spent),
        "totalprofitandloss": round(worth - spent, 2),
        "totalpnlpercentage": round((worth - spent) / spent * 100, 2) if spent else 0.0,
    }
    return _ok({"holdings": made, "totalholding": total})


def last_price(emulator: SmartApiEmulator, call: Call) -> Answer:
    given = call.json or {}
    scrip = emulator.scrips.by_token(str(given.get("exchange")), str(given.get("symboltoken")))
    if scrip is None:
        return Answer(answers.failure("AB1009"))
    quote = emulator.exchange.quotes[scrip.instrument.symbol]
    named = {"exchange": scrip.exchange, "tradingsymbol": scrip.symbol, "symboltoken": scrip.token}
    return _ok({**named, **_ohlc(quote), "ltp": number(quote.last)})


def search(emulator: SmartApiEmulator, call: Call) -> Answer:
    given = call.json or {}
    found = emulator.scrips.search(str(given.get("exchange")), str(given.get("searchscrip")))
    return _ok([{"exchange": x.exchange, "tradingsymbol": x.symbol, "symboltoken": x.token} for x in found])


def quotes(emulator: SmartApiEmulator, call: Call) -> Answer:
    given = call.json or {}
    asked = [(exchange, str(token)) for exchange, tokens in (given.get("exchangeTokens") or {}).items() for token in tokens]
    if len(asked) > MOST_TOKENS:
        return Answer(answers.failure("AB2001", "Tokens Length Cannot Be More Than 50"))
    fetched: list[dict[str, Any]] = []
    unfetched: list[dict[str, Any]] = []
    for exchange, token in asked:
        scrip = emulator.scrips.by_token(exchange, token)
        if scrip is None:
            code = "AB1009" if token else "AB4018"
            unfetched.append({"exchange": exchange, "symbolToken": token, "message": answers.WORDS[code], "errorCode": code})
        else:
            fetched.append(_quote(scrip, emulator.exchange.quotes[scrip.instrument.symbol], str(given.get("mode", "LTP"))))
    data = {"fetched": fetched, "unfetched": unfetched}
    # With something missing, the gateway's envelope.
    return Answer({"success": True, "message": "SUCCESS", "errorCode": "", "data": data}) if unfetched else _ok(data)


def candles(emulator: SmartApiEmulator, call: Call) -> Answer:
    """Made up, but the same at every asking: they walk from the day's close with the instrument's token as seed."""
    given = call.json or {}
    scrip = emulator.scrips.by_token(str(given.get("exchange")), str(given.get("symboltoken")))
    minutes = MINUTES.get(str(given.get("interval")))
    if scrip is None or minutes is None:
        return Answer(answers.failure("AB1009" if scrip is None else "AB2001"))
    at, until = (datetime.strptime(str(given[x]), "%Y-%m-%d %H:%M").replace(tzinfo=IST) for x in ("fromdate", "todate"))
    price, made = emulator.exchange.quotes[scrip.instrument.symbol].close, []
    while at <= until and len(made) < MOST_CANDLES:
        minute_of_day = at.hour * 60 + at.minute
        if at.weekday() < 5 and (minutes == 1440 or 555 <= minute_of_day < 930):
            made.append(_candle(scrip, price, at))
        at += timedelta(minutes=minutes)
    return _ok(made)


def margin(emulator: SmartApiEmulator, call: Call) -> Answer:
    needed = Decimal(0)
    for position in (call.json or {}).get("positions", []):
        scrip = emulator.scrips.by_token(str(position.get("exchange")), str(position.get("token")))
        if scrip is not None:
            needed += Decimal(str(position.get("qty", 0))) * emulator.exchange.quotes[scrip.instrument.symbol].last / 5
    parts = dict.fromkeys(("netPremium", "spanMargin", "marginBenefit", "deliveryMargin", "nonNFOMargin", "totOptionsPremium"), 0)
    return _ok({"totalMarginRequired": round(number(needed), 2), "marginComponents": parts})


def _held(emulator: SmartApiEmulator, account: EmulatedAccount) -> list[dict[str, Any]]:
    return [rows.holding(x, emulator.scrips.of(symbol), emulator.exchange.quotes[symbol].last) for symbol, x in account.holdings.items()]


def _quote(scrip: Scrip, quote: Quote, mode: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "exchange": scrip.exchange,
        "tradingSymbol": scrip.symbol,
        "symbolToken": scrip.token,
        "ltp": number(quote.last),
    }
    if mode == "LTP":
        return made
    made |= _ohlc(quote)
    if mode == "OHLC":
        return made
    change, stamp = quote.last - quote.close, datetime.fromtimestamp(quote.at, UTC).astimezone(IST).strftime("%d-%b-%Y %H:%M:%S")
    return made | {
        "lastTradeQty": 1,
        "exchFeedTime": stamp,
        "exchTradeTime": stamp,
        "netChange": number(change),
        "percentChange": round(number(change / quote.close * 100), 2),
        "avgPrice": number(quote.last),
        "tradeVolume": quote.volume,
        "opnInterest": 0,
        "lowerCircuit": round(number(quote.close * Decimal("0.8")), 2),
        "upperCircuit": round(number(quote.close * Decimal("1.2")), 2),
        "totBuyQuan": 5000,
        "totSellQuan": 5000,
        "52WeekLow": round(number(quote.close * Decimal("0.6")), 2),
        "52WeekHigh": round(number(quote.close * Decimal("1.4")), 2),
        "depth": {"buy": _depth(quote, quote.bid, -1), "sell": _depth(quote, quote.ask, 1)},
    }


def _ohlc(quote: Quote) -> dict[str, float]:
    return {"open": number(quote.open), "high": number(quote.high), "low": number(quote.low), "close": number(quote.close)}


def _depth(quote: Quote, best: Decimal, away: int) -> list[dict[str, Any]]:
    size = quote.instrument.tick_size
    return [{"price": number(best + away * n * size), "quantity": 500 + 10 * n, "orders": 2 + n} for n in range(5)]


def _candle(scrip: Scrip, price: Decimal, at: datetime) -> list[Any]:
    rng = Random(f"{scrip.token} {at.isoformat()}")
    first, last = (number(price) * (1 + rng.uniform(-0.01, 0.01)) for _ in range(2))
    high, low = max(first, last) * 1.001, min(first, last) * 0.999
    return [at.isoformat(), *(round(x, 2) for x in (first, high, low, last)), rng.randint(100, 100_000)]


def _ok(data: Any) -> Answer:
    return Answer(answers.success(data))

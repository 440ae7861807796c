"""What the brokers' frames say: checked against the packets of their own documentation, their own clients' parsers, and any bytes at all."""

from __future__ import annotations

import base64
import json
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.brokers.tools import BinanceEndpoints, KiteEndpoints, SmartApiEndpoints
from engines.core.model import Tick
from engines.market.streams.binance import BinanceStream
from engines.market.streams.book import Book, Row
from engines.market.streams.kite import KiteStream, read_frame
from engines.market.streams.smartapi import SmartApiStream, read_packet
from engines.ports import Listing, StreamKey

SHARED = Path(__file__).resolve().parents[3] / "shared" / "brokers"
NOW = 1_735_201_500.0
INFY = Listing("NSE:INFY", "zerodha", "408065", "NSE", "INFY")
NIFTY = Listing("NSE:NIFTY 50", "zerodha", "256265", "NSE", "NIFTY 50")
USDINR = Listing("CDS:USDINR26AUGFUT", "zerodha", str(1010 * 256 + 3), "CDS", "USDINR26AUGFUT")
ANGEL = Listing("NSE:INFY", "angelone", "1594", "NSE", "INFY-EQ")
BTC = Listing("BINANCE:BTCUSDT", "binance_spot", "BTCUSDT", "BINANCE", "BTCUSDT")
KITE_KEY = StreamKey("A1", {"api_key": "key 1", "access_token": "CANARY+token"})
ANGEL_KEY = StreamKey("A2", {"api_key": "k", "client_code": "C1", "feed_token": "CANARY-feed", "jwt": "Bearer CANARY-jwt"})


def kite(*listings: Listing) -> tuple[KiteStream, Book]:
    dialect, book = KiteStream(KiteEndpoints()), Book()
    for listing in listings or (INFY, NIFTY, USDINR):
        dialect.enter(book, listing)
    return dialect, book


def frame(*packets: bytes) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def full(
    token: int = 408065, last: int = 157315, volume: int = 1000, traded: int = int(NOW) - 2, bid: int = 157310, ask: int = 157320
) -> bytes:
    head = struct.pack(">16I", token, last, 5, 157000, volume, 10, 20, 156000, 158000, 155000, 156500, traded, 7, 8, 6, int(NOW) - 1)
    bids = b"".join(struct.pack(">IIHxx", 10, bid - step * 5, 1) for step in range(5))
    asks = b"".join(struct.pack(">IIHxx", 10, ask + step * 5, 1) for step in range(5))
    return head + bids + asks


# --- Kite --------------------------------------------------------------------------------------------------------------


def test_a_full_packet_tells_last_bid_ask_and_when_it_traded() -> None:
    dialect, book = kite()
    assert dialect.decode(frame(full()), book, NOW) == [Tick("NSE:INFY", 1573.15, 1573.10, 1573.20, NOW - 2, 0.0)]
    assert dialect.decode(frame(full(volume=1025)), book, NOW)[0].volume == 25, "what is new since the tick before"
    assert dialect.decode(frame(full(volume=1025)), book, NOW)[0].volume == 0
    assert dialect.decode(frame(full(volume=3)), book, NOW)[0].volume == 0, "a new day begins at nothing"


def test_frames_of_any_mixture_are_read_in_order() -> None:
    dialect, book = kite()
    index = struct.pack(">8I", 256265, 2450005, 1, 1, 1, 1, 1, int(NOW) - 3)
    currency = struct.pack(">II", 1010 * 256 + 3, 834_500_000)
    quote = struct.pack(">11I", 408065, 157400, 1, 1, 1001, 1, 1, 1, 1, 1, 1)
    ticks = dialect.decode(frame(full(), index, index[:28], currency, quote), book, NOW)
    assert ticks == [
        Tick("NSE:INFY", 1573.15, 1573.10, 1573.20, NOW - 2, 0.0),
        Tick("NSE:NIFTY 50", 24500.05, 24500.05, 24500.05, NOW - 3, 0.0),
        Tick("NSE:NIFTY 50", 24500.05, 24500.05, 24500.05, NOW, 0.0),
        Tick("CDS:USDINR26AUGFUT", 83.45, 83.45, 83.45, NOW, 0.0),
        Tick("NSE:INFY", 1574.0, 1574.0, 1574.0, NOW, 1.0),
    ]
    assert book.errors == 0


@pytest.mark.parametrize("odd", [0, 1, 3, 6])
def test_long_rows_of_full_packets_are_read_around_anything_else(odd: int) -> None:
    dialect, book = kite(*[Listing(f"S{n}", "zerodha", str(n * 256 + 1), "NSE", "x") for n in range(6)], NIFTY)
    packets = [full(token=n * 256 + 1, last=1000 + n) for n in range(6)]
    packets.insert(odd, struct.pack(">8I", 256265, 2450005, 1, 1, 1, 1, 1, int(NOW)))
    told = dialect.decode(frame(*packets), book, NOW)
    names = [f"S{n}" for n in range(6)]
    names.insert(odd, "NSE:NIFTY 50")
    assert [tick.symbol for tick in told] == names
    assert book.errors == book.strays == 0


def test_the_documented_packet_reads_as_documented() -> None:
    if not SHARED.is_dir():
        pytest.skip("the documented packets are not here")
    packet = base64.b64decode((SHARED / "kite-mocks" / "ticker_quote.packet").read_text())
    told = json.loads((SHARED / "kite-mocks" / "ticker_quote.json").read_text())
    dialect, book = kite()
    (tick,) = dialect.decode(frame(packet), book, NOW)
    assert (tick.symbol, tick.last_price) == ("NSE:INFY", told["last_price"])
    assert next(iter(read_frame(frame(packet), book)))[2] == told["volume"]


@pytest.mark.parametrize("stamp", [0, 2**32 - 1])
def test_a_stamp_that_is_none_or_lies_ahead_is_not_believed(stamp: int) -> None:
    dialect, book = kite()
    assert dialect.decode(frame(full(traded=stamp)), book, NOW)[0].at == NOW - 1, "the exchange's own stamp instead"
    assert book.ticks([Row(408065, 1, 1, stamp, stamp, 1, 1)], NOW)[0].at == NOW


@pytest.mark.parametrize(
    ("bad", "ticks", "errors"),
    [
        (b"", 0, 1),
        (b"\x00", 0, 0),  # a heartbeat
        (b"\x00\x01", 0, 1),
        (frame(full())[:-1], 0, 1),
        (frame(full()) + b"x", 1, 1),
        (frame(full(), b"odd"), 1, 1),
        (struct.pack(">H", 3) + frame(full())[2:], 1, 1),
        (struct.pack(">H", 0) + b"more", 0, 1),
    ],
)
def test_what_is_not_a_whole_frame_is_counted(bad: bytes, ticks: int, errors: int) -> None:
    dialect, book = kite()
    assert len(dialect.decode(bad, book, NOW)) == ticks
    assert book.errors == errors


def test_packets_nobody_asked_for_are_counted_and_passed_over() -> None:
    dialect, book = kite(NIFTY)
    assert dialect.decode(frame(full()), book, NOW) == []
    assert (book.strays, book.errors) == (1, 0)
    dialect.enter(book, INFY)
    assert len(dialect.decode(frame(full()), book, NOW)) == 1
    dialect.leave(book, INFY)
    assert dialect.decode(frame(full()), book, NOW) == []


def test_words_of_kite(recwarn: pytest.WarningsRecorder) -> None:
    dialect, book = kite()
    for text in ('{"type":"order","data":{}}', '{"type":"instruments_meta"}', '{"type":"message","data":"hello"}'):
        assert dialect.decode(text, book, NOW) == []
    assert (book.notice, book.errors) == ("", 0)
    dialect.decode('{"type":"error","data":"Invalid token"}', book, NOW)
    dialect.decode("not json", book, NOW)
    assert (book.notice, book.errors) == ("Invalid token", 1)


def test_kite_is_asked_for_full_packets_in_portions() -> None:
    dialect, _ = kite()
    listings = [Listing(f"NSE:S{n}", "zerodha", str(n * 256 + 1), "NSE", f"S{n}") for n in range(1200)]
    messages = [json.loads(text) for text in dialect.subscribe(listings, "")]
    assert [message["a"] for message in messages] == ["subscribe", "mode"] * 3
    assert [token for message in messages[::2] for token in message["v"]] == [n * 256 + 1 for n in range(1200)]
    assert all(message["v"] == ["full", before["v"]] for before, message in zip(messages[::2], messages[1::2], strict=True))
    assert [json.loads(text) for text in dialect.unsubscribe(listings[:2], "")] == [{"a": "unsubscribe", "v": [1, 257]}]


def test_kite_signs_in_by_its_address_and_shows_it_to_nobody() -> None:
    dialect, _ = kite()
    target = dialect.target(KITE_KEY, "")
    assert target.url == "wss://ws.kite.trade?api_key=key+1&access_token=CANARY%2Btoken"
    assert "CANARY" not in f"{target!r}{KITE_KEY!r}"
    assert dialect.usable(KITE_KEY)
    assert not dialect.usable(None)
    assert not dialect.usable(ANGEL_KEY)


def read_by(client: str, messages: Sequence[bytes]) -> Any:
    """What the broker's own client reads, in a process of its own: importing it starts things that a test suite must not have."""
    code = {
        "kite": "from kiteconnect import KiteTicker; read = KiteTicker('k', 't')._parse_binary",
        "angel": "import os, tempfile; os.chdir(tempfile.mkdtemp()); from SmartApi.smartWebSocketV2 import SmartWebSocketV2;"
        "read = SmartWebSocketV2('a', 'k', 'c', 'f')._parse_binary_data",
    }[client]
    code += "\nimport json, sys\nprint(json.dumps([read(bytes.fromhex(line.strip())) for line in sys.stdin], default=lambda at: at.timestamp()))"
    fed = "\n".join(message.hex() for message in messages)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], input=fed, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_kites_own_client_reads_the_same() -> None:
    rng = random.Random(5)
    tokens = [rng.randrange(1, 2**20) * 256 + segment for segment in (1, 2, 3, 4, 5, 6, 7, 9, 12) for _ in range(4)]
    dialect, book = kite(*[Listing(str(token), "zerodha", str(token), "X", "x") for token in tokens])
    frames = []
    for size in (184, 184, 184, 32, 28, 44, 8, 0):
        sizes = [size or rng.choice((8, 28, 32, 44, 184)) for _ in tokens]
        packets = [token.to_bytes(4, "big") + rng.randbytes(length - 4) for token, length in zip(tokens, sizes, strict=True)]
        frames.append(frame(*packets))
    theirs = read_by("kite", frames)
    for sent, told in zip(frames, theirs, strict=True):
        ours = dialect.decode(sent, book, 2.0**33)
        assert [tick.symbol for tick in ours] == [str(row["instrument_token"]) for row in told]
        for tick, row in zip(ours, told, strict=True):
            assert tick.last_price == row["last_price"]
            if "depth" in row:
                assert (tick.bid, tick.ask) == (row["depth"]["buy"][0]["price"], row["depth"]["sell"][0]["price"])
                assert tick.at == row["last_trade_time"]
            elif "exchange_timestamp" in row:
                assert tick.at == row["exchange_timestamp"]
    assert book.errors == book.strays == 0


# --- Angel One ---------------------------------------------------------------------------------------------------------


def angel(*listings: Listing) -> tuple[SmartApiStream, Book]:
    dialect, book = SmartApiStream(SmartApiEndpoints()), Book()
    for listing in listings or (ANGEL,):
        dialect.enter(book, listing)
    return dialect, book


def snap(last: int = 190735, volume: int = 50, traded: int = int(NOW) - 2, exchange: int = 1, token: bytes = b"1594") -> bytes:
    head = struct.pack(
        "<BB25sqqqqqqddqqqqqqd", 3, exchange, token, 9, int(NOW * 1000) - 500, last, 1, 1, volume, 1, 1, 1, 1, 1, 1, traded, 1, 0
    )
    best = b"".join(struct.pack("<HqqH", 1, 10, last - 5 - step, 1) for step in range(5))
    best += b"".join(struct.pack("<HqqH", 0, 10, last + 5 + step, 1) for step in range(5))
    return head + best + struct.pack("<qqqq", 1, 1, 1, 1)


def test_a_snap_quote_tells_last_bid_ask_and_when_it_traded() -> None:
    dialect, book = angel()
    assert dialect.decode(snap(), book, NOW) == [Tick("NSE:INFY", 1907.35, 1907.30, 1907.40, NOW - 2, 0.0)]
    assert dialect.decode(snap(volume=57), book, NOW)[0].volume == 7
    assert dialect.decode(snap(traded=0), book, NOW)[0].at == NOW - 0.5
    assert dialect.decode(snap(traded=-62135596800), book, NOW)[0].at == NOW - 0.5
    assert dialect.decode(snap(token=b"9"), book, NOW) == []
    assert dialect.decode(snap(exchange=2), book, NOW) == []
    assert (book.strays, book.errors) == (2, 0)


def test_the_recorded_packets_read_as_recorded() -> None:
    if not SHARED.is_dir():
        pytest.skip("the recorded packets are not here")
    dialect, book = angel()
    for sample in json.loads((SHARED / "angelone-samples" / "ws2_packets.json").read_text()):
        told = sample["sdk_parse"]
        ticks = dialect.decode(bytes.fromhex(sample["hex"]), book, told.get("exchange_timestamp", 0) / 1000 + 1)
        if "last_traded_price" not in told:
            assert ticks == []  # a deep book has no last price
            continue
        (tick,) = ticks
        assert tick.last_price == told["last_traded_price"] / 100
        if "best_5_buy_data" in told:
            assert (tick.bid, tick.ask) == (told["best_5_buy_data"][0]["price"] / 100, told["best_5_sell_data"][0]["price"] / 100)
            assert tick.at == told["last_traded_timestamp"]
    assert book.errors == 0


def test_angels_own_client_reads_the_same() -> None:
    rng = random.Random(6)
    dialect, book = angel()
    packets = [snap(rng.randrange(1, 10**9), rng.randrange(10**9), rng.randrange(1, 2**31)) for _ in range(20)]
    packets += [struct.pack("<BB25sqqq", 1, 1, b"1594", 1, rng.randrange(1, 2**40), rng.randrange(1, 10**9)) for _ in range(5)]
    for packet, told in zip(packets, read_by("angel", packets), strict=True):
        (tick,) = dialect.decode(packet, book, 2.0**41)
        assert tick.last_price == told["last_traded_price"] / 100
        if told["subscription_mode"] == 3:
            assert (tick.bid, tick.ask) == (told["best_5_buy_data"][0]["price"] / 100, told["best_5_sell_data"][0]["price"] / 100)
            assert tick.at == told["last_traded_timestamp"]
            assert next(iter(read_packet(packet, book))).volume == told["volume_trade_for_the_day"]
        else:
            assert tick.at == told["exchange_timestamp"] / 1000


def test_words_of_angel() -> None:
    dialect, book = angel()
    assert dialect.decode("pong", book, NOW) == []
    assert dialect.decode(b"\x00", book, NOW) == []
    assert (book.notice, book.errors) == ("", 0)
    dialect.decode('{"correlationID":"x","errorCode":"E1002","errorMessage":"Subscription limit exceeded."}', book, NOW)
    assert book.notice == "E1002 Subscription limit exceeded."


def test_angel_is_asked_for_snap_quotes_by_exchange() -> None:
    dialect, _ = angel()
    future = Listing("NFO:NIFTY26AUGFUT", "angelone", "58662", "NFO", "NIFTY26AUGFUT")
    (text,) = dialect.subscribe([ANGEL, future], "")
    assert json.loads(text) == {
        "action": 1,
        "params": {"mode": 3, "tokenList": [{"exchangeType": 1, "tokens": ["1594"]}, {"exchangeType": 2, "tokens": ["58662"]}]},
    }
    assert json.loads(dialect.unsubscribe([ANGEL], "")[0])["action"] == 0
    assert len(dialect.subscribe([ANGEL] * 1000, "")) == 4


def test_angel_signs_in_by_headers() -> None:
    dialect, _ = angel()
    target = dialect.target(ANGEL_KEY, "")
    assert target.headers == {"Authorization": "Bearer CANARY-jwt", "x-api-key": "k", "x-client-code": "C1", "x-feed-token": "CANARY-feed"}
    assert "CANARY" not in repr(target)
    assert dialect.usable(ANGEL_KEY)
    assert not dialect.usable(KITE_KEY)


# --- Binance -----------------------------------------------------------------------------------------------------------


def binance(market: str = "spot") -> tuple[BinanceStream, Book]:
    dialect, book = BinanceStream(BinanceEndpoints(), market), Book()  # type: ignore[arg-type]
    dialect.enter(book, BTC)
    return dialect, book


def said(stream: str, **data: Any) -> str:
    return json.dumps({"stream": stream, "data": data})


def test_quotes_and_trades_of_binance_are_put_together() -> None:
    dialect, book = binance()
    quote = said("btcusdt@bookTicker", u=1, s="BTCUSDT", b="64000.10", B="1", a="64000.20", A="2")
    assert dialect.decode(quote, book, NOW) == [Tick("BINANCE:BTCUSDT", 64000.15, 64000.10, 64000.20, NOW, 0.0)]
    assert dialect.decode(quote.replace('"B": "1"', '"B": "9"'), book, NOW) == [], "only a quantity changed"
    trade = said("btcusdt@aggTrade", e="aggTrade", p="64000.20", q="0.5", T=int(NOW * 1000) - 250)
    assert dialect.decode(trade, book, NOW) == [Tick("BINANCE:BTCUSDT", 64000.20, 64000.10, 64000.20, NOW - 0.25, 0.5)]
    later = said("btcusdt@bookTicker", b="64000.15", a="64000.25")
    assert dialect.decode(later, book, NOW + 9) == [Tick("BINANCE:BTCUSDT", 64000.20, 64000.15, 64000.25, NOW - 0.25, 0.0)]


def test_a_last_price_that_may_be_out_of_date_is_believed_only_between_bid_and_ask() -> None:
    dialect, book = binance()
    dialect.decode(said("btcusdt@aggTrade", p="64000", q="1", T=int(NOW * 1000)), book, NOW)
    above = said("btcusdt@bookTicker", b="64100", a="64101")
    assert dialect.decode(above, book, NOW)[0].last_price == 64000, "a book that moved on after the trade"
    book.doubt()
    assert dialect.decode(above, book, NOW) == []
    assert dialect.decode(said("btcusdt@bookTicker", b="64102", a="64103"), book, NOW)[0].last_price == 64102
    book.renew()
    assert dialect.decode(said("btcusdt@bookTicker", b="64102", a="64103"), book, NOW)[0][1:4] == (64102, 64102, 64103)
    trade = said("btcusdt@aggTrade", p="63990", q="1", T=int(NOW * 1000))
    assert dialect.decode(trade, book, NOW)[0][1:4] == (63990, 64102, 64103)


def test_words_of_binance() -> None:
    dialect, book = binance()
    for text in ('{"result":null,"id":1}', '{"e":"serverShutdown","E":1}', said("ethusdt@bookTicker", b="1", a="2"), said("btcusdt@depth")):
        assert dialect.decode(text, book, NOW) == []
    assert (book.errors, book.strays, book.notice) == (0, 1, "")
    dialect.decode('{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":1}', book, NOW)
    assert book.notice == "2 Invalid request: unknown variant"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '"x"', "7", "{}", said("btcusdt@bookTicker"), said("btcusdt@bookTicker", b="x", a="1"), said("btcusdt@aggTrade", p=[])]
)  # fmt: skip
def test_what_binance_never_says_is_counted(text: str) -> None:
    dialect, book = binance()
    assert dialect.decode(text, book, NOW) == []
    assert book.errors == 1


def test_futures_quotes_and_trades_come_by_different_ways() -> None:
    spot, _ = binance()
    futures, _ = binance("usdm")
    assert spot.manners.channels == ("",)
    assert spot.target(None, "").url == "wss://stream.binance.com:9443/stream"
    assert json.loads(spot.subscribe([BTC], "")[0])["params"] == ["btcusdt@bookTicker", "btcusdt@aggTrade"]
    assert [futures.target(None, channel).url for channel in futures.manners.channels] == [
        "wss://fstream.binance.com/public/stream",
        "wss://fstream.binance.com/market/stream",
    ]
    assert json.loads(futures.subscribe([BTC], "/public")[0]) == {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}
    assert json.loads(futures.unsubscribe([BTC], "/market")[0])["params"] == ["btcusdt@aggTrade"]
    assert (spot.manners.per_connection, futures.manners.per_connection) == (512, 1024)


# --- any bytes -----------------------------------------------------------------------------------------------------------

looks_real = st.lists(st.sampled_from([full(), full()[:44], full()[:8], full()[:32], b"", b"\xff" * 184]), max_size=6).map(
    lambda packets: frame(*packets)
)


@given(st.one_of(st.binary(max_size=400), looks_real, st.tuples(looks_real, st.integers(0, 400)).map(lambda cut: cut[0][: cut[1]])))
@settings(max_examples=60, deadline=None)
def test_no_bytes_make_kites_reader_raise(data: bytes) -> None:
    dialect, book = kite()
    ticks = dialect.decode(data, book, NOW)
    assert all(tick.symbol and 0 < tick.at <= NOW + 60 for tick in ticks)


@given(
    st.one_of(
        st.binary(max_size=500), st.tuples(st.binary(min_size=377, max_size=377), st.integers(0, 5)).map(lambda x: bytes([x[1], 1]) + x[0])
    )
)
@settings(max_examples=60, deadline=None)
def test_no_bytes_make_angels_reader_raise(data: bytes) -> None:
    dialect, book = angel(ANGEL, Listing("X", "angelone", "", "NSE", "x"))
    ticks = dialect.decode(data, book, NOW)
    assert all(0 < tick.at <= NOW + 60 for tick in ticks)


json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["stream", "data", "b", "a", "p", "q", "T", "error", "type"]), inner)
    ),
    max_leaves=8,
)


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), json_like.map(json.dumps),
                 json_like.map(lambda data: json.dumps({"stream": "btcusdt@aggTrade", "data": data}))))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_words_make_any_reader_raise(message: str | bytes) -> None:
    for dialect, book in (kite(), angel(), binance()):
        dialect.decode(message, book, NOW)

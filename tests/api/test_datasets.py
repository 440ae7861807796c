"""Datasets over the API: a file comes in whole or not at all, is reported on, belongs to one person, and goes out again."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api.datasets import uploads
from app.api.datasets.service import plain_name
from app.api.endpoint import MOST_BYTES
from app.recording import Archive, recorder_for
from engines.market.files import read_market_file
from engines.ports import SystemClock
from tests.api.rig import Person, Rig

HEAD = "datetime,open,high,low,close,volume\n"
GOOD = HEAD + "2024-01-02 09:15:00,10,12,9,11,100\n2024-01-02 09:16:00,11,11.5,10.5,10.75,50\n2024-01-02 09:18:00,11,11,11,11,0\n"
BAD = GOOD + "2024-01-02 09:19:00,10,9,11,10,1\nyesterday,1,1,1,1,1\n"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("datasets") / "data") as made:
        yield made


def send(person: Person, text: str | bytes, query: str = "symbol=NSE:INFY") -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    return person.call("POST", f"/api/datasets?{query}", data=data, headers={"Content-Type": "application/octet-stream"})


def left(rig: Rig) -> set[str]:
    """What lies in the folder beside the datasets that are listed."""
    datasets = rig.data.datasets
    known = {row.file for row in datasets.list(None)}
    return {path.name for path in datasets.folder.glob("*.csv.gz")} - known


def test_a_file_is_imported_reported_on_renamed_exported_and_deleted(rig: Rig) -> None:
    trader = rig.trader
    answer = send(trader, GOOD, "symbol=NSE:INFY&filename=infy_jan.csv")
    assert answer.status_code == 201, answer.text
    made = answer.json
    assert (made["name"], made["kind"], made["timeframe"], made["rows"], made["symbols"], made["own"]) == (
        "infy_jan", "candles", "1m", 3, ["NSE:INFY"], True,
    )  # fmt: skip
    assert (made["report"]["columns"]["time"], made["report"]["days"], made["report"]["bad_count"]) == ("datetime", ["2024-01-02"], 0)
    assert made["first_at"] == "2024-01-02T03:45:00.000000Z"
    address = f"/api/datasets/{made['id']}"
    gaps = trader.get(f"{address}/gaps").json["symbols"][0]
    assert (gaps["rows"], gaps["expected"], gaps["missing"], gaps["hole_count"]) == (3, 375, 372, 2)
    assert gaps["holes"][0] == {"start": "2024-01-02T03:47:00.000000Z", "end": "2024-01-02T03:48:00.000000Z", "bars": 1}
    bars = trader.get(f"{address}/bars?day=2024-01-02").json["items"]
    assert (len(bars), bars[0]) == (3, {"start": made["first_at"], "open": 10, "high": 12, "low": 9, "close": 11, "volume": 100})
    assert trader.get(f"{address}/bars?day=2024-01-03").json["items"] == []
    assert trader.get(f"{address}/bars?symbol=NSE:TCS").status_code == 422
    plain = trader.get(f"{address}/export").data.decode().splitlines()
    assert plain[:2] == ["time,symbol,open,high,low,close,volume", "2024-01-02T09:15:00+05:30,NSE:INFY,10,12,9,11,100"]
    assert gzip.decompress(trader.get(f"{address}/export?format=csv.gz").data).decode().splitlines() == plain
    assert len(trader.get(f"{address}/export?from=2024-01-03").data.decode().splitlines()) == 1
    packed = trader.get(f"{address}/export?format=parquet&symbol=NSE:INFY")
    assert (packed.data[:4], packed.headers["Content-Disposition"]) == (b"PAR1", 'attachment; filename="infy_jan.parquet"')
    assert trader.patch(address, {"name": "Infosys"}).json["name"] == "Infosys"
    again = send(trader, packed.data, "name=From+Parquet")
    assert (again.status_code, again.json["rows"], again.json["sha256"]) == (201, 3, made["sha256"])
    assert send(trader, GOOD, "name=Infosys&symbol=NSE:INFY").status_code == 409
    for each in (made, again.json):
        assert trader.delete(f"/api/datasets/{each['id']}").status_code == 204
    assert trader.get(address).status_code == 404
    assert left(rig) == set()


def test_a_form_with_a_file_is_understood_too(rig: Rig) -> None:
    form = {"file": (io.BytesIO(gzip.compress(GOOD.encode())), "packed.csv.gz")}
    answer = rig.trader.call("POST", "/api/datasets?symbol=NSE:SBIN", data=form)
    assert (answer.status_code, answer.json["name"], answer.json["symbols"]) == (201, "packed", ["NSE:SBIN"])
    rig.trader.delete(f"/api/datasets/{answer.json['id']}")


def test_bad_rows_refuse_the_whole_file_until_somebody_says_to_leave_them_out(rig: Rig) -> None:
    refused = send(rig.trader, BAD, "symbol=NSE:INFY&filename=bad.csv")
    assert refused.status_code == 422
    assert refused.json["errors"]["file"] == ["line 5: open 10 or close 10 is outside low 11 to high 9", "line 6: not a time: 'yesterday'"]
    assert refused.json["detail"].startswith("bad.csv: 2 rows cannot be used, nothing was imported")
    assert rig.trader.get("/api/datasets").json["items"] == []
    assert left(rig) == set()
    taken = send(rig.trader, BAD, "symbol=NSE:INFY&leave_out_bad=true").json
    assert (taken["rows"], taken["bad"], [row["line"] for row in taken["report"]["bad"]]) == (3, 2, [5, 6])
    rig.trader.delete(f"/api/datasets/{taken['id']}")


@pytest.mark.parametrize(
    ("sent", "query", "words"),
    [
        (b"", "", "is empty"),
        (b"a,b\n1,2\n", "", "names no column of times"),
        (GOOD.encode(), "", "names no instrument"),
        (b"\x1f\x8bnonsense", "", "cannot be read"),
        (b"PAR1 but not really", "", "not a whole Parquet file"),
        (HEAD.encode(), "symbol=NSE:X", "holds nothing to import"),
        (GOOD.encode(), "symbol=nse", "symbol"),
        (GOOD.encode(), "symbol=NSE:X&zone=Mars/Olympus", '"errors": {"zone": ["there is no time zone'),
    ],
)
def test_what_cannot_be_used_says_why_and_leaves_nothing(rig: Rig, sent: bytes, query: str, words: str) -> None:
    answer = send(rig.trader, sent, query)
    assert answer.status_code == 422
    assert words in answer.text
    assert "incoming" not in answer.text
    assert left(rig) == set()


def test_a_file_may_be_larger_than_other_requests_but_not_endless(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = HEAD + "".join(f"{at},1,1,1,1,{' ' * 4_000}\n" for at in range(1704167100, 1704167100 + 60 * 300, 60))
    assert len(wide) > MOST_BYTES
    answer = send(rig.trader, wide)
    assert (answer.status_code, answer.json["rows"]) == (201, 300)
    rig.trader.delete(f"/api/datasets/{answer.json['id']}")
    monkeypatch.setattr(uploads, "MOST_UPLOAD", 100)
    for form in (GOOD.encode(), {"file": (io.BytesIO(GOOD.encode()), "wide.csv")}):
        refused = rig.trader.call("POST", "/api/datasets?symbol=NSE:X", data=form)
        assert (refused.status_code, "data import" in refused.json["detail"]) == (413, True)
    assert left(rig) == set()


def test_the_archive_is_everybodys_to_read_and_its_owners_to_keep(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "2026-11-20-live-candles.csv"
    path.write_text("time,symbol,open,high,low,close,volume\n2026-11-20T09:15:00+05:30,NSE:INFY,1,1,1,1,5\nhalf a li")
    trader, owner = rig.trader, rig.owner
    assert Archive(rig.data).take(path, "2026-11-20", "candles", "live")
    assert Archive(rig.data).take(path, "2026-11-20", "candles", "live")  # what came after the day was closed
    second, first = trader.get("/api/datasets?source=recorded").json["items"]
    assert (first["name"], second["name"]) == ("2026-11-20 live candles", "2026-11-20 live candles (2)")
    assert (first["rows"], first["bad"], first["own"]) == (1, 1, False)
    for each in (first, second):
        assert trader.get(f"/api/datasets/{each['id']}/export").status_code == 200
        assert trader.delete(f"/api/datasets/{each['id']}").status_code == 409
        assert owner.delete(f"/api/datasets/{each['id']}").status_code == 204
    path.write_text("time,symbol,open,high,low,close,volume\n")
    assert Archive(rig.data).take(path, "2026-11-20", "candles", "live"), "an empty day is nothing to keep"


def test_what_is_watched_is_recorded_while_it_trades(rig: Rig) -> None:
    recorder = recorder_for("ticks", rig.system, rig.data, SystemClock())
    rig.trader.get("/api/candles?symbol=NSE:INFY&timeframe=1m")  # a chart watches
    waiting = threading.Event()
    for _ in range(2400):
        recorder.step()
        if recorder.status().ticks > 3:
            break
        waiting.wait(0.05)
    recorder.stop()
    (path,) = (rig.folder / "market" / "recording").glob("*-simulated-ticks.csv")
    recorded = read_market_file(path)
    assert "NSE:INFY" in recorded.symbols
    assert {row.symbol for row in recorded.ticks} <= {symbol for symbol, _ in rig.system.candle_store.pairs()}


def test_nothing_is_recorded_where_nobody_records(rig: Rig) -> None:
    assert rig.viewer.get("/api/recording").json["what"] == "off"


@pytest.mark.parametrize(
    ("file", "name"), [("nifty_2024.csv.gz", "nifty_2024"), ("A.TXT", "A"), (".csv", "Dataset"), ("x\x00y.parquet", "xy"), ("", "Dataset")]
)
def test_a_dataset_is_called_like_its_file(file: str, name: str) -> None:
    assert plain_name(file) == name

"""The instruments of the benchmarks measure what they say: the stub broker's delay, the floor, quantiles, and a page's weight."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from tests.bench.figures import Figure, quantile
from tests.bench.floor import fan_out_ms
from tests.bench.page import count
from tests.bench.stub_broker import stub_broker


def test_the_stub_broker_answers_after_its_delay_and_keeps_the_connection() -> None:
    with stub_broker(30) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(2):
            started = time.perf_counter()
            connection.request("POST", "/orders", json.dumps({"client_id": f"A{number}"}))
            assert json.loads(connection.getresponse().read())["order_id"] == f"B000000{number + 1}"
            assert time.perf_counter() - started >= 0.03
        connection.request("GET", "/orders")
        assert json.loads(connection.getresponse().read()) == {"A0": 1, "A1": 1}
        connection.close()


def test_the_floor_of_a_fan_out_waits_once_for_all_accounts_together() -> None:
    with stub_broker(300) as port:
        laps = fan_out_ms(port, accounts=10, rounds=4)
    assert len(laps) == 4
    assert 300 <= min(laps) < 10 * 300  # the quickest: a machine stands still now and then


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_quantile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert quantile(list(range(100, 0, -1)), share) == value


def test_a_figure_says_whether_it_was_met_and_how_it_compares_with_its_floor() -> None:
    slow = Figure("x", "x", 80.0, "ms", 65, floor=50.0).as_json()
    fast = Figure("y", "y", 250.0, "orders/s", 200, floor=500.0, more_is_better=True).as_json()
    assert (slow["met"], slow["ratio"], fast["met"], fast["ratio"]) == (False, 1.6, True, 0.5)
    assert Figure("z", "z", 1.0, "ms", None).as_json()["met"] is None


def test_a_page_weighs_its_redirects_and_whatever_comes_over_the_wire_but_not_what_the_browser_makes_up() -> None:
    def sent(name: str, url: str, **more: object) -> dict[str, object]:
        return {"method": "Network.requestWillBeSent", "params": {"requestId": name, "request": {"url": url}, **more}}

    def done(name: str, size: int) -> dict[str, object]:
        return {"method": "Network.loadingFinished", "params": {"requestId": name, "encodedDataLength": size}}

    log = [
        sent("1", "http://127.0.0.1/"),
        sent("1", "http://127.0.0.1/login", redirectResponse={"encodedDataLength": 300}),
        done("1", 2000),
        sent("2", "data:image/svg+xml,x"),
        done("2", 999),
        sent("3", "http://127.0.0.1/a.css"),
        done("3", 5000),
    ]
    assert count(log) == (3, 7300)

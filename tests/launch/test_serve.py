"""Serving: ready when it can be used, refuses what would go wrong before it touches anything, and ends in order."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.launch import serve
from tests.support.server import PATIENCE, Server, run_command


def test_prices_are_there_when_it_says_ready(server: Server) -> None:
    answer = server.api.get(
        "/api/quotes?symbols=NSE:INFY,NSE:SBIN,NSE:RELIANCE,NSE:TCS,NSE:HDFCBANK,NSE:ICICIBANK,NSE:AXISBANK,NSE:ITC,NSE:LT,NSE:WIPRO"
    )
    assert answer.status == 200
    assert len(answer.json["items"]) == 10


def test_what_does_not_stop_is_left_before_5_seconds_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < serve.STOP_SECONDS < 5
    monkeypatch.setattr(serve, "STOP_SECONDS", 0.01)
    left, stopping, asked = threading.Event(), threading.Event(), []
    monkeypatch.setattr(serve, "_give_up", left.set)
    house = SimpleNamespace(hub=SimpleNamespace(close=lambda: None), stop=lambda: asked.append(left.wait(PATIENCE)))
    web = SimpleNamespace(stop=lambda: None, close=lambda wait: None)
    with serve._closing(stopping, web, house):  # type: ignore[arg-type]
        stopping.set()
    assert asked == [True], "it was left while the engines still stopped"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_even_with_browsers_watching(server: Server, how: signal.Signals) -> None:
    assert server.process is not None
    with socket.create_connection(("127.0.0.1", server.port)) as watching:
        watching.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode())
        assert watching.recv(100).startswith(b"HTTP/1.1 200")
        server.process.send_signal(how)
        assert server.process.wait(timeout=PATIENCE) == 0
    server.stop()  # now all that it said has been read
    assert [line for line in server.lines if "Traceback" in line or "error" in line] == []


def test_it_starts_again_at_once_on_the_same_port_and_folder(server: Server) -> None:
    port = server.port
    assert server.stop() == 0
    server.restart()
    assert server.port == port
    assert server.api.get("/healthz").json == {"status": "ok"}


def test_a_taken_port_is_one_line_and_exit_2_and_nothing_is_touched(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_command("serve", "--no-browser", "--port", str(taken.getsockname()[1]), data_dir=data_dir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "address already in use" in done.stderr
    assert not data_dir.exists()


def test_a_second_one_on_the_same_folder_is_refused(shared_server: Server) -> None:
    done = run_command("serve", "--no-browser", "--port", "0", data_dir=shared_server.data_dir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "in use" in done.stderr
    assert shared_server.api.get("/healthz").status == 200


def test_a_folder_that_cannot_be_used_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_command("serve", "--no-browser", "--port", "0", data_dir=tmp_path / "file")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_wrong_setting_is_one_line_and_exit_2(data_dir: Path) -> None:
    done = run_command("serve", "--no-browser", data_dir=data_dir, env={"CREDENTIAL_KEYS": "hunter2hunter2"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "CREDENTIAL_KEYS" in done.stderr
    assert "hunter2" not in done.stderr
    assert not data_dir.exists()


def test_people_added_while_it_serves_are_let_in_at_once(shared_server: Server) -> None:
    email = "added-while-it-serves@example.com"
    added = run_command("user", "add", email, "--password-stdin", data_dir=shared_server.data_dir, stdin="a long enough password")
    made = run_command("token", "add", email, "--name", "x", data_dir=shared_server.data_dir)
    assert (added.returncode, made.returncode) == (0, 0)
    assert shared_server.client(made.stdout.strip()).get("/api/accounts").json["items"] == []


def test_without_engines_it_shows_and_answers_but_takes_no_entry(data_dir: Path) -> None:
    server = Server(data_dir, options=["--no-engines"])
    server.make_owner()
    with server:
        account = server.api.post("/api/accounts", {"name": "A", "broker": "paper", "capital": "100000", "credentials": {}}).json["id"]
        order = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1", "wait_ms": 5000}
        answer = server.api.post("/api/signals/manual", order).json
        assert [(o["state"], o["reason"]) for o in answer["orders"]] == [("denied", "halted")]


def test_it_replays_a_file_on_the_files_own_clock(data_dir: Path, tmp_path: Path) -> None:
    rows = [
        f"2024-01-02 {9 + (15 + minute) // 60:02d}:{(15 + minute) % 60:02d}:00,{100 + minute},{101 + minute},{99 + minute},{100 + minute}"
        for minute in range(60)
    ]
    file = tmp_path / "prices.csv"
    file.write_text("datetime,open,high,low,close\n" + "\n".join(rows) + "\n")
    server = Server(data_dir, env={"TANDEM_FEED": str(file), "TANDEM_FEED_SYMBOL": "NSE:INFY", "TANDEM_FEED_SPEED": "max"})
    server.make_owner()
    with server:
        until = time.monotonic() + PATIENCE
        while (quote := server.api.get("/api/quotes?symbols=NSE:INFY").json["items"][0])["last_price"] != "159":
            assert time.monotonic() < until, quote
        assert quote["as_of"].startswith("2024-01-02")
        assert server.stop() == 0


@pytest.mark.parametrize(("feed", "words"), [("no-such-file.csv", "TANDEM_FEED"), ("words.csv", "words.csv")])
def test_a_file_that_cannot_be_replayed_is_one_line_and_exit_2(data_dir: Path, tmp_path: Path, feed: str, words: str) -> None:
    (tmp_path / "words.csv").write_text("hello\nworld\n")
    done = run_command("serve", "--no-browser", "--port", "0", data_dir=data_dir, env={"TANDEM_FEED": str(tmp_path / feed)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert words in done.stderr


def test_law_12_the_log_is_json_without_secrets(server: Server) -> None:
    server.api.post(
        "/api/accounts",
        {"name": "A", "broker": "zerodha", "capital": "1", "credentials": {"api_key": "kkkkkkkk", "api_secret": "ssssssss"}},
    )
    assert server.stop() == 0
    text = (server.data_dir / "logs" / "tandem.log").read_text()
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert [secret for secret in (server.token, "kkkkkkkk", "ssssssss", server.owner[1]) if secret in text] == []


def test_many_connections_while_it_stops_end_it_in_time_all_the_same(server: Server) -> None:
    stop = threading.Event()

    def knock() -> None:
        client = server.client()
        while not stop.is_set():
            try:
                client.get("/healthz")
            except (OSError, http.client.HTTPException):  # also an answer that ends in its middle
                return

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=PATIENCE) == 0
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)

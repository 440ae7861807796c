"""Settings: one table, read from the environment over `.env`, wrong values named without being shown."""

from __future__ import annotations

import base64
from dataclasses import fields
from pathlib import Path

import pytest

import config
from config import ConfigError, Settings, load

NOTHING: dict[str, str] = {}
NO_FILE = Path("does-not-exist")
FERNET = base64.urlsafe_b64encode(b"k" * 32).decode()


def test_without_any_setting_it_listens_on_loopback_only() -> None:
    settings = load(NOTHING, env_file=NO_FILE)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 5000, config.ROOT / "var")


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=6001\nHOST=0.0.0.0\nTANDEM_THREADS=40\n")
    settings = load({"PORT": "6002", "HOST": "::1"}, env_file=file, port=6003)
    assert (settings.port, settings.host, settings.threads) == (6003, "::1", 40)


@pytest.mark.parametrize("name", ["PORT", "SECRET_KEY", "KITE_API_ROOT"])
def test_an_empty_variable_means_not_set(name: str) -> None:
    assert load({name: " "}, env_file=NO_FILE) == load(NOTHING, env_file=NO_FILE)


def test_a_relative_data_folder_hangs_on_the_project_not_on_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"TANDEM_DATA_DIR": "books"}, env_file=NO_FILE).data_dir == config.ROOT / "books"
    assert load({"TANDEM_DATA_DIR": str(tmp_path)}, env_file=NO_FILE).data_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("PORT", "http", "port number"),
        ("PORT", "70000", "port number"),
        ("PORT", "-1", "port number"),
        ("HOST", "a b", "host name"),
        ("TANDEM_THREADS", "4", "from 32"),
        ("TANDEM_THREADS", "many", "whole number"),
        ("TANDEM_LOG_LEVEL", "loud", "DEBUG"),
        ("TANDEM_FEED_SPEED", "0", "above 0"),
        ("TANDEM_FEED_SPEED", "nan", "above 0"),
        ("TANDEM_PUBLIC_URL", "trade.example.com", "https://"),
        ("DATABASE_URL", "postgresql://db/tandem", "sqlite:///"),
        ("SECRET_KEY", "short", "16 characters"),
        ("CREDENTIAL_KEYS", "not-a-key", "Fernet"),
        ("CREDENTIAL_KEYS", f"{FERNET},oops", "Fernet"),
        ("MAIL_USE_TLS", "maybe", "true or false"),
        ("KITE_API_ROOT", "ws://host", "http://"),
        ("KITE_WS_ROOT", "https://host", "ws://"),
        ("BINANCE_SPOT_WS_ROOT", "wss:", "wss://"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_setting(name: str, raw: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: raw}, env_file=NO_FILE)
    text = str(caught.value)
    assert name in text
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["SECRET_KEY", "CREDENTIAL_KEYS"])
def test_a_wrong_secret_is_never_shown(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: "hunter2"}, env_file=NO_FILE)
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_the_repr_of_the_settings() -> None:
    secrets = {"SECRET_KEY": "s" * 20, "CREDENTIAL_KEYS": FERNET, "MAIL_PASSWORD": "mail-pass", "API_SECRET": "kite-secret"}
    shown = repr(load(secrets, env_file=NO_FILE))
    assert [name for name, value in secrets.items() if value in shown] == []


def test_settings_never_change() -> None:
    with pytest.raises(AttributeError):
        load(NOTHING, env_file=NO_FILE).port = 1  # type: ignore[misc]


def test_every_promised_setting_is_known() -> None:
    promised = """TANDEM_DATA_DIR DATABASE_URL HOST PORT SECRET_KEY CREDENTIAL_KEYS MAIL_SERVER MAIL_PORT MAIL_USERNAME MAIL_PASSWORD MAIL_USE_TLS
        MAIL_DEFAULT_SENDER API_KEY API_SECRET KITE_API_ROOT KITE_LOGIN_ROOT KITE_WS_ROOT SMARTAPI_ROOT SMARTAPI_WS_ROOT SMARTAPI_ORDER_WS_ROOT
        SMARTAPI_INSTRUMENTS_URL BINANCE_SPOT_ROOT BINANCE_FUTURES_ROOT BINANCE_SPOT_WS_ROOT BINANCE_FUTURES_WS_ROOT"""
    assert set(promised.split()) <= {row.env for row in config.explain()}


def test_every_setting_is_explained() -> None:
    assert all(row.about for row in config.explain())


def test_streams_always_leave_threads_for_requests() -> None:
    assert load({"TANDEM_THREADS": "32"}, env_file=NO_FILE).max_streams == 8


def test_an_endpoint_may_point_at_an_emulator() -> None:
    endpoints = load({"KITE_API_ROOT": "http://127.0.0.1:9000/"}, env_file=NO_FILE).endpoints
    assert endpoints.kite_api_root == "http://127.0.0.1:9000"


def test_an_address_of_the_next_protocol_is_written_in_brackets() -> None:
    assert load({"HOST": "::1"}, env_file=NO_FILE).base_url == "http://[::1]:5000"


@pytest.mark.parametrize(("host", "begins"), [("0.0.0.0", "http://127.0.0.1:5000"), ("::", "http://[::1]:5000")])
def test_no_link_begins_with_every_address(host: str, begins: str) -> None:
    assert load({"HOST": host}, env_file=NO_FILE).base_url == begins


@pytest.mark.parametrize(
    ("env", "here"),
    [
        ({}, True),
        ({"HOST": "localhost"}, True),
        ({"HOST": "::1"}, True),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "::"}, True),
        ({"HOST": "192.168.1.20"}, False),
        ({"TANDEM_PUBLIC_URL": "https://tandem.example.com"}, False),
        ({"HOST": "0.0.0.0", "TANDEM_PUBLIC_URL": "https://tandem.example.com"}, False),
    ],
)
def test_links_stay_on_this_machine_until_it_is_known_how_others_reach_it(env: dict[str, str], here: bool) -> None:
    assert load(env, env_file=NO_FILE).links_stay_here is here


def test_only_the_endpoints_have_no_variable_of_their_own() -> None:
    assert [spec.name for spec in fields(Settings) if "env" not in spec.metadata] == ["endpoints"]

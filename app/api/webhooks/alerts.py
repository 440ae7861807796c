"""Reads what charting services send: our own body, their JSON templates, or one line of text. Turns it into fields; checks nothing about trading.

TradingView's placeholders arrive filled in, under whatever names the author of the alert chose; the usual ones are known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.api.endpoint import parse_object
from app.problems import Problem

_SAME = {
    "ticker": "symbol", "action": "side", "order_action": "side", "contracts": "quantity", "qty": "quantity", "order_contracts": "quantity",
    "sl": "stop_loss", "stop": "stop_loss", "stoploss": "stop_loss", "type": "order_type", "timenow": "time", "timestamp": "time",
    "account_id": "account_ids", "tp": "targets", "target": "targets", "take_profit": "targets",
}  # fmt: skip
_SAID_IN_PASSING = frozenset({
    "open", "high", "low", "close", "volume", "interval", "comment", "alert", "alert_name", "alert_message", "message", "strategy", "strategy_name",
    "prev_market_position", "market_position_size", "prev_market_position_size", "position_size", "order_id", "order_price", "id", "currency",
    "basecurrency", "syminfo",
})  # fmt: skip
"""Fields of templates that tell a person something and change nothing."""

_SIDES = {"BUY": "BUY", "LONG": "BUY", "SELL": "SELL", "SHORT": "SELL"}
_TYPES = {"MKT": "MARKET", "LMT": "LIMIT", "SLM": "SL-M", "STOP": "SL-M", "STOP_LIMIT": "SL"}

_DEFAULT_TEXT = re.compile(
    r"order (?P<side>buy|sell) @ (?P<quantity>\d+(\.\d+)?) filled on (?P<symbol>\S+?)\.?(\s+New strategy position is (?P<position>-?\d+(\.\d+)?))?\.?\s*$",
    re.IGNORECASE | re.ASCII,
)
_SHORT_TEXT = re.compile(
    r"^\s*(?P<side>buy|sell|long|short)\s+(?P<symbol>[A-Za-z0-9_]+(:\S+)?)(\s+(?P<quantity>\d+(\.\d+)?))?(?P<rest>(\s+\w+=\S+)*)\s*$",
    re.IGNORECASE | re.ASCII,
)
_PAIR = re.compile(r"(\w+)\s*[=:]\s*([^\s,;]+)")


def read(data: bytes, mimetype: str) -> dict[str, Any]:
    """The fields of an alert under our own names, and `reduce_only` when it says that the strategy is flat now."""
    if mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise Problem(415, "Send JSON or plain text.")
    if not data.strip():
        return {}
    if data.lstrip()[:1] in (b"{", b"[") or mimetype == "application/json" or mimetype.endswith("+json"):
        return _ours(parse_object(data))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Problem(400, "The text is not UTF-8.") from None
    return _ours(_from_text(text.strip()))


def _from_text(text: str) -> Mapping[str, Any]:
    found = _DEFAULT_TEXT.search(text)
    if found:
        said: dict[str, Any] = {name: found[name] for name in ("side", "quantity", "symbol")}
        if found["position"] is not None and float(found["position"]) == 0:
            said["market_position"] = "flat"
        return said
    found = _SHORT_TEXT.match(text)
    if found:
        said = {name: found[name] for name in ("side", "quantity", "symbol") if found[name] is not None}
        return said | dict(_PAIR.findall(found["rest"] or ""))
    pairs = dict(_PAIR.findall(text))
    if "side" in pairs or "action" in pairs:
        return pairs
    raise Problem(
        422, "The text of the alert is not understood.", errors={"body": ["must look like: BUY NSE:INFY 10, or key=value pairs, or JSON"]}
    )


def _ours(said: Mapping[str, Any]) -> dict[str, Any]:
    template = "symbol" not in said or "side" not in said  # written for a charting service, so its usual extras are no mistakes
    fields: dict[str, Any] = {}
    for name, value in said.items():
        key = name.strip().lower().replace(".", "_").removeprefix("strategy_order_").removeprefix("strategy_") if template else name
        key = _SAME.get(key, key)
        if (template and key in _SAID_IN_PASSING) or value is None or value == "":
            continue
        fields.setdefault(key, value)
    flat = str(fields.pop("market_position", "")).lower() == "flat"
    _symbol(fields)
    _words(fields)
    if "order_type" not in fields:
        fields.pop("price", None)  # the price of the chart, not a limit
    if flat:
        fields["reduce_only"] = True
    return fields


def _symbol(fields: dict[str, Any]) -> None:
    exchange = fields.pop("exchange", None)
    symbol = fields.get("symbol")
    if isinstance(symbol, str) and symbol and ":" not in symbol:
        fields["symbol"] = f"{exchange if isinstance(exchange, str) else 'NSE'}:{symbol}".upper()


def _words(fields: dict[str, Any]) -> None:
    side, kind, targets, accounts = (fields.get(name) for name in ("side", "order_type", "targets", "account_ids"))
    if isinstance(side, str):
        fields["side"] = _SIDES.get(side.upper(), side)
    if isinstance(kind, str):
        fields["order_type"] = _TYPES.get(kind.upper(), kind.upper())
    if targets is not None and not isinstance(targets, list):
        fields["targets"] = [targets]
    if isinstance(accounts, str):
        fields["account_ids"] = [accounts]
    wait = fields.get("wait_ms")
    if isinstance(wait, str) and wait.isdecimal():
        fields["wait_ms"] = int(wait)


def fingerprint(fields: Mapping[str, Any]) -> str:
    """The same for the same alert, however it was spaced or ordered."""
    return json.dumps(fields, sort_keys=True, default=str)

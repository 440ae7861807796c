"""A row of the audit log in words: field by field what was there before and after, as people read it, with names in place of ids.

Nothing is decided or hidden here but what the row says already, and what the program writes for itself (braces, quotes, None) is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from app.pages import format as fmt
from app.pages import words

LABELS = {
    "names": "fields",
    "user_id": "person",
    "pct": "at",
    "why": "because",
    "reentry": "re-entries",
    "params": "parameters",
    "paper": "simulated exchange",
    "active": "switched",
    "enabled": "switched",
    "dry_run": "dry-run",
    "auto_trade": "auto-trade",
    "auto_login": "signs in by itself",
    "reduce_only": "only closes",
    "but_this_one": "but this one",
}
BOOLEANS = {
    "reduce_only",
    "flat",
    "force",
    "but_this_one",
    "with_data",
    "signed_in",
    "reverse",
    "partial_fills",
    "session_hours",
    "flatten",
}
"""Said with yes and no; everything else that is true or false is a switch."""
MONEY = {"capital", "max_daily_loss", "max_daily_profit", "max_order_value", "max_position_value"}
RULE_MONEY = {"stop", "target", "lock_at", "lock", "step", "rise", "trail_start", "trail_by"}
FREE = {"name", "note", "email", "reason", "why", "holder", "detail", "text", "shown", "agent", "strategy"}
"""What people wrote themselves: it stays letter for letter."""
_UNITS = {"_ms": " ms", "_minutes": " min", "_seconds": " s", "_ticks": " ticks"}
_EPOCH = 1_000_000_000  # a larger number in a field of that name is a moment
_MOMENT, _NUMBER, _CODE = re.compile(r"\d{4}-\d\d-\d\dT"), re.compile(r"-?\d+(\.\d+)?"), re.compile(r"[a-z]+(_[a-z]+)+")
_DASH = "–"


@dataclass(frozen=True, slots=True)
class Change:
    """One field; `before` or `after` None: it was not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class _Reader:
    """What is known about the row around a value."""

    names: Mapping[str, str]
    currency: str
    kind: str

    def value(self, key: str, value: Any) -> str:
        if _unset(value):
            return _DASH
        if isinstance(value, bool):
            return ("yes" if value else "no") if key in BOOLEANS else "on" if value else "off"
        if isinstance(value, Mapping):
            items = sorted(value.items(), key=lambda item: item[0] not in ("price", "pct", "points"))  # where, then how much
            return ", ".join(f"{label(name)} {self.value(name, item)}" for name, item in items if not _unset(item))
        if isinstance(value, list):
            apart = "; " if any(isinstance(each, Mapping) for each in value) else ", "
            return apart.join(self.value(key, each) for each in value)
        if isinstance(value, str) and value in self.names:
            return self.names[value]
        return self._text(key, value)

    def _text(self, key: str, value: Any) -> str:
        text = str(value)
        if key == "broker":
            return words.broker(text)
        if key in MONEY or (key in RULE_MONEY and self.kind == "combined_rule"):
            return fmt.money(value, self.currency, 0 if text.partition(".")[2].strip("0") == "" else 2)
        if _MOMENT.match(text) or (isinstance(value, int | float) and value > _EPOCH and _timed(key)):
            return f"{fmt.date(value)} {fmt.clock(value)}"
        if key.endswith(("_id", "_ids")):
            return fmt.short_id(text)
        if _NUMBER.fullmatch(text) and key not in FREE:
            return _number(key, text)
        return text.replace("_", " ") if key not in FREE and _CODE.fullmatch(text) else text


def _number(key: str, text: str) -> str:
    if key.endswith("pct"):
        return f"{fmt.plain(text)} %"
    if key in ("quantity", "filled_quantity", "value", "orders"):
        return fmt.quantity(text)
    return fmt.plain(text) + next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")


def _timed(key: str) -> bool:
    return key.endswith("_at") or key in ("until", "since", "not_before", "at", "expires")


def _unset(value: Any) -> bool:
    return value is None or value in ("", [], {})


def label(name: str) -> str:
    """How a field is called: max_daily_loss_pct → max daily loss, account_ids → accounts."""
    if name in LABELS:
        return LABELS[name]
    for ending, instead in (("_pct", ""), ("_ids", "s"), ("_id", ""), ("_ms", ""), ("_minutes", "")):
        if name.endswith(ending):
            name = name.removesuffix(ending) + instead
            break
    return name.replace("_", " ")


def changes(row: Any, currency: str = "INR") -> list[Change]:
    """Field by field what differs, with what lies inside of fields told by name: limits › max daily loss. Of what was made or has gone, what was set:
    the row says already what it is and whose."""
    reader = _Reader(row.names, currency, row.object_kind)
    old, new = dict(_flat(_sized(row.before or {}))), dict(_flat(_sized(row.after or {})))
    paths = list(dict.fromkeys((*old, *new)))
    if row.before is None or row.after is None:
        told = {row.object_id, row.actor, row.object_name, *(key for key, name in row.names.items() if name == "you")}
        paths = [path for path in paths if not _unset(it := old.get(path, new.get(path))) and not (isinstance(it, str) and it in told)]
    else:
        paths = [path for path in paths if old.get(path) != new.get(path)]
    if any(path[-1] == "email" for path in paths):
        paths = [path for path in paths if path[-1] != "user_id"]

    def before(path: tuple[str, ...]) -> str | None:
        return reader.value(path[-1], old[path]) if path in old else None

    def after(path: tuple[str, ...]) -> str | None:
        if path not in new and row.after is None:
            return None
        return reader.value(path[-1], new.get(path))  # what was taken away is a dash

    return [Change(" › ".join(map(label, path)), before(path), after(path)) for path in paths]


def _sized(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mapping's sizing in the words of its page: "2 % a signal"."""
    sizing = values.get("sizing")
    if not isinstance(sizing, Mapping) or "mode" not in sizing:
        return values
    shown = SimpleNamespace(mode=sizing["mode"], value=fmt.decimal(sizing.get("value")))
    risk = values.get("risk_per_trade_pct")
    text = (
        "by risk"
        if shown.mode == "risk" and risk is None
        else words.sizing(SimpleNamespace(sizing=shown, risk_per_trade_pct=risk, multiplier=1))
    )
    return {**values, "sizing": text}


def _flat(values: Mapping[str, Any], inside: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, (*inside, str(name)))
        else:
            yield (*inside, str(name)), value

"""What the newsroom looks up before it says something: orders with what they cost, signals with their orders, names, books of a day.

Only reads, each question for many at once, never on the way of an order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.data import decode
from app.data.store import Store
from app.data.values import to_json
from engines.core.model import ZERO, DayBook, Halt, HaltScope, Incident, Order, Signal


@dataclass(frozen=True, slots=True)
class OrderCost:
    """Of all fills of an order; `realised` before charges."""

    charges: Decimal = ZERO
    realised: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class NamedAccount:
    """An account, also one that is archived."""

    account_id: str
    user_id: str
    name: str
    broker: str
    leverage: Decimal


@dataclass(frozen=True, slots=True)
class Reporting:
    store: Store

    def orders(self, order_ids: Collection[str]) -> Mapping[str, Order]:
        """By id, without their checks."""
        sql = f"SELECT {decode.ORDER_COLUMNS}, '[]' AS checks FROM orders WHERE order_id IN (SELECT value FROM json_each(?))"
        return {row["order_id"]: decode.order(row) for row in self.store.readers.all(sql, (_list(order_ids),))}

    def costs(self, order_ids: Collection[str]) -> Mapping[str, OrderCost]:
        """By order; nothing for those without a fill."""
        found: dict[str, OrderCost] = {}
        sql = "SELECT order_id, charges, realised FROM fills WHERE order_id IN (SELECT value FROM json_each(?))"
        for order_id, charges, realised in self.store.readers.all(sql, (_list(order_ids),)):
            before = found.get(order_id, OrderCost())
            found[order_id] = OrderCost(before.charges + Decimal(charges), before.realised + Decimal(realised))
        return found

    def signals(self, keys: Collection[str]) -> Mapping[str, Signal]:
        """By their key."""
        sql = "SELECT * FROM signals WHERE key IN (SELECT value FROM json_each(?))"
        return {row["key"]: decode.signal(row) for row in self.store.readers.all(sql, (_list(keys),))}

    def signal_ids(self, keys: Collection[str]) -> Mapping[str, str]:
        """The callers' own ids of signals, by key."""
        sql = "SELECT key, signal_id FROM signals WHERE key IN (SELECT value FROM json_each(?))"
        return {row["key"]: row["signal_id"] for row in self.store.readers.all(sql, (_list(keys),))}

    def orders_of(self, keys: Collection[str]) -> Mapping[str, tuple[Order, ...]]:
        """Of signals, by signal key, without their checks."""
        found: dict[str, list[Order]] = defaultdict(list)
        sql = f"SELECT {decode.ORDER_COLUMNS}, '[]' AS checks FROM orders WHERE signal_key IN (SELECT value FROM json_each(?)) ORDER BY seq"
        for row in self.store.readers.all(sql, (_list(keys),)):
            found[row["signal_key"]].append(decode.order(row))
        return {key: tuple(orders) for key, orders in found.items()}

    def halts(self, halt_ids: Collection[str]) -> Mapping[str, Halt]:
        sql = "SELECT * FROM halts WHERE halt_id IN (SELECT value FROM json_each(?))"
        return {row["halt_id"]: decode.halt(row) for row in self.store.readers.all(sql, (_list(halt_ids),))}

    def held(self, user_id: str, account_id: str | None, strategy_id: str | None) -> tuple[frozenset[HaltScope], bool, frozenset[str]]:
        """What keeps entries of this person back, there or anywhere of theirs: scopes of stops, the account's kill switch, whose engines are off ('' the
        whole system's)."""
        own = "(scope = 'user' AND scope_id = ?) OR (scope = 'account' AND scope_id = ?) OR (scope = 'strategy' AND scope_id = ?)"
        stops = self.store.readers.all(
            f"SELECT DISTINCT scope FROM halts WHERE lifted_at IS NULL AND (scope = 'system' OR {own})", (user_id, account_id, strategy_id)
        )
        killed = self.store.readers.one("SELECT 1 FROM kill_switches WHERE account_id = ? AND is_on", (account_id,))
        off = self.store.readers.all("SELECT user_id FROM engine_switches WHERE NOT is_on AND user_id IN ('', ?)", (user_id,))
        return frozenset(HaltScope(row[0]) for row in stops), killed is not None, frozenset(row[0] for row in off)

    def incidents(self, incident_ids: Collection[str]) -> Mapping[str, Incident]:
        sql = "SELECT * FROM incidents WHERE incident_id IN (SELECT value FROM json_each(?))"
        return {row["incident_id"]: decode.incident(row) for row in self.store.readers.all(sql, (_list(incident_ids),))}

    def open_incidents(self) -> frozenset[tuple[str, str | None, str | None]]:
        """(kind, user, account) of everything that lasts now."""
        rows = self.store.readers.all("SELECT kind, user_id, account_id FROM incidents WHERE until IS NULL")
        return frozenset((row[0], row[1], row[2]) for row in rows)

    def accounts(self) -> Mapping[str, NamedAccount]:
        rows = self.store.readers.all("SELECT account_id, user_id, name, broker, leverage FROM accounts")
        return {row[0]: NamedAccount(row[0], row[1], row[2], row[3], Decimal(row[4])) for row in rows}

    def consent(self, consent_id: str) -> Mapping[str, str]:
        """Who agreed, for which account."""
        row = self.store.readers.one("SELECT holder, account_id FROM consents WHERE consent_id = ?", (consent_id,))
        return {} if row is None else {"holder": row[0], "account_id": row[1]}

    def sign_in(self, sign_in_id: str) -> Mapping[str, str]:
        row = self.store.readers.one("SELECT ip, agent FROM sign_ins WHERE sign_in_id = ?", (sign_in_id,))
        return {} if row is None else {"ip": row[0], "agent": row[1]}

    def day_books(self, user_id: str, day: str) -> tuple[DayBook, ...]:
        sql = "SELECT b.body FROM day_books AS b JOIN accounts AS a ON a.account_id = b.account_id WHERE a.user_id = ? AND b.day = ?"
        return tuple(map(decode.day_book, self.store.readers.all(sql, (user_id, day))))


def _list(values: Collection[str]) -> str:
    return to_json(sorted(values))

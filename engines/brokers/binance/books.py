"""What an account has at Binance, read over one client: its orders with the help of the register, their trades, coins, positions and money.

Every answer is complete or an error. An order that Binance does not find is left out only where nobody has ever seen it; what it once showed stays as it
was shown, because its memory may lag behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engines.brokers.binance.client import Client, sorted_out
from engines.brokers.binance.errors import NO_SUCH_ORDER, Answer
from engines.brokers.binance.register import Entry, Register
from engines.brokers.binance.rows import Market, TradeRow, algo_row, canonical, fill_of, native, order_row, trade_row
from engines.core.model import ZERO, Order, OrderState, OrderType, Product
from engines.ports import Balance, BrokerFill, BrokerPosition, BrokerTrade, Clock, Holding, OrderReport, Refused, Retry

JUST_NOW = 120.0
DAY_MS = 86_400_000
MOST_TRADES = 1000
CASH = "USDT"
CONDITIONAL = frozenset({OrderType.SL, OrderType.SL_M})
"""Kinds that USD-M keeps apart until they trigger; spot has them in its book from the start."""


@dataclass(frozen=True, slots=True)
class Paths:
    """ccxt's group and Binance's weights for one market."""

    section: str
    trades: str
    open_one: int
    open_all: int
    order: int
    trades_of_order: int
    trades_of_symbol: int


PATHS: Mapping[Market, Paths] = {
    "spot": Paths("private", "myTrades", 6, 80, 4, 5, 20),
    "usdm": Paths("fapiPrivate", "userTrades", 1, 40, 1, 5, 5),
}


class Books:
    """One account's books over one client; used by the client's thread only. `known` tells the engine's live orders."""

    def __init__(self, client: Client, register: Register, clock: Clock, known: Callable[[], Sequence[Order]]) -> None:
        self._client = client
        self._register = register
        self._clock = clock
        self._known = known
        self._market: Market = client.market
        self._paths = PATHS[self._market]

    # --- orders

    def rows(self, *, whole: bool = False, ended_since: float | None = None) -> list[OrderReport]:
        """Every order of ours that can still change or has ended (since a moment ago); `whole`: also whatever else is open at Binance. Fills are not
        among them."""
        self.learn_names()
        at_work = self._register.open(self._clock.monotonic())
        seen: set[str] = set()
        told: dict[str, OrderReport] = {}
        for raw in self._open("openOrders", at_work, self._paths.open_one, self._paths.open_all, self._paths.order, whole=whole):
            self._note(order_row(raw), told, seen)
        if self._market == "usdm":
            waiting = [entry for entry in at_work if entry.conditional and entry.order_id is None]
            for raw in self._open("openAlgoOrders", waiting, 1, 40, 1, whole=whole):
                report = self._register.take_algo(algo_row(raw))
                if report is not None:
                    told[report.broker_order_id] = report
                    seen.add(report.client_id or "")
        for entry in at_work:
            if entry.client_id not in seen and (found := self.ask(entry)) is not None:
                told[found.broker_order_id] = found
        over = self._register.ended(self._clock.now() - JUST_NOW if ended_since is None else ended_since)
        return [*told.values(), *(report for report in over if report.broker_order_id not in told)]

    def _open(self, path: str, entries: Sequence[Entry], by_symbol: int, of_all: int, by_name: int, *, whole: bool) -> list[Any]:
        """What is open, read in the way that weighs least; a symbol with so few orders that asking for each weighs no more is left to that."""
        if whole:
            return self._read(path, {}, of_all)
        count = Counter(entry.symbol for entry in entries)
        symbols = sorted(symbol for symbol, orders in count.items() if orders * by_name > by_symbol)
        if len(symbols) * by_symbol > of_all:
            return self._read(path, {}, of_all)
        return [raw for symbol in symbols for raw in self._read(path, {"symbol": symbol}, by_symbol)]

    def ask(self, entry: Entry) -> OrderReport | None:
        """One order by its name; what was last told where Binance does not find it; None where it never did."""
        found = self._ask(entry)
        if found is None and entry.leg and not entry.proven and not entry.changing:
            self._give_up_leg(entry)
            found = self._ask(entry)
        return found or entry.last

    def learn_names(self) -> None:
        """Orders that the engine has and this process has not placed: sent before a restart."""
        for order in self._known():
            symbol = native(order.symbol, self._market)
            if symbol is not None and order.state is not OrderState.PLANNED and self._register.get(order.client_id) is None:
                conditional = self._market == "usdm" and order.order_type in CONDITIONAL
                self._register.expect(order.client_id, symbol, order.side, order.quantity, conditional, self._clock.monotonic())

    def _note(self, row: Any, told: dict[str, OrderReport], seen: set[str]) -> None:
        report = self._register.take(row)
        if report is None:
            if self._register.get(row.client_id.partition("-")[0]) is None:
                told[row.order_id] = self._register.stranger(row)
            return
        told[report.broker_order_id] = report
        seen.add(report.client_id or "")

    def _ask(self, entry: Entry) -> OrderReport | None:
        if entry.conditional and entry.order_id is None:
            raw = self._one("algoOrder", {"clientAlgoId": entry.leg_id}, 1)
            if raw is None:
                return None
            report = self._register.take_algo(algo_row(raw))
            if report is not None or entry.order_id is None:
                return report
        named = {"orderId": entry.order_id} if entry.order_id is not None else {"origClientOrderId": entry.leg_id}
        raw = self._one("order", {"symbol": entry.symbol, **named}, self._paths.order)
        if raw is None:
            return None
        report = self._register.take(order_row(raw))
        if report is not None and entry.order_id is not None and entry.leg == 0 and report.state is OrderState.CANCELLED:
            return self._replacement(entry) or report
        return report

    def _replacement(self, entry: Entry) -> OrderReport | None:
        """An order that was cancelled may have been replaced by the process before this one."""
        if entry.client_id not in {order.client_id for order in self._known()} or entry.proven:
            return None
        params = {"symbol": entry.symbol, "origClientOrderId": f"{entry.client_id}-1"}
        raw = self._one("order", params, self._paths.order)
        entry.proven = True
        return None if raw is None else self._register.take(order_row(raw))

    def _give_up_leg(self, entry: Entry) -> None:
        """A replacement that was sent and never seen, long enough ago: the order ended with the leg before."""
        if entry.doubted_at is not None and self._clock.monotonic() - entry.doubted_at > 20.0:
            entry.leg -= 1
            entry.doubted_at = None

    # --- trades

    def fills(self, names: Collection[str]) -> dict[str, list[BrokerFill]]:
        """The trades of these orders, by the id under which we tell each."""
        found: dict[str, list[BrokerFill]] = {}
        for name in names:
            behind = self._register.orders_behind(name)
            if behind is None:
                continue
            symbol, order_ids = behind
            for order_id in order_ids:
                raws = self._read(self._paths.trades, {"symbol": symbol, "orderId": order_id}, self._paths.trades_of_order)
                rows = [row for raw in raws if (row := trade_row(raw)).order_id == order_id]
                self._learn_fee_prices(rows)
                found.setdefault(name, []).extend(self.fill(row) for row in rows)
        return found

    def trades(self) -> list[BrokerTrade]:
        """The trades of the last day in every symbol that this account has traded through us."""
        self.learn_names()
        since = int(self._clock.now() * 1000) - DAY_MS + 1000
        told = []
        for symbol in sorted(self._register.symbols()):
            params = {"symbol": symbol, "startTime": since, "limit": MOST_TRADES}
            rows = [trade_row(raw) for raw in self._read(self._paths.trades, params, self._paths.trades_of_symbol)]
            self._learn_fee_prices(rows)
            told += [
                BrokerTrade(self._register.name_of(symbol, row.order_id), canonical(symbol, self._market), row.side, self.fill(row))
                for row in rows
            ]
        return told

    def fill(self, row: TradeRow) -> BrokerFill:
        rules = self._client.house.rules.get(row.symbol)
        base, quote = (rules.base, rules.quote) if rules else (row.symbol.removesuffix(CASH), CASH)
        return fill_of(
            row, base, quote, self._market, lambda asset, in_asset: self._client.house.price(asset + in_asset, self._clock.now())
        )

    def _learn_fee_prices(self, rows: Sequence[TradeRow]) -> None:
        """Fees paid in a third coin are converted; without its price our own estimate stands."""
        for asset in {row.commission_asset for row in rows if row.commission}:
            if asset in (CASH, "") or any(row.symbol.startswith(asset) and self._market == "spot" for row in rows):
                continue
            if self._client.house.price(asset + CASH, self._clock.now()) is None:
                self.learn_prices(asset + CASH)

    def learn_prices(self, symbol: str | None = None) -> None:
        section = "public" if self._market == "spot" else "fapiPublic"
        try:
            answer = self._client.ask(section, "GET", "ticker/price", {"symbol": symbol} if symbol else {}, weight=2 if symbol else 4)
        except (Retry, Refused):
            return  # a price that nobody tells is a price that is not known
        rows = answer if isinstance(answer, list) else [answer]
        prices = {row["symbol"]: Decimal(str(row["price"])) for row in rows if "symbol" in row and "price" in row}
        self._client.house.learn_prices(prices, self._clock.now())

    def renew_rules(self) -> None:
        """Read anew what Binance allows in the symbols in use, where that was long ago."""
        for symbol in self._client.house.stale(self._register.symbols(), self._clock.now()):
            try:
                self._client.learn(symbol)
            except Answer as no:
                raise sorted_out("read", no) from None
            if self._market == "usdm":
                return  # one read is all of them

    # --- money, coins, positions

    def balance(self) -> Balance:
        if self._market == "usdm":
            raw = self._one_read("fapiPrivateV3", "account", {}, 5)
            wallet, unrealised = Decimal(raw["totalWalletBalance"]), Decimal(raw["totalUnrealizedProfit"])
            return Balance(wallet, Decimal(raw["totalInitialMargin"]), Decimal(raw["availableBalance"]), wallet + unrealised, CASH)
        coins = self.coins()
        free, locked = coins.pop(CASH, (ZERO, ZERO))
        if coins:
            self.learn_prices()
        now, house = self._clock.now(), self._client.house
        worth = sum(((f + k) * (house.price(asset + CASH, now) or ZERO) for asset, (f, k) in coins.items()), ZERO)
        return Balance(free + locked, locked, free, free + locked + worth, CASH)

    def coins(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Spot: asset → (free, locked), of what there is any of."""
        raw = self._one_read("private", "account", {"omitZeroBalances": "true"}, 20)
        rows = {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in raw["balances"]}
        return {asset: parts for asset, parts in rows.items() if any(parts)}

    def positions(self) -> list[BrokerPosition]:
        """USD-M: the net of each symbol. Spot: the coins held, as the symbol in which this account trades them."""
        if self._market == "spot":
            return [BrokerPosition(holding.symbol, Product.MIS, holding.quantity) for holding in self.holdings()]
        net: dict[str, tuple[Decimal, Decimal]] = {}
        for raw in self._read("positionRisk", {}, 5, section="fapiPrivateV3"):
            amount, cost = net.get(raw["symbol"], (ZERO, ZERO))
            more = Decimal(raw["positionAmt"])
            net[raw["symbol"]] = amount + more, cost + more * Decimal(raw.get("entryPrice") or 0)
        return [
            BrokerPosition(canonical(symbol, "usdm"), Product.MIS, amount, cost / amount)
            for symbol, (amount, cost) in net.items()
            if amount
        ]

    def holdings(self) -> list[Holding]:
        if self._market != "spot":
            return []
        now, house = self._clock.now(), self._client.house
        traded = {rules.base: symbol for symbol in self._register.symbols() if (rules := house.rules.get(symbol)) is not None}
        return [
            Holding(canonical(symbol, "spot"), free + locked, last_price=house.price(symbol, now))
            for asset, (free, locked) in self.coins().items()
            if asset != CASH
            for symbol in (traded.get(asset, asset + CASH),)
        ]

    # --- asking

    def _read(self, path: str, params: Mapping[str, Any], weight: int, section: str | None = None) -> list[Any]:
        answer = self._client.ask(section or self._paths.section, "GET", path, params, weight=weight)
        if not isinstance(answer, list):
            raise Retry(f"Binance's answer to {path} is no list")
        return answer

    def _one_read(self, section: str, path: str, params: Mapping[str, Any], weight: int) -> Mapping[str, Any]:
        answer = self._client.ask(section, "GET", path, params, weight=weight)
        if not isinstance(answer, dict):
            raise Retry(f"Binance's answer to {path} is no object")
        return answer

    def _one(self, path: str, params: Mapping[str, Any], weight: int) -> Mapping[str, Any] | None:
        """None where Binance does not know it."""
        try:
            answer = self._client.call(self._paths.section, "GET", path, params, weight=weight)
        except Answer as no:
            if no.code == NO_SUCH_ORDER:
                return None
            raise sorted_out("read", no) from None
        if not isinstance(answer, dict):
            raise Retry(f"Binance's answer to {path} is no object")
        return answer

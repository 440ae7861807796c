"""Conditional orders of the futures: the algo service, where a stop waits under a number of its own and becomes a plain order when it fires.

NEW → TRIGGERING → TRIGGERED → FINISHED, or CANCELED, REJECTED, EXPIRED. There is no check of margin before it fires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.binance import filters, rows
from tests.emulators.binance.desk import Asked, Terms
from tests.emulators.binance.errors import Api, refusal
from tests.emulators.binance.filters import decimal_of
from tests.emulators.binance.markets import Market, plain
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder

if TYPE_CHECKING:
    from tests.emulators.binance.emulator import BinanceEmulator

ZERO = Decimal(0)
MOST = 200
TYPES = {"STOP": "LIMIT", "TAKE_PROFIT": "LIMIT", "STOP_MARKET": "MARKET", "TAKE_PROFIT_MARKET": "MARKET"}
OVER = frozenset({"FINISHED", "CANCELED", "REJECTED", "EXPIRED"})


@dataclass(eq=False, slots=True)
class Algo:
    algo_id: int
    client_id: str
    market: Market
    side: Side
    word: str
    quantity: Decimal | None  # None: whatever there is to close
    price: Decimal | None
    trigger: Decimal
    working_type: str
    time_in_force: str
    position_side: str
    product: Product
    reduce_only: bool
    close_position: bool
    created_at: float
    updated_at: float
    status: str = "NEW"
    triggered_at: float = 0.0
    actual: EmulatedOrder | None = None
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def takes_profit(self) -> bool:
        return self.word.startswith("TAKE_PROFIT")

    def row(self) -> dict[str, Any]:
        actual = self.actual
        return {
            "algoId": self.algo_id,
            "clientAlgoId": self.client_id,
            "algoType": "CONDITIONAL",
            "orderType": self.word,
            "symbol": self.market.symbol,
            "side": self.side.value,
            "positionSide": self.position_side,
            "timeInForce": self.time_in_force,
            "quantity": plain(self.quantity or ZERO),
            "algoStatus": self.status,
            "actualOrderId": actual.broker_order_id if actual else "",
            "actualPrice": plain(actual.average_price or ZERO) if actual else "0",
            "actualQty": plain(actual.filled) if actual else "0",
            "actualType": actual.extra["type"] if actual else "",
            "triggerPrice": plain(self.trigger),
            "price": plain(self.price or ZERO),
            "icebergQuantity": None,
            "tpTriggerPrice": "0",
            "tpPrice": "0",
            "slTriggerPrice": "0",
            "slPrice": "0",
            "tpOrderType": "",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": self.working_type,
            "priceMatch": "NONE",
            "closePosition": self.close_position,
            "priceProtect": False,
            "reduceOnly": self.reduce_only,
            "createTime": rows.ms(self.created_at),
            "updateTime": rows.ms(self.updated_at),
            "triggerTime": rows.ms(self.triggered_at),
            "goodTillDate": 0,
        }

    def event(self, at: float, error: str = "") -> dict[str, Any]:
        """An `ALGO_UPDATE`."""
        actual = self.actual
        said = {
            "caid": self.client_id,
            "aid": self.algo_id,
            "at": "CONDITIONAL",
            "o": self.word,
            "s": self.market.symbol,
            "S": self.side.value,
            "ps": self.position_side,
            "f": self.time_in_force,
            "q": plain(self.quantity or ZERO),
            "X": self.status,
            "ai": actual.broker_order_id if actual else "",
            "ap": plain(actual.average_price or ZERO) if actual else "0",
            "aq": plain(actual.filled) if actual else "0",
            "act": actual.extra["type"] if actual else "0",
            "tp": plain(self.trigger),
            "p": plain(self.price or ZERO),
            "V": "EXPIRE_MAKER",
            "wt": self.working_type,
            "pm": "NONE",
            "cp": self.close_position,
            "pP": False,
            "R": self.reduce_only,
            "tt": rows.ms(self.triggered_at),
            "gtd": 0,
            "rm": error,
        }
        return {"e": "ALGO_UPDATE", "T": rows.ms(at), "E": rows.ms(at), "o": said}


class Algos:
    def __init__(self, emulator: BinanceEmulator) -> None:
        self._emulator = emulator
        self._desk = emulator.futures
        self._busy = False

    def of(self, account: EmulatedAccount) -> list[Algo]:
        found: list[Algo] = account.extra.setdefault("algos", [])
        return found

    def working(self, account: EmulatedAccount) -> list[Algo]:
        return [x for x in self.of(account) if x.status not in OVER and x.status != "TRIGGERED"]

    # --- requests --------------------------------------------------------------------------------------------------

    def place(self, asked: Asked) -> Any:
        if asked.need("algoType") != "CONDITIONAL":
            raise refusal(-1102, name="algoType")
        algo = self._made(asked)
        self._emulator.weights.order(asked.account.name, "fapi", self._emulator.clock.now())
        self.of(asked.account).append(algo)
        self._tell(asked.account, algo)
        return algo.row()

    def _made(self, asked: Asked) -> Algo:
        desk, market, side, word = self._desk, self._desk.market(asked), asked.side(), asked.need("type")
        if word not in TYPES:
            raise refusal(-1116)
        trigger = decimal_of(asked.fields, "triggerPrice", needed=True)
        price = decimal_of(asked.fields, "price", needed=True) if TYPES[word] == "LIMIT" else None
        closes = asked.true("closePosition")
        if closes and (TYPES[word] != "MARKET" or "quantity" in asked.fields or "reduceOnly" in asked.fields):
            raise refusal(-1106, name="closePosition")
        quantity = None if closes else decimal_of(asked.fields, "quantity", needed=True)
        position_side, product, reduces = desk.position_side(asked, side)
        client_id = asked.fields.get("clientAlgoId") or desk.new_id()
        filters.check_client_id("clientAlgoId", client_id, futures=True)
        assert trigger is not None
        filters.futures(market.rules, word, quantity, price, trigger, desk.quote(market).last, reduces=reduces or closes)
        working = self.working(asked.account)
        if any(x.client_id == client_id for x in working):
            raise refusal(-4116)
        if len(working) >= MOST:
            raise Api(-4045, "Reach max stop order limit.", 400)
        if desk.past(market, side, trigger, profit=word.startswith("TAKE_PROFIT")):
            raise refusal(-2021)
        now = self._emulator.clock.now()
        return Algo(
            self._emulator.next_number("algo"),
            client_id,
            market,
            side,
            word,
            quantity,
            price,
            trigger,
            asked.fields.get("workingType", "CONTRACT_PRICE"),
            asked.fields.get("timeInForce", "GTC"),
            position_side,
            product,
            reduces,
            closes,
            now,
            now,
            asked=dict(asked.fields),
        )

    def query(self, asked: Asked) -> Any:
        return self._find(asked, -2013).row()

    def cancel(self, asked: Asked) -> Any:
        algo = self._find(asked, -2011)
        if algo.status != "NEW":
            raise refusal(-2011)
        self._become(asked.account, algo, "CANCELED")
        return {"algoId": algo.algo_id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}

    def cancel_all(self, asked: Asked) -> Any:
        market = self._desk.market(asked)
        for algo in [x for x in self.working(asked.account) if x.market is market]:
            self._become(asked.account, algo, "CANCELED")
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_ones(self, asked: Asked) -> Any:
        market = self._desk.maybe_market(asked)
        return [x.row() for x in self.working(asked.account) if market is None or x.market is market]

    def everything(self, asked: Asked) -> Any:
        market = self._desk.market(asked)
        return [x.row() for x in self.of(asked.account) if x.market is market][-min(asked.whole("limit", 500), 1000) :]

    def _find(self, asked: Asked, missing: int) -> Algo:
        number, client_id = asked.fields.get("algoId"), asked.fields.get("clientAlgoId")
        if not number and not client_id:
            raise refusal(-1102, name="algoId")
        for algo in reversed(self.of(asked.account)):
            if str(algo.algo_id) == number or (not number and algo.client_id == client_id):
                return algo
        raise refusal(missing)

    # --- firing ----------------------------------------------------------------------------------------------------

    def reach(self) -> None:
        """Whatever the present prices reach fires; called when prices have moved."""
        if self._busy:
            return
        self._busy = True
        try:
            for account in self._emulator.exchange.accounts.values():
                for algo in self.working(account):
                    if self._desk.past(algo.market, algo.side, algo.trigger, profit=algo.takes_profit):
                        self._fire(account, algo)
        finally:
            self._busy = False

    def _fire(self, account: EmulatedAccount, algo: Algo) -> None:
        algo.triggered_at = self._emulator.clock.now()
        self._become(account, algo, "TRIGGERING")
        held = self._emulator.exchange.held(account, algo.market.instrument, algo.product)
        if algo.close_position and held * algo.side.sign >= 0:
            self._become(account, algo, "EXPIRED")
            return
        quantity = abs(held) if algo.quantity is None else algo.quantity
        try:
            algo.actual = self._emulator.place_actual(account, self._terms(account, algo, quantity), algo)
        except Api as error:
            self._become(account, algo, "REJECTED", error.message)
            return
        self._become(account, algo, "TRIGGERED")
        self._become(account, algo, "FINISHED")

    def _terms(self, account: EmulatedAccount, algo: Algo, quantity: Decimal) -> Terms:
        word = TYPES[algo.word]
        kind = OrderType.MARKET if word == "MARKET" else OrderType.LIMIT
        reduces = algo.reduce_only or algo.close_position
        terms = Terms(
            algo.market,
            algo.side,
            kind,
            quantity,
            algo.price,
            None,
            algo.client_id,
            word,
            algo.time_in_force,
            algo.product,
            reduces,
            algo.position_side,
        )
        if reduces:
            terms.quantity = self._desk.reducible(account, terms)
        return terms

    def _become(self, account: EmulatedAccount, algo: Algo, status: str, error: str = "") -> None:
        algo.status, algo.updated_at = status, self._emulator.clock.now()
        self._tell(account, algo, error)

    def _tell(self, account: EmulatedAccount, algo: Algo, error: str = "") -> None:
        self._emulator.tell(account, algo.event(self._emulator.clock.now(), error))

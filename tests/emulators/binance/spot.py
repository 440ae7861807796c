"""The spot desk of the emulated Binance: orders under their filters, cancellations, balances, trades.

A client's own id is unique only among its open orders, so that an id sent again after a fill trades again; nothing here protects from that.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from engines.core.model import OrderType, Side
from tests.emulators.binance import filters, rows
from tests.emulators.binance.desk import Asked, Desk, Terms
from tests.emulators.binance.errors import DUPLICATE, NOT_ENOUGH, WOULD_TAKE, WOULD_TRIGGER, Api, refusal
from tests.emulators.binance.filters import decimal_of
from tests.emulators.binance.markets import SPOT, Market, eight, spot_info
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder

ZERO = Decimal(0)
TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.SL_M,
    "STOP_LOSS_LIMIT": OrderType.SL,
}
FEE = Decimal("0.001")
SMALLEST = Decimal("0.00000001")


class SpotDesk(Desk):
    kind = SPOT

    def info(self, asked: Asked) -> Any:
        made = spot_info(self.emulator.now_ms())
        wanted = asked.fields.get("symbol")
        if wanted:
            self.market(asked)
            made["symbols"] = [x for x in made["symbols"] if x["symbol"] == wanted]
        return made

    def place(self, asked: Asked) -> Any:
        order = self.book(asked, self._terms(asked))
        if "quoteOrderQty" in asked.fields:
            order.extra["quote_quantity"] = Decimal(asked.fields["quoteOrderQty"])
        if order.filled:
            self.emulator.weights.filled(asked.account.name, "api")
        default = "FULL" if order.extra["type"] in ("MARKET", "LIMIT") else "ACK"
        return rows.spot_placed(order, self.of(order), asked.fields.get("newOrderRespType", default))

    def test(self, asked: Asked) -> Any:
        self._terms(asked)
        return {}

    def _terms(self, asked: Asked) -> Terms:
        market, side, word = self.market(asked), asked.side(), asked.need("type")
        kind = TYPES.get(word)
        if kind is None:
            raise refusal(-1116)
        limit, stop = kind in (OrderType.LIMIT, OrderType.SL), kind in (OrderType.SL_M, OrderType.SL)
        price = decimal_of(asked.fields, "price", needed=limit)
        trigger = decimal_of(asked.fields, "stopPrice", needed=stop)
        in_force = asked.need("timeInForce") if word in ("LIMIT", "STOP_LOSS_LIMIT") else "GTC"
        if not limit and price is not None:
            raise refusal(-1106, name="price")
        quantity = self._quantity(asked, market, side, word)
        client_id = asked.fields.get("newClientOrderId") or self.new_id()
        filters.check_client_id("newClientOrderId", client_id, futures=False)
        filters.spot(market.rules, word, side.value, quantity, price, trigger, self.quote(market).last)
        if any(x.client_id == client_id for x in asked.account.working.values()):
            raise refusal(-2010, DUPLICATE)
        terms = Terms(market, side, kind, quantity, price, trigger, client_id, word, in_force)
        if trigger is not None and self.past(market, side, trigger):
            raise refusal(-2010, WOULD_TRIGGER)
        if word == "LIMIT_MAKER" and self.would_take(terms):
            raise refusal(-2010, WOULD_TAKE)
        return terms

    def _quantity(self, asked: Asked, market: Market, side: Side, word: str) -> Decimal:
        spend = decimal_of(asked.fields, "quoteOrderQty") if word == "MARKET" else None
        if spend is not None:
            quote = self.quote(market)
            at = quote.ask if side is Side.BUY else quote.bid
            return spend / at // market.rules.step * market.rules.step
        quantity = decimal_of(asked.fields, "quantity", needed=True)
        assert quantity is not None
        return quantity

    def refused(self, why: str) -> Api:
        return refusal(-2010, NOT_ENOUGH if "funds" in why or "held" in why else why)

    def cancel(self, asked: Asked) -> Any:
        order = self.find(asked, self.market(asked), -2011)
        cancel_id = asked.fields.get("newClientOrderId") or self.new_id()
        self.cancel_order(asked.account, order, cancel_id)
        return rows.spot_cancelled(order, self.of(order), cancel_id)

    def cancel_all(self, asked: Asked) -> Any:
        found = self.orders(asked.account, self.market(asked), working=True)
        if not found:
            raise refusal(-2011)
        told = []
        for order in found:
            cancel_id = self.new_id()
            self.cancel_order(asked.account, order, cancel_id)
            told.append(rows.spot_cancelled(order, self.of(order), cancel_id))
        return told

    def replace(self, asked: Asked) -> Any:
        """Cancels one and places another (STOP_ON_FAILURE): 409 when only the second half failed, 400 when both."""
        given = asked.fields
        old = {"orderId": given.get("cancelOrderId", ""), "origClientOrderId": given.get("cancelOrigClientOrderId", "")}
        half = Asked(asked.call, {**given, **old, "newClientOrderId": given.get("cancelNewClientOrderId", "")})
        gone = self._half(lambda: self.cancel(half))
        if isinstance(gone, Api):
            self._replace_failed(400, -2022, "Order cancel-replace failed.", "FAILURE", "NOT_ATTEMPTED", gone.body(), None)
        new = self._half(lambda: self.place(asked))
        if isinstance(new, Api):
            self._replace_failed(409, -2021, "Order cancel-replace partially failed.", "SUCCESS", "FAILURE", gone, new.body())
        return {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": gone, "newOrderResponse": new}

    def _half(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Api as error:
            return error

    def _replace_failed(self, status: int, code: int, text: str, cancelled: str, placed: str, gone: Any, new: Any) -> None:
        data = {"cancelResult": cancelled, "newOrderResult": placed, "cancelResponse": gone, "newOrderResponse": new}
        raise Api(code, text, status, data=data)

    # --- reads -----------------------------------------------------------------------------------------------------

    def order(self, asked: Asked) -> Any:
        return self._row(self.find(asked, self.market(asked), -2013, query=True))

    def open_orders(self, asked: Asked) -> Any:
        return [self._row(x) for x in self.orders(asked.account, self.maybe_market(asked), working=True)]

    def all_orders(self, asked: Asked) -> Any:
        return [self._row(x) for x in self.history_of(asked, self.market(asked))]

    def trades(self, asked: Asked) -> Any:
        market = self.market(asked)
        return [rows.spot_trade(x, market) for x in self.trades_of(asked, market, 1000)]

    def account(self, asked: Asked) -> Any:
        everything = self.balances(asked.account)
        zero = asked.true("omitZeroBalances")
        told = [rows.balance(asset, *x) for asset, x in everything.items() if not zero or any(x)]
        rate = eight(FEE)
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": rate, "taker": rate, "buyer": eight(ZERO), "seller": eight(ZERO)},
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self.emulator.now_ms(),
            "accountType": "SPOT",
            "balances": told,
            "permissions": ["SPOT"],
            "uid": self.emulator.uid(asked.account),
        }

    def balances(self, account: EmulatedAccount) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset → (free, locked)."""
        blocked = self.exchange.blocked(account)
        made = {"USDT": (self.exchange.money(account) - blocked, blocked)}
        for market in self.markets.values():
            owned = self.exchange.net(account, market.ours)
            offered = sum((x.pending for x in self.orders(account, market, working=True) if x.side is Side.SELL), ZERO)
            made[market.base] = (owned - offered, offered)
        return made

    def commission(self, asked: Asked) -> Any:
        rate, none = eight(FEE), eight(ZERO)
        standard = {"maker": rate, "taker": rate, "buyer": none, "seller": none}
        nothing = dict.fromkeys(standard, none)
        discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.75000000"}
        symbol = self.market(asked).symbol
        return {
            "symbol": symbol,
            "standardCommission": standard,
            "taxCommission": nothing,
            "specialCommission": nothing,
            "discount": discount,
        }

    def average_price(self, asked: Asked) -> Any:
        quote = self.quote(self.market(asked))
        return {"mins": 5, "price": eight(quote.last), "closeTime": rows.ms(quote.at)}

    def write(self, value: Decimal) -> str:
        return eight(value)

    def _row(self, order: EmulatedOrder) -> dict[str, Any]:
        return rows.spot_order(order, self.of(order))

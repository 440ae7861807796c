"""The USD-M desk of the emulated Binance: plain orders, the settings of account and symbol, money and positions.

In hedge mode long and short are two positions; the exchange behind keeps them apart by the product (MIS long or one-way, NRML short).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from engines.core.model import OrderType, Product, Side
from tests.emulators.binance import filters, rows
from tests.emulators.binance.desk import Asked, Desk, Terms
from tests.emulators.binance.errors import Api, refusal
from tests.emulators.binance.filters import decimal_of
from tests.emulators.binance.markets import USDM, Market, eight, futures_info, plain
from tests.emulators.core.exchange import EmulatedAccount, EmulatedOrder, NotBooked, PositionBook

ZERO = Decimal(0)
CONDITIONAL = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
TAKER, MAKER = Decimal("0.0005"), Decimal("0.0002")
START_LEVERAGE, MOST_LEVERAGE = 20, 125
MOST_BATCH = 5
POST_ONLY = "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history"


class FuturesDesk(Desk):
    kind = USDM

    def info(self, asked: Asked) -> Any:
        return futures_info(self.emulator.now_ms())

    # --- orders ----------------------------------------------------------------------------------------------------

    def place(self, asked: Asked) -> Any:
        if asked.need("type") in CONDITIONAL:
            raise refusal(-4120)
        order = self.book(asked, self._terms(asked))
        self.tidy(asked.account)
        return rows.futures_placed(order, self.of(order), asked.fields.get("newOrderRespType", "ACK"))

    def batch(self, asked: Asked) -> Any:
        given = json.loads(asked.need("batchOrders"))
        if not isinstance(given, list) or not 0 < len(given) <= MOST_BATCH:
            raise refusal(-1102, name="batchOrders")
        told = []
        for each in given:
            try:
                told.append(self.place(Asked(asked.call, {name: str(value) for name, value in each.items()})))
            except Api as error:
                told.append(error.body())
        return told

    def _terms(self, asked: Asked) -> Terms:
        market, side, word = self.market(asked), asked.side(), asked.need("type")
        if word not in ("MARKET", "LIMIT"):
            raise refusal(-1116)
        quantity = decimal_of(asked.fields, "quantity", needed=True)
        assert quantity is not None
        price = decimal_of(asked.fields, "price", needed=word == "LIMIT") if word == "LIMIT" else None
        in_force = asked.need("timeInForce") if word == "LIMIT" else "GTC"
        position_side, product, reduces = self.position_side(asked, side)
        client_id = asked.fields.get("newClientOrderId") or self.new_id()
        filters.check_client_id("newClientOrderId", client_id, futures=True)
        filters.futures(market.rules, word, quantity, price, None, self.quote(market).last, reduces=reduces)
        if any(x.client_id == client_id for x in asked.account.working.values()):
            raise refusal(-4116)
        kind = OrderType.MARKET if word == "MARKET" else OrderType.LIMIT
        terms = Terms(market, side, kind, quantity, price, None, client_id, word, in_force, product, reduces, position_side)
        if reduces:
            terms.quantity = self.reducible(asked.account, terms)
        if in_force == "GTX" and self.would_take(terms):
            raise refusal(-5022, POST_ONLY)
        return terms

    def position_side(self, asked: Asked, side: Side) -> tuple[str, Product, bool]:
        """(positionSide, the product it is kept under, whether the order may only reduce)."""
        dual, word = bool(asked.account.extra.get("dual")), asked.fields.get("positionSide", "BOTH")
        if (word == "BOTH") == dual or word not in ("BOTH", "LONG", "SHORT"):
            raise refusal(-4061)
        if not dual:
            return word, Product.MIS, asked.true("reduceOnly")
        if "reduceOnly" in asked.fields:
            raise refusal(-1106, name="reduceonly")
        opens = (word == "LONG") == (side is Side.BUY)
        return word, Product.MIS if word == "LONG" else Product.NRML, not opens

    def reducible(self, account: EmulatedAccount, terms: Terms) -> Decimal:
        """As much of it as there is to reduce."""
        held = self.exchange.held(account, terms.market.instrument, terms.product)
        if held * terms.side.sign >= 0:
            raise refusal(-2022)
        return min(terms.quantity, abs(held))

    def refused(self, why: str) -> Api:
        return refusal(-2019) if "funds" in why else refusal(-2010, why)

    def tidy(self, account: EmulatedAccount) -> None:
        """Orders that may only reduce end when there is nothing left to reduce."""
        for order in [x for x in account.working.values() if x.reduce_only]:
            if self.exchange.held(account, order.instrument, order.product) * order.side.sign >= 0:
                self.exchange.cancel(account, order)

    def modify(self, asked: Asked) -> Any:
        market = self.market(asked)
        order = self.find(asked, market, -2013)
        if order.done or order.order_type is not OrderType.LIMIT:
            raise refusal(-2013)
        quantity, price = decimal_of(asked.fields, "quantity", needed=True), decimal_of(asked.fields, "price", needed=True)
        filters.futures(market.rules, "LIMIT", quantity, price, None, self.quote(market).last, reduces=order.reduce_only)
        if (quantity, price) == (order.quantity, order.price):
            raise refusal(-5027, "No need to modify the order.")
        try:
            self.exchange.modify(asked.account, order, quantity=quantity, price=price)
        except NotBooked as error:
            raise self.refused(str(error)) from None
        return rows.futures_order(order, market)

    def cancel(self, asked: Asked) -> Any:
        order = self.find(asked, self.market(asked), -2011)
        self.cancel_order(asked.account, order, order.client_id or "")
        return rows.futures_order(order, self.of(order))

    def cancel_all(self, asked: Asked) -> Any:
        for order in self.orders(asked.account, self.market(asked), working=True):
            self.cancel_order(asked.account, order, order.client_id or "")
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def order(self, asked: Asked) -> Any:
        return self._row(self.find(asked, self.market(asked), -2013, query=True))

    def open_order(self, asked: Asked) -> Any:
        order = self.find(asked, self.market(asked), -2013)
        if order.done:
            raise refusal(-2013)
        return self._row(order)

    def open_orders(self, asked: Asked) -> Any:
        return [self._row(x) for x in self.orders(asked.account, self.maybe_market(asked), working=True)]

    def all_orders(self, asked: Asked) -> Any:
        return [self._row(x) for x in self.history_of(asked, self.market(asked))]

    def trades(self, asked: Asked) -> Any:
        orders = asked.account.orders
        return [
            rows.futures_trade(x, orders[x.broker_order_id], self.of(orders[x.broker_order_id]))
            for x in self.trades_of(asked, self.maybe_market(asked), 1000)
        ]

    def _row(self, order: EmulatedOrder) -> dict[str, Any]:
        return rows.futures_order(order, self.of(order))

    # --- settings --------------------------------------------------------------------------------------------------

    def leverage_of(self, account: EmulatedAccount, market: Market) -> int:
        chosen: dict[str, int] = account.extra.setdefault("leverage", {})
        return chosen.get(market.symbol, START_LEVERAGE)

    def leverage(self, asked: Asked) -> Any:
        market, wanted = self.market(asked), asked.whole("leverage")
        if not 1 <= wanted <= MOST_LEVERAGE:
            raise refusal(-4028, leverage=wanted)
        asked.account.extra.setdefault("leverage", {})[market.symbol] = wanted
        return {"leverage": wanted, "maxNotionalValue": "1000000", "symbol": market.symbol}

    def margin_type(self, asked: Asked) -> Any:
        market, wanted = self.market(asked), asked.need("marginType")
        if wanted not in ("ISOLATED", "CROSSED"):
            raise refusal(-1102, name="marginType")
        if self._margin_types(asked.account).get(market.symbol, "CROSSED") == wanted:
            raise refusal(-4046)
        if self.orders(asked.account, market, working=True):
            raise refusal(-4047)
        if self.exchange.net(asked.account, market.ours):
            raise refusal(-4048)
        self._margin_types(asked.account)[market.symbol] = wanted
        return {"code": 200, "msg": "success"}

    def _margin_types(self, account: EmulatedAccount) -> dict[str, str]:
        found: dict[str, str] = account.extra.setdefault("margin_types", {})
        return found

    def position_mode(self, asked: Asked) -> Any:
        return {"dualSidePosition": bool(asked.account.extra.get("dual"))}

    def set_position_mode(self, asked: Asked) -> Any:
        asked.need("dualSidePosition")
        wanted, account = asked.true("dualSidePosition"), asked.account
        if wanted == bool(account.extra.get("dual")):
            raise refusal(-4059)
        if account.working or self.emulator.algos.working(account):
            raise refusal(-4067)
        if any(x.quantity for x in account.positions.values()):
            raise refusal(-4068)
        account.extra["dual"] = wanted
        return {"code": 200, "msg": "success"}

    def multi_assets(self, asked: Asked) -> Any:
        return {"multiAssetsMargin": False}

    def account_config(self, asked: Asked) -> Any:
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": bool(asked.account.extra.get("dual")),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def symbol_config(self, asked: Asked) -> Any:
        found = self.maybe_market(asked)
        return [
            {
                "symbol": market.symbol,
                "marginType": self._margin_types(asked.account).get(market.symbol, "CROSSED"),
                "isAutoAddMargin": False,
                "leverage": self.leverage_of(asked.account, market),
                "maxNotionalValue": "1000000",
            }
            for market in ([found] if found else self.markets.values())
        ]

    def brackets(self, asked: Asked) -> Any:
        found = self.maybe_market(asked)
        one = {
            "bracket": 1,
            "initialLeverage": MOST_LEVERAGE,
            "notionalCap": 300000,
            "notionalFloor": 0,
            "maintMarginRatio": 0.004,
            "cum": 0.0,
        }
        return [{"symbol": x.symbol, "brackets": [one]} for x in ([found] if found else self.markets.values())]

    def commission(self, asked: Asked) -> Any:
        return {"symbol": self.market(asked).symbol, "makerCommissionRate": plain(MAKER), "takerCommissionRate": plain(TAKER)}

    # --- money -----------------------------------------------------------------------------------------------------

    def balance(self, asked: Asked) -> Any:
        return [self._usdt(asked.account)]

    def _usdt(self, account: EmulatedAccount) -> dict[str, Any]:
        wallet, gain, free = self._money(account)
        return {
            "accountAlias": "SgsR",
            "asset": "USDT",
            "balance": eight(wallet),
            "crossWalletBalance": eight(wallet),
            "crossUnPnl": eight(gain),
            "availableBalance": eight(free),
            "maxWithdrawAmount": eight(free),
            "marginAvailable": True,
            "updateTime": self.emulator.now_ms(),
        }

    def _money(self, account: EmulatedAccount) -> tuple[Decimal, Decimal, Decimal]:
        """(wallet, unrealised, free for new orders)."""
        wallet = account.cash + self.exchange.realised(account) - account.fees
        gain = self.exchange.unrealised(account)
        return wallet, gain, wallet + gain - self.exchange.used_margin(account) - self.exchange.blocked(account)

    def account(self, asked: Asked) -> Any:
        account = asked.account
        wallet, gain, free = self._money(account)
        margin = self.exchange.used_margin(account)
        totals = {
            "totalInitialMargin": margin + self.exchange.blocked(account),
            "totalMaintMargin": margin / 10,
            "totalWalletBalance": wallet,
            "totalUnrealizedProfit": gain,
            "totalMarginBalance": wallet + gain,
            "totalPositionInitialMargin": margin,
            "totalOpenOrderInitialMargin": self.exchange.blocked(account),
            "totalCrossWalletBalance": wallet,
            "totalCrossUnPnl": gain,
            "availableBalance": free,
            "maxWithdrawAmount": free,
        }
        asset = {
            "asset": "USDT",
            "walletBalance": eight(wallet),
            "unrealizedProfit": eight(gain),
            "marginBalance": eight(wallet + gain),
            "maintMargin": eight(margin / 10),
            "initialMargin": eight(totals["totalInitialMargin"]),
            "positionInitialMargin": eight(margin),
            "openOrderInitialMargin": eight(totals["totalOpenOrderInitialMargin"]),
            "crossWalletBalance": eight(wallet),
            "crossUnPnl": eight(gain),
            "availableBalance": eight(free),
            "maxWithdrawAmount": eight(free),
            "updateTime": self.emulator.now_ms(),
        }
        return {**{name: eight(x) for name, x in totals.items()}, "assets": [asset], "positions": self.position_rows(account)}

    def positions(self, asked: Asked) -> Any:
        return self.position_rows(asked.account, self.maybe_market(asked))

    def position_rows(self, account: EmulatedAccount, market: Market | None = None) -> list[dict[str, Any]]:
        """Only what has a position or an open order."""
        dual, told = bool(account.extra.get("dual")), []
        for each in [market] if market else self.markets.values():
            busy = bool(self.orders(account, each, working=True))
            for product in (Product.MIS, Product.NRML) if dual else (Product.MIS,):
                book = account.positions.get((each.ours, product)) or PositionBook(each.instrument, product)
                if not book.quantity and not busy:
                    continue
                side = ("LONG" if product is Product.MIS else "SHORT") if dual else "BOTH"
                leverage = Decimal(self.leverage_of(account, each))
                told.append(rows.futures_position(book, each, self.quote(each).last, side, leverage, self.emulator.clock.now()))
        return told

    def mark_price(self, asked: Asked) -> Any:
        def one(market: Market) -> dict[str, Any]:
            quote = self.quote(market)
            mark = eight(quote.last)
            return {
                "symbol": market.symbol,
                "markPrice": mark,
                "indexPrice": mark,
                "estimatedSettlePrice": mark,
                "lastFundingRate": "0.00010000",
                "interestRate": "0.00010000",
                "nextFundingTime": (rows.ms(quote.at) // 28_800_000 + 1) * 28_800_000,
                "time": rows.ms(quote.at),
            }

        return self._each(asked, one)

    def write(self, value: Decimal) -> str:
        return plain(value)

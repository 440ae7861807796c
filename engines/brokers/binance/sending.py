"""Orders on their way out: built by ccxt from exact numbers, written once, and what the answer says of them.

A request goes out a second time only where Binance has said, by a code that it gives before anything else, that the first did nothing. Leverage and
margin mode are set on purpose before the first entry in a symbol; the position mode is read and obeyed, never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from engines.brokers.binance.books import CONDITIONAL, PATHS
from engines.brokers.binance.client import Client, sorted_out
from engines.brokers.binance.errors import FILTER, MODE, Answer, Means, meaning
from engines.brokers.binance.filters import Fitted, Rules, fit, text
from engines.brokers.binance.register import Entry
from engines.brokers.binance.rows import Market, native
from engines.core.model import Account, OrderType, Side
from engines.ports import Halted, NeedsLogin, OrderRequest, Permit, Refused, Retry, Unknown

MARGIN_MODES = {"isolated": "ISOLATED", "cross": "CROSSED", "crossed": "CROSSED"}
_KIND = {OrderType.MARKET: "market", OrderType.SL_M: "market", OrderType.LIMIT: "limit", OrderType.SL: "limit"}


class Exists(Exception):
    """Binance has an order of this name already: it is ours, and must be asked for."""


class Sender:
    """Orders of one account, over the lane's client and on the lane's thread."""

    def __init__(self, client: Client, account: Account, margin_mode: str) -> None:
        self._client = client
        self._account = account
        self._market: Market = client.market
        self._section = PATHS[self._market].section
        self._margin_mode = MARGIN_MODES.get(margin_mode, "ISOLATED")
        self._hedged = False
        self._settings: dict[str, tuple[int, str]] = {}  # symbol → leverage and margin mode at Binance

    # --- what the account is set to

    def learn_settings(self, hedged: bool, rows: list[Mapping[str, Any]]) -> None:
        """From accountConfig and symbolConfig."""
        self._hedged = hedged
        self._settings = {row["symbol"]: (int(row["leverage"]), str(row["marginType"]).upper()) for row in rows}

    def read_mode(self) -> None:
        answer = self._client.ask(self._section, "GET", "positionSide/dual", weight=30)
        self._hedged = str(answer["dualSidePosition"]).lower() == "true"

    def prepare(self, symbol: str) -> None:
        """Leverage and margin mode as this account wants them, before an entry; nothing is asked where Binance is known to have them so."""
        leverage = max(1, int(self._account.leverage))
        now = self._settings.get(symbol)
        if now == (leverage, self._margin_mode):
            return
        if now is None or now[1] != self._margin_mode:
            self._set_margin_mode(symbol)
        if now is None or now[0] != leverage:
            try:
                self._client.ask(self._section, "POST", "leverage", {"symbol": symbol, "leverage": leverage}, call="modify")
            except Unknown as error:
                raise Retry(f"the leverage of {symbol} could not be set: {error}") from None
            except Refused as error:
                raise Refused(f"leverage {leverage} for {symbol} was not taken: {error}") from None
        self._settings[symbol] = (leverage, self._margin_mode)

    def _set_margin_mode(self, symbol: str) -> None:
        """Open orders, an open position or an account of many currencies keep the mode that is there: told by Binance, and no reason not to trade."""
        try:
            self._client.call(self._section, "POST", "marginType", {"symbol": symbol, "marginType": self._margin_mode}, call="modify")
        except Answer as answer:
            if meaning("modify", answer.status, answer.code, answer.message).means not in (Means.DONE, Means.REFUSED):
                error = sorted_out("modify", answer)
                raise (Retry(f"the margin mode of {symbol} could not be set") if isinstance(error, Unknown) else error) from None
        except Unknown as error:
            raise Retry(f"the margin mode of {symbol} could not be set: {error}") from None

    # --- requests

    def rules(self, symbol: str) -> Rules:
        """Known ones, however old: the update worker renews them. Read here only for the first order in a symbol."""
        house = self._client.house
        if symbol not in house.rules:
            try:
                self._client.learn(symbol)
            except Answer as answer:
                raise sorted_out("read", answer) from None
        rules = house.rules.get(symbol)
        if rules is None:
            raise Refused(f"Binance does not list {symbol}")
        return rules

    def fitted(self, request: OrderRequest, symbol: str) -> Fitted:
        return fit(
            self.rules(symbol),
            request.side,
            request.order_type,
            request.quantity,
            request.price,
            request.trigger_price,
            quote=request.quote,
            reduce_only=request.reduce_only and self._market == "usdm",
        )

    def build(self, request: OrderRequest, symbol: str, fitted: Fitted, client_id: str) -> tuple[str, dict[str, Any]]:
        """The path and the parameters, by ccxt; the numbers stand as we have rounded them."""
        conditional = self._market == "usdm" and request.order_type in CONDITIONAL
        wanted: dict[str, Any] = {"clientAlgoId" if conditional else "newClientOrderId": client_id}
        if conditional:
            wanted |= {"isAlgoOrder": True, "algoType": "CONDITIONAL"}
        if fitted.trigger_price is not None:
            wanted["triggerPrice"] = text(fitted.trigger_price)
        price = None if fitted.price is None else text(fitted.price)
        kind, side = _KIND[request.order_type], request.side.value.lower()
        with localcontext():  # ccxt changes the rounding rules of the thread it runs on
            params = dict(self._client.sdk.create_order_request(symbol, kind, side, text(fitted.quantity), price, wanted))
        params["quantity"] = text(fitted.quantity)
        if price is not None:
            params["price"] = price
        if fitted.trigger_price is not None:
            params["triggerPrice" if conditional else "stopPrice"] = text(fitted.trigger_price)
        if conditional:
            params["algoType"] = "CONDITIONAL"
            if price is not None:
                params.setdefault("timeInForce", "GTC")
        if self._market == "usdm":
            params |= self._position_side(request)
        return ("algoOrder" if conditional else "order"), params

    def _position_side(self, request: OrderRequest) -> dict[str, str]:
        """One-way: exits may only reduce. Hedge mode knows no such word: an exit names the side whose position it takes out."""
        if not self._hedged:
            return {"reduceOnly": "true"} if request.reduce_only else {}
        opened_by = request.side.opposite if request.reduce_only else request.side
        return {"positionSide": "LONG" if opened_by is Side.BUY else "SHORT"}

    def post(self, request: OrderRequest, entry: Entry, fitted: Fitted, permit: Permit | None) -> Mapping[str, Any]:
        """Binance's answer. Raises Exists, Refused, Retry, NeedsLogin or Halted when nothing was booked now, else Unknown."""
        for attempt in (1, 2):
            path, params = self.build(request, entry.symbol, fitted, entry.leg_id)
            try:
                answer = self._client.call(self._section, "POST", path, params, weight=1, call="place", permit=permit)
                if not isinstance(answer, dict):
                    raise Unknown("Binance's answer is no order")
                return answer
            except Answer as no:
                if attempt == 1 and no.code == MODE and self._market == "usdm":
                    self._again_in_another_mode()
                    continue
                if meaning("place", no.status, no.code, no.message).means is Means.EXISTS:
                    raise Exists from None
                if no.code == FILTER:
                    self._client.house.doubt(entry.symbol)
                raise sorted_out("place", no) from None
            except Halted as error:
                if attempt == 2:
                    raise Refused(f"stopped before it could be sent again: {error}") from None
                raise
        raise AssertionError("unreachable")

    def _again_in_another_mode(self) -> None:
        try:
            self.read_mode()
        except NeedsLogin:
            raise
        except (Refused, Retry) as error:
            raise Refused(f"the position mode at Binance was changed and could not be read: {error}") from None

    # --- taking back, changing

    def delete(self, entry: Entry) -> Mapping[str, Any] | None:
        """Cancel what stands in Binance's book, or the conditional order that does not yet; the cancelled order's row where Binance sends one."""
        if entry.conditional and entry.order_id is None:
            self._client.ask(self._section, "DELETE", "algoOrder", {"clientAlgoId": entry.leg_id}, call="cancel")
            return None
        named = {"orderId": entry.order_id} if entry.order_id is not None else {"origClientOrderId": entry.leg_id}
        answer = self._client.ask(self._section, "DELETE", "order", {"symbol": entry.symbol, **named}, call="cancel")
        if not isinstance(answer, dict):
            raise Unknown("Binance's answer to the cancellation is no order")
        return answer

    def amend(self, entry: Entry, side: Side, quantity: Decimal, price: Decimal) -> Mapping[str, Any]:
        """USD-M changes a resting limit order in its place."""
        named = {"orderId": entry.order_id} if entry.order_id is not None else {"origClientOrderId": entry.leg_id}
        params = {"symbol": entry.symbol, "side": side.value, "quantity": text(quantity), "price": text(price), **named}
        answer = self._client.ask(self._section, "PUT", "order", params, call="modify")
        if not isinstance(answer, dict):
            raise Unknown("Binance's answer to the change is no order")
        return answer


def symbol_for(request: OrderRequest, market: Market) -> str:
    """Binance's name of the instrument; Refused where this account does not trade it."""
    symbol = native(request.instrument.symbol, market)
    if symbol is None:
        what = "spot" if market == "spot" else "USD-M futures"
        raise Refused(f"{request.instrument.symbol} cannot be traded on a Binance {what} account")
    return symbol

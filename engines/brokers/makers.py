"""Which class speaks to which broker. Nothing is imported until an account of that kind is really there.

Adding a broker is one line here (two where its money is not rupees), its folder beside this file, and its emulator for the contract suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engines.brokers.tools import BinanceEndpoints, BrokerTools, KiteEndpoints, SmartApiEndpoints
from engines.core.model import Account
from engines.ports import Broker

Maker = Callable[[Account, Mapping[str, str]], Broker]
"""(account, its decrypted credentials) → its broker, not yet connected."""


@dataclass(frozen=True, slots=True)
class BrokerEndpoints:
    """Where each broker lives; all of them can point at an emulator."""

    kite: KiteEndpoints = field(default_factory=KiteEndpoints)
    smartapi: SmartApiEndpoints = field(default_factory=SmartApiEndpoints)
    binance: BinanceEndpoints = field(default_factory=BinanceEndpoints)


HOME = "INR"
_OTHER = {"binance_spot": "USDT", "binance_usdm": "USDT"}


def currency_of(broker: str) -> str:
    """In what money an account of this kind counts: by the kind alone, so that it also holds for one that is archived or cannot be connected."""
    return _OTHER.get(broker, HOME)


def makers(tools: BrokerTools, endpoints: BrokerEndpoints) -> dict[str, Maker]:
    """One maker for each kind of live account."""

    def zerodha(account: Account, credentials: Mapping[str, str]) -> Broker:
        from engines.brokers.zerodha import ZerodhaBroker

        return ZerodhaBroker(account, credentials, tools, endpoints.kite)

    def angelone(account: Account, credentials: Mapping[str, str]) -> Broker:
        from engines.brokers.angelone import AngelOneBroker

        return AngelOneBroker(account, credentials, tools, endpoints.smartapi)

    def binance(account: Account, credentials: Mapping[str, str]) -> Broker:
        from engines.brokers.binance import BinanceBroker

        return BinanceBroker(account, credentials, tools, endpoints.binance, market=account.broker.removeprefix("binance_"))

    return {"zerodha": zerodha, "angelone": angelone, "binance_spot": binance, "binance_usdm": binance}

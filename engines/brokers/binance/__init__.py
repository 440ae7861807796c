"""Binance, spot and USD-M futures, behind the Broker port: ccxt builds and signs, our wire carries, the numeric code of an answer says what it proves.

It never changes the position mode, never keeps a key that can move money away, and never takes one -2013 for proof.
"""

from engines.brokers.binance.adapter import BinanceBroker

__all__ = ["BinanceBroker"]

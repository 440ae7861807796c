"""Zerodha: one account over Kite Connect. Nothing of the SDK is imported before an account connects."""

from engines.brokers.zerodha.broker import ZerodhaBroker

__all__ = ["ZerodhaBroker"]

"""Angel One (SmartAPI): one account behind the Broker port. The SDK is imported when an account first connects, never before."""

from engines.brokers.angelone.broker import AngelOneBroker

__all__ = ["AngelOneBroker"]

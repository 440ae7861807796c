"""Zerodha passes the contract of a broker."""

from __future__ import annotations

from tests.contract.contract import BrokerContract
from tests.contract.venues import ZERODHA


class TestZerodha(BrokerContract):
    venue = ZERODHA

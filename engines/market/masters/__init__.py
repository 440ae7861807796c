"""The brokers' daily instrument lists: read, brought under one key and one name each, and put in the order in which a search shows them.

Pure functions from bytes to values; downloading, storing and searching is the data service's. Nothing here guesses a contract that no list names.
"""

from engines.market.masters.angel import read_angel
from engines.market.masters.binance import read_binance_spot, read_binance_usdm
from engines.market.masters.kite import read_kite
from engines.market.masters.merge import Entry, Merged, merge
from engines.market.masters.rows import BadList, Parsed, Row
from engines.market.masters.words import Ask, read_ask, words_of

READERS = {"zerodha": read_kite, "angelone": read_angel, "binance_spot": read_binance_spot, "binance_usdm": read_binance_usdm}
"""Broker → how its list is read: the whole body in, rows out; BadList when it is not such a list."""

__all__ = ["READERS", "Ask", "BadList", "Entry", "Merged", "Parsed", "Row", "merge", "read_ask", "words_of"]

"""An emulated Kite Connect (v3): the REST API, the log-in pages and the WebSocket, in the broker's own words and shapes."""

from tests.emulators.kite.emulator import KiteEmulator

__all__ = ["KiteEmulator"]

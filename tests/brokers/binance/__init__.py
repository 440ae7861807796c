"""Binance, spot and USD-M: pure parts by tables, the adapter against the emulated exchange."""

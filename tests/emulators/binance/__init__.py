"""A Binance on the loopback: spot and USD-M futures on one port, signed calls really verified, with one switch for every way it can fail."""

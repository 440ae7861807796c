"""Market data: feeds, the newest prices, candles, instruments and the watch over silence. It never trades and never writes to a database."""

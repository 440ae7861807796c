"""Tests of the market room: feeds, prices, candles, instruments and the watch over silence."""

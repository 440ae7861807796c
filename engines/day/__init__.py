"""The clock of the trading day: what happens by itself, when, and what became of it."""

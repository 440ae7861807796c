"""From a signal to orders on every account: fan-out, lanes, books, exit plans, halts and reconciliation."""

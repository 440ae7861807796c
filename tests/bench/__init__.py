"""What we hold ourselves to, measured: one module for each row of the design's table, run by `run_strategy_system.py bench`."""

"""Backtests: the strategies, sizing, exits, matching, charges and positions that trade live, on a simulated clock, and a report of what came of it."""

from engines.backtest.engine import BadParameters, check, play, run
from engines.backtest.history import History, read_history
from engines.backtest.report import Report
from engines.backtest.settings import Settings, Way

__all__ = ["BadParameters", "History", "Report", "Settings", "Way", "check", "play", "read_history", "run"]

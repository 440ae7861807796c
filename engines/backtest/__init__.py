"""Backtests: the strategies, sizing, limits, exits, matching, charges and positions that trade live, on a simulated clock, and what came of it."""

from engines.backtest.engine import BadParameters, Cancelled, check, play, play_job, read_job, run, run_job
from engines.backtest.history import History, read_history
from engines.backtest.played import AccountPlayed, Played
from engines.backtest.report import Report
from engines.backtest.settings import Job, Seat, Settings, Source, Way

__all__ = [
    "AccountPlayed",
    "BadParameters",
    "Cancelled",
    "History",
    "Job",
    "Played",
    "Report",
    "Seat",
    "Settings",
    "Source",
    "Way",
    "check",
    "play",
    "play_job",
    "read_history",
    "read_job",
    "run",
    "run_job",
]

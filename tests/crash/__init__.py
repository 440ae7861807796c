"""kill -9 at every named point, and what the next start makes of it."""

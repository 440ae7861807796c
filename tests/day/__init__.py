"""The clock of the day."""

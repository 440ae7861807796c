"""The timetable resource: what the day does by itself, what has run, each account's own times, and the books of past days."""

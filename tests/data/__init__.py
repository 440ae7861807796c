"""The data service, on real SQLite files."""

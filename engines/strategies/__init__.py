"""Strategies: the base class, one file for each kind, and the runner that feeds them. They emit signals and know nothing of accounts."""

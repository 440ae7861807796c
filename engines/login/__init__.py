"""Signing in at brokers that want a person: the exchange of what the person brought back, and the automated log-in for those who ask for it."""

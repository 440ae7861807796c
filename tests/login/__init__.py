"""Signing in at a broker: what is due, what a page means, what a browser does, what is kept."""

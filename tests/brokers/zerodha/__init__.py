"""Tests of the Zerodha adapter."""

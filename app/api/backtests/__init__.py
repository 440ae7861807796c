"""The back-tests resource: back-tests and parameter sweeps that a person asks for, their progress and their results."""

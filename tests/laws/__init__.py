"""The laws of the design, each under its own name."""

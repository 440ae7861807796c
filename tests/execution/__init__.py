"""The engines as a whole, in memory and on real input."""

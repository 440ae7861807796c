"""A SmartAPI (Angel One) on the loopback: its REST answers, its order updates and its market stream, with one switch for every way it can fail."""

"""Brokers that live on this machine: the tests, the benchmarks and anyone who wants to try Tandem without money talk to them."""

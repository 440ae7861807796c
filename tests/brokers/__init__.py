"""Brokers: the transport on real sockets, and the paper broker behind the port."""

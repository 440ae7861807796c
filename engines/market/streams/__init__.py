"""The brokers' own price streams: how each spells its frames, and the one market that they make together."""

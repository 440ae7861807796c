"""Pure rules of trading: no I/O, no clock, no threads. Functions of (state, event, now) that return new state."""

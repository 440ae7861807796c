"""What all emulated brokers share: the exchange behind them, their faults, their HTTP and WebSocket server and the control of them."""

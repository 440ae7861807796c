"""The live stream: who may listen to what, how events look, and the pulse that tells of P&L and prices a few times a second."""

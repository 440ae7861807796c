"""Sign-in, set-up, tokens, throttling."""

"""What trades. Imports nothing of `app`, Flask or SQL; everything from outside comes in through `engines.ports`."""

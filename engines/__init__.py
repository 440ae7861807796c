"""What trades. Imports nothing of `app`, Flask or SQL; everything from outside comes in through `engines.ports`."""

import sys

# structlog takes Twisted along wherever it is installed, and a broker's SDK installs it: 29 modules that nobody here uses.
sys.modules.setdefault("structlog.twisted", None)  # type: ignore[arg-type]

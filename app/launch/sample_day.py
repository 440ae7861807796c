"""Makes a sample of market data in a process of its own, so that the work never holds up the engines of whoever serves.

`python -m app.launch.sample_day FILE DAYS SYMBOL…` writes gzipped CSV of one-minute candles; exit code 1 with a line on stderr when it cannot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from engines.backtest.sample import make_sample
from engines.core.model import Timeframe
from engines.ports import TandemError


def main(words: Sequence[str]) -> int:
    file, days, *symbols = words
    try:
        make_sample(Path(file), symbols=symbols, timeframe=Timeframe.M1, days=int(days))
    except (TandemError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

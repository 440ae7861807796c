"""`python -m tests.bench ROW`: measure one row in this fresh interpreter and print its figures, one JSON object a line.

`run_strategy_system.py bench` starts one of these for each row, so that no row inherits another's threads, caches or memory.
"""

from __future__ import annotations

import importlib
import json
import sys

from tests.bench.rows import ROWS


def main() -> None:
    for figure in importlib.import_module(ROWS[sys.argv[1]]).measure(sys.argv[1]):
        print(json.dumps(figure.as_json(), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()

"""An account's budget of broker calls: when the next one may leave, so that the broker's published rate is never exceeded.

Holds in every sliding second, not only on average, and keeps a reserve that only exits may use. It never sleeps: it says how long to wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_Rule = tuple[int, float]
"""(count, seconds): the call that is `count` back must lie `seconds` behind."""


class Limiter:
    """At most `rate` calls in any sliding second, of which at most `burst` close together; entries leave `exit_reserve` of both unused.

    `windows` are the broker's further limits, (calls, seconds) each. `rate` None: no limit. A rate below one call a second is spaced evenly. Times are monotonic seconds; not thread-safe (a lane owns it).
    """

    def __init__(self, rate: float | None, burst: int = 1, exit_reserve: int = 0, windows: Sequence[_Rule] = ()) -> None:
        self._taken: deque[float] = deque()
        self._for_exits: tuple[_Rule, ...] = ()
        self._for_entries: tuple[_Rule, ...] = ()
        if rate is None:
            return
        budget = max(1, int(rate))
        burst = min(burst, budget)
        if not rate > 0 or burst < 1 or exit_reserve < 0:
            raise ValueError(f"a limiter needs a rate and a burst above zero: {rate}, {burst}, {exit_reserve}")
        if exit_reserve and exit_reserve >= budget:
            raise ValueError(f"a reserve of {exit_reserve} out of {budget} calls a second leaves nothing for entries")
        # The longer windows keep a tenth of each for exits: a day that has used up its entries must still be able to close.
        longer = tuple((max(1, count - count // 10), seconds) for count, seconds in windows)
        self._for_exits = ((budget, 1.0), (burst, burst / rate), *windows)
        self._for_entries = (*self._for_exits, (budget - exit_reserve, 1.0), (max(1, burst - exit_reserve), burst / rate), *longer)
        self._taken = deque(maxlen=max(budget, *(count for count, _ in windows)) if windows else budget)

    def wait(self, now: float, *, exit: bool = False) -> float:  # noqa: A002 - the word of the trade
        """Seconds until a call may leave; 0.0: it may now, and is counted as having left."""
        rules = self._for_exits if exit else self._for_entries
        if not rules:
            return 0.0
        taken, count_taken, earliest = self._taken, len(self._taken), now
        for count, seconds in rules:
            if count_taken >= count:
                earliest = max(earliest, taken[-count] + seconds)
        if earliest > now:
            return earliest - now
        taken.append(now)
        return 0.0

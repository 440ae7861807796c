"""The pictures of the stand-alone report, as SVG without script or style of their own: classes are those of `page_style`.

Each is drawn for a width in pixels of the reader's screen, so that its text stays readable on a telephone: the page holds both and shows one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from engines.backtest.closeups import Closeup
from engines.backtest.shuffle import Shuffle, Spread
from engines.backtest.words import MINUS, Money, ticks
from engines.core.model import Role, Side

WIDE, NARROW = (1180, 400), (360, 320)
Size = tuple[int, int]
Scale = Callable[[float], float]
MOST_POINTS = 1_200


@dataclass(frozen=True, slots=True)
class Frame:
    """The inside of a picture: where values and places lie in it."""

    left: float
    top: float
    right: float
    bottom: float

    def x(self, low: float, high: float) -> Scale:
        span = (high - low) or 1.0
        return lambda value: self.left + (value - low) / span * (self.right - self.left)

    def y(self, low: float, high: float) -> Scale:
        span = (high - low) or 1.0
        return lambda value: self.bottom - (value - low) / span * (self.bottom - self.top)


def svg(size: Size, label: str, parts: Iterable[str], kind: str = "") -> str:
    width, height = size
    names = f' class="{kind}"' if kind else ""
    inside = "".join(parts)
    return (
        f'<svg{names} viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>{inside}</svg>'
    )


def both(draw: Callable[[Size], str], wide: Size = WIDE, narrow: Size = NARROW) -> str:
    """One picture for wide screens and one for narrow ones."""
    return f'<div class="on-wide">{draw(wide)}</div><div class="on-narrow">{draw(narrow)}</div>'


# --- equity ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """Values at the ends of sessions, all equally long; `gross` and `held` (buy and hold) may be empty. `falls` are drawdowns in percent, 0 or below."""

    days: Sequence[str]
    net: Sequence[float]
    gross: Sequence[float]
    held: Sequence[float]
    falls: Sequence[float]
    capital: float


def equity(lines: Lines, size: Size, money: Money) -> str:
    """Equity above, the fall from its peak below, one axis of sessions."""
    width, height = size
    narrow = width < 600
    left, right = (50 if narrow else 62), width - 8.0
    floor = height - 22.0
    below = Frame(left, height * 0.76, right, floor)
    above = Frame(left, 10, right, height * 0.70)
    net = [lines.capital, *lines.net]
    others = [[lines.capital, *each] for each in (lines.gross, lines.held) if each]
    low, high = min(map(min, net, *others) if others else net), max(map(max, net, *others) if others else net)
    room = (high - low) * 0.04 or 1.0
    x, y = above.x(0, max(len(net) - 1, 1)), above.y(low - room, high + room)
    deepest = min(lines.falls, default=0.0) or -1.0
    fall = below.y(deepest * 1.05, 0)
    parts = [*_rungs(above, y, ticks(low, high, 4 if narrow else 6), money.short)]
    parts += [f'<line class="base" x1="{_n(left)}" x2="{_n(right)}" y1="{_n(y(lines.capital))}" y2="{_n(y(lines.capital))}"/>']
    parts += list(_calendar(lines.days, x, height, 4 if narrow else 10))
    path = _path(net, x, y)
    parts.append(f'<path class="area" d="{path}L{_n(x(len(net) - 1))} {_n(y(lines.capital))}L{_n(x(0))} {_n(y(lines.capital))}Z"/>')
    if lines.held:
        parts.append(f'<path class="line held" d="{_path([lines.capital, *lines.held], x, y)}"/>')
    if lines.gross:
        parts.append(f'<path class="line gross" d="{_path([lines.capital, *lines.gross], x, y)}"/>')
    parts.append(f'<path class="line net" d="{path}"/>')
    falls = [0.0, *lines.falls]
    sunk = _path(falls, x, fall)
    parts += [*_rungs(below, fall, [0.0, deepest], _whole_percent)]
    parts.append(f'<path class="fall" d="{sunk}L{_n(x(len(falls) - 1))} {_n(fall(0))}L{_n(x(0))} {_n(fall(0))}Z"/>')
    label = f"Equity from {money.full(lines.capital)} to {money.full(net[-1])}, deepest fall {-deepest if lines.falls else 0:.2f} %"
    return svg(size, label, parts)


def spark(values: Sequence[float], capital: float) -> str:
    """A small equity line for a row of a table."""
    size, every = (120, 28), [capital, *values]
    frame = Frame(1, 3, 119, 25)
    x, y = frame.x(0, max(len(every) - 1, 1)), frame.y(min(every), max(every))
    tone = "up" if every[-1] > capital else "down" if every[-1] < capital else ""
    base = f'<line class="base" x1="1" x2="119" y1="{_n(y(capital))}" y2="{_n(y(capital))}"/>'
    return svg(size, "equity of the account", [base, f'<path class="line {tone}" d="{_path(every, x, y)}"/>'], "spark")


def bar(value: float, most: float) -> str:
    """To the right of the middle when it is above zero, to the left when below."""
    long = 49 * abs(value) / most if most else 0
    begin = 50.0 if value >= 0 else 50 - long
    inside = f'<rect class="{"up" if value >= 0 else "down"}" x="{_n(begin)}" y="2" width="{_n(long)}" height="8"/>'
    middle = '<line class="base" x1="50" x2="50" y1="0" y2="12"/>'
    return f'<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">{inside}{middle}</svg>'


# --- distributions ---------------------------------------------------------------------------------------------------


def histogram(values: Sequence[float], size: Size, shown: Callable[[float], str], label: str, bins: int = 32) -> str:
    """How often results lay where; the outermost two in a hundred are counted at the ends."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    low, high = min(low, 0.0), max(high, 0.0)
    wide = ((high - low) or 1.0) / bins
    first = int(low // wide)  # zero lies between two bins
    last = max(int(-(-high // wide)), first + 1)
    counts = [0] * (last - first)
    for value in values:
        counts[min(max(int(value // wide) - first, 0), len(counts) - 1)] += 1
    frame = Frame(34, 8, size[0] - 6.0, size[1] - 20.0)
    x, y = frame.x(first * wide, last * wide), frame.y(0, max(counts))
    parts = [*_rungs(frame, y, ticks(0, max(counts), 4), lambda at: f"{at:g}")]
    for n, found in enumerate(counts):
        if found:
            begin, end = x((first + n) * wide), x((first + n + 1) * wide)
            tone = "down" if first + n < 0 else "up"
            parts.append(
                f'<rect class="{tone}" x="{_n(begin + 0.6)}" y="{_n(y(found))}" width="{_n(max(end - begin - 1.2, 0.6))}" '
                f'height="{_n(y(0) - y(found))}"/>'
            )
    parts += _places(ticks(first * wide, last * wide, 5), x, size[1], shown)
    return svg(size, label, parts)


def scatter(points: Sequence[tuple[float, float]], size: Size, shown: Callable[[float], str], label: str) -> str:
    """(how far it went against, what came of it) of every trade; far outliers stand at the edge. Of very many, every so-manieth is drawn."""
    step = len(points) // MOST_POINTS + 1
    drawn = points[::step]
    rights = sorted(x for x, _ in points)
    ends = sorted(y for _, y in points)
    cut = len(points) // 200
    right = rights[-1 - cut] or 1.0
    low, high = min(ends[cut], 0.0), max(ends[-1 - cut], 0.0)
    frame = Frame(50, 8, size[0] - 10.0, size[1] - 22.0)
    x, y = frame.x(0, right), frame.y(low, high)
    parts = [*_rungs(frame, y, ticks(low, high, 5), shown)]
    parts.append(f'<line class="base" x1="{_n(frame.left)}" x2="{_n(frame.right)}" y1="{_n(y(0))}" y2="{_n(y(0))}"/>')
    parts += [
        f'<circle class="{"up" if net > 0 else "down"}" cx="{_n(x(min(against, right)))}" cy="{_n(y(min(max(net, low), high)))}" r="2.2"/>'
        for against, net in drawn
    ]
    parts += _places(ticks(0, right, 4), x, size[1], shown)
    return svg(size, label, parts)


def fan(shuffle: Shuffle, size: Size, money: Money) -> str:
    """The band in which drawn trades leave the equity, and the way that was gone."""
    narrow = size[0] < 600
    frame = Frame(50 if narrow else 62, 10, size[0] - 8.0, size[1] - 22.0)
    low = min(*(point.p05 for point in shuffle.equity), *shuffle.actual)
    high = max(*(point.p95 for point in shuffle.equity), *shuffle.actual)
    x, y = frame.x(0, shuffle.trades), frame.y(low, high)

    def band(under: Callable[[Spread], float], over: Callable[[Spread], float]) -> str:
        there = [f"{_n(x(at))} {_n(y(over(point)))}" for at, point in zip(shuffle.at, shuffle.equity, strict=True)]
        back = [f"{_n(x(at))} {_n(y(under(point)))}" for at, point in zip(shuffle.at, shuffle.equity, strict=True)]
        return f'<path class="band" d="M{"L".join([*there, *back[::-1]])}Z"/>'

    def line(values: Sequence[float], kind: str) -> str:
        return f'<path class="line {kind}" d="M{"L".join(f"{_n(x(at))} {_n(y(v))}" for at, v in zip(shuffle.at, values, strict=True))}"/>'

    parts = [
        *_rungs(frame, y, ticks(low, high, 4 if narrow else 6), money.short),
        band(lambda each: each.p05, lambda each: each.p95),
        band(lambda each: each.p25, lambda each: each.p75),
        line([point.p50 for point in shuffle.equity], "gross"),
        line(shuffle.actual, "net"),
        *_places(ticks(0, shuffle.trades, 4 if narrow else 8), x, size[1], lambda at: f"{at:,.0f}"),
    ]
    return svg(size, f"Equity of {shuffle.trades} trades drawn {shuffle.runs} times", parts)


# --- a trade seen closely --------------------------------------------------------------------------------------------


def closeup(seen: Closeup, size: Size, price: Callable[[float], str], time: Callable[[float], str], label: str) -> str:
    """Candles, the fills as arrows, the way of the stop in dashes."""
    frame = Frame(6, 14, size[0] - 62.0, size[1] - 20.0)
    candles = seen.candles
    starts = [each.start for each in candles]
    levels = [at for _, at in seen.stops]
    low = min([each.low for each in candles] + [mark.price for mark in seen.marks])
    high = max([each.high for each in candles] + [mark.price for mark in seen.marks])
    reach = (high - low) or high or 1.0
    low, high = min([low, *(at for at in levels if at > low - reach)]), max([high, *(at for at in levels if at < high + reach)])
    room = (high - low) * 0.05 or 1.0
    x, y = frame.x(-0.5, len(candles) - 0.5), frame.y(low - room, high + room)

    def place(at: float) -> float:
        return max(bisect_right(starts, at) - 1, 0)

    width = max((frame.right - frame.left) / len(candles) * 0.66, 1.0)
    parts = []
    for at in ticks(low, high, 5):
        parts.append(f'<line class="grid" x1="{_n(frame.left)}" x2="{_n(frame.right)}" y1="{_n(y(at))}" y2="{_n(y(at))}"/>')
        parts.append(f'<text x="{_n(frame.right + 5)}" y="{_n(y(at) + 3.5)}">{escape(price(at))}</text>')
    begins, ends = place(seen.trade.entry_at), place(seen.trade.exit_at)
    parts.append(
        f'<rect class="held" x="{_n(x(begins - 0.5))}" y="{_n(frame.top)}" width="{_n(x(ends + 0.5) - x(begins - 0.5))}" '
        f'height="{_n(frame.bottom - frame.top)}"/>'
    )
    for n, each in enumerate(candles):
        tone = "up" if each.close >= each.open else "down"
        top, bottom = y(max(each.open, each.close)), y(min(each.open, each.close))
        parts.append(f'<path class="wick {tone}" d="M{_n(x(n))} {_n(y(each.high))}V{_n(y(each.low))}"/>')
        parts.append(
            f'<rect class="{tone}" x="{_n(x(n) - width / 2)}" y="{_n(top)}" width="{_n(width)}" height="{_n(max(bottom - top, 0.8))}"/>'
        )
    parts += _stop(seen, x, y, place, ends)
    entry, leave = y(float(seen.trade.entry_price)), y(float(seen.trade.exit_price))
    parts.append(f'<line class="way" x1="{_n(x(begins))}" x2="{_n(x(ends))}" y1="{_n(entry)}" y2="{_n(leave)}"/>')
    parts += [_arrow(x(place(mark.at)), y(mark.price), mark.side, mark.role) for mark in seen.marks]
    parts += _times(starts, x, size[1], time, begins, ends)
    return svg(size, label, parts, "closeup")


def _stop(seen: Closeup, x: Scale, y: Scale, place: Callable[[float], float], ends: float) -> list[str]:
    if not seen.stops:
        return []
    steps = [f"M{_n(x(place(seen.stops[0][0]) - 0.5))} {_n(y(seen.stops[0][1]))}"]
    for at, level in seen.stops[1:]:
        steps.append(f"H{_n(x(place(at)))}V{_n(y(level))}")
    return [f'<path class="stop" d="{"".join(steps)}H{_n(x(ends + 0.5))}"/>']


def _arrow(x: float, y: float, side: Side, role: Role) -> str:
    """Its tip is at the price: from below for a purchase, from above for a sale; hollow when it leaves."""
    down = 8 if side is Side.BUY else -8
    return f'<path class="mark {side.value.lower()} {"in" if role is Role.ENTRY else "out"}" d="M{_n(x)} {_n(y)}l4.5 {down}h-9Z"/>'


def _times(starts: Sequence[float], x: Scale, height: int, time: Callable[[float], str], begins: float, ends: float) -> list[str]:
    """Of the entry and, where there is room for it, of the exit."""
    shown = [begins] if x(ends) - x(begins) < 64 else [begins, ends]
    return [
        f'<text class="mid" x="{_n(min(max(x(n), 22), x(len(starts))))}" y="{height - 6}">{escape(time(starts[int(n)]))}</text>'
        for n in shown
    ]


# --- parts of pictures -----------------------------------------------------------------------------------------------


def _path(values: Sequence[float], x: Scale, y: Scale) -> str:
    return "M" + "L".join(f"{_n(x(n))} {_n(y(value))}" for n, value in enumerate(values))


def _rungs(frame: Frame, y: Scale, at: Sequence[float], shown: Callable[[float], str]) -> Iterable[str]:
    for value in at:
        yield f'<line class="grid" x1="{_n(frame.left)}" x2="{_n(frame.right)}" y1="{_n(y(value))}" y2="{_n(y(value))}"/>'
        yield f'<text class="end" x="{_n(frame.left - 6)}" y="{_n(y(value) + 3.5)}">{escape(shown(value))}</text>'


def _places(at: Sequence[float], x: Scale, height: int, shown: Callable[[float], str]) -> list[str]:
    return [f'<text class="mid" x="{_n(x(value))}" y="{height - 5}">{escape(shown(value))}</text>' for value in at]


def _calendar(days: Sequence[str], x: Scale, height: int, most: int) -> Iterable[str]:
    """The first session of a month or, of a short run, of every so-manieth day."""
    firsts = [n for n, day in enumerate(days) if n == 0 or day[:7] != days[n - 1][:7]]
    by_month = len(firsts) > 2
    if not by_month:
        firsts = list(range(0, len(days), max(len(days) // most, 1)))
    step = len(firsts) // most + (len(firsts) % most > 0) or 1
    drawn = float("-inf")
    for n in firsts[::step]:
        if x(n) - drawn < _ROOM:
            continue
        drawn = x(n)
        text = _MONTHS[int(days[n][5:7]) - 1] + (f" {days[n][2:4]}" if by_month else f" {int(days[n][8:])}")
        yield f'<line class="grid" x1="{_n(x(n + 0.5))}" x2="{_n(x(n + 0.5))}" y1="10" y2="{height - 22}"/>'
        yield f'<text x="{_n(x(n + 0.5) + 3)}" y="{height - 6}">{text}</text>'


def _whole_percent(value: float) -> str:
    return f"{value:.{0 if value <= -20 else 1}f} %".replace("-", MINUS) if value else "0 %"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


_ROOM = 46  # pixels that the name of a month takes
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

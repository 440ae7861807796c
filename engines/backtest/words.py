"""How the stand-alone page writes numbers, days and times, and builds tables of them: escaped, aligned, and signed where a sign is news.

Amounts of Indian markets are grouped in lakhs and crores, others in thousands. Only text comes out of here; nothing is worked out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from math import ceil, floor, inf

DASH = "–"
MINUS = "−"
Number = float | int | Decimal | None


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts are written. `sign` stands before them; `indian`: 12,34,567 rather than 1,234,567."""

    sign: str = "₹"
    indian: bool = True

    def full(self, amount: Number, places: int = 2, *, plus: bool = False) -> str:
        if amount is None:
            return DASH
        shown = Decimal(str(amount)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        before = MINUS if shown < 0 else "+" if plus and shown else ""
        return f"{before}{self.sign}{self.grouped(abs(shown))}"

    def short(self, amount: float) -> str:
        """For an axis: 9.85 L, 1.2 Cr, 45 k."""
        steps = ((1e7, " Cr"), (1e5, " L"), (1e3, " k")) if self.indian else ((1e9, " B"), (1e6, " M"), (1e3, " k"))
        for unit, name in steps:
            if abs(amount) >= unit:
                return f"{amount / unit:.3f}".rstrip("0").rstrip(".").replace("-", MINUS) + name
        return f"{amount:.2f}".rstrip("0").rstrip(".").replace("-", MINUS)

    def grouped(self, number: Decimal) -> str:
        if not self.indian:
            return f"{number:,}"
        whole, _, part = f"{number:f}".partition(".")
        head, tail = whole[:-3], whole[-3:]
        while head:
            head, tail = head[:-2], f"{head[-2:]},{tail}"
        return f"{tail}.{part}" if part else tail


def percent(value: Number, places: int = 2, *, plus: bool = False) -> str:
    if value is None:
        return DASH
    text = f"{value:+,.{places}f}" if plus else f"{value:,.{places}f}"
    return text.replace("-", MINUS) + " %"


def ratio(value: Number, places: int = 2) -> str:
    return DASH if value is None else f"{value:,.{places}f}".replace("-", MINUS)


def count(value: Number) -> str:
    return DASH if value is None else f"{value:,}".replace("-", MINUS)


def lasting(seconds: Number) -> str:
    """A stretch of time in its two largest units."""
    if seconds is None:
        return DASH
    left, parts = round(float(seconds)), list[str]()
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
            left %= size
        elif parts:
            break
    return " ".join(parts) or "0 s"


def day(iso: str) -> str:
    """2 Jan 2024."""
    return f"{datetime.fromisoformat(iso):%-d %b %Y}" if iso else ""


def moment(at: datetime, *, seconds: bool = False) -> str:
    return f"{at:%-d %b %Y %H:%M:%S}" if seconds else f"{at:%-d %b %Y %H:%M}"


# --- cells and tables ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is shown as it is written (escaped), or `html` as it stands; `tone` colours: up, down, muted or nothing."""

    text: str = ""
    tone: str = ""
    html: str = ""
    number: bool = True


def toned(value: Number, text: str) -> Cell:
    """Coloured by the sign of its value."""
    return Cell(text, "" if not value else "up" if value > 0 else "down")


def words(text: str, tone: str = "") -> Cell:
    return Cell(text, tone, number=False)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], *, kind: str = "", foot: Sequence[Cell] = ()) -> str:
    """The first column names the row. Columns whose cells are numbers stand to the right."""
    if not rows:
        return '<p class="quiet">None.</p>'
    right = [rows[0][n].number for n in range(len(head))]
    top = "".join(f'<th scope="col"{_class("n" if right[n] else rows[0][n].tone)}>{escape(name)}</th>' for n, name in enumerate(head))
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    bottom = f"<tfoot><tr>{_cells(foot)}</tr></tfoot>" if foot else ""
    return f'<div class="wide"><table{_class(kind)}><thead><tr>{top}</tr></thead><tbody>{body}</tbody>{bottom}</table></div>'


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Name and value, a line each."""
    return '<dl class="facts">' + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows) + "</dl>"


def _cells(row: Sequence[Cell]) -> str:
    first, *others = row
    return f'<th scope="row">{first.html or escape(first.text)}</th>' + "".join(
        f"<td{_class(cell.tone, 'n' if cell.number else '')}>{cell.html or escape(cell.text)}</td>" for cell in others
    )


def _class(*names: str) -> str:
    given = " ".join(name for name in names if name)
    return f' class="{given}"' if given else ""


# --- ticks of an axis ------------------------------------------------------------------------------------------------


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values between two ends, at most so many."""
    if not -inf < low < high < inf:
        return [low]
    step = next(each for each in _STEPS if (high - low) / each <= most)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


_STEPS = sorted(base * 10.0**power for power in range(-6, 14) for base in (1, 2, 2.5, 5))

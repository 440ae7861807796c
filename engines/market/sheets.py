"""Opens a table of market data, whatever it is kept in: CSV with any usual delimiter, gzipped or not, or Parquet. A header and rows of text come out.

It knows nothing of prices. Times of a Parquet file come as ISO text, numbers as their shortest text, so that one reader serves every kind of file.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from engines.ports import TandemError

PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_WIDEST = 4_096  # columns of a Parquet file are read in pieces of so many rows
_LONGEST_FIELD = 100_000
LONGEST_ROW = 200_000  # characters; a few packed bytes can hold a row that fills the memory


class BadFile(TandemError):
    """The file cannot be used at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`header`: the first row as it is written. `rows`: (line number, cells) of what follows, blank lines left out. `form`: what it is, in words."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[str]]]
    form: str


@contextmanager
def open_sheet(path: Path) -> Iterator[Sheet]:
    """Raises BadFile for what is not a table of a known kind, also while the rows are read."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
        if magic == PARQUET_MAGIC:
            yield _parquet(path)
            return
        with _text(path, zipped=magic.startswith(GZIP_MAGIC)) as text:
            yield _csv(text, "gzipped CSV" if magic.startswith(GZIP_MAGIC) else "CSV")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{path.name} cannot be read: {error}") from error
    except BadFile as error:
        raise BadFile(f"{path.name}: {error}") from None


def _text(path: Path, *, zipped: bool) -> TextIO:
    with path.open("rb") as raw:
        first = gzip.GzipFile(fileobj=raw).read(4) if zipped else raw.read(4)
    encoding = "utf-16" if first.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if zipped:
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _csv(text: TextIO, form: str) -> Sheet:
    lines = _Lines(text)
    first = next(lines, "")
    delimiter = max(_DELIMITERS, key=first.count)  # the comma, where none is there
    rest = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    csv.field_size_limit(_LONGEST_FIELD)
    header = tuple(next(rest, []))
    lines.row = 0

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        for cells in rest:
            lines.row = 0
            if cells:
                yield rest.line_num, cells

    return Sheet(header, rows(), form if delimiter == "," else f"{form} with {_DELIMITERS[delimiter]}s")


class _Lines:
    """The lines of a table. BadFile where a row has no end in sight, be it one line or (between quotes) many: it would be gathered in memory."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._line = 0
        self.row = 0
        """Characters of the row so far; whoever has taken a row sets it to 0."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        self._line += 1
        self.row += len(line)
        if self.row > LONGEST_ROW:
            raise BadFile(f"line {self._line} belongs to a row of more than {LONGEST_ROW:,} characters: this is no table of market data")
        return line


def _parquet(path: Path) -> Sheet:
    pyarrow, parquet = pyarrow_and_parquet()
    try:
        file = parquet.ParquetFile(path)
        header = tuple(str(name) for name in file.schema_arrow.names)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadFile(f"it is not a whole Parquet file ({' '.join(str(error).split())[:200]})") from None

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        number = 1  # so that the first row is line 2, as behind the header of a CSV
        try:
            for batch in file.iter_batches(batch_size=_WIDEST):
                for cells in zip(*(_values(column, pyarrow) for column in batch.columns), strict=True):
                    number += 1
                    yield number, [_shown(cell) for cell in cells]
        except (pyarrow.ArrowException, OSError, OverflowError, ValueError) as error:
            raise BadFile(f"row {number} of the Parquet file cannot be read ({' '.join(str(error).split())[:200]})") from None

    return Sheet(header, rows(), "Parquet")


def _values(column: Any, pyarrow: Any) -> list[Any]:
    """Times as text, made by Arrow itself: as Python objects they would cost the import of pandas."""
    kind = column.type
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind):
        if getattr(kind, "tz", None) is not None:
            column = column.cast(pyarrow.timestamp(kind.unit, "UTC"))
        column = column.cast(pyarrow.string())
    found: list[Any] = column.to_pylist()
    return found


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return repr(cell)
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def pyarrow_and_parquet() -> tuple[Any, Any]:
    """Imported only here: it costs tens of megabytes, and most workspaces never see a Parquet file. BadFile when it is not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise BadFile("Parquet files need the package pyarrow: pip install pyarrow (or use CSV)") from None

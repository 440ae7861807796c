"""How a file comes in: streamed to the disk of the data folder up to a bound, looked at, and only then given to the process that reads it.

It takes the file as the body itself or as the first file of a form. Nothing of it is kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.endpoint import MOST_UPLOAD
from app.data import Datasets
from app.problems import Problem, field_problem
from engines.market.columns import recognise
from engines.market.sheets import PARQUET_MAGIC, BadFile, open_sheet

_PIECE = 1 << 20


@contextmanager
def received(datasets: Datasets) -> Iterator[tuple[Path, str]]:
    """The file that this request sends and what it is called; gone when the block ends."""
    if (request.content_length or 0) > MOST_UPLOAD:
        raise too_large()
    request.max_content_length = MOST_UPLOAD
    path = datasets.incoming()
    try:
        name = _save(path)
        if not path.stat().st_size:
            raise field_problem("file", "is empty: send it as the body, or as the file of a form")
        yield path, name
    except RequestEntityTooLarge:
        raise too_large() from None
    except OSError as error:
        raise Problem(503, f"The file cannot be kept: {error.strerror or error}.") from error
    finally:
        path.unlink(missing_ok=True)


def _save(path: Path) -> str:
    stream, name = request.stream, ""
    if request.mimetype == "multipart/form-data":
        sent = next(iter(request.files.values()), None)
        if sent is None:
            raise field_problem("file", "is required")
        stream, name = sent.stream, sent.filename or ""
    with path.open("wb") as file:
        while piece := stream.read(_PIECE):
            file.write(piece)
    return name


def too_large() -> Problem:
    return Problem(
        413,
        f"The file is larger than {MOST_UPLOAD >> 20} MiB. Pack it with gzip, split it, or import it with the command line: data import.",
    )


def glance(path: Path) -> None:
    """Refuses in a moment what has no columns that we know. Raises BadFile."""
    with path.open("rb") as file:
        if file.read(4) == PARQUET_MAGIC:
            return
    with open_sheet(path) as sheet:
        recognise(sheet.header)


def without_path(error: BadFile | Exception, path: Path, name: str) -> str:
    """What is wrong, with the name that the person knows."""
    return str(error).replace(path.name, name)

"""Routes of datasets."""

from __future__ import annotations

from flask import Response

from app.api.datasets import service
from app.api.datasets.schemas import (
    BarQuery,
    BarsOut,
    DatasetOut,
    DatasetPatch,
    DatasetQuery,
    DatasetStoryOut,
    ExportQuery,
    GapQuery,
    GapsOut,
    RecordingOut,
    SampleDatasetIn,
    UploadQuery,
)
from app.api.endpoint import Call, Routes
from app.api.wire import Page

routes = Routes("datasets")


@routes.get("/api/datasets", query=DatasetQuery, out=Page[DatasetOut])
def index(call: Call) -> Page[DatasetOut]:
    """The caller's imports and what Tandem recorded, newest first."""
    return service.list_datasets(call.user, call.query)


@routes.post("/api/datasets", query=UploadQuery, out=DatasetStoryOut, status=201, raw=True, upload=True, errors=(409,))
def create(call: Call) -> tuple[DatasetStoryOut, int]:
    """Imports a file of candles or ticks, up to 64 MiB: CSV (gzipped or not) or Parquet, as the body or as the file of a form.
    Whole or not at all: 422 names the lines that cannot be used, unless leave_out_bad says to do without them."""
    return service.upload(call.user, call.query, call.by), 201


@routes.post("/api/datasets/sample", body=SampleDatasetIn, out=DatasetStoryOut, status=201, errors=(409, 503))
def sample(call: Call) -> DatasetStoryOut:
    """Makes a dataset of the simulated market: one-minute candles of up to four instruments, the same each time."""
    return service.make_sample(call.user, call.body, call.by)


@routes.get("/api/datasets/{id}", out=DatasetStoryOut)
def show(call: Call, id: str) -> DatasetStoryOut:  # noqa: A002 - the name of the path's parameter
    """One dataset with the report of its import."""
    return service.get_dataset(call.user, id)


@routes.patch("/api/datasets/{id}", body=DatasetPatch, out=DatasetOut)
def change(call: Call, id: str) -> DatasetOut:  # noqa: A002
    """Another name. 409 when it is taken, or when the dataset is the workspace's archive and the caller is not its owner."""
    return service.rename_dataset(call.user, id, call.body, call.by)


@routes.delete("/api/datasets/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """The dataset and its file; what was worked out from it stays."""
    service.delete_dataset(call.user, id, call.by)


@routes.get("/api/datasets/{id}/gaps", query=GapQuery, out=GapsOut, errors=(503,))
def gaps(call: Call, id: str) -> GapsOut:  # noqa: A002
    """What it lacks by the calendar: whole days, holes inside days, and rows outside of the hours."""
    return service.gaps(call.user, id, call.query)


@routes.get("/api/datasets/{id}/bars", query=BarQuery, out=BarsOut, errors=(409,))
def bars(call: Call, id: str) -> BarsOut:  # noqa: A002
    """The bars of one instrument and day, to look at."""
    return service.bars(call.user, id, call.query)


@routes.get("/api/datasets/{id}/export", query=ExportQuery, media="application/octet-stream", raw=True, errors=(409, 503))
def export(call: Call, id: str) -> Response:  # noqa: A002
    """The rows as a file: CSV, the gzipped file as it is kept, or Parquet."""
    return service.export(call.user, id, call.query)


@routes.get("/api/recording", out=RecordingOut)
def recording(call: Call) -> RecordingOut:
    """What is being recorded of the live prices now."""
    return service.recording(call.user)

"""Routes of back-tests and sweeps."""

from __future__ import annotations

from flask import Response

from app.api.backtests import results, service
from app.api.backtests.schemas import (
    BacktestIn,
    BacktestPatch,
    BacktestQuery,
    ChartQuery,
    CompareQuery,
    ComparisonOut,
    ExportQuery,
    SourcesOut,
    StudyChartOut,
    StudyOut,
    StudyReportOut,
    StudyTradesOut,
    SweepResultsOut,
    TradeQuery,
)
from app.api.endpoint import Call, Routes
from app.api.wire import Page

routes = Routes("backtests")


@routes.get("/api/backtests", query=BacktestQuery, out=Page[StudyOut])
def index(call: Call) -> Page[StudyOut]:
    """The caller's back-tests and sweeps, newest first."""
    return service.list_studies(call.user, call.query)


@routes.post("/api/backtests", body=BacktestIn, out=StudyOut, status=201, errors=(409,))
def create(call: Call) -> StudyOut:
    """Puts a back-test or a sweep into the queue. One runs at a time, in a process of its own."""
    return service.create_study(call.user, call.body, call.by)


@routes.get("/api/backtests/sources", out=SourcesOut)
def sources(call: Call) -> SourcesOut:
    """The data that a study can run on."""
    return service.sources(call.user)


@routes.get("/api/backtests/compare", query=CompareQuery, out=ComparisonOut, errors=(404,))
def compare(call: Call) -> ComparisonOut:
    """Finished back-tests side by side: their figures and how each capital grew."""
    return results.compare(call.user, call.query)


@routes.get("/api/backtests/{id}", out=StudyOut)
def show(call: Call, id: str) -> StudyOut:  # noqa: A002 - the name of the path's parameter
    """One of them, with its progress while it runs."""
    return service.get_study(call.user, id)


@routes.patch("/api/backtests/{id}", body=BacktestPatch, out=StudyOut)
def rename(call: Call, id: str) -> StudyOut:  # noqa: A002
    """Another name."""
    return service.rename_study(call.user, id, call.body, call.by)


@routes.delete("/api/backtests/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """It and its results. 409 while it is running."""
    service.delete_study(call.user, id, call.by)


@routes.post("/api/backtests/{id}/cancel", out=StudyOut)
def cancel(call: Call, id: str) -> StudyOut:  # noqa: A002
    """Ends it; what a sweep has found so far is kept. 409 when it is over."""
    return service.cancel_study(call.user, id, call.by)


@routes.post("/api/backtests/{id}/again", out=StudyOut, status=201)
def again(call: Call, id: str) -> StudyOut:  # noqa: A002
    """The same once more, as a new entry: data, accounts and strategy as they are now. A sweep that was cut short goes on where it was."""
    return service.repeat_study(call.user, id, call.by)


@routes.get("/api/backtests/{id}/report", out=StudyReportOut, errors=(409,))
def report(call: Call, id: str) -> StudyReportOut:  # noqa: A002
    """Everything that came of a finished back-test. 409 while there is nothing."""
    return results.report(call.user, id)


@routes.get("/api/backtests/{id}/trades", query=TradeQuery, out=StudyTradesOut, errors=(409,))
def trades(call: Call, id: str) -> StudyTradesOut:  # noqa: A002
    """Its closed trades."""
    return results.trades(call.user, id, call.query)


@routes.get("/api/backtests/{id}/chart", query=ChartQuery, out=StudyChartOut, errors=(409,))
def chart(call: Call, id: str) -> StudyChartOut:  # noqa: A002
    """The candles of one instrument that traded, with the trades of one account."""
    return results.chart(call.user, id, call.query)


@routes.get("/api/backtests/{id}/results", out=SweepResultsOut, errors=(409,))
def sweep_results(call: Call, id: str) -> SweepResultsOut:  # noqa: A002
    """What a sweep has tried so far, also while it runs."""
    return results.sweep_results(call.user, id)


@routes.get("/api/backtests/{id}/export", query=ExportQuery, raw=True, media="application/octet-stream", errors=(409,))
def export(call: Call, id: str) -> Response:  # noqa: A002
    """A file: `report` as stand-alone HTML or JSON; `trades`, `orders` and `equity` as CSV; a sweep's `results` as CSV or JSON."""
    return results.export(call.user, id, call.query)

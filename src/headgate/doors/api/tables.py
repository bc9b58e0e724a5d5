"""Tables as answers: JSON, or CSV where `?format=csv` or `Accept: text/csv` ask for it; sent while they are read."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse

from headgate.audit.sheets import iter_csv, iter_json
from headgate.reports.report import Report

TABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The table: `{columns, items}`, or CSV.",
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {"columns": {}, "items": {}}}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


def _is_csv(
    request: Request,
    format: Annotated[  # noqa: A002 - what the query calls it
        Literal["json", "csv"] | None, Query(description="What is sent; without it, what `Accept` asks for.")
    ] = None,
) -> bool:
    return format == "csv" if format else "text/csv" in request.headers.get("accept", "")


IsCsv = Annotated[bool, Depends(_is_csv)]


def send_table(report: Report, *, is_csv: bool) -> StreamingResponse:
    """The rows of a report, as they come."""
    if not is_csv:
        return _streamed(iter_json(report.columns, report.rows), "application/json")
    headers = {"content-disposition": f'attachment; filename="{report.name}.csv"'}
    return _streamed(iter_csv(report.columns, report.rows), "text/csv; charset=utf-8", headers)


def _streamed(
    pieces: AsyncIterator[bytes], media_type: str, headers: dict[str, str] | None = None
) -> StreamingResponse:
    return StreamingResponse(pieces, media_type=media_type, headers={"cache-control": "no-store", **(headers or {})})

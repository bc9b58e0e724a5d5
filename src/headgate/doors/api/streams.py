"""Streams of audit events, and evidence packs: what leaves the server for others to keep."""

import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import AuditManager, AuditReader, Services
from headgate.doors.api.reports import Since, Until
from headgate.kernel.threads import finish_in_thread

# Not idempotent by key: the answer holds a secret.
router = APIRouter(tags=["audit"], route_class=BoundedRoute)
_PIECE_BYTES = 1 << 20
_PACK: dict[int | str, dict[str, Any]] = {
    200: {"description": "A zip.", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}
NamePath = Annotated[str, Path(max_length=64, pattern=r"^[^\x00/]+$", examples=["siem"])]


class StreamBody(BaseModel):
    """Where to send audit events on to."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=64, examples=["siem"])
    url: str = Field(
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="syslog+tls://host:6514, syslog+tcp://, syslog+udp://, or the https URL of a webhook.",
        examples=["syslog+tls://siem.example:6514"],
    )
    secret: str | None = Field(
        default=None, max_length=200, description="What a webhook is signed with; made when there is none."
    )
    ca: str | None = Field(
        default=None,
        max_length=100_000,
        description="Certificates (PEM) to trust for syslog+tls, besides the system's.",
    )
    is_whole: bool = Field(default=False, description="Begin with the first event that is kept, not with the next one.")


class StreamAnswer(BaseModel):
    """A stream, and how far it has come."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    kind: str
    url: str
    sent_number: int = Field(description="The last event that was delivered.")
    sent_at: datetime | None
    behind: int = Field(description="How many events it has not got yet.")
    failures: int = Field(description="How often in a row a delivery failed.")
    failure: str | None
    next_try_at: datetime | None
    created_at: datetime
    created_by: str


class NewStreamAnswer(StreamAnswer):
    """A stream as it was made."""

    secret: str | None = Field(description="What the webhook is signed with; shown this once.")


@router.get("/audit/streams")
async def list_streams(_caller: AuditReader, services: Services) -> list[StreamAnswer]:
    """Where audit events are sent on to, by name."""
    return [StreamAnswer.model_validate(one) for one in await services.audit.streams.list_streams()]


@router.post("/audit/streams", status_code=201)
async def add_stream(body: StreamBody, caller: AuditManager, services: Services) -> NewStreamAnswer:
    """Send audit events on, each once it is recorded, again and again until the receiver takes it."""
    made, secret = await services.audit.streams.add(
        caller.actor, body.name, body.url, secret=body.secret, ca=body.ca, is_whole=body.is_whole
    )
    return NewStreamAnswer.model_validate({**StreamAnswer.model_validate(made).model_dump(), "secret": secret})


@router.delete("/audit/streams/{name}", status_code=204)
async def remove_stream(caller: AuditManager, services: Services, name: NamePath) -> None:
    """Send nothing there any more."""
    await services.audit.streams.remove(caller.actor, name)


@router.get("/audit/evidence", responses=_PACK, response_class=StreamingResponse)
async def fetch_evidence(
    caller: AuditReader, services: Services, since: Since = None, until: Until = None
) -> StreamingResponse:
    """An evidence pack: events, downloads, the proof of the chain, and a signed manifest, as a zip."""
    file = tempfile.TemporaryFile(dir=services.core.store.folder.scratch)  # noqa: SIM115 - closed with the answer
    try:
        await services.reports.evidence.write(file, caller.actor, since, until)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    headers = {
        "content-disposition": 'attachment; filename="evidence.zip"',
        "content-length": str(size),
        "cache-control": "no-store",
    }
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await finish_in_thread(file.read, _PIECE_BYTES):
            yield piece

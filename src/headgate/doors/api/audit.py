"""The record: audit events, the proof that they are whole, the access log, and what an auditor takes away."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from headgate.access.permissions import Permission
from headgate.audit.masking import Kind
from headgate.audit.requests import Sought
from headgate.audit.trail import AuditTrail, Wanted
from headgate.doors.api.callers import AuditReader, Caller, Services, require
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.doors.api.paging import Word as Text
from headgate.doors.api.reports import Since, Until, Word
from headgate.doors.api.tables import TABLE, IsCsv, send_table
from headgate.reports.report import Report

router = APIRouter(tags=["audit"])
_COLUMNS = ("number", "at", "action", "actor", "channel", "subject", "detail", "hash")


class EventAnswer(BaseModel):
    """An audit event: who did what, when, to what; and its link in the chain."""

    number: int
    at: datetime
    action: str
    actor: str
    channel: str | None
    subject: str | None
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 over the hash of the event before, and what this one says.")


class CheckpointAnswer(BaseModel):
    """The signed end of what was pruned."""

    model_config = ConfigDict(from_attributes=True)
    number: int
    hash: str
    at: datetime
    public_key: str
    signature: str


class ProofAnswer(BaseModel):
    """What following the whole chain came to."""

    is_whole: bool
    checked: int
    first: int
    last: int
    head: str
    complaints: list[str]
    public_key: str = Field(description="What this server signs checkpoints and evidence packs with: ed25519.")
    checkpoint: CheckpointAnswer | None


class RequestAnswer(BaseModel):
    """A request at a channel, or several that agreed in all of this within a tenth of a second."""

    model_config = ConfigDict(from_attributes=True)
    at: datetime
    times: int
    kind: Kind
    method: str
    channel: str
    subdir: str
    filename: str
    package: str
    sha256: str
    who: str
    token: str
    address: str
    client: str
    client_version: str
    verdict: str = Field(description="allow, warn, or the code of the refusal.")
    status: int
    bytes: int


def _wanted(
    actor: Annotated[Word, Query(description="Who did it; `ada` finds what ada's tokens did too.")] = None,
    action: Annotated[Word, Query(description="`policy:set`, or `policy` for all that happened to policies.")] = None,
    channel: Word = None,
    subject: Word = None,
    since: Since = None,
    until: Until = None,
) -> Wanted:
    return Wanted(actor=actor, action=action, channel=channel, subject=subject, since=since, until=until)


Chosen = Annotated[Wanted, Depends(_wanted)]


@router.get("/audit/events")
async def list_events(_caller: AuditReader, services: Services, page: Paging, wanted: Chosen) -> Listing[EventAnswer]:
    """Audit events, the newest first."""
    (before,) = page.after(tuple[Number]) or (None,)
    found = await services.audit.trail.list_events(wanted, before=before, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: (one.number,))
    return Listing(items=[EventAnswer.model_validate(one.as_json()) for one in shown], next=following)


@router.get("/audit/events/{number}")
async def show_event(
    _caller: AuditReader, services: Services, number: Annotated[int, Path(ge=1, lt=1 << 62, examples=[1])]
) -> EventAnswer:
    """One of them."""
    return EventAnswer.model_validate((await services.audit.trail.get_event(number)).as_json())


@router.get("/audit/export", responses=TABLE, response_class=StreamingResponse)
async def export_events(_caller: AuditReader, services: Services, is_csv: IsCsv, wanted: Chosen) -> StreamingResponse:
    """All of them, in their order, as one table."""
    return send_table(Report("audit-events", _COLUMNS, _rows(services.audit.trail, wanted)), is_csv=is_csv)


@router.get("/audit/verify")
async def verify_events(_caller: AuditReader, services: Services) -> ProofAnswer:
    """Follow the chain from its beginning, or from its last checkpoint, to its end."""
    proof = await services.audit.trail.verify()
    checkpoint = None if proof.checkpoint is None else CheckpointAnswer.model_validate(proof.checkpoint.as_json())
    return ProofAnswer(
        is_whole=proof.is_whole,
        checked=proof.checked,
        first=proof.first,
        last=proof.last,
        head=proof.head,
        complaints=list(proof.complaints[:100]),
        public_key=services.audit.signer.public_key,
        checkpoint=checkpoint,
    )


@router.get("/audit/requests")
async def list_requests(
    caller: Caller,
    services: Services,
    page: Paging,
    channel: Word = None,
    package: Word = None,
    filename: Word = None,
    sha256: Word = None,
    user: Word = None,
    client: Word = None,
    kind: Kind | None = None,
    is_refused: Annotated[bool | None, Query(description="Only what was refused, or only what was not.")] = None,
    since: Since = None,
    until: Until = None,
) -> Listing[RequestAnswer]:
    """The access log, the newest first."""
    require(caller, Permission.AUDIT_READ, channel)
    sought = Sought(
        channel=channel, package=package, filename=filename, sha256=sha256, who=user, client=client, kind=kind,
        is_refused=is_refused, since=since, until=until,
    )  # fmt: skip
    before = page.after(tuple[Text, Number])
    found = await services.audit.requests.list_requests(sought, before=before, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.place)
    return Listing(
        items=[RequestAnswer.model_validate(one.row._asdict() | {"at": one.at}) for one in shown], next=following
    )


async def _rows(trail: AuditTrail, wanted: Wanted) -> AsyncIterator[list[Any]]:
    async for event in trail.iter_events(wanted):
        said = event.as_json()
        yield [said[name] for name in _COLUMNS]
